//! TLS 1.2 and 1.3 as a layer over a connection's bytes: with secrets from a key log it gives what was sent
//! inside; without them, what can still be said. Read with RFC 8446 and RFC 5246 open.
//!
//! # How an owner drives it
//!
//! One [`Tools`] for all connections of an analysis: the secrets, spare buffers, counters. One [`Session`] for
//! each connection, made when its first bytes look like a record (`wire::sniff::Guess::Tls`), with the offset in
//! each direction's stream at which TLS begins (0, or behind a PROXY header or a CONNECT).
//!
//! For each chunk that the connection delivers, in the order of delivery, the owner makes an [`Input`] and asks
//! [`Session::next`] for events until there is none:
//!
//! ```
//! # use hopscope::base::{PacketRef, Timestamp};
//! # use hopscope::model::Direction;
//! # use hopscope::proto::tls::{Event, Input, Session, Tools, What};
//! # let (mut tools, mut session) = (Tools::default(), Session::new([0, 0]));
//! # let (ts, at, offset, data) = (Timestamp(0), PacketRef::new(0, 1), 0, &[22, 3, 1][..]);
//! let mut plain = tools.buffer();
//! let mut input = Input { dir: Direction::ClientToServer, ts, at, offset, what: What::Data(data) };
//! while let Some(event) = session.next(&mut tools, &mut input, &mut plain) {
//!     match event {
//!         // The next machine's chunk: bytes, time, packet, offset.
//!         Event::Data(d) => drop((&plain[..d.length], d.place.ts, d.place.at, d.offset)),
//!         // A gap of the next machine's stream.
//!         Event::Lost(l) => drop((l.offset, l.length, l.exact)),
//!         // session.facts() knows more: SNI, ALPN, version, suite.
//!         Event::Hello => {}
//!         Event::Alert(_) | Event::Failed(_) | Event::Blind(_) => {}
//!     }
//! }
//! tools.give_back(plain);
//! ```
//!
//! - Neither the session nor the tools are borrowed while an event is handled, so that the owner may feed what it
//!   got to an inner machine, TLS inside TLS too, with the same tools. `plain` must not be changed between two
//!   calls for one input, and belongs to the owner between two inputs.
//! - A hole is `What::Gap`, a FIN or the end of the capture `What::Close`, for each direction by itself. An
//!   `offset` beyond the last byte is taken for a gap, one before it for a repetition.
//! - Events of one direction are in order. Between the directions, what was sent inside comes out in the order in
//!   which records were completed, but for early data (RFC 8446 §2.3): it comes when the server has accepted
//!   it, and not at all if it refused it.
//! - `Data` has the time and the packet of the record's **last** byte: before that nobody could read it.
//! - While [`Secrets::may_grow`] is set, the owner calls [`Session::retry`] on its sessions in
//!   [`State::Waiting`] when a log has grown (and then `next` with an empty `What::Data`).
//! - In [`State::Blind`] a session costs a few comparisons for each chunk, and must still be given them if
//!   [`Session::seen`] is wanted; [`Event::Blind`] says why. A session is whole in memory between 1 and 2 KiB,
//!   plus a record in pieces each way, plus `limits::TLS_HELD_BYTES` while it waits.
//!
//! # What is certain
//!
//! A record that fails its tag or MAC gives [`Event::Failed`] and no byte. After it, and behind a hole, the next
//! record header that looks like one is tried with the sequence numbers that may follow (at most
//! `limits::TLS_SEQUENCE_TRIES`), and with the keys that may follow; the tag decides. What was lost between is
//! [`Event::Lost`].
//!
//! # What it does not do
//!
//! TLS 1.0 and 1.1, DTLS, ciphers other than AES and ChaCha20, and connections whose ClientHello or
//! ServerHello is not in the capture: these are [`Blind`], with the reason.

mod aead;
mod cbc;
mod facts;
mod half;
mod hellos;
mod messages;
mod open;
mod passing;
mod records;
mod schedule;
mod secrets;
mod session;
mod waiting;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::Direction;

pub use facts::{Early, Facts};
pub use half::{RecordSeen, Seen};
pub use secrets::{Counted as SecretsCounted, KeyLog, Label, Secret, Secrets};
pub use session::{Session, State};

/// What all sessions of an analysis share.
#[derive(Default)]
pub struct Tools {
    pub secrets: Secrets,
    pub counted: Counted,
    /// Bytes that wait in all sessions.
    held: Arc<AtomicUsize>,
    spare: Vec<Vec<u8>>,
}

/// What was counted. Counts, unless the name says bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Records seen whole, those of sessions in [`State::Blind`] left out.
    pub records: u64,
    /// Of these, the ones whose tag or MAC fitted, and the bytes of content in them.
    pub opened: u64,
    pub opened_bytes: u64,
    /// Records that fitted neither their tag nor their place.
    pub failed: u64,
    /// Records of early data that the server refused, or of a stage whose secret is missing.
    pub passed_over: u64,
    /// Bytes of records that were not read: lost to the capture, failed, or given up.
    pub lost_bytes: u64,
    /// Times at which the next record was looked for because of a hole or of damage, and found.
    pub resynchronised: u64,
    /// Tries with another sequence number or other keys.
    pub tries: u64,
    /// Sessions in which `limits::TLS_TRIED_BYTES` were used up.
    pub tries_exhausted: u64,
    /// Records not held because of `limits::TLS_HELD_BYTES` or `limits::TLS_HELD_TOTAL_BYTES`.
    pub not_held: u64,
    /// Hellos longer than `limits::TLS_HELLO_BYTES`.
    pub hellos_too_long: u64,
    /// Directions that ended inside a record.
    pub cut: u64,
}

impl Tools {
    /// A buffer for [`Session::next`], empty or not.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a buffer for its next use.
    pub fn give_back(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 && self.spare.len() < limits::TLS_SPARE_BUFFERS {
            self.spare.push(buffer);
        }
    }
}

/// A chunk for a session.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub dir: Direction,
    /// Of the packet that brought it.
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Of its first byte in this direction's stream, in bytes. Of no meaning for a close.
    pub offset: u64,
    /// Shrinks as it is used.
    pub what: What<'a>,
}

/// What a chunk is.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    Data(&'a [u8]),
    /// So many bytes are missing.
    Gap(u64),
    /// Nothing more comes of this direction.
    Close,
}

/// Where a record stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub dir: Direction,
    /// Time and packet of its last byte.
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Its bytes, header included, in this direction's stream.
    pub record: Range<u64>,
}

/// What a session found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A hello told more: see [`Session::facts`].
    Hello,
    Data(Data),
    Lost(Lost),
    Alert(Alert),
    Failed(Failed),
    /// Nothing can be read of this connection, from now on or ever. At most once, unless secrets come later.
    Blind(Blind),
}

/// Bytes that were sent inside; they stand at the front of the buffer given to [`Session::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub place: Place,
    /// Of the first byte, in what was sent inside in this direction.
    pub offset: u64,
    /// Bytes; never 0.
    pub length: usize,
    /// Early data that the server accepted (RFC 8446 §2.3): it may have been replayed.
    pub early: bool,
}

/// Bytes that were sent inside and cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub dir: Direction,
    /// Of the record behind it, or of the end.
    pub ts: Timestamp,
    pub at: PacketRef,
    /// Of the first byte that is missing, in what was sent inside.
    pub offset: u64,
    /// Bytes; where this is not exact it is an upper bound, since records have an overhead.
    pub length: u64,
    /// The number of records is known by their sequence, and it is exact if all of them were data (not tickets,
    /// KeyUpdate or alerts, which are rare behind the first data) and had no padding (RFC 8446 §5.4), which hardly
    /// anybody uses.
    pub exact: bool,
}

/// An alert (RFC 8446 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub place: Place,
    pub said: Said,
}

/// What is known of an alert. The level is 1 or 2; `wire::tls::alert` has the descriptions' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was read, in clear or decrypted.
    Read { level: u8, description: u8 },
    /// An encrypted alert of TLS 1.2: certainly an alert, likely close_notify.
    Sealed,
    /// The last record before the close has the size of an alert of TLS 1.3: likely close_notify.
    BySize,
}

/// A record of which nothing is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub place: Place,
    pub why: FailedWhy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedWhy {
    /// It fits neither its tag or MAC, nor any place in the sequence that was tried.
    Tag,
    /// No record of its kind has a place here.
    Unexpected,
    /// The direction ended inside it.
    Cut,
}

/// Why nothing can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// There is no key log at all, or they know the connection and not what was said in it.
    NoSecrets,
    /// The key logs have nothing for this connection's client random.
    SecretsMiss,
    /// The ClientHello or the ServerHello is not in the capture.
    NoHello,
    /// The suite of this number is not read.
    Suite(u16),
    /// This version is not read.
    Version(u16),
    /// It does not speak TLS.
    NotTls,
}
