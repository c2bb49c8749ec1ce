//! Strings in the Huffman code of RFC 7541 §5.2 and appendix B. The code is canonical: its lengths are all
//! there is to know, and the tables are computed from them at compile time.

/// Why bytes are no string in this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The end-of-string symbol stands in it.
    Eos,
    /// The rest behind the last symbol is longer than seven bits, or not all ones.
    Padding,
    /// It decodes to more bytes than are allowed.
    TooLong,
}

/// Appends what `coded` decodes to, at most `most` bytes. After a fault, `out` holds what came before it.
#[inline]
pub fn decode(coded: &[u8], out: &mut Vec<u8>, most: usize) -> Result<(), Fault> {
    let from = out.len();
    // The bits not looked at yet, the next one highest; the rest is zero.
    let (mut bits, mut count) = (0_u64, 0_u32);
    let mut rest = coded;
    loop {
        while count <= 56 {
            let Some((&byte, tail)) = rest.split_first() else { break };
            bits |= u64::from(byte) << (56 - count);
            count += 8;
            rest = tail;
        }
        if count == 0 {
            return Ok(());
        }
        // Behind the end stand ones, as padding does.
        let window = (bits | u64::MAX.checked_shr(count).unwrap_or(0)) >> 32;
        let (symbol, length) = symbol(window);
        if length > count {
            let ones = bits.leading_ones() >= count;
            return if count < 8 && ones { Ok(()) } else { Err(Fault::Padding) };
        }
        let Ok(byte) = u8::try_from(symbol) else { return Err(Fault::Eos) };
        if out.len() - from >= most {
            return Err(Fault::TooLong);
        }
        out.push(byte);
        bits <<= length;
        count -= length;
    }
}

/// The symbol that these 32 bits begin with, and the bits of its code.
#[inline]
fn symbol(window: u64) -> (u16, u32) {
    let index = usize::try_from(window >> 24).unwrap_or(0);
    match TABLES.short.get(index) {
        Some(&(symbol, length)) if length != 0 => (symbol, u32::from(length)),
        _ => long(window),
    }
}

/// The same for a code of more than eight bits.
fn long(window: u64) -> (u16, u32) {
    for length in SHORT_BITS + 1..=LONGEST {
        let Some(&Group { first, beyond, at }) = TABLES.groups.get(length) else { break };
        if window < beyond {
            let place = usize::try_from((window - first) >> (32 - length)).unwrap_or(usize::MAX);
            let symbol = TABLES.symbols.get(usize::from(at).saturating_add(place));
            return (symbol.copied().unwrap_or(EOS), u32::try_from(length).unwrap_or(32));
        }
    }
    (EOS, 30)
}

const EOS: u16 = 256;
const SHORT_BITS: usize = 8;
const LONGEST: usize = 30;

struct Tables {
    /// By the first eight bits: symbol and length of its code; a length of 0: the code is longer.
    short: [(u16, u8); 256],
    /// The symbols in the order of their codes.
    symbols: [u16; 257],
    /// By length.
    groups: [Group; LONGEST + 1],
}

/// The codes of one length, as the highest of 32 bits.
#[derive(Clone, Copy)]
struct Group {
    first: u64,
    /// The first code beyond them.
    beyond: u64,
    /// Where their symbols begin.
    at: u16,
}

static TABLES: Tables = tables();

#[expect(clippy::cast_possible_truncation, reason = "numbers of symbols and bits, at compile time")]
const fn tables() -> Tables {
    let mut all = Tables {
        short: [(0, 0); 256],
        symbols: [EOS; 257],
        groups: [Group { first: 0, beyond: 0, at: 0 }; LONGEST + 1],
    };
    let (mut code, mut at, mut length) = (0_u64, 0, 1);
    while length <= LONGEST {
        let unit = 1_u64 << (32 - length);
        all.groups[length] = Group { first: code, beyond: code, at: at as u16 };
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                all.symbols[at] = symbol as u16;
                at += 1;
                let mut index = 0;
                while length <= SHORT_BITS && index < 1 << (SHORT_BITS - length) {
                    all.short[(code >> 24) as usize + index] = (symbol as u16, length as u8);
                    index += 1;
                }
                code += unit;
            }
            symbol += 1;
        }
        all.groups[length].beyond = code;
        length += 1;
    }
    all
}

/// Bits of each byte's code, and of the end-of-string symbol's (RFC 7541 appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking; its numbers are small")]
pub(super) mod tests {
    use super::*;

    /// In this code, for other tests.
    pub(in crate::wire::hpack) fn encode(text: &[u8]) -> Vec<u8> {
        let code = |symbol: u16| {
            let at = TABLES.symbols.iter().position(|s| *s == symbol).unwrap();
            let length = usize::from(LENGTHS[usize::from(symbol)]);
            let group = TABLES.groups[length];
            ((group.first >> (32 - length)) + (at as u64 - u64::from(group.at)), length)
        };
        let (mut out, mut bits, mut count) = (Vec::new(), 0_u64, 0);
        for byte in text {
            let (code, length) = code(u16::from(*byte));
            bits = bits << length | code;
            count += length;
            while count >= 8 {
                count -= 8;
                out.push((bits >> count & 0xff) as u8);
            }
        }
        if count > 0 {
            out.push((bits << (8 - count) & 0xff) as u8 | 0xff >> count);
        }
        out
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        decode(coded, &mut out, 1 << 20).map(|()| out)
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encode(&every)), Ok(every));
        for byte in 0..=255_u8 {
            for n in 0..9 {
                let text = vec![byte; n];
                assert_eq!(decoded(&encode(&text)), Ok(text));
            }
        }
    }

    #[test]
    fn the_strings_of_the_specification_decode() {
        for (coded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
        ] {
            assert_eq!(decoded(&crate::wire::hpack::tests::hex(coded)), Ok(text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_and_all_ones() {
        assert_eq!(decoded(&[]), Ok(vec![]));
        // "0" is 00000, then three ones.
        assert_eq!(decoded(&[0b0000_0111]), Ok(b"0".to_vec()));
        assert_eq!(decoded(&[0b0000_0110]), Err(Fault::Padding));
        assert_eq!(decoded(&[0b0000_0111, 0xff]), Err(Fault::Padding));
        assert_eq!(decoded(&[0xff]), Err(Fault::Padding));
        assert_eq!(decoded(&[0xff, 0xff]), Err(Fault::Padding));
    }

    #[test]
    fn the_end_of_string_symbol_is_refused_wherever_it_stands() {
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(Fault::Eos));
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xfc]), Err(Fault::Eos));
        assert_eq!(decoded(&[0b0000_0111, 0xff, 0xff, 0xff, 0xff]), Err(Fault::Eos));
    }

    #[test]
    fn no_more_is_decoded_than_allowed() {
        let coded = encode(b"0000000000");
        let mut out = Vec::new();
        assert_eq!(decode(&coded, &mut out, 9), Err(Fault::TooLong));
        assert_eq!(out.len(), 9);
        out.clear();
        assert_eq!(decode(&coded, &mut out, 10), Ok(()));
    }
}
