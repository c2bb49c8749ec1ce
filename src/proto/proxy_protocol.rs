//! A PROXY protocol header at the start of a client's bytes: read, kept, and left behind.
//!
//! What comes in: the client's first bytes in any pieces. What goes out: [`Step::Replace`] with a fresh
//! [`Sniff`] for what follows. Keeps at most `limits::PROXY_HEADER_BYTES`, and `limits::BANNER_BYTES` of
//! a server that speaks meanwhile.

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::{Proxied, Wrapper};
use crate::stream::{Chunk, CloseHow, Side, What};
use crate::wire::proxy_protocol::{self, Header, Parsed};

use super::around::Begin;
use super::held::{HeldChunk, behind};
use super::sniff::Sniff;
use super::{Flow, Machine, Step};

/// One header under way.
pub struct ProxyHeader {
    client: Side,
    begin: Begin,
    bytes: Vec<u8>,
    /// Where its first byte came.
    at: Option<(PacketRef, Timestamp)>,
    /// It is read; bytes of it that are still to be passed over.
    read: Option<(Box<Proxied>, u64)>,
    /// What the server said meanwhile, and what was lost of it.
    held: Vec<HeldChunk>,
}

impl ProxyHeader {
    pub fn new(client: Side, begin: Begin) -> Self {
        ProxyHeader { client, begin, bytes: Vec::new(), at: None, read: None, held: Vec::new() }
    }

    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        if chunk.side != self.client {
            return match chunk.what {
                What::Close(CloseHow::Rst | CloseHow::Replaced | CloseHow::CaptureEnd) => Step::Opaque,
                _ => self.hold(chunk),
            };
        }
        let What::Data(data) = chunk.what else { return Step::Opaque };
        self.at.get_or_insert((chunk.at, chunk.ts));
        let mut used = 0;
        if self.read.is_none() {
            let before = self.bytes.len();
            let room = limits::PROXY_HEADER_BYTES.saturating_sub(before);
            self.bytes.extend_from_slice(&data[..data.len().min(room)]);
            let header = match proxy_protocol::parse(&self.bytes) {
                Parsed::More => return Step::Stay,
                Parsed::No => return Step::Opaque,
                Parsed::Header(header) => header,
            };
            let (at, ts) = self.at.unwrap_or((chunk.at, chunk.ts));
            let proxied = Box::new(keep(&header, at, ts));
            used = header.length.min(self.bytes.len()).saturating_sub(before);
            let left = header.length.saturating_sub(self.bytes.len()) as u64;
            flow.shared.counters.flows_proxy_protocol += 1;
            self.read = Some((proxied, left));
            self.bytes = Vec::new();
        }
        if let Some((_, left)) = &mut self.read {
            let n = usize::try_from(*left).map_or(data.len() - used, |left| left.min(data.len() - used));
            *left -= n as u64;
            used += n;
            if *left > 0 {
                return Step::Stay;
            }
        }
        self.over(flow, chunk, used)
    }

    /// The header is behind: what follows is looked at afresh.
    fn over(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>, used: usize) -> Step {
        let Some((proxied, _)) = self.read.take() else { return Step::Opaque };
        let rest = behind(chunk, used);
        let begin = std::mem::take(&mut self.begin);
        let mut base = begin.base();
        base[self.client.index()] = rest.offset;
        let Some(mut begin) = begin.enter(flow, self.client, base, Wrapper::ProxyProtocol(proxied.version)) else {
            return Step::Opaque;
        };
        if let Some(around) = &mut begin.around {
            around.proxied = Some(proxied);
        }
        let mut held = std::mem::take(&mut self.held);
        if !matches!(rest.what, What::Data([])) {
            held.push(HeldChunk::of(&rest));
        }
        Step::Replace(Machine::Sniff(Box::new(Sniff::within(begin))), held)
    }

    fn hold(&mut self, chunk: &Chunk<'_>) -> Step {
        self.held.push(HeldChunk::of(chunk));
        let bytes: usize = self.held.iter().map(HeldChunk::len).sum();
        if bytes > limits::BANNER_BYTES || self.held.len() > limits::SNIFF_BYTES { Step::Opaque } else { Step::Stay }
    }
}

fn keep(header: &Header<'_>, at: PacketRef, ts: Timestamp) -> Proxied {
    Proxied {
        version: header.version,
        local: header.local,
        source: header.source,
        destination: header.destination,
        tlvs: header.tlvs.iter().map(|t| (t.kind, t.value.into())).collect(),
        fault: header.fault,
        at,
        ts,
        length: header.length as u64,
    }
}
