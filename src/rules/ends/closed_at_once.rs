//! `closed-at-once`.

use super::close_code_meaning::evidence;
use super::support::{FROM_SERVER, spell, tunnel};
use crate::base::{Nanos, limits};
use crate::model::{Confidence, EndHow, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "closed-at-once",
    severity: Severity::Info,
    title: "the server closed the WebSocket as soon as it was open",
    about: "The server said 101 and then its Close within a second, with code 1000 or none, before the client had said \
        anything, and with one message of its own at the most. So applications refuse a client that their web server let \
        in: the message says why, where there is one (a Host or Origin that is not allowed, no session). To the client it \
        looks like a connection that does not last, and it comes back again and again.\n\nA server that has one thing to \
        say and nothing more does the same on purpose, so it is a note and no fault.",
    refs: &["RFC 6455 §7.1.5", "RFC 6455 §7.4.1"],
    causes: &[
        "the application does not accept this client, its path, Host, Origin or session, and says so in its message or log",
        "its handler returns at once: an exception, or nothing to do",
        "it had no more to say",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["hop-buffered", "hop-close-changed", "hop-first-frames-lost", "mass-end"],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let (Some(granted), Some(ws)) = (tunnel(x).filter(|_| by_server(x)), &x.ws) else { return };
    let Some(open) = x.end.at.map(|at| at.since(granted.last)) else { return };
    let said = ws.client.messages > 0 || ws.client.lost || ws.server.lost || x.quality.gap;
    if said || ws.server.messages > 1 || open > Nanos::from_millis(limits::AT_ONCE_MS) {
        return;
    }
    let message = if ws.server.messages == 1 { " and one message" } else { "" };
    let found = out
        .add(Text::own(format!(
            "The server closed the WebSocket {} after its 101{message}, before the client had said anything.",
            spell(open.max(Nanos::ZERO))
        )))
        .confidence(Confidence::Possible)
        .expected(Text::own("a connection that lasts"))
        .found(Text::own("a Close at once"));
    if let Some(evidence) = evidence(x, FROM_SERVER) {
        found.evidence(evidence);
    }
}

/// Whether the server's Close came first, and says no reason.
fn by_server(x: &Exchange) -> bool {
    let first = x.end.how == EndHow::CloseFrame && x.end.by == Some(FROM_SERVER);
    let code = x.end.close.as_ref().and_then(|close| close.code);
    first && matches!(code, None | Some(1000 | 1005))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    /// Closed so long after its 101, when client and server had said so many messages.
    fn closed(code: u16, ms: i64, said: [u32; 2]) -> Exchange {
        let mut x = goodbye(code);
        x.end.at = x.response.as_ref().map(|r| r.last + Nanos::from_millis(ms));
        x.ws.iter_mut().for_each(|ws| (ws.client.messages, ws.server.messages) = (said[0], said[1]));
        x
    }

    #[test]
    fn a_close_right_behind_the_101_is_told() {
        let told = |x: &Exchange| run(&RULE, x).first().map(|f| words(&f.message)).unwrap_or_default();
        let message = told(&closed(1000, 3, [0, 1]));
        assert_eq!(
            message,
            "The server closed the WebSocket 3 ms after its 101 and one message, before the client had said anything."
        );
        assert!(told(&closed(1000, 900, [0, 0])).contains("900 ms after its 101, before"));
    }

    #[test]
    fn a_talk_a_later_close_and_one_that_says_why_are_not() {
        assert!(!fires(&RULE, &closed(1000, 3, [1, 1])) && !fires(&RULE, &closed(1000, 3, [0, 2])));
        assert!(!fires(&RULE, &closed(1000, 1_500, [0, 0])) && !fires(&RULE, &closed(1008, 3, [0, 0])));
    }
}
