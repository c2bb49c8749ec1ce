//! What a router, a firewall or a host says by ICMP of a packet that it does not deliver.

use std::net::IpAddr;

use crate::base::{PacketRef, Timestamp};

use super::Direction;

/// One such message about a connection, and how often it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Who says so.
    pub by: IpAddr,
    /// Whose packet it is about.
    pub of: Direction,
    pub why: IcmpWhy,
    /// The first of these messages.
    pub at: PacketRef,
    pub ts: Timestamp,
    /// When the last one came.
    pub last: Timestamp,
    pub times: u32,
}

/// Why a packet was not delivered (RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpWhy {
    /// Type 3 code 0, 5 to 8, 11 and 12; ICMPv6 type 1 code 0, 2 and others.
    NetUnreachable,
    /// Type 3 code 1; ICMPv6 type 1 code 3.
    HostUnreachable,
    /// Type 3 code 2 and 3; ICMPv6 type 1 code 4.
    PortUnreachable,
    /// Type 3 code 9, 10, 13 to 15; ICMPv6 type 1 code 1, 5 and 6.
    Prohibited,
    /// Type 11; ICMPv6 type 3.
    TtlExceeded,
    /// Type 3 code 4; ICMPv6 type 2. The MTU of the next link in bytes; 0: it is not said (before RFC 1191).
    TooBig(u32),
}

impl IcmpWhy {
    /// As tools print it.
    pub fn name(self) -> String {
        match self {
            IcmpWhy::NetUnreachable => "network unreachable".to_owned(),
            IcmpWhy::HostUnreachable => "host unreachable".to_owned(),
            IcmpWhy::PortUnreachable => "port unreachable".to_owned(),
            IcmpWhy::Prohibited => "administratively prohibited".to_owned(),
            IcmpWhy::TtlExceeded => "time to live exceeded".to_owned(),
            IcmpWhy::TooBig(0) => "packet too big".to_owned(),
            IcmpWhy::TooBig(mtu) => format!("packet too big, MTU {mtu}"),
        }
    }

    /// How final it is: a packet may be made smaller, a host may come back, a route too; a rule stays.
    fn rank(self) -> u8 {
        match self {
            IcmpWhy::TooBig(_) => 0,
            IcmpWhy::HostUnreachable => 1,
            IcmpWhy::TtlExceeded => 2,
            IcmpWhy::NetUnreachable => 3,
            IcmpWhy::PortUnreachable | IcmpWhy::Prohibited => 4,
        }
    }
}

impl Rejected {
    /// Another one came. Of several routers that say the same the first is named; what says more of why nothing will
    /// arrive is told instead of what says less.
    pub fn again(&mut self, other: Rejected) {
        if (self.of, self.why) == (other.of, other.why) {
            self.times = self.times.saturating_add(other.times);
            self.last = other.last;
        } else if other.why.rank() > self.why.rank() {
            *self = other;
        }
    }
}
