//! The answers of all parts of an analysis to the keys of the language.

use std::sync::Arc;

use crate::store::Analysis;
use crate::store::filter::column::{Building, Column};
use crate::store::filter::keys::Key;
use crate::store::filter::parts::Parts;
use crate::store::filter::{Term, Test};

/// Parts that are looked at before it is asked whether to go on.
const TOGETHER: usize = 1_024;

/// Columns for one analysis.
#[derive(Debug)]
pub struct Columns {
    parts: Arc<Parts>,
    /// By key; `None`: of this one there is none, and each part is asked by itself.
    all: Vec<Option<Column>>,
}

impl Columns {
    /// Takes long for many parts. `parts`: of this analysis. `None`: it was not to go on.
    pub fn new(a: &Analysis, parts: &Arc<Parts>, go_on: &dyn Fn() -> bool) -> Option<Columns> {
        let inputs: Vec<String> = a.inputs.iter().map(|input| input.path.clone()).collect();
        let mut building: Vec<Building> = Key::COLUMNS.iter().map(|key| Building::new(*key)).collect();
        for (index, chain) in a.chains.iter().enumerate() {
            for part in parts.of_chain(index) {
                let subject = parts.subject(a, &inputs, Some(chain), part);
                building.iter_mut().for_each(|column| column.add(&subject));
                if part.is_multiple_of(TOGETHER) && !go_on() {
                    return None;
                }
            }
        }
        let mut all: Vec<Option<Column>> = Vec::new();
        for (key, column) in Key::COLUMNS.iter().zip(building) {
            let at = *key as usize;
            all.resize_with(all.len().max(at + 1), || None);
            if let Some(place) = all.get_mut(at) {
                *place = column.finish();
            }
        }
        Some(Columns { parts: Arc::clone(parts), all })
    }

    /// Whether they were made of these parts.
    pub fn are_of(&self, parts: &Arc<Parts>) -> bool {
        Arc::ptr_eq(&self.parts, parts)
    }

    /// Memory that they take, in bytes.
    pub fn size(&self) -> usize {
        self.all.iter().flatten().map(Column::size).sum()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Column> {
        self.all.get(key as usize)?.as_ref()
    }

    /// Whether they answer a term.
    pub(super) fn answer(&self, term: &Term) -> bool {
        keys(&term.test).iter().all(|key| self.get(*key).is_some())
    }
}

/// The keys whose columns answer a test together: one of them is enough.
pub(super) fn keys(test: &Test) -> Vec<Key> {
    match test {
        Test::Anywhere(_) => Key::ANYWHERE.to_vec(),
        Test::Text(Key::Ip, _) => vec![Key::Client, Key::Server],
        Test::Text(key, _) | Test::Number(key, ..) => vec![*key],
    }
}
