//! What an exchange that is a stream of HTTP/2 has beside its heads.

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{Direction, Evidence};

/// A stream (RFC 9113 §5.1), and what its connection had said that bears on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// Odd: opened by the client.
    pub id: u32,
    pub entry: Entry,
    /// What the server had said of extended CONNECT (RFC 8441 §3) when the request came. `None`: its SETTINGS
    /// were not, or not wholly, seen.
    pub connect_protocol: Option<bool>,
    /// The same when the stream was over; `Some(false)` only where its SETTINGS were seen.
    pub connect_protocol_at_last: Option<bool>,
    /// The server's first SETTINGS. `None`: not seen.
    pub settings: Option<Place>,
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL was 1 and then 0.
    pub reverted: Option<Place>,
    /// END_STREAM stood on the request's (final response's) head.
    pub ends_with_request: bool,
    pub ends_with_response: bool,
    /// What ended it. `None`: still open when the capture ended, or not known.
    pub end: Option<StreamEnd>,
    /// RFC 9113 §7. `None`: the capture does not have it, or it was ended in another way.
    pub code: Option<u32>,
    /// The client's (server's) END_STREAM.
    pub side_ended: [Option<Timestamp>; 2],
    /// The longest time for which it, or its connection, might not be sent on.
    pub stall: Option<WindowStall>,
}

/// How its connection came to speak HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// By its first bytes (RFC 9113 §3.3).
    #[default]
    Preface,
    /// By `Upgrade: h2c` (RFC 7540 §3.2).
    Upgrade,
    /// The capture began behind that.
    Midstream,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// END_STREAM of both sides.
    Ended,
    /// RST_STREAM (RFC 9113 §6.4).
    Reset(Direction),
    /// GOAWAY said that it was not looked at (RFC 9113 §6.8).
    GoAway(Direction),
    /// The connection ended under it; `goaway`: behind a GOAWAY of this side.
    Closed { goaway: Option<Direction> },
}

/// A frame's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub at: PacketRef,
    pub ts: Timestamp,
    pub from: Direction,
    /// In bytes of its direction's stream.
    pub offset: u64,
}

impl Place {
    /// The frame's header (RFC 9113 §4.1) as evidence.
    pub fn evidence(self) -> Evidence {
        let bytes = self.offset..self.offset.saturating_add(9);
        Evidence { at: self.at, direction: Some(self.from), bytes: Some(bytes) }
    }
}

/// A flow-control window that was used up (RFC 9113 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowStall {
    /// Who could not go on.
    pub sender: Direction,
    /// The window was the connection's, not the stream's.
    pub connection: bool,
    pub from: Timestamp,
    /// `None`: it was never opened again.
    pub length: Option<Nanos>,
    /// Its sender had waited with data: it went on as soon as it might.
    pub waited: bool,
}
