//! `app-refused`.

use crate::model::{Beat, Direction, Evidence, Exchange, Finding, Severity, Text};
use crate::products::{SaysNo, said};
use crate::rules::frames::support::talk;
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::websocket;

pub(super) static RULE: Rule = Rule {
    id: "app-refused",
    severity: Severity::Warning,
    title: "what runs over the WebSocket refused its client",
    about: "The upgrade worked, and network and proxies are fine. But one of the server's first messages refuses the client \
        in the protocol that runs above WebSocket: a token that is not accepted, a session or channel that is not there, a \
        handshake of that protocol that is wrong. Often the server closes behind it, with whatever code.\n\nOnly messages \
        that are known are told (src/products/refusals.toml), among the first of each server.",
    refs: &["RFC 6455 §1.3", "RFC 6455 §1.9"],
    causes: &[
        "a token, password or session that is missing, wrong or has run out",
        "the client asks for something that the server does not have, or does not let it have",
        "client and server speak different versions of the protocol above WebSocket",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((refusal, says)) = found(x) else { return };
    let who = if says.of_server { "" } else { "The client was refused over the WebSocket: " };
    let the = if says.of_server { "The" } else { "the" };
    let text = Text::own(format!("{who}{the} server {} ({}): ", says.means, says.protocol));
    let found = out
        .add(text.bytes(&refusal.content).say("."))
        .expected(Text::own("a client that is let in"))
        .found(Text::new().bytes(&refusal.content))
        .evidence(Evidence { at: refusal.at, direction: Some(Direction::ServerToClient), bytes: None });
    if says.of_server {
        found.cause(SETTING);
    }
}

const SETTING: &str = "a setting of the server, about which the client can do nothing";

/// Whether it is for the client to ask for something else, or with other credentials.
pub(super) fn is_askers_fault(finding: &Finding) -> bool {
    finding.rule == RULE.id && !finding.causes.iter().any(|cause| cause == SETTING)
}

fn found(x: &Exchange) -> Option<(&Beat, &'static SaysNo)> {
    let agreed = x.response.as_ref().and_then(|head| head.first_value("sec-websocket-protocol"));
    let said = talk(x)?.of(Direction::ServerToClient).beats().iter();
    said.filter_map(|beat| Some((beat, said::refusal(beat.opcode == websocket::TEXT, &beat.content, agreed)?))).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::Period;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    fn told(opcode: u8, begins: &[u8]) -> Option<(String, bool)> {
        let mut x = talked();
        let beat = Beat { opcode, content: begins.into(), period: Period::default(), at: PacketRef::new(0, 41) };
        rare(&mut x, SERVER).beats.push(beat);
        super::super::testing::found(&RULE, &x).first().map(|f| (words(&f.message), is_askers_fault(f)))
    }

    #[test]
    fn a_known_refusal_is_told_with_its_protocol_and_its_words() {
        let (said, by_client) = told(1, b"44{\"message\":\"jwt expired\"}").unwrap_or_default();
        assert!(said.starts_with("The client was refused over the WebSocket: the server refuses the client's CONNECT"));
        assert!(said.ends_with("(Socket.IO): 44{\"message\":\"jwt expired\"}.") && by_client, "{said}");
        let (said, by_client) = told(1, br#"{"type":"error","data":"Invalid Host/Origin header"}"#).unwrap_or_default();
        assert!(said.contains("allowedHosts") && !by_client, "{said}");
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        assert_eq!(told(1, br#"{"error_count":0}"#), None);
        assert_eq!(told(1, b"ERRORS: none"), None);
    }
}
