//! What few directions need while they are open: faults, control frames, compression, the first messages.

use std::mem::offset_of;

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{FrameFault, Message, Rare};
use crate::wire::websocket::Header;

use super::super::fetch::fetch_around;
use super::inflate::Inflate;

/// One direction's. Made when there is something to put into it.
#[derive(Default)]
pub(super) struct Live {
    pub(super) rare: Rare,
    pub(super) inflate: Option<Box<Inflate>>,
    /// A control frame whose payload goes on in another segment.
    pub(super) control: Option<Box<Control>>,
    /// The data message under way, where it is to be kept.
    pub(super) message: Option<Message>,
    /// The content of the message under way, or its first bytes, where it goes on in another segment.
    pub(super) content: Vec<u8>,
    pub(super) has_content: bool,
    /// Fragments without a byte in the message under way.
    pub(super) empty_fragments: u32,
    /// Payload bytes of frames that are no data.
    pub(super) other_bytes: u64,
    /// Where the data message under way begins. `None`: before there was anything to note.
    pub(super) begun: Option<(PacketRef, u64)>,
    /// What tells its beats apart, in their order.
    pub(super) beat_keys: [u32; limits::BEATS],
}

/// A control frame, as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) header: Header,
    pub(super) at: PacketRef,
    pub(super) ts: Timestamp,
    /// Of its first byte in its direction's stream.
    pub(super) offset: u64,
    /// Its payload as on the wire; of a longer one the first bytes.
    pub(super) bytes: [u8; CONTROL_BYTES],
    pub(super) len: u8,
}

/// Longest payload of a control frame (RFC 6455 §5.5).
pub(super) const CONTROL_BYTES: usize = 125;

impl Control {
    pub(super) fn add(&mut self, piece: &[u8]) {
        let from = usize::from(self.len);
        let n = piece.len().min(CONTROL_BYTES - from);
        self.bytes[from..from + n].copy_from_slice(&piece[..n]);
        self.len = u8::try_from(from + n).unwrap_or(u8::MAX);
    }

    /// What came of its payload, as on the wire.
    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Bytes of header and payload, stops at its largest value.
    pub(super) fn length(&self) -> u32 {
        u32::try_from(self.header.payload.saturating_add(u64::from(self.header.length))).unwrap_or(u32::MAX)
    }
}

impl Live {
    /// Starts fetching it.
    #[inline]
    pub(super) fn prefetch(&self) {
        fetch_around(&self.has_content, offset_of!(Live, has_content), size_of::<Live>());
    }

    /// Notes a fault; of one kind the first stays.
    pub(super) fn fault(&mut self, fault: FrameFault) {
        match self.rare.faults.iter_mut().find(|known| known.kind == fault.kind) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => self.rare.faults.push(fault),
        }
    }

    /// Whether there is anything to tell.
    pub(super) fn is_worth_telling(&self) -> bool {
        self.rare != Rare::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_kept_message_needs_is_small() {
        assert!(size_of::<Live>() <= 256, "{}: each tunnel has two of them", size_of::<Live>());
    }
}
