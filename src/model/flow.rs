//! A TCP connection, as far as a rule may ask about it.

use crate::base::{Endpoint, FlowId, PacketRef, Timestamp};

/// How the connection's opening went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectState {
    /// SYN and SYN-ACK seen.
    #[default]
    Established,
    /// The SYN was answered by RST.
    Refused,
    /// SYNs without any answer.
    Unanswered,
    /// No SYN in view.
    Midstream,
}

/// A flow that never carried a request and is worth a finding, such as a refused connection.
#[derive(Clone, Debug)]
pub struct FlowFacts {
    pub id: FlowId,
    pub client: Endpoint,
    pub server: Endpoint,
    pub state: ConnectState,
    /// The first SYN.
    pub syn: PacketRef,
    pub syn_at: Timestamp,
    /// How many SYNs were seen.
    pub syns: u32,
    /// The packet that answered or ended it.
    pub end: Option<PacketRef>,
    pub end_at: Option<Timestamp>,
}
