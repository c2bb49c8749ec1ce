//! Sec-WebSocket-Accept: the judgement, and the rules that speak of it.

pub mod command;
pub mod kinds;

mod cached;
mod guid_typo;
mod judge;
mod mismatch;
mod missing;
mod on_non_101;
mod repeated;
#[cfg(test)]
mod testing;
mod tolerated;
mod unexplained;
mod unverifiable;

pub use judge::{Hints, compare, expected, explain, judge};

use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[
    &missing::RULE,
    &repeated::RULE,
    &mismatch::RULE,
    &tolerated::RULE,
    &guid_typo::RULE,
    &unexplained::RULE,
    &unverifiable::RULE,
    &on_non_101::RULE,
    &cached::RULE,
];

/// Those that may find something in an exchange whose heads are [ordinary](super::ordinary).
pub(super) static OF_ORDINARY: &[&Rule] = &[&cached::RULE];
