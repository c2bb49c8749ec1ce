//! Things of many flows, in blocks: growing moves none, and a thing's place follows from its number, so that it
//! can be fetched before it is needed.

/// All things of one sort. A number stays a thing's own until it is given back.
pub(super) struct Blocks<T> {
    blocks: Vec<Block<T>>,
    free: Vec<u32>,
    used: u32,
}

/// Some things. Where none of them is anybody's, there is no place for them either.
struct Block<T> {
    places: Box<[T]>,
    taken: usize,
}

/// Things in one block.
const BLOCK: usize = 64;

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Blocks { blocks: Vec::new(), free: Vec::new(), used: 0 }
    }
}

impl<T> Blocks<T> {
    /// A number that nobody has. `empty` makes what fills the places of a new block.
    pub(super) fn take(&mut self, empty: impl Fn() -> T) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let at = split(index as usize).0;
        if at >= self.blocks.len() {
            self.blocks.push(Block { places: Box::default(), taken: 0 });
        }
        if let Some(block) = self.blocks.get_mut(at) {
            block.taken += 1;
            if block.places.is_empty() {
                block.places = (0..BLOCK).map(|_| empty()).collect();
            }
        }
        index
    }

    /// Nobody has this number any more. What is in its place is the caller's to clear.
    pub(super) fn give_back(&mut self, index: usize) {
        if let Some(block) = self.blocks.get_mut(split(index).0) {
            block.taken = block.taken.saturating_sub(1);
            if block.taken == 0 {
                block.places = Box::default();
            }
        }
        self.free.push(u32::try_from(index).unwrap_or(u32::MAX));
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let (block, at) = split(index);
        self.blocks.get(block)?.places.get(at)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let (block, at) = split(index);
        self.blocks.get_mut(block)?.places.get_mut(at)
    }
}

#[inline]
fn split(index: usize) -> (usize, usize) {
    (index / BLOCK, index % BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_given_back_is_given_again() {
        let mut blocks = Blocks::<u8>::default();
        let numbers: Vec<u32> = (0..100).map(|_| blocks.take(|| 0)).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        blocks.give_back(70);
        assert_eq!(blocks.take(|| 0), 70);
        assert_eq!(blocks.take(|| 0), 100);
        assert!(blocks.get(100).is_some());
    }

    #[test]
    fn a_block_that_nobody_needs_goes_and_comes_back() {
        let mut blocks = Blocks::<u8>::default();
        let numbers: Vec<u32> = (0..65).map(|_| blocks.take(|| 7)).collect();
        numbers.iter().take(64).for_each(|number| blocks.give_back(*number as usize));
        assert_eq!((blocks.get(3), blocks.get(64)), (None, Some(&7)));
        let again = blocks.take(|| 8) as usize;
        assert!(again < 64);
        assert_eq!((blocks.get(again), blocks.get(64)), (Some(&8), Some(&7)));
    }
}
