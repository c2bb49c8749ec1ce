//! Other messages left a hop than came to it: some were lost, came twice, or were put together.

use crate::base::Nanos;
use crate::model::{Confidence, Direction, EndHow, Message, Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::said::{Way, is_same, ordinal, ways};
use crate::rules::hop::side::one_clock;
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-messages-differ",
    severity: Severity::Error,
    title: "a hop lost, repeated or merged messages",
    about: "Messages left the hop as they came, up to one from which on they are others: the hop passed nothing more on \
        although messages still came, or left one out, sent one twice, or made one of two. The first messages of each \
        direction are compared, by content.\n\nAn application may do that on purpose between two WebSockets of its own, so \
        it is a warning, and an error where whoever got them ended the WebSocket over it, with another code than 1000 \
        and 1001, or where the hop hangs: nothing is passed on in either direction any more, or what came is \
        not even read. What came in the last second before the other leg's end is not looked for.",
    refs: &["RFC 6455 §5.4", "RFC 6455 §5.6"],
    causes: &[
        "a fault in how the proxy or gateway takes messages apart, queues them and puts them together",
        "the proxy's reader or writer of one direction died, and the connections stayed",
        "a gateway filters or merges messages on purpose",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["hop-extensions-split", "hop-first-frames-lost", "hop-tunnel-dead", "peer-vanished"],
    check: Check::Hop(check),
};

const FROZEN: &str =
    "the proxy's program hangs: it passes nothing on in either direction, while its machine takes what is sent";

const FULL: &str =
    "the proxy's program hangs: it does not read any more what came, until its machine has no room for more";

/// Messages that came later than this before the end may have been on their way.
const ON_ITS_WAY: Nanos = Nanos::from_secs(1);

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let ways = ways(view);
    let stopped = |way: &Way<'_>| {
        let found = difference(view, way, way.counts().1.messages).filter(|_| !way.holed());
        found.is_some_and(|difference| difference.what == What::Stopped)
    };
    // It stands still, while its machine goes on to take what is sent, as long as there is room.
    // What speaks for itself on both sides may keep to itself what it likes, and what passes a Close on does not hang.
    let (near, far) = (view.near.x, view.far.x);
    let alive = near.key() != far.key() || [near, far].iter().all(|x| x.end.how == EndHow::CloseFrame);
    let frozen = match () {
        () if alive => None,
        () if ways.iter().all(stopped) => Some(FROZEN),
        () if ways.iter().any(|way| stopped(way) && is_full(way)) => Some(FULL),
        () => None,
    };
    for way in ways {
        let (came, left) = way.counts();
        // Of as many it is hop-bytes-altered.
        if way.holed() || came.messages == left.messages {
            continue;
        }
        let Some(difference) = difference(view, &way, left.messages) else { continue };
        let Difference { what, came, left, index } = difference;
        let text = format!("{} {} that its {} sent (", capital(&view.who()), what.words(index), way.sender);
        let gave_up = way.closed_with().is_some_and(|code| !matches!(code, 1000 | 1001));
        let mut found = out
            .add(Text::own(text).packets([came.at, left.map_or(came.at, |left| left.at)]).say(")."))
            .severity(if gave_up || frozen.is_some() { Severity::Error } else { Severity::Warning })
            .confidence(if what == What::Merged { Confidence::Likely } else { Confidence::Certain })
            .expected(Text::own("the messages that came, each once"))
            .evidence(way.place(came));
        if let Some(left) = left {
            found = found.evidence(way.place(left));
        }
        if let Some(cause) = frozen {
            found = found.cause(cause);
        }
        found.found(Text::own(what.found()));
    }
}

/// Whether the hop's machine has no more room for what comes, to the end, because its program does not read.
fn is_full(way: &Way<'_>) -> bool {
    let stalls = way.from_talk.transport.as_ref().map(|transport| transport.stalls);
    let side = usize::from(way.direction == Direction::ServerToClient);
    let Some(stall) = stalls.and_then(|stalls| stalls[side]).filter(|stall| stall.lasts) else { return false };
    // Nor does it pass on the rest of what it had.
    let end = &way.to.x.end;
    end.at
        .zip(end.idle_of[side])
        .is_some_and(|(at, idle)| at.since(stall.from).0 <= idle.0.saturating_add(ON_ITS_WAY.0))
}

/// Where the messages that left are no longer those that came.
struct Difference<'a> {
    what: What,
    /// The message concerned, as it came, and what left there.
    came: &'a Message,
    left: Option<&'a Message>,
    /// Its place among those that came.
    index: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Nothing left behind the one before.
    Stopped,
    Missing,
    Repeated,
    /// With the next.
    Merged,
}

impl What {
    fn words(self, index: usize) -> String {
        match self {
            What::Stopped => format!("passed nothing on from the {} message on", ordinal(index)),
            What::Missing => format!("lost the {} message", ordinal(index)),
            What::Repeated => format!("repeated the {} message", ordinal(index)),
            What::Merged => format!("made one of the {} and the {} message", ordinal(index), ordinal(index + 1)),
        }
    }

    fn found(self) -> &'static str {
        match self {
            What::Stopped => "nothing more",
            What::Missing => "the next one in its place",
            What::Repeated => "the same once more",
            What::Merged => "one as long as both",
        }
    }
}

/// `sent`: messages that left in all.
fn difference<'a>(view: &HopView<'_>, way: &Way<'a>, sent: u32) -> Option<Difference<'a>> {
    let (came, left) = (way.came.messages(), way.left.messages());
    let alike = came.iter().zip(left).take_while(|(a, b)| is_same(a, b)).count();
    // Without a common beginning it may be anything.
    let before = alike.checked_sub(1)?;
    let here = came.get(alike);
    if let Some(odd) = left.get(alike) {
        // A heartbeat is the same each time: only what is then gone on with tells that it was said twice.
        let repeats =
            came.get(before).is_some_and(|last| is_same(last, odd)) && here.is_none_or(|next| !is_same(next, odd));
        let goes_on = left.get(alike + 1).zip(here).is_none_or(|(next, came)| is_same(came, next));
        if repeats && goes_on {
            return Some(Difference { what: What::Repeated, came: came.get(before)?, left: Some(odd), index: before });
        }
        let (here, next) = (here?, came.get(alike + 1)?);
        if is_same(next, odd) {
            return Some(Difference { what: What::Missing, came: here, left: Some(odd), index: alike });
        }
        let whole = here.whole && next.whole && odd.whole && here.opcode == odd.opcode;
        let merged = whole && odd.bytes.abs_diff(here.bytes.saturating_add(next.bytes)) <= BETWEEN;
        return merged.then_some(Difference { what: What::Merged, came: here, left: Some(odd), index: alike });
    }
    let here = here.filter(|_| usize::try_from(sent) == Ok(alike))?;
    // Who takes nothing, or is not there any more, is not the hop.
    let stalls = way.to_talk.transport.as_ref().is_some_and(|t| {
        let in_vain = t.resent.is_some() || t.probed.is_some() || t.swallowed.is_some() || t.rejected.is_some();
        in_vain || t.stalls.iter().any(Option::is_some)
    });
    let end = way.to.x.end.at.or(way.to.x.end.tcp_at).or(way.to.x.times.last)?;
    let late = one_clock(view) && end.since(here.ts) >= ON_ITS_WAY;
    // A single one may be one that the hop keeps to itself.
    let more = came.iter().skip(alike).filter(|m| end.since(m.ts) >= ON_ITS_WAY).count() > 1;
    (late && more && !stalls).then_some(Difference { what: What::Stopped, came: here, left: None, index: alike })
}

/// Bytes that may stand between two messages that were put together.
const BETWEEN: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::model::{Close, Exchange, Finding};
    use crate::rules::hop::said::tests::{leg, text};
    use crate::rules::testing::{With as _, run_hop_of, words};

    /// The finding where the backend said these each tenth of a second, and those left the hop; the client closes with
    /// the code five seconds later.
    fn found(came: &[&str], left: &[&str], code: u16) -> Vec<Finding> {
        let all = |said: &[&str]| -> Exchange {
            let said: Vec<_> = (1..).zip(said).map(|(n, said)| text(said, n * 100)).collect();
            leg(&[], &said)
        };
        let near = all(left).with(|x| {
            let granted = x.response.as_ref().map_or(Timestamp::default(), |head| head.last);
            x.end.at = Some(granted + Nanos::from_secs(5));
            x.end.by = Some(Direction::ClientToServer);
            x.end.how = EndHow::CloseFrame;
            x.end.close = Some(Close { code: Some(code), ..Close::default() });
        });
        run_hop_of(&RULE, near, all(came), |_| {})
    }

    #[test]
    fn what_is_lost_repeated_and_merged_is_told() {
        let came = ["one", "two", "three", "four", "five"];
        for (left, said) in [
            (&["one", "two"][..], "passed nothing on from the 3rd message on that its backend sent"),
            (&["one", "three", "four", "five"], "lost the 2nd message that"),
            (&["one", "two", "two", "three", "four", "five"], "repeated the 2nd message that"),
            (&["one", "twothree", "four", "five"], "made one of the 2nd and the 3rd message that"),
            (&["one", "two", "three", "four", "five", "five"], "repeated the 5th message that"),
        ] {
            let found = found(&came, left, 4002);
            let message = found.first().map(|f| words(&f.message)).unwrap_or_default();
            assert!(message.contains(said), "{left:?}: {message}");
            assert_eq!(found[0].severity, Severity::Error);
        }
        assert_eq!(found(&came, &["one", "three", "four", "five"], 1000)[0].severity, Severity::Warning);
    }

    #[test]
    fn what_is_said_alike_or_may_be_on_its_way_is_none() {
        let came = ["one", "two", "three"];
        assert!(found(&came, &came, 4002).is_empty());
        assert!(found(&came, &["one", "two"], 4002).is_empty(), "a single one at the end");
    }

    #[test]
    fn a_hop_that_hangs_is_told_as_that() {
        use crate::base::PacketRef;
        use crate::model::{Stall, Transport};
        let said = |n: i64| (1..=n).map(|n| text("word", n * 100)).collect::<Vec<_>>();
        let until =
            |x: Exchange| x.with(|x| x.times.last = x.response.as_ref().map(|head| head.last + Nanos::from_secs(5)));
        let (near, far) = (until(leg(&said(5), &said(2))), until(leg(&said(2), &said(5))));
        let found = run_hop_of(&RULE, near, far, |_| {});
        assert_eq!((found.len(), found[0].severity, &*found[0].causes[0]), (2, Severity::Error, FROZEN));
        let closed = |x: Exchange| x.with(|x| x.end.how = EndHow::CloseFrame);
        let passed = [leg(&said(5), &said(2)), leg(&said(2), &said(5))].map(|x| closed(until(x)));
        let [near, far] = passed;
        let found = run_hop_of(&RULE, near, far, |_| {});
        assert!(found.iter().all(|f| f.severity == Severity::Warning), "it passed the Close on");
        let stall = |lasts| {
            let mut near = until(leg(&[], &said(2)));
            let granted = near.response.as_ref().map_or(Timestamp::default(), |head| head.last);
            (near.end.how, near.end.at) = (EndHow::Fin, Some(granted + Nanos::from_secs(5)));
            near.end.idle_of = [None, Some(Nanos::from_millis(4_800))];
            let from = granted + Nanos::from_millis(200);
            let stall = Stall { at: PacketRef::new(0, 9), from, length: Nanos::from_secs(4), times: 1, lasts };
            let transport = Transport { stalls: [None, Some(stall)], ..Transport::default() };
            let far = leg(&[], &said(5)).with(|x| {
                x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
            });
            run_hop_of(&RULE, near, far, |_| {})
        };
        assert_eq!((stall(true)[0].severity, &*stall(true)[0].causes[0]), (Severity::Error, FULL));
        assert_eq!(stall(false)[0].severity, Severity::Warning, "there was room again");
    }
}
