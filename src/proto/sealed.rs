//! A connection in TLS that is not read: sizes and times of its first records, then only its last segments, and
//! who ended it. Nothing is said of what runs inside.
//!
//! What comes in: chunks from the first that could not be read on. When the first records of both sides are known, it
//! asks for glimpses ([`Glimpse`]), which cost a flow hardly more than nothing. What goes out: the
//! flow to [`super::Sink::sealed`], when it is over.

use std::mem::offset_of;

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{
    self, Direction, End, EndHow, HandshakeStep, Said, SealedRecord, SealedSegment, SealedSide, Wrapper,
};
use crate::stream::{Chunk, CloseHow, Glimpse, Side, Signs, What};
use crate::wire::tls::record::{self, HEADER_BYTES, Header};
use crate::wire::tls::suite::{self, Cipher};

use super::around::Begin;
use super::fetch::fetch_around;
use super::handshake::{self, Fatal, Hellos};
use super::tls::{Facts, Session};
use super::watch::{facts as facts_of, said};
use super::websocket::{Lane, Watched};
use super::{Flow, Inline, Step, direction};

/// One connection.
pub struct Sealed {
    client: Side,
    begin: Begin,
    tls: Box<model::Tls>,
    alpn_offered: Box<[Box<[u8]>]>,
    /// The client's, then the server's.
    halves: [Half; 2],
    /// Header of the record that an alert is. `None`: not known.
    alert: Option<[u8; HEADER_BYTES]>,
    /// What of the hellos tells whether the handshake came to its end, and the first alert that ends it.
    hellos: Hellos,
    fatal: Option<Fatal>,
    /// What ended it first, and when somebody had last spoken by then. `None` there: that was seen before this machine.
    end: Option<Ended>,
    spoken: Option<Timestamp>,
    /// Bytes of the connection passed on by each side when the glimpses began. `None`: they did not.
    glimpsed_from: Option<[u64; 2]>,
    /// The last segments of client and server that were seen before this machine was made.
    before: [Option<SealedSegment>; 2],
    /// The last segments of client and server that were nothing but an alert: the end, and no payload of what runs
    /// inside.
    alerts: [Option<SealedSegment>; 2],
    /// What its packets are wrapped in, told while that is known.
    around: Vec<Wrapper>,
    /// What TCP says beside the bytes. `None`: nothing.
    watched: Option<Box<Watched>>,
}

/// Bytes of an alert: level and description.
/// So often must a server send its answer again in vain, so that it did not arrive.
const TORN_TIMES: u32 = 3;

const ALERT_BYTES: usize = 2;

/// By whom, how, when, and by which packet.
type Ended = (Side, EndHow, Timestamp, PacketRef);

#[derive(Default)]
struct Half {
    records: Vec<SealedRecord>,
    /// The record that goes by, and bytes of it that are still to come.
    passing: Option<Header>,
    skip: u64,
    /// A header in pieces.
    begun: Vec<u8>,
    /// What an alert in clear says, as far as it came.
    says: ([u8; ALERT_BYTES], usize),
    /// Where records begin is not known any more, or does not matter.
    lost: bool,
    bytes: u64,
    closed: bool,
}

/// Bits of a side's word ([`Lane::word`]), above the last segment's bytes.
const NOTIFIES: u64 = 1 << 32;
const UNKNOWN: u64 = 1 << 33;
/// Glimpses began.
const BESIDE: u64 = 1 << 34;
/// The first records of this side are known: what it sends may be the beginning of one.
const KNOWN: u64 = 1 << 35;
/// Above stands what is looked for: the content type and the body's length of a record that an alert is; nothing where
/// that is not known.
const ALERT: u32 = 48;

/// Takes note of a segment without the machine, whose lines are not worth fetching for it: `bytes` that were captured
/// and cut, and whether they may end with an alert ([`stream::Inline::glimpse`]). `false`: the machine must see it.
#[inline]
pub(super) fn glimpse_beside(
    place: &mut Lane,
    (ts, at): (Timestamp, PacketRef),
    (captured, cut): (u32, u32),
    alert: Option<bool>,
) -> bool {
    let word = place.word();
    if word & BESIDE == 0 {
        return false;
    }
    let Some(bits) = bits(word, alert) else { return false };
    note(place, ts, at, u64::from(captured.saturating_add(cut)), bits);
    true
}

/// Passes over so many bytes inside a record, and over those behind the first records, as [`glimpse_beside`] does.
/// `alert`: whether they may end with one, by this side's word; `None`: nobody looked. `false`: the machine must see them.
#[inline]
pub(super) fn pass_beside(
    place: &mut Lane,
    (ts, at): (Timestamp, PacketRef),
    bytes: u64,
    alert: impl FnOnce(u64) -> Option<bool>,
) -> bool {
    let word = place.word();
    if place.skip <= bytes {
        return false;
    }
    // Inside a record none ends.
    let alert = if word & KNOWN == 0 { Some(false) } else { alert(word) };
    let Some(bits) = bits(word, alert) else { return false };
    place.skip -= bytes;
    note(place, ts, at, bytes, bits);
    true
}

impl Sealed {
    /// From what a session saw until nothing more could be read.
    /// `end`, `fatal`: what ended it first, and the alert that does, where they came already.
    pub(super) fn new(
        client: Side,
        begin: Begin,
        tls: model::Tls,
        session: &Session,
        (end, fatal): (Option<Ended>, Option<Fatal>),
    ) -> Self {
        let facts = session.facts();
        let half = |dir| {
            let left = session.left(dir);
            let first = session.seen(dir).first.iter();
            Half {
                records: first.map(|r| SealedRecord { ts: r.ts, bytes: r.length, kind: r.kind }).collect(),
                passing: left.passing,
                skip: left.skip,
                begun: left.begun.to_vec(),
                lost: left.lost,
                bytes: left.bytes,
                closed: left.closed,
                ..Half::default()
            }
        };
        Sealed {
            client,
            begin,
            tls: Box::new(tls),
            alpn_offered: facts.alpn_offered.iter().cloned().collect(),
            halves: [Direction::ClientToServer, Direction::ServerToClient].map(half),
            alert: alert_header(facts),
            hellos: Hellos::new(facts),
            fatal,
            end,
            spoken: None,
            glimpsed_from: None,
            before: [Direction::ClientToServer, Direction::ServerToClient].map(|dir| {
                let (bytes, ts, at) = session.seen(dir).last_segment?;
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                Some(SealedSegment { ts, at, bytes, close_notify: None })
            }),
            alerts: [None; 2],
            around: Vec::new(),
            watched: None,
        }
    }

    pub fn chunk(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let alert = self.alert.map_or(0, |header| u64::from(header[0]) << 8 | u64::from(header[4]));
        for side in Side::BOTH {
            let place = &mut flow.inline.sides[side.index()];
            place.set_word(place.word() | alert << ALERT);
            self.half_mut(direction(self.client, side)).passed(place);
        }
        let step = self.take(flow, chunk);
        for side in Side::BOTH {
            let half = self.half_mut(direction(self.client, side));
            half.pass_on();
            let (passes, known) = (half.passes(), if half.is_known() { KNOWN } else { 0 });
            let place = &mut flow.inline.sides[side.index()];
            place.skip = if passes { half.skip } else { 0 };
            place.set_word(place.word() | known);
        }
        step
    }

    /// Starts fetching what a segment touches.
    #[inline]
    pub(super) fn prefetch(&self) {
        let at = offset_of!(Sealed, halves) + offset_of!(Half, lost);
        fetch_around(&self.halves[0].lost, at, size_of::<Sealed>());
    }

    /// Whether what this side sends next is inside a record, so that [`pass_beside`] does for it.
    pub(super) fn passes(&self, side: Side) -> bool {
        let [client, server] = &self.halves;
        let half = if side == self.client { client } else { server };
        half.passes()
    }

    fn take(&mut self, flow: &mut Flow<'_>, chunk: &Chunk<'_>) -> Step {
        let dir = direction(self.client, chunk.side);
        let half = self.half_mut(dir);
        match chunk.what {
            What::Data(data) => {
                half.bytes += data.len() as u64;
                half.data(chunk.ts, data);
                let says = half.alert();
                if let (None, Some(says)) = (self.fatal, says) {
                    self.fatal = Fatal::new(dir, says, chunk.ts, chunk.at);
                }
                self.segment(flow.inline, chunk.side, (chunk.ts, chunk.at), data, 0);
                self.looked_enough(flow)
            }
            What::Gap { len, .. } => {
                half.lost = true;
                half.bytes = half.bytes.saturating_add(if len == u64::MAX { 0 } else { len });
                Step::Stay
            }
            What::Close(CloseHow::Fin) => {
                half.closed = true;
                self.ends(flow.inline, chunk.side, EndHow::Fin, chunk.ts, chunk.at);
                if self.halves.iter().all(|half| half.closed) { self.tell(flow) } else { Step::Stay }
            }
            What::Close(how) => {
                if how == CloseHow::Rst {
                    self.ends(flow.inline, chunk.side, EndHow::Rst, chunk.ts, chunk.at);
                }
                self.tell(flow)
            }
        }
    }

    /// A segment of the connection that [`glimpse_beside`] leaves.
    pub(super) fn glimpse(&mut self, inline: &mut Inline, seen: &Glimpse<'_>) {
        if !seen.payload.is_empty() || seen.cut > 0 {
            self.segment(inline, seen.side, (seen.ts, seen.at), seen.payload, seen.cut);
        }
        if seen.rst {
            self.ends(inline, seen.side, EndHow::Rst, seen.ts, seen.at);
        } else if seen.fin {
            self.ends(inline, seen.side, EndHow::Fin, seen.ts, seen.at);
        }
    }

    /// What a segment of this side says beside its bytes; `usual`: the TTL that its packets have. `true`: what the next ones
    /// say is wanted too.
    pub(super) fn signs(&mut self, inline: &Inline, side: Side, usual: u8, signs: Signs) -> bool {
        let wanted = self.watched.get_or_insert_default().take(direction(self.client, side), usual, signs);
        if let Some((offset, bytes)) = signs.again {
            self.again(inline, side, signs.ts, (offset, bytes as usize));
        }
        wanted || signs.again.is_some()
    }

    /// Bytes of this side came again. `of`: where they stand in their direction's stream, and how many they are.
    pub(super) fn again(&mut self, inline: &Inline, side: Side, ts: Timestamp, of: (u64, usize)) {
        let Some(sent) = last(&inline.sides[side.index()]) else { return };
        let heard = inline.sides.iter().filter_map(last).map(|segment| segment.ts).max().unwrap_or(sent.ts);
        let by = direction(self.client, side);
        self.watched.get_or_insert_default().again(by, sent.at, (heard, ts), of);
    }

    /// Keeps what is to be known of a side's last segment.
    fn segment(&mut self, inline: &mut Inline, side: Side, (ts, at): (Timestamp, PacketRef), payload: &[u8], cut: u32) {
        let place = &mut inline.sides[side.index()];
        let bytes = payload.len() as u64 + u64::from(cut);
        // Of a segment that came in parts, all of it.
        let before = match self.before.get(usize::from(side != self.client)) {
            Some(Some(before)) if before.at == at => u64::from(before.bytes),
            _ => 0,
        };
        let word = match &self.alert {
            Some(header) if cut == 0 && ends_with(payload, *header) => NOTIFIES,
            Some(_) if cut == 0 => 0,
            _ => UNKNOWN,
        };
        let bytes = before.max(bytes);
        let alone = self.alert.is_some_and(|header| bytes == HEADER_BYTES as u64 + u64::from(header[4]));
        if word == NOTIFIES && alone {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.alerts[usize::from(side != self.client)] =
                Some(SealedSegment { ts, at, bytes, close_notify: Some(true) });
            return;
        }
        note(place, ts, at, bytes, word);
    }

    fn ends(&mut self, inline: &Inline, side: Side, how: EndHow, ts: Timestamp, at: PacketRef) {
        if self.end.is_none() {
            // Who said in TLS that nothing more will come ended it, though the other side closed TCP first.
            let other = self.alerts[usize::from(side == self.client)];
            let own = self.alerts[usize::from(side != self.client)];
            let first = other.filter(|other| how == EndHow::Fin && own.is_none_or(|own| other.ts < own.ts));
            self.end = Some(match first {
                Some(alert) => (side.other(), how, alert.ts, alert.at),
                None => (side, how, ts, at),
            });
            let before = self.before.iter().flatten().map(|segment| segment.ts);
            let sides = inline.sides.iter().filter_map(last).map(|segment| segment.ts);
            self.spoken = before.chain(sides).max();
        }
    }

    /// When the first records are known, glimpses do.
    fn looked_enough(&mut self, flow: &mut Flow<'_>) -> Step {
        let done = |half: &Half| half.lost || half.is_known();
        let long = |half: &Half| half.bytes > limits::SEALED_LOOKED_AT_BYTES;
        // Inside another stream no segment is its own.
        let enough = self.halves.iter().all(done) || self.halves.iter().any(long);
        if !enough || flow.passed.is_some() || self.halves.iter().any(|half| half.closed) {
            return Step::Stay;
        }
        let track = flow.context.track;
        self.glimpsed_from = Some([self.client, self.client.other()].map(|side| track.offset(side)));
        self.around = flow.via(self.client, None);
        flow.inline.sides.iter_mut().for_each(|place| place.set_word(place.word() | BESIDE));
        for half in &mut self.halves {
            half.begun = Vec::new();
            half.records.shrink_to_fit();
        }
        Step::Glimpse
    }

    /// The connection is over.
    pub(super) fn tell(&mut self, flow: &mut Flow<'_>) -> Step {
        let sides = [self.client, self.client.other()];
        let mut bytes = [0, 1].map(|side: usize| self.halves[side].bytes);
        if let Some(from) = self.glimpsed_from {
            for ((bytes, from), side) in bytes.iter_mut().zip(from).zip(sides) {
                *bytes += flow.context.track.offset(side).saturating_sub(from);
            }
        }
        let mut facts = model::Sealed { alpn_offered: std::mem::take(&mut self.alpn_offered), ..Default::default() };
        let mut spoken = None;
        for (n, side) in sides.into_iter().enumerate() {
            let data = last(&flow.inline.sides[side.index()]).or(self.before[n]);
            spoken = spoken.max(data.map(|data| data.ts));
            let end = self.alerts[n].filter(|alert| data.is_none_or(|data| alert.ts >= data.ts));
            facts.sides[n] = SealedSide {
                records: std::mem::take(&mut self.halves[n].records).into(),
                bytes: bytes[n],
                last: end.or(data),
            };
        }
        facts.transport = self.watched.take().and_then(|watched| watched.tell());
        let first = flow.context.opened.first;
        let end = self.end.map_or_else(End::default, |(side, how, ts, at)| {
            let by = Some(direction(self.client, side));
            End {
                by,
                how,
                at: Some(ts),
                packet: Some(at),
                idle_before: self.spoken.or(spoken).map(|last| ts.since(last).max(Nanos::ZERO)),
                lifetime: Some(ts.since(first).max(Nanos::ZERO)),
                tcp_by: by,
                tcp_how: how,
                tcp_at: Some(ts),
                ..End::default()
            }
        });
        let mut told = Said { end, ..said(&self.begin) };
        told.gap = self.halves.iter().any(|half| half.lost);
        let ended = self.end.map(|(side, how, ts, at)| (direction(self.client, side), how, ts, at));
        let [client, server] = &facts.sides;
        let sides = [&*client.records, &*server.records];
        let seen =
            handshake::Seen { hellos: self.hellos, alpn_offered: &facts.alpn_offered, sides, alert: self.fatal, ended };
        told.broken = handshake::broken(&seen).filter(|_| !told.gap).map(Box::new);
        let swallowed = facts.transport.as_ref().and_then(|transport| transport.swallowed);
        let swallowed = swallowed.is_some_and(|lost| lost.by == Direction::ServerToClient && lost.times >= TORN_TIMES);
        if let Some(broken) = told.broken.as_mut().filter(|_| swallowed) {
            broken.torn = broken.by == Direction::ClientToServer && broken.after == HandshakeStep::ServerHello;
        }
        told.via.push(Wrapper::Tls(std::mem::take(&mut self.tls)));
        if self.glimpsed_from.is_some() {
            told.via.splice(0..0, std::mem::take(&mut self.around));
        }
        told.sealed = Some(Box::new(facts));
        flow.shared.sealed_open = flow.shared.sealed_open.saturating_sub(1);
        let broken = told.broken.is_some();
        let facts = facts_of(flow, self.client, self.begin.first, told);
        if broken {
            flow.sink.lone(facts);
        } else {
            flow.sink.sealed(facts);
        }
        Step::Opaque
    }

    fn half_mut(&mut self, dir: Direction) -> &mut Half {
        let [client, server] = &mut self.halves;
        if dir == Direction::ClientToServer { client } else { server }
    }
}

impl Half {
    /// Bytes of the record under way went by beside this machine: what is left of it stands there.
    fn passed(&mut self, place: &Lane) {
        if self.passes() && place.skip != 0 {
            self.bytes = self.bytes.saturating_add(self.skip.saturating_sub(place.skip));
            self.skip = place.skip;
        }
    }

    fn passes(&self) -> bool {
        self.skip > 0 && !self.lost && !self.closed
    }

    /// Keeps what an alert in clear says, from this part of a record's body.
    fn hear(&mut self, body: &[u8]) {
        let clear = |header: Header| header.kind == record::ALERT && usize::from(header.length) == ALERT_BYTES;
        let (says, len) = &mut self.says;
        if self.passing.is_some_and(clear) {
            for (to, &from) in says.iter_mut().skip(*len).zip(body) {
                *to = from;
                *len += 1;
            }
        }
    }

    /// What an alert in clear said, once it came whole.
    fn alert(&mut self) -> Option<[u8; ALERT_BYTES]> {
        let (says, len) = self.says;
        if len < ALERT_BYTES {
            return None;
        }
        self.says.1 = 0;
        Some(says)
    }

    /// Its first records are.
    fn is_known(&self) -> bool {
        self.records.len() >= limits::TLS_FIRST_RECORDS
    }

    /// Where they are, nothing more of it has to be looked at, until there was so much that the other side's do not
    /// matter either.
    fn pass_on(&mut self) {
        if self.is_known() {
            self.skip = limits::SEALED_LOOKED_AT_BYTES.saturating_sub(self.bytes) + 1;
        }
    }

    /// Takes note of the records in these bytes, of the first ones.
    fn data(&mut self, ts: Timestamp, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.lost && self.records.len() < limits::TLS_FIRST_RECORDS {
            let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            let (body, rest) = bytes.split_at(n);
            self.hear(body);
            (self.skip, bytes) = (self.skip - n as u64, rest);
            if self.skip > 0 {
                return;
            }
            if let Some(header) = self.passing.take() {
                self.records.push(SealedRecord { ts, bytes: header.length, kind: header.kind });
                continue;
            }
            let n = bytes.len().min(HEADER_BYTES - self.begun.len().min(HEADER_BYTES));
            let (front, rest) = bytes.split_at(n);
            self.begun.extend_from_slice(front);
            bytes = rest;
            match record::header(&self.begun) {
                record::Read::More => return,
                record::Read::Wrong => self.lost = true,
                record::Read::Header(header) => {
                    self.begun.clear();
                    (self.skip, self.passing) = (u64::from(header.length), Some(header));
                    if header.length == 0 {
                        self.passing = None;
                        self.records.push(SealedRecord { ts, bytes: 0, kind: header.kind });
                    }
                }
            }
        }
    }
}

/// What is to be noted of a segment that may end with an alert. `None`: whether it is as long as one is here, the machine
/// tells.
#[inline]
fn bits(word: u64, alert: Option<bool>) -> Option<u64> {
    match alert {
        _ if word >> ALERT == 0 => Some(UNKNOWN),
        None => Some(UNKNOWN),
        Some(false) => Some(0),
        Some(true) => None,
    }
}

fn note(place: &mut Lane, ts: Timestamp, at: PacketRef, bytes: u64, bits: u64) {
    place.last = ts;
    place.set_second(at.to_bits());
    let kept = place.word() & (BESIDE | KNOWN | u64::MAX << ALERT);
    place.set_word(bytes.min(u64::from(u32::MAX)) | bits | kept);
}

/// Whether the last record is headed so. Reads a few bytes at its end alone.
#[inline]
fn ends_with(payload: &[u8], header: [u8; HEADER_BYTES]) -> bool {
    let from = payload.len().checked_sub(HEADER_BYTES + usize::from(header[4]));
    from.and_then(|from| payload.get(from..)).is_some_and(|tail| tail.starts_with(&header))
}

/// Whether the last record is an alert, as this side's word says how one is headed. `false` where it does not.
#[inline]
pub(super) fn ends_with_alert(payload: &[u8], word: u64) -> bool {
    let alert = word >> ALERT;
    alert != 0 && ends_with(payload, [(alert >> 8) as u8, 3, 3, 0, (alert & 0xff) as u8])
}

/// `None`: nothing was sent.
fn last(place: &Lane) -> Option<SealedSegment> {
    let (word, at) = (place.word(), place.second());
    (at != 0).then(|| SealedSegment {
        ts: place.last,
        at: PacketRef::from_bits(at),
        bytes: u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX),
        close_notify: (word & UNKNOWN == 0).then_some(word & NOTIFIES != 0),
    })
}

/// The header of a record that is an alert (RFC 8446 §5.2, RFC 5246 §6.2.3): the two bytes of an alert with what
/// protects them. `None`: not known for this cipher.
pub(super) fn alert_header(facts: &Facts) -> Option<[u8; HEADER_BYTES]> {
    let cipher = facts.suite.and_then(suite::find)?.cipher;
    let tag = cipher.tag_bytes();
    if facts.version == Some(crate::wire::tls::TLS_1_3) {
        let body = u8::try_from(ALERT_BYTES + 1 + tag).ok()?;
        return (tag > 0).then_some([record::APPLICATION_DATA, 3, 3, 0, body]);
    }
    if facts.version != Some(crate::wire::tls::TLS_1_2) {
        return None;
    }
    const BLOCK: usize = 16;
    let body = match (cipher, cipher.mac()) {
        (Cipher::ChaCha20Poly1305, _) => ALERT_BYTES + tag,
        // The nonce's explicit part stands before it (RFC 5288 §3).
        (_, None) if tag > 0 => 8 + ALERT_BYTES + tag,
        // Padding is at least its length (RFC 7366 §3).
        (_, Some(mac)) if facts.encrypt_then_mac => BLOCK + BLOCK + mac.bytes(),
        (_, Some(mac)) => BLOCK + (ALERT_BYTES + mac.bytes() + 1).next_multiple_of(BLOCK),
        _ => return None,
    };
    Some([record::ALERT, 3, 3, 0, u8::try_from(body).ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u16, suite: u16, encrypt_then_mac: bool) -> Option<[u8; HEADER_BYTES]> {
        alert_header(&Facts { version: Some(version), suite: Some(suite), encrypt_then_mac, ..Facts::default() })
    }

    #[test]
    fn an_alert_is_as_long_as_its_cipher_makes_it() {
        let body = |version, suite, etm| header(version, suite, etm).map(|h| (h[0], h[4]));
        assert_eq!(body(0x0304, 0x1301, false), Some((23, 19)));
        assert_eq!(body(0x0304, 0x1305, false), Some((23, 11)), "CCM with 8 bytes");
        assert_eq!(body(0x0303, 0xc02f, false), Some((21, 26)), "GCM");
        assert_eq!(body(0x0303, 0xcca8, false), Some((21, 18)), "ChaCha20");
        assert_eq!(body(0x0303, 0xc013, false), Some((21, 48)), "CBC, SHA-1");
        assert_eq!(body(0x0303, 0xc013, true), Some((21, 52)), "CBC, encrypted first");
        assert_eq!(body(0x0302, 0xc013, false), None);
        assert_eq!(body(0x0303, 0x0005, false), None, "RC4");
    }

    #[test]
    fn whatever_an_alert_may_be_is_looked_for_at_the_end_of_segments() {
        let mut found = std::collections::BTreeSet::new();
        for suite in 0..=u16::MAX {
            for (version, etm) in [(0x0304, false), (0x0303, false), (0x0303, true)] {
                let Some(header) = header(version, suite, etm) else { continue };
                let mut bytes = vec![0; 7];
                bytes.extend(header);
                bytes.resize(bytes.len() + usize::from(header[4]), 0);
                assert_eq!(record::alert_at_end(&bytes), header[4], "suite {suite:04x}, version {version:04x}");
                found.insert(header[4]);
                bytes.push(0);
                assert_eq!(record::alert_at_end(&bytes), 0);
            }
        }
        assert_eq!(found, record::ALERT_BODIES.into(), "and nothing else");
    }

    #[test]
    fn of_a_segment_that_more_was_to_follow_nobody_knows_whether_it_ends_with_an_alert() {
        let from = (Timestamp(5), PacketRef::new(0, 9));
        let mut place = Lane::default();
        assert!(!glimpse_beside(&mut place, from, (1_448, 0), Some(false)), "glimpses did not begin");
        place.set_word(BESIDE | (23 << 8 | 19) << ALERT);
        let mut told = |alert, cut| {
            assert!(glimpse_beside(&mut place, from, (1_448, cut), alert));
            last(&place).map(|last| (last.bytes, last.close_notify))
        };
        assert_eq!(told(Some(false), 0), Some((1_448, Some(false))));
        assert_eq!(told(None, 0), Some((1_448, None)));
        assert_eq!(told(None, 52), Some((1_500, None)), "cut");
        assert!(!glimpse_beside(&mut place, from, (1_448, 0), Some(true)), "the machine is to see an alert");
        place.set_word(BESIDE);
        assert!(glimpse_beside(&mut place, from, (9, 0), Some(true)), "of a suite that nobody knows");
        assert_eq!(last(&place).map(|last| last.close_notify), Some(None));
    }

    #[test]
    fn records_are_noted_whatever_pieces_they_come_in() {
        let mut bytes = Vec::new();
        for n in 0..20_u8 {
            bytes.extend_from_slice(&[23, 3, 3, 0, n]);
            bytes.extend(std::iter::repeat_n(n, n.into()));
        }
        for size in [1, 2, 3, 7, 1_000] {
            let mut half = Half::default();
            bytes.chunks(size).for_each(|piece| half.data(Timestamp(5), piece));
            let seen: Vec<u16> = half.records.iter().map(|r| r.bytes).collect();
            assert_eq!(seen, (0..16).collect::<Vec<_>>(), "in pieces of {size}");
        }
        let mut half = Half::default();
        half.data(Timestamp(5), &[23, 3, 3, 0, 1, 9, 99, 99]);
        assert!(half.lost && half.records.len() == 1, "what is no record ends it");
    }

    #[test]
    fn behind_its_first_records_a_side_is_passed_over_until_the_other_sides_do_not_matter() {
        let first = || SealedRecord { ts: Timestamp(5), bytes: 1, kind: 23 };
        let mut half = Half { bytes: 1_000, records: vec![first(); limits::TLS_FIRST_RECORDS], ..Half::default() };
        half.pass_on();
        assert!(half.passes() && half.skip == limits::SEALED_LOOKED_AT_BYTES - 1_000 + 1);
        let mut short = Half { bytes: 1_000, records: vec![first()], ..Half::default() };
        short.pass_on();
        assert!(!short.passes());
    }
}
