//! Compressed inputs: recognised by their first bytes, unpacked on a thread of their own.
//!
//! Below the read buffer stands one `Read`, [`Unpacked`]. What it gives is the capture inside, whatever the
//! method, however many members or frames there are. One method per file; `METHODS` registers it.
//!
//! A stream that is cut gives what comes before the cut and then ends; one that is corrupt gives what comes
//! before and then the error [`Spoilt`]. Memory is bounded by `limits` alone: what a stream claims to unpack
//! to is never believed, only unpacked piece by piece.

mod gzip;
mod lz4;
mod members;
mod packed;
mod thread;
mod xz;
mod zstd;

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use members::Members;
use packed::Packed;
pub(super) use thread::Unpacked;

/// A way to compress.
pub(super) struct Method {
    pub(super) name: &'static str,
    /// First bytes of every member or frame.
    magic: &'static [u8],
    /// Between its frames may be others that are to be skipped (RFC 8878 §3.1.2, LZ4 frame format).
    skippable: bool,
    /// Its decompressor may wait for more bytes even where some are in memory.
    pulls: bool,
    /// Unpacks members one after the other.
    member: fn() -> Box<dyn members::Member>,
    /// The command that unpacks a file of it to a pipe.
    pub(super) command: &'static str,
}

static METHODS: &[&Method] = &[&gzip::METHOD, &lz4::METHOD, &xz::METHOD, &zstd::METHOD];

/// How the file that begins with `head` is compressed; `None` where it is not.
pub(super) fn recognise(head: &[u8]) -> Option<&'static Method> {
    // `pzstd` puts a frame to be skipped first.
    let inner = packed::skippable(head).and_then(|length| head.get(length..)).unwrap_or_default();
    METHODS.iter().find(|m| head.starts_with(m.magic) || m.skippable && inner.starts_with(m.magic)).copied()
}

/// The bytes of a compressed input, of which some may be read already.
pub(super) struct Input {
    pub(super) from: Box<dyn Read + Send>,
    /// Bytes that were read, from `start` to `end`.
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Its length in bytes; `None` for pipes.
    pub(super) size: Option<u64>,
}

/// Begins to unpack. `ahead`: on a thread of its own; else only when asked, and no more than is asked for.
pub(super) fn start(method: &'static Method, input: Input, ahead: bool) -> (Unpacked, Watch) {
    let watch = Watch::default();
    // A pipe may fall silent: what is unpacked until then is handed over. A file never does.
    let (live, size) = (input.size.is_none(), input.size);
    let members = Members::new(method, Packed::new(input, watch.clone()), watch.clone(), size);
    (Unpacked::new(members, live, ahead, watch.clone()), watch)
}

/// What is known from outside of a stream that is being unpacked.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Watched>);

#[derive(Default)]
struct Watched {
    read: AtomicU64,
    stop: AtomicBool,
    cut: AtomicBool,
    rest: AtomicU64,
}

impl Watch {
    /// Compressed bytes read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    /// The stream ended before its end. Known when all of it was read.
    pub(super) fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Relaxed)
    }

    /// Bytes behind the last member that are none. Known when all of it was read.
    pub(super) fn rest(&self) -> u64 {
        self.0.rest.load(Ordering::Relaxed)
    }
}

/// The error of a stream that cannot be unpacked on.
#[derive(Debug)]
pub(super) struct Spoilt {
    /// In words, lower case, no full stop: what is wrong, and where.
    pub(super) why: String,
    pub(super) to_do: String,
}

impl Spoilt {
    /// What `error` is, if unpacking raised it.
    pub(super) fn of(error: &io::Error) -> Option<&Spoilt> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Spoilt {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests;
