//! What one segment's frames bring, on its way into the tunnel.

use crate::base::{PacketRef, Timestamp};
use crate::model::{Direction, FrameFault, FrameFaultKind as Kind, FrameRecord};
use crate::wire::websocket::{Header, unmask, unmask_into};

use super::faults;
use super::frames::Ear;
use super::live::{Control, Live};
use super::tunnel::{Closed, Common, Log, Speaker, Tunnel, flag, state};

/// Hears one direction, for the bytes of one segment.
pub(super) struct Listener<'a> {
    pub(super) tunnel: &'a mut Tunnel,
    /// 0 the client, 1 the server.
    pub(super) side: usize,
    pub(super) ts: Timestamp,
    pub(super) at: PacketRef,
    /// Of the segment's first byte in its direction's stream.
    offset: u64,
    pub(super) common: &'a mut Common,
    /// A control frame that this segment began.
    control: Option<Control>,
    /// The content of the data message under way, or its first bytes, is in [`Common::beat`].
    pub(super) fresh: bool,
}

/// A packet, and bytes of its direction's stream that it brought: the first, and how many.
pub(super) type Place = (PacketRef, u64, u32);

/// Same masks in a row, after the first, that make a fault.
pub(super) const SAME_MASKS: u8 = 3;

impl<'a> Listener<'a> {
    #[inline]
    pub(super) fn new(
        tunnel: &'a mut Tunnel,
        side: usize,
        (ts, at, offset): (Timestamp, PacketRef, u64),
        common: &'a mut Common,
    ) -> Self {
        Listener { tunnel, side, ts, at, offset, common, control: None, fresh: false }
    }

    /// The segment is over.
    #[inline]
    pub(super) fn end(&mut self) {
        if let Some(control) = self.control.take() {
            self.live().control = Some(Box::new(control));
        }
        if self.fresh && self.tunnel.sides[self.side].state & state::MESSAGE != 0 {
            self.keep_content();
        }
    }

    #[inline]
    pub(super) fn speaker(&mut self) -> &mut Speaker {
        &mut self.tunnel.sides[self.side]
    }

    pub(super) fn live(&mut self) -> &mut Live {
        self.speaker().live.get_or_insert_default()
    }

    pub(super) fn from(&self) -> Direction {
        if self.side == 0 { Direction::ClientToServer } else { Direction::ServerToClient }
    }

    /// Where a header that ends here in the segment begins in the stream.
    fn begins(&self, h: &Header, end: usize) -> u64 {
        (self.offset + end as u64).saturating_sub(u64::from(h.length))
    }

    /// What this segment brings, where it is not known more closely.
    pub(super) fn here(&self) -> Place {
        (self.at, self.offset, 1)
    }

    /// Notes a fault that stands there.
    #[cold]
    pub(super) fn fault(&mut self, kind: Kind, detail: u64, (at, offset, length): Place) {
        let ts = self.ts;
        self.live().fault(FrameFault { kind, at, ts, offset, length, detail, count: 1 });
    }

    /// A header out of the ordinary.
    #[cold]
    fn faults(&mut self, h: &Header, end: usize) {
        let place = (self.at, self.begins(h, end), u32::from(h.length));
        let (client, of, flags) = (self.side == 0, self.speaker().state, self.tunnel.both.flags);
        faults::of_header(h, client, of, flags, &mut |kind, detail| self.fault(kind, detail, place));
    }

    /// Keeps the frame to be shown.
    #[cold]
    fn log(&mut self, h: &Header, end: usize) {
        if self.common.no_frames {
            self.tunnel.both.flags &= !flag::LOGS;
            return;
        }
        if self.tunnel.both.log.is_none() {
            if !self.may_keep(Log::BYTES) {
                self.tunnel.both.flags &= !(flag::LOGS | flag::KEEPS);
                self.common.unkept += 1;
                return;
            }
            self.tunnel.both.log = Some(Box::default());
        }
        let record = FrameRecord {
            at: self.at,
            ts: self.ts,
            offset: self.begins(h, end),
            payload: u32::try_from(h.payload).unwrap_or(u32::MAX),
            bits: h.bits(),
            masked: h.mask.is_some(),
            from: self.from(),
        };
        let both = &mut self.tunnel.both;
        if let Some(log) = &mut both.log {
            log.add(record, &mut both.logged);
        }
    }

    /// Whether so many more bytes may be kept; then they are counted.
    pub(super) fn may_keep(&mut self, bytes: usize) -> bool {
        let fits = self.common.kept + bytes <= crate::base::limits::TALK_BYTES;
        if fits {
            self.common.kept += bytes;
            self.tunnel.cold.kept_bytes = self.tunnel.cold.kept_bytes.saturating_add(u32::try_from(bytes).unwrap_or(0));
        }
        fits
    }

    fn begin_control(&mut self, h: &Header, end: usize) -> bool {
        let offset = self.begins(h, end);
        self.speaker().state |= state::CONTROL;
        self.live().other_bytes += h.payload;
        if h.opcode == crate::wire::websocket::CLOSE {
            self.speaker().state |= state::CLOSED;
            let by = self.from();
            self.tunnel.both.flags |= flag::CLOSED;
            let length = u32::try_from(h.payload).unwrap_or(u32::MAX).saturating_add(h.length.into());
            self.tunnel.cold.closed.get_or_insert(Closed { by, ts: self.ts, at: self.at, length });
        }
        let (at, ts) = (self.at, self.ts);
        self.control = Some(Control { header: *h, at, ts, offset, bytes: [0; super::live::CONTROL_BYTES], len: 0 });
        true
    }

    /// A control frame is all there.
    fn control(&mut self) {
        self.speaker().state &= !state::CONTROL;
        let control = self.control.take().or_else(|| self.live().control.take().map(|control| *control));
        if let Some(control) = control {
            self.controlled(&control, true);
        }
    }
}

impl Ear for Listener<'_> {
    #[inline]
    fn frame(&mut self, h: &Header, end: usize) -> bool {
        let client = self.side == 0;
        if self.tunnel.both.flags & flag::LOGS != 0 {
            self.log(h, end);
        }
        let (at, side) = (self.at, self.side);
        let mask = h.mask.unwrap_or_default();
        let s = self.speaker();
        let same = s.mask == mask && client && h.mask.is_some();
        (s.at, s.bits, s.mask, s.phase) = (at, h.bits(), mask, 0);
        let odd = s.state & (state::MESSAGE | state::CLOSED | state::LOST) != 0
            || h.rsv != 0
            || h.opcode > 2
            || h.opcode == 0
            || h.mask.is_some() != client
            || !h.is_minimal()
            || h.payload > crate::base::limits::FRAME_HUGE_BYTES;
        if odd || client && mask == [0; 4] {
            self.faults(h, end);
        }
        let masks = &mut self.tunnel.both.same_masks[side];
        *masks = if same { masks.saturating_add(1) } else { 0 };
        if *masks >= SAME_MASKS && mask != [0; 4] {
            let place = (self.at, self.begins(h, end), u32::from(h.length));
            self.fault(Kind::MaskConstant, u64::from(u32::from_be_bytes(mask)), place);
        }
        if h.is_control() {
            return self.begin_control(h, end);
        }
        let begins = self.begins(h, end);
        self.data_frame(h, begins)
    }

    #[inline]
    fn payload(&mut self, bytes: &[u8]) {
        let s = self.speaker();
        if s.state & state::CONTROL != 0 {
            match &mut self.control {
                Some(control) => control.add(bytes),
                None => self.live().control.iter_mut().for_each(|control| control.add(bytes)),
            }
            return;
        }
        if !s.is_read() {
            s.bytes = s.bytes.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            self.fresh = false;
            return;
        }
        if !self.fresh {
            self.restore_content();
        }
        let s = self.speaker();
        let (mask, phase) = (s.mask, s.phase);
        s.phase = u8::try_from((usize::from(phase) + bytes.len()) % 4).unwrap_or(0);
        if mask == [0; 4] {
            self.content(bytes);
            return;
        }
        if bytes.len() <= SHORT {
            let mut plain = [0; SHORT];
            let plain = &mut plain[..bytes.len()];
            unmask_into(plain, bytes, mask, usize::from(phase));
            self.content(plain);
            return;
        }
        let mut plain = std::mem::take(&mut self.common.plain);
        for (n, piece) in bytes.chunks(UNMASKED_AT_ONCE).enumerate() {
            plain.clear();
            plain.extend_from_slice(piece);
            unmask(&mut plain, mask, usize::from(phase) + n * UNMASKED_AT_ONCE);
            self.content(&plain);
        }
        self.common.plain = plain;
    }

    #[inline]
    fn over(&mut self) {
        if self.speaker().state & state::CONTROL != 0 {
            self.control();
        } else {
            self.frame_over();
        }
    }

    fn missed(&mut self, over: bool) {
        if self.speaker().state & state::CONTROL != 0 {
            // What came before the hole is all that is read of it.
            if let Some(control) = self.live().control.take() {
                self.controlled(&control, false);
            }
            if over {
                self.speaker().state &= !state::CONTROL;
            }
            return;
        }
        self.broken();
        if over {
            self.frame_over();
        }
    }

    fn lost(&mut self) {
        let s = self.speaker();
        s.state = s.state & !(state::MESSAGE | state::CONTROL) | state::LOST;
        if let Some(live) = &mut s.live {
            live.control = None;
            live.message = None;
        }
        self.broken();
    }

    fn endless(&mut self, h: &Header, end: usize) {
        let place = (self.at, self.begins(h, end), u32::from(h.length));
        self.fault(Kind::LengthMsb, h.payload, place);
    }
}

/// Bytes of a payload that are unmasked at once, a multiple of the mask's length.
const UNMASKED_AT_ONCE: usize = 4 << 10;

/// Bytes of a payload below which it is unmasked on the stack.
const SHORT: usize = 64;
