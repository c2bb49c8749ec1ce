//! The capture began after the connection.

use crate::model::{Direction, Evidence, Exchange, FlowFacts, Severity, Text, WsCounts};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "cap-midstream",
    severity: Severity::Info,
    title: "the capture began after this connection was opened",
    about: "No SYN was seen. Which end is the client is inferred from who sends requests, round-trip times \
        are unknown, and what was said before the capture began is not there.\n\nA WebSocket of which only frames are \
        in view is recognised by them: at least three that follow each other without a fault, whatever the port. \
        Whether its handshake was right, and which extensions it agreed on, cannot be told.",
    refs: &[],
    causes: &[
        "the capture was started while the connection was open",
        "the first file of a rotated capture is missing",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: None },
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if x.quality.midstream {
        out.add(Text::own("The capture began after this connection was opened; its beginning is not in view."))
            .head(&x.request, Direction::ClientToServer);
    }
}

fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some(ws) = flow.said.as_ref().and_then(|said| said.ws) else { return };
    let text = format!(
        "A WebSocket runs between {} and {} whose handshake is not in the capture; the client sent {}, the server {}.",
        flow.client,
        flow.server,
        frames(&ws.client),
        frames(&ws.server)
    );
    out.add(Text::own(text)).evidence(Evidence { at: flow.syn, direction: None, bytes: None });
}

fn frames(counts: &WsCounts) -> String {
    match counts.frames {
        1 => "1 frame".to_owned(),
        n => format!("{n} frames"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectState, Said, WsTotals};
    use crate::rules::testing::{GOOD, With as _, exchange, fires, flow, run_flow};

    #[test]
    fn a_websocket_without_its_handshake_is_told_with_its_frames() {
        let mut midstream = flow(ConnectState::Midstream, 0);
        assert!(run_flow(&RULE, &midstream).is_empty());
        let client = WsCounts { frames: 1, ..WsCounts::default() };
        let ws = Some(WsTotals { client, ..WsTotals::default() });
        midstream.said = Some(Box::new(Said { ws, ..Said::default() }));
        assert!(format!("{:?}", run_flow(&RULE, &midstream)).contains("the client sent 1 frame, the server 0 frames"));
    }

    #[test]
    fn a_connection_without_its_syn_is_told() {
        assert!(fires(&RULE, &exchange(GOOD, None).with(|x| x.quality.midstream = true)));
    }

    #[test]
    fn one_with_its_syn_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, None)));
    }
}
