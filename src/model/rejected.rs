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

    fn cause(self) -> &'static str {
        match self {
            IcmpWhy::NetUnreachable => "it has no route there: a route is missing, or a link is down",
            IcmpWhy::HostUnreachable => {
                "nobody there answers ARP or neighbour discovery: the host is down, or the address is wrong"
            }
            IcmpWhy::PortUnreachable => {
                "a rule of a firewall rejects it: iptables and nftables do so in these words where none are given, kube-proxy does \
                for a Service without endpoints"
            }
            IcmpWhy::Prohibited => "a rule of a firewall, a security group or an access list there rejects it",
            IcmpWhy::TtlExceeded => "packets go round in circles: two routers each take the other for the next hop",
            IcmpWhy::TooBig(_) => {
                "a link on the path has a smaller MTU, and the sender does not heed the ICMP that says so"
            }
        }
    }
}

impl Rejected {
    /// Who says so, in words. `from`, `to`: the host that sends, and the one that cannot be reached.
    pub fn who(&self, from: IpAddr, to: IpAddr) -> String {
        match self.by {
            by if by == to => "that host itself".to_owned(),
            by if by == from => "the system of the sender itself".to_owned(),
            by => format!("the router or firewall {by}"),
        }
    }

    /// What it comes from, mostly. `to`: the host that cannot be reached.
    pub fn cause(&self, to: IpAddr) -> &'static str {
        if self.by == to && matches!(self.why, IcmpWhy::Prohibited | IcmpWhy::PortUnreachable) {
            return "the firewall of that host rejects it (firewalld, and iptables or nftables with REJECT, answer so): let \
                the port in there";
        }
        self.why.cause()
    }

    /// Whether whoever says so is at fault, not the host that cannot be reached: a router without a way, a firewall (whose
    /// usual word is that the port is unreachable). `from`, `to`: the host that sends, and that one.
    pub fn blames_the_path(&self, from: IpAddr, to: IpAddr) -> bool {
        self.says_more() && self.by != to && self.by != from
    }

    /// Whether the sender's own system rejects what it sends.
    pub fn blames_the_sender(&self, from: IpAddr) -> bool {
        self.says_more() && self.by == from
    }

    /// More than that a host does not answer, or that a packet is too big.
    pub fn says_more(&self) -> bool {
        !matches!(self.why, IcmpWhy::HostUnreachable | IcmpWhy::TooBig(_))
    }

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
