//! A chain that a screen shows, whatever analysis is there.

use std::cell::Cell;

use crate::model::Chain;

use super::shared::Shared;

/// A chain, wherever it stands in the analysis of the day.
#[derive(Clone, Debug, Default)]
pub struct Which {
    id: i64,
    at: Cell<usize>,
}

impl Which {
    /// The one at this index.
    pub fn at(s: &Shared, index: usize) -> Which {
        Which { id: s.a.chains.get(index).map_or(0, |chain| chain.id), at: Cell::new(index) }
    }

    /// `None`: it is gone.
    pub fn get<'a>(&self, s: &'a Shared) -> Option<&'a Chain> {
        let there = |at: usize| s.a.chains.get(at).filter(|chain| chain.id == self.id);
        there(self.at.get()).or_else(|| {
            self.at.set(s.find(self.id)?);
            s.a.chains.get(self.at.get())
        })
    }

    /// Its index.
    pub fn index(&self, s: &Shared) -> usize {
        self.get(s);
        self.at.get()
    }
}
