//! Connections with the same addresses and ports in different networks: what a packet is wrapped in is
//! no part of a flow's identity, since it often differs by direction. So a packet that comes wrapped
//! otherwise than its flow's others is looked at: it belongs to the flow whose sequence numbers it fits,
//! and where it fits none, it is of another connection with the same name.

use hashbrown::HashMap;

use crate::base::limits;

use super::flow::{Side, Track, flag};
use super::segments::Entry;

/// Numbers further apart than this are of different connections, in bytes: more than any window that
/// is in use, and much less than what lies between two random beginnings.
const FAR: u32 = 1 << 26;

/// Which flow is meant by addresses, ports and wrappers, where there are several.
#[derive(Default)]
pub(super) struct Namesakes {
    /// Record by hash of addresses and ports, side and wrappers.
    by_via: HashMap<(u64, Side, u16), u32, foldhash::fast::RandomState>,
    /// Records of all but the first by hash of addresses and ports.
    others: HashMap<u64, Vec<u32>, foldhash::fast::RandomState>,
}

impl Namesakes {
    /// The record that was found to be meant.
    pub(super) fn known(&self, entry: &Entry) -> Option<u32> {
        self.by_via.get(&(entry.hash, entry.side, entry.via)).copied()
    }

    /// Remembers which record is meant. `false`: what was remembered before had to go.
    pub(super) fn remember(&mut self, entry: &Entry, record: u32) -> bool {
        let room = self.by_via.len() < limits::NAMESAKE_VIAS;
        if !room {
            self.by_via.clear();
        }
        self.by_via.insert((entry.hash, entry.side, entry.via), record);
        room
    }

    /// Records of connections with this name beside the first.
    pub(super) fn others(&self, entry: &Entry) -> &[u32] {
        self.others.get(&entry.hash).map_or(&[], |others| others)
    }

    /// These are the connections with this name beside the first.
    pub(super) fn set(&mut self, entry: &Entry, others: Vec<u32>) {
        if self.others.len() >= limits::NAMESAKE_VIAS {
            self.others.clear();
        }
        self.others.insert(entry.hash, others);
    }
}

/// Whether a segment can be of this connection.
pub(super) fn fits(track: &Track, entry: &Entry) -> bool {
    let (side, other) = (entry.side, entry.side.other());
    let near = |a: u32, b: u32| a.wrapping_sub(b).wrapping_add(FAR) <= 2 * FAR;
    if entry.flags.syn() && !entry.flags.ack() {
        // It opens a connection: this one, the one after it, or another.
        let first = entry.seq.wrapping_add(1);
        return track.has(flag::ENDED) || !track.is(flag::STARTED, side) || track.base[side.index()] == first;
    }
    let own = !track.is(flag::STARTED, side) || near(entry.seq, track.next[side.index()]);
    let peers = !entry.flags.ack()
        || !track.is(flag::STARTED, other)
        || near(entry.ack, track.next[other.index()])
        || entry.flags.rst();
    own && peers
}
