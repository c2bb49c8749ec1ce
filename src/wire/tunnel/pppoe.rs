//! PPPoE sessions (RFC 2516 §4).

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, OTHER, Opened, u16_at};

use super::{By, Outer, Tunnel};

pub(super) static PPPOE: Tunnel = Tunnel { name: "pppoe", by: &[By::EtherType(0x8864)], open };

/// Version 1 and type 1, code 0, session, length.
fn open<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let (Some(first), Some(session), Some(rest)) = (u16_at(bytes, 0), u16_at(bytes, 2), bytes.get(6..)) else {
        return Some(CUT);
    };
    if first != 0x1100 {
        return Some(OTHER);
    }
    stack.push(Layer::Pppoe(session));
    Some((Inside::Ppp, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    #[test]
    fn ppp_stands_behind_six_bytes() {
        let bytes = [0x11, 0, 0x12, 0x34, 0, 3, 0, 0x21, 0x45];
        let found = opened(&PPPOE, By::EtherType(0x8864), &bytes).unwrap();
        assert_eq!(found, ((Inside::Ppp, &[0, 0x21, 0x45][..]), vec![Layer::Pppoe(0x1234)]));
        assert_eq!(opened(&PPPOE, By::EtherType(0x8864), &bytes[..5]).unwrap().0, CUT);
        assert_eq!(opened(&PPPOE, By::EtherType(0x8864), &[0x11, 9, 0, 0, 0, 0]).unwrap().0, OTHER);
    }
}
