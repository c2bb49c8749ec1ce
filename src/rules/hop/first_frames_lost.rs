//! The first messages of a WebSocket entered the hop and did not leave it, later ones did.

use crate::model::{Confidence, Direction, Evidence, Exchange, Severity, Text, WsCounts};
use crate::rules::hop::answer::{capital, granted};
use crate::rules::hop::said::{Way, ways};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};
use crate::wire::websocket::{self, BINARY, Header, TEXT};

pub(super) static RULE: Rule = Rule {
    id: "hop-first-frames-lost",
    severity: Severity::Error,
    title: "a hop lost the first messages behind the 101",
    about: "Messages that came right behind the 101, often in the same packet, entered the hop and never left it, \
        while later ones did: the hop threw away what it had read beyond the head. The connection lives and the \
        application waits for a greeting that is gone. The same happens to what a client sends first.\n\nIt is said \
        where the counts of frames and the first bytes of both legs prove it.",
    refs: &["RFC 9110 §7.8", "RFC 6455 §4.2.2"],
    causes: &[
        "the proxy drops the bytes that its HTTP parser had read behind the 101 when it turns to relaying",
        "in Node.js: the head argument of the upgrade event is not written to the other socket",
        "the proxy begins to relay the client's bytes only when the 101 is out, and drops what came before",
    ],
    fix: None,
    explains: &[Explains::Broken, Explains::Ended],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    if view.tried_again || [near, far].iter().any(|x| granted(x).is_none() || is_holed(x)) {
        return;
    }
    let ways = ways(view);
    for (at, from, to, direction, sender) in
        [(1, far, near, Direction::ServerToClient, "backend"), (0, near, far, Direction::ClientToServer, "client")]
    {
        let (came, left) = (counts(from, at), counts(to, at));
        let way = ways.get(at).filter(|way| !way.came.messages().is_empty() && !way.left.messages().is_empty());
        // What is known of whole messages goes before what the first bytes show.
        let lost = match way.and_then(|way| Some((way, way.skipped()?))) {
            Some((_, 0)) => None,
            Some((way, skip)) if came.messages.saturating_sub(left.messages) as usize >= skip => {
                lost_messages(way, skip)
            }
            _ => lost(at, from, to).and_then(|(frames, confidence)| {
                let first = from.after_101.get(at).and_then(Option::as_ref)?;
                let bytes = first.offset..first.offset.saturating_add(first.bytes.len() as u64);
                let evidence = Evidence { at: first.at, direction: Some(direction), bytes: Some(bytes) };
                Some(Lost { what: some("frame", frames), confidence, evidence })
            }),
        };
        let Some(Lost { what, confidence, evidence }) = lost else { continue };
        let who = view.who();
        let text = format!("{} lost {what} that its {sender} sent behind the 101 (", capital(&who));
        out.add(Text::own(text).packets([evidence.at]).say("), and relayed later ones."))
            .confidence(confidence)
            .expected(Text::own(format!("{} frames on the other leg", came.frames)))
            .found(Text::own(format!("{} frames, without the first", left.frames)))
            .evidence(evidence);
    }
}

/// What was lost.
struct Lost {
    /// `the first frame`.
    what: String,
    confidence: Confidence,
    evidence: Evidence,
}

/// `the first message`, `the first 3 messages`.
fn some(what: &str, count: usize) -> String {
    if count == 1 { format!("the first {what}") } else { format!("the first {count} {what}s") }
}

/// So many messages entered before the first that left. Equal contents prove it where they say something: a single
/// one of few bytes may have been said twice.
fn lost_messages(way: &Way<'_>, skip: usize) -> Option<Lost> {
    let first = way.came.messages().first()?;
    let alike: u64 = way.pairs().map(|(a, _)| u64::from(a.bytes)).sum();
    let certain = alike >= ALIKE as u64 && way.came.messages().iter().take(skip).all(|m| m.whole);
    let confidence = if certain { Confidence::Certain } else { Confidence::Likely };
    Some(Lost { what: some("message", skip), confidence, evidence: way.place(first) })
}

/// Whether frames may be missing from the capture.
fn is_holed(x: &Exchange) -> bool {
    let q = &x.quality;
    q.gap || q.snapped || q.overlap_conflict || q.midstream || q.no_client_packets || q.no_server_packets
}

fn counts(x: &Exchange, at: usize) -> WsCounts {
    let ws = x.ws.unwrap_or_default();
    if at == 0 { ws.client } else { ws.server }
}

/// How many of the first frames that entered did not leave. `None`: that cannot be shown.
fn lost(at: usize, from: &Exchange, to: &Exchange) -> Option<(usize, Confidence)> {
    let (came, left) = (counts(from, at), counts(to, at));
    if came.broken || left.broken || left.frames == 0 {
        return None;
    }
    let missing = usize::try_from(came.frames.checked_sub(left.frames)?).ok()?;
    let bytes = came.payload_bytes.checked_sub(left.payload_bytes)?;
    let preview = |x: &Exchange| x.after_101.get(at)?.as_ref().map(|p| frames(&p.bytes));
    let (came, left) = (preview(from)?, preview(to)?);
    // If the first ones are the same, it is others that are missing.
    let begin = left.first()?;
    if came.first()?.is(begin) {
        return None;
    }
    // What is missing in all is as much as the first frames hold, and they are known not to be there.
    let first = came.get(..missing).filter(|first| has_data(first) && !first.iter().any(|f| f.is(begin)));
    if first.is_some_and(|first| first.iter().map(|f| f.header.payload).sum::<u64>() == bytes) {
        return Some((missing, Confidence::Certain));
    }
    let fits = |skip: &usize| {
        let pairs = || came.iter().skip(*skip).zip(&left);
        let gone = came.get(..*skip).unwrap_or_default();
        pairs().all(|(a, b)| a.is(b)) && pairs().any(|(a, b)| a.shows(b)) && has_data(gone)
    };
    let skipped = (1..=missing.min(came.len())).find(fits)?;
    Some((skipped, if skipped == missing { Confidence::Certain } else { Confidence::Likely }))
}

/// Whether one of them carries data: a hop may answer pings by itself.
fn has_data(frames: &[Frame]) -> bool {
    frames.iter().any(|f| matches!(f.header.opcode, TEXT | BINARY))
}

/// A frame as far as the first bytes of a direction show it.
struct Frame {
    header: Header,
    /// Unmasked.
    payload: Vec<u8>,
}

impl Frame {
    /// Whether nothing speaks against both being the same frame; masks may differ (RFC 6455 §5.3).
    fn is(&self, other: &Frame) -> bool {
        let (a, b) = (&self.header, &other.header);
        (a.fin, a.rsv, a.opcode, a.payload) == (b.fin, b.rsv, b.opcode, b.payload)
            && self.payload.iter().zip(&other.payload).all(|(a, b)| a == b)
    }

    /// Whether enough of both is there for their likeness to mean something.
    fn shows(&self, other: &Frame) -> bool {
        self.payload.len().min(other.payload.len()) >= ALIKE
    }
}

/// Equal payload bytes by which two frames are known to be one.
const ALIKE: usize = 2;

fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut out = Vec::new();
    while let Some(header) = websocket::header(bytes).filter(Header::is_plausible) {
        let rest = bytes.get(usize::from(header.length)..).unwrap_or_default();
        let size = usize::try_from(header.payload).unwrap_or(usize::MAX).min(rest.len());
        let (payload, next) = rest.split_at(size);
        let mut payload = payload.to_vec();
        if let Some(mask) = header.mask {
            websocket::unmask(&mut payload, mask, 0);
        }
        out.push(Frame { header, payload });
        bytes = next;
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{Finding, Preview, WsTotals};
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, words};

    fn text(words: &str) -> Vec<u8> {
        [&[0x81, u8::try_from(words.len()).unwrap()], words.as_bytes()].concat()
    }

    fn masked(words: &str, mask: u8) -> Vec<u8> {
        let payload: Vec<u8> = words.bytes().map(|b| b ^ mask).collect();
        [&[0x81, 0x80 | u8::try_from(words.len()).unwrap()], &[mask; 4][..], &payload].concat()
    }

    /// A granted leg with these frames of the client and of the server.
    fn leg(client: &[Vec<u8>], server: &[Vec<u8>]) -> Exchange {
        let preview = |frames: &[Vec<u8>]| {
            let mut bytes = frames.concat();
            bytes.truncate(crate::base::limits::AFTER_101_BYTES);
            let bytes = bytes.into();
            let at = PacketRef::new(0, 7);
            (!frames.is_empty()).then_some(Preview { bytes, at, ts: Timestamp::default(), offset: 0 })
        };
        let count = |all: &[Vec<u8>]| WsCounts {
            frames: u32::try_from(all.len()).unwrap(),
            payload_bytes: all.iter().filter_map(|f| frames(f).first().map(|f| f.header.payload)).sum(),
            ..WsCounts::default()
        };
        exchange(GOOD, Some(&granted())).with(|x| {
            x.after_101 = [preview(client), preview(server)].map(|first| first.map(Box::new));
            x.ws = Some(WsTotals { client: count(client), server: count(server), compressed: false });
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn a_greeting_that_does_not_leave_the_hop_is_found() {
        let far = leg(&[], &[text("hello to all who came"), text("one"), text("two")]);
        let cut = found(leg(&[], &[text("one")]), leg(&[], &[text("hello"), text("one"), text("two")]));
        assert_eq!(cut[0].confidence, Confidence::Likely, "the last is missing too");
        let found = found(leg(&[], &[text("one"), text("two")]), far);
        assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
        assert!(words(&found[0].message).contains("lost the first frame that its backend sent behind the 101"));
    }

    #[test]
    fn what_a_client_sends_first_is_found_too_whatever_the_masks() {
        let near = leg(&[masked("login", 7), masked("news", 8)], &[]);
        assert_eq!(found(near, leg(&[masked("news", 9)], &[])).len(), 1);
    }

    #[test]
    fn equal_frames_and_a_lost_last_one_are_no_case_of_it() {
        let all = || leg(&[], &[text("one"), text("two")]);
        assert!(found(all(), all()).is_empty());
        assert!(found(leg(&[], &[text("one")]), all()).is_empty(), "it is the last that is missing");
        let same = leg(&[], &[text("tick"), text("tick")]);
        assert!(found(leg(&[], &[text("tick")]), same).is_empty());
    }

    #[test]
    fn frames_that_were_recoded_pings_and_holes_prove_nothing() {
        let far = || leg(&[], &[text("hello"), text("one")]);
        assert!(found(leg(&[], &[text("hello one!")]), far()).is_empty());
        let pinged = leg(&[], &[vec![0x89, 2, b'h', b'i'], text("one")]);
        assert!(found(leg(&[], &[text("one")]), pinged).is_empty(), "a hop may answer pings");
        let holed = leg(&[], &[text("one")]).with(|x| x.quality.gap = true);
        assert!(found(holed, far()).is_empty());
    }

    #[test]
    fn whole_messages_prove_it_whatever_frames_masks_and_compression_they_have() {
        use crate::rules::hop::said::tests as said;
        let (mut news, ms) = said::text("the news", 30);
        let far = said::leg(&[], &[said::text("welcome", 10), said::text("hello", 20), (news, ms)]);
        (news.frames, news.compressed, news.wire_bytes) = (2, true, 10);
        let near = said::leg(&[], &[(news, ms)]);
        let lost = found(near, far.clone());
        assert_eq!((lost.len(), lost[0].confidence), (1, Confidence::Certain));
        assert!(words(&lost[0].message).contains("lost the first 2 messages that its backend sent"));
        assert!(found(far.clone(), far).is_empty());
    }

    #[test]
    fn messages_that_say_the_same_again_prove_nothing() {
        use crate::rules::hop::said::tests as said;
        let ticks = |count: usize| said::leg(&[], &vec![said::text("tick", 10); count]);
        assert!(found(ticks(1), ticks(2)).is_empty());
    }
}
