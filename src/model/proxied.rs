//! What a PROXY protocol header says: whose connection a proxy passes on.

use crate::base::{Endpoint, PacketRef, Timestamp};

/// A header of either version (HAProxy's doc/proxy-protocol.txt).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// 1 or 2.
    pub version: u8,
    /// `UNKNOWN` or LOCAL: the proxy speaks for itself, as for a health check.
    pub local: bool,
    /// Who opened the connection that is passed on, and to where. `None` where the header does not say.
    pub source: Option<Endpoint>,
    pub destination: Option<Endpoint>,
    /// In order of the header, those inside PP2_TYPE_SSL behind it; at most `limits::PROXY_TLVS`.
    pub tlvs: Box<[(u8, Box<[u8]>)]>,
    /// What is wrong with the header, in words. `None`: nothing is.
    pub fault: Option<&'static str>,
    /// The packet that carried its first byte, and when.
    pub at: PacketRef,
    pub ts: Timestamp,
    /// Bytes of the header.
    pub length: u64,
}

impl Proxied {
    /// The first TLV of this type.
    pub fn tlv(&self, kind: u8) -> Option<&[u8]> {
        self.tlvs.iter().find(|(k, _)| *k == kind).map(|(_, value)| &**value)
    }
}
