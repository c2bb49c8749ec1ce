//! The screens: one file each, all in one list.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::engine::stretch::Ask;

use super::keys::Action;
use super::order::Sort;
use super::shared::Shared;

pub mod bytes;
pub mod chains;
pub mod diff;
pub mod findings;
pub mod flows;
pub mod frames;
pub mod ladder;
pub mod message;
pub mod summary;
pub mod timeline;
pub mod verdict;

/// One sort of screen.
#[derive(Debug)]
pub struct Screen {
    /// Its place in the table of keys.
    pub name: &'static str,
    /// The action that opens it; the home screen's is the first in the list.
    pub action: Action,
    /// Fails, with the reason, where there is nothing that it could show.
    pub open: fn(&Shared) -> Result<Box<dyn View>, String>,
}

/// All screens, home first.
pub static SCREENS: &[&Screen] = &[
    &chains::SCREEN,
    &timeline::SCREEN,
    &ladder::SCREEN,
    &message::SCREEN,
    &diff::SCREEN,
    &findings::SCREEN,
    &frames::SCREEN,
    &flows::SCREEN,
    &bytes::SCREEN,
    &summary::SCREEN,
];

/// What became of an action.
pub enum Step {
    Done,
    /// It means nothing here.
    Ignored,
    Open(Box<dyn View>),
    /// Opens the screen of this action.
    Go(Action),
    /// A word to the user.
    Say(String),
    /// Into the clipboard.
    Copy(String),
    /// Back to the home screen, with this filter.
    Filter(String),
}

/// An open screen.
pub trait View {
    fn screen(&self) -> &'static Screen;

    /// For the path in the first row.
    fn title(&self, s: &Shared) -> String;

    /// What it would have read again, to show it. `None`: nothing.
    fn wants(&self) -> Option<Ask> {
        None
    }

    /// Draws into the area, which may be of any size.
    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer);

    fn act(&mut self, action: Action, s: &mut Shared) -> Step;

    /// The row under the cursor, and how many there are.
    fn cursor(&self, s: &Shared) -> (usize, usize);

    /// A click into the area that it was drawn in; `false`: on nothing.
    fn click(&mut self, _: (u16, u16), _: &mut Shared) -> bool {
        false
    }

    /// What a click on this place sorts by. `None`: it is no heading of a column.
    fn heading_at(&self, _: (u16, u16)) -> Option<Sort> {
        None
    }

    /// The mouse was moved from one column to another with its button held.
    fn drag(&mut self, _: u16, _: u16, _: &mut Shared) {}

    /// The filter, or the analysis, is another one.
    fn changed(&mut self, _: &mut Shared) {}
}
