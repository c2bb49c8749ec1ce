//! The two connections of a hop that was granted an upgrade on both, and when something happened on them.

use crate::base::{Nanos, Timestamp};
use crate::model::{Direction, EndHow, Exchange, Head};
use crate::rules::hop::answer::granted;
use crate::rules::journey::HopView;

/// One leg of the hop, and which of its directions is the hop's own.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub x: &'a Exchange,
    /// The 101.
    pub head: &'a Head,
    pub hop: Direction,
}

/// Near and far, where both legs were granted and the hop tried no other.
pub(super) fn sides<'a>(view: &HopView<'a>) -> Option<(Side<'a>, Side<'a>)> {
    let (near, far) = (view.near.x, view.far.x);
    let near = Side { x: near, head: granted(near)?, hop: Direction::ServerToClient };
    let far = Side { x: far, head: granted(far)?, hop: Direction::ClientToServer };
    (!view.tried_again).then_some((near, far))
}

impl Side<'_> {
    /// How long after its 101.
    pub(super) fn after(&self, at: Timestamp) -> Nanos {
        at.since(self.head.last)
    }

    /// Until when the capture shows it open, after its 101.
    pub(super) fn open(&self) -> Nanos {
        self.x.end.tcp_at.or(self.x.times.last).map_or(Nanos::ZERO, |at| self.after(at))
    }

    /// Whether the first FIN or RST came from the hop.
    pub(super) fn ended_by_hop(&self) -> bool {
        self.x.end.tcp_by == Some(self.hop)
    }

    /// Whether the end that is not the hop said goodbye first, by a Close, a FIN or a RST.
    pub(super) fn left(&self) -> bool {
        self.x.end.by.is_some_and(|by| by != self.hop)
    }

    /// Whether bytes could be missing from the capture.
    pub(super) fn holed(&self) -> bool {
        let q = &self.x.quality;
        q.gap || q.snapped || q.overlap_conflict || q.no_client_packets || q.no_server_packets
    }

    /// Whether bytes are missing behind the last frame.
    pub(super) fn lost_end(&self) -> bool {
        self.x.ws.is_some_and(|ws| ws.client.lost || ws.server.lost)
    }

    /// Whether a Close could have gone by unseen: frames could not be followed.
    pub(super) fn lost_track(&self) -> bool {
        self.x.ws.is_some_and(|ws| ws.client.broken || ws.server.broken)
    }

    /// How TCP ended: `FIN` or `RST`. `None`: not in view.
    pub(super) fn tcp_word(&self) -> Option<&'static str> {
        match self.x.end.tcp_how {
            EndHow::Fin => Some("FIN"),
            EndHow::Rst => Some("RST"),
            _ => None,
        }
    }
}

/// How long after something on the one leg something else on the other came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Apart {
    /// Negative: before it.
    pub by: Nanos,
    /// By how much that may be off. Zero by one clock.
    pub slack: Nanos,
}

impl Apart {
    /// Whether it cannot have come before.
    pub(super) fn is_later(&self) -> bool {
        self.by.0 >= self.slack.0
    }
}

/// From `a` on one leg to `b` on the other. Where clocks cannot be compared, each counts from its own leg's 101: the
/// near one was granted later than the far one, by no more than what its client waited longer.
pub(super) fn apart(view: &HopView<'_>, a: (&Side<'_>, Timestamp), b: (&Side<'_>, Timestamp)) -> Apart {
    if one_clock(view) {
        return Apart { by: b.1.since(a.1), slack: Nanos::ZERO };
    }
    let by = Nanos(b.0.after(b.1).0.saturating_sub(a.0.after(a.1).0));
    let slack = match (view.near.x.latency(), view.far.x.latency()) {
        (Some(near), Some(far)) => Nanos(near.0.saturating_sub(far.0).max(0)),
        _ => Nanos::ZERO,
    };
    Apart { by, slack }
}

/// Whether times on both legs can be compared as they are.
pub(super) fn one_clock(view: &HopView<'_>) -> bool {
    view.hop.forward.is_some()
}
