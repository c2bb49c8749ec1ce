//! Link layers: from a captured frame to the network packet inside. One file each; the list below is
//! the registry.

pub mod ethernet;
mod null;
mod raw;
mod sll;
mod sll2;

pub mod ether_type;

/// One link type that can be read.
pub struct Link {
    /// LINKTYPE_ number of the capture file.
    pub number: u16,
    pub name: &'static str,
    /// Takes the link header off.
    pub strip: fn(&[u8]) -> Stripped<'_>,
}

/// What stood behind a link header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stripped<'a> {
    Ipv4(&'a [u8]),
    Ipv6(&'a [u8]),
    /// Something that is not IP (ARP, LLDP …).
    Other,
    /// The header itself is cut.
    Cut,
}

/// Every link type that can be read, by number.
pub static LINKS: &[&Link] = &[
    &null::NULL,
    &ethernet::ETHERNET,
    &raw::RAW_BSD,
    &raw::RAW_OPENBSD,
    &raw::RAW,
    &null::LOOP,
    &sll::SLL,
    &raw::IPV4,
    &raw::IPV6,
    &sll2::SLL2,
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
}
