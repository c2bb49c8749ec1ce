//! (rules of this section)

use crate::rules::Rule;

/// The rules of this folder, sorted as in the catalogue.
pub(super) static RULES: &[&Rule] = &[];
