//! A flow-control window (RFC 9113 §5.2, §6.9), just well enough to see it used up for long.

use crate::base::{Nanos, Timestamp, limits};

/// A window, as its sender counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// Bytes sent, less what was given back.
    used: i64,
    /// Since when nothing may be sent.
    empty: Option<Timestamp>,
    /// It was used up from and until then, and nothing was sent since.
    reopened: Option<(Timestamp, Timestamp)>,
}

/// A window was used up for longer than `limits::H2_STALL_MS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When the last byte that it allows was sent.
    pub from: Timestamp,
    /// When it was opened again. `None`: never.
    pub until: Option<Timestamp>,
    /// When its sender went on sending: it had waited with data. `None`: it did not, or never could.
    pub resumed: Option<Timestamp>,
}

impl Window {
    /// So many bytes were sent. `initial`: what the window began with.
    pub(super) fn sent(&mut self, bytes: u32, initial: i64, ts: Timestamp) -> Option<Stall> {
        // Still used up, and yet more is sent: it was opened by other SETTINGS.
        let was = self.reopened.take().or(self.empty.map(|from| (from, ts)));
        let stall =
            was.filter(|_| bytes > 0).map(|(from, until)| Stall { from, until: Some(until), resumed: Some(ts) });
        self.used = self.used.saturating_add(i64::from(bytes));
        self.empty = (initial.saturating_sub(self.used) <= 0).then_some(ts);
        stall.filter(|stall| is_long(stall.from, stall.until.unwrap_or(ts)))
    }

    /// WINDOW_UPDATE.
    pub(super) fn opened(&mut self, bytes: u32, initial: i64, ts: Timestamp) {
        self.used = self.used.saturating_sub(i64::from(bytes));
        if initial.saturating_sub(self.used) > 0
            && let Some(from) = self.empty.take()
        {
            self.reopened = Some((from, ts));
        }
    }

    /// Nothing more will be sent.
    pub(super) fn ended(&mut self, ts: Timestamp) -> Option<Stall> {
        let from = self.empty.take().filter(|from| is_long(*from, ts))?;
        Some(Stall { from, until: None, resumed: None })
    }
}

fn is_long(from: Timestamp, until: Timestamp) -> bool {
    until.since(from) > Nanos::from_millis(limits::H2_STALL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn a_window_used_up_for_more_than_a_second_is_told_when_its_sender_goes_on() {
        let mut window = Window::default();
        assert_eq!(window.sent(100, 100, Timestamp(0)), None);
        window.opened(50, 100, Timestamp(1_001 * MS));
        let resumed = Timestamp(1_002 * MS);
        let stall = Stall { from: Timestamp(0), until: Some(Timestamp(1_001 * MS)), resumed: Some(resumed) };
        assert_eq!(window.sent(50, 100, resumed), Some(stall));
        // Used up again: a second is not more than a second.
        window.opened(50, 100, Timestamp(2_002 * MS));
        assert_eq!(window.sent(1, 100, Timestamp(9_000 * MS)), None);
    }

    #[test]
    fn a_window_that_is_never_opened_again_is_told_at_the_end() {
        let mut window = Window::default();
        window.sent(100, 100, Timestamp(0));
        let mut other = window;
        assert_eq!(window.ended(Timestamp(1_000 * MS)), None);
        let stall = Stall { from: Timestamp(0), until: None, resumed: None };
        assert_eq!(other.ended(Timestamp(1_001 * MS)), Some(stall));
    }

    #[test]
    fn a_window_with_room_left_is_no_stall_however_long_it_rests() {
        let mut window = Window::default();
        window.sent(99, 100, Timestamp(0));
        assert_eq!(window.sent(1, 100, Timestamp(5_000 * MS)), None);
    }
}
