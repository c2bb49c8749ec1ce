//! A decoded field block, and how it becomes a [`Head`].

use std::ops::Range;

use crate::model::{Head, LineFaults, Names, StartLine};
use crate::wire::hpack::List;

use super::Mark;

/// The fields of one head or of trailers, lent for the length of a call. Most are of no interest to their
/// owner, so nothing is copied unless [`Block::head`] is asked for.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub list: &'a List,
    /// Its first frame's first byte.
    pub first: Mark,
    /// Where the frame began that ended it. `ts` and `at` are those of the block's last byte.
    pub last: Mark,
    /// Offset behind its last frame, in bytes of the direction's stream.
    pub end: u64,
}

impl Block<'_> {
    /// The value of the first field of this (lower-case) name. `None`: there is none; empty where its value
    /// is unknown.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.list.value(name.as_bytes())
    }

    /// `:status` (RFC 9113 §8.3.2). `None`: there is none, or it is no number of three digits.
    pub fn status(&self) -> Option<u16> {
        let &[a, b, c] = self.value(":status")? else { return None };
        let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
        Some(digit(a)? * 100 + digit(b)? * 10 + digit(c)?)
    }

    /// A CONNECT with `:protocol` (RFC 8441 §4): the protocol asked for.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.value(":protocol")
    }

    /// Whether any field is not what was sent, or may not be.
    pub fn is_doubtful(&self) -> bool {
        self.list.faults.has(LineFaults(LineFaults::UNKNOWN.0 | LineFaults::POSSIBLE.0))
    }

    /// The whole of it as the model's head: `coded`, all fields in the order in which they were sent. The
    /// start line is of a response where there is a `:status`. A request's target is `:path`, and `:authority`
    /// where there is none (a plain CONNECT); the version is `HTTP/2`; a reason is never there.
    pub fn head(&self) -> Head {
        let list = self.list;
        let range = |name: &str| list.find(name.as_bytes()).map(|f| f.value.clone());
        // It stands first in the text.
        let version: Range<u32> = 0..6;
        let start = if list.find(b":status").is_some() {
            StartLine::Response { version, status: self.status().unwrap_or(0), reason: 0..0 }
        } else {
            let method = range(":method").unwrap_or_default();
            let target = range(":path").or_else(|| range(":authority")).unwrap_or_default();
            StartLine::Request { method, target, version }
        };
        let mut fields = list.fields.clone();
        Head {
            text: list.text.as_slice().into(),
            start,
            names: Names::of(&list.text, &mut fields),
            fields: fields.into(),
            faults: list.faults,
            complete: list.complete,
            coded: true,
            at: self.first.at,
            at_last: self.last.at,
            first: self.first.ts,
            last: self.last.ts,
            range: self.first.offset..self.end,
        }
    }
}
