//! `mtu-black-hole`.

use super::support::{name, spell};
use crate::base::Nanos;
use crate::model::{Confidence, Evidence, Exchange, Severity, Swallowed, Text, Transport, Undelivered};
use crate::rules::frames::against;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "mtu-black-hole",
    severity: Severity::Error,
    title: "large packets of one side never arrive, and small ones do",
    about: "A full segment of one side was sent again and again, and the other side, which goes on to send packets, never \
        acknowledged it. The handshake and small messages are small packets, so the upgrade works, and the first large \
        message is the end: what a link with a smaller MTU does whose ICMP \"fragmentation needed\" (\"packet too big\") \
        is filtered. VPNs, overlay networks of containers, PPPoE and tunnels of clouds are such links.\n\nTo see it: \
        ping -M do -s 1472 to the other side, and smaller until it answers. To mend it: let ICMP type 3 code 4 (ICMPv6 \
        type 2) pass; or lower the MTU of the interface to the path's; or let the router clamp the MSS (iptables -t mangle \
        -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu); or, on the sender, \
        net.ipv4.tcp_mtu_probing=1.",
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

/// Bytes of payload from which a segment is large: less fits through any link that is usual.
const LARGE: u32 = 1_000;

/// So often must it be sent again in vain, and for so long.
const TIMES: u32 = 4;
const IN_VAIN: Nanos = Nanos::from_secs(1);

/// So long bytes must be missing that never come: senders begin to send again after a second at the latest.
const NEVER_CAME: Nanos = Nanos::from_secs(3);

/// Whether this leg shows it by itself.
pub(super) fn is_seen(x: &Exchange) -> bool {
    sent_in_vain(x).is_some() || never_came(x).is_some()
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
            name(against(lost.by)),
        );
        let found = format!("no packet of {} bytes arrives", lost.smallest);
        tell(text, found, Evidence { at: lost.at, direction: Some(lost.by), bytes: None }, out);
    } else if let Some(lost) = never_came(x) {
        let text = format!(
            "{} bytes of the {} never came as far as here, and what it sent behind them did: for {} the {} acknowledged \
             only what came before them.",
            lost.bytes,
            name(lost.by),
            spell(lost.last.since(lost.first)),
            name(against(lost.by)),
        );
        let found = format!("{} bytes that were never delivered", lost.bytes);
        tell(text, found, Evidence { at: lost.at, direction: Some(lost.by), bytes: None }, out);
    }
}

fn tell(text: String, found: String, evidence: Evidence, out: &mut Findings<'_>) {
    out.add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("large packets arrive as small ones do"))
        .found(Text::own(found))
        .evidence(evidence);
}

/// Captured before the place where they are lost.
fn sent_in_vain(x: &Exchange) -> Option<Swallowed> {
    let swallowed = transport(x)?.swallowed?;
    let in_vain = swallowed.times >= TIMES && swallowed.last.since(swallowed.first) >= IN_VAIN;
    (in_vain && swallowed.signs > 0 && swallowed.smallest >= LARGE).then_some(swallowed)
}

/// Captured behind it.
fn never_came(x: &Exchange) -> Option<Undelivered> {
    let lost = transport(x)?.undelivered?;
    (lost.bytes >= u64::from(LARGE) && lost.last.since(lost.first) >= NEVER_CAME).then_some(lost)
}

fn transport(x: &Exchange) -> Option<&Transport> {
    x.talk.as_ref()?.transport.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::Direction;
    use crate::rules::ends::testing::*;
    use crate::rules::testing::With as _;

    fn swallowed(times: u32, smallest: u32, signs: u32) -> Exchange {
        open().with(|x| {
            let (first, last) = (at(10), at(3_010));
            let by = Direction::ServerToClient;
            let swallowed = Swallowed { by, times, smallest, signs, at: PacketRef::new(0, 30), first, last };
            let transport = Transport { swallowed: Some(swallowed), ..Transport::default() };
            x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
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
                let undelivered = Some(Undelivered { by, bytes, at: PacketRef::new(0, 30), first, last });
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
    }
}
