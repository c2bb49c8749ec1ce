//! `close-unanswered`.

use super::close_code_meaning::evidence;
use super::support::{FROM_CLIENT, FROM_SERVER, name, sent_close, spell, tunnel};
use crate::base::Nanos;
use crate::model::{EndHow, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "close-unanswered",
    severity: Severity::Warning,
    title: "a Close frame was not answered",
    about: "One side sent a Close frame, and the other none: it ended the TCP connection instead, or did nothing for five \
        seconds, or for the two after which the sender gave up. An endpoint that gets a Close frame must send one back. Programs that wait for it hang until they give \
        up.\n\nWhere the sender itself ends the connection at once, as browsers do, there was no time for an answer.",
    refs: &["RFC 6455 §5.5.1", "RFC 6455 §7.1.1"],
    causes: &[
        "the program closes its socket instead of its WebSocket",
        "it hangs, or does not read any more",
        "a hop does not pass the Close frame on",
    ],
    fix: None,
    explains: &[],
    symptom_of: &["peer-silent"],
    check: Check::Exchange(check),
};

/// So long an answer may take.
const WAIT: Nanos = Nanos::from_secs(5);

/// The same, where whoever waits for it gives up: nobody ends the connection on purpose after a while but for want of it.
const GIVES_UP: Nanos = Nanos::from_secs(2);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let closes = (sent_close(x, FROM_CLIENT), sent_close(x, FROM_SERVER));
    let (by, other) = match closes {
        (true, false) => (FROM_CLIENT, FROM_SERVER),
        (false, true) => (FROM_SERVER, FROM_CLIENT),
        _ => return,
    };
    let Some(at) = x.end.at.filter(|_| tunnel(x).is_some() && x.end.how == EndHow::CloseFrame) else { return };
    // What was lost may have been the answer.
    if x.quality.gap || x.quality.no_client_packets || x.quality.no_server_packets {
        return;
    }
    let until = x.end.tcp_at.or(x.times.last).map_or(Nanos::ZERO, |end| end.since(at));
    let ended = x.end.tcp_by == Some(other);
    if !ended && until < if x.end.tcp_by == Some(by) { GIVES_UP } else { WAIT } {
        return;
    }
    let what = match (ended, x.end.tcp_how) {
        (true, EndHow::Rst) => format!("reset the connection {} later without one", spell(until)),
        (true, _) => format!("closed the connection {} later without one", spell(until)),
        (false, _) => format!("sent none for {}", spell(until)),
    };
    let found = out
        .add(Text::own(format!("The {} sent a Close frame, and the {} {what}.", name(by), name(other))))
        .expected(Text::own(format!("a Close frame of the {}", name(other))))
        .found(Text::own("none"));
    if let Some(evidence) = evidence(x, by) {
        found.evidence(evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    fn one_sided(ended_by: crate::model::Direction, ms: i64) -> Exchange {
        let mut x = goodbye(1000);
        x.ws.iter_mut().for_each(|ws| ws.client.close = 0);
        (x.end.tcp_by, x.end.tcp_at) = (Some(ended_by), Some(at(40 + ms)));
        x
    }

    #[test]
    fn an_end_instead_of_an_answer_is_found_and_a_long_wait_too() {
        let found = run(&RULE, &one_sided(CLIENT, 300));
        assert_eq!(
            words(&found[0].message),
            "The server sent a Close frame, and the client closed the connection 300 ms later without one."
        );
        for ms in [3_000, 6_000] {
            let message = words(&run(&RULE, &one_sided(SERVER, ms))[0].message);
            assert!(message.ends_with(&format!("the client sent none for {}.0 s.", ms / 1_000)));
        }
    }

    #[test]
    fn an_answer_a_sender_in_a_hurry_and_holes_are_not() {
        assert!(!fires(&RULE, &goodbye(1000)) && !fires(&RULE, &one_sided(SERVER, 300)));
        let mut holed = one_sided(CLIENT, 300);
        holed.quality.gap = true;
        assert!(!fires(&RULE, &holed));
    }
}
