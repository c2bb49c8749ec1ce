//! Compressed messages of one direction (RFC 7692 §7.2), inflated piece by piece. Bounded: what comes out goes on
//! in small pieces and is kept by nobody.

use flate2::{Decompress, FlushDecompress, Status};

use crate::base::limits;
use crate::model::FrameFaultKind;

use super::window::Window;

/// The reader of one direction.
pub(super) struct Inflate {
    state: Decompress,
    no_context_takeover: bool,
    /// Bytes that went in of the message under way, and came out of it.
    took: u64,
    gave: u64,
    /// Bytes that came out of all messages.
    total: u64,
    /// Messages that were read whole, their bytes on the wire and inflated.
    pub(super) gain: (u32, u64, u64),
    /// A message was read before.
    again: bool,
    /// The last block said that it is the last (RFC 7692 §7.2.3.4): what follows is no data.
    final_block: bool,
    /// Of an earlier message: what it said is forgotten here, though its sender may remember it.
    forgot: bool,
    /// The last four bytes that went in.
    tail: [u8; 4],
    /// The window that was agreed on, where it is smaller than the largest: zlib lets data refer to all of 32 KiB.
    window: Option<Window>,
}

/// Why a message cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Fault(FrameFaultKind),
    /// The bytes that came out.
    Bomb(u64),
    /// `limits::INFLATED_BYTES` have come out.
    Budget,
    /// It refers to what was forgotten here.
    Forgot,
}

/// What is put back at the end of a message (RFC 7692 §7.2.2).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes that come out at once.
pub(super) const PIECE: usize = 4 << 10;

/// The same where it matters to be told that data refer to too far back: with 258 and more, zlib-rs takes a faster
/// road that does not say what is wrong.
const SMALL_PIECE: usize = 256;

/// The largest window there is (RFC 1951 §2).
const MAX_BITS: u8 = 15;

/// Below this a ratio says nothing.
const BOMB_BYTES: u64 = 1 << 20;

impl Inflate {
    /// A reader for a direction whose sender compresses with this window, of 8 to 15 bits.
    pub(super) fn new(bits: u8, no_context_takeover: bool) -> Inflate {
        Inflate {
            state: Decompress::new(false),
            no_context_takeover,
            took: 0,
            gave: 0,
            total: 0,
            gain: (0, 0, 0),
            again: false,
            final_block: false,
            forgot: false,
            tail: [0; 4],
            window: (bits < MAX_BITS).then(|| Window::new(bits)),
        }
    }

    /// A message begins.
    pub(super) fn begin(&mut self) {
        if self.again && self.no_context_takeover {
            self.state.reset(false);
        } else if self.again && self.final_block {
            self.state.reset(false);
            self.forgot = true;
        }
        if let Some(window) = &mut self.window {
            window.begin(self.again && self.no_context_takeover);
        }
        (self.took, self.gave, self.final_block, self.tail) = (0, 0, false, [1; 4]);
        self.again = true;
    }

    /// The next bytes of its payload, unmasked. `out`: [`PIECE`] bytes of scratch.
    pub(super) fn push(&mut self, input: &[u8], out: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        self.took += input.len() as u64;
        for byte in input.iter().skip(input.len().saturating_sub(4)) {
            self.tail.rotate_left(1);
            self.tail[3] = *byte;
        }
        self.inflate(input, out, sink)
    }

    /// The message is over. What its payload took and what came out.
    pub(super) fn end(&mut self, out: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> Result<(u64, u64), Stop> {
        let gave = self.gave;
        if !self.final_block {
            match self.inflate(&TAIL, out, sink) {
                Err(Stop::Fault(_)) => return Err(Stop::Fault(FrameFaultKind::DeflateTruncated)),
                Err(other) => return Err(other),
                // Behind a whole block nothing comes out of it.
                Ok(()) if self.gave != gave => return Err(Stop::Fault(FrameFaultKind::DeflateTruncated)),
                Ok(()) => {}
            }
        }
        Ok((self.took, self.gave))
    }

    /// Whether the message ends in the four bytes that its sender had to take off (RFC 7692 §7.2.1).
    pub(super) fn has_trailer(&self) -> bool {
        self.tail == TAIL && self.took > 4
    }

    fn inflate(&mut self, input: &[u8], out: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        self.inflate_all(input, out, sink)?;
        let holds = self.window.as_mut().is_none_or(|window| window.holds(input));
        if holds { Ok(()) } else { Err(Stop::Fault(FrameFaultKind::DeflateWindow)) }
    }

    /// With the largest window.
    fn inflate_all(&mut self, mut input: &[u8], out: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Stop> {
        while !self.final_block {
            let room = if self.may_reach_back() { SMALL_PIECE } else { PIECE }.min(out.len());
            let out = &mut out[..room];
            let before = (self.state.total_in(), self.state.total_out());
            let status =
                self.state.decompress(input, out, FlushDecompress::None).map_err(|e| self.stop(e.message()))?;
            let took = usize::try_from(self.state.total_in() - before.0).unwrap_or(usize::MAX);
            let gave = usize::try_from(self.state.total_out() - before.1).unwrap_or(usize::MAX);
            input = input.get(took..).unwrap_or_default();
            let plain = out.get(..gave).unwrap_or_default();
            sink(plain);
            self.gave += gave as u64;
            self.total += gave as u64;
            self.final_block = status == Status::StreamEnd;
            if self.gave > limits::INFLATED_MESSAGE_BYTES
                || self.gave > BOMB_BYTES && self.gave > self.took.saturating_mul(limits::BOMB_RATIO)
            {
                return Err(Stop::Bomb(self.gave));
            }
            if self.total > limits::INFLATED_BYTES {
                return Err(Stop::Budget);
            }
            // A piece that was filled may have left more behind, without any input.
            if gave < room && (input.is_empty() || took == 0) {
                break;
            }
        }
        Ok(())
    }

    /// Whether data may refer to what their sender had to forget.
    fn may_reach_back(&self) -> bool {
        self.no_context_takeover && self.gave < 1 << MAX_BITS
    }

    fn stop(&self, why: Option<&str>) -> Stop {
        let too_far = why.is_some_and(|why| why.contains("too far back"));
        Stop::Fault(match too_far {
            true if self.forgot => return Stop::Forgot,
            true if self.no_context_takeover && self.total > self.gave => FrameFaultKind::DeflateContext,
            _ => FrameFaultKind::DeflateData,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn packed(deflate: &mut Compress, plain: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + 1_024);
        deflate.compress_vec(plain, &mut out, flush).unwrap();
        if flush == FlushCompress::Sync {
            assert!(out.ends_with(&TAIL));
            out.truncate(out.len() - 4);
        }
        out
    }

    fn read(inflate: &mut Inflate, message: &[u8], step: usize) -> Result<Vec<u8>, Stop> {
        let (mut scratch, mut plain) = ([0; PIECE], Vec::new());
        inflate.begin();
        for piece in message.chunks(step) {
            inflate.push(piece, &mut scratch, &mut |bytes| plain.extend_from_slice(bytes))?;
        }
        inflate.end(&mut scratch, &mut |bytes| plain.extend_from_slice(bytes))?;
        Ok(plain)
    }

    fn noise(n: usize) -> Vec<u8> {
        let mut x = 1_u32;
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn messages_are_read_with_and_without_their_context() {
        for bits in [9, 10, 12, 15] {
            for no_takeover in [false, true] {
                let mut deflate = Compress::new_with_window_bits(Compression::best(), false, bits);
                let mut inflate = Inflate::new(bits, no_takeover);
                for n in [0, 1, 5, 300, 70_000] {
                    let plain: Vec<u8> = noise(n / 2).iter().chain(&noise(n - n / 2)).copied().collect();
                    let message = packed(&mut deflate, &plain, FlushCompress::Sync);
                    assert_eq!(read(&mut inflate, &message, 7).unwrap(), plain, "{bits} {no_takeover} {n}");
                    if no_takeover {
                        deflate.reset();
                    }
                }
            }
        }
    }

    #[test]
    fn a_final_block_ends_a_message_and_no_more() {
        for no_takeover in [false, true] {
            let mut inflate = Inflate::new(15, no_takeover);
            for _ in 0..3 {
                let mut deflate = Compress::new(Compression::best(), false);
                let mut message = packed(&mut deflate, b"hello hello hello", FlushCompress::Finish);
                // RFC 7692 §7.2.3.4.
                message.push(0);
                assert_eq!(read(&mut inflate, &message, 100).unwrap(), b"hello hello hello");
            }
        }
    }

    #[test]
    fn a_window_that_was_not_agreed_on_is_seen() {
        let mut deflate = Compress::new_with_window_bits(Compression::best(), false, 15);
        let plain = noise(3_000);
        let messages = [0, 1].map(|_| packed(&mut deflate, &plain, FlushCompress::Sync));
        let mut small = Inflate::new(10, false);
        assert!(read(&mut small, &messages[0], 100).is_ok());
        let stop = read(&mut small, &messages[1], 100).unwrap_err();
        assert_eq!(stop, Stop::Fault(FrameFaultKind::DeflateWindow));
        let within = packed(&mut Compress::new(Compression::best(), false), &plain.repeat(2), FlushCompress::Sync);
        for no_takeover in [false, true] {
            let stop = read(&mut Inflate::new(11, no_takeover), &within, 100).unwrap_err();
            assert_eq!(stop, Stop::Fault(FrameFaultKind::DeflateWindow), "inside one message");
            assert!(read(&mut Inflate::new(12, no_takeover), &within, 100).is_ok());
        }
        let mut large = Inflate::new(12, false);
        assert!(messages.iter().all(|message| read(&mut large, message, 100).unwrap() == plain));
    }

    #[test]
    fn a_context_that_was_to_be_forgotten_is_seen() {
        let mut deflate = Compress::new(Compression::best(), false);
        let mut inflate = Inflate::new(15, true);
        let plain = noise(300);
        let first = packed(&mut deflate, &plain, FlushCompress::Sync);
        let second = packed(&mut deflate, &plain, FlushCompress::Sync);
        assert!(read(&mut inflate, &first, 100).is_ok());
        assert_eq!(read(&mut inflate, &second, 100).unwrap_err(), Stop::Fault(FrameFaultKind::DeflateContext));
    }

    #[test]
    fn cut_and_foreign_data_are_told_apart() {
        let message =
            packed(&mut Compress::new(Compression::best(), false), &noise(500).repeat(2), FlushCompress::Sync);
        let cut = read(&mut Inflate::new(15, false), &message[..message.len() - 6], 100);
        assert_eq!(cut.unwrap_err(), Stop::Fault(FrameFaultKind::DeflateTruncated));
        let text = read(&mut Inflate::new(15, false), b"no compressed data at all", 100);
        assert_eq!(text.unwrap_err(), Stop::Fault(FrameFaultKind::DeflateData));
    }

    #[test]
    fn bombs_stop_early() {
        let zeros = vec![0; 20 << 20];
        let message = packed(&mut Compress::new(Compression::best(), false), &zeros, FlushCompress::Sync);
        let Err(Stop::Bomb(out)) = read(&mut Inflate::new(15, false), &message, 1_000) else { panic!() };
        assert!(out <= limits::INFLATED_MESSAGE_BYTES + PIECE as u64, "{out}");
    }
}
