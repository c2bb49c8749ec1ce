//! The stacks of wrappers seen, each once: equal stacks have equal numbers, and a number is all that
//! travels with a segment. Bounded by `limits::STACKS`.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::base::{Counters, limits};
use crate::model::Layer;

/// All stacks of an analysis.
pub struct Vias {
    stacks: Vec<Arc<[Layer]>>,
    ids: HashMap<Arc<[Layer]>, u16, foldhash::fast::RandomState>,
    /// The two used last, the later first: the two directions of a connection take turns.
    last: [u16; 2],
    /// Different stacks that are told apart.
    limit: usize,
}

impl Default for Vias {
    fn default() -> Self {
        Vias::with_limit(limits::STACKS)
    }
}

impl Vias {
    fn with_limit(limit: usize) -> Self {
        // The empty stack is number 0.
        Vias { stacks: vec![Arc::default()], ids: HashMap::default(), last: [0; 2], limit }
    }

    /// The number of this stack; 0 for none.
    pub fn id(&mut self, layers: &[Layer], counters: &mut Counters) -> u16 {
        if layers.is_empty() {
            return 0;
        }
        for id in self.last {
            if self.layers(id) == layers {
                return id;
            }
        }
        let id = match self.ids.get(layers) {
            Some(id) => *id,
            None if self.stacks.len() < self.limit => self.add(layers),
            None => {
                counters.stacks_beyond += 1;
                // The one that all others share.
                match self.ids.get(&[Layer::More][..]) {
                    Some(id) => *id,
                    None => self.add(&[Layer::More]),
                }
            }
        };
        self.last = [id, self.last[0]];
        id
    }

    /// The layers of a stack, outermost first.
    pub fn layers(&self, id: u16) -> &[Layer] {
        self.stacks.get(usize::from(id)).map_or(&[], |stack| stack)
    }

    /// All stacks by their numbers; they only grow in number.
    pub fn stacks(&self) -> &[Arc<[Layer]>] {
        &self.stacks
    }

    fn add(&mut self, layers: &[Layer]) -> u16 {
        let id = u16::try_from(self.stacks.len()).unwrap_or(0);
        let stack: Arc<[Layer]> = layers.into();
        self.stacks.push(Arc::clone(&stack));
        self.ids.insert(stack, id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_stacks_have_equal_numbers() {
        let (mut vias, mut counters) = (Vias::default(), Counters::default());
        let stacks = [vec![], vec![Layer::Vlan(1)], vec![Layer::Vlan(1), Layer::Gre(None)], vec![Layer::Vlan(2)]];
        let mut number = || stacks.iter().map(|s| vias.id(s, &mut counters)).collect::<Vec<_>>();
        let first = number();
        assert_eq!((&first, number()), (&vec![0, 1, 2, 3], first.clone()));
        assert_eq!(vias.layers(2), [Layer::Vlan(1), Layer::Gre(None)]);
    }

    #[test]
    fn stacks_beyond_the_limit_share_one_and_are_counted() {
        let (mut vias, mut counters) = (Vias::with_limit(3), Counters::default());
        let ids: Vec<u16> = (1..10).map(|n| vias.id(&[Layer::Vlan(n)], &mut counters)).collect();
        assert_eq!(ids, [1, 2, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!((vias.layers(3), counters.stacks_beyond), (&[Layer::More][..], 7));
        assert_eq!(vias.id(&[Layer::Vlan(1)], &mut counters), 1);
    }
}
