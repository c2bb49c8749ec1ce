//! CONNECT that was granted (RFC 9110 §9.3.6): what runs inside is a stream of its own, behind the
//! request in one direction and behind the 2xx in the other.

use crate::base::PacketRef;
use crate::model::Wrapper;
use crate::stream::{Chunk, What};

use super::around::Begin;
use super::held::HeldChunk;
use super::messages::{Messages, State};
use super::multiplex::Multiplex;
use super::pending::Pending;
use super::sniff::Sniff;
use super::{Flow, Machine, Step};

/// A tunnel that was just opened.
pub(super) struct Inside {
    what: Opened,
    first: PacketRef,
    /// Where the server's bytes inside begin, in bytes of this machine's stream; `None`: behind the
    /// chunk under work.
    from: Option<u64>,
    rest: Vec<HeldChunk>,
}

/// What a tunnel was opened for.
enum Opened {
    /// CONNECT, to this authority.
    Connect(Box<[u8]>),
    /// HTTP/2 in this connection's own stream, by a 101 to `Upgrade: h2c` (RFC 7540 §3.2).
    Http2,
}

impl Messages<'_> {
    /// A 2xx to CONNECT. What follows in either direction is another stream.
    pub(super) fn granted(&mut self, flow: &mut Flow<'_>, pending: Pending) {
        let x = match pending.exchange {
            Some(x) => x,
            None => self.promote(flow, &pending),
        };
        flow.shared.counters.flows_connect += 1;
        self.now.response.state = State::Handover;
        self.now.request.state = State::Handover;
        self.now.inside = Some(Box::new(Inside {
            what: Opened::Connect(x.request.target().into()),
            first: x.request.at,
            from: None,
            rest: Vec::new(),
        }));
    }

    /// A 101 to `Upgrade: h2c` was decided: what follows in either direction is HTTP/2.
    pub(super) fn switched_to_http2(&mut self) {
        self.now.response.state = State::Handover;
        self.now.request.state = State::Handover;
        let first = self.http.open.as_ref().map_or(PacketRef::default(), |x| x.request.at);
        self.now.inside = Some(Box::new(Inside { what: Opened::Http2, first, from: None, rest: Vec::new() }));
    }

    /// Bytes of the server behind the 2xx.
    pub(super) fn keep_inside(&mut self, chunk: &Chunk<'_>, rest: &[u8]) {
        if let Some(inside) = &mut self.now.inside {
            inside.from.get_or_insert(chunk.offset);
            inside.rest.push(HeldChunk::of(&Chunk { what: What::Data(rest), ..*chunk }));
        }
    }

    /// The chunk that granted it is dealt with: a fresh machine takes what lies inside.
    pub(super) fn hand_over(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let Some(inside) = self.now.inside.take() else { return Step::Stay };
        let around = self.http.around.take();
        let outer = around.as_ref().map_or([0; 2], |a| a.base);
        let (client, server) = (self.http.client.index(), self.http.client.other().index());
        let mut base = outer;
        let mut rest = Vec::new();
        let absolute = |held: &HeldChunk| {
            let chunk = held.as_chunk();
            HeldChunk::of(&Chunk { offset: chunk.offset.saturating_add(outer[chunk.side.index()]), ..chunk })
        };
        // What the client sent before it was answered was meant for the tunnel.
        base[client] = flow.offset(self.http.client);
        if let Some(early) = self.now.early.take() {
            let what = What::Data(&early.bytes);
            let first = Chunk { side: self.http.client, ts: early.ts, at: early.at, offset: early.offset, what };
            base[client] = early.offset.saturating_add(outer[client]);
            rest.push(absolute(&HeldChunk::of(&first)));
            if early.missed != 0 {
                let offset = early.offset.saturating_add(early.bytes.len() as u64);
                let what = What::Gap { len: early.missed, why: crate::stream::GapWhy::Lost };
                rest.push(absolute(&HeldChunk::of(&Chunk { offset, what, ..first })));
            }
        }
        let end = match chunk.what {
            What::Data(data) => chunk.offset.saturating_add(data.len() as u64),
            _ => chunk.offset,
        };
        base[server] = inside.from.unwrap_or(end).saturating_add(outer[server]);
        rest.extend(inside.rest.iter().map(absolute));
        if let What::Gap { .. } = chunk.what {
            rest.push(absolute(&HeldChunk::of(chunk)));
        }
        let authority = match (inside.what, self.http.open.take()) {
            (Opened::Connect(authority), _) => authority,
            (Opened::Http2, Some(x)) => {
                flow.shared.counters.flows_http2 += 1;
                let machine = Multiplex::upgraded(self.http.client, around, x, self.http.requests);
                return Step::Replace(Machine::Http2(Box::new(machine)), rest);
            }
            (Opened::Http2, None) => return Step::Opaque,
        };
        let begin = Begin { first: inside.first, around };
        match begin.enter(flow, self.http.client, base, Wrapper::Connect(authority)) {
            Some(begin) => Step::Replace(Machine::Sniff(Box::new(Sniff::within(begin))), rest),
            None => Step::Opaque,
        }
    }
}
