//! Whether compressed messages reach back beyond a window that is smaller than the largest (RFC 7692 §7.1.2): they are
//! inflated once more, into a ring as large as the window.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The bytes that one direction may refer to, and no others.
pub(super) struct Window {
    state: Box<DecompressorOxide>,
    ring: Box<[u8]>,
    /// Where in the ring the next byte goes.
    at: usize,
    /// The ring was filled once: all of it may be referred to.
    full: bool,
    /// The last block said that it is the last.
    over: bool,
}

impl Window {
    /// Of `1 << bits` bytes; at most 15.
    pub(super) fn new(bits: u8) -> Window {
        let ring = vec![0; 1 << bits.min(15)].into();
        Window { state: Box::default(), ring, at: 0, full: false, over: false }
    }

    /// A message begins. `forgets`: it may not refer to any before it.
    pub(super) fn begin(&mut self, forgets: bool) {
        if forgets {
            (self.at, self.full) = (0, false);
        }
        if forgets || self.over {
            self.state.init();
            self.over = false;
        }
    }

    /// Takes bytes that can be inflated with the largest window. `false`: not with this one.
    pub(super) fn holds(&mut self, mut input: &[u8]) -> bool {
        while !self.over {
            // What was not filled yet was never said.
            let flat = if self.full { 0 } else { TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF };
            let flags = TINFL_FLAG_HAS_MORE_INPUT | flat;
            let (status, took, gave) = decompress(&mut self.state, input, &mut self.ring, self.at, flags);
            input = input.get(took..).unwrap_or_default();
            self.at += gave;
            if self.at >= self.ring.len() {
                (self.at, self.full) = (0, true);
            }
            match status {
                TINFLStatus::HasMoreOutput if took > 0 || gave > 0 => {}
                TINFLStatus::HasMoreOutput | TINFLStatus::NeedsMoreInput => return true,
                TINFLStatus::Done => self.over = true,
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn packed(deflate: &mut Compress, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + 1_024);
        deflate.compress_vec(plain, &mut out, FlushCompress::Sync).unwrap();
        out
    }

    /// Bytes in which nothing comes again within `n` of them, and then all of them once more.
    fn again_after(n: usize) -> Vec<u8> {
        let mut x = 7_u32;
        let once: Vec<u8> = (0..n)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (x >> 24) as u8
            })
            .collect();
        once.repeat(2)
    }

    fn holds(bits: u8, message: &[u8], step: usize) -> bool {
        let mut window = Window::new(bits);
        window.begin(false);
        message.chunks(step).all(|piece| window.holds(piece))
    }

    #[test]
    fn a_distance_inside_one_message_is_held_to_the_window() {
        for (distance, least) in [(300, 9), (1_000, 10), (3_000, 12), (20_000, 15)] {
            let message = packed(&mut Compress::new(Compression::best(), false), &again_after(distance));
            for step in [1, 7, 1_000_000] {
                for bits in 8..=15 {
                    assert_eq!(holds(bits, &message, step), bits >= least, "{distance} in {bits} bits by {step}");
                }
            }
        }
    }

    #[test]
    fn what_a_sender_with_that_window_says_is_held_however_long() {
        for bits in 9..15 {
            let mut deflate = Compress::new_with_window_bits(Compression::best(), false, bits);
            let mut window = Window::new(bits);
            for n in [0, 1, 300, 5_000, 100_000, 3] {
                window.begin(false);
                assert!(window.holds(&packed(&mut deflate, &again_after(n))), "{n} bytes in {bits} bits");
            }
        }
    }

    #[test]
    fn a_message_that_forgets_may_not_refer_to_the_one_before() {
        let mut deflate = Compress::new(Compression::best(), false);
        let plain = again_after(200);
        let messages = [0, 1].map(|_| packed(&mut deflate, &plain));
        let said = |forgets| {
            let mut window = Window::new(12);
            messages.each_ref().map(|message| {
                window.begin(forgets);
                window.holds(message)
            })
        };
        assert_eq!((said(false), said(true)), ([true, true], [true, false]));
    }

    #[test]
    fn behind_a_last_block_the_window_stays() {
        let mut window = Window::new(10);
        let plain = again_after(100);
        for _ in 0..2 {
            let mut deflate = Compress::new(Compression::best(), false);
            let mut message = Vec::with_capacity(1_000);
            deflate.compress_vec(&plain, &mut message, FlushCompress::Finish).unwrap();
            window.begin(false);
            assert!(window.holds(&message));
        }
    }
}
