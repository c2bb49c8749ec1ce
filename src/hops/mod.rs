//! Exchanges to chains: which legs belong to one journey, and what each hop did to what it passed on.
//! A flow without a request that has a finding is a chain without legs.

pub mod diff;
#[cfg(test)]
pub(crate) mod testing;

use crate::base::{ExchangeId, FlowId};

pub use diff::Diff;

/// The id of the chain that begins with this leg.
pub fn chain_of_leg(first: ExchangeId) -> i64 {
    i64::try_from(first.0).unwrap_or(i64::MAX)
}

/// The id of the chain of a flow without a request.
pub fn chain_of_flow(flow: FlowId) -> i64 {
    -i64::from(flow.0)
}
