//! `silent-drop`.

use super::support::{closed, name, spell, tunnel};
use crate::base::{Nanos, PacketRef};
use crate::model::{Confidence, Direction, EndHow, Evidence, Exchange, FaultClass, LimitKind, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "silent-drop",
    severity: Severity::Error,
    title: "a box on the path forgot the connection without a word",
    about: "After a long silence one side sent again, and nothing came back: it sent the same bytes again and again, or it \
        got an RST at once, and nobody had closed the connection before. A firewall, a load balancer or an address \
        translation between them had dropped the connection from its tables in the meantime.\n\nNeither side is at \
        fault, and neither learns of it before it sends. Keep the tunnel busy: a Ping more often than the shortest limit \
        on the path, or TCP keep-alives for boxes that look at packets alone.",
    refs: &["RFC 5382 §5", "RFC 6455 §5.5.2"],
    causes: &[
        "the idle limit of a firewall, load balancer or address translation on the path",
        "the host on the other side vanished",
    ],
    fix: Some(FaultClass::Idle),
    explains: &[Explains::Ended],
    symptom_of: &["lost-between", "mtu-black-hole"],
    check: Check::Exchange(check),
};

/// No box forgets sooner, of those that an RST alone tells of.
const LEAST: Nanos = Nanos::from_secs(30);

/// The same, where a client sent bytes again and again in vain for [`IN_VAIN`] at least: a limit may be as short as
/// somebody sets it. Whom a server cannot reach so soon rather left.
const LEAST_IN_VAIN: Nanos = Nanos::from_secs(2);
const IN_VAIN: Nanos = Nanos::from_secs(2);

/// So often must bytes be sent again in vain.
const TIMES: u32 = 3;

/// An RST so soon behind bytes is the answer to them.
const AT_ONCE: Nanos = Nanos::from_secs(1);

/// Boxes named.
const NAMED: usize = 3;

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let Some(talk) = x.talk.as_ref().filter(|_| tunnel(x).is_some() && !closed(x)) else { return };
    let resent = talk.transport.as_ref().and_then(|transport| transport.resent);
    let in_vain = resent.is_some_and(|resent| {
        let by_client = resent.by == Direction::ClientToServer;
        by_client && resent.times >= TIMES && resent.last.since(resent.first) >= IN_VAIN
    });
    let least = if in_vain { LEAST_IN_VAIN } else { LEAST };
    let Some(quiet) = talk.before_last.map(|silence| silence.length).filter(|quiet| *quiet >= least) else { return };
    let Some((by, at, came)) = unanswered(x) else { return };
    let mut boxes: Vec<String> = Vec::new();
    let mut known: Vec<_> = seen.limits.iter().filter(|l| l.kind == LimitKind::Idle && l.length <= quiet).collect();
    known.sort_by_key(|limit| (limit.guess, std::cmp::Reverse(limit.length)));
    for limit in known {
        let words = format!("{} after {}", limit.product, spell(limit.length));
        if boxes.len() < NAMED && !boxes.iter().any(|name| name.starts_with(&*limit.product)) {
            boxes.push(words);
        }
    }
    let candidates = if boxes.is_empty() { String::new() } else { format!(" Known to do so: {}.", boxes.join(", ")) };
    let text = format!(
        "After {} of silence the {} sent again, and {came}, though nobody had closed the connection: a box between them \
         forgot it.{candidates}",
        spell(quiet),
        name(by),
    );
    out.add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("an acknowledgement"))
        .found(Text::own(came))
        .evidence(Evidence { at, direction: Some(by), bytes: None });
}

/// Who sent into the void, where, and what came of it.
fn unanswered(x: &Exchange) -> Option<(Direction, PacketRef, String)> {
    let talk = x.talk.as_ref()?;
    let resent = talk.transport.as_ref().and_then(|transport| transport.resent);
    if let Some(resent) = resent.filter(|resent| resent.times >= TIMES) {
        // Both directions must be in view, or the answers may have gone another way.
        let seen = !x.quality.no_client_packets && !x.quality.no_server_packets;
        let open = x.end.tcp_at.is_none_or(|end| end >= resent.first);
        let came = format!("sent the same bytes {} times more without an answer", resent.times);
        return (seen && open).then_some((resent.by, resent.at, came));
    }
    let reset = x.end.tcp_how == EndHow::Rst && x.end.idle_before.is_some_and(|idle| idle <= AT_ONCE);
    let by = x.end.tcp_by.filter(|_| reset)?;
    let sender = by.other();
    let last = |side| talk.of(side).last.map(|last| (last.ts, last.at));
    // The RST answers the other side's bytes, not its own sender's.
    let (sent, own) = (last(sender)?, last(by));
    own.is_none_or(|own| own.0 < sent.0).then(|| (sender, sent.1, "got an RST at once".to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::{LastFrame, Resent, Silence, Transport};
    use crate::rules::ends::testing::*;

    fn quiet(mut x: Exchange, s: i64) -> Exchange {
        x.talk.iter_mut().for_each(|talk| {
            talk.before_last = Some(Silence { from: at(12), length: Nanos::from_secs(s) });
            talk.client.last = Some(LastFrame { ts: at(s * 1_000 + 12), at: PacketRef::new(0, 20), bits: 0x81 });
        });
        x
    }

    fn resent(times: u32) -> Exchange {
        let mut x = open();
        let resent = Resent { by: CLIENT, times, at: PacketRef::new(0, 20), first: at(300_012), last: at(310_000) };
        let transport = Transport { resent: Some(resent), ..Transport::default() };
        x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
        x
    }

    fn said(x: &Exchange) -> Option<String> {
        crate::rules::testing::run_seen(&RULE, x, &known()).first().map(|f| words(&f.message))
    }

    #[test]
    fn bytes_sent_again_and_again_after_a_long_silence_are_found_with_who_may_have_dropped_them() {
        let said = said(&quiet(resent(4), 300)).unwrap();
        assert!(
            said.starts_with("After 5 min of silence the client sent again, and sent the same bytes 4 times more"),
            "{said}"
        );
        assert!(said.contains("Known to do so: other after 5 min, acme after 60 s."), "{said}");
    }

    #[test]
    fn an_rst_in_answer_to_the_first_bytes_after_it_is_found() {
        let mut x = quiet(cut(SERVER, EndHow::Rst, 300_050), 300);
        x.end.idle_before = Some(Nanos::from_millis(38));
        assert!(said(&x).unwrap().contains("got an RST at once"));
        x.end.tcp_by = Some(CLIENT);
        assert!(said(&x).is_none(), "its own bytes are no question");
    }

    #[test]
    fn losses_short_silences_and_ends_that_were_told_are_not() {
        assert!(said(&quiet(resent(2), 300)).is_none() && said(&quiet(resent(4), 1)).is_none());
        assert!(said(&quiet(resent(4), 10)).is_some(), "a client's bytes, in vain for ten seconds");
        assert!(said(&quiet(cut(SERVER, EndHow::Fin, 300_050), 300)).is_none());
        let mut closed = quiet(resent(4), 300);
        closed.ws.iter_mut().for_each(|ws| ws.client.close = 1);
        assert!(said(&closed).is_none());
        let mut one_way = quiet(resent(4), 300);
        one_way.quality.no_server_packets = true;
        assert!(said(&one_way).is_none());
    }
}
