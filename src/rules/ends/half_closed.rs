//! `end-half-closed`.

use super::support::{cut_by, last_packet, name, spell};
use super::without_close;
use crate::base::Nanos;
use crate::model::{Direction, EndHow, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "end-half-closed",
    severity: Severity::Warning,
    title: "one side closed its direction, and the other went on",
    about: "One side closed its direction of the TCP connection (FIN) without a Close frame, and the other side went on \
        sending frames, or left its direction open for more than five seconds. WebSocket has no half-closed state: what \
        is still sent is read by nobody, and the connection hangs until somebody gives up.",
    refs: &["RFC 6455 §7.1.1", "RFC 9293 §3.6"],
    causes: &[
        "the program that stayed does not read, so it does not see the end",
        "a relay passes each direction's end on by itself",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: without_close::CAUSES,
    check: Check::Exchange(check),
};

/// Longer than this a direction is not left open by chance.
const OPEN: Nanos = Nanos::from_secs(5);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((by, at)) = cut_by(x).filter(|_| x.end.tcp_how == EndHow::Fin).zip(x.end.tcp_at) else { return };
    let other = if by == Direction::ClientToServer { Direction::ServerToClient } else { Direction::ClientToServer };
    let later = |ts: crate::base::Timestamp| ts.since(at);
    let spoke = x.talk.as_ref().and_then(|talk| talk.of(other).last).map(|last| later(last.ts));
    // What was on its way when the FIN came is no going on.
    let on_its_way = x.times.rtt.map_or(ROUND_TRIP, |rtt| Nanos(rtt.0.saturating_mul(2)).max(ROUND_TRIP));
    let went_on = spoke.filter(|after| *after > on_its_way);
    let open = x.times.last.map(later).filter(|after| *after > OPEN);
    let what = match (went_on, open) {
        (Some(after), _) => format!("went on sending for {}", spell(after)),
        (None, Some(after)) => format!("left its own open for {}", spell(after)),
        (None, None) => return,
    };
    let text =
        format!("The {} closed its direction (FIN) without a Close frame, and the {} {what}.", name(by), name(other));
    let found =
        out.add(Text::own(text)).expected(Text::own("the end of both directions")).found(Text::own("the end of one"));
    if let Some(packet) = last_packet(x, by) {
        found.evidence(packet);
    }
}

/// The least time that a packet on its way is given.
const ROUND_TRIP: Nanos = Nanos::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::LastFrame;
    use crate::rules::ends::testing::*;

    fn spoke(x: &mut Exchange, ms: i64) {
        if let Some(talk) = &mut x.talk {
            talk.server.last = Some(LastFrame { ts: at(ms), at: PacketRef::new(0, 12), bits: 0x81 });
        }
    }

    #[test]
    fn frames_long_after_the_other_sides_fin_are_found() {
        let mut x = cut(CLIENT, EndHow::Fin, 3_000);
        spoke(&mut x, 4_200);
        let found = run(&RULE, &x);
        assert!(words(&found[0].message).ends_with("and the server went on sending for 1.2 s."));
    }

    #[test]
    fn a_direction_that_stays_open_is_found() {
        let mut x = cut(CLIENT, EndHow::Fin, 3_000);
        x.times.last = Some(at(9_000));
        assert!(words(&run(&RULE, &x)[0].message).ends_with("the server left its own open for 6.0 s."));
    }

    #[test]
    fn what_was_on_its_way_and_a_quick_answer_are_fine() {
        let mut x = cut(CLIENT, EndHow::Fin, 3_000);
        spoke(&mut x, 3_100);
        x.times.last = Some(at(3_200));
        assert!(!fires(&RULE, &x));
        assert!(!fires(&RULE, &cut(CLIENT, EndHow::Rst, 3_000)) && !fires(&RULE, &goodbye(1000)));
    }
}
