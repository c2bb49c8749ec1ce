//! Rules on two legs: what a hop did to what it passed on (CATALOGUE §4.2, §14). One file per rule; what
//! several of them ask is in `support`.

mod stripped_upgrade;
mod support;

use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[&stripped_upgrade::RULE];
