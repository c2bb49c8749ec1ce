//! What a leg that was captured at two places lost between them.

use crate::base::{Nanos, Timestamp};
use crate::model::{Direction, EndHow, Exchange, Lost, WsCounts};

/// How long the place that should have seen it goes on behind it, so that it is lost and not on its way.
const GOES_ON: Nanos = Nanos::from_secs(1);

/// What passed one of the places at which a leg was captured and did not come to the other, though that went on
/// capturing: the answer, or frames that were sent again and again. `ends`: when the capture of an exchange ends. `None`:
/// nothing, or a capture that has holes of its own may have missed it.
pub fn lost(a: &Exchange, b: &Exchange, ends: &dyn Fn(&Exchange) -> Option<Timestamp>) -> Option<Lost> {
    let (near, far) = match (a.latency(), b.latency()) {
        (Some(x), Some(y)) if x > y => (a, b),
        (Some(x), Some(y)) if x < y => (b, a),
        (None, Some(_)) => (a, b),
        (Some(_), None) => (b, a),
        _ => return None,
    };
    let Some(answer) = &near.response else { return answer_lost(near, far, ends) };
    if near.quality.snapped || far.quality.snapped {
        return None;
    }
    let of = |from| {
        let (sent, came) = if from == Direction::ClientToServer { (near, far) } else { (far, near) };
        // Holes where it should have come are just what is looked for.
        if sent.quality.gap {
            return None;
        }
        let (sent_frames, came_frames) = (counts(sent, from)?, counts(came, from).unwrap_or_default());
        let last = sent.talk.as_ref()?.of(from).last?;
        // Whoever captured less than all would not see it sent again.
        let transport = sent.talk.as_ref()?.transport.as_ref();
        let all = transport.map(|transport| [transport.resent, transport.overcome]);
        let resent = all.into_iter().flatten().flatten().find(|resent| resent.by == from);
        let swallowed = transport.and_then(|transport| transport.swallowed).filter(|lost| lost.by == from);
        let reset = forged(sent, came, from);
        let since = resent.map(|resent| resent.first).or(swallowed.map(|lost| lost.first)).or(reset)?;
        let until = came.talk.as_ref().and_then(|talk| talk.of(from).last).map_or(answer.last, |last| last.ts);
        let goes_on = ends(came)? >= since + GOES_ON;
        let frames = sent_frames.frames.saturating_sub(came_frames.frames);
        let quiet = sent.talk.as_ref()?.before_last.map(|silence| silence.length).unwrap_or_default();
        (goes_on && frames > 0 && !sent_frames.broken)
            .then_some((until, Lost { from, frames, at: last.at, quiet, forged: reset.is_some() }))
    };
    let both = [Direction::ClientToServer, Direction::ServerToClient].into_iter().filter_map(of);
    both.min_by_key(|(until, _)| *until).map(|(_, lost)| lost)
}

/// When whoever sent it was told by a reset that its peer is gone, where the peer sent none and went on.
fn forged(sent: &Exchange, came: &Exchange, from: Direction) -> Option<Timestamp> {
    let reset_by = |x: &Exchange| (x.end.tcp_how == EndHow::Rst).then_some(x.end.tcp_by).flatten();
    let at = sent.end.tcp_at.filter(|_| reset_by(sent).is_some_and(|by| by != from))?;
    let other = reset_by(came).is_none_or(|by| by == from);
    let later = came.end.tcp_at.is_none_or(|end| end >= at + GOES_ON);
    (other && later).then_some(at)
}

/// The answer came to the place nearer its server alone, and its client waited in vain.
fn answer_lost(near: &Exchange, far: &Exchange, ends: &dyn Fn(&Exchange) -> Option<Timestamp>) -> Option<Lost> {
    let answer = far.response.as_ref()?;
    let silent = near.odd_response.is_none() && near.early.is_none();
    let talked = counts(far, Direction::ClientToServer).is_some_and(|client| client.frames > 0);
    if near.quality.no_server_packets || near.quality.snapped || !silent || talked {
        return None;
    }
    let goes_on = ends(near)? >= answer.first + GOES_ON;
    let waited = near.end.tcp_at.is_none_or(|end| end >= answer.first + GOES_ON);
    let lost = Lost { from: Direction::ServerToClient, frames: 0, at: answer.at, quiet: Nanos::ZERO, forged: false };
    (goes_on && waited).then_some(lost)
}

fn counts(x: &Exchange, from: Direction) -> Option<WsCounts> {
    x.ws.map(|ws| if from == Direction::ClientToServer { ws.client } else { ws.server })
}
