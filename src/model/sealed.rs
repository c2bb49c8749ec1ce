//! A connection in TLS that was not read: what it shows all the same.

use std::ops::RangeInclusive;

use crate::base::{Nanos, PacketRef, Timestamp};
use crate::model::{Direction, Transport};

/// What TLS shows without its secrets: sizes, times, and how it ended. Nothing in it is of what runs inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Protocols that the client offered (ALPN, RFC 7301), in its order.
    pub alpn_offered: Box<[Box<[u8]>]>,
    /// Of client and server.
    pub sides: [SealedSide; 2],
    /// What TCP tells beside the bytes, once its first records were seen. `None`: nothing of note.
    pub transport: Option<Box<Transport>>,
}

/// One direction of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedSide {
    /// Its first records, the handshake's too; at most `limits::TLS_FIRST_RECORDS`, and none behind a hole or
    /// behind `limits::SEALED_LOOKED_AT_BYTES`.
    pub records: Box<[SealedRecord]>,
    /// Bytes of it, records' headers included, as far as they were seen or are known to be missing.
    pub bytes: u64,
    /// The last segment with payload. `None`: there was none.
    pub last: Option<SealedSegment>,
}

/// A record as it went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRecord {
    /// When its last byte came.
    pub ts: Timestamp,
    /// Bytes of its body.
    pub bytes: u16,
    /// Content type of its header (RFC 8446 §5.1): in TLS 1.3, 23 for all that is encrypted.
    pub kind: u8,
}

/// A segment with payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedSegment {
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Bytes of its payload.
    pub bytes: u32,
    /// It ends with a record as long as an alert is: close_notify, most likely (RFC 8446 §6.1). `None`: it was
    /// cut, more was to follow it at once (no PSH), or how long an alert is with this cipher is not known.
    pub close_notify: Option<bool>,
}

/// The shortest opening handshake with what must stand in it, and the shortest 101, with what TLS adds at least.
const LEAST_HANDSHAKE: u16 = 140 + ADDED;
const LEAST_ANSWER: u16 = 129 + ADDED;

/// From an empty frame of a client, which is masked (6 bytes), to what no request of HTTP/1.x with a Host fits into. An
/// alert is shorter.
const SHORT: RangeInclusive<u16> = 6 + ADDED..=40 + ADDED;

/// Tag and content type of TLS 1.3; before, more was added (RFC 8446 §5.2).
const ADDED: u16 = 17;

/// Content type of all that is encrypted in TLS 1.3, and of data before (RFC 8446 §5.1).
const DATA: u8 = 23;

impl SealedSide {
    /// Those of its first records that are data, as far as their headers tell: in TLS 1.3 most of the handshake too.
    pub fn data(&self) -> impl Iterator<Item = &SealedRecord> {
        self.records.iter().filter(|record| record.kind == DATA)
    }
}

impl Sealed {
    /// What this side sent.
    pub fn of(&self, from: Direction) -> &SealedSide {
        let [client, server] = &self.sides;
        if from == Direction::ClientToServer { client } else { server }
    }

    /// Whether the client offers HTTP/2, so that this is no connection that was opened for one WebSocket: clients
    /// that open one offer HTTP/1.1 alone, or nothing.
    pub fn offers_h2(&self) -> bool {
        self.alpn_offered.iter().any(|name| **name == *b"h2")
    }

    /// Whether its first records are as those of a WebSocket and not of requests: one of the client as long as a
    /// handshake, one of the server as long as a 101 behind it, and behind that some of the client that are too short
    /// for a request of HTTP/1.x (RFC 6455 §4.1, §5.2).
    pub fn talks_like_websocket(&self) -> bool {
        let [client, server] = &self.sides;
        let Some(request) = client.data().find(|record| record.bytes >= LEAST_HANDSHAKE) else { return false };
        let Some(answer) = server.data().find(|r| r.ts > request.ts && r.bytes >= LEAST_ANSWER) else { return false };
        client.data().any(|record| record.ts > answer.ts && SHORT.contains(&record.bytes))
    }

    pub(super) fn shift(&mut self, by: Nanos) {
        for side in &mut self.sides {
            side.records.iter_mut().for_each(|record| record.ts = record.ts + by);
            side.last.iter_mut().for_each(|last| last.ts = last.ts + by);
        }
        self.transport.iter_mut().for_each(|transport| transport.shift(by));
    }
}
