//! `accept-mismatch-tolerated`.

use crate::model::{AcceptVerdict, Direction, Exchange, FaultClass, Handshake, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-mismatch-tolerated",
    severity: Severity::Warning,
    title: "the client carries on in spite of a wrong Sec-WebSocket-Accept",
    about: "The accept does not fit the key, and the client sends frames all the same. Either it never checks, or \
            both ends share the same mistake. So this pair works and every standard client, such as a browser, fails \
            with the same server.",
    refs: &["RFC 6455 §4.1"],
    causes: &[
        "client and server share the same wrong GUID or the same faulty code",
        "the client does not check Sec-WebSocket-Accept",
    ],
    fix: Some(FaultClass::Accept),
    explains: &[],
    symptom_of: &[],
    check: Check::Handshake(check),
};

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let wrong = matches!(handshake.accept_verdict, AcceptVerdict::Invalid | AcceptVerdict::Missing);
    let (true, Some(response), Some(frames)) = (wrong, &x.response, x.ws.map(|ws| ws.client.frames)) else { return };
    if frames == 0 {
        return;
    }
    let count = if frames == 1 { "a frame".to_owned() } else { format!("{frames} frames") };
    let message =
        format!("The client sent {count} in spite of the wrong accept; this server fails with every standard browser.");
    let mut finding = out
        .add(Text::own(message))
        .field(response, "sec-websocket-accept", Direction::ServerToClient)
        .expected(Text::own("the client fails the connection"))
        .found(Text::own(format!("{count} from the client")));
    if handshake.accept_kind() == Some("guid-wrong") {
        finding = finding.cause("client and server share the same wrong GUID");
    }
    if let [Some(first), _] = &x.after_101 {
        finding.evidence(crate::model::Evidence {
            at: first.at,
            direction: Some(Direction::ClientToServer),
            bytes: Some(first.offset..first.offset.saturating_add(first.bytes.len() as u64)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, find};

    #[test]
    fn frames_behind_a_wrong_accept_are_found() {
        assert_eq!(find(&super::RULE, Answer::accepts(&["wrong"]).client_frames(3)).len(), 1);
        assert_eq!(find(&super::RULE, Answer::without_accept().client_frames(1)).len(), 1);
    }

    #[test]
    fn no_frames_or_a_right_accept_are_no_finding() {
        assert!(find(&super::RULE, Answer::accepts(&["wrong"]).client_frames(0)).is_empty());
        assert!(find(&super::RULE, Answer::accepts(&["wrong"])).is_empty());
        assert!(find(&super::RULE, Answer::right().client_frames(3)).is_empty());
    }
}
