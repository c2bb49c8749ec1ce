//! HTTP/2 frames (RFC 9113 §4, §6). Read with RFC 9113 open.

/// What a client begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 9;

/// Longest payload that every endpoint accepts, in bytes (RFC 9113 §4.2).
pub const DEFAULT_FRAME_BYTES: u32 = 16_384;

/// Flow-control window of a stream or connection where nothing else was said, in bytes (RFC 9113 §6.9.2).
pub const DEFAULT_WINDOW: u32 = 65_535;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;

/// Flags; which frames have which: RFC 9113 §6.
pub const END_STREAM: u8 = 0x1;
/// The same bit in SETTINGS and PING.
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;

/// SETTINGS parameters (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
pub const HEADER_TABLE_SIZE: u16 = 0x1;
pub const ENABLE_PUSH: u16 = 0x2;
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub const MAX_FRAME_SIZE: u16 = 0x5;
pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
pub const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
pub const NO_RFC7540_PRIORITIES: u16 = 0x9;

/// Bytes of one SETTINGS parameter.
pub const SETTING_BYTES: usize = 6;

/// A frame's header (RFC 9113 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the payload, 24 bits.
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    /// The reserved bit is set, which nobody may.
    pub reserved: bool,
    /// 31 bits; 0 is the connection.
    pub stream: u32,
}

impl FrameHeader {
    /// `None`: fewer than [`HEADER_BYTES`].
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<FrameHeader> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEADER_BYTES>()?;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        let length = u32::from_be_bytes([0, a, b, c]);
        Some(FrameHeader { length, kind, flags, reserved: stream >> 31 != 0, stream: stream & 0x7fff_ffff })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// DATA or HEADERS that is the last of its sender on this stream.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.has(END_STREAM)
    }

    /// What is wrong with the header alone. `None`: nothing.
    pub fn fault(&self) -> Option<HeaderFault> {
        let whole = self.stream == 0;
        let stream = match self.kind {
            SETTINGS | PING | GOAWAY => whole,
            DATA | HEADERS | PRIORITY | RST_STREAM | PUSH_PROMISE | CONTINUATION => !whole,
            _ => true,
        };
        let length = match self.kind {
            PRIORITY => self.length == 5,
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            SETTINGS if self.has(ACK) => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            GOAWAY => self.length >= 8,
            _ => self.length >= self.least(),
        };
        match (stream, length) {
            (false, _) => Some(HeaderFault::Stream),
            (_, false) => Some(HeaderFault::Length),
            _ => None,
        }
    }

    /// Whether an endpoint may have sent it: for finding frames among other bytes, where unknown kinds and
    /// flags speak against it. `most`: bytes of payload.
    pub fn is_plausible(&self, most: u32) -> bool {
        let flags = match self.kind {
            DATA => END_STREAM | PADDED,
            HEADERS => END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
            PUSH_PROMISE => END_HEADERS | PADDED,
            SETTINGS | PING => ACK,
            CONTINUATION => END_HEADERS,
            _ => 0,
        };
        self.kind <= CONTINUATION
            && self.flags & !flags == 0
            && !self.reserved
            && self.length <= most
            // Allowed, but nobody sends it; runs of zeros read like that.
            && (self.kind != DATA || self.length > 0 || self.has(END_STREAM))
            && self.fault().is_none()
    }

    /// Bytes in front of data or field block: pad length, priority, promised stream.
    pub fn least(&self) -> u32 {
        let padded = matches!(self.kind, DATA | HEADERS | PUSH_PROMISE) && self.has(PADDED);
        let fixed = match self.kind {
            HEADERS if self.has(WITH_PRIORITY) => 5,
            PUSH_PROMISE => 4,
            _ => 0,
        };
        u32::from(padded) + fixed
    }
}

/// A header that breaks RFC 9113 §4.2 or §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The length does not fit the kind: FRAME_SIZE_ERROR.
    Length,
    /// On stream 0 what belongs to a stream, or the reverse: PROTOCOL_ERROR.
    Stream,
}

/// What stands in front of data or a field block: [`FrameHeader::least`] bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// Bytes of padding at the end of the payload.
    pub padding: u8,
    /// HEADERS with priority.
    pub priority: Option<Priority>,
    /// PUSH_PROMISE: the stream that will be.
    pub promised: Option<u32>,
}

/// Deprecated, and still sent (RFC 9113 §5.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    pub exclusive: bool,
    pub depends_on: u32,
    /// 1 to 256.
    pub weight: u16,
}

impl Front {
    /// Reads it. `None`: fewer bytes than [`FrameHeader::least`].
    pub fn read(header: &FrameHeader, mut bytes: &[u8]) -> Option<Front> {
        let mut front = Front::default();
        if matches!(header.kind, DATA | HEADERS | PUSH_PROMISE) && header.has(PADDED) {
            let (&padding, rest) = bytes.split_first()?;
            front.padding = padding;
            bytes = rest;
        }
        match header.kind {
            HEADERS if header.has(WITH_PRIORITY) => front.priority = Some(priority(bytes)?),
            PUSH_PROMISE => front.promised = Some(number(bytes)? & 0x7fff_ffff),
            _ => {}
        }
        Some(front)
    }
}

/// The payload of PRIORITY. `None`: fewer than 5 bytes.
pub fn priority(bytes: &[u8]) -> Option<Priority> {
    let &[a, b, c, d, weight] = bytes.first_chunk()?;
    let stream = u32::from_be_bytes([a, b, c, d]);
    let depends_on = stream & 0x7fff_ffff;
    Some(Priority { exclusive: stream >> 31 != 0, depends_on, weight: u16::from(weight) + 1 })
}

/// The payload of RST_STREAM (an error code) or WINDOW_UPDATE (an increment, its highest bit reserved).
/// `None`: fewer than 4 bytes.
pub fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// One parameter of SETTINGS: identifier and value. `None`: fewer than [`SETTING_BYTES`].
pub fn setting(bytes: &[u8]) -> Option<(u16, u32)> {
    let &[a, b, c, d, e, f] = bytes.first_chunk::<SETTING_BYTES>()?;
    Some((u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])))
}

/// The front of GOAWAY: last stream and error code; debug data follow. `None`: fewer than 8 bytes.
pub fn goaway(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((number(bytes)? & 0x7fff_ffff, number(bytes.get(4..)?)?))
}

/// Name of an error code (RFC 9113 §7). `None`: none is registered.
pub fn error_name(code: u32) -> Option<&'static str> {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    NAMES.get(usize::try_from(code).ok()?).copied()
}

/// Name of a frame's kind. `None`: an extension's.
pub fn frame_name(kind: u8) -> Option<&'static str> {
    const NAMES: [&str; 10] = [
        "DATA",
        "HEADERS",
        "PRIORITY",
        "RST_STREAM",
        "SETTINGS",
        "PUSH_PROMISE",
        "PING",
        "GOAWAY",
        "WINDOW_UPDATE",
        "CONTINUATION",
    ];
    NAMES.get(usize::from(kind)).copied()
}

/// Name of a SETTINGS parameter. `None`: not known here.
pub fn setting_name(id: u16) -> Option<&'static str> {
    Some(match id {
        HEADER_TABLE_SIZE => "SETTINGS_HEADER_TABLE_SIZE",
        ENABLE_PUSH => "SETTINGS_ENABLE_PUSH",
        MAX_CONCURRENT_STREAMS => "SETTINGS_MAX_CONCURRENT_STREAMS",
        INITIAL_WINDOW_SIZE => "SETTINGS_INITIAL_WINDOW_SIZE",
        MAX_FRAME_SIZE => "SETTINGS_MAX_FRAME_SIZE",
        MAX_HEADER_LIST_SIZE => "SETTINGS_MAX_HEADER_LIST_SIZE",
        ENABLE_CONNECT_PROTOCOL => "SETTINGS_ENABLE_CONNECT_PROTOCOL",
        NO_RFC7540_PRIORITIES => "SETTINGS_NO_RFC7540_PRIORITIES",
        _ => return None,
    })
}

/// Where a chain of at least `least` frame headers begins that follow each other, as far as these bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainAt {
    /// Here.
    Found(usize),
    /// Nowhere before this place; from there on more bytes must tell.
    NotBefore(usize),
}

/// Looks for frames among bytes of which nobody knows where they begin, from `from` on. `most`: bytes of a
/// payload. Reads each place once but for the headers of chains that break off.
pub fn find_chain(bytes: &[u8], from: usize, least: usize, most: u32) -> ChainAt {
    for start in from..bytes.len() {
        let (mut at, mut count) = (start, 0);
        // A field block goes on in the next frame and nowhere else (RFC 9113 §6.10).
        let mut continues = None;
        loop {
            let Some(header) = bytes.get(at..).and_then(FrameHeader::read) else {
                // The chain so far leads beyond the bytes: whether it is one is not known yet.
                return ChainAt::NotBefore(start);
            };
            let open = continues.is_none_or(|stream| header.kind == CONTINUATION && header.stream == stream);
            // Who begins inside a block cannot tell; later a CONTINUATION needs what it continues.
            let alone = header.kind == CONTINUATION && continues.is_none() && count > 0;
            if !open || alone || !header.is_plausible(most) {
                break;
            }
            count += 1;
            if count >= least {
                return ChainAt::Found(start);
            }
            let block = matches!(header.kind, HEADERS | PUSH_PROMISE | CONTINUATION);
            continues = (block && !header.has(END_HEADERS)).then_some(header.stream);
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            at = at.saturating_add(HEADER_BYTES).saturating_add(length);
        }
    }
    ChainAt::NotBefore(bytes.len())
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking; its numbers are small"
)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    #[test]
    fn a_header_is_read_with_its_reserved_bit_apart() {
        assert_eq!(FrameHeader::read(&[0; 8]), None);
        let header = FrameHeader::read(&[1, 2, 3, 9, 4, 0x80, 0, 0, 5]).unwrap();
        let expected = FrameHeader { length: 0x01_0203, kind: CONTINUATION, flags: 4, reserved: true, stream: 5 };
        assert_eq!(header, expected);
        assert!(header.has(END_HEADERS) && !header.ends_stream());
    }

    #[test]
    fn lengths_and_streams_must_fit_the_kind() {
        let header = |kind, flags, stream, length| FrameHeader { length, kind, flags, reserved: false, stream };
        for (kind, flags, stream, length, fault) in [
            (DATA, 0, 0, 1, Some(HeaderFault::Stream)),
            (DATA, PADDED, 1, 0, Some(HeaderFault::Length)),
            (DATA, 0, 1, 0, None),
            (HEADERS, PADDED | WITH_PRIORITY, 1, 5, Some(HeaderFault::Length)),
            (HEADERS, PADDED | WITH_PRIORITY, 1, 6, None),
            (PRIORITY, 0, 1, 4, Some(HeaderFault::Length)),
            (RST_STREAM, 0, 0, 4, Some(HeaderFault::Stream)),
            (SETTINGS, 0, 0, 7, Some(HeaderFault::Length)),
            (SETTINGS, ACK, 0, 6, Some(HeaderFault::Length)),
            (SETTINGS, 0, 1, 6, Some(HeaderFault::Stream)),
            (PUSH_PROMISE, 0, 1, 3, Some(HeaderFault::Length)),
            (PING, 0, 0, 7, Some(HeaderFault::Length)),
            (GOAWAY, 0, 0, 7, Some(HeaderFault::Length)),
            (WINDOW_UPDATE, 0, 0, 4, None),
            (WINDOW_UPDATE, 0, 9, 4, None),
            (CONTINUATION, 0, 0, 0, Some(HeaderFault::Stream)),
            (0xbe, 0xff, 77, 1, None),
        ] {
            assert_eq!(header(kind, flags, stream, length).fault(), fault, "{kind} {flags} {stream} {length}");
        }
    }

    #[test]
    fn what_stands_in_front_of_a_block_is_read() {
        let header = FrameHeader { kind: HEADERS, flags: PADDED | WITH_PRIORITY, ..FrameHeader::default() };
        let front = Front::read(&header, &[7, 0x80, 0, 0, 3, 15]).unwrap();
        assert_eq!(front.padding, 7);
        assert_eq!(front.priority, Some(Priority { exclusive: true, depends_on: 3, weight: 16 }));
        assert_eq!(Front::read(&header, &[7, 0x80, 0, 0, 3]), None);
        let header = FrameHeader { kind: PUSH_PROMISE, ..FrameHeader::default() };
        assert_eq!(Front::read(&header, &[0x80, 0, 0, 2]).unwrap().promised, Some(2));
    }

    #[test]
    fn codes_and_kinds_have_their_names() {
        assert_eq!((error_name(8), error_name(13), error_name(14)), (Some("CANCEL"), Some("HTTP_1_1_REQUIRED"), None));
        assert_eq!((frame_name(PING), frame_name(10)), (Some("PING"), None));
        assert_eq!(setting_name(8), Some("SETTINGS_ENABLE_CONNECT_PROTOCOL"));
        assert_eq!(setting(&[0, 8, 0, 0, 0, 1]), Some((ENABLE_CONNECT_PROTOCOL, 1)));
        assert_eq!(goaway(&[0x80, 0, 0, 7, 0, 0, 0, 2]), Some((7, 2)));
    }

    #[test]
    fn a_chain_is_found_behind_the_rest_of_a_payload() {
        let chain =
            [frame(DATA, 0, 1, b"abc"), frame(WINDOW_UPDATE, 0, 0, &[0; 4]), frame(PING, ACK, 0, &[0; 8])].concat();
        for before in ["", "x", "GET / HTTP/1.1\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
            let bytes = [before.as_bytes(), &chain].concat();
            let ChainAt::Found(at) = find_chain(&bytes, 0, 3, 16_384) else { panic!("{before}") };
            assert_eq!(at, before.len());
        }
        assert_eq!(find_chain(&chain[..20], 0, 3, 16_384), ChainAt::NotBefore(0));
        assert_eq!(find_chain(&[b'x'; 100], 0, 3, 16_384), ChainAt::NotBefore(92));
    }

    #[test]
    fn a_block_must_go_on_where_it_was_left() {
        let chain = |middle: Vec<u8>| {
            let bytes = [frame(HEADERS, 0, 1, b"a"), middle, frame(PING, 0, 0, &[0; 8])].concat();
            find_chain(&bytes, 0, 3, 16_384)
        };
        assert_eq!(chain(frame(CONTINUATION, END_HEADERS, 1, b"b")), ChainAt::Found(0));
        assert_ne!(chain(frame(CONTINUATION, END_HEADERS, 3, b"b")), ChainAt::Found(0));
        assert_ne!(chain(frame(DATA, 0, 1, b"b")), ChainAt::Found(0));
        assert_ne!(chain(frame(CONTINUATION, 0, 1, b"b")), ChainAt::Found(0));
    }
}
