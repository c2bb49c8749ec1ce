//! What is kept of an analysis, and the filter language over it.

pub mod analysis;
pub mod filter;
pub mod select;
#[cfg(test)]
pub(crate) mod testing;

pub use analysis::{Analysis, Row, row};
pub use filter::{Asking, Columns, Filter, FilterError, Parts};
