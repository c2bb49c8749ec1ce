//! `mtu-black-hole`.

use super::support::{name, spell};
use crate::base::Nanos;
use crate::model::{
    Confidence, Direction, Evidence, Exchange, IcmpWhy, Rejected, Severity, Swallowed, Text, Transport, Undelivered,
};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "mtu-black-hole",
    severity: Severity::Error,
    title: "large packets of one side never arrive, and small ones do",
    about: "A full segment of one side was sent again and again, and the other side, which goes on to send packets, never \
        acknowledged it. The handshake and small messages are small packets, so the upgrade works, and the first large \
        message is the end: what a link with a smaller MTU does whose ICMP \"fragmentation needed\" (\"packet too big\") \
        is filtered. VPNs, overlay networks of containers, PPPoE and tunnels of clouds are such links.\n\nTo see it: \
        ping -M do -s 1472 (over IPv6 1452) to the other side, and smaller until it answers. To mend it: let ICMP type 3 code 4 (ICMPv6 \
        type 2) pass; or lower the MTU of the interface to the path's; or let the router clamp the MSS (iptables -t mangle \
        -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu); or, on the sender, \
        net.ipv4.tcp_mtu_probing=1.\n\nA request that is itself too large is told by request-lost, a TLS handshake by tls-handshake-failed; records and \
        frames of connections in TLS or HTTP/2 are not told so.",
    refs: &["RFC 2923 §2.1", "RFC 4821", "RFC 1191"],
    causes: &[
        "a link on the path has a smaller MTU, and no ICMP says so: a VPN, an overlay network, PPPoE",
        "the ICMP messages that say so are dropped by a firewall, on the way or on the sender itself",
        "a filter on the path drops what these packets hold",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["lost-between", "rst-injected"],
    check: Check::Exchange(check),
};

const UNHEEDED: &str = "the sender's host does not take the ICMP message: its firewall drops it, path MTU discovery is \
    ignored, or an address translation does not hand it on";

/// Bytes of the headers of IPv4 and TCP.
const HEADERS: u32 = 40;

/// Bytes of payload from which a segment is large: less fits through any link that is usual.
pub(super) const LARGE: u32 = 1_000;

/// So often must it be sent again in vain, and for so long.
const TIMES: u32 = 4;
const IN_VAIN: Nanos = Nanos::from_secs(1);

/// So long bytes must be missing that never come: several time-outs of most senders.
const NEVER_CAME: Nanos = Nanos::from_secs(3);

/// Behind so many bytes large packets have got through, unless all messages were small.
const MANY: u64 = 64 << 10;

/// Whether this leg shows by itself that what this side sends is lost so.
pub(super) fn is_seen(x: &Exchange, by: Direction) -> bool {
    sent_in_vain(x).is_some_and(|lost| lost.by == by) || never_came(x).is_some_and(|lost| lost.by == by)
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if let Some(lost) = sent_in_vain(x) {
        let text = format!(
            "A packet of the {} with {} bytes was sent again {} times in {} and never arrived: the {} sent packets \
             meanwhile, and acknowledged only what came before it.",
            name(lost.by),
            lost.smallest,
            lost.times,
            spell(lost.last.since(lost.first)),
            name(lost.by.other()),
        );
        let told = transport(x).and_then(|transport| transport.rejected);
        let told =
            told.filter(|told| told.of == lost.by && told.last >= lost.first && is_too_big(told.why, lost.smallest));
        if let Some(Rejected { by, why, at, times, .. }) = told {
            let often = if times == 1 { "once".to_owned() } else { format!("{times} times") };
            let said = format!("{text} {by} said so {often}: ICMP {}.", why.name());
            out.add(Text::own(said))
                .confidence(Confidence::Certain)
                .expected(Text::own("the sender makes its packets smaller"))
                .found(Text::own(format!("ICMP {}, which it does not heed", why.name())))
                .cause(UNHEEDED)
                .evidence(Evidence { at: lost.at, direction: Some(lost.by), bytes: None })
                .evidence(Evidence { at, direction: Some(lost.by), bytes: None });
            return;
        }
        let found = format!("no packet of {} bytes arrives", lost.smallest);
        let evidence = Evidence { at: lost.at, direction: Some(lost.by), bytes: None };
        tell(text, found, lost.before < MANY, evidence, out);
    } else if let Some(lost) = never_came(x) {
        let text = format!(
            "{} bytes of the {} never came as far as here, and what it sent behind them did: for {} the {} acknowledged \
             only what came before them.",
            lost.bytes,
            name(lost.by),
            spell(lost.last.since(lost.first)),
            name(lost.by.other()),
        );
        let found = format!("{} bytes that were never delivered", lost.bytes);
        tell(text, found, true, Evidence { at: lost.at, direction: Some(lost.by), bytes: None }, out);
    }
}

/// Whether it says that so many bytes of payload are too many for a link.
fn is_too_big(why: IcmpWhy, payload: u32) -> bool {
    matches!(why, IcmpWhy::TooBig(mtu) if payload.saturating_add(HEADERS) > mtu)
}

fn tell(text: String, found: String, sure: bool, evidence: Evidence, out: &mut Findings<'_>) {
    out.add(Text::own(text))
        .confidence(if sure { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own("large packets arrive as small ones do"))
        .found(Text::own(found))
        .evidence(evidence);
}

/// Captured before the place where they are lost.
fn sent_in_vain(x: &Exchange) -> Option<Swallowed> {
    let swallowed = unheard(x).filter(|swallowed| swallowed.signs > 0)?;
    // Small messages that are sent again together are large, and all of them are lost.
    let spoken = x.talk.as_ref()?.of(swallowed.by);
    let one = spoken.largest_text.max(spoken.largest_binary) >= LARGE;
    (one && swallowed.smallest >= LARGE).then_some(swallowed)
}

/// What was sent again often enough, for long enough, to a receiver that would take it.
pub(super) fn unheard(x: &Exchange) -> Option<Swallowed> {
    let swallowed = transport(x)?.swallowed?;
    let in_vain = swallowed.times >= TIMES && swallowed.last.since(swallowed.first) >= IN_VAIN;
    // A receiver that takes nothing drops what comes.
    let stall = transport(x)?.stall_of(swallowed.by);
    let taken = stall.is_none_or(|stall| !stall.lasts && stall.from + stall.length < swallowed.first);
    (in_vain && taken).then_some(swallowed)
}

/// Captured behind it.
fn never_came(x: &Exchange) -> Option<Undelivered> {
    let lost = transport(x)?.undelivered?;
    let large = lost.bytes >= u64::from(LARGE) && lost.largest < LARGE;
    (large && lost.last.since(lost.first) >= NEVER_CAME).then_some(lost)
}

fn transport(x: &Exchange) -> Option<&Transport> {
    x.talk.as_ref()?.transport.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::Stall;
    use crate::rules::ends::testing::*;
    use crate::rules::testing::With as _;

    fn swallowed(times: u32, smallest: u32, signs: u32) -> Exchange {
        open().with(|x| {
            let (first, last) = (at(10), at(3_010));
            let by = Direction::ServerToClient;
            let at = PacketRef::new(0, 30);
            let swallowed =
                Swallowed { by, times, smallest, before: 400, signs, between: signs, deaf: 0, at, first, last };
            let transport = Transport { swallowed: Some(swallowed), ..Transport::default() };
            x.talk.iter_mut().for_each(|talk| {
                talk.server.largest_text = 6_000;
                talk.transport = Some(Box::new(transport.clone()));
            });
        })
    }

    #[test]
    fn a_large_packet_that_a_living_side_never_acknowledges_is_told() {
        let all = run(&RULE, &swallowed(5, 1_448, 1));
        assert_eq!(
            words(&all[0].message),
            "A packet of the server with 1448 bytes was sent again 5 times in 3.0 s and never arrived: the client sent \
             packets meanwhile, and acknowledged only what came before it."
        );
    }

    #[test]
    fn what_never_came_to_the_receivers_side_is_told() {
        let lost = |bytes, seconds: i64| {
            open().with(|x| {
                let (first, last) = (at(10), at(10 + seconds * 1_000));
                let by = Direction::ClientToServer;
                let undelivered = Some(Undelivered { by, bytes, largest: 40, at: PacketRef::new(0, 30), first, last });
                let transport = Transport { undelivered, ..Transport::default() };
                x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
            })
        };
        assert_eq!(
            words(&run(&RULE, &lost(8_688, 9))[0].message),
            "8688 bytes of the client never came as far as here, and what it sent behind them did: for 9.0 s the server \
             acknowledged only what came before them."
        );
        assert!(!fires(&RULE, &lost(300, 9)) && !fires(&RULE, &lost(8_688, 2)));
    }

    #[test]
    fn a_small_one_a_short_time_and_a_side_that_is_gone_are_not() {
        assert!(!fires(&RULE, &swallowed(5, 300, 1)));
        assert!(!fires(&RULE, &swallowed(3, 1_448, 1)));
        assert!(!fires(&RULE, &swallowed(5, 1_448, 0)));
        let small = |x: &mut Exchange| x.talk.iter_mut().for_each(|talk| talk.server.largest_text = 200);
        assert!(!fires(&RULE, &swallowed(5, 1_448, 1).with(small)), "many that are sent again as one");
        let stuck = |x: &mut Exchange| {
            let stall = Stall { at: PacketRef::new(0, 9), from: at(9), length: Nanos::ZERO, times: 1, lasts: true };
            let transport = x.talk.as_mut().and_then(|talk| talk.transport.as_mut());
            transport.into_iter().for_each(|transport| transport.stalls[1] = Some(stall));
        };
        assert!(!fires(&RULE, &swallowed(5, 1_448, 1).with(stuck)), "its receiver takes nothing");
    }

    #[test]
    fn behind_much_that_arrived_it_is_less_sure() {
        let much = |x: &mut Exchange| {
            let transport = x.talk.as_mut().and_then(|talk| talk.transport.as_mut());
            transport.and_then(|t| t.swallowed.as_mut()).into_iter().for_each(|lost| lost.before = 1 << 20);
        };
        assert_eq!(run(&RULE, &swallowed(5, 1_448, 1))[0].confidence, Confidence::Likely);
        assert_eq!(run(&RULE, &swallowed(5, 1_448, 1).with(much))[0].confidence, Confidence::Possible);
    }
}
