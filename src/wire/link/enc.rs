//! OpenBSD's encapsulation device: family, SPI and flags, four bytes each, then IP as it was inside
//! IPsec (LINKTYPE_ENC at tcpdump.org).

use crate::wire::inside::{Inside, behind};

use super::Link;

pub(super) static ENC: Link = Link { number: 109, name: "ENC", strip: |frame| behind(frame, 12, Inside::Ip) };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::inside::CUT;

    #[test]
    fn ip_stands_behind_twelve_bytes() {
        let frame = [2, 0, 0, 0, 0, 0, 16, 1, 0, 0, 0, 6, 0x45];
        assert_eq!((ENC.strip)(&frame), (Inside::Ip, &[0x45][..]));
        assert_eq!((ENC.strip)(&frame[..11]), CUT);
    }
}
