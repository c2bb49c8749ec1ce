//! Attempts that share something, by its hash.

use std::collections::VecDeque;
use std::sync::OnceLock;

use hashbrown::HashTable;

/// Numbers of attempts by the hash of something of theirs. What is found must be compared: hashes of
/// different things may be equal.
#[derive(Debug, Default)]
pub(super) struct Index(HashTable<(u64, Numbers)>);

/// An index that is made when it is asked for first.
#[derive(Debug, Default)]
pub(super) struct Seldom(OnceLock<Index>);

impl Seldom {
    pub(super) fn is_made(&self) -> bool {
        self.0.get().is_some()
    }

    #[cfg(test)]
    pub(super) fn is_made_and_empty(&self) -> bool {
        self.0.get().is_some_and(Index::is_empty)
    }

    pub(super) fn get_or_make(&self, make: impl FnOnce() -> Index) -> &Index {
        self.0.get_or_init(make)
    }

    pub(super) fn add(&mut self, hash: Option<u64>, number: u64) {
        if let Some(index) = self.0.get_mut() {
            index.add(hash, number);
        }
    }

    pub(super) fn forget(&mut self, hash: Option<u64>, number: u64) {
        if let Some(index) = self.0.get_mut() {
            index.forget(hash, number);
        }
    }
}

/// Most things come once; then nothing more is allocated for them.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "halves every slot of the index, and few hold a list")]
enum Numbers {
    One(u64),
    Many(Box<VecDeque<u64>>),
}

impl Index {
    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        self.0.reserve(more, |slot| slot.0);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, hash: Option<u64>, number: u64) {
        let Some(hash) = hash else { return };
        match self.0.find_mut(hash, |slot| slot.0 == hash) {
            Some((_, Numbers::Many(many))) => many.push_back(number),
            Some((_, numbers)) => {
                if let Numbers::One(first) = *numbers {
                    *numbers = Numbers::Many(Box::new(VecDeque::from([first, number])));
                }
            }
            None => {
                self.0.insert_unique(hash, (hash, Numbers::One(number)), |slot| slot.0);
            }
        }
    }

    /// The numbers in the order in which they were added, the first ones and the rest.
    pub(super) fn get(&self, hash: u64) -> [&[u64]; 2] {
        match self.0.find(hash, |slot| slot.0 == hash) {
            None => [&[], &[]],
            Some((_, Numbers::One(number))) => [std::slice::from_ref(number), &[]],
            Some((_, Numbers::Many(many))) => many.as_slices().into(),
        }
    }

    /// Takes out a number, if it is the first one there.
    pub(super) fn forget(&mut self, hash: Option<u64>, number: u64) {
        let Some(hash) = hash else { return };
        let Ok(mut slot) = self.0.find_entry(hash, |slot| slot.0 == hash) else { return };
        let empty = match &mut slot.get_mut().1 {
            Numbers::One(first) => *first == number,
            Numbers::Many(many) => {
                if many.front() == Some(&number) {
                    many.pop_front();
                }
                many.is_empty()
            }
        };
        if empty {
            slot.remove();
        }
    }
}
