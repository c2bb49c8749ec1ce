//! The machines of all flows, in blocks: growing moves none, and a machine's place follows from its
//! number, so that it can be fetched before it is needed.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::stream::{Chunk, Side};

use super::http1::Http;
use super::{Flow, Machine, Step};

/// A place for a machine. HTTP stands in it itself, where it can be fetched without a look at what the
/// machine is; what few flows need, or for a few packets only, is elsewhere.
#[repr(C, align(64))]
pub(super) struct Place {
    pub(super) http: Http,
    /// The machine, where it is not HTTP.
    pub(super) other: Option<Machine>,
}

/// All machines. A number stays a machine's own until it is given back.
#[derive(Default)]
pub(super) struct Machines {
    blocks: Vec<Box<[Place]>>,
    free: Vec<u32>,
    used: u32,
}

/// Machines in one block.
const BLOCK: usize = 64;

impl Machines {
    /// Takes a machine in; its number.
    pub(super) fn keep(&mut self, machine: Machine) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.used;
            self.used += 1;
            if split(index as usize).0 >= self.blocks.len() {
                self.blocks.push((0..BLOCK).map(|_| Place::free()).collect());
            }
            index
        });
        if let Some(place) = self.get_mut(index as usize) {
            place.put(machine);
        }
        index
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Place> {
        let (block, at) = split(index);
        self.blocks.get_mut(block)?.get_mut(at)
    }

    /// The machine is done; its number may be another's.
    pub(super) fn give_back(&mut self, index: usize) {
        if let Some(place) = self.get_mut(index) {
            *place = Place::free();
            self.free.push(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }

    /// Starts fetching what every message of a connection touches.
    #[inline]
    pub(super) fn prefetch(&self, index: usize) {
        let (block, at) = split(index);
        if let Some(machine) = self.blocks.get(block).and_then(|b| b.get(at)) {
            prefetch_index(from_ref(machine), 0);
            prefetch_index(from_ref(&machine.http.request), 0);
            prefetch_index(from_ref(&machine.http.response), 0);
            prefetch_index(from_ref(&machine.http.pending), 0);
            prefetch_index(from_ref(&machine.other), 0);
        }
    }
}

impl Place {
    fn free() -> Place {
        Place { http: Http::new(Side::Low), other: None }
    }

    /// Another machine takes this place.
    pub(super) fn put(&mut self, machine: Machine) {
        *self = match machine {
            Machine::Http(http) => Place { http: *http, other: None },
            other => Place { other: Some(other), ..Place::free() },
        };
    }

    #[inline]
    pub(super) fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        match &mut self.other {
            None => self.http.chunk(flow, chunk),
            Some(other) => other.chunk(flow, chunk),
        }
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
    fn a_machine_is_a_few_cache_lines() {
        assert!(size_of::<Place>() <= 6 * 64, "{}", size_of::<Place>());
    }

    #[test]
    fn a_number_given_back_is_given_again() {
        let http = || Machine::Http(Box::new(Http::new(Side::High)));
        let mut machines = Machines::default();
        let numbers: Vec<u32> = (0..100).map(|_| machines.keep(http())).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        machines.give_back(70);
        assert_eq!(machines.keep(http()), 70);
        assert_eq!(machines.keep(http()), 100);
    }
}
