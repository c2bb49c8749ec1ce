//! A connection in TLS whose secrets may be known: what was sent inside goes to a stack of machines of its
//! own, which begins with a [`Sniff`].
//!
//! What comes in: chunks from the ClientHello on. What goes out: chunks of what was sent inside, with the time
//! and packet of the record's last byte, and offsets in what was sent inside. Where nothing can be read,
//! [`Sealed`] takes over.

use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::base::{PacketRef, Timestamp};
use crate::model::{self, Direction, End, EndHow, Preview, SealedRecord, Wrapper};
use crate::stream::{Chunk, CloseHow, GapWhy, Side, What};
use crate::wire::tls::{alert, record, suite, version_name};

use super::around::Begin;
use super::handshake::{self, Fatal, Hellos};
use super::held::HeldChunk;
use super::inner::{Inner, UNKNOWN};
use super::machines::Place;
use super::sealed::Sealed;
use super::tls::{self, Alert, Blind, Event, Facts, Input, Said, Session, State};
use super::watch::{Watch, said, tell_alone};
use super::{Flow, Machine, Step, direction};

/// TLS on one connection.
pub struct Tls {
    client: Side,
    begin: Begin,
    session: Session,
    /// Waits for the server's first word, which may be none of TLS. `None`: it came.
    watch: Option<Box<Watch>>,
    /// Secrets that were known when it was last asked whether its own are among them.
    known: u64,
    /// What ended it first.
    ended: Option<(Side, EndHow, Timestamp, PacketRef)>,
    /// The first alert that ends it.
    fatal: Option<Fatal>,
    /// The name it is for was counted.
    named: bool,
    /// Sides that said with close_notify that nothing more comes.
    notified: [bool; 2],
    /// Why bytes are missing, where they are.
    why: GapWhy,
    /// What runs inside. `None`: nothing came yet.
    inner: Option<Inner>,
}

impl Tls {
    /// `from_the_start`: this side opened the connection, and nothing is missing before its ClientHello. `reads`:
    /// there are secrets, or some may come.
    pub fn new(client: Side, begin: Begin, from_the_start: bool, reads: bool) -> Self {
        let base = begin.base();
        let watch = |begin: &Begin| {
            // Without any secrets, the name is counted when it is said.
            if reads { Watch::beside(client, begin.clone()) } else { Watch::new(client, begin.clone()) }
        };
        let watch = from_the_start.then(|| Box::new(watch(&begin)));
        let session = Session::new([client, client.other()].map(|side| base[side.index()]));
        Tls {
            client,
            begin,
            session,
            known: 0,
            ended: None,
            fatal: None,
            named: watch.is_some() && !reads,
            watch,
            notified: [false; 2],
            why: GapWhy::Lost,
            inner: None,
        }
    }

    /// Starts fetching what a chunk touches beside its session.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_index(from_ref(&self.watch), 0);
        prefetch_index(from_ref(&self.begin), 0);
        if let Some(watch) = &self.watch {
            prefetch_index(from_ref(&**watch), 0);
        }
    }

    /// Takes one chunk.
    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        if let (Some(watch), What::Close(_)) = (&mut self.watch, chunk.what) {
            watch.tls = Some(Box::new(told(self.session.facts())));
        }
        if let Some(watch) = &mut self.watch
            && let Step::Opaque = watch.chunk(flow, chunk)
        {
            if watch.told {
                return Step::Opaque;
            }
            self.watch = None;
        }
        if let Step::Replace(to, mut held) = self.secrets_came(flow, chunk) {
            held.push(HeldChunk::of(chunk));
            return Step::Replace(to, held);
        }
        let (what, both) = match chunk.what {
            What::Data(bytes) => (tls::What::Data(bytes), false),
            // The offset of what follows tells how long it was.
            What::Gap { len: UNKNOWN, .. } => return Step::Stay,
            What::Gap { len, why } => {
                self.why = why;
                (tls::What::Gap(len), false)
            }
            What::Close(how) => {
                let end = match how {
                    CloseHow::Fin => Some(EndHow::Fin),
                    CloseHow::Rst => Some(EndHow::Rst),
                    CloseHow::Replaced | CloseHow::CaptureEnd => None,
                };
                self.ended = self.ended.or(end.map(|how| (chunk.side, how, chunk.ts, chunk.at)));
                if self.is_broken(flow) {
                    return Step::Opaque;
                }
                (tls::What::Close, how != CloseHow::Fin)
            }
        };
        let mut step = Step::Stay;
        for side in [Some(chunk.side), both.then_some(chunk.side.other())].into_iter().flatten() {
            let dir = direction(self.client, side);
            step = self.feed(flow, Input { dir, ts: chunk.ts, at: chunk.at, offset: chunk.offset, what });
            match step {
                Step::Stay => {}
                // Who waited for secrets to the end tells what can be told without.
                Step::Replace(to, mut held) if matches!(chunk.what, What::Close(_)) => {
                    held.push(HeldChunk::of(chunk));
                    return Step::Replace(to, held);
                }
                step => return step,
            }
        }
        match (chunk.what, &mut self.inner) {
            // It was told with its close_notify.
            (What::Close(CloseHow::Fin), Some(_)) if self.notified[chunk.side.index()] => step,
            (What::Close(_), Some(inner)) => {
                let offset = inner.passed(chunk.side);
                let by_server = |fatal: &Fatal| fatal.by == Direction::ServerToClient;
                flow.shared.alert = self.fatal.filter(by_server).map(|fatal| {
                    let bytes = [record::ALERT, 3, 3, 0, 2, alert::FATAL, fatal.description];
                    let offset = inner.passed(self.client.other());
                    Box::new(Preview { bytes: bytes.into(), at: fatal.at, ts: fatal.ts, offset })
                });
                let step = inner.chunk(flow, &Chunk { offset, ..*chunk });
                flow.shared.alert = None;
                step
            }
            (What::Close(how), None) if how != CloseHow::Fin => Step::Opaque,
            _ => step,
        }
    }

    /// Who waits for the server's first word. `None`: it came.
    pub(super) fn watch(&mut self) -> Option<&mut Watch> {
        self.watch.as_deref_mut()
    }

    /// Where the machine of what runs inside stands. `None`: nothing came yet.
    pub(super) fn inside(&self) -> Option<&Place> {
        self.inner.as_ref().map(Inner::place)
    }

    /// Asks again for secrets that were missing, where any came since.
    fn secrets_came(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let counted = flow.shared.tls.secrets.counted;
        let known = counted.secrets.wrapping_add(counted.replaced);
        if !flow.shared.tls.secrets.may_grow || self.known == known {
            return Step::Stay;
        }
        self.known = known;
        if self.session.state() != State::Waiting {
            return Step::Stay;
        }
        self.session.retry(&mut flow.shared.tls);
        let dir = direction(self.client, chunk.side);
        let what = tls::What::Data(&[]);
        self.feed(flow, Input { dir, ts: chunk.ts, at: chunk.at, offset: chunk.offset, what })
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
            // Nothing comes behind it on this side, whoever sends the first FIN (RFC 8446 §6.1).
            Event::Alert(Alert { place, said: Said::Read { description: alert::CLOSE_NOTIFY, .. } }) => {
                let side = self.side(place.dir);
                let Some(inner) = self.inner.as_mut().filter(|_| !self.notified[side.index()]) else {
                    return Step::Stay;
                };
                self.notified[side.index()] = true;
                let (what, offset) = (What::Close(CloseHow::Fin), inner.passed(side));
                inner.chunk(flow, &Chunk { side, ts: place.ts, at: place.at, offset, what })
            }
            Event::Alert(Alert { place, said: Said::Read { level, description } }) => {
                let fatal = || Fatal::new(place.dir, [*level, *description], place.ts, place.at);
                self.fatal = self.fatal.or_else(fatal);
                Step::Stay
            }
            Event::Hello | Event::Alert(_) | Event::Failed(_) => Step::Stay,
        }
    }

    /// Tells a handshake that failed, where the connection ends with it and its records are read as far as that needs.
    fn is_broken(&mut self, flow: &mut Flow<'_>) -> bool {
        let ended = self.ended.map(|(side, how, ts, at)| (direction(self.client, side), how, ts, at));
        // Of what waits for secrets, records tell when none came.
        const BOTH: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];
        let lost = BOTH.into_iter().any(|dir| self.session.left(dir).lost);
        if lost || self.inner.is_some() || self.session.state() == State::Waiting {
            return false;
        }
        let of = |dir| {
            let records = self.session.seen(dir).first.iter();
            records.map(|r| SealedRecord { ts: r.ts, bytes: r.length, kind: r.kind }).collect::<Vec<_>>()
        };
        let [client, server] = BOTH.map(of);
        let facts = self.session.facts();
        let (hellos, alpn_offered) = (Hellos::new(facts), &*facts.alpn_offered);
        let sides = [&*client, &*server];
        let seen = handshake::Seen { hellos, alpn_offered, sides, alert: self.fatal, ended };
        let Some(broken) = handshake::broken(&seen) else { return false };
        let mut said = said(&self.begin);
        said.via.push(Wrapper::Tls(Box::new(told(facts))));
        said.broken = Some(Box::new(broken));
        if let Some((by, how, ts, at)) = ended {
            let by = Some(by);
            let (at, packet) = (Some(ts), Some(at));
            said.end = End { by, how, at, packet, tcp_by: by, tcp_how: how, tcp_at: at, ..End::default() };
        }
        tell_alone(flow, self.client, self.begin.first, said);
        true
    }

    /// Nothing can be read any further.
    fn blind(&mut self, flow: &mut Flow<'_>, input: &Input<'_>, why: Blind) -> Step {
        if self.inner.is_some() {
            // What is open inside ends with the connection.
            let what = What::Gap { len: UNKNOWN, why: GapWhy::Lost };
            for side in Side::BOTH {
                let offset = self.inner.as_ref().map_or(0, |inner| inner.passed(side));
                let hole = Chunk { side, ts: input.ts, at: input.at, offset, what };
                if let Step::Opaque = self.pass(flow, hole) {
                    return Step::Opaque;
                }
            }
            return Step::Stay;
        }
        let facts = self.session.facts();
        if !self.named {
            flow.shared.unread(facts.server_name.as_deref(), facts.alpn_offered.iter().map(|name| &**name));
        }
        let reads = flow.shared.reads_tls();
        match why {
            Blind::SecretsMiss => flow.shared.counters.flows_tls_missed += 1,
            Blind::Suite(_) | Blind::Version(_) if reads => flow.shared.counters.flows_tls_unknown += 1,
            Blind::Suite(_) | Blind::Version(_) | Blind::NoSecrets | Blind::NoHello | Blind::NotTls => {}
        }
        if let Some(watch) = self.watch.take() {
            return Step::Replace(Machine::Watch(watch), Vec::new());
        }
        if why == Blind::NotTls || facts.version.is_none() {
            return Step::Opaque;
        }
        if !flow.shared.follows_sealed() {
            flow.shared.counters.tls_given_up += 1;
            return Step::Opaque;
        }
        flow.shared.sealed_open += 1;
        let sealed = Sealed::new(
            self.client,
            std::mem::take(&mut self.begin),
            told(facts),
            &self.session,
            (self.ended, self.fatal),
        );
        // What is left of the chunk under work goes on there.
        let what = match input.what {
            tls::What::Data(bytes) if !bytes.is_empty() => What::Data(bytes),
            _ => return Step::Replace(Machine::Sealed(Box::new(sealed)), Vec::new()),
        };
        let rest = Chunk { side: self.side(input.dir), ts: input.ts, at: input.at, offset: input.offset, what };
        Step::Replace(Machine::Sealed(Box::new(sealed)), vec![HeldChunk::of(&rest)])
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
            self.inner = Some(Inner::new(begin, flow.shared));
        }
        self.inner.as_mut().map_or(Step::Opaque, |inner| inner.chunk(flow, &chunk))
    }

    fn side(&self, dir: Direction) -> Side {
        if dir == Direction::ClientToServer { self.client } else { self.client.other() }
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
