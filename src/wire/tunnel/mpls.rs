//! MPLS (RFC 3032), over Ethernet, IP (RFC 4023) and UDP (RFC 7510): the whole stack of labels is taken
//! off. What is inside no field tells: IP by its first half-byte (RFC 4928), a pseudowire's control word
//! by its zero (RFC 4385 §3), or a frame without one.

use crate::model::{Layer, Stack};
use crate::wire::inside::{CUT, Inside, OTHER, Opened, u32_at};

use super::{By, Outer, Tunnel, plausible};

pub(super) static MPLS: Tunnel = Tunnel {
    name: "mpls",
    by: &[By::EtherType(0x8847), By::EtherType(0x8848), By::IpProtocol(137), By::Udp(6635)],
    open,
};

/// Announces an entropy label (RFC 6790): another one for each flow, and so not worth telling.
const ENTROPY: u32 = 7;

fn open<'a>(outer: &Outer, bytes: &'a [u8], stack: &mut Stack) -> Option<Opened<'a>> {
    if matches!(outer.by, By::Udp(_)) && !is_stack(bytes) {
        return None;
    }
    let mut rest = bytes;
    let mut entropy = false;
    loop {
        let (Some(entry), Some(behind)) = (u32_at(rest, 0), rest.get(4..)) else { return Some(CUT) };
        let label = entry >> 12;
        // Labels 0 and 2 say only which IP follows (RFC 3032 §2.1).
        if !entropy && !matches!(label, 0 | 2 | ENTROPY) {
            stack.push(Layer::Mpls(label));
        }
        entropy = label == ENTROPY;
        rest = behind;
        if entry & 0x100 != 0 {
            break;
        }
    }
    Some(inside(rest))
}

/// On a port that others may use: whether labels lead to something known.
fn is_stack(mut bytes: &[u8]) -> bool {
    while let Some(entry) = u32_at(bytes, 0) {
        bytes = bytes.get(4..).unwrap_or_default();
        if entry & 0x100 != 0 {
            return plausible::ip(bytes)
                || plausible::ethernet(bytes)
                || plausible::ethernet(bytes.get(4..).unwrap_or_default());
        }
    }
    false
}

fn inside(rest: &[u8]) -> Opened<'_> {
    match rest.first().map(|first| first >> 4) {
        None => CUT,
        // An address may begin with 4 or 6: then only the whole can tell.
        Some(4 | 6) if plausible::ip(rest) || !plausible::ethernet(rest) => (Inside::Ip, rest),
        Some(0) if !plausible::ethernet(rest) => {
            let behind = rest.get(4..).unwrap_or_default();
            (if plausible::ip(behind) { Inside::Ip } else { Inside::Ethernet }, behind)
        }
        // Operation and maintenance (RFC 5586).
        Some(1) if !plausible::ethernet(rest) => OTHER,
        Some(_) => (Inside::Ethernet, rest),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::super::testing::{IPV4, ethernet, opened};
    use super::*;

    fn labelled(inside: &[u8]) -> Vec<u8> {
        // Labels 16, then 100 with the bottom bit (RFC 3032 §2.1).
        let mut bytes = vec![0, 1, 0, 64, 0, 6, 0x41, 64];
        bytes.extend(inside);
        bytes
    }

    fn read(bytes: &[u8]) -> Opened<'_> {
        opened(&MPLS, By::EtherType(0x8847), bytes).unwrap().0
    }

    #[test]
    fn ip_stands_behind_the_last_label() {
        let bytes = labelled(&IPV4);
        let (inside, layers) = opened(&MPLS, By::EtherType(0x8847), &bytes).unwrap();
        assert_eq!((inside, layers), ((Inside::Ip, &IPV4[..]), vec![Layer::Mpls(16), Layer::Mpls(100)]));
        assert_eq!(read(&bytes[..6]), CUT);
    }

    #[test]
    fn pseudowires_with_and_without_a_control_word_are_told_apart() {
        let frame = ethernet();
        let mut with_word = vec![0, 0, 0, 7];
        with_word.extend(&frame);
        assert_eq!(read(&labelled(&with_word)), (Inside::Ethernet, &frame[..]));
        assert_eq!(read(&labelled(&frame)), (Inside::Ethernet, &frame[..]));
        // A destination address that begins like IPv4, and one like a control word.
        for first in [0x40, 0x00, 0x10] {
            let mut odd = frame.clone();
            odd[0] = first;
            assert_eq!(read(&labelled(&odd)), (Inside::Ethernet, &odd[..]));
        }
    }

    #[test]
    fn entropy_labels_are_not_told() {
        let mut bytes = vec![0, 0, 0x70, 64, 0xab, 0xcd, 0xe1, 64];
        bytes.extend(IPV4);
        assert_eq!(opened(&MPLS, By::IpProtocol(137), &bytes).unwrap(), ((Inside::Ip, &IPV4[..]), vec![]));
    }

    #[test]
    fn other_datagrams_to_its_port_are_left_alone() {
        assert_eq!(opened(&MPLS, By::Udp(6635), &[0, 1, 1, 64, 9, 9, 9]), None);
    }
}
