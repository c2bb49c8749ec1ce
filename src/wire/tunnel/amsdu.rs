//! Aggregated 802.11 subframes (IEEE 802.11 §9.3.2.2): two addresses, a length, LLC; each but the last
//! is padded to four bytes.

use crate::wire::inside::u16_at;

/// The LLC part of each subframe, and how many of its bytes were not captured.
pub fn subframes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    std::iter::from_fn(move || {
        let length = u16_at(bytes, 12)?;
        let body = bytes.get(14..)?;
        let wanted = usize::from(length);
        let there = body.get(..wanted).unwrap_or(body);
        bytes = bytes.get((14 + wanted).next_multiple_of(4)..).unwrap_or_default();
        Some((there, u32::try_from(wanted - there.len()).unwrap_or(u32::MAX)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subframe_has_its_length_and_its_padding() {
        let mut bytes = vec![0; 12];
        bytes.extend([0, 3, 1, 2, 3, 0, 0, 0]);
        bytes.extend([0; 12]);
        bytes.extend([0, 4, 4, 5]);
        let found: Vec<_> = subframes(&bytes).collect();
        assert_eq!(found, [(&[1, 2, 3][..], 0), (&[4, 5][..], 2)]);
        assert_eq!(subframes(&bytes[..13]).count(), 0);
    }
}
