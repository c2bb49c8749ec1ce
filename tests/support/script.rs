//! Who says what on a TCP connection, and the segments that carry it.

use std::net::SocketAddr;

use super::accept;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// The TCP flags that tests use (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
}

/// One TCP segment on its way from one end to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Nanoseconds since the Unix epoch.
    pub at_ns: u64,
    pub from: Side,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub seq: u32,
    pub ack: u32,
    pub flags: Flags,
    pub payload: Vec<u8>,
    pub look: Look,
}

/// What a side's packets show besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub ttl: u8,
    pub window: u16,
}

impl Default for Look {
    fn default() -> Self {
        Look { ttl: 64, window: 64_240 }
    }
}

/// Fills segments with what is said. Starts with the TCP handshake; every payload is acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    client: SocketAddr,
    server: SocketAddr,
    now_ns: u64,
    /// Next sequence number of the client and of the server.
    next: [u32; 2],
    segment_bytes: usize,
    /// Whether the next payload is followed by an acknowledgement of its own.
    acknowledge: bool,
    /// Frames that the client sent.
    masks: u8,
    /// Of the client and of the server.
    looks: [Look; 2],
    segments: Vec<Segment>,
}

/// When every script starts: 2026-03-01T12:00:00Z.
pub(crate) const START_NS: u64 = 1_772_366_400_000_000_000;
/// Between a packet and the next.
const STEP_NS: u64 = 200_000;

impl Script {
    /// A connection between two documentation addresses (RFC 5737), from its SYN.
    pub(crate) fn flow() -> Script {
        Script::between("198.51.100.7:40000", "203.0.113.9:80")
    }

    pub(crate) fn between(client: &str, server: &str) -> Script {
        Script::midstream(client, server).handshake()
    }

    /// As [`Script::between`], but its TCP handshake was not captured.
    pub(crate) fn midstream(client: &str, server: &str) -> Script {
        let client: SocketAddr = client.parse().expect("an address and a port");
        let server: SocketAddr = server.parse().expect("an address and a port");
        // The client numbers start near the end of their range, so that every test wraps.
        let next = [0xffff_ff00 - u32::from(client.port() % 97), 1_000_000];
        let (now_ns, segments) = (START_NS, Vec::new());
        let looks = [Look::default(); 2];
        Script { client, server, now_ns, next, segment_bytes: 1448, acknowledge: true, masks: 0, looks, segments }
    }

    /// SYN, SYN and ACK, ACK (RFC 9293 §3.5).
    pub(crate) fn handshake(self) -> Script {
        let mut script = self.syn();
        script.push(Side::Server, Flags { syn: true, ack: true, ..Flags::default() }, Vec::new());
        script.ack(Side::Client)
    }

    /// The client's SYN alone.
    pub(crate) fn syn(mut self) -> Script {
        self.push(Side::Client, Flags { syn: true, ..Flags::default() }, Vec::new());
        self
    }

    /// Bytes to a segment from here on.
    pub(crate) fn segment_bytes(mut self, bytes: usize) -> Script {
        self.segment_bytes = bytes.max(1);
        self
    }

    /// Whether payload is acknowledged by a packet of its own from here on.
    pub(crate) fn acknowledge(mut self, yes: bool) -> Script {
        self.acknowledge = yes;
        self
    }

    /// The client sends these bytes.
    pub(crate) fn client(self, bytes: impl AsRef<[u8]>) -> Script {
        self.say(Side::Client, bytes.as_ref())
    }

    /// The server sends these bytes.
    pub(crate) fn server(self, bytes: impl AsRef<[u8]>) -> Script {
        self.say(Side::Server, bytes.as_ref())
    }

    pub(crate) fn say(mut self, from: Side, bytes: &[u8]) -> Script {
        for piece in bytes.chunks(self.segment_bytes) {
            self.push(from, Flags { ack: true, ..Flags::default() }, piece.to_vec());
        }
        if self.acknowledge && !bytes.is_empty() { self.ack(from.other()) } else { self }
    }

    /// A head written as lines: each ends in CRLF, and the empty line follows.
    pub(crate) fn head(self, from: Side, lines: &str) -> Script {
        let bytes = head(lines);
        self.say(from, &bytes)
    }

    /// A whole, faultless opening handshake for this key.
    pub(crate) fn upgrade(self, key: &str) -> Script {
        self.head(Side::Client, &upgrade_request(key)).head(Side::Server, &upgrade_response(key))
    }

    /// One unfragmented WebSocket frame, where the client sends it masked, each time by another mask (RFC 6455 §5.2).
    pub(crate) fn frame(mut self, from: Side, opcode: u8, payload: &[u8]) -> Script {
        let mut mask = None;
        if from == Side::Client {
            let [a, b, c, d] = MASK;
            mask = Some([a, b, c, d ^ self.masks]);
            self.masks = self.masks.wrapping_add(1);
        }
        self.say(from, &frame_by(opcode, payload, mask))
    }

    /// The closing handshake, begun by the client, and both FINs (RFC 6455 §7.1).
    pub(crate) fn goodbye(self) -> Script {
        let code = 1000_u16.to_be_bytes();
        self.frame(Side::Client, 8, &code).frame(Side::Server, 8, &code).fin(Side::Server).fin(Side::Client)
    }

    pub(crate) fn wait_ms(mut self, ms: u64) -> Script {
        self.now_ns += ms * 1_000_000;
        self
    }

    /// Nothing happens before this time (nanoseconds since the Unix epoch) from here on.
    pub(crate) fn not_before(mut self, ns: u64) -> Script {
        self.now_ns = self.now_ns.max(ns);
        self
    }

    /// When the next packet would go.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The TTL of this side's packets from here on.
    pub(crate) fn ttl(mut self, of: Side, ttl: u8) -> Script {
        self.looks[usize::from(of == Side::Server)].ttl = ttl;
        self
    }

    /// This side says that it takes so many bytes, now and from here on.
    pub(crate) fn window(mut self, of: Side, bytes: u16) -> Script {
        self.looks[usize::from(of == Side::Server)].window = bytes;
        self.ack(of)
    }

    /// A text that nobody acknowledges, and that is sent again so many times, each time after twice as long.
    pub(crate) fn unheard(self, from: Side, text: &str, times: u32) -> Script {
        let acknowledge = self.acknowledge;
        self.acknowledge(false).frame(from, 1, text.as_bytes()).acknowledge(acknowledge).again(times)
    }

    /// The client's request, which nobody acknowledges, sent again so many times.
    pub(crate) fn unheard_request(self, key: &str, times: u32) -> Script {
        let acknowledge = self.acknowledge;
        self.acknowledge(false).client(head(&upgrade_request(key))).acknowledge(acknowledge).again(times)
    }

    /// The client's request, whose answer is lost on its way: the client leaves after so many milliseconds, and what
    /// acknowledges that stands behind the answer.
    pub(crate) fn lost_answer(self, key: &str, ms: u64) -> Script {
        let asked = self.head(Side::Client, &upgrade_request(key)).wait_ms(ms);
        let mut left = asked.push_fin(Side::Client);
        let answer = head(&upgrade_response(key)).len();
        left.next[1] = left.next[1].wrapping_add(u32::try_from(answer).expect("it is short"));
        left.ack(Side::Server)
    }

    fn push_fin(mut self, from: Side) -> Script {
        self.push(from, Flags { fin: true, ack: true, ..Flags::default() }, Vec::new());
        self
    }

    /// What was sent last is sent again so many times, each after twice as long as the one before.
    fn again(mut self, times: u32) -> Script {
        let sent = self.segments.last().cloned().expect("it was just sent");
        for n in 0..times {
            self.now_ns += 300_000_000 << n;
            self.segments.push(Segment { at_ns: self.now_ns, ..sent.clone() });
        }
        self
    }

    /// A large message of the server that never arrives and is sent again so many times, while the client goes on to
    /// talk.
    pub(crate) fn swallowed(self, times: u32) -> Script {
        let acknowledge = self.acknowledge;
        let arrived = self.next[1];
        let mut script = self.acknowledge(false).frame(Side::Server, 2, &[7; 1_400]);
        let sent = script.segments.last().cloned().expect("it was just sent");
        for n in 0..times {
            script.now_ns += 300_000_000 << n;
            script.segments.push(Segment { at_ns: script.now_ns, ..sent.clone() });
            script.now_ns += STEP_NS;
            script = script.frame(Side::Client, 1, format!("word {n}").as_bytes());
            script.segments.last_mut().expect("it was just sent").ack = arrived;
        }
        script.next[1] = arrived;
        script.acknowledge(acknowledge)
    }

    /// A small message of the client that never arrives, like its acknowledgements: both sides send again so many times.
    pub(crate) fn one_way(self, times: u32) -> Script {
        let acknowledge = self.acknowledge;
        let mut script = self.frame(Side::Server, 1, b"news");
        let heard = script.segments.iter().rev().find(|sent| sent.from == Side::Server && !sent.payload.is_empty());
        let heard = heard.cloned().expect("it was just sent");
        script = script.acknowledge(false).frame(Side::Client, 1, b"word");
        let sent = script.segments.last().cloned().expect("it was just sent");
        for n in 0..times {
            script.now_ns += 300_000_000 << n;
            script.segments.push(Segment { at_ns: script.now_ns, ..sent.clone() });
            script.now_ns += STEP_NS;
            script.segments.push(Segment { at_ns: script.now_ns, ..heard.clone() });
            script = script.ack(Side::Client);
        }
        script.acknowledge(acknowledge)
    }

    /// How many segments there are so far.
    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }

    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.client, self.server)
    }

    /// The first sequence numbers of the client and of the server, before anything is said.
    pub(crate) fn begin_at(mut self, client: u32, server: u32) -> Script {
        assert!(self.segments.is_empty(), "the connection has begun");
        self.next = [client, server];
        self
    }

    pub(crate) fn fin(self, from: Side) -> Script {
        self.push_fin(from).ack(from.other())
    }

    pub(crate) fn rst(mut self, from: Side) -> Script {
        self.push(from, Flags { rst: true, ack: true, ..Flags::default() }, Vec::new());
        self
    }

    fn ack(mut self, from: Side) -> Script {
        self.push(from, Flags { ack: true, ..Flags::default() }, Vec::new());
        self
    }

    fn push(&mut self, from: Side, flags: Flags, payload: Vec<u8>) {
        let (own, peer) = match from {
            Side::Client => (0, 1),
            Side::Server => (1, 0),
        };
        let seq = self.next[own];
        let ack = if flags.ack { self.next[peer] } else { 0 };
        let takes = payload.len() as u32 + u32::from(flags.syn) + u32::from(flags.fin);
        self.next[own] = seq.wrapping_add(takes);
        self.segments.push(Segment {
            at_ns: self.now_ns,
            from,
            client: self.client,
            server: self.server,
            seq,
            ack,
            flags,
            payload,
            look: self.looks[own],
        });
        self.now_ns += STEP_NS;
    }

    pub(crate) fn segments(self) -> Vec<Segment> {
        self.segments
    }
}

/// Several flows as one capture, in order of time.
pub(crate) fn together(scripts: impl IntoIterator<Item = Script>) -> Vec<Segment> {
    let mut all: Vec<Segment> = scripts.into_iter().flat_map(Script::segments).collect();
    all.sort_by_key(|s| s.at_ns);
    all
}

/// Lines as an HTTP head.
pub(crate) fn head(lines: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.trim_end_matches('\n').split('\n') {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

pub(crate) fn upgrade_request(key: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\nHost: chat.example.org\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Key: {key}\nSec-WebSocket-Version: 13\nOrigin: http://chat.example.org"
    )
}

pub(crate) fn upgrade_response(key: &str) -> String {
    let accept = accept::accept(key);
    format!("HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {accept}")
}

/// The mask of RFC 6455 §5.7.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A final WebSocket frame.
pub(crate) fn frame(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    frame_by(opcode, payload, masked.then_some(MASK))
}

fn frame_by(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        n @ 0..=125 => bytes.push(mask_bit | n as u8),
        n @ 126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    let Some(mask) = mask else {
        bytes.extend_from_slice(payload);
        return bytes;
    };
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().enumerate().map(|(i, b)| b ^ mask[i % 4]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_count_syn_fin_and_payload() {
        let segments = Script::flow().client("abc").server("defg").fin(Side::Client).segments();
        let data: Vec<_> = segments.iter().filter(|s| !s.payload.is_empty()).collect();
        assert_eq!(data[0].seq, segments[0].seq.wrapping_add(1));
        assert_eq!(data[1].ack, data[0].seq.wrapping_add(3), "the server acknowledges what it read");
        let fin = segments.iter().find(|s| s.flags.fin).unwrap();
        assert_eq!(fin.seq, data[0].seq.wrapping_add(3));
        assert_eq!(segments.last().unwrap().ack, fin.seq.wrapping_add(1), "a FIN takes one number");
    }

    #[test]
    fn long_payload_is_cut_into_segments() {
        let segments = Script::flow().segment_bytes(2).acknowledge(false).client("abcde").segments();
        let cut: Vec<&[u8]> = segments.iter().skip(3).map(|s| &*s.payload).collect();
        assert_eq!(cut, [b"ab" as &[u8], b"cd", b"e"]);
    }

    #[test]
    fn a_frame_is_as_rfc_6455_section_5_7_shows_it() {
        assert_eq!(frame(1, b"Hello", false), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(frame(1, b"Hello", true), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(frame(2, &[0; 256], false)[..4], [0x82, 0x7e, 0x01, 0x00]);
    }

    #[test]
    fn no_two_frames_of_a_client_in_a_row_have_one_mask() {
        let said = Script::flow().frame(Side::Client, 1, b"a").frame(Side::Client, 1, b"a").segments();
        let masks: Vec<&[u8]> = said.iter().filter(|s| !s.payload.is_empty()).map(|s| &s.payload[2..6]).collect();
        assert!(masks[0] == MASK && masks[1] != MASK);
    }

    #[test]
    fn the_sample_handshake_of_rfc_6455_has_its_accept() {
        assert!(upgrade_response("dGhlIHNhbXBsZSBub25jZQ==").ends_with("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }
}
