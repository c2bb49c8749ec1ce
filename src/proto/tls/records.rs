//! What a record is: in clear, to wait, or to be opened. Where records are missing, the place in the sequence
//! is searched for, and the tag decides.

use super::half::{Half, Open, Phase, Stage};
use super::open::{Content, Opener};
use super::session::{Session, index};
use super::{Alert, Blind, Data, Event, Failed, FailedWhy, Lost, Place, Said, Tools};
use crate::base::limits;
use crate::model::Direction;
use crate::wire::tls::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Header};
use crate::wire::tls::{alert, handshake};

/// Finished of TLS 1.2 with its header (RFC 5246 §7.4.9).
const FINISHED_BYTES: u64 = 16;

/// A record under work.
#[derive(Clone, Copy)]
struct Sealed<'a> {
    header: Header,
    body: &'a [u8],
}

impl Session {
    /// A whole record. `scanning`: it is not known whether it is one; `false` says that it is none.
    pub(super) fn record(
        &mut self,
        tools: &mut Tools,
        place: Place,
        header: Header,
        body: &[u8],
        plain: &mut Vec<u8>,
        scanning: bool,
    ) -> bool {
        if !self.read(tools, &place, header, body, plain, scanning) {
            return false;
        }
        tools.counted.records += 1;
        let half = self.half_mut(place.dir);
        half.speaks_tls = true;
        half.seen.record(place.ts, header.kind, header.length);
        true
    }

    /// As [`Session::record`], of a record that was counted.
    pub(super) fn read(
        &mut self,
        tools: &mut Tools,
        place: &Place,
        header: Header,
        body: &[u8],
        plain: &mut Vec<u8>,
        scanning: bool,
    ) -> bool {
        let sealed = Sealed { header, body };
        match &self.half(place.dir).phase {
            Phase::Clear => self.clear(tools, place, sealed, plain, scanning),
            Phase::Wait(_) => {
                self.hold(tools, place, sealed);
                true
            }
            Phase::Open(_) => self.sealed(tools, place, sealed, plain, scanning),
            Phase::Blind => true,
        }
    }

    /// Whether a record of this direction that waits may be read now.
    pub(super) fn may_go(&self, dir: Direction) -> bool {
        match self.half(dir).phase {
            Phase::Clear => self.facts.version.is_some(),
            Phase::Wait(_) => false,
            Phase::Open(_) | Phase::Blind => true,
        }
    }

    /// Keeps a record until it can be read; what there is no room for is lost.
    fn hold(&mut self, tools: &mut Tools, place: &Place, sealed: Sealed<'_>) {
        let dir = place.dir;
        if self.half(dir).passed == 0 && self.waiting.hold(&tools.held, place.clone(), sealed.header, sealed.body) {
            return;
        }
        let (records, bytes) = self.waiting.drop_all(dir);
        tools.counted.not_held += records + 1;
        let half = self.half_mut(dir);
        half.passed += records + 1;
        half.lost = half.lost.saturating_add(bytes + sealed.header.whole() as u64);
    }

    fn clear(
        &mut self,
        tools: &mut Tools,
        place: &Place,
        sealed: Sealed<'_>,
        plain: &mut Vec<u8>,
        scanning: bool,
    ) -> bool {
        let (dir, kind) = (place.dir, sealed.header.kind);
        if plain.len() < limits::TLS_RECORD_BYTES {
            plain.resize(limits::TLS_RECORD_BYTES, 0);
        }
        if self.half(dir).slack > 0 && self.change_was_lost(tools, place, sealed, plain) {
            return self.sealed(tools, place, sealed, plain, scanning);
        }
        if scanning && !looks_clear(sealed) && !(kind == APPLICATION_DATA && sealed.header.version == 0x0303) {
            return false;
        }
        if kind == APPLICATION_DATA {
            return self.data_in_clear(tools, place, sealed);
        }
        if self.half(dir).changed && !surely_clear(sealed) {
            // Encrypted if it is TLS 1.2: the ServerHello tells.
            self.hold(tools, place, sealed);
            return true;
        }
        let (version, retried) = (self.facts.version, self.facts.hello_retry);
        let half = self.half_mut(dir);
        (half.slack, half.lost) = (0, 0);
        match kind {
            // Behind a HelloRetryRequest it says nothing (RFC 8446 §D.4).
            CHANGE_CIPHER_SPEC if version.is_none() => half.changed = !retried,
            CHANGE_CIPHER_SPEC => self.change_cipher(tools, dir),
            ALERT => match alert::read(sealed.body) {
                Some((level, description)) => self.alert(place, level, description),
                None => self.fail(tools, place, FailedWhy::Unexpected),
            },
            HANDSHAKE => self.messages(tools, dir, sealed.body),
            _ => {}
        }
        true
    }

    /// Encrypted data where the keys are not known yet.
    fn data_in_clear(&mut self, tools: &mut Tools, place: &Place, sealed: Sealed<'_>) -> bool {
        let dir = place.dir;
        match self.facts.version {
            None if self.facts.client_random.is_none() => self.go_blind(Blind::NoHello),
            // Early data, or the ServerHello comes later.
            None => self.hold(tools, place, sealed),
            // The change of keys was lost.
            Some(_) if self.half(dir).slack > 0 && self.wants_secrets() => {
                self.half_mut(dir).phase = Phase::Wait(Stage::Master);
                self.hold(tools, place, sealed);
            }
            Some(_) => self.fail(tools, place, FailedWhy::Unexpected),
        }
        true
    }

    /// Whether the record fits the keys that a ChangeCipherSpec would have brought into force: it was lost then.
    fn change_was_lost(&mut self, tools: &mut Tools, place: &Place, sealed: Sealed<'_>, plain: &mut [u8]) -> bool {
        let dir = place.dir;
        let slack = self.half(dir).slack;
        let Some(opener) = self.next_keys.get_mut(index(dir)).and_then(Option::take) else { return false };
        let found = try_all(&mut self.tried, tools, &opener, 0..=slack, sealed, plain);
        match found {
            Some((seq, _)) => {
                let half = self.half_mut(dir);
                half.phase =
                    Phase::Open(Box::new(Open { stage: Stage::Master, opener, seq, secret: None, forgiving: false }));
                half.messages.restart();
                // Finished, and what is in clear before it, is not content; of the rest it is not known how much.
                self.lost_before(tools, place, seq <= 1, None);
                true
            }
            None => {
                if let Some(place) = self.next_keys.get_mut(index(dir)) {
                    *place = Some(opener);
                }
                false
            }
        }
    }

    /// A record of a direction with keys.
    fn sealed(
        &mut self,
        tools: &mut Tools,
        place: &Place,
        sealed: Sealed<'_>,
        plain: &mut Vec<u8>,
        scanning: bool,
    ) -> bool {
        let [client, server] = &mut self.halves;
        let half = if place.dir == Direction::ClientToServer { client } else { server };
        let Phase::Open(open) = &mut half.phase else { return false };
        if open.stage != Stage::Master && sealed.header.kind != APPLICATION_DATA {
            return self.clear_among_sealed(tools, place, sealed, scanning);
        }
        if plain.len() < limits::TLS_RECORD_BYTES {
            plain.resize(limits::TLS_RECORD_BYTES, 0);
        }
        if let Some(content) = open.opener.open(open.seq, &sealed.header, sealed.body, plain) {
            let lost = half.lost;
            open.seq += 1;
            (open.forgiving, half.slack, half.lost) = (false, 0, 0);
            if lost > 0 {
                // Nothing is missing in the sequence: what could not be read did not belong here.
                tools.counted.lost_bytes += lost;
            }
            self.content(tools, place, content, plain);
            return true;
        }
        if let Some(content) = self.search(tools, place, sealed, plain) {
            self.content(tools, place, content, plain);
            return true;
        }
        if scanning {
            return false;
        }
        let half = self.half_mut(place.dir);
        if matches!(&half.phase, Phase::Open(open) if open.forgiving) {
            tools.counted.passed_over += 1;
            return true;
        }
        self.fail(tools, place, FailedWhy::Tag);
        self.half_mut(place.dir).miss_one(sealed.header.whole() as u64);
        true
    }

    /// In TLS 1.3, a ChangeCipherSpec that says nothing (RFC 8446 §5), and alerts of one who has no keys yet.
    fn clear_among_sealed(&mut self, tools: &mut Tools, place: &Place, sealed: Sealed<'_>, scanning: bool) -> bool {
        match (sealed.header.kind, sealed.body) {
            (CHANGE_CIPHER_SPEC, [1]) => true,
            (ALERT, body) if let Some((level, description)) = alert::read(body) => {
                self.alert(place, level, description);
                true
            }
            _ if scanning => false,
            _ => {
                self.fail(tools, place, FailedWhy::Unexpected);
                true
            }
        }
    }

    /// Tries the places in the sequence, and the keys, that may follow where records are missing.
    fn search(&mut self, tools: &mut Tools, place: &Place, sealed: Sealed<'_>, plain: &mut [u8]) -> Option<Content> {
        let dir = place.dir;
        let half = self.half(dir);
        let Phase::Open(open) = &half.phase else { return None };
        let (slack, stage, before, forgiving) = (half.slack, open.stage, open.seq, open.forgiving);
        if slack == 0 && !forgiving {
            return None;
        }
        let mut tried = self.tried;
        let ahead = before.saturating_add(1)..=before.saturating_add(slack);
        let found = try_all(&mut tried, tools, &open.opener, ahead, sealed, plain);
        let mut hit = found.map(|(seq, content)| (None, seq, content));
        if hit.is_none() {
            for next in self.successors(tools, dir, stage) {
                if let Some((seq, content)) = try_all(&mut tried, tools, &next.opener, 0..=slack, sealed, plain) {
                    hit = Some((Some(next), seq, content));
                    break;
                }
                if next.stage == Stage::Master
                    && let Some(place) = self.next_keys.get_mut(index(dir))
                {
                    // Not in force yet.
                    *place = Some(next.opener);
                }
            }
        }
        self.tried = tried;
        let (next, seq, content) = hit?;
        let same = next.is_none();
        let overhead = match &self.half(dir).phase {
            Phase::Open(open) if same => open.opener.overhead(),
            _ => None,
        };
        let half = self.half_mut(dir);
        if let Some(next) = next {
            half.phase = Phase::Open(Box::new(next));
            half.messages.restart();
        }
        if let Phase::Open(open) = &mut half.phase {
            (open.seq, open.forgiving) = (seq + 1, false);
        }
        let missed = seq - if same { before } else { 0 };
        let nothing = match stage {
            // Only the handshake's own records are missing.
            Stage::Handshake => same || seq == 0,
            _ => same && missed == 0,
        };
        // The first record with the keys of TLS 1.2 is Finished.
        let finished = if same && stage == Stage::Master && before == 0 { FINISHED_BYTES } else { 0 };
        let protection = overhead.map(|each| each.saturating_mul(missed) + finished);
        self.lost_before(tools, place, nothing, protection);
        Some(content)
    }

    /// Says what is missing before a record that was found again. `protection`: bytes of what is missing that
    /// are not content.
    fn lost_before(&mut self, tools: &mut Tools, place: &Place, nothing: bool, protection: Option<u64>) {
        let half = self.half_mut(place.dir);
        let bytes = std::mem::take(&mut half.lost);
        half.slack = 0;
        tools.counted.lost_bytes += bytes;
        let length = bytes.saturating_sub(protection.unwrap_or(0));
        if length == 0 || nothing {
            return;
        }
        let offset = half.plain;
        half.plain = half.plain.saturating_add(length);
        // A server's first records of TLS 1.3 are often session tickets (RFC 8446 §4.6.1).
        let tickets = self.facts.is_1_3() && place.dir == Direction::ServerToClient && offset == 0;
        let exact = protection.is_some() && !tickets;
        let lost = Lost { dir: place.dir, ts: place.ts, at: place.at, offset, length, exact };
        self.events.push_back(Event::Lost(lost));
    }

    /// What stood in a record.
    fn content(&mut self, tools: &mut Tools, place: &Place, content: Content, plain: &[u8]) {
        tools.counted.opened += 1;
        tools.counted.opened_bytes += content.length as u64;
        let bytes = plain.get(..content.length).unwrap_or_default();
        let half = self.half_mut(place.dir);
        let early = matches!(&half.phase, Phase::Open(open) if open.stage == Stage::Early);
        match content.kind {
            APPLICATION_DATA if content.length > 0 => {
                let offset = half.plain;
                half.plain += content.length as u64;
                let data = Data { place: place.clone(), offset, length: content.length, early };
                self.events.push_back(Event::Data(data));
            }
            HANDSHAKE => self.messages(tools, place.dir, bytes),
            ALERT => match alert::read(bytes) {
                Some((level, description)) => self.alert(place, level, description),
                None => self.fail(tools, place, FailedWhy::Unexpected),
            },
            CHANGE_CIPHER_SPEC => self.change_cipher(tools, place.dir),
            _ => {}
        }
    }

    fn alert(&mut self, place: &Place, level: u8, description: u8) {
        self.events.push_back(Event::Alert(Alert { place: place.clone(), said: Said::Read { level, description } }));
    }

    fn fail(&mut self, tools: &mut Tools, place: &Place, why: FailedWhy) {
        tools.counted.failed += 1;
        self.events.push_back(Event::Failed(Failed { place: place.clone(), why }));
    }
}

/// Whether a record has the form of one in clear: a hole may be followed by anything.
fn looks_clear(sealed: Sealed<'_>) -> bool {
    match sealed.header.kind {
        CHANGE_CIPHER_SPEC => sealed.body == [1],
        ALERT => alert::read(sealed.body).is_some(),
        HANDSHAKE => handshake::header(sealed.body)
            .is_some_and(|h| matches!(h.kind, 0..=24) && h.length as usize <= limits::TLS_HELLO_BYTES),
        _ => false,
    }
}

/// Whether a record behind a ChangeCipherSpec is in clear all the same: a second hello of TLS 1.3, or an alert.
fn surely_clear(sealed: Sealed<'_>) -> bool {
    let hello = |h: handshake::Header| h.kind == handshake::CLIENT_HELLO && h.length as usize + 4 == sealed.body.len();
    match sealed.header.kind {
        ALERT => alert::read(sealed.body).is_some(),
        HANDSHAKE => handshake::header(sealed.body).is_some_and(hello),
        _ => false,
    }
}

/// Tries a record with each of these sequence numbers, as far as the budget allows.
fn try_all(
    tried: &mut u64,
    tools: &mut Tools,
    opener: &Opener,
    seqs: std::ops::RangeInclusive<u64>,
    sealed: Sealed<'_>,
    plain: &mut [u8],
) -> Option<(u64, Content)> {
    for seq in seqs {
        if *tried >= limits::TLS_TRIED_BYTES {
            return None;
        }
        *tried += sealed.header.whole() as u64;
        tools.counted.tries_exhausted += u64::from(*tried >= limits::TLS_TRIED_BYTES);
        tools.counted.tries += 1;
        if let Some(content) = opener.open(seq, &sealed.header, sealed.body, plain) {
            return Some((seq, content));
        }
    }
    None
}

impl Half {
    /// Keys from here on.
    pub(super) fn open(&mut self, open: Open) {
        self.phase = Phase::Open(Box::new(open));
        self.messages.restart();
    }
}
