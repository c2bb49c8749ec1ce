//! What follows from an ICMP message: who is at fault, what it comes from, and how findings tell it.

use std::net::IpAddr;

use crate::model::{Direction, Evidence, FlowFacts, IcmpWhy, Rejected, Severity, Text};

use super::rule::{Builder, Findings};

impl Rejected {
    /// Who says so, in words. `from`, `to`: the host that sends, and the one that cannot be reached.
    pub(super) fn who(&self, from: IpAddr, to: IpAddr) -> String {
        match self.by {
            by if by == to => "that host itself".to_owned(),
            by if by == from => "the system of the sender itself".to_owned(),
            by => format!("the router or firewall {by}"),
        }
    }

    /// What it comes from, mostly. `to`: the host that cannot be reached.
    pub(super) fn cause(&self, to: IpAddr) -> &'static str {
        if self.by == to && matches!(self.why, IcmpWhy::Prohibited | IcmpWhy::PortUnreachable) {
            return "the firewall of that host rejects it (firewalld, and iptables or nftables with REJECT, answer so): let \
                the port in there";
        }
        cause(self.why)
    }

    /// Whether whoever says so is at fault, not the host that cannot be reached: a router without a way, a firewall (whose
    /// usual word is that the port is unreachable). `from`, `to`: the host that sends, and that one.
    pub(super) fn blames_the_path(&self, from: IpAddr, to: IpAddr) -> bool {
        self.says_more() && self.by != to && self.by != from
    }

    /// Whether the sender's own system rejects what it sends.
    pub(super) fn blames_the_sender(&self, from: IpAddr) -> bool {
        self.says_more() && self.by == from
    }

    /// More than that a host does not answer, or that a packet is too big.
    fn says_more(&self) -> bool {
        !matches!(self.why, IcmpWhy::HostUnreachable | IcmpWhy::TooBig(_))
    }
}

/// What ICMP says of a connection that nobody answered. `says`: what its sender does, behind its name.
pub(super) fn said_of(flow: &FlowFacts, told: &Rejected, says: &str) -> Text {
    let (client, server) = (flow.client, flow.server);
    let who = told.who(client.ip, server.ip);
    Text::own(format!("{client} asked {server} for a connection, and {who} {says}: {}.", told.why.name()))
}

/// Tells it. `severity`: `None` is a warning.
pub(super) fn tell<'a>(
    out: &'a mut Findings<'_>,
    flow: &FlowFacts,
    told: &Rejected,
    text: Text,
    severity: Option<Severity>,
) -> Builder<'a> {
    let [syn, answer] = evidence(flow, told);
    out.add(text)
        .severity(severity.unwrap_or(Severity::Warning))
        .expected(Text::own("SYN and ACK"))
        .found(Text::own(format!("ICMP {}", told.why.name())))
        .cause(told.cause(flow.server.ip))
        .evidence(syn)
        .evidence(answer)
}

/// The SYN, and the message about it.
pub(super) fn evidence(flow: &FlowFacts, told: &Rejected) -> [Evidence; 2] {
    let of = |at, direction| Evidence { at, direction: Some(direction), bytes: None };
    [of(flow.syn, Direction::ClientToServer), of(told.at, Direction::ServerToClient)]
}

/// What it comes from, mostly.
fn cause(why: IcmpWhy) -> &'static str {
    match why {
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
