//! The tunnels of all upgraded connections.

use crate::base::Timestamp;
use crate::model::Direction;

use super::blocks::Blocks;
use super::websocket::{Lanes, Tunnel};

/// All tunnels. A number stays a tunnel's own until it is closed.
#[derive(Default)]
pub(super) struct Talks(Blocks<Tunnel>);

impl Talks {
    /// A 101 is out; see [`Tunnel::opened`]. The tunnel's number.
    pub(super) fn open(&mut self, ts: Timestamp, extensions: Option<&[u8]>, lanes: &mut Lanes) -> u32 {
        let number = self.0.take(Tunnel::default);
        if let Some(tunnel) = self.0.get_mut(number as usize) {
            tunnel.opened(ts, extensions, lanes);
        }
        number
    }

    pub(super) fn get(&self, number: Option<u32>) -> Option<&Tunnel> {
        self.0.get(number? as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: Option<u32>) -> Option<&mut Tunnel> {
        self.0.get_mut(number? as usize)
    }

    /// The tunnel is over, and its number may be another's.
    pub(super) fn close(&mut self, number: Option<u32>) -> Option<Tunnel> {
        let number = number? as usize;
        let tunnel = std::mem::take(self.0.get_mut(number)?);
        self.0.give_back(number);
        Some(tunnel)
    }

    /// Starts fetching what a frame touches.
    #[inline]
    pub(super) fn prefetch(&self, number: u32, from: Direction) {
        if let Some(tunnel) = self.0.get(number as usize) {
            tunnel.prefetch(from);
        }
    }

    /// Starts fetching what the end of a tunnel touches.
    pub(super) fn prefetch_all(&self, number: u32) {
        if let Some(tunnel) = self.0.get(number as usize) {
            tunnel.prefetch_all();
        }
    }

    /// What that leads to.
    #[inline]
    pub(super) fn prefetch_behind(&self, number: u32, from: Direction) {
        if let Some(tunnel) = self.0.get(number as usize) {
            tunnel.prefetch_behind(from);
        }
    }
}
