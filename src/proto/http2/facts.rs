//! What is known of a connection as a whole, beside its streams.

use crate::base::{Timestamp, limits};
use crate::model::Direction;
use crate::wire::h2;

use super::{Mark, at};

/// How the connection came to speak HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By its first bytes: prior knowledge, or ALPN inside TLS (RFC 9113 §3.3).
    Preface,
    /// By `Upgrade: h2c` (RFC 7540 §3.2).
    Upgrade,
    /// Unknown: joined while it ran.
    Midstream,
}

/// All that is known of a connection. Arrays by sender: client, server.
#[derive(Clone, Debug)]
pub struct Facts {
    pub entry: Entry,
    pub settings: [Settings; 2],
    /// The last GOAWAY.
    pub goaway: [Option<GoAway>; 2],
    /// Frames by kind, those of unknown kinds last. Counts stop at their largest value.
    pub frames: [[u32; 11]; 2],
    /// Bytes were lost over a frame's header, or the connection was joined late: streams may run whose
    /// beginning, and may have ended whose end, was not seen.
    pub lossy: bool,
    /// Streams whose first frame was seen.
    pub streams: u32,
    /// Streams given up because of `limits::H2_STREAMS`.
    pub streams_evicted: u32,
    /// Field blocks that were lost to gaps or `limits::H2_BLOCK_BYTES`.
    pub blocks_lost: u32,
    /// Field lists cut at `limits::HPACK_LIST_BYTES` or `HEAD_FIELDS`.
    pub lists_cut: u32,
    /// Field blocks of more than `limits::H2_CONTINUATIONS` frames.
    pub floods: u32,
    /// Times at which a direction was found again behind a hole.
    pub resyncs: u32,
    /// Directions left alone because of `limits::H2_RESYNCS`.
    pub given_up: u32,
    /// All faults, those beyond `limits::H2_FAULTS` too.
    pub faults: u32,
    /// Frames on streams that were over or were never opened.
    pub stray_frames: u32,
}

/// What one side announced (RFC 9113 §6.5). `None`: it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Its first SETTINGS, or the HTTP2-Settings field (then all zero).
    pub seen: Option<Mark>,
    /// Parts of it were lost to the capture: what is `None` may have been said.
    pub partly_lost: bool,
    /// When the peer first acknowledged them.
    pub acked: Option<Timestamp>,
    pub header_table_size: Option<u32>,
    pub enable_push: Option<u32>,
    pub max_concurrent_streams: Option<u32>,
    pub initial_window_size: Option<u32>,
    pub max_frame_size: Option<u32>,
    pub max_header_list_size: Option<u32>,
    /// RFC 8441 §3: 1 of a server that takes extended CONNECT.
    pub enable_connect_protocol: Option<u32>,
    /// It was 1, and then 0, which RFC 8441 §3 forbids.
    pub connect_protocol_reverted: Option<Mark>,
    pub no_rfc7540_priorities: Option<u32>,
}

/// RFC 9113 §6.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway {
    pub mark: Mark,
    /// Streams of the other side above this one were not looked at. `None`: lost to the capture.
    pub last_stream: Option<u32>,
    /// Its name: [`h2::error_name`]. `None`: lost to the capture.
    pub code: Option<u32>,
    debug: [u8; limits::H2_DEBUG_BYTES],
    debug_len: usize,
}

impl GoAway {
    pub(super) fn new(mark: Mark, read: Option<(u32, u32)>) -> Self {
        let (last_stream, code) = (read.map(|r| r.0), read.map(|r| r.1));
        GoAway { mark, last_stream, code, debug: [0; limits::H2_DEBUG_BYTES], debug_len: 0 }
    }

    pub(super) fn add_debug(&mut self, bytes: &[u8]) {
        let room = self.debug.get_mut(self.debug_len..).unwrap_or_default();
        let n = room.len().min(bytes.len());
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.debug_len += n;
    }

    /// Its debug data, at most `limits::H2_DEBUG_BYTES`.
    pub fn debug(&self) -> &[u8] {
        self.debug.get(..self.debug_len).unwrap_or_default()
    }
}

impl Facts {
    pub(super) fn new(entry: Entry) -> Self {
        Facts {
            entry,
            settings: [Settings::default(); 2],
            goaway: [None; 2],
            frames: [[0; 11]; 2],
            lossy: entry == Entry::Midstream,
            streams: 0,
            streams_evicted: 0,
            blocks_lost: 0,
            lists_cut: 0,
            floods: 0,
            resyncs: 0,
            given_up: 0,
            faults: 0,
            stray_frames: 0,
        }
    }

    /// What this side announced.
    pub fn settings_of(&self, side: Direction) -> &Settings {
        let [client, server] = &self.settings;
        if side == Direction::ClientToServer { client } else { server }
    }

    pub(super) fn settings_mut(&mut self, side: Direction) -> &mut Settings {
        let [client, server] = &mut self.settings;
        if side == Direction::ClientToServer { client } else { server }
    }

    pub(super) fn goaway_mut(&mut self, side: Direction) -> &mut Option<GoAway> {
        let [client, server] = &mut self.goaway;
        if side == Direction::ClientToServer { client } else { server }
    }

    /// Whether the server takes extended CONNECT, as it has said so far. `None`: its SETTINGS were not, or
    /// not wholly, seen and what was seen does not say so.
    pub fn connect_protocol(&self) -> Option<bool> {
        let settings = self.settings_of(Direction::ServerToClient);
        match settings.enable_connect_protocol {
            Some(value) => Some(value == 1),
            None if self.lossy || settings.partly_lost => None,
            // Nothing said so far, and nothing lost.
            None => Some(false),
        }
    }

    /// Frames of this kind from this side.
    pub fn frames_of(&self, side: Direction, kind: u8) -> u32 {
        let counts = self.frames.get(at(side));
        counts.and_then(|counts| counts.get(usize::from(kind).min(10))).copied().unwrap_or(0)
    }

    pub(super) fn count_frame(&mut self, side: Direction, kind: u8) {
        let counts = self.frames.get_mut(at(side));
        if let Some(count) = counts.and_then(|counts| counts.get_mut(usize::from(kind).min(10))) {
            *count = count.saturating_add(1);
        }
    }
}

impl Settings {
    /// Takes one parameter. What is not known here is passed over (RFC 9113 §6.5.2).
    pub(super) fn set(&mut self, id: u16, value: u32, mark: Mark) {
        let slot = match id {
            h2::HEADER_TABLE_SIZE => &mut self.header_table_size,
            h2::ENABLE_PUSH => &mut self.enable_push,
            h2::MAX_CONCURRENT_STREAMS => &mut self.max_concurrent_streams,
            h2::INITIAL_WINDOW_SIZE => &mut self.initial_window_size,
            h2::MAX_FRAME_SIZE => &mut self.max_frame_size,
            h2::MAX_HEADER_LIST_SIZE => &mut self.max_header_list_size,
            h2::ENABLE_CONNECT_PROTOCOL => {
                if self.enable_connect_protocol == Some(1) && value == 0 {
                    self.connect_protocol_reverted.get_or_insert(mark);
                }
                &mut self.enable_connect_protocol
            }
            h2::NO_RFC7540_PRIORITIES => &mut self.no_rfc7540_priorities,
            _ => return,
        };
        *slot = Some(value);
    }

    /// The window that streams of the other side begin with, in bytes.
    pub fn initial_window(&self) -> i64 {
        i64::from(self.initial_window_size.unwrap_or(h2::DEFAULT_WINDOW))
    }
}
