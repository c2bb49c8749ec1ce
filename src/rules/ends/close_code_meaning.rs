//! `close-code-meaning`.

use super::support::{FROM_CLIENT, name, tunnel};
use crate::model::{Confidence, Direction, EndHow, Evidence, Exchange, Severity, Text};
use crate::products::{SaysClose, said};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "close-code-meaning",
    severity: Severity::Warning,
    title: "the Close frame says why the WebSocket ended",
    about: "The first Close frame has another code than 1000, and so tells why its sender ended the WebSocket.\n\nA client \
        that says 1001 left the page, which is a note. What only one side can see (a message too big for it, data that it \
        does not take, a fault in the other's frames) is told by the code and, if there is one, the reason.",
    refs: &["RFC 6455 §7.4.1", "RFC 6455 §7.4.2"],
    causes: &["what the code says, as its sender sees it"],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[
        "app-refused",
        "end-by-policy",
        "close-code-invalid",
        "hop-buffered",
        "hop-extensions-request-changed",
        "hop-messages-differ",
        "mqtt-keep-alive",
        "peer-silent",
        "ping-unanswered",
        "receiver-stuck",
    ],
    check: Check::Exchange(check),
};

/// What codes mean (RFC 6455 §7.4.1 and IANA's registry), as the end of a sentence about their sender.
const MEANINGS: &[(u16, &str)] = &[
    (1001, "going away: it shuts down, or the page was left"),
    (1002, "the other side broke the protocol"),
    (1003, "it got data of a kind that it does not take"),
    (1007, "a message's data did not fit its type, such as text that is not UTF-8"),
    (1008, "the other side broke its policy"),
    (1009, "a message was too big for it"),
    (1010, "the server did not agree on an extension that it needs"),
    (1011, "something unexpected went wrong inside it"),
    (1012, "it restarts"),
    (1013, "it is overloaded: try again later"),
    (1014, "it is a gateway and got a bad answer from behind it"),
];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((by, code, reason)) = close(x).filter(|_| tunnel(x).is_some()) else { return };
    let meaning = match code {
        3000..=3999 => "a code that a library or framework registered",
        4000..=4999 => "a code of the application's own",
        _ => match MEANINGS.iter().find(|(known, _)| *known == code) {
            Some((_, meaning)) => meaning,
            // 1000 is as it should be, and others may not be sent at all.
            None => return,
        },
    };
    let left = by == FROM_CLIENT && code == 1001;
    let mut text = Text::own(format!("The {} closed the WebSocket with code {code}: {meaning}", name(by)));
    if !reason.is_empty() {
        text = text.say(" (its reason: ").bytes(reason).say(")");
    }
    let inferred = is_inferred(x, by);
    if inferred {
        text = text.say("; its Close itself was not captured, only the answer to it");
    }
    if let Some(largest) = largest(x, by).filter(|_| code == 1009) {
        text = text.say(format!("; the largest that the other side sent has {largest} bytes as on the wire"));
    }
    let mut found = out
        .add(text.say("."))
        .severity(if left { Severity::Info } else { Severity::Warning })
        .confidence(if inferred { Confidence::Likely } else { Confidence::Certain })
        .expected(Text::own("1000, or no end"))
        .found(Text::own(code.to_string()));
    for cause in meant(x, code, reason) {
        found = found.cause(cause);
    }
    if let Some(evidence) = evidence(x, by) {
        found.evidence(evidence);
    }
}

/// What the reason and the code of a Close frame are known to mean.
pub(super) fn meant(x: &Exchange, code: u16, reason: &[u8]) -> impl Iterator<Item = &'static str> {
    let by_words = said::words(&x.request, reason).map(|says| &*says.means);
    // What the subprotocol says of its own code is nearer than what the words of the reason may mean.
    let by_code = known(x, code);
    let (of_protocol, of_all) = match by_code {
        Some(says) if says.subprotocol.is_some() => (Some(&*says.means), None),
        says => (None, says.map(|says| &*says.means)),
    };
    [of_protocol, by_words, of_all].into_iter().flatten()
}

/// What is known of this code where that subprotocol was agreed on.
pub(super) fn known(x: &Exchange, code: u16) -> Option<&'static SaysClose> {
    said::close(code, x.response.as_ref().and_then(|head| head.first_value("sec-websocket-protocol")))
}

/// Whether whoever closed did so because the other side did what the agreed subprotocol forbids.
pub(in crate::rules) fn is_peers_fault(x: &Exchange) -> bool {
    close(x).and_then(|(_, code, _)| known(x, code)).is_some_and(|says| says.of_peer)
}

/// Bytes of the largest message of the other side. `None`: it sent none.
fn largest(x: &Exchange, by: Direction) -> Option<u32> {
    let talk = x.talk.as_ref()?;
    let spoken = talk.of(by.other());
    Some(spoken.largest_text.max(spoken.largest_binary)).filter(|bytes| *bytes > 0)
}

/// The first Close with a code: its sender, code and reason.
pub(super) fn close(x: &Exchange) -> Option<(Direction, u16, &[u8])> {
    let close = x.end.close.as_ref().filter(|_| x.end.how == EndHow::CloseFrame)?;
    Some((x.end.by?, close.code?, &close.reason))
}

/// Whether that this side closed first is only concluded from the answer to its Close.
pub(super) fn is_inferred(x: &Exchange, by: Direction) -> bool {
    let sent = |side| x.talk.as_ref().is_some_and(|talk| talk.of(side).close().is_some());
    !sent(by) && sent(by.other())
}

/// The Close frame of this side, or the packet that brought it; or the one that answers it.
pub(super) fn evidence(x: &Exchange, by: Direction) -> Option<Evidence> {
    let by = if is_inferred(x, by) { by.other() } else { by };
    let sent = x.talk.as_ref().and_then(|talk| talk.of(by).close());
    let bytes = sent.map(|sent| sent.offset..sent.offset.saturating_add(sent.length.into()));
    let at = sent.map(|sent| sent.at).or(x.end.packet)?;
    Some(Evidence { at, direction: Some(by), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    #[test]
    fn each_code_is_told_with_its_meaning_and_sender() {
        for (code, said) in [(1009, "too big"), (1012, "restarts"), (3008, "registered"), (4401, "application's own")] {
            let found = run(&RULE, &goodbye(code));
            let message = words(&found[0].message);
            assert!(message.starts_with(&format!("The server closed the WebSocket with code {code}: ")), "{message}");
            assert!(message.contains(said) && found[0].severity == Severity::Warning, "{message}");
        }
    }

    #[test]
    fn the_reason_is_told_as_captured_bytes() {
        let mut x = goodbye(1011);
        x.end.close.iter_mut().for_each(|close| close.reason = (*b"oops").into());
        assert!(words(&run(&RULE, &x)[0].message).ends_with("(its reason: oops)."));
    }

    #[test]
    fn what_a_code_means_in_its_subprotocol_and_what_a_reason_says_are_causes() {
        let cause = |x: &Exchange| run(&RULE, x)[0].causes.first().map(|cause| cause.to_string()).unwrap_or_default();
        let mut x = goodbye(4400);
        assert_eq!((cause(&x), is_peers_fault(&x)), (String::new(), false), "whose code is not known");
        x.response = crate::rules::testing::exchange(
            crate::rules::testing::GOOD,
            Some("HTTP/1.1 101 X\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"),
        )
        .response;
        assert!(cause(&x).contains("a message that this protocol does not know") && is_peers_fault(&x));
        let mut full = goodbye(1013);
        assert!(cause(&full).contains("no room"));
        full.end.close.iter_mut().for_each(|close| close.reason = (*b"Too many connections").into());
        assert!(cause(&full).contains("a limit on how many connections") && !is_peers_fault(&full));
    }

    #[test]
    fn a_client_that_leaves_is_noted_and_1000_says_nothing() {
        let mut left = goodbye(1001);
        assert_eq!(run(&RULE, &left)[0].severity, Severity::Warning, "a server that goes away cuts its clients off");
        left.end.by = Some(CLIENT);
        assert_eq!(run(&RULE, &left)[0].severity, Severity::Info);
        assert!(!fires(&RULE, &goodbye(1000)) && !fires(&RULE, &goodbye(1005)) && !fires(&RULE, &goodbye(999)));
        assert!(!fires(&RULE, &cut(SERVER, EndHow::Fin, 30)));
    }
}
