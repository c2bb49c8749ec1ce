//! `h2-goaway`.

use super::support::{connect, name};
use crate::model::{Evidence, Exchange, Severity, StreamEnd, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-goaway",
    severity: Severity::Info,
    title: "a GOAWAY ended the connection that WebSockets were on",
    about: "GOAWAY takes no new streams and lets those up to its last stream id go on; those above were not looked at. \
        Whoever then closes the connection ends all WebSockets on it at once. Proxies do this when they are reloaded, \
        and after a number of requests or a time; a WebSocket of hours meets each of these.",
    refs: &["RFC 9113 §6.8"],
    causes: &[
        "the proxy was reloaded or restarted",
        "a limit of requests or of time for one connection (keep-alive limits, max connection age)",
        "a fault of the peer, which the error code names",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(stream) = connect(x) else { return };
    let (by, text) = match stream.end {
        Some(StreamEnd::GoAway(by)) => (by, "and did not look at this stream"),
        Some(StreamEnd::Closed { goaway: Some(by) }) => (by, "and the connection was closed under this stream"),
        _ => return,
    };
    let found = out
        .add(Text::own(format!("The {} sent GOAWAY, {text}.", name(by))))
        .expected(Text::own("the stream ends before its connection"))
        .found(Text::own("GOAWAY"));
    if let Some(at) = x.end.packet {
        found.evidence(Evidence { at, direction: None, bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::FROM_SERVER;
    use super::super::testing::*;
    use super::*;

    #[test]
    fn what_a_goaway_ended_is_noted() {
        let ended = |end| granted().with(|x| facts(x).end = Some(end));
        assert!(fires(&RULE, &ended(StreamEnd::GoAway(FROM_SERVER))));
        assert!(fires(&RULE, &ended(StreamEnd::Closed { goaway: Some(FROM_SERVER) })));
        assert!(!fires(&RULE, &ended(StreamEnd::Closed { goaway: None })) && !fires(&RULE, &ended(StreamEnd::Ended)));
    }
}
