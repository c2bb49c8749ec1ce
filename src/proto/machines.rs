//! The machines of all flows.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::stream::{Chunk, Side};

use super::blocks::Blocks;
use super::http1::Http;
use super::sealed::Sealed;
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
pub(super) struct Machines(Blocks<Place>);

impl Machines {
    /// Takes a machine in; its number.
    pub(super) fn keep(&mut self, machine: Machine) -> u32 {
        let index = self.0.take(Place::free);
        if let Some(place) = self.get_mut(index as usize) {
            place.put(machine);
        }
        index
    }

    /// Keeps one of HTTP/1.x whose client is this side.
    pub(super) fn keep_http(&mut self, client: Side) -> u32 {
        let index = self.0.take(Place::free);
        if let Some(place) = self.get_mut(index as usize) {
            // What is free is one of which nothing but this is unknown.
            place.http.client = client;
        }
        index
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Place> {
        self.0.get_mut(index)
    }

    /// TLS that is not read. `None`: it is something else.
    pub(super) fn sealed(&mut self, index: Option<usize>) -> Option<&mut Sealed> {
        match self.get_mut(index?)? {
            Place { other: Some(Machine::Sealed(sealed)), .. } => Some(sealed),
            _ => None,
        }
    }

    /// HTTP/1.x that nothing stands around. `None`: it is something else.
    pub(super) fn plain(&mut self, index: Option<usize>) -> Option<&mut Http> {
        match self.get_mut(index?)? {
            Place { http, other: None } => Some(http),
            _ => None,
        }
    }

    /// The machine is done; its number may be another's.
    pub(super) fn give_back(&mut self, index: usize) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Place::free();
            self.0.give_back(index);
        }
    }

    /// Starts fetching what every chunk of a connection touches.
    #[inline]
    pub(super) fn prefetch(&self, index: usize) {
        if let Some(machine) = self.0.get(index) {
            prefetch_index(from_ref(machine), 0);
            prefetch_index(from_ref(&machine.other), 0);
        }
    }

    /// What [`Machines::prefetch`] fetched is here: starts fetching what the messages under way need.
    #[inline]
    pub(super) fn prefetch_behind(&self, index: usize) {
        let Some(machine) = self.0.get(index) else { return };
        match &machine.other {
            None => machine.http.prefetch_messages(),
            Some(Machine::Sealed(sealed)) => sealed.prefetch(),
            Some(Machine::Tls(tls)) => tls.prefetch(),
            Some(_) => {}
        }
    }

    /// [`Machines::prefetch_other`] fetched where it is: starts fetching a connection in TLS that is not read.
    #[inline]
    pub(super) fn prefetch_sealed(&self, index: usize) {
        if let Some(Place { other: Some(Machine::Sealed(sealed)), .. }) = self.0.get(index) {
            sealed.prefetch();
        }
    }

    /// And what these lead to.
    #[inline]
    pub(super) fn prefetch_further(&self, index: usize) {
        if let Some(machine) = self.0.get(index) {
            machine.http.prefetch_waiting();
        }
    }

    /// What [`Machines::prefetch`] fetched is here: starts fetching what the end of the connection needs.
    pub(super) fn prefetch_end(&self, index: usize) {
        if let Some(machine) = self.0.get(index) {
            machine.http.prefetch_end();
        }
    }

    /// The same for a connection that is not HTTP.
    #[inline]
    pub(super) fn prefetch_other(&self, index: usize) {
        if let Some(machine) = self.0.get(index) {
            prefetch_index(from_ref(&machine.other), 0);
        }
    }
}

impl Place {
    /// Of a machine that is not made yet.
    pub(super) fn free() -> Place {
        Place { http: Http::new(Side::Low), other: None }
    }

    /// Another machine takes this place.
    pub(super) fn put(&mut self, machine: Machine) {
        *self = match machine {
            Machine::Http(http) => Place { http: *http, other: None },
            other => Place { other: Some(other), ..Place::free() },
        };
    }

    /// The HTTP machine of the stream furthest in. `None`: that is none, or not yet.
    pub(super) fn innermost(&self) -> Option<&Http> {
        let mut place = self;
        loop {
            place = match &place.other {
                None => return Some(&place.http),
                Some(Machine::Tls(tls)) => tls.inside()?,
                Some(_) => return None,
            };
        }
    }

    #[inline]
    pub(super) fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        match &mut self.other {
            None => self.http.chunk(flow, chunk),
            Some(other) => other.chunk(flow, chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_a_few_cache_lines() {
        assert!(size_of::<Place>() <= 2 * 64, "{}", size_of::<Place>());
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
