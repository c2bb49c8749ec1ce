//! A connection in TLS whose secrets may be known: what was sent inside goes to a stack of machines of its
//! own, which begins with a [`Sniff`].
//!
//! What comes in: chunks from the ClientHello on. What goes out: chunks of what was sent inside, with the time
//! and packet of the record's last byte, and offsets in what was sent inside. Where nothing can be read, the
//! connection is left alone like one without secrets.

use crate::model::{self, Direction, Wrapper};
use crate::stream::{Chunk, CloseHow, GapWhy, Side, What};
use crate::wire::tls::{suite, version_name};

use super::around::Begin;
use super::machines::Place;
use super::sniff::Sniff;
use super::tls::{self, Blind, Event, Facts, Input, Session};
use super::watch::Watch;
use super::{Flow, Inline, Machine, Step, direction, replace};

/// TLS on one connection.
pub struct Tls {
    client: Side,
    begin: Begin,
    session: Session,
    /// Waits for the server's first word, which may be none of TLS. `None`: it came.
    watch: Option<Box<Watch>>,
    /// Why bytes are missing, where they are.
    why: GapWhy,
    /// What runs inside. `None`: nothing came yet.
    inner: Option<Inner>,
}

/// A stack of machines with its own counts of frames.
struct Inner {
    place: Box<Place>,
    inline: Inline,
    /// Bytes of each side that were passed on or are known to be missing.
    passed: [u64; 2],
}

/// The length of a hole that is not known: longer than any content or frame.
const UNKNOWN: u64 = u64::MAX;

impl Tls {
    /// `from_the_start`: this side opened the connection, and nothing is missing before its ClientHello.
    pub fn new(client: Side, begin: Begin, from_the_start: bool) -> Self {
        let base = begin.base();
        let watch = from_the_start.then(|| Box::new(Watch::beside(client, begin.clone())));
        let session = Session::new([client, client.other()].map(|side| base[side.index()]));
        Tls { client, begin, session, watch, why: GapWhy::Lost, inner: None }
    }

    /// Takes one chunk.
    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        if let Some(watch) = &mut self.watch
            && let Step::Opaque = watch.chunk(flow, chunk)
        {
            self.watch = None;
        }
        let (what, both) = match chunk.what {
            What::Data(bytes) => (tls::What::Data(bytes), false),
            // The offset of what follows tells how long it was.
            What::Gap { len: UNKNOWN, .. } => return Step::Stay,
            What::Gap { len, why } => {
                self.why = why;
                (tls::What::Gap(len), false)
            }
            What::Close(how) => (tls::What::Close, how != CloseHow::Fin),
        };
        let mut step = Step::Stay;
        for side in [Some(chunk.side), both.then_some(chunk.side.other())].into_iter().flatten() {
            let dir = direction(self.client, side);
            step = self.feed(flow, Input { dir, ts: chunk.ts, at: chunk.at, offset: chunk.offset, what });
            if !matches!(step, Step::Stay) {
                return step;
            }
        }
        match (chunk.what, &mut self.inner) {
            (What::Close(_), Some(inner)) => {
                let offset = inner.passed[chunk.side.index()];
                inner.chunk(flow, &Chunk { offset, ..*chunk })
            }
            (What::Close(how), None) if how != CloseHow::Fin => Step::Opaque,
            _ => step,
        }
    }

    /// Where the machine of what runs inside stands. `None`: nothing came yet.
    pub(super) fn inside(&self) -> Option<&Place> {
        self.inner.as_ref().map(|inner| &*inner.place)
    }

    fn feed(&mut self, flow: &mut Flow<'_>, mut input: Input<'_>) -> Step {
        let mut plain = flow.shared.tls.buffer();
        let mut step = Step::Stay;
        while let Some(event) = self.session.next(&mut flow.shared.tls, &mut input, &mut plain) {
            step = self.event(flow, &input, &event, &plain);
            if !matches!(step, Step::Stay) {
                break;
            }
        }
        flow.shared.tls.give_back(plain);
        step
    }

    fn event(&mut self, flow: &mut Flow<'_>, input: &Input<'_>, event: &Event, plain: &[u8]) -> Step {
        match event {
            Event::Data(data) => {
                let what = What::Data(plain.get(..data.length).unwrap_or_default());
                let side = self.side(data.place.dir);
                self.pass(flow, Chunk { side, ts: data.place.ts, at: data.place.at, offset: data.offset, what })
            }
            Event::Lost(lost) => {
                let len = if lost.exact { lost.length } else { UNKNOWN };
                let what = What::Gap { len, why: self.why };
                let side = self.side(lost.dir);
                self.pass(flow, Chunk { side, ts: lost.ts, at: lost.at, offset: lost.offset, what })
            }
            Event::Blind(why) => self.blind(flow, input, *why),
            Event::Hello | Event::Alert(_) | Event::Failed(_) => Step::Stay,
        }
    }

    /// Nothing can be read any further.
    fn blind(&mut self, flow: &mut Flow<'_>, input: &Input<'_>, why: Blind) -> Step {
        if self.inner.is_some() {
            // What is open inside ends with the connection.
            let what = What::Gap { len: UNKNOWN, why: GapWhy::Lost };
            for side in Side::BOTH {
                let offset = self.inner.as_ref().map_or(0, |inner| inner.passed[side.index()]);
                let hole = Chunk { side, ts: input.ts, at: input.at, offset, what };
                if let Step::Opaque = self.pass(flow, hole) {
                    return Step::Opaque;
                }
            }
            return Step::Stay;
        }
        let facts = self.session.facts();
        flow.shared.unread(facts.server_name.as_deref(), facts.alpn_offered.iter().map(|name| &**name));
        match why {
            Blind::SecretsMiss => flow.shared.counters.flows_tls_missed += 1,
            Blind::Suite(_) | Blind::Version(_) => flow.shared.counters.flows_tls_unknown += 1,
            Blind::NoSecrets | Blind::NoHello | Blind::NotTls => {}
        }
        match self.watch.take() {
            Some(watch) => Step::Replace(Machine::Watch(watch), Vec::new()),
            None => Step::Opaque,
        }
    }

    /// Gives a chunk to what runs inside.
    fn pass(&mut self, flow: &mut Flow<'_>, chunk: Chunk<'_>) -> Step {
        if self.inner.is_none() {
            let wrapper = Wrapper::Tls(Box::new(told(self.session.facts())));
            // Its bytes count from the first that was sent inside.
            let Some(begin) = std::mem::take(&mut self.begin).enter(flow, self.client, [0; 2], wrapper) else {
                return Step::Opaque;
            };
            flow.shared.counters.flows_tls_read += 1;
            let mut place = Box::new(Place::free());
            place.put(Machine::Sniff(Box::new(Sniff::within(begin))));
            self.inner = Some(Inner { place, inline: Inline::default(), passed: [0; 2] });
        }
        self.inner.as_mut().map_or(Step::Opaque, |inner| inner.chunk(flow, &chunk))
    }

    fn side(&self, dir: Direction) -> Side {
        if dir == Direction::ClientToServer { self.client } else { self.client.other() }
    }
}

impl Inner {
    fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let length = match chunk.what {
            What::Data(data) => data.len() as u64,
            What::Gap { len: UNKNOWN, .. } | What::Close(_) => 0,
            What::Gap { len, .. } => len,
        };
        self.passed[chunk.side.index()] = chunk.offset.saturating_add(length);
        let mut flow = Flow {
            context: flow.context,
            inline: &mut self.inline,
            shared: &mut *flow.shared,
            sink: &mut *flow.sink,
            passed: Some(self.passed),
        };
        match self.place.chunk(&mut flow, chunk) {
            Step::Replace(to, held) => replace(&mut self.place, to, held, &mut flow),
            step => step,
        }
    }
}

/// What is told of TLS around a stream.
fn told(facts: &Facts) -> model::Tls {
    let version = facts.version.and_then(version_name);
    model::Tls {
        version: version.map(|name| name.trim_start_matches("TLS ")),
        server_name: facts.server_name.clone(),
        alpn: facts.alpn.clone(),
        cipher: facts.suite.and_then(suite::find).map(|suite| suite.name),
        resumed: facts.resumed == Some(true),
        client_random: facts.client_random.map(Box::new),
    }
}
