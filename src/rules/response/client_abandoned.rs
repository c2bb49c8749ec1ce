//! `client-abandoned`.

use super::support::{FROM_CLIENT, FROM_SERVER, client_left_at_once, length, websocket_101};
use crate::model::{EndHow, Evidence, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "client-abandoned",
    severity: Severity::Error,
    title: "the client left right after the 101",
    about: "The client closed the connection just behind the 101 without a frame: it rejected the answer. Where the \
        101 has a fault, that fault is the reason. Where it has none, look at what only the client knows: the \
        subprotocol it insists on, extensions, content security policy, certificate pinning, a time-out.\n\nAn \
        error for browsers. Command-line tools and probes leave like that on purpose, so for them it is a note.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §7.1.7"],
    causes: &[
        "the client requires a subprotocol or extension that the 101 does not grant",
        "a policy of the page forbids the connection",
        "the client's own time-out ran out, or the page was left",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[
        "accept-mismatch-tolerated",
        "accept-unverifiable",
        "hop-101-fabricated",
        "hop-101-swallowed",
        "hop-extensions-split",
        "hop-first-frames-lost",
        "hop-subprotocol-changed",
        "hop-tunnel-dead",
        "mtu-black-hole",
        "one-way-loss",
        "req-early-data",
        "res-101-framed",
        "res-line-format",
        "subprotocol-unanswered",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x).filter(|_| client_left_at_once(x)) else { return };
    let agent = x.request.first_value("user-agent").unwrap_or_default();
    let browser = x.from_browser() || agent.starts_with(b"Mozilla/");
    let how = if x.end.tcp_how == EndHow::Rst { "reset" } else { "closed" };
    let waited = x.end.tcp_at.map(|at| length(granted.last, at)).unwrap_or_default();
    let found = out
        .add(Text::own(format!("The client {how} the connection {waited} after the 101 without sending a frame.")))
        .severity(if browser { Severity::Error } else { Severity::Info })
        .expected(Text::own("WebSocket frames"))
        .found(Text::own("the end of the connection"))
        .start_line(granted, FROM_SERVER);
    if let Some(at) = x.end.packet {
        found.evidence(Evidence { at, direction: Some(FROM_CLIENT), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_client_that_leaves_at_once_is_found() {
        let browser = ask("Origin: http://ws.example\r\nUser-Agent: Mozilla/5.0\r\n");
        let x = ended(exchange(&browser, Some(GRANT)), FROM_CLIENT, EndHow::Fin, 15);
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Error);
        let curl = ask("User-Agent: curl/8.5\r\n");
        let x = ended(exchange(&curl, Some(GRANT)), FROM_CLIENT, EndHow::Rst, 15);
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Info);
    }

    #[test]
    fn a_client_that_spoke_or_stayed_or_was_cut_off_is_not() {
        let left = |by, ms| ended(exchange(ASK, Some(GRANT)), by, EndHow::Fin, ms);
        assert!(slugs(&RULE, &with_frames(left(FROM_CLIENT, 15), 1, 0)).is_empty());
        assert!(slugs(&RULE, &left(FROM_CLIENT, 60_000)).is_empty());
        assert!(slugs(&RULE, &left(FROM_SERVER, 15)).is_empty());
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
    }
}
