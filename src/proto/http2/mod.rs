//! One HTTP/2 connection (RFC 9113): in-order bytes to heads, content and ends of its streams. Read with
//! RFC 9113, RFC 7541 and RFC 8441 open.
//!
//! # How an owner drives it
//!
//! [`Http2`] has no clock, no flow, no ids of exchanges. Its owner is whoever has the in-order bytes of both
//! directions: a machine of `proto` for clear text, or the TLS machine with what it decrypted. The owner
//!
//! 1. makes one: [`Http2::new`] where both directions begin here (the client's first bytes are
//!    `wire::h2::PREFACE`, or ALPN said `h2`); [`Http2::upgraded`] behind a 101 to `Upgrade: h2c`;
//!    [`Http2::midstream`] where a connection is joined that is known to speak HTTP/2, but not since when;
//! 2. passes on each `stream::Chunk`: data to [`Http2::push`], holes to [`Http2::gap`], ends to
//!    [`Http2::close`], each with a [`Mark`]. Offsets are those of whatever stream evidence shall point into
//!    (inside TLS, the decrypted one). The order between the directions is that of `stream`: an answer never
//!    before what it acknowledges;
//! 3. implements [`Output`], which is called back meanwhile, and keeps there what it wants to keep, by stream
//!    id: an id is never used twice in a connection.
//!
//! Each [`Output::request`] begins an exchange: count it, and ask [`Block::head`] for a `model::Head` only where
//! it is wanted (a candidate is a stream with [`Stream::extended_connect`], or whose fields include
//! `sec-websocket-key`, `sec-websocket-version` or `upgrade`; see `h2-get-with-ws-fields`). `Head::coded` is true
//! of such heads: pseudo-fields come first in `fields` as sent, method, target, status and version (`HTTP/2`) are
//! filled from them, and evidence points at the frames, not into fields. `LineFaults::UNKNOWN` and `POSSIBLE`
//! of the head or of a field tell what the capture could not show; nothing of such a field may be held against
//! anybody. What follows on a stream: any [`Output::interim`], [`Output::response`], [`Output::data`],
//! [`Output::trailers`], [`Output::side_ended`], and at last [`Output::ended`], once, for every stream that any
//! of these spoke of. After [`Http2::upgraded`], stream 1 begins without a request: that one was HTTP/1.1's.
//!
//! # WebSocket inside
//!
//! A 2xx to an extended CONNECT with `:protocol: websocket` grants it (RFC 8441 §5). From then on the content of
//! each direction of that stream is a stream of WebSocket frames, masked as in HTTP/1.1: the owner keeps a
//! frame reader for each direction and stream, gives it the bytes of [`Output::data`] in order, and steps over
//! [`Output::data_lost`] as over a hole. DATA frames and WebSocket frames do not begin together. The `Mark` of
//! a piece is the packet and the place of its first byte in the connection's stream. Content that a client
//! sends before the answer is early data of the same stream.
//!
//! # Which rule needs what (the rules of HTTP/2 legs)
//!
//! | rule | facts |
//! |---|---|
//! | `h2-hop-by-hop-field` | the head's fields (also of trailers) |
//! | `h2-get-with-ws-fields` | the head's method and fields, [`Stream::status`] |
//! | `h2-no-setting` | [`Stream::connect_protocol`] is `Some(false)`, [`Stream::extended_connect`] |
//! | `h2-setting-absent` | [`Facts::settings_of`] the server: `seen`, not `partly_lost`, no `enable_connect_protocol`; not [`Facts::lossy`] |
//! | `h2-setting-advertised-unsupported` | [`Stream::connect_protocol`], [`Stream::status`], [`How::Reset`] |
//! | `h2-setting-reverted` | [`Settings::connect_protocol_reverted`] |
//! | `h2-connect-pseudo` | [`Stream::extended_connect`], the head's pseudo-fields |
//! | `h2-connect-refused` | [`Stream::status`] |
//! | `h2-status-101` | [`What::SwitchingProtocols`], [`Stream::status`] |
//! | `h2-key-or-accept-present` | the heads' fields |
//! | `h2-end-stream-early` | [`Stream::ends_with_request`], [`Stream::ends_with_response`] |
//! | `h2-stream-ended-no-close` | [`Ended`], [`Stream::side_ended`]; the frame reader knows of a Close |
//! | `h2-goaway` | [`News::GoAway`], [`Facts::goaway`], [`How::GoAway`] |
//! | `h2-flow-stall` | [`News::Stalled`]: `resumed` shows that the sender had waited with data |
//! | `h2-bridge`, `h2-backend-needs-h1` | the heads of both legs, [`Facts::entry`] |
//! | `h2-coalesced-421` | [`Stream::status`] |
//!
//! # Losses and bounds
//!
//! A hole inside DATA is stepped over by its length. One inside a field block costs that head, and makes uncertain
//! what later blocks of this direction refer to (`wire::hpack`). Behind one over a frame header, and midstream,
//! a chain of `limits::H2_RESYNC_FRAMES` plausible frame headers is looked for; frames before it are not read.
//! Bytes are bounded by `limits::H2_*` and `HPACK_*`, each counted in [`Facts`] where it is hit; at most some 2 MiB
//! for a connection that tries, a few KiB for others. No frame costs an allocation, nor does a head that
//! nobody asks for; a stream costs its place in a table.

mod block;
mod connection;
mod events;
mod facts;
mod frames;
mod half;
mod search;
mod streams;
mod window;

pub use block::Block;
pub use connection::Http2;
pub use events::{Ended, Fault, How, News, Output, What};
pub use facts::{Entry, Facts, GoAway, Settings};
pub use streams::{Seen, Stream};
pub use window::Stall;

use crate::base::{PacketRef, Timestamp};
use crate::model::Direction;

/// When, by which packet, and where in its direction's stream something came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Bytes from the first of the direction's stream.
    pub offset: u64,
}

impl Mark {
    /// So many bytes further on, in the same packet.
    fn plus(self, bytes: usize) -> Mark {
        Mark { offset: self.offset.saturating_add(bytes as u64), ..self }
    }
}

/// The other side's direction.
fn peer(from: Direction) -> Direction {
    match from {
        Direction::ClientToServer => Direction::ServerToClient,
        Direction::ServerToClient => Direction::ClientToServer,
    }
}

/// A direction's place in arrays of client and server.
fn at(from: Direction) -> usize {
    usize::from(from == Direction::ServerToClient)
}

#[cfg(test)]
mod tests;
