//! `accept-repeated`.

use super::judge::expected;
use crate::model::{AcceptVerdict, Direction, Exchange, FaultClass, Handshake, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-repeated",
    severity: Severity::Error,
    title: "the 101 has several Sec-WebSocket-Accept values",
    about: "Sec-WebSocket-Accept may stand once in a 101. Two lines, or two values in one line, come from two layers \
            that both answer the handshake: a framework and the code on top of it, or a server and an intermediary.\n\n\
            Browsers fail the connection even where all values are equal and right; other clients take the first or \
            the last one.",
    refs: &["RFC 6455 §11.3.3", "RFC 6455 §4.1"],
    causes: &[
        "the application sets the field and its WebSocket library sets it too",
        "an intermediary that answers by itself also passes on the server's field",
    ],
    fix: Some(FaultClass::Accept),
    explains: &[Explains::Broken, Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Handshake(check),
};

const NAME: &str = "sec-websocket-accept";

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    if handshake.accept_verdict == AcceptVerdict::NotApplicable {
        return;
    }
    let Some(response) = &x.response else { return };
    if response.count(NAME) < 2 && response.count_members(NAME) < 2 {
        return;
    }
    let values = response.members(NAME);
    let right = expected(x);
    let right = right.as_deref().map(str::as_bytes);
    let judgement = if handshake.accept_verdict == AcceptVerdict::Unverifiable {
        ""
    } else if values.iter().all(|v| Some(v.as_slice()) == right) {
        ", all of them right"
    } else if values.first().is_some_and(|v| Some(v.as_slice()) == right) {
        ", the first of them right"
    } else if values.iter().any(|v| Some(v.as_slice()) == right) {
        ", one of them right, but not the first"
    } else {
        ", none of them right"
    };
    let mut found = Text::new();
    for (i, value) in values.iter().take(4).enumerate() {
        if i > 0 {
            found = found.say(", ");
        }
        found = found.field(b"Sec-WebSocket-Accept", value);
    }
    if values.len() > 4 {
        found = found.say(", …");
    }
    let how = match response.count(NAME) {
        1 => "several values of Sec-WebSocket-Accept in one line".to_owned(),
        n => format!("Sec-WebSocket-Accept {n} times"),
    };
    out.add(Text::own(format!("The 101 has {how}{judgement}; a browser fails the connection.")))
        .expected(Text::own("one line with one value"))
        .found(found)
        .field(response, NAME, Direction::ServerToClient);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, RIGHT, find};

    #[test]
    fn two_lines_are_found_and_judged() {
        let twice = find(&super::RULE, Answer::accepts(&[RIGHT, RIGHT]));
        assert_eq!(twice.len(), 1);
        assert_eq!(twice[0].evidence.len(), 2);
        let message = |found: &crate::model::Finding| format!("{:?}", found.message);
        assert!(message(&twice[0]).contains("all of them right"));
        assert!(message(&find(&super::RULE, Answer::accepts(&[RIGHT, "x"]))[0]).contains("the first of them right"));
        assert!(message(&find(&super::RULE, Answer::accepts(&["x", RIGHT]))[0]).contains("but not the first"));
        assert!(message(&find(&super::RULE, Answer::accepts(&["x", "y"]))[0]).contains("none"));
    }

    #[test]
    fn two_values_in_one_line_are_two() {
        assert_eq!(find(&super::RULE, Answer::accepts(&[&format!("{RIGHT}, {RIGHT}")])).len(), 1);
    }

    #[test]
    fn one_line_is_right() {
        assert!(find(&super::RULE, Answer::right()).is_empty());
    }
}
