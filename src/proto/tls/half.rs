//! One direction of a connection: its records out of pieces, what protects them, and what was seen of them.

use super::messages::Messages;
use super::open::Opener;
use super::secrets::Secret;
use crate::base::{PacketRef, Timestamp, limits};
use crate::wire::tls::record::{self, Header};

/// A record as it went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSeen {
    /// When its last byte came.
    pub ts: Timestamp,
    /// Content type of its header: in TLS 1.3, 23 for all that is encrypted.
    pub kind: u8,
    /// Bytes of its body.
    pub length: u16,
}

/// What was seen of a direction, with or without keys.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The first records, at most `limits::TLS_FIRST_RECORDS`.
    pub first: Vec<RecordSeen>,
    /// The last record whose end was seen. Without keys, records are followed no further than the first ones.
    pub last: Option<RecordSeen>,
    /// The last bytes that came: how many, when, and in which packet.
    pub last_segment: Option<(u64, Timestamp, PacketRef)>,
    /// They end with 24 bytes that have the form of an alert of TLS 1.3.
    pub ends_like_alert: bool,
}

impl Seen {
    pub(super) fn record(&mut self, ts: Timestamp, kind: u8, length: u16) {
        let seen = RecordSeen { ts, kind, length };
        if self.first.len() < limits::TLS_FIRST_RECORDS {
            self.first.push(seen);
        }
        self.last = Some(seen);
    }

    pub(super) fn is_full(&self) -> bool {
        self.first.len() >= limits::TLS_FIRST_RECORDS
    }
}

/// Which of its keys a direction speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The keys of TLS 1.2.
    Master,
    Early,
    Handshake,
    Application,
}

/// How a direction's records are read.
pub(super) enum Phase {
    /// They are in clear.
    Clear,
    /// They are encrypted, and the secrets of this stage may still come; of [`Stage::Early`] it is the server's
    /// answer that is waited for.
    Wait(Stage),
    Open(Box<Open>),
    /// Nothing can be read any more.
    Blind,
}

/// Keys in use.
pub(super) struct Open {
    pub(super) stage: Stage,
    pub(super) opener: Opener,
    /// The next record's sequence number, unless records are missing.
    pub(super) seq: u64,
    /// Of TLS 1.3, for the keys that follow on KeyUpdate. `None`: of TLS 1.2, or an earlier stage.
    pub(super) secret: Option<Secret>,
    /// Records that do not fit are not of these keys: early data that was refused (RFC 8446 §4.2.10), or a
    /// stage whose secret is missing. Ends with the first that fits.
    pub(super) forgiving: bool,
}

/// One direction.
pub(super) struct Half {
    pub(super) phase: Phase,
    /// Offset of the first byte that is not in `buffer`, taken or passed over.
    pub(super) end: u64,
    /// The beginning of a record; while `scanning`, all that may hold one.
    pub(super) buffer: Vec<u8>,
    /// Bytes of a damaged or uninteresting record that are still to be passed over.
    pub(super) skip: u64,
    /// It is not known where the next record begins.
    pub(super) scanning: bool,
    /// Where in `buffer` it is looked for.
    pub(super) scanned: usize,
    /// Records that may be missing before the next one.
    pub(super) slack: u64,
    /// Bytes of records that could not be read since the last that could.
    pub(super) lost: u64,
    /// Encrypted records that went by and were not held, while keys were waited for.
    pub(super) passed: u64,
    /// Without keys: the record whose end is waited for.
    pub(super) passing: Option<Header>,
    pub(super) messages: Messages,
    /// ChangeCipherSpec came before the version was known.
    pub(super) changed: bool,
    /// Offset of the next byte of plaintext.
    pub(super) plain: u64,
    /// A record was accepted.
    pub(super) speaks_tls: bool,
    /// Its close was given; and all that waited before it is told.
    pub(super) ending: bool,
    pub(super) closed: bool,
    pub(super) seen: Seen,
}

impl Half {
    pub(super) fn new(begin: u64) -> Self {
        Half {
            phase: Phase::Clear,
            end: begin,
            buffer: Vec::new(),
            skip: 0,
            scanning: false,
            scanned: 0,
            slack: 0,
            lost: 0,
            passed: 0,
            passing: None,
            messages: Messages::default(),
            changed: false,
            plain: 0,
            speaks_tls: false,
            ending: false,
            closed: false,
            seen: Seen::default(),
        }
    }

    /// Records may be missing: so many bytes of them.
    pub(super) fn miss(&mut self, bytes: u64) {
        /// The shortest record that is encrypted: an alert with a tag of eight bytes.
        const SHORTEST: u64 = 5 + 2 + 1 + 8;
        self.lost = self.lost.saturating_add(bytes);
        self.slack = (self.slack + bytes / SHORTEST + 1).min(limits::TLS_SEQUENCE_TRIES);
    }

    /// One record could not be read, and all of it is known to have gone by.
    pub(super) fn miss_one(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
        self.slack = (self.slack + 1).min(limits::TLS_SEQUENCE_TRIES);
    }

    /// From here on only its headers are looked at.
    pub(super) fn go_blind(&mut self) {
        self.phase = Phase::Blind;
        if let record::Read::Header(header) = record::header(&self.buffer) {
            self.skip = header.whole().saturating_sub(self.buffer.len()) as u64;
            self.passing = Some(header);
        }
        if self.passing.is_some() || self.scanning {
            self.buffer = Vec::new();
        }
        self.messages.restart();
    }

    pub(super) fn is_blind(&self) -> bool {
        matches!(self.phase, Phase::Blind)
    }
}
