//! PPP on serial lines and over Ethernet (RFC 1661, RFC 1662, RFC 2516).

use crate::wire::inside::{CUT, Inside, Opened};

use super::{Link, c_hdlc};

pub(super) static PPP: Link = Link { number: 9, name: "PPP", strip: |frame| (Inside::Ppp, frame) };
pub(super) static PPP_SERIAL: Link = Link { number: 50, name: "PPP_SERIAL", strip: serial };
/// Begins with the PPPoE header.
pub(super) static PPP_ETHER: Link =
    Link { number: 51, name: "PPP_ETHER", strip: |frame| (Inside::EtherType(0x8864), frame) };
pub(super) static PPP_PPPD: Link = Link { number: 166, name: "PPP_PPPD", strip: behind_direction };
pub(super) static PPP_WITH_DIR: Link = Link { number: 204, name: "PPP_WITH_DIR", strip: behind_direction };

/// PPP in HDLC-like framing, or Cisco HDLC, as the address tells (LINKTYPE_PPP_HDLC at tcpdump.org).
fn serial(frame: &[u8]) -> Opened<'_> {
    match frame.first() {
        Some(0x0f | 0x8f) => c_hdlc::strip(frame),
        _ => (Inside::Ppp, frame),
    }
}

/// A byte of direction; pppd writes it in the address's place, before the control byte.
fn behind_direction(frame: &[u8]) -> Opened<'_> {
    match frame {
        [_, 0x03, rest @ ..] | [_, rest @ ..] => (Inside::Ppp, rest),
        [] => CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_passed_over() {
        assert_eq!(behind_direction(&[1, 0xff, 3, 0, 0x21]), (Inside::Ppp, &[0xff, 3, 0, 0x21][..]));
        assert_eq!(behind_direction(&[1, 3, 0, 0x21]), (Inside::Ppp, &[0, 0x21][..]));
    }

    #[test]
    fn the_address_tells_ppp_from_cisco_hdlc() {
        assert_eq!(serial(&[0xff, 3, 0, 0x21]).0, Inside::Ppp);
        assert_eq!(serial(&[0x0f, 0, 8, 0, 0x45]), (Inside::Ipv4, &[0x45][..]));
    }
}
