//! Times, addresses, ids, limits, counters and escaping. Uses `std` only and nothing of the crate.

pub mod counters;
pub mod endpoint;
pub mod escape;
pub mod ids;
pub mod limits;
pub mod time;

pub use counters::{Counters, TlsName};
pub use endpoint::Endpoint;
pub use ids::{ExchangeId, FindingId, FlowId, PacketRef};
pub use time::{Nanos, Timestamp};
