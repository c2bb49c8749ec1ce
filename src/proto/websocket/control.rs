//! Control frames (RFC 6455 §5.5): Pings, the Pongs that answer them, Close.

use crate::base::{Nanos, limits};
use crate::model::{FrameFaultKind as Kind, OpenPing, Pings, SentClose};
use crate::wire::websocket::{CLOSE, PING, PONG, unmask};

use super::listener::Listener;
use super::live::Control;
use super::tunnel::state;

impl Listener<'_> {
    /// A control frame is all there; or, where it is not `complete`, what there is of it.
    pub(super) fn controlled(&mut self, control: &Control, complete: bool) {
        let mut bytes = *control.payload().first_chunk().unwrap_or(&[0; super::live::CONTROL_BYTES]);
        let len = control.payload().len();
        bytes[..len].copy_from_slice(control.payload());
        let payload = &mut bytes[..len];
        unmask(payload, control.header.mask.unwrap_or_default(), 0);
        match control.header.opcode {
            PING => self.ping(control, payload),
            PONG if complete => self.pong(control, payload),
            CLOSE => self.close(control, payload),
            _ => {}
        }
    }

    fn ping(&mut self, control: &Control, payload: &[u8]) {
        let crc = crc32c::crc32c(payload);
        let ping = OpenPing { at: control.at, ts: control.ts, offset: control.offset, length: control.length(), crc };
        let pings = self.live().rare.pings.get_or_insert_default();
        pings.period.add(control.ts);
        if pings.open.len() == limits::PINGS_OPEN {
            pings.open.remove(0);
            pings.open_more = pings.open_more.saturating_add(1);
        }
        pings.open.push(ping);
    }

    fn pong(&mut self, control: &Control, payload: &[u8]) {
        let crc = crc32c::crc32c(payload);
        let other = &mut self.tunnel.sides[1 - self.side];
        // Who has said Close reads no answer any more: its Ping was in vain.
        let over = other.state & state::CLOSED != 0;
        let other = &mut other.live;
        let pings = other.as_mut().and_then(|live| live.rare.pings.as_deref_mut());
        let known = pings.is_some_and(|pings| match over {
            true => pings.open.iter().any(|ping| ping.crc == crc),
            false => answer(pings, crc, control),
        });
        // One that nobody asked for may come at any time (RFC 6455 §5.5.3); with a payload that no Ping had, when
        // there are some that wait, it is none of these.
        let open = self.tunnel.sides[1 - self.side].live.as_ref().and_then(|live| live.rare.pings.as_deref());
        if !known && !payload.is_empty() && open.is_some_and(|pings| !pings.open.is_empty()) {
            self.fault(Kind::PongMismatch, 0, (control.at, control.offset, control.length()));
        }
    }

    fn close(&mut self, control: &Control, payload: &[u8]) {
        let (code, reason) = match payload {
            [a, b, reason @ ..] => (Some(u16::from_be_bytes([*a, *b])), reason.into()),
            _ => (None, Box::default()),
        };
        let close = SentClose {
            at: control.at,
            ts: control.ts,
            offset: control.offset,
            length: control.length(),
            payload: u32::try_from(control.header.payload).unwrap_or(u32::MAX),
            code,
            reason,
        };
        self.live().rare.close.get_or_insert_with(|| Box::new(close));
    }
}

/// Whether a Ping waits for this Pong. Then it and all before it are answered (RFC 6455 §5.5.3).
fn answer(pings: &mut Pings, crc: u32, pong: &Control) -> bool {
    let Some(at) = pings.open.iter().position(|ping| ping.crc == crc) else { return false };
    let answered = u32::try_from(at + 1).unwrap_or(u32::MAX).saturating_add(pings.open_more);
    if let Some(ping) = pings.open.get(at) {
        let took = pong.ts.since(ping.ts).max(Nanos::ZERO);
        pings.quickest = Some(pings.quickest.map_or(took, |quickest| quickest.min(took)));
        pings.slowest = Some(pings.slowest.map_or(took, |slowest| slowest.max(took)));
    }
    pings.answered = pings.answered.saturating_add(answered);
    pings.open_more = 0;
    pings.open.drain(..=at);
    true
}
