//! Which inputs belong to one capture point. Rotated files continue each other's flows; two files of
//! one time are two places in the network, and their flows do not mix.

use crate::model::LinkType;

/// The capture points found so far.
#[derive(Default)]
pub(super) struct Points {
    points: Vec<Point>,
    /// How many inputs have ended: orders the points by when they were last used.
    ended: u64,
}

struct Point {
    /// Link types, sorted, each once.
    links: Vec<LinkType>,
    /// An input of this point is being read.
    busy: bool,
    last_use: u64,
}

impl Points {
    /// The point of an input whose first packet comes up now: that of the input that ended last among
    /// those with the same link types; else a new one. Inputs come up in the order of their times, so
    /// what has ended lies before it.
    pub(super) fn begin(&mut self, links: &[LinkType]) -> u16 {
        let links = sorted(links);
        let free = self.points.iter_mut().enumerate().filter(|(_, p)| !p.busy && p.links == links);
        if let Some((at, point)) = free.max_by_key(|(_, p)| p.last_use) {
            point.busy = true;
            return number(at);
        }
        self.points.push(Point { links, busy: true, last_use: 0 });
        number(self.points.len() - 1)
    }

    /// An input of `point` has ended; `links` are all it declared.
    pub(super) fn end(&mut self, point: u16, links: &[LinkType]) {
        self.ended += 1;
        if let Some(point) = self.points.get_mut(usize::from(point)) {
            point.busy = false;
            point.last_use = self.ended;
            point.links = sorted(links);
        }
    }
}

fn sorted(links: &[LinkType]) -> Vec<LinkType> {
    let mut links = links.to_vec();
    links.sort_unstable();
    links.dedup();
    links
}

/// There are at most as many points as inputs, so this never saturates.
fn number(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
