//! `tunnel-rejected`.

use std::net::IpAddr;

use super::support::{name, spell};
use crate::base::Nanos;
use crate::model::{
    Blame, Confidence, Direction, EndHow, Evidence, Exchange, IcmpWhy, Rejected, Role, Severity, Text, Transport,
};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "tunnel-rejected",
    severity: Severity::Error,
    title: "packets of an open WebSocket are rejected on their way (ICMP)",
    about: "From some time on ICMP messages answer what one side sends: it is prohibited, or there is no way to the other \
        side. What it sent was sent again in vain. Whoever sent these messages is named: a firewall whose rules were \
        changed, or that forgot the connection and takes its packets for new ones; a router that lost its route; the other \
        side's own firewall.\n\nWhat ICMP says of a packet that is too big is told by mtu-black-hole, and that a host does not \
        answer its last router any more by peer-vanished and others.",
    refs: &["RFC 792", "RFC 4443 §3.1", "RFC 1122 §4.2.3.9"],
    causes: &[
        "a firewall's rules were changed, or it forgot the connection and rejects what it takes for a new one",
        "a route is gone: a link or a VPN went down",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["lost-between"],
    check: Check::Exchange(check),
};

/// So long it must go on: what a route that changes rejects meanwhile comes through later.
const LASTS: Nanos = Nanos::from_secs(1);

/// What ICMP says of this leg's packets, where these did not arrive later.
fn told(x: &Exchange) -> Option<&Rejected> {
    let transport = transport(x)?;
    let other = |told: &&Rejected| matches!(told.why, IcmpWhy::TooBig(_) | IcmpWhy::HostUnreachable);
    let told = transport.rejected.as_ref().filter(|told| !other(told))?;
    let resent = transport.resent.map(|resent| (resent.by, resent.first));
    let swallowed = transport.swallowed.map(|swallowed| (swallowed.by, swallowed.first));
    // What was said before these bytes were lost is not about them.
    let in_vain = [resent, swallowed].into_iter().flatten().any(|(by, first)| by == told.of && told.last >= first);
    let over = x.end.how == EndHow::CloseFrame || x.end.tcp_at.is_some_and(|end| end < told.ts);
    (in_vain && !over && told.times > 1 && told.last.since(told.ts) >= LASTS).then_some(told)
}

/// Whether packets of this leg are rejected so.
pub(in crate::rules) fn is_rejected(x: &Exchange) -> bool {
    told(x).is_some()
}

/// Who is to blame: whoever says so, or the side that it is about. `None`: nobody says anything.
pub(in crate::rules) fn blame(x: &Exchange) -> Option<Blame> {
    let told = told(x)?;
    let ([from, to], [sender, receiver]) = ends(x, told);
    let (role, address) = match told.by {
        by if by == to => (receiver, to),
        by if by == from => (sender, from),
        by => (Role::Unknown, by),
    };
    Some(Blame { role, address: Some(address.to_string()), product: None })
}

/// Who sends what is rejected, and whom it does not reach.
fn ends(x: &Exchange, told: &Rejected) -> ([IpAddr; 2], [Role; 2]) {
    let (mut ips, mut roles) = ([x.client.ip, x.server.ip], [Role::Client, Role::Server]);
    if told.of == Direction::ServerToClient {
        ips.reverse();
        roles.reverse();
    }
    (ips, roles)
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(told) = told(x) else { return };
    let ([from, to], _) = ends(x, told);
    let text = format!(
        "What the {} sends does not reach the {} any more: {} rejected it {} times in {} by ICMP: {}.",
        name(told.of),
        name(told.of.other()),
        told.who(from, to),
        told.times,
        spell(told.last.since(told.ts)),
        told.why.name()
    );
    out.add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("an acknowledgement"))
        .found(Text::own(format!("ICMP {}, {} times", told.why.name(), told.times)))
        .cause(told.cause(to))
        .evidence(Evidence { at: told.at, direction: Some(told.of.other()), bytes: None });
}

fn transport(x: &Exchange) -> Option<&Transport> {
    x.talk.as_ref()?.transport.as_deref()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::base::PacketRef;
    use crate::model::Resent;
    use crate::rules::ends::testing::*;
    use crate::rules::testing::With as _;

    const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));

    fn rejected(by: IpAddr, why: IcmpWhy, seconds: i64) -> Exchange {
        let (of, at) = (CLIENT, PacketRef::new(0, 40));
        open().with(|x| {
            let (ts, last) = (x.request.last, x.request.last + Nanos::from_secs(seconds));
            let rejected = Some(Rejected { by, of, why, at, ts, last, times: 4 });
            let resent = Some(Resent { by: CLIENT, times: 4, at, first: ts, last });
            let transport = Transport { rejected, resent, ..Transport::default() };
            x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
        })
    }

    #[test]
    fn who_rejects_what_a_side_sends_is_named() {
        let x = rejected(ROUTER, IcmpWhy::Prohibited, 9);
        let found = run(&RULE, &x);
        let message = words(&found[0].message);
        assert!(message.contains("the router or firewall 10.1.0.1 rejected it 4 times in 9.0 s by ICMP"), "{message}");
        let blamed = blame(&x).map(|blame| (blame.role, blame.address));
        assert_eq!(blamed, Some((Role::Unknown, Some("10.1.0.1".to_owned()))));
        let own = blame(&rejected(open().server.ip, IcmpWhy::Prohibited, 9)).map(|blame| blame.role);
        assert_eq!(own, Some(Role::Server));
    }

    #[test]
    fn what_passed_by_and_what_is_too_big_are_not_told() {
        assert!(run(&RULE, &rejected(ROUTER, IcmpWhy::Prohibited, 0)).is_empty());
        assert!(run(&RULE, &rejected(ROUTER, IcmpWhy::TooBig(1_300), 9)).is_empty());
        assert!(run(&RULE, &rejected(ROUTER, IcmpWhy::HostUnreachable, 9)).is_empty());
        let heard = rejected(ROUTER, IcmpWhy::Prohibited, 9).with(|x| {
            let transports = x.talk.iter_mut().filter_map(|talk| talk.transport.as_mut());
            transports.for_each(|transport| transport.resent = None);
        });
        assert!(run(&RULE, &heard).is_empty());
        // The bytes were lost later, or are the other side's.
        let changed = |change: fn(&mut Resent)| {
            rejected(ROUTER, IcmpWhy::Prohibited, 9).with(|x| {
                let transports = x.talk.iter_mut().filter_map(|talk| talk.transport.as_mut());
                transports.filter_map(|transport| transport.resent.as_mut()).for_each(change);
            })
        };
        assert!(run(&RULE, &changed(|resent| resent.first = resent.first + Nanos::from_secs(60))).is_empty());
        assert!(run(&RULE, &changed(|resent| resent.by = SERVER)).is_empty());
    }
}
