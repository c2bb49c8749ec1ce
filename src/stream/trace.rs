//! Which packets brought a datagram that came in fragments. Only `extract` asks; else nothing is kept.

use crate::base::{PacketRef, limits};

/// Packets that together brought something, in the order of their arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    pub list: Vec<PacketRef>,
    /// How many more there were than `limits::FRAGMENT_PACKETS`.
    pub left_out: u64,
}

impl Packets {
    /// Adds all of another.
    pub fn add(&mut self, more: &Packets) {
        let room = limits::FRAGMENT_PACKETS.saturating_sub(self.list.len());
        let taken = more.list.get(..room.min(more.list.len())).unwrap_or_default();
        self.list.extend_from_slice(taken);
        self.left_out += more.left_out + (more.list.len() - taken.len()) as u64;
    }
}

/// What is noted on the way through one packet.
#[derive(Default)]
pub(super) struct Trace {
    on: bool,
    /// Packets that brought what is being looked at: the one under work, and with it the other fragments
    /// of each datagram that it completed on the way.
    pub(super) around: Packets,
    /// For each segment found, the packets that brought it, if there was more than this one.
    pub(super) segments: Vec<Packets>,
}

impl Trace {
    /// From now on, and for this packet.
    pub(super) fn begin(&mut self, at: PacketRef) {
        self.on = true;
        self.around.list.clear();
        self.around.list.push(at);
        self.around.left_out = 0;
        self.segments.clear();
    }

    pub(super) fn segment(&mut self) {
        if self.on {
            let alone = self.around.list.len() == 1;
            self.segments.push(if alone { Packets::default() } else { self.around.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_names_no_more_packets_than_allowed_and_counts_the_rest() {
        let one = Packets { list: vec![PacketRef::new(0, 1)], left_out: 0 };
        let mut all = Packets::default();
        (0..limits::FRAGMENT_PACKETS + 7).for_each(|_| all.add(&one));
        assert_eq!((all.list.len(), all.left_out), (limits::FRAGMENT_PACKETS, 7));
        let mut more = one.clone();
        more.add(&all);
        assert_eq!((more.list.len(), more.left_out), (limits::FRAGMENT_PACKETS, 8));
    }
}
