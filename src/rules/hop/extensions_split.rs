//! Compressed messages are relayed to a leg that never agreed on compression.

use crate::model::{Direction, Evidence, Exchange, FaultClass, FrameFault, FrameFaultKind, Head, Severity, Text};
use crate::rules::hop::answer::{ANSWER, both_granted, passes_on, sentence};
use crate::rules::hop::extensions::compresses;
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-extensions-split",
    severity: Severity::Error,
    title: "a hop relays compressed messages to a leg without compression",
    about: "permessage-deflate is in force on one side of the hop only, and frames with RSV1, which marks a \
        compressed message, appear on both. The side that did not agree to it must fail the connection at the first \
        of them, usually with Close 1002.\n\nA hop that recodes the messages may have other extensions on each \
        side; then no such frame appears where none was agreed on.",
    refs: &["RFC 7692 §5", "RFC 7692 §6", "RFC 6455 §5.2", "RFC 6455 §9.1"],
    causes: &[
        "the proxy removes Sec-WebSocket-Extensions from the 101 only, or from the request only",
        "the proxy offers compression to the backend by itself and relays the frames as they are",
    ],
    fix: Some(FaultClass::Comp),
    explains: &[Explains::Broken, Explains::Ended],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some((far, near)) = both_granted(view).filter(|_| passes_on(view)) else { return };
    let (side, without) = match (in_force(view.far.x, far), in_force(view.near.x, near)) {
        (true, false) => ("towards its client", view.near.x),
        (false, true) => ("towards its backend", view.far.x),
        _ => return,
    };
    let marked = [view.near.x, view.far.x].iter().all(|x| x.ws.is_some_and(|ws| ws.compressed));
    let fault = first_marked(without);
    if !marked && fault.is_none() {
        return;
    }
    let split = out
        .add(sentence(view, Text::own(format!("relays compressed frames {side}, where no compression was agreed on"))))
        .expected(Text::own("the same compression on both sides, or frames that are recoded"))
        .found(Text::own("RSV1 on the leg without permessage-deflate"))
        .field(far, "sec-websocket-extensions", ANSWER)
        .field(near, "sec-websocket-extensions", ANSWER);
    if let Some((fault, direction)) = fault {
        let bytes = fault.offset..fault.offset.saturating_add(u64::from(fault.length));
        split.evidence(Evidence { at: fault.at, direction: Some(direction), bytes: Some(bytes) });
    }
}

/// Whether messages may be compressed on this leg.
fn in_force(x: &Exchange, head: &Head) -> bool {
    x.talk.as_ref().is_some_and(|talk| talk.deflate.is_some()) || compresses(head)
}

/// The first frame that is marked as compressed on a leg that did not agree on it.
fn first_marked(x: &Exchange) -> Option<(&FrameFault, Direction)> {
    let talk = x.talk.as_deref()?;
    let of = |from| talk.of(from).fault(FrameFaultKind::Rsv1WithoutExtension).map(|fault| (fault, from));
    let both = [of(Direction::ClientToServer), of(Direction::ServerToClient)];
    both.into_iter().flatten().min_by_key(|(fault, _)| fault.ts)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{Finding, Rare, Talk, WsTotals};
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of};

    pub(in crate::rules::hop) const DEFLATE: &str = "permessage-deflate; client_max_window_bits=12";

    /// A granted leg with these extensions and with or without compressed frames.
    pub(in crate::rules::hop) fn leg(extensions: &str, compressed: bool) -> Exchange {
        let lines = format!("\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n");
        let answer = if extensions.is_empty() { granted() } else { granted().replace("\r\n\r\n", &lines) };
        exchange(GOOD, Some(&answer)).with(|x| x.ws = Some(WsTotals { compressed, ..WsTotals::default() }))
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn compressed_frames_on_the_leg_that_did_not_agree_are_found() {
        assert_eq!(found(leg("", true), leg(DEFLATE, true)).len(), 1);
        assert_eq!(found(leg(DEFLATE, true), leg("", true)).len(), 1);
    }

    #[test]
    fn compression_on_both_or_none_and_recoded_frames_are_right() {
        assert!(found(leg(DEFLATE, true), leg(DEFLATE, true)).is_empty());
        assert!(found(leg("", false), leg(DEFLATE, true)).is_empty(), "recoded");
        assert!(found(leg("", false), leg(DEFLATE, false)).is_empty(), "not used");
        assert!(found(leg("", true), leg("", true)).is_empty(), "the backend's own fault");
    }

    #[test]
    fn the_frame_that_breaks_the_agreement_is_evidence() {
        let fault = FrameFault {
            kind: FrameFaultKind::Rsv1WithoutExtension,
            at: PacketRef::new(0, 12),
            ts: Timestamp::default(),
            offset: 300,
            length: 2,
            detail: 0,
            count: 1,
        };
        let near = leg("", false).with(|x| {
            let mut talk = Talk::default();
            talk.server.rare = Some(Box::new(Rare { faults: vec![fault], ..Rare::default() }));
            x.talk = Some(Box::new(talk));
        });
        let found = found(near, leg(DEFLATE, true));
        assert!(found[0].evidence.iter().any(|e| e.at == fault.at && e.bytes == Some(300..302)));
    }
}
