//! Whether bytes that come in pieces are UTF-8 (RFC 3629), as text must be (RFC 6455 §8.1).

/// How far a text has come: bytes of a character whose rest is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    bytes: [u8; 3],
    len: u8,
}

impl Utf8 {
    /// The next piece. An error says where in it the text stops to be UTF-8; below zero: in an earlier one.
    #[inline]
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), i64> {
        // Most text is ASCII, and a short one is sooner looked through than taken apart.
        if self.len == 0 && piece.is_ascii() {
            return Ok(());
        }
        let mut rest = piece;
        if self.len != 0 {
            rest = self.join(piece).ok_or(-i64::from(self.len))?;
        }
        let Err(e) = std::str::from_utf8(rest) else { return Ok(()) };
        let place = piece.len() - rest.len() + e.valid_up_to();
        if e.error_len().is_none() && self.keep(&rest[e.valid_up_to()..]) {
            return Ok(());
        }
        Err(i64::try_from(place).unwrap_or(i64::MAX))
    }

    /// Bytes of a character whose rest is still to come: where there are none, the text may end.
    pub(super) fn begun(self) -> u8 {
        self.len
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
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where the text stops to be UTF-8.
    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Option<usize> {
        let mut text = Utf8::default();
        let mut from = 0;
        for cut in cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]) {
            if cut >= from {
                if let Err(at) = text.push(&bytes[from..cut]) {
                    return from.checked_add_signed(isize::try_from(at).unwrap());
                }
                from = cut;
            }
        }
        (text.begun() != 0).then(|| bytes.len() - usize::from(text.begun()))
    }

    #[test]
    fn characters_over_edges_are_whole_and_broken_ones_are_not() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        for cut in 0..=text.len() {
            assert_eq!(in_pieces(text, &[cut]), None, "{cut}");
        }
        for bad in [&b"\xff"[..], b"a\xc3", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
            for cut in 0..=bad.len() {
                let place = std::str::from_utf8(bad).unwrap_err().valid_up_to();
                assert_eq!(in_pieces(bad, &[cut]), Some(place), "{bad:x?} {cut}");
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
            prop_assert_eq!(in_pieces(&bytes, &cuts), std::str::from_utf8(&bytes).err().map(|e| e.valid_up_to()));
        }
    }
}
