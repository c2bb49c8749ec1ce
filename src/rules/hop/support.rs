//! What several rules of this folder ask.

use crate::rules::Explains;

/// Outcomes that a fault of a hop can explain before or at the 101.
pub(super) const FAILURES: &[Explains] =
    &[Explains::Refused, Explains::Redirected, Explains::Broken, Explains::Unanswered];
