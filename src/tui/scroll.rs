//! Lines that are read, not chosen from: which of them are in view.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::keys::Action;
use super::list;
use super::paint::{self, Line};
use super::theme::Theme;

#[derive(Clone, Copy, Debug, Default)]
pub struct Scroll {
    /// The first line in view.
    pub top: usize,
    /// Lines, and room for them, when they were drawn last.
    rows: usize,
    height: usize,
}

impl Scroll {
    pub fn draw(&mut self, theme: Theme, lines: &[Line], area: Rect, buf: &mut Buffer) {
        (self.rows, self.height) = (lines.len(), usize::from(area.height));
        self.top = self.top.min(self.last());
        paint::lines(buf, theme, area, lines.get(self.top..).unwrap_or_default());
    }

    /// Moves what is in view; whether the action was one of a list.
    pub fn act(&mut self, action: Action) -> bool {
        let moved = list::moved(action, self.top, self.height, self.last());
        self.top = moved.unwrap_or(self.top);
        moved.is_some()
    }

    /// The first line in view, and how many there are.
    pub fn cursor(&self) -> (usize, usize) {
        (self.top, self.rows.max(1))
    }

    fn last(&self) -> usize {
        self.rows.saturating_sub(self.height)
    }
}
