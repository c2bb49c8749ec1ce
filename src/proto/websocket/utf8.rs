//! Whether bytes that come in pieces are UTF-8 (RFC 3629), as text must be (RFC 6455 §8.1).

/// How far a text has come: bytes of a character whose rest is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    bytes: [u8; 3],
    len: u8,
}

impl Utf8 {
    /// The next piece. `false`: it cannot be UTF-8.
    #[inline]
    pub(super) fn push(&mut self, mut piece: &[u8]) -> bool {
        if self.len != 0 {
            match self.join(piece) {
                Some(rest) => piece = rest,
                None => return false,
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(e) if e.error_len().is_some() => false,
            Err(e) => self.keep(&piece[e.valid_up_to()..]),
        }
    }

    /// Whether the text may end here.
    pub(super) fn may_end(self) -> bool {
        self.len == 0
    }

    /// Ends the character that was begun, or goes on with it. What is left of the piece. `None`: it is none.
    fn join<'a>(&mut self, piece: &'a [u8]) -> Option<&'a [u8]> {
        let held = usize::from(self.len);
        let mut all = [0; 4];
        all[..held].copy_from_slice(&self.bytes[..held]);
        for (n, byte) in piece.iter().take(4 - held).enumerate() {
            all[held + n] = *byte;
            match std::str::from_utf8(&all[..=held + n]) {
                Ok(_) => {
                    self.len = 0;
                    return piece.get(n + 1..);
                }
                Err(e) if e.error_len().is_some() => return None,
                Err(_) => {}
            }
        }
        self.keep(&all[..(held + piece.len()).min(4)]).then_some(&[])
    }

    fn keep(&mut self, begun: &[u8]) -> bool {
        let Some(place) = self.bytes.get_mut(..begun.len()) else { return false };
        place.copy_from_slice(begun);
        self.len = u8::try_from(begun.len()).unwrap_or(0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> bool {
        let mut text = Utf8::default();
        let mut from = 0;
        for cut in cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]) {
            if cut >= from {
                if !text.push(&bytes[from..cut]) {
                    return false;
                }
                from = cut;
            }
        }
        text.may_end()
    }

    #[test]
    fn characters_over_edges_are_whole_and_broken_ones_are_not() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        for cut in 0..=text.len() {
            assert!(in_pieces(text, &[cut]), "{cut}");
        }
        for bad in [&b"\xff"[..], b"a\xc3", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
            for cut in 0..=bad.len() {
                assert!(!in_pieces(bad, &[cut]), "{bad:x?} {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_what_the_whole_gives(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..0xc0_u8, 0xe0..0xf5_u8], 0..12),
            mut cuts in prop::collection::vec(0_usize..13, 0..6),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(in_pieces(&bytes, &cuts), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
