//! What stands around a stream: what precedes it on its connection, and where it begins.

use crate::base::{PacketRef, limits};
use crate::model::{Proxied, Wrapper};
use crate::stream::{Chunk, Side};

use super::Flow;

/// Of a stream inside another one. Nothing stands around most streams: then there is none of these.
#[derive(Clone, Debug)]
pub struct Around {
    /// Outermost first; at most `limits::NESTING`.
    pub via: Vec<Wrapper>,
    pub proxied: Option<Box<Proxied>>,
    /// Where the stream begins in each side's bytes of the connection.
    pub base: [u64; 2],
    pub client: Side,
}

impl Around {
    /// The chunk, counted from the beginning of the inner stream.
    pub fn inside<'a>(&self, chunk: &Chunk<'a>) -> Chunk<'a> {
        Chunk { offset: chunk.offset.saturating_sub(self.base[chunk.side.index()]), ..*chunk }
    }
}

/// Where a connection began, and what stands around the stream that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// The connection's first packet, as far as it is known.
    pub first: PacketRef,
    pub around: Option<Box<Around>>,
}

impl Begin {
    /// Goes one stream further in. `base`: where that begins, by side, in bytes of the connection.
    /// `None`: it lies too deep, which is counted.
    pub fn enter(self, flow: &mut Flow<'_>, client: Side, base: [u64; 2], wrapper: Wrapper) -> Option<Begin> {
        let outer = self.around.map(|a| *a);
        let (mut via, proxied) = outer.map_or_else(Default::default, |a| (a.via, a.proxied));
        if via.len() >= limits::NESTING {
            flow.shared.counters.nested_too_deep += 1;
            return None;
        }
        via.push(wrapper);
        Some(Begin { first: self.first, around: Some(Box::new(Around { via, proxied, base, client })) })
    }

    /// Who is client, where that is known.
    pub fn client(&self, flow: &Flow<'_>) -> Option<Side> {
        self.around.as_ref().map(|a| a.client).or_else(|| flow.context.track.client())
    }

    /// Whether a PROXY header was sent.
    pub fn is_proxied(&self) -> bool {
        self.around.as_ref().is_some_and(|a| a.proxied.is_some())
    }

    /// Where the stream begins in each side's bytes of the connection.
    pub fn base(&self) -> [u64; 2] {
        self.around.as_ref().map_or([0; 2], |a| a.base)
    }
}
