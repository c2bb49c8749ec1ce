//! Bytes to frames, gaps and ends. What frames mean is in `frames.rs`.

use crate::model::Direction;
use crate::stream::CloseHow;
use crate::wire::h2::{self, FrameHeader, HeaderFault};
use crate::wire::hpack::{Decoder, List};

use super::half::{Half, State};
use super::streams::Streams;
use super::window::Window;
use super::{Ended, Entry, Facts, Fault, How, Mark, News, Output, What, peer};
use crate::base::limits;

/// The machine of one connection.
pub struct Http2 {
    pub(super) halves: [Half; 2],
    pub(super) streams: Streams,
    pub(super) facts: Facts,
    /// The connection's windows, by sender.
    pub(super) windows: [Window; 2],
    /// The fields of the block under work.
    pub(super) list: List,
    /// No frame was lost that opens or uses up a window.
    pub(super) windows_known: bool,
    /// Pieces are read that the search held back.
    replaying: bool,
}

impl Http2 {
    /// Both directions from their first byte: prior knowledge, or ALPN `h2` inside TLS.
    pub fn new() -> Self {
        Http2::with(Entry::Preface, [State::Preface(0), State::Header], Decoder::new)
    }

    /// Behind the 101 to `Upgrade: h2c` (RFC 7540 §3.2): both directions from the first byte behind their
    /// HTTP/1.1 heads (and the request's content). `settings`: the value of the request's HTTP2-Settings;
    /// `mark`: where the request's head stands. Stream 1 is the request that asked for it, which is not told
    /// again: its answer comes there.
    pub fn upgraded(settings: Option<&[u8]>, mark: Mark) -> Self {
        let mut new = Http2::with(Entry::Upgrade, [State::Preface(0), State::Header], Decoder::new);
        new.upgrade_settings(settings, mark);
        new
    }

    /// Joined while it runs: frames are looked for in both directions.
    pub fn midstream() -> Self {
        Http2::with(Entry::Midstream, [State::Search, State::Search], Decoder::midstream)
    }

    fn with(entry: Entry, states: [State; 2], decoder: fn() -> Decoder) -> Self {
        let halves = states.map(|state| Half::new(state, decoder()));
        let windows = [Window::default(); 2];
        let (streams, facts, list) = (Streams::default(), Facts::new(entry), List::default());
        let windows_known = entry != Entry::Midstream;
        Http2 { halves, streams, facts, windows, list, windows_known, replaying: false }
    }

    /// What is known of the connection so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// In-order bytes of one direction. `mark`: the packet that brought them, and the place of the first one.
    pub fn push(&mut self, from: Direction, data: &[u8], mark: Mark, out: &mut dyn Output) {
        let (mut rest, mut here) = (data, mark);
        while !rest.is_empty() {
            let used = match self.half(from).state {
                State::Preface(seen) => self.preface(from, seen, rest, here, out),
                State::Header => self.header(from, rest, here, out),
                State::Front(need) => self.front(from, need, rest, here, out),
                State::Payload => self.payload(from, rest, here, out),
                State::Search => {
                    self.search(from, rest, here, out);
                    rest.len()
                }
                State::Done => rest.len(),
            };
            rest = rest.get(used..).unwrap_or_default();
            here = here.plus(used);
        }
    }

    /// So many bytes of one direction, at `mark`, are not there.
    pub fn gap(&mut self, from: Direction, len: u64, mark: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let inside = match half.state {
            State::Preface(seen) => {
                let left = h2::PREFACE.len().saturating_sub(seen);
                match usize::try_from(len).ok().filter(|len| *len <= left) {
                    Some(len) => {
                        half.state = if len == left { State::Header } else { State::Preface(seen + len) };
                        return;
                    }
                    None => 0,
                }
            }
            State::Front(_) => {
                // What was gathered of it is still counted as to come.
                half.left = half.left.saturating_sub(half.ungather());
                half.spoilt = true;
                half.state = State::Payload;
                len.min(u64::from(half.left))
            }
            State::Payload => len.min(u64::from(half.left)),
            State::Search => {
                half.search.get_or_insert_default().clear();
                return;
            }
            State::Done => return,
            State::Header => 0,
        };
        if inside > 0 {
            self.payload_gap(from, inside, mark, out);
        }
        if len > inside {
            self.lose(from, mark, out);
        }
    }

    /// One direction (FIN) or the connection (all others) came to its end.
    pub fn close(&mut self, from: Direction, how: CloseHow, mark: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let fin = how == CloseHow::Fin;
        half.closed = true;
        if fin && !self.half(peer(from)).closed {
            return;
        }
        let by = fin.then_some(from);
        for id in self.streams.ids(|_| true) {
            self.end(id, Ended { how: How::Closed { by, how }, mark }, out);
        }
        for sender in DIRECTIONS {
            let stall = self.window(sender).ended(mark.ts);
            self.stalled(0, sender, stall, out);
        }
        for half in &mut self.halves {
            half.state = State::Done;
            half.fragments = Vec::new();
            half.search = None;
        }
    }

    pub(super) fn half(&mut self, from: Direction) -> &mut Half {
        let [client, server] = &mut self.halves;
        if from == Direction::ClientToServer { client } else { server }
    }

    pub(super) fn window(&mut self, sender: Direction) -> &mut Window {
        let [client, server] = &mut self.windows;
        if sender == Direction::ClientToServer { client } else { server }
    }

    fn preface(&mut self, from: Direction, seen: usize, rest: &[u8], here: Mark, out: &mut dyn Output) -> usize {
        let due = h2::PREFACE.get(seen..).unwrap_or_default();
        let n = due.len().min(rest.len());
        if due.get(..n) != rest.get(..n) {
            self.fault(What::Preface, from, 0, here, out);
            self.lose(from, here, out);
            return 0;
        }
        self.half(from).state = if n == due.len() { State::Header } else { State::Preface(seen + n) };
        n
    }

    fn header(&mut self, from: Direction, rest: &[u8], here: Mark, out: &mut dyn Output) -> usize {
        let half = self.half(from);
        // Mostly it is there whole.
        let (used, header, began) = match FrameHeader::read(rest) {
            Some(header) if !half.is_inside() => (h2::HEADER_BYTES, header, here),
            _ => {
                let used = half.gather(h2::HEADER_BYTES, rest, here);
                let Some(header) = half.gathered(h2::HEADER_BYTES).and_then(|bytes| FrameHeader::read(&bytes)) else {
                    return used;
                };
                (used, header, half.began)
            }
        };
        let fault = header.fault();
        if half.unsure && (header.reserved || fault.is_some() || header.kind > KNOWN_EXTENSIONS) {
            // These were no frames.
            self.lose(from, here, out);
            return used;
        }
        half.frame = header;
        half.frame_at = began;
        half.left = header.length;
        half.padding = 0;
        half.spoilt = fault.is_some();
        let first = std::mem::take(&mut half.first) && !half.unsure;
        let need = match header.kind {
            h2::SETTINGS if header.length > 0 => h2::SETTING_BYTES,
            h2::RST_STREAM | h2::WINDOW_UPDATE => 4,
            h2::GOAWAY => 8,
            _ => header.least() as usize,
        };
        half.state = match need {
            _ if fault.is_some() => State::Payload,
            0 => State::Payload,
            need => State::Front(need),
        };
        let empty = header.length == 0;
        self.facts.count_frame(from, header.kind);
        if first && header.kind != h2::SETTINGS {
            self.fault(What::FirstFrame, from, header.stream, began, out);
        }
        let most = self.facts.settings_of(peer(from));
        if most.seen.is_some() && header.length > most.max_frame_size.unwrap_or(h2::DEFAULT_FRAME_BYTES) {
            self.fault(What::FrameTooLarge, from, header.stream, began, out);
        }
        match fault {
            None => {}
            Some(HeaderFault::Length) => self.fault(What::Length, from, header.stream, began, out),
            Some(HeaderFault::Stream) => self.fault(What::Stream, from, header.stream, began, out),
        }
        self.begin(from, header, began, here, out);
        if empty {
            self.finish(from, here, out);
        }
        used
    }

    fn front(&mut self, from: Direction, need: usize, rest: &[u8], here: Mark, out: &mut dyn Output) -> usize {
        let half = self.half(from);
        let used = half.gather(need, rest, here);
        let Some(bytes) = half.gathered(need) else { return used };
        half.left = half.left.saturating_sub(u32::try_from(need).unwrap_or(u32::MAX));
        let frame = half.frame;
        // SETTINGS is nothing but fronts.
        half.state = if frame.kind == h2::SETTINGS { State::Front(need) } else { State::Payload };
        let over = half.left == 0;
        self.read_front(from, frame, bytes.get(..need).unwrap_or_default(), here, out);
        if over {
            self.finish(from, here, out);
        }
        used
    }

    fn payload(&mut self, from: Direction, rest: &[u8], here: Mark, out: &mut dyn Output) -> usize {
        let half = self.half(from);
        let (left, padding) = (half.left, half.padding);
        // First what means something, then the padding.
        let due = if left > padding { left - padding } else { left };
        let n = rest.len().min(due as usize);
        half.left = left.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
        let over = half.left == 0;
        if left > padding {
            let (frame, spoilt) = (half.frame, half.spoilt);
            let piece = rest.get(..n).unwrap_or_default();
            if spoilt {
                self.lost_payload(from, frame, n as u64, here, out);
            } else {
                self.read_payload(from, frame, piece, here, out);
            }
        }
        if over {
            self.finish(from, here, out);
        }
        n
    }

    /// Bytes of the payload under way are not there.
    fn payload_gap(&mut self, from: Direction, len: u64, here: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let (frame, left) = (half.frame, half.left);
        let content = u64::from(left.saturating_sub(half.padding)).min(len);
        half.left = left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        let over = half.left == 0;
        if content > 0 {
            self.lost_payload(from, frame, content, here, out);
        }
        // Behind a hole only content still means something.
        self.half(from).spoilt |= frame.kind != h2::DATA;
        if over {
            self.finish(from, here, out);
        }
    }

    /// The frame under way is over.
    fn finish(&mut self, from: Direction, here: Mark, out: &mut dyn Output) {
        self.half(from).state = State::Header;
        self.end_frame(from, here, out);
    }

    /// Nobody knows any more where a frame begins.
    fn lose(&mut self, from: Direction, here: Mark, out: &mut dyn Output) {
        self.facts.lossy = true;
        self.windows_known = false;
        let half = self.half(from);
        half.ungather();
        half.decoder.lost();
        half.state = if half.resyncs < limits::H2_RESYNCS { State::Search } else { State::Done };
        let given_up = half.state == State::Done;
        if let Some(block) = half.block.take() {
            half.fragments.clear();
            self.block_lost(from, block, here, out);
        }
        if given_up {
            self.facts.given_up = self.facts.given_up.saturating_add(1);
            self.fault(What::GivenUp, from, 0, here, out);
        }
        out.connection(News::Lost { from, mark: here }, &self.facts);
    }

    fn search(&mut self, from: Direction, data: &[u8], here: Mark, out: &mut dyn Output) {
        self.half(from).search.get_or_insert_default().add(data, here);
        // What is read again may lead back here; then the loop below goes on, not a deeper one.
        while !self.replaying && self.half(from).state == State::Search {
            let Some(found) = self.half(from).search.as_mut().and_then(|search| search.find()) else { return };
            let half = self.half(from);
            half.search = None;
            half.state = State::Header;
            half.unsure = true;
            half.first = false;
            half.resyncs += 1;
            self.facts.resyncs = self.facts.resyncs.saturating_add(1);
            let mut pieces = found.iter().peekable();
            if let Some((_, mark)) = pieces.peek() {
                out.connection(News::Found { from, mark: *mark }, &self.facts);
            }
            self.replaying = true;
            for (bytes, mark) in pieces {
                self.push(from, bytes, mark, out);
            }
            self.replaying = false;
        }
    }

    pub(super) fn fault(&mut self, what: What, from: Direction, stream: u32, mark: Mark, out: &mut dyn Output) {
        self.facts.faults = self.facts.faults.saturating_add(1);
        if self.facts.faults <= limits::H2_FAULTS {
            out.fault(Fault { what, from, stream, mark });
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Http2::new()
    }
}

pub(super) const DIRECTIONS: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];

/// The highest frame kind that is registered (PRIORITY_UPDATE, RFC 9218 §7.1).
const KNOWN_EXTENSIONS: u8 = 0x10;
