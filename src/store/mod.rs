//! What is kept of an analysis, and the filter language over it.

pub mod analysis;

pub use analysis::{Analysis, Row};
