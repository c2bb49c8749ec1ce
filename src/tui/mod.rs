//! The terminal UI: screens over a finished analysis. Only rows in view are ever formatted; what was captured reaches
//! a cell through `shown` alone.

pub mod axis;
pub mod bars;
pub mod dump;
pub mod events;
pub mod export;
pub mod facts;
pub mod filtering;
pub mod frame;
pub mod help;
pub mod input;
pub mod keys;
pub mod list;
pub mod order;
pub mod paint;
pub mod palette;
pub mod phases;
pub mod ready;
pub mod scroll;
pub mod shared;
pub mod shown;
pub mod streams;
pub mod terminal;
pub mod theme;
pub mod tree;
pub mod ui;
pub mod unread;
pub mod views;
pub mod which;

pub use export::{Form, Request, Scope};
pub use terminal::{Beside, Ended, Look, Read, Tell, Write, run};
pub use theme::{Palette, Theme};

pub use frame::{Alive, Reading};
pub use ready::{Ready, Rest};
pub use shared::Shared;
pub use ui::{Effect, Ui};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod filter_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod bytes_tests;
