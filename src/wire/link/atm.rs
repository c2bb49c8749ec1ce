//! ATM: LLC in AAL5 (RFC 2684 §5.1), alone and behind SunATM's four bytes.

use crate::wire::inside::{CUT, Inside, OTHER, Opened};

use super::Link;

pub(super) static RFC1483: Link = Link { number: 100, name: "ATM_RFC1483", strip: |frame| (Inside::Llc, frame) };
pub(super) static SUNATM: Link = Link { number: 123, name: "SUNATM", strip: sun };

/// Direction and type of traffic, VPI, VCI (LINKTYPE_SUNATM at tcpdump.org).
fn sun(frame: &[u8]) -> Opened<'_> {
    match frame {
        [kind, _, _, _, rest @ ..] if kind & 0x0f == 2 => (Inside::Llc, rest),
        [_, _, _, _, ..] => OTHER,
        _ => CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llc_traffic_of_sunatm_is_read() {
        assert_eq!(sun(&[0x82, 0, 0, 100, 0xaa]), (Inside::Llc, &[0xaa][..]));
        assert_eq!(sun(&[0x81, 0, 0, 100, 0xaa]), OTHER);
        assert_eq!(sun(&[0x82, 0, 0]), CUT);
    }
}
