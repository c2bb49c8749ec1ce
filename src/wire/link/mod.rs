//! Link layers: from a captured frame to what is inside. One file each; the list below is the registry.

mod atm;
mod c_hdlc;
mod dsa;
mod enc;
pub mod ethernet;
mod fddi;
mod frelay;
mod ieee80211;
mod ip_over_fc;
mod juniper;
mod mpls;
mod nflog;
mod null;
mod pflog;
mod pktap;
mod ppi;
mod ppp;
mod raw;
mod sll;
mod sll2;

use super::Opened;

/// One link type that can be read.
pub struct Link {
    /// LINKTYPE_ number of the capture file.
    pub number: u16,
    pub name: &'static str,
    /// Takes the link header off.
    pub strip: fn(&[u8]) -> Opened<'_>,
}

/// Every link type that can be read, by number.
pub static LINKS: &[&Link] = &[
    &null::NULL,
    &ethernet::ETHERNET,
    &ppp::PPP,
    &fddi::FDDI,
    &raw::RAW_BSD,
    &raw::RAW_OPENBSD,
    &ppp::PPP_SERIAL,
    &ppp::PPP_ETHER,
    &atm::RFC1483,
    &raw::RAW,
    &c_hdlc::C_HDLC,
    &ieee80211::IEEE802_11,
    &frelay::FRELAY,
    &null::LOOP,
    &enc::ENC,
    &sll::SLL,
    &pflog::PFLOG,
    &ieee80211::PRISM,
    &ip_over_fc::IP_OVER_FC,
    &atm::SUNATM,
    &ieee80211::RADIOTAP,
    &ip_over_fc::IEEE1394,
    &pktap::PKTAP_USER2,
    &ieee80211::AVS,
    &ppp::PPP_PPPD,
    &juniper::JUNIPER_ETHER,
    &ppi::PPI,
    &ppp::PPP_WITH_DIR,
    &c_hdlc::C_HDLC_WITH_DIR,
    &frelay::FRELAY_WITH_DIR,
    &mpls::MPLS,
    &raw::IPV4,
    &raw::IPV6,
    &nflog::NFLOG,
    &pktap::PKTAP,
    &sll2::SLL2,
    &dsa::BRCM,
    &dsa::BRCM_PREPEND,
    &dsa::DSA,
    &dsa::EDSA,
];

/// The link type with this number. `None`: it cannot be read.
pub fn find(number: u16) -> Option<&'static Link> {
    LINKS.iter().copied().find(|l| l.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_sorted_and_unique() {
        assert!(LINKS.windows(2).all(|w| w[0].number < w[1].number));
    }

    #[test]
    fn no_link_type_panics_on_short_or_odd_frames() {
        for link in LINKS {
            for fill in [0_u8, 1, 2, 0x45, 0x60, 0xaa, 0xff] {
                for len in 0..200 {
                    (link.strip)(&vec![fill; len]);
                }
            }
        }
    }
}
