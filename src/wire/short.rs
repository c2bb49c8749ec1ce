//! The frame that nearly all are: a data message of one frame, short, whole in one place and without a fault of its
//! own. What is asked of it is found out in one go over its bytes, which whoever took the packet apart still has at
//! hand.

use crate::base::limits;
use crate::model::Digest;

use super::websocket::TEXT;

/// One of them, without its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Short {
    /// The masking key; all zero where there is none.
    pub mask: [u8; 4],
    /// [`Digest::of_small`] of its content.
    pub sum: u32,
    /// Bytes of its payload, at most [`limits::BEAT_BYTES`].
    pub length: u8,
    /// FIN, RSV bits and opcode, as on the wire. 0: there is none here.
    pub bits: u8,
    pub masked: bool,
}

impl Short {
    /// The one that begins here: text that is ASCII, or binary (RFC 6455 §5.2).
    #[inline]
    pub fn first(bytes: &[u8]) -> Option<Self> {
        let [bits @ (0x81 | 0x82), second, rest @ ..] = bytes else { return None };
        let (masked, length) = (second & 0x80 != 0, second & 0x7f);
        if usize::from(length) > limits::BEAT_BYTES {
            return None;
        }
        let (mask, rest) = if masked { rest.split_first_chunk::<4>()? } else { (&[0; 4], rest) };
        // Who masks with nothing but zeros is at fault.
        if masked && *mask == [0; 4] {
            return None;
        }
        let payload = rest.get(..usize::from(length))?;
        let key = u64::from(u32::from_le_bytes(*mask)) * 0x1_0000_0001;
        let mut seen = 0;
        let sum = Digest::of_words(payload, |word, of_content| {
            let word = (word ^ key) & of_content;
            seen |= word;
            word
        });
        if bits & 0x0f == TEXT && seen & 0x8080_8080_8080_8080 != 0 {
            return None;
        }
        Some(Short { mask: *mask, sum, length, bits: *bits, masked })
    }

    /// The one that these bytes are, and nothing else.
    #[inline]
    pub fn whole(bytes: &[u8]) -> Option<Self> {
        Short::first(bytes).filter(|short| short.bytes() == bytes.len())
    }

    pub fn is_text(self) -> bool {
        self.bits & 0x0f == TEXT
    }

    /// Bytes of header and payload.
    #[inline]
    pub fn bytes(self) -> usize {
        usize::from(self.length) + if self.masked { 6 } else { 2 }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;
    use crate::wire::websocket::unmask;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn its_sum_is_that_of_what_it_says(
            content in proptest::collection::vec(0_u8..128, 0..=limits::BEAT_BYTES),
            key in proptest::array::uniform4(1_u8..),
            masked: bool,
            text: bool,
            more in proptest::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut frame = vec![if text { 0x81 } else { 0x82 }, content.len() as u8 | u8::from(masked) << 7];
            let mut said = content.clone();
            if masked {
                frame.extend_from_slice(&key);
                unmask(&mut said, key, 0);
            }
            frame.extend_from_slice(&said);
            let length = frame.len();
            let mut cut = frame.clone();
            frame.extend_from_slice(&more);
            let short = Short::first(&frame).unwrap();
            prop_assert_eq!(short.sum, Digest::of_small(&content));
            prop_assert_eq!((short.bytes(), short.is_text(), short.masked), (length, text, masked));
            prop_assert_eq!(Short::whole(&frame).is_some(), more.is_empty());
            cut.pop();
            prop_assert_eq!(Short::first(&cut), None);
        }
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_none() {
        let none = |bytes: &[u8]| assert_eq!(Short::first(bytes), None, "{bytes:?}");
        none(b"\x01\x02hi");
        none(b"\xc1\x02hi");
        none(b"\x89\x02hi");
        none(b"\x81\x82\0\0\0\0hi");
        none("\u{81}\x02ü".as_bytes());
        none(b"\x81\x02\xc3\xbc");
        assert!(Short::first(b"\x82\x02\xc3\xbc").is_some());
        let mut long = vec![0x82, limits::BEAT_BYTES as u8];
        long.resize(2 + limits::BEAT_BYTES, 0);
        assert!(Short::whole(&long).is_some());
        long[1] += 1;
        long.push(0);
        none(&long);
    }
}
