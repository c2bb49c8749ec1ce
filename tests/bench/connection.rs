//! What one connection does: a handshake, then turn after turn. A turn (a request, an answer with its
//! body, a WebSocket frame) is planned whole and sent packet by packet, between those of the others.

use std::collections::VecDeque;

use crate::accept;
use crate::random::Random;
use crate::writer::{ACK, FIN, FULL, Headers, PSH, SYN, Writer};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// An upgrade at once, then frames of mixed sizes.
    WebSocket,
    /// An upgrade at once, then frames of about 20 bytes.
    SmallFrames,
    /// Fifty requests, then the upgrade, then frames.
    LateWebSocket,
    /// Keep-alive requests, answers with bodies.
    Http,
    /// TLS 1.3: its hellos, and records of noise; no keys.
    Tls,
    /// The same packets, but nothing in them looks like TLS.
    Opaque,
    /// A binary protocol, or lines of text.
    Other,
}

/// What was written, to be compared with a report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub flows: u64,
    pub requests: u64,
    pub responses: u64,
    pub upgrades: u64,
    pub client_frames: u64,
    pub server_frames: u64,
}

pub(crate) struct Connection {
    pub speaks: Speaks,
    ends: [(u32, u16); 2],
    next: [u32; 2],
    turns: u32,
    queue: VecDeque<Planned>,
    key: String,
}

/// A packet that is still to be sent.
struct Planned {
    /// 0 the client, 1 the server.
    from: usize,
    flags: u8,
    head: Box<[u8]>,
    /// Bytes of the pool behind `head`: first and length. Masked ones come whole in `head`.
    fill: (u32, u32),
}

/// Bytes to fill packets with: printable text and random bytes, each `POOL` long.
pub(crate) struct Pool {
    bytes: Vec<u8>,
}

const POOL: usize = 64 << 10;
const LATE_AFTER: u32 = 50;

impl Pool {
    pub(crate) fn new(random: &mut Random) -> Pool {
        let mut bytes: Vec<u8> = (0..POOL).map(|_| b' ' + random.between(0, 95) as u8).collect();
        bytes.extend((0..POOL).map(|_| random.next() as u8));
        Pool { bytes }
    }

    fn text(random: &mut Random, length: usize) -> u32 {
        random.between(0, POOL - length) as u32
    }

    fn binary(random: &mut Random, length: usize) -> u32 {
        (POOL + random.between(0, POOL - length)) as u32
    }
}

impl Connection {
    /// The `number`th connection of the capture: no two have the same addresses and ports.
    pub(crate) fn new(speaks: Speaks, number: u64, random: &mut Random, counts: &mut Counts) -> Connection {
        let n = number as u32;
        let client = (0x0a80_0000 + n / 50_000, 10_000 + (n % 50_000) as u16);
        let server = (0xc633_6400 + random.between(0, 250) as u32, random.between(1_024, 60_000) as u16);
        let key: [u8; 16] = std::array::from_fn(|_| random.next() as u8);
        let mut connection = Connection {
            speaks,
            ends: [client, server],
            next: [random.next() as u32, random.next() as u32],
            turns: 0,
            queue: VecDeque::new(),
            key: accept::key(key),
        };
        for (from, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
            connection.plan(from, flags, Vec::new(), (0, 0));
        }
        counts.flows += 1;
        connection
    }

    /// Whether a turn has been begun and not ended.
    pub(crate) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends the next packet, beginning a turn where the last one has ended.
    pub(crate) fn send(&mut self, writer: &mut Writer, pool: &Pool, random: &mut Random, counts: &mut Counts) {
        if self.queue.is_empty() {
            self.begin_turn(pool, random, counts);
        }
        let Some(planned) = self.queue.pop_front() else { return };
        let (own, peer) = (planned.from, 1 - planned.from);
        let headers = Headers {
            source: self.ends[own],
            destination: self.ends[peer],
            seq: self.next[own],
            ack: if planned.flags & ACK == 0 { 0 } else { self.next[peer] },
            flags: planned.flags,
        };
        let (first, length) = (planned.fill.0 as usize, planned.fill.1 as usize);
        writer.packet(&headers, [&planned.head, &pool.bytes[first..first + length]]);
        let takes = planned.head.len() as u32 + planned.fill.1 + u32::from(planned.flags & (SYN | FIN) != 0);
        self.next[own] = self.next[own].wrapping_add(takes);
    }

    fn begin_turn(&mut self, pool: &Pool, random: &mut Random, counts: &mut Counts) {
        let turn = self.turns;
        self.turns += 1;
        match self.speaks {
            Speaks::WebSocket | Speaks::SmallFrames if turn == 0 => self.upgrade(counts),
            Speaks::LateWebSocket if turn < LATE_AFTER => self.exchange(300, random, counts),
            Speaks::LateWebSocket if turn == LATE_AFTER => self.upgrade(counts),
            Speaks::SmallFrames => self.small_frame(pool, random, counts),
            Speaks::WebSocket | Speaks::LateWebSocket => self.frame(pool, random, counts),
            Speaks::Http => {
                let body = random.between(200, 9_000);
                self.exchange(body, random, counts);
            }
            Speaks::Tls => self.records(turn, random),
            Speaks::Opaque => {
                self.records(turn, random);
                self.queue.iter_mut().flat_map(|planned| &mut planned.head).for_each(|byte| *byte ^= 0xa5);
            }
            Speaks::Other => self.other(turn, random),
        }
    }

    fn upgrade(&mut self, counts: &mut Counts) {
        let request = format!(
            "GET /live/feed?room={}&v=4 HTTP/1.1\r\nHost: chat.example.org\r\nConnection: Upgrade\r\n\
             Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
             AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n\
             Origin: http://chat.example.org\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\n\
             Accept-Language: en-GB,en;q=0.9\r\nSec-WebSocket-Key: {}\r\n\r\n",
            self.ends[0].1, self.key
        );
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.28.0\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\n\
             Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            accept::accept(&self.key)
        );
        self.plan(0, PSH | ACK, request.into_bytes(), (0, 0));
        self.plan(1, ACK, Vec::new(), (0, 0));
        self.plan(1, PSH | ACK, response.into_bytes(), (0, 0));
        self.plan(0, ACK, Vec::new(), (0, 0));
        counts.requests += 1;
        counts.responses += 1;
        counts.upgrades += 1;
    }

    /// A plain request and its answer.
    fn exchange(&mut self, body: usize, random: &mut Random, counts: &mut Counts) {
        let request = format!(
            "GET /static/app.{}.js HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
             Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nCookie: theme=dark; lang=en\r\n\r\n",
            self.turns
        );
        let response = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.28.0\r\nContent-Type: text/javascript\r\nContent-Length: {body}\r\n\
             Connection: keep-alive\r\nCache-Control: max-age=3600\r\n\r\n"
        );
        self.plan(0, PSH | ACK, request.into_bytes(), (0, 0));
        self.long(1, response.into_bytes(), body, random, Pool::text);
        counts.requests += 1;
        counts.responses += 1;
    }

    fn frame(&mut self, pool: &Pool, random: &mut Random, counts: &mut Counts) {
        // Mostly server to client: a feed.
        if random.chance(15) {
            let payload = random.between(20, 400);
            self.client_frame(payload, pool, random, counts);
            self.plan(1, ACK, Vec::new(), (0, 0));
        } else {
            let payload = if random.chance(35) { random.between(20, 600) } else { random.between(1_500, 9_000) };
            let (opcode, fill) = if random.chance(70) { (1, Pool::text as Fill) } else { (2, Pool::binary as Fill) };
            self.long(1, frame_header(opcode, payload, None), payload, random, fill);
            counts.server_frames += 1;
        }
    }

    fn small_frame(&mut self, pool: &Pool, random: &mut Random, counts: &mut Counts) {
        let payload = random.between(16, 26);
        if random.chance(50) {
            self.client_frame(payload, pool, random, counts);
        } else {
            let first = Pool::text(random, payload);
            self.plan(1, PSH | ACK, frame_header(1, payload, None), (first, payload as u32));
            counts.server_frames += 1;
        }
    }

    /// One packet with a masked text frame.
    fn client_frame(&mut self, payload: usize, pool: &Pool, random: &mut Random, counts: &mut Counts) {
        let mask = (random.next() as u32).to_be_bytes();
        let mut bytes = frame_header(1, payload, Some(mask));
        let first = Pool::text(random, payload) as usize;
        bytes.extend(pool.bytes[first..first + payload].iter().enumerate().map(|(i, b)| b ^ mask[i % 4]));
        self.plan(0, PSH | ACK, bytes, (0, 0));
        counts.client_frames += 1;
    }

    /// A hello each way, then application data (RFC 8446 §5.1).
    fn records(&mut self, turn: u32, random: &mut Random) {
        if turn == 0 {
            for (from, hello) in [(0, client_hello(self.ends[0].1)), (1, server_hello())] {
                let mut bytes = vec![22, 3, 1];
                bytes.extend_from_slice(&(hello.len() as u16).to_be_bytes());
                bytes.extend(hello);
                self.plan(from, PSH | ACK, bytes, (0, 0));
            }
            return;
        }
        let (from, body) =
            if random.chance(20) { (0, random.between(50, 600)) } else { (1, random.between(400, 9_000)) };
        let mut record = vec![23, 3, 3];
        record.extend_from_slice(&(body as u16).to_be_bytes());
        self.long(from, record, body, random, Pool::binary);
    }

    fn other(&mut self, turn: u32, random: &mut Random) {
        let from = random.between(0, 2);
        if self.ends[1].1.is_multiple_of(2) {
            // Lines of text with verbs of its own.
            let head = format!("PUBLISH topic.{turn} {}\r\n", self.ends[0].1).into_bytes();
            let body = random.between(100, 6_000);
            self.long(from, head, body, random, Pool::text);
        } else {
            let body = random.between(100, 6_000);
            let mut head = (body as u32).to_be_bytes().to_vec();
            head.extend_from_slice(&[0xfe, turn as u8, 0, 0x80]);
            self.long(from, head, body, random, Pool::binary);
        }
    }

    /// A head and its body over as many packets as they take, with an acknowledgement for every two.
    fn long(&mut self, from: usize, head: Vec<u8>, body: usize, random: &mut Random, fill: Fill) {
        let mut head = head;
        let mut left = body;
        let mut sent = 0;
        while left > 0 || !head.is_empty() {
            let bytes = left.min(FULL - head.len());
            let first = fill(random, bytes);
            left -= bytes;
            self.plan(from, if left == 0 { PSH | ACK } else { ACK }, std::mem::take(&mut head), (first, bytes as u32));
            sent += 1;
            if sent % 2 == 0 || left == 0 {
                self.plan(1 - from, ACK, Vec::new(), (0, 0));
            }
        }
    }

    fn plan(&mut self, from: usize, flags: u8, head: Vec<u8>, fill: (u32, u32)) {
        self.queue.push_back(Planned { from, flags, head: head.into_boxed_slice(), fill });
    }
}

type Fill = fn(&mut Random, usize) -> u32;

/// RFC 6455 §5.2, final and unfragmented.
fn frame_header(opcode: u8, payload: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | opcode];
    if payload < 126 {
        bytes.push(mask_bit | payload as u8);
    } else {
        bytes.push(mask_bit | 126);
        bytes.extend_from_slice(&(payload as u16).to_be_bytes());
    }
    bytes.extend(mask.into_iter().flatten());
    bytes
}

/// A ClientHello of TLS 1.3 as a browser's is: with its name, ALPN, and padded to 512 bytes.
fn client_hello(number: u16) -> Vec<u8> {
    let name = format!("shop{}.example.org", number % 100);
    let mut names = vec![0];
    names.extend(counted(name.into_bytes()));
    let mut extensions = extension(0, counted(names));
    extensions.extend(extension(16, counted(b"\x02h2\x08http/1.1".to_vec())));
    extensions.extend(extension(43, vec![4, 3, 4, 3, 3]));
    let mut body = vec![3, 3];
    body.extend((0..32).map(|n| n ^ number.to_be_bytes()[usize::from(n % 2)]));
    body.push(32);
    body.extend([7; 32]);
    body.extend(counted(vec![0x13, 1, 0x13, 2, 0xc0, 0x2f]));
    body.extend([1, 0]);
    let padding = 508 - body.len() - 2 - extensions.len() - 4;
    extensions.extend(extension(21, vec![0; padding]));
    body.extend(counted(extensions));
    handshake(1, body)
}

/// The ServerHello that answers it: AES-128-GCM.
fn server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.push(32);
    body.extend([7; 32]);
    body.extend([0x13, 1, 0]);
    let mut share = vec![0, 29];
    share.extend(counted(vec![5; 32]));
    let mut extensions = extension(43, vec![3, 4]);
    extensions.extend(extension(51, share));
    body.extend(counted(extensions));
    handshake(2, body)
}

fn handshake(kind: u8, body: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend(counted(body));
    bytes
}

fn extension(kind: u16, body: Vec<u8>) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(counted(body));
    bytes
}

fn counted(body: Vec<u8>) -> Vec<u8> {
    let mut bytes = (body.len() as u16).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}
