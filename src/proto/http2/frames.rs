//! What frames mean. Read with RFC 9113 §6 and §8 open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::limits;
use crate::model::{Direction, LineFaults};
use crate::wire::h2::{self, FrameHeader, Front};

use super::connection::Http2;
use super::half::BlockBegun;
use super::streams::Known;
use super::{Block, Ended, GoAway, How, Mark, News, Output, Seen, Stall, Stream, What, at, peer};

/// A field block's buffer that is larger than this, in bytes, is given back behind the block.
const FRAGMENTS_KEPT: usize = 16 << 10;

impl Http2 {
    /// A frame's header was read.
    pub(super) fn begin(&mut self, from: Direction, frame: FrameHeader, began: Mark, here: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let spoilt = half.spoilt;
        let goes_on = |block: &BlockBegun| frame.kind == h2::CONTINUATION && frame.stream == block.stream;
        if let Some(block) = half.block
            && !goes_on(&block)
        {
            half.block = None;
            self.fault(What::Interleaved, from, frame.stream, began, out);
            self.block_lost(from, block, here, out);
        }
        match frame.kind {
            h2::HEADERS | h2::PUSH_PROMISE => {
                let half = self.half(from);
                half.fragments.clear();
                let ends_stream = frame.ends_stream();
                let stream = frame.stream;
                let block = BlockBegun {
                    stream,
                    promised: None,
                    first: began,
                    ends_stream,
                    lost: spoilt,
                    too_large: false,
                    frames: 1,
                };
                half.block = Some(block);
            }
            h2::CONTINUATION => self.continuation(from, frame, began, out),
            h2::DATA => self.data_begins(from, frame, began, out),
            _ => {}
        }
    }

    fn continuation(&mut self, from: Direction, frame: FrameHeader, began: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let Some(block) = &mut half.block else {
            let lost_its_start = half.unsure;
            half.decoder.lost();
            if !lost_its_start {
                self.fault(What::LoneContinuation, from, frame.stream, began, out);
            }
            return;
        };
        block.lost |= half.spoilt;
        block.frames = block.frames.saturating_add(1);
        if block.frames == limits::H2_CONTINUATIONS + 2 {
            self.facts.floods = self.facts.floods.saturating_add(1);
            self.fault(What::Flood, from, frame.stream, began, out);
        }
    }

    fn data_begins(&mut self, from: Direction, frame: FrameHeader, began: Mark, out: &mut dyn Output) {
        let connection = self.window(from).sent(frame.length, i64::from(h2::DEFAULT_WINDOW), began.ts);
        self.stalled(0, from, connection, out);
        if frame.stream == 0 {
            return;
        }
        // Content on a stream that was never opened: only where its opening may have been lost.
        match self.streams.known(frame.stream, self.facts.lossy) {
            Known::New if self.facts.lossy => self.open(frame.stream, began, out),
            Known::Open => {}
            Known::New | Known::Past => {
                self.facts.stray_frames = self.facts.stray_frames.saturating_add(1);
                return;
            }
        }
        let initial = self.facts.settings_of(peer(from)).initial_window();
        let Some(stream) = self.streams.get(frame.stream) else { return };
        stream.last = began;
        let stall = stream.window(from).sent(frame.length, initial, began.ts);
        self.stalled(frame.stream, from, stall, out);
    }

    /// The front of a payload was read: `bytes` are as many as were asked for.
    pub(super) fn read_front(
        &mut self,
        from: Direction,
        frame: FrameHeader,
        bytes: &[u8],
        here: Mark,
        out: &mut dyn Output,
    ) {
        let began = self.half(from).frame_at;
        match frame.kind {
            h2::SETTINGS => {
                if let Some((id, value)) = h2::setting(bytes) {
                    self.setting(from, id, value, began);
                }
            }
            h2::RST_STREAM => self.reset(from, frame.stream, h2::number(bytes), here, out),
            h2::WINDOW_UPDATE => {
                let increment = h2::number(bytes).unwrap_or(0) & 0x7fff_ffff;
                let sender = peer(from);
                if frame.stream == 0 {
                    self.window(sender).opened(increment, i64::from(h2::DEFAULT_WINDOW), here.ts);
                } else if let Some(stream) = self.streams.get(frame.stream) {
                    let initial = self.facts.settings_of(from).initial_window();
                    stream.window(sender).opened(increment, initial, here.ts);
                }
            }
            h2::GOAWAY => *self.facts.goaway_mut(from) = Some(GoAway::new(began, h2::goaway(bytes))),
            _ => self.fronted(from, frame, bytes, began, out),
        }
    }

    /// Padding and promise of DATA, HEADERS, PUSH_PROMISE.
    fn fronted(&mut self, from: Direction, frame: FrameHeader, bytes: &[u8], began: Mark, out: &mut dyn Output) {
        let Some(front) = Front::read(&frame, bytes) else { return };
        let half = self.half(from);
        if let Some(block) = &mut half.block
            && frame.kind != h2::DATA
        {
            block.promised = front.promised;
        }
        half.padding = u32::from(front.padding);
        if half.padding > half.left {
            half.padding = 0;
            half.spoilt = true;
            if let Some(block) = &mut half.block {
                block.lost = true;
            }
            self.fault(What::Padding, from, frame.stream, began, out);
        }
    }

    /// Bytes of a payload behind its front, without padding.
    pub(super) fn read_payload(
        &mut self,
        from: Direction,
        frame: FrameHeader,
        bytes: &[u8],
        here: Mark,
        out: &mut dyn Output,
    ) {
        match frame.kind {
            h2::DATA => {
                if let Some(stream) = self.streams.get(frame.stream) {
                    count_data(stream, from, bytes.len() as u64);
                    out.data(stream, from, bytes, here);
                }
            }
            h2::HEADERS | h2::PUSH_PROMISE | h2::CONTINUATION => self.half(from).fragment(bytes),
            h2::GOAWAY => {
                if let Some(goaway) = self.facts.goaway_mut(from) {
                    goaway.add_debug(bytes);
                }
            }
            _ => {}
        }
    }

    /// Bytes of a payload that are not there, or mean nothing since others are not.
    pub(super) fn lost_payload(
        &mut self,
        from: Direction,
        frame: FrameHeader,
        len: u64,
        here: Mark,
        out: &mut dyn Output,
    ) {
        let began = self.half(from).frame_at;
        match frame.kind {
            h2::DATA => {
                if let Some(stream) = self.streams.get(frame.stream).filter(|_| len > 0) {
                    count_data(stream, from, len);
                    out.data_lost(stream, from, len, here);
                }
            }
            h2::HEADERS | h2::PUSH_PROMISE | h2::CONTINUATION => {
                if let Some(block) = &mut self.half(from).block {
                    block.lost = true;
                }
            }
            _ if frame.fault().is_some() => {}
            h2::SETTINGS => self.facts.settings_mut(from).partly_lost = true,
            h2::RST_STREAM => self.reset(from, frame.stream, None, here, out),
            h2::WINDOW_UPDATE => self.windows_known = false,
            h2::GOAWAY => {
                let goaway = self.facts.goaway_mut(from);
                if goaway.is_none_or(|goaway| goaway.mark != began) {
                    *goaway = Some(GoAway::new(began, None));
                }
            }
            _ => {}
        }
    }

    /// A frame is over.
    pub(super) fn end_frame(&mut self, from: Direction, here: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let (frame, mark) = (half.frame, half.frame_at);
        match frame.kind {
            h2::SETTINGS if frame.has(h2::ACK) => {
                self.facts.settings_mut(peer(from)).acked.get_or_insert(mark.ts);
                out.connection(News::SettingsAcked { from, mark }, &self.facts);
            }
            h2::SETTINGS => {
                self.facts.settings_mut(from).seen.get_or_insert(mark);
                out.connection(News::Settings { from, mark }, &self.facts);
            }
            h2::HEADERS | h2::PUSH_PROMISE | h2::CONTINUATION if frame.has(h2::END_HEADERS) => {
                self.end_block(from, here, out);
            }
            h2::DATA if frame.ends_stream() => self.end_side(frame.stream, from, here, out),
            h2::GOAWAY => self.goaway(from, mark, out),
            _ => {}
        }
    }

    fn goaway(&mut self, from: Direction, mark: Mark, out: &mut dyn Output) {
        out.connection(News::GoAway { from, mark }, &self.facts);
        let Some(goaway) = *self.facts.goaway_mut(from) else { return };
        let Some(last) = goaway.last_stream else { return };
        // Those that the other side opened (RFC 9113 §6.8).
        let pushed = from == Direction::ClientToServer;
        for id in self.streams.ids(|id| id > last && id.is_multiple_of(2) == pushed) {
            self.end(id, Ended { how: How::GoAway { by: from, code: goaway.code }, mark }, out);
        }
    }

    fn end_block(&mut self, from: Direction, here: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        let Some(block) = half.block.take() else { return };
        if block.lost || block.too_large {
            self.block_lost(from, block, here, out);
            return;
        }
        let (frame, frame_at) = (half.frame, half.frame_at);
        let mut list = std::mem::take(&mut self.list);
        let half = self.half(from);
        half.decoder.decode(&half.fragments, &mut list);
        if half.fragments.capacity() > FRAGMENTS_KEPT {
            half.fragments = Vec::new();
        }
        if list.faults.has(LineFaults::BAD_CODING) {
            self.fault(What::Coding, from, block.stream, block.first, out);
        }
        if list.left_out > 0 {
            self.facts.lists_cut = self.facts.lists_cut.saturating_add(1);
        }
        let end = frame_at.plus(h2::HEADER_BYTES.saturating_add(frame.length as usize)).offset;
        let last = Mark { offset: frame_at.offset, ..here };
        self.fields(from, block, &Block { list: &list, first: block.first, last, end }, out);
        self.list = list;
    }

    /// A field block was decoded: says what it is.
    fn fields(&mut self, from: Direction, block: BlockBegun, fields: &Block<'_>, out: &mut dyn Output) {
        let id = block.promised.unwrap_or(block.stream);
        let lossy = self.facts.lossy;
        let known = self.streams.known(id, lossy);
        match known {
            Known::Past => {
                self.facts.stray_frames = self.facts.stray_frames.saturating_add(1);
                return;
            }
            Known::New => self.open(id, block.first, out),
            Known::Open => {}
        }
        let connect_protocol = self.facts.connect_protocol();
        let Some(stream) = self.streams.get(id) else { return };
        stream.last = fields.last;
        // Where its beginning may have been missed, a list without what every head has is no head.
        let may_be_head = fields.is_doubtful() || !lossy;
        if from == Direction::ClientToServer || block.promised.is_some() {
            let head = fields.value(":method").is_some() || known == Known::New && may_be_head;
            if stream.request != Seen::Yes && head || block.promised.is_some() {
                stream.request = Seen::Yes;
                stream.extended_connect = fields.protocol().is_some();
                stream.connect_protocol = connect_protocol;
                stream.ends_with_request = block.ends_stream;
                out.request(stream, fields);
            } else {
                out.trailers(stream, from, fields);
            }
        } else {
            let head = fields.value(":status").is_some() || may_be_head && stream.response == Seen::No;
            match fields.status() {
                // What follows a 101, which is no answer, may be one.
                status if stream.response == Seen::Yes && (stream.status != Some(101) || status.is_none()) || !head => {
                    out.trailers(stream, from, fields);
                }
                Some(100 | 102..=199) => out.interim(stream, fields),
                status => {
                    stream.response = Seen::Yes;
                    stream.status = status;
                    stream.ends_with_response = block.ends_stream;
                    out.response(stream, fields);
                    if status == Some(101) {
                        self.fault(What::SwitchingProtocols, from, id, block.first, out);
                    }
                }
            }
        }
        if block.ends_stream {
            self.end_side(id, from, fields.last, out);
        }
    }

    /// A field block is not there, or not all of it.
    pub(super) fn block_lost(&mut self, from: Direction, block: BlockBegun, here: Mark, out: &mut dyn Output) {
        let half = self.half(from);
        half.decoder.lost();
        half.fragments = Vec::new();
        self.facts.blocks_lost = self.facts.blocks_lost.saturating_add(1);
        let what = if block.too_large { What::BlockTooLarge } else { What::BlockLost };
        self.fault(what, from, block.stream, block.first, out);
        if block.stream == 0 || self.half(from).frame.kind == h2::PUSH_PROMISE {
            return;
        }
        match self.streams.known(block.stream, self.facts.lossy) {
            Known::Past => return,
            Known::New => self.open(block.stream, block.first, out),
            Known::Open => {}
        }
        let connect_protocol = self.facts.connect_protocol();
        if let Some(stream) = self.streams.get(block.stream) {
            stream.last = here;
            match from {
                Direction::ClientToServer if stream.request == Seen::No => {
                    stream.request = Seen::Lost;
                    stream.connect_protocol = connect_protocol;
                }
                Direction::ServerToClient if stream.response == Seen::No => stream.response = Seen::Lost,
                _ => {}
            }
        }
        if block.ends_stream {
            self.end_side(block.stream, from, here, out);
        }
    }

    fn setting(&mut self, from: Direction, id: u16, value: u32, mark: Mark) {
        self.facts.settings_mut(from).set(id, value, mark);
        if id == h2::HEADER_TABLE_SIZE {
            self.half(peer(from)).decoder.allow(value);
        }
    }

    /// HTTP2-Settings: the payload of a SETTINGS frame in base64url (RFC 7540 §3.2.1).
    pub(super) fn upgrade_settings(&mut self, settings: Option<&[u8]>, mark: Mark) {
        let client = Direction::ClientToServer;
        let text = settings.unwrap_or_default().trim_ascii();
        let text = text.iter().rposition(|b| *b != b'=').and_then(|last| text.get(..=last)).unwrap_or_default();
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(payload) if settings.is_some() => {
                payload.chunks(h2::SETTING_BYTES).filter_map(h2::setting).for_each(|(id, value)| {
                    self.setting(client, id, value, mark);
                });
            }
            _ => self.facts.settings_mut(client).partly_lost = true,
        }
        self.facts.settings_mut(client).seen = Some(mark);
        self.facts.streams = 1;
        let stream = self.streams.open(1, mark);
        stream.request = Seen::Yes;
        stream.ends_with_request = true;
        if let Some(ended) = stream.side_ended.get_mut(at(client)) {
            *ended = Some(mark.ts);
        }
    }

    fn open(&mut self, id: u32, mark: Mark, out: &mut dyn Output) {
        if self.streams.is_full() {
            for idle in self.streams.idle() {
                self.facts.streams_evicted = self.facts.streams_evicted.saturating_add(1);
                self.end(idle, Ended { how: How::Evicted, mark }, out);
            }
        }
        self.facts.streams = self.facts.streams.saturating_add(1);
        self.streams.open(id, mark);
    }

    fn reset(&mut self, by: Direction, id: u32, code: Option<u32>, mark: Mark, out: &mut dyn Output) {
        if self.streams.get(id).is_some() {
            self.end(id, Ended { how: How::Reset { by, code }, mark }, out);
        } else {
            self.facts.stray_frames = self.facts.stray_frames.saturating_add(1);
        }
    }

    fn end_side(&mut self, id: u32, from: Direction, mark: Mark, out: &mut dyn Output) {
        let Some(stream) = self.streams.get(id) else { return };
        if let Some(ended) = stream.side_ended.get_mut(at(from)) {
            ended.get_or_insert(mark.ts);
        }
        // It has nothing more to send.
        *stream.window(from) = Default::default();
        out.side_ended(stream, from, mark);
        if stream.side_ended.iter().all(Option::is_some) {
            self.end(id, Ended { how: How::EndStream { by: from }, mark }, out);
        }
    }

    pub(super) fn end(&mut self, id: u32, ended: Ended, out: &mut dyn Output) {
        let Some(mut stream) = self.streams.remove(id) else { return };
        for sender in super::connection::DIRECTIONS {
            let stall = stream.window(sender).ended(ended.mark.ts);
            self.stalled(id, sender, stall, out);
        }
        out.ended(&stream, ended);
    }

    pub(super) fn stalled(&mut self, stream: u32, sender: Direction, stall: Option<Stall>, out: &mut dyn Output) {
        if let Some(stall) = stall.filter(|_| self.windows_known) {
            out.connection(News::Stalled { stream, sender, stall }, &self.facts);
        }
    }
}

fn count_data(stream: &mut Stream, from: Direction, bytes: u64) {
    if let Some(count) = stream.data_bytes.get_mut(at(from)) {
        *count = count.saturating_add(bytes);
    }
}
