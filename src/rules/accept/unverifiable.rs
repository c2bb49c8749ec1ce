//! `accept-unverifiable`.

use super::judge::{request_whole, response_whole};
use crate::model::{AcceptVerdict, Direction, Exchange, Handshake, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-unverifiable",
    severity: Severity::Info,
    title: "Sec-WebSocket-Accept cannot be checked",
    about: "The accept can only be judged against the key of the same request. Where the capture does not hold the \
            whole request head, or the head has no key, or the response head is cut, hopscope says so instead of \
            guessing: the accept may well be right.",
    refs: &["RFC 6455 §4.1"],
    causes: &[
        "the capture began after the request, lost packets, or holds one direction only",
        "the packets were cut by the snap length (tcpdump -s 0 keeps them whole)",
        "the request has no Sec-WebSocket-Key",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Handshake(check),
};

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let (AcceptVerdict::Unverifiable, Some(response)) = (handshake.accept_verdict, &x.response) else { return };
    let why = if !request_whole(x) {
        "the capture does not hold its request head whole"
    } else if x.key().is_none() {
        "the request has no Sec-WebSocket-Key"
    } else if !response_whole(x) {
        "the capture does not hold its response head whole"
    } else {
        return;
    };
    let finding = out.add(Text::own(format!("The accept of this 101 cannot be checked: {why}."))).field(
        response,
        "sec-websocket-accept",
        Direction::ServerToClient,
    );
    if let Some(found) = handshake.accept(x) {
        finding.found(Text::new().field(b"Sec-WebSocket-Accept", found));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, find};

    fn message(answer: Answer) -> String {
        find(&super::RULE, answer).first().map(|f| format!("{:?}", f.message)).unwrap_or_default()
    }

    #[test]
    fn a_cut_request_makes_the_accept_unverifiable_not_wrong() {
        assert!(message(Answer::accepts(&["wrong"]).cut_request()).contains("request head"));
        assert!(message(Answer::right().cut_request()).contains("request head"));
    }

    #[test]
    fn a_request_without_a_key_is_told() {
        let request = "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        assert!(message(Answer::right().to(request)).contains("no Sec-WebSocket-Key"));
    }

    #[test]
    fn a_cut_response_is_told_unless_the_accept_is_right() {
        assert!(message(Answer::accepts(&["s3pPLM"]).cut_response()).contains("response head"));
        assert!(message(Answer::right().cut_response()).is_empty());
    }

    #[test]
    fn whole_heads_are_no_finding() {
        assert!(message(Answer::right()).is_empty());
        assert!(message(Answer::accepts(&["wrong"])).is_empty());
    }
}
