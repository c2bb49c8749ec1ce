//! TaZmen sniffer protocol: mirrored frames in UDP (packet-tzsp.c of Wireshark).

use crate::model::{Layer, Stack};
use crate::wire::inside::{Inside, Opened, u16_at};

use super::{By, Outer, Tunnel, plausible};

pub(super) static TZSP: Tunnel = Tunnel { name: "tzsp", by: &[By::Udp(37008), By::AnyUdp], open };

fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    // Version 1, a received packet or one to be sent.
    let [1, 0 | 1, ..] = bytes else { return None };
    let inside = match u16_at(bytes, 2)? {
        1 => Inside::Ethernet,
        18 => Inside::Wlan { padded: false },
        119 => Inside::Link(119),
        127 => Inside::Link(163),
        _ => return None,
    };
    // Tags: 0 is padding, 1 the last, all others have a length.
    let mut at = 4;
    loop {
        match *bytes.get(at)? {
            0 => at += 1,
            1 => break,
            _ => at += 2 + usize::from(*bytes.get(at + 1)?),
        }
    }
    let rest = bytes.get(at + 1..)?;
    if outer.by == By::AnyUdp && !(inside == Inside::Ethernet && plausible::ethernet(rest)) {
        return None;
    }
    stack.push(Layer::Tzsp);
    Some((inside, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::{ethernet, opened};
    use super::*;

    #[test]
    fn tags_are_passed_over() {
        let mut bytes = vec![1, 0, 0, 1, 0, 0x0a, 2, 9, 9, 1];
        bytes.extend(ethernet());
        for by in [By::Udp(37008), By::AnyUdp] {
            let found = opened(&TZSP, by, &bytes).unwrap();
            assert_eq!(found, ((Inside::Ethernet, &bytes[10..]), vec![Layer::Tzsp]));
        }
        assert_eq!(opened(&TZSP, By::Udp(37008), &bytes[..8]), None);
        // A keep-alive.
        assert_eq!(opened(&TZSP, By::Udp(37008), &[1, 4, 0, 1, 1]), None);
        assert_eq!(opened(&TZSP, By::AnyUdp, &[1, 0, 0, 1, 1, 2, 3]), None);
    }
}
