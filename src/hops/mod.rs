//! Exchanges to chains: which legs belong to one journey, and what each hop did to what it passed on.
//! A flow without a request that has a finding is a chain without legs.

mod assign;
mod candidates;
mod card;
mod clocks;
pub mod diff;
mod elsewhere;
mod halves;
mod hosts;
mod join;
mod lost;
mod mirrored;
mod passed;
mod said;
mod score;
mod sealed;
mod sightings;
#[cfg(test)]
pub(crate) mod testing;
mod tried;
mod twins;

use crate::base::{ExchangeId, FlowId};

pub use card::was_forwarded_twice;
pub use clocks::Clock;
pub use diff::Diff;
pub use elsewhere::never_came;
pub use halves::{United, unite};
pub use hosts::{Hosts, Pin};
pub use join::{Edge, Joined, Told, Twin, chains, join};
pub use lost::lost;
pub use mirrored::mirrored;
pub use passed::{Beyond, Passed};
pub use sealed::{Around, Ended};
pub use sightings::Sightings;
pub use tried::tried;
pub use twins::without_copies;

/// Another order of its entries in each run, so that no capture can aim at collisions: nothing that a
/// report shows may depend on that order.
type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::RandomState>;
type Set<K> = hashbrown::HashSet<K, foldhash::fast::RandomState>;

/// The id of the chain that begins with this leg.
pub fn chain_of_leg(first: ExchangeId) -> i64 {
    i64::try_from(first.0).unwrap_or(i64::MAX)
}

/// The id of the chain of a flow without a request.
pub fn chain_of_flow(flow: FlowId) -> i64 {
    -i64::from(flow.0)
}
