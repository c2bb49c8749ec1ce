//! Many yes or no, a bit each.

const WORD: usize = 64;

/// A bit for each of a number of things.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    pub(super) words: Vec<u64>,
    len: usize,
}

impl Bits {
    pub(super) fn new(len: usize, all: bool) -> Bits {
        let mut words = vec![if all { u64::MAX } else { 0 }; len.div_ceil(WORD)];
        if let Some(last) = words.last_mut().filter(|_| all && !len.is_multiple_of(WORD)) {
            *last = (1 << (len % WORD)) - 1;
        }
        Bits { words, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> bool {
        self.words.get(at / WORD).is_some_and(|word| word >> (at % WORD) & 1 == 1)
    }

    #[inline]
    pub(super) fn set(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / WORD) {
            *word |= 1 << (at % WORD);
        }
    }

    #[inline]
    pub(super) fn clear(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / WORD) {
            *word &= !(1 << (at % WORD));
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Keeps only what is (`is` false: is not) in the other as well, which has the same length.
    pub(super) fn keep(&mut self, other: &Bits, is: bool) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= if is { *other } else { !*other };
        }
    }

    /// Where it is yes, ascending.
    pub(super) fn all(&self) -> Vec<u32> {
        let count = self.words.iter().map(|word| word.count_ones() as usize).sum();
        let mut out = Vec::with_capacity(count);
        for (word, first) in self.words.iter().zip((0_u32..).step_by(WORD)) {
            let mut left = *word;
            while left != 0 {
                out.push(first + left.trailing_zeros());
                left &= left - 1;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_kept_apart_and_none_stands_behind_the_last() {
        for len in [0, 1, 63, 64, 65, 130] {
            let mut bits = Bits::new(len, true);
            assert_eq!(bits.all().len(), len);
            bits.clear(64);
            assert_eq!(bits.all(), (0..130).take(len).filter(|at| *at != 64).collect::<Vec<_>>());
            let mut none = Bits::new(len, false);
            none.set(64);
            assert_eq!(none.get(64), len > 64 || len == 65);
            bits.keep(&none, false);
            assert!(!bits.get(64) && bits.is_none() == (len == 0));
            bits.keep(&none, true);
            assert!(bits.is_none());
        }
    }
}
