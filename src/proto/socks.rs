//! What precedes a stream through a SOCKS proxy (RFC 1928, RFC 1929, SOCKS 4 and 4a).
//!
//! What comes in: the first bytes of both sides, in any pieces; a client may send on before it is
//! answered. What goes out: [`Step::Replace`] with a fresh [`Sniff`] once the proxy granted it; once it refused it,
//! the flow to [`super::Sink::lone`]; else the flow is left alone. User names and passwords are stepped over. Keeps at most `limits::SOCKS_BYTES` of
//! each side's messages, and `limits::SOCKS_HELD_BYTES` with what the client sends behind them.

use crate::base::limits;
use crate::model::{Preview, Said, SocksAnswer, SocksRefused, Wrapper};
use crate::stream::{Chunk, CloseHow, Side, What};
use crate::wire::socks::{self, Read, Request};

use super::around::Begin;
use super::held::{HeldChunk, behind};
use super::sniff::Sniff;
use super::watch;
use super::{Flow, Machine, Step};

/// One negotiation.
pub struct Socks {
    client: Side,
    begin: Begin,
    version: u8,
    due: Due,
    asked: Option<Request>,
    /// What was not understood yet, by side.
    bytes: [Vec<u8>; 2],
    /// Where each side's messages end so far, in bytes of the connection.
    from: [u64; 2],
    held: Vec<HeldChunk>,
    held_bytes: usize,
}

/// Which message comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Greeting,
    Method,
    Credentials,
    CredentialsAnswer,
    Request,
    Reply,
    Granted,
    Refused(SocksAnswer),
    /// Not SOCKS after all, or what it negotiates cannot be read (GSSAPI, BIND, UDP).
    Foreign,
}

impl Due {
    fn by_client(self) -> bool {
        matches!(self, Due::Greeting | Due::Credentials | Due::Request)
    }
}

impl Socks {
    pub fn new(client: Side, begin: Begin) -> Self {
        Socks {
            client,
            version: 5,
            due: Due::Greeting,
            asked: None,
            bytes: [Vec::new(), Vec::new()],
            from: begin.base(),
            begin,
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        match chunk.what {
            What::Data(data) => {
                self.held_bytes += data.len();
                self.bytes[chunk.side.index()].extend_from_slice(data);
            }
            What::Close(CloseHow::Fin) => {}
            What::Gap { .. } | What::Close(_) => return Step::Opaque,
        }
        self.held.push(HeldChunk::of(chunk));
        while self.next() {}
        match self.due {
            Due::Granted => self.granted(flow),
            Due::Refused(how) => {
                flow.shared.counters.socks_refused += 1;
                self.refused(flow, how);
                Step::Opaque
            }
            Due::Foreign => Step::Opaque,
            due => {
                let speaker = if due.by_client() { self.client } else { self.client.other() };
                let endless = self.bytes[speaker.index()].len() > limits::SOCKS_BYTES
                    || self.held_bytes > limits::SOCKS_HELD_BYTES
                    || self.held.len() > limits::REORDER_SEGMENTS;
                if endless { Step::Opaque } else { Step::Stay }
            }
        }
    }

    /// Takes the message that is due. `false`: it is not there yet, or none is due any more.
    fn next(&mut self) -> bool {
        let speaker = if self.due.by_client() { self.client } else { self.client.other() }.index();
        let bytes = &self.bytes[speaker];
        let read = match (self.due, self.version) {
            (Due::Greeting, _) if bytes.first() == Some(&4) => {
                self.version = 4;
                self.due = Due::Request;
                return true;
            }
            (Due::Greeting, _) => socks::greeting(bytes).map(|()| Due::Method),
            (Due::Method, _) => socks::method(bytes).map(|method| match method {
                0 => Due::Request,
                2 => Due::Credentials,
                socks::NO_METHOD => Due::Refused(SocksAnswer::NoMethod),
                _ => Due::Foreign,
            }),
            (Due::Credentials, _) => socks::credentials(bytes).map(|()| Due::CredentialsAnswer),
            (Due::CredentialsAnswer, _) => socks::credentials_answer(bytes)
                .map(|status| if status == 0 { Due::Request } else { Due::Refused(SocksAnswer::Credentials(status)) }),
            (Due::Request, version) => {
                let request = if version == 4 { socks::request_4(bytes) } else { socks::request(bytes) };
                request.map(|request| {
                    let due = if request.command == socks::CONNECT { Due::Reply } else { Due::Foreign };
                    self.asked = Some(request);
                    due
                })
            }
            (Due::Reply, 4) => socks::reply_4(bytes).map(|code| {
                if code == socks::GRANTED_4 { Due::Granted } else { Due::Refused(SocksAnswer::Reply(code)) }
            }),
            (Due::Reply, _) => socks::reply(bytes)
                .map(|code| if code == 0 { Due::Granted } else { Due::Refused(SocksAnswer::Reply(code)) }),
            (Due::Granted | Due::Refused(_) | Due::Foreign, _) => return false,
        };
        match read {
            Read::More => false,
            Read::Wrong => {
                self.due = Due::Foreign;
                false
            }
            Read::Whole(due, used) => {
                self.bytes[speaker].drain(..used);
                self.from[speaker] = self.from[speaker].saturating_add(used as u64);
                self.due = due;
                true
            }
        }
    }

    /// Tells the connection; nothing more is to come on it.
    fn refused(&mut self, flow: &mut Flow<'_>, how: SocksAnswer) {
        // What a client says before it is a password perhaps: only where the messages stand is told.
        let last = |side: Side| {
            let held = self.held.iter().rev().map(HeldChunk::as_chunk).find(|chunk| chunk.side == side)?;
            let offset = held.offset.saturating_sub(self.begin.base()[side.index()]);
            Some(Preview { bytes: Box::default(), at: held.at, ts: held.ts, offset })
        };
        let first = [last(self.client), last(self.client.other())];
        let target = self.asked.take().map(|request| request.target.into());
        let socks = Some(Box::new(SocksRefused { version: self.version, target, how }));
        let said = Said { first, socks, ..watch::said(&self.begin) };
        watch::tell_alone(flow, self.client, self.begin.first, said);
    }

    /// What runs inside begins behind the last message of each side.
    fn granted(&mut self, flow: &mut Flow<'_>) -> Step {
        let target = self.asked.take().map(|r| r.target).unwrap_or_default();
        flow.shared.counters.flows_socks += 1;
        let begin = std::mem::take(&mut self.begin);
        let wrapper = Wrapper::Socks(self.version, target.into());
        let Some(begin) = begin.enter(flow, self.client, self.from, wrapper) else { return Step::Opaque };
        let mut rest = Vec::new();
        for held in std::mem::take(&mut self.held) {
            let chunk = held.as_chunk();
            let read = self.from[chunk.side.index()].saturating_sub(chunk.offset);
            let left = behind(&chunk, usize::try_from(read).unwrap_or(usize::MAX));
            if !matches!(left.what, What::Data([])) {
                rest.push(HeldChunk::of(&left));
            }
        }
        Step::Replace(Machine::Sniff(Box::new(Sniff::within(begin))), rest)
    }
}
