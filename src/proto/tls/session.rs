//! The driver: chunks to records, holes, ends. What a record means is in `records` and `hellos`.

use std::collections::VecDeque;

use super::facts::Facts;
use super::half::{Half, Phase, Seen};
use super::open::Opener;
use super::waiting::Waiting;
use super::{Alert, Blind, Event, Failed, FailedWhy, Input, Lost, Place, Said, Tools, What};
use crate::base::limits;
use crate::model::Direction;
use crate::wire::tls::record::{self, HEADER_BYTES, Header};

/// TLS on one connection. See the module's description.
pub struct Session {
    pub(super) facts: Facts,
    /// The client's, then the server's.
    pub(super) halves: [Half; 2],
    pub(super) events: VecDeque<Event>,
    pub(super) waiting: Waiting,
    /// Keys of TLS 1.2 that the next ChangeCipherSpec of each direction brings into force.
    pub(super) next_keys: [Option<Opener>; 2],
    /// The session id that the client asked for, until the server answers.
    pub(super) session_id: Vec<u8>,
    /// Something that waits may be readable now.
    pub(super) ready: bool,
    pub(super) blind: Option<Blind>,
    /// Bytes tried in vain, up to `limits::TLS_TRIED_BYTES`.
    pub(super) tried: u64,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The hellos are still to come.
    Hello,
    /// Its secrets are still to come.
    Waiting,
    Reading,
    Blind(Blind),
}

/// See [`Session::left`].
pub struct Left<'a> {
    /// The record whose end is still to come, and bytes of it that are.
    pub passing: Option<Header>,
    pub skip: u64,
    /// The first bytes of a record's header.
    pub begun: &'a [u8],
    /// It is not known where the next record begins.
    pub lost: bool,
    /// Bytes of it so far.
    pub bytes: u64,
    pub closed: bool,
}

pub(super) fn index(dir: Direction) -> usize {
    match dir {
        Direction::ClientToServer => 0,
        Direction::ServerToClient => 1,
    }
}

const BOTH: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];

impl Session {
    /// `begin`: the offsets at which TLS begins in the client's and the server's stream, in bytes.
    pub fn new(begin: [u64; 2]) -> Self {
        Session {
            facts: Facts::default(),
            halves: begin.map(Half::new),
            events: VecDeque::new(),
            waiting: Waiting::default(),
            next_keys: [None, None],
            session_id: Vec::new(),
            ready: false,
            blind: None,
            tried: 0,
        }
    }

    /// What the hellos told so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What was seen of a direction's records and segments.
    pub fn seen(&self, dir: Direction) -> &Seen {
        &self.half(dir).seen
    }

    /// Where a direction stands that is not read any further.
    pub fn left(&self, dir: Direction) -> Left<'_> {
        let half = self.half(dir);
        Left {
            passing: half.passing,
            skip: half.skip,
            begun: &half.buffer,
            lost: half.scanning || half.lost > 0,
            bytes: half.end.saturating_sub(half.begin),
            closed: half.closed,
        }
    }

    pub fn state(&self) -> State {
        if let Some(why) = self.blind {
            return State::Blind(why);
        }
        if self.wants_secrets() {
            return State::Waiting;
        }
        if self.halves.iter().any(|h| matches!(h.phase, Phase::Open(_))) { State::Reading } else { State::Hello }
    }

    /// The next thing that this input, or what waited, tells. `None`: give the next input. Content of
    /// [`Event::Data`] is at the front of `plain`.
    pub fn next(&mut self, tools: &mut Tools, input: &mut Input<'_>, plain: &mut Vec<u8>) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            self.early_left_open(tools);
            let goes_on = if self.ready { self.what_waited(tools, plain) } else { self.step(tools, input, plain) };
            if !goes_on && self.events.is_empty() {
                return None;
            }
        }
    }

    pub(super) fn half(&self, dir: Direction) -> &Half {
        let [client, server] = &self.halves;
        if dir == Direction::ClientToServer { client } else { server }
    }

    pub(super) fn half_mut(&mut self, dir: Direction) -> &mut Half {
        let [client, server] = &mut self.halves;
        if dir == Direction::ClientToServer { client } else { server }
    }

    /// Reads one of the records that waited, if any can be read.
    fn what_waited(&mut self, tools: &mut Tools, plain: &mut Vec<u8>) -> bool {
        let mut body = tools.buffer();
        let may_go = [self.may_go(BOTH[0]), self.may_go(BOTH[1])];
        let found = self.waiting.take(&mut body, |dir| may_go[index(dir)]);
        self.ready = found.is_some();
        if let Some((place, header)) = found {
            self.read(tools, &place, header, &body, plain, false);
        }
        tools.give_back(body);
        true
    }

    /// Does a part of what an input asks for. `false`: there is nothing left of it.
    fn step(&mut self, tools: &mut Tools, input: &mut Input<'_>, plain: &mut Vec<u8>) -> bool {
        match input.what {
            What::Gap(length) => {
                input.what = What::Data(&[]);
                let already = self.half(input.dir).end.saturating_sub(input.offset);
                self.gap(tools, input.dir, length.saturating_sub(already));
                input.offset = input.offset.saturating_add(length);
                true
            }
            What::Close => {
                input.what = What::Data(&[]);
                self.half_mut(input.dir).ending = true;
                self.early_left_open(tools);
                if self.ready {
                    input.what = What::Close;
                    return true;
                }
                self.close(tools, input);
                true
            }
            What::Data(bytes) => {
                let end = self.half(input.dir).end;
                if !bytes.is_empty() && input.offset != end {
                    if input.offset > end {
                        self.gap(tools, input.dir, input.offset - end);
                    } else {
                        let known = usize::try_from(end - input.offset).unwrap_or(usize::MAX);
                        input.what = What::Data(bytes.get(known..).unwrap_or_default());
                    }
                    input.offset = end.max(input.offset);
                    return true;
                }
                self.data(tools, input, bytes, plain)
            }
        }
    }

    fn data(&mut self, tools: &mut Tools, input: &mut Input<'_>, bytes: &[u8], plain: &mut Vec<u8>) -> bool {
        let half = self.half_mut(input.dir);
        if !bytes.is_empty() && half.seen.last_segment.is_none_or(|(_, _, at)| at != input.at) {
            half.seen.last_segment = Some((bytes.len() as u64, input.ts, input.at));
        }
        if half.is_blind() {
            if !bytes.is_empty() {
                half.seen.ends_like_alert = record::ends_like_alert_1_3(bytes);
                self.pass(input, bytes);
            }
            input.take(bytes.len());
            return false;
        }
        if half.skip > 0 && !bytes.is_empty() {
            let n = usize::try_from(half.skip).unwrap_or(usize::MAX).min(bytes.len());
            half.skip -= n as u64;
            half.end += n as u64;
            input.take(n);
            return true;
        }
        if half.scanning {
            half.buffer.extend_from_slice(bytes);
            half.end += bytes.len() as u64;
            input.take(bytes.len());
            return self.scan(tools, input, plain);
        }
        if !half.buffer.is_empty() {
            return self.buffered(tools, input, bytes, plain);
        }
        let known = self.facts.client_random.is_some() || self.facts.version.is_some();
        let half = self.half_mut(input.dir);
        match record::header(bytes) {
            _ if bytes.is_empty() => false,
            record::Read::Header(header) if header.whole() <= bytes.len() => {
                let (whole, _) = bytes.split_at(header.whole());
                half.end += whole.len() as u64;
                let place = half.place(input, header);
                input.take(whole.len());
                self.record(tools, place, header, whole.get(HEADER_BYTES..).unwrap_or_default(), plain, false);
                true
            }
            record::Read::Header(header)
                if header.kind == record::APPLICATION_DATA
                    && matches!(half.phase, Phase::Clear)
                    && half.slack == 0
                    && !known =>
            {
                self.go_blind(Blind::NoHello);
                true
            }
            record::Read::Header(_) | record::Read::More => {
                half.buffer = tools.buffer();
                half.buffer.clear();
                half.buffer.extend_from_slice(bytes);
                half.end += bytes.len() as u64;
                input.take(bytes.len());
                false
            }
            record::Read::Wrong => self.out_of_step(input.dir),
        }
    }

    /// Goes on with the record, or the records, that begin in the buffer.
    fn buffered(&mut self, tools: &mut Tools, input: &mut Input<'_>, bytes: &[u8], plain: &mut Vec<u8>) -> bool {
        let half = self.half_mut(input.dir);
        let wanted = match record::header(&half.buffer) {
            record::Read::Header(header) => header.whole(),
            record::Read::More => HEADER_BYTES,
            record::Read::Wrong => return self.out_of_step(input.dir),
        };
        if half.buffer.len() < wanted {
            let n = bytes.len().min(wanted - half.buffer.len());
            half.buffer.extend_from_slice(bytes.get(..n).unwrap_or_default());
            half.end += n as u64;
            input.take(n);
            if half.buffer.len() < wanted {
                return false;
            }
        }
        let record::Read::Header(header) = record::header(&half.buffer) else { return true };
        if half.buffer.len() < header.whole() {
            return true;
        }
        let mut buffer = std::mem::take(&mut half.buffer);
        let behind = (buffer.len() - header.whole()) as u64;
        let mut place = half.place(input, header);
        place.record = place.record.start - behind..place.record.end - behind;
        let body = buffer.get(HEADER_BYTES..header.whole()).unwrap_or_default();
        self.record(tools, place, header, body, plain, false);
        buffer.drain(..header.whole());
        self.put_back(tools, input.dir, buffer);
        true
    }

    fn put_back(&mut self, tools: &mut Tools, dir: Direction, buffer: Vec<u8>) {
        if buffer.is_empty() || self.half(dir).is_blind() {
            tools.give_back(buffer);
        } else {
            self.half_mut(dir).buffer = buffer;
        }
    }

    /// What should be a record's header is none.
    fn out_of_step(&mut self, dir: Direction) -> bool {
        let half = self.half_mut(dir);
        if !half.speaks_tls && half.lost == 0 {
            self.go_blind(Blind::NotTls);
            return true;
        }
        half.scanning = true;
        half.scanned = 0;
        half.slack = (half.slack + 1).min(limits::TLS_SEQUENCE_TRIES);
        half.messages.restart();
        true
    }

    /// Looks for a record in the buffer. `false`: more bytes are needed.
    fn scan(&mut self, tools: &mut Tools, input: &Input<'_>, plain: &mut Vec<u8>) -> bool {
        let half = self.half_mut(input.dir);
        let mut buffer = std::mem::take(&mut half.buffer);
        let mut found = None;
        while let Some(rest) = buffer.get(half.scanned..).filter(|rest| !rest.is_empty()) {
            match record::header(rest) {
                record::Read::Wrong => half.scanned += 1,
                record::Read::More => break,
                record::Read::Header(header) => {
                    if rest.len() >= header.whole() {
                        found = Some(header);
                    }
                    break;
                }
            }
        }
        let from = half.scanned;
        let Some(header) = found else {
            // What no record begins in is lost.
            buffer.drain(..from);
            if from > 0 {
                half.miss(from as u64);
            }
            half.scanned = 0;
            self.put_back(tools, input.dir, buffer);
            return false;
        };
        let behind = (buffer.len() - from - header.whole()) as u64;
        let mut place = half.place(input, header);
        place.record = place.record.start - behind..place.record.end - behind;
        // Bytes passed over before it count as lost, and so may be records.
        half.miss(from as u64);
        let body = buffer.get(from + HEADER_BYTES..from + header.whole()).unwrap_or_default();
        let fits = self.record(tools, place, header, body, plain, true);
        let half = self.half_mut(input.dir);
        half.scanned = 0;
        if fits {
            tools.counted.resynchronised += 1;
            half.scanning = false;
            buffer.drain(..from + header.whole());
        } else {
            buffer.drain(..=from);
            half.lost = half.lost.saturating_add(1);
        }
        self.put_back(tools, input.dir, buffer);
        true
    }

    fn gap(&mut self, tools: &mut Tools, dir: Direction, length: u64) {
        let half = self.half_mut(dir);
        half.end = half.end.saturating_add(length);
        if length == 0 {
            return;
        }
        if half.is_blind() {
            // Of the record that it lies in, nothing is told.
            half.passing = None;
            half.skip = half.skip.saturating_sub(length);
            half.buffer = Vec::new();
            return;
        }
        let mut length = length;
        if half.skip > 0 {
            let within = half.skip.min(length);
            half.skip -= within;
            length -= within;
        }
        if length == 0 {
            return;
        }
        half.messages.restart();
        let header = match record::header(&half.buffer) {
            record::Read::Header(header) if !half.scanning => Some(header),
            _ => None,
        };
        let had = half.buffer.len() as u64;
        let missing = header.map(|h| h.whole() as u64 - had);
        tools.give_back(std::mem::take(&mut half.buffer));
        match (header, missing) {
            // All of the hole lies in one record: where the next begins is known.
            (Some(header), Some(missing)) if length <= missing => {
                half.miss_one(header.whole() as u64);
                half.skip = missing - length;
            }
            _ => {
                half.miss(had + length);
                half.scanning = true;
                half.scanned = 0;
            }
        }
    }

    fn close(&mut self, tools: &mut Tools, input: &Input<'_>) {
        let dir = input.dir;
        let half = self.half_mut(dir);
        if half.closed {
            return;
        }
        half.closed = true;
        if half.is_blind() {
            if half.seen.ends_like_alert
                && self.facts.is_1_3()
                && let Some((_, ts, at)) = self.half(dir).seen.last_segment
            {
                let end = self.half(dir).end;
                let place = Place { dir, ts, at, record: end.saturating_sub(24)..end };
                self.events.push_back(Event::Alert(Alert { place, said: Said::BySize }));
            }
            return;
        }
        if !half.scanning && (!half.buffer.is_empty() || half.skip > 0) {
            tools.counted.cut += 1;
            let record = half.end - half.buffer.len() as u64..half.end;
            let place = Place { dir, ts: input.ts, at: input.at, record };
            self.events.push_back(Event::Failed(Failed { place, why: FailedWhy::Cut }));
        }
        let half = self.half_mut(dir);
        half.lost = half.lost.saturating_add(half.buffer.len() as u64);
        tools.give_back(std::mem::take(&mut half.buffer));
        let (records, dropped) = self.waiting.drop_all(dir);
        let keys_at_hand = self.next_keys.get(index(dir)).is_some_and(Option::is_some);
        let half = self.half_mut(dir);
        half.passed += records;
        half.lost = half.lost.saturating_add(dropped);
        if half.lost > 0 && (keys_at_hand || matches!(half.phase, Phase::Open(_))) {
            tools.counted.lost_bytes += half.lost;
            let (offset, length) = (half.plain, half.lost);
            half.lost = 0;
            half.plain = half.plain.saturating_add(length);
            let lost = Lost { dir, ts: input.ts, at: input.at, offset, length, exact: false };
            self.events.push_back(Event::Lost(lost));
        }
        if self.halves.iter().all(|h| h.closed) && self.blind.is_none() {
            if self.wants_secrets() {
                self.go_blind(self.miss(tools));
            } else if self.facts.version.is_none() && self.halves.iter().any(|h| h.passed > 0 || h.lost > 0) {
                self.go_blind(Blind::NoHello);
            }
        }
    }
}

impl Half {
    /// Of a record that ends with the last byte taken.
    fn place(&self, input: &Input<'_>, header: Header) -> Place {
        let record = self.end.saturating_sub(header.whole() as u64)..self.end;
        Place { dir: input.dir, ts: input.ts, at: input.at, record }
    }
}

impl Input<'_> {
    fn take(&mut self, n: usize) {
        if let What::Data(bytes) = self.what {
            self.what = What::Data(bytes.get(n..).unwrap_or_default());
            self.offset = self.offset.saturating_add(n as u64);
        }
    }
}
