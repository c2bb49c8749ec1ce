//! Only one direction is in the capture.

use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-one-sided",
    severity: Severity::Warning,
    title: "only one direction of this connection is in the capture",
    about: "No packet of one side was seen, so an answer that is missing here may well have been sent. \
        Capture where both directions pass, or give the file of the other direction as well.",
    refs: &[],
    causes: &[
        "the two directions take different paths",
        "a mirror port that copies one direction",
        "a capture filter on one direction",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let side = match (x.quality.no_client_packets, x.quality.no_server_packets) {
        (true, _) => "client",
        (false, true) => "server",
        (false, false) => return,
    };
    let finding =
        out.add(Text::own(format!("No packet of the {side} is in the capture, so half of the story is missing.")));
    match &x.response {
        Some(response) if side == "client" => finding.head(response, Direction::ServerToClient),
        _ => finding.head(&x.request, Direction::ClientToServer),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, With as _, exchange, fires, run, words};

    #[test]
    fn a_missing_direction_is_told() {
        let found = run(&RULE, &exchange(GOOD, None).with(|x| x.quality.no_server_packets = true));
        assert!(words(&found[0].message).contains("server"));
    }

    #[test]
    fn an_unanswered_request_alone_is_not_one_sided() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
