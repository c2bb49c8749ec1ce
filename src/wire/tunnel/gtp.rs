//! GTP-U (3GPP TS 29.281 §5.1, §5.2): user data of mobile networks.

use crate::model::{Layer, Stack};
use crate::wire::inside::{Inside, Opened, u32_at};

use super::{By, Outer, Tunnel};

pub(super) static GTP_U: Tunnel = Tunnel { name: "gtp-u", by: &[By::Udp(2152)], open };

/// A packet of a user, not a message between the nodes.
const G_PDU: u8 = 255;

fn open<'a>(_: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    let [flags, kind, ..] = bytes else { return None };
    // Version 1, and GTP, not GTP prime.
    if flags & 0xf0 != 0x30 || *kind != G_PDU {
        return None;
    }
    let tunnel = u32_at(bytes, 4)?;
    let mut at = 8;
    // Any of the three flags brings all three fields; only E makes the last one count.
    if flags & 7 != 0 {
        at += 4;
        let mut next = if flags & 4 != 0 { *bytes.get(11)? } else { 0 };
        while next != 0 {
            // Length in words, at least one; the last byte names the next.
            let words = usize::from(*bytes.get(at)?).max(1);
            at += words * 4;
            next = *bytes.get(at - 1)?;
        }
    }
    let rest = bytes.get(at..)?;
    stack.push(Layer::Gtp(tunnel));
    Some((Inside::Ip, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::opened;
    use super::*;

    fn read(bytes: &[u8]) -> Option<(Opened<'_>, Vec<Layer>)> {
        opened(&GTP_U, By::Udp(2152), bytes)
    }

    #[test]
    fn extension_headers_are_passed_over() {
        let expected = ((Inside::Ip, &[0x45][..]), vec![Layer::Gtp(0x1234)]);
        assert_eq!(read(&[0x30, 255, 0, 1, 0, 0, 0x12, 0x34, 0x45]).unwrap(), expected);
        // A sequence number alone.
        assert_eq!(read(&[0x32, 255, 0, 5, 0, 0, 0x12, 0x34, 0, 9, 0, 0x85, 0x45]).unwrap(), expected);
        // A PDU session container (0x85), then a PDCP number (0xc0).
        let extended = [0x34, 255, 0, 13, 0, 0, 0x12, 0x34, 0, 0, 0, 0x85, 1, 0, 9, 0xc0, 1, 0, 1, 0, 0x45];
        assert_eq!(read(&extended).unwrap(), expected);
        assert_eq!(read(&extended[..17]), None);
    }

    #[test]
    fn messages_between_nodes_are_left_alone() {
        assert_eq!(read(&[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 9, 0, 0]), None);
        assert_eq!(read(&[0x48, 255, 0, 4, 0, 0, 0, 0, 0, 9, 0, 0]), None);
    }
}
