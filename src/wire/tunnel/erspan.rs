//! ERSPAN (draft-foschiano-erspan): a mirrored frame in GRE, type I without a header of its own, II and
//! III with one.

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, OTHER, Opened, behind, u16_at};

use super::{By, Tunnel};

/// Reached through GRE, which knows the type; by these numbers alone only where something else names
/// them.
pub(super) static ERSPAN: Tunnel = Tunnel {
    name: "erspan",
    by: &[By::EtherType(0x88be), By::EtherType(0x22eb)],
    open: |outer, bytes, stack| {
        let By::EtherType(protocol) = outer.by else { return None };
        Some(open(protocol, true, bytes, stack))
    },
};

/// `numbered`: the GRE header had a sequence number, which tells type II from type I.
pub(super) fn open<'a>(protocol: u16, numbered: bool, bytes: &'a [u8], stack: &mut Stack) -> Opened<'a> {
    if protocol == 0x88be && !numbered {
        stack.push(Layer::Erspan(None));
        return (Inside::Ethernet, bytes);
    }
    let (Some(first), Some(second)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else { return CUT };
    let session = Layer::Erspan(Some(second & 0x03ff));
    let opened = match first >> 12 {
        1 => behind(bytes, 8, Inside::Ethernet),
        2 => {
            let Some(last) = u16_at(bytes, 10) else { return CUT };
            // Five bits of frame type: 0 Ethernet, 2 IP. The lowest bit: a subheader of eight bytes.
            let inside = match last >> 10 & 0x1f {
                0 => Inside::Ethernet,
                2 => Inside::Ip,
                _ => return OTHER,
            };
            behind(bytes, if last & 1 != 0 { 20 } else { 12 }, inside)
        }
        _ => return OTHER,
    };
    stack.push(session);
    opened
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::gre::GRE;
    use super::super::testing::opened;
    use super::*;

    fn read(bytes: &[u8]) -> (Opened<'_>, Vec<Layer>) {
        opened(&GRE, By::IpProtocol(47), bytes).unwrap()
    }

    #[test]
    fn type_one_has_no_header() {
        assert_eq!(read(&[0, 0, 0x88, 0xbe, 9]), ((Inside::Ethernet, &[9][..]), vec![Layer::Erspan(None)]));
    }

    #[test]
    fn type_two_has_eight_bytes() {
        let bytes = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0x08, 100, 0, 0, 0, 0, 9];
        assert_eq!(read(&bytes), ((Inside::Ethernet, &[9][..]), vec![Layer::Erspan(Some(100))]));
        assert_eq!(read(&bytes[..12]).0, CUT);
    }

    #[test]
    fn type_three_has_twelve_and_a_subheader() {
        let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 7, 1, 2, 3, 4, 0, 0, 0, 0, 9];
        assert_eq!(read(&header), ((Inside::Ethernet, &[9][..]), vec![Layer::Erspan(Some(7))]));
        let mut with_subheader = header[..20].to_vec();
        with_subheader[18] = 2 << 2;
        with_subheader[19] = 1;
        with_subheader.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x45]);
        assert_eq!(read(&with_subheader).0, (Inside::Ip, &[0x45][..]));
    }
}
