//! Fibre Channel (RFC 2625) and FireWire (RFC 2734) with two addresses of eight bytes before IP.

use crate::wire::inside::{CUT, Inside, Opened, behind, of_ether_type, u16_at};

use super::Link;

pub(super) static IP_OVER_FC: Link =
    Link { number: 122, name: "IP_OVER_FC", strip: |frame| behind(frame, 16, Inside::Llc) };
pub(super) static IEEE1394: Link = Link { number: 138, name: "APPLE_IP_OVER_IEEE1394", strip: ieee1394 };

fn ieee1394(frame: &[u8]) -> Opened<'_> {
    u16_at(frame, 16).map_or(CUT, |ether_type| behind(frame, 18, of_ether_type(ether_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_sixteen_bytes_of_addresses() {
        let mut frame = vec![0; 16];
        frame.extend([8, 0, 0x45]);
        assert_eq!((IP_OVER_FC.strip)(&frame), (Inside::Llc, &[8, 0, 0x45][..]));
        assert_eq!(ieee1394(&frame), (Inside::Ipv4, &[0x45][..]));
        assert_eq!(ieee1394(&frame[..17]), CUT);
    }
}
