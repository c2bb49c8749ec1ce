//! The machines of all flows, in blocks: growing moves none, and a machine's place follows from its
//! number, so that it can be fetched before it is needed.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::stream::Side;

use super::http1::Http;
use super::sniff::Sniff;

/// What a flow is doing: it is sniffed at, or it is HTTP. No enum, so that every part has its place
/// without a look at what it is.
#[repr(C, align(64))]
pub(super) struct Machine {
    pub(super) http: Http,
    pub(super) sniff: Option<Box<Sniff>>,
}

/// All machines. A number stays a machine's own until it is given back.
#[derive(Default)]
pub(super) struct Machines {
    blocks: Vec<Box<[Machine]>>,
    free: Vec<u32>,
    used: u32,
}

/// Machines in one block.
const BLOCK: usize = 64;

impl Machines {
    /// Takes a machine in; its number.
    pub(super) fn keep(&mut self, sniff: Option<Box<Sniff>>, http: Http) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.used;
            self.used += 1;
            if split(index as usize).0 >= self.blocks.len() {
                self.blocks.push((0..BLOCK).map(|_| Machine::free()).collect());
            }
            index
        });
        if let Some(place) = self.get_mut(index as usize) {
            *place = Machine { http, sniff };
        }
        index
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Machine> {
        let (block, at) = split(index);
        self.blocks.get_mut(block)?.get_mut(at)
    }

    /// The machine is done; its number may be another's.
    pub(super) fn give_back(&mut self, index: usize) {
        if let Some(place) = self.get_mut(index) {
            *place = Machine::free();
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
            prefetch_index(from_ref(&machine.sniff), 0);
        }
    }
}

impl Machine {
    fn free() -> Machine {
        Machine { http: Http::new(Side::Low), sniff: None }
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
        assert!(size_of::<Machine>() <= 6 * 64, "{}", size_of::<Machine>());
    }

    #[test]
    fn a_number_given_back_is_given_again() {
        let mut machines = Machines::default();
        let numbers: Vec<u32> = (0..100).map(|_| machines.keep(None, Http::new(Side::High))).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        machines.give_back(70);
        assert_eq!(machines.keep(None, Http::new(Side::Low)), 70);
        assert_eq!(machines.keep(None, Http::new(Side::Low)), 100);
    }
}
