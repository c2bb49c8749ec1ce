//! Integers of HPACK (RFC 7541 §5.1).

/// Why there is no integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside it.
    Cut,
    /// Above 2^32-1, or in more bytes than such a number needs.
    TooLarge,
}

/// The integer whose first byte has it in its `prefix` lowest bits (1 to 8), and the bytes behind it.
#[inline]
pub fn decode(bytes: &[u8], prefix: u32) -> Result<(u32, &[u8]), Fault> {
    let (&first, mut rest) = bytes.split_first().ok_or(Fault::Cut)?;
    let most = u32::from(0xff_u8.checked_shr(8_u32.saturating_sub(prefix)).unwrap_or(0));
    let low = u32::from(first) & most;
    if low < most {
        return Ok((low, rest));
    }
    let mut value = u64::from(most);
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, tail) = rest.split_first().ok_or(Fault::Cut)?;
        rest = tail;
        value = value.saturating_add(u64::from(byte & 0x7f) << shift);
        if byte & 0x80 == 0 {
            return u32::try_from(value).map(|value| (value, rest)).map_err(|_| Fault::TooLarge);
        }
    }
    Err(Fault::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_decode() {
        // RFC 7541 C.1.
        assert_eq!(decode(&[0b1110_1010, 7], 5), Ok((10, &[7][..])));
        assert_eq!(decode(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Ok((1337, &[][..])));
        assert_eq!(decode(&[0b0010_1010], 8), Ok((42, &[][..])));
    }

    #[test]
    fn what_is_cut_or_too_large_is_told_apart() {
        assert_eq!(decode(&[], 7), Err(Fault::Cut));
        assert_eq!(decode(&[0x7f, 0x80, 0x80], 7), Err(Fault::Cut));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 8), Err(Fault::TooLarge));
        assert_eq!(decode(&[0xff, 0x80, 0xfe, 0xff, 0xff, 0x0f], 8), Ok((u32::MAX, &[][..])));
        assert_eq!(decode(&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 8), Err(Fault::TooLarge));
    }
}
