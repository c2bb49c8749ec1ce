//! The bytes of one exchange's stream, read again to be looked at: the same pipeline once more, of which one stream is
//! listened to. What is kept is a stretch of it, bounded by `limits::STRETCH_BYTES`, with its holes.
//!
//! The stream is the innermost one: what was sent inside TLS or a tunnel. It is known again by the exchange's request,
//! and its offsets are those of the exchange.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Engine, read};
use crate::base::{ExchangeId, PacketRef, Timestamp, limits};
use crate::capture::{self, Merged, Progress};
use crate::model::{Direction, Exchange, FlowFacts};
use crate::proto::tls::Secrets;
use crate::proto::{Sink, UNKNOWN};
use crate::stream::{Chunk, CloseHow, Context, GapWhy, Side, What};

/// Which way was sent what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    One(Direction),
    /// Both, in the order in which they came. Positions count the bytes of both.
    Both,
}

/// Where a stretch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the byte at this position.
    Position(u64),
    /// As far before the end as there is room for.
    End,
}

/// What is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub exchange: ExchangeId,
    pub way: Way,
    pub from: From,
}

/// Bytes that follow each other, or a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub from: Direction,
    /// Of its first byte, in what this direction sent.
    pub offset: u64,
    /// The packet that brought the first of them.
    pub at: PacketRef,
    pub ts: Timestamp,
    pub what: Part,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Where they stand in [`Stretch::bytes`].
    Bytes(Range<usize>),
    /// So many bytes are not there. `None`: nobody knows how many.
    Hole(Option<u64>, GapWhy),
    /// This direction is over: with a FIN, or both with a reset.
    Over(CloseHow),
}

/// Some of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    pub bytes: Vec<u8>,
    pub pieces: Vec<Piece>,
    /// The position of its first byte.
    pub begins: u64,
    /// The position behind its last.
    pub ends: u64,
    /// There is more behind it.
    pub more: bool,
}

impl Stretch {
    pub fn of(&self, part: &Part) -> &[u8] {
        match part {
            Part::Bytes(range) => self.bytes.get(range.clone()).unwrap_or_default(),
            Part::Hole(..) | Part::Over(_) => &[],
        }
    }
}

/// Why a stream could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] capture::Error),
    #[error("the inputs changed since they were read")]
    Changed,
}

/// Reads all inputs again, opened with the same window, as far as is needed. `secrets`: what the first reading read
/// TLS with. `progress` as for [`super::read`]; `None`: it said so.
pub fn stretch(
    inputs: &mut Merged,
    secrets: Secrets,
    x: &Exchange,
    (way, from): (Way, From),
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Option<Stretch>, Error> {
    let enough = Arc::new(AtomicBool::new(false));
    let mut engine = Engine::new(Tap::new(x, way, from, Arc::clone(&enough)));
    engine.secrets(secrets);
    let whole = read(inputs, &mut engine, &mut |at| !enough.load(Ordering::Relaxed) && progress(at))?;
    if !whole && !enough.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let (tap, _) = engine.finish();
    tap.into_stretch().map(Some).ok_or(Error::Changed)
}

/// Listens to one connection.
struct Tap<'x> {
    x: &'x Exchange,
    way: Way,
    from: From,
    /// Those that may be the one that is looked for; only that, when it is known.
    streams: Vec<Stream>,
    /// Which one it is, and bytes of its client and server before those that count.
    found: Option<(Option<u64>, [u64; 2])>,
    /// Whose chunk was told last.
    last: Option<u64>,
    /// Which side of the connection is the client.
    client: Side,
    /// Nothing more is wanted.
    enough: Arc<AtomicBool>,
}

/// What is kept of a stream.
struct Stream {
    /// `None`: the connection's own.
    inside: Option<u64>,
    kept: Stretch,
    /// Bytes that went by, of both sides.
    passed: u64,
    /// Sides that are over.
    over: [bool; 2],
}

impl<'x> Tap<'x> {
    fn new(x: &'x Exchange, way: Way, from: From, enough: Arc<AtomicBool>) -> Self {
        Tap { x, way, from, streams: Vec::new(), found: None, last: None, client: Side::Low, enough }
    }

    /// `None`: the exchange did not come again.
    fn into_stretch(self) -> Option<Stretch> {
        let (inside, _) = self.found?;
        let mut kept = self.streams.into_iter().find(|stream| stream.inside == inside)?.kept;
        if self.from == From::End {
            kept.drop_first();
        }
        Some(kept)
    }

    fn direction(&self, side: Side) -> Direction {
        if side == self.client { Direction::ClientToServer } else { Direction::ServerToClient }
    }

    /// What a chunk says. `None`: nothing.
    fn piece(&self, chunk: &Chunk<'_>) -> Option<(Piece, u64)> {
        let (what, len) = match chunk.what {
            What::Data(data) => (Part::Bytes(0..data.len()), data.len() as u64),
            What::Gap { len: UNKNOWN, why } => (Part::Hole(None, why), 0),
            What::Gap { len, why } => (Part::Hole(Some(len), why), len),
            What::Close(how @ (CloseHow::Fin | CloseHow::Rst)) => (Part::Over(how), 0),
            What::Close(CloseHow::Replaced | CloseHow::CaptureEnd) => return None,
        };
        let (from, base) = (self.direction(chunk.side), self.found.map_or([0; 2], |found| found.1));
        let offset = chunk.offset.saturating_sub(base[usize::from(from == Direction::ServerToClient)]);
        Some((Piece { from, offset, at: chunk.at, ts: chunk.ts, what }, len))
    }
}

impl Stream {
    /// Keeps it, where it is wanted. `true`: there is enough.
    fn add(&mut self, way: Way, from: From, (mut piece, len): (Piece, u64), data: &[u8]) -> bool {
        let begins = if way == Way::Both { self.passed } else { piece.offset };
        let ends = begins.saturating_add(len);
        self.passed = self.passed.saturating_add(len);
        let wanted = match way {
            Way::Both => true,
            // That the other side is over is no part of what this one sent.
            Way::One(way) => way == piece.from,
        };
        let early = matches!(from, From::Position(from) if ends < from || ends == from && len > 0);
        if !wanted || early {
            return false;
        }
        let kept = &mut self.kept;
        if from != From::End
            && (kept.bytes.len() >= limits::STRETCH_BYTES || kept.pieces.len() >= limits::STRETCH_PIECES)
        {
            kept.more = true;
            return true;
        }
        if kept.pieces.is_empty() {
            kept.begins = begins;
        }
        kept.ends = ends;
        if let Part::Bytes(range) = &mut piece.what {
            *range = kept.bytes.len()..kept.bytes.len() + data.len();
            kept.bytes.extend_from_slice(data);
        }
        kept.pieces.push(piece);
        // Not each time: what is left moves.
        if kept.bytes.len() >= 2 * limits::STRETCH_BYTES || kept.pieces.len() >= 2 * limits::STRETCH_PIECES {
            kept.drop_first();
        }
        false
    }

    /// From here on, bytes count from these.
    fn rebase(&mut self, way: Way, base: [u64; 2]) {
        let base_of = |from: Direction| base[usize::from(from == Direction::ServerToClient)];
        let kept = &mut self.kept;
        // What came before is another protocol's.
        kept.pieces.retain_mut(|piece| {
            let (base, ends) = (base_of(piece.from), piece.offset.saturating_add(piece.len()));
            let before = base.saturating_sub(piece.offset);
            if let Part::Bytes(range) = &mut piece.what {
                range.start = range.end.min(range.start.saturating_add(usize::try_from(before).unwrap_or(usize::MAX)));
            }
            if let Part::Hole(Some(len), _) = &mut piece.what {
                *len = len.saturating_sub(before);
            }
            piece.offset = piece.offset.saturating_sub(base);
            ends > base || !matches!(piece.what, Part::Bytes(_) | Part::Hole(Some(_), _))
        });
        let before = match way {
            Way::Both => base.iter().fold(0_u64, |all, some| all.saturating_add(*some)),
            Way::One(from) => base_of(from),
        };
        kept.begins = kept.begins.saturating_sub(before);
        kept.ends = kept.ends.saturating_sub(before);
        self.passed = self.passed.saturating_sub(before);
    }
}

impl Stretch {
    /// Keeps no more than is allowed of the end.
    fn drop_first(&mut self) {
        let (mut bytes, mut pieces) = (self.bytes.len(), self.pieces.len());
        let mut gone = 0;
        for piece in &self.pieces {
            if bytes <= limits::STRETCH_BYTES && pieces <= limits::STRETCH_PIECES {
                break;
            }
            self.begins = self.begins.saturating_add(piece.len());
            bytes -= self.of(&piece.what).len();
            (pieces, gone) = (pieces - 1, gone + 1);
        }
        self.pieces.drain(..gone);
        let cut = self.bytes.len() - bytes;
        self.bytes.drain(..cut);
        for piece in &mut self.pieces {
            if let Part::Bytes(range) = &mut piece.what {
                *range = range.start.saturating_sub(cut)..range.end.saturating_sub(cut);
            }
        }
    }
}

impl Piece {
    /// Bytes that it stands for.
    pub fn len(&self) -> u64 {
        match &self.what {
            Part::Bytes(range) => range.len() as u64,
            Part::Hole(len, _) => len.unwrap_or(0),
            Part::Over(_) => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Sink for Tap<'_> {
    fn decided(&mut self, _: &Exchange) {}

    fn ended(&mut self, _: Box<Exchange>) {}

    fn lone(&mut self, _: FlowFacts) {}

    fn taps(&self) -> bool {
        true
    }

    fn bytes(&mut self, context: Context<'_>, inside: Option<u64>, chunk: &Chunk<'_>) -> bool {
        if context.id() != self.x.flow || self.enough.load(Ordering::Relaxed) {
            return false;
        }
        self.last = inside;
        self.client = if context.endpoint(Side::Low) == self.x.client { Side::Low } else { Side::High };
        if self.found.is_some_and(|(found, _)| found != inside) {
            // Where it lies inside of another, that one is needed.
            return true;
        }
        let at = self.streams.iter().position(|stream| stream.inside == inside).unwrap_or_else(|| {
            if self.streams.len() < limits::STRETCH_STREAMS {
                self.streams.push(Stream { inside, kept: Stretch::default(), passed: 0, over: [false; 2] });
            }
            self.streams.len() - 1
        });
        let piece = self.piece(chunk);
        let is_found = self.found.is_some();
        let Some(stream) = self.streams.get_mut(at).filter(|stream| stream.inside == inside) else { return true };
        let data = if let What::Data(data) = chunk.what { data } else { &[] };
        let full = piece.is_some_and(|piece| stream.add(self.way, self.from, piece, data));
        if let What::Close(how) = chunk.what {
            stream.over[chunk.side.index()] = true;
            stream.over = if how == CloseHow::Fin { stream.over } else { [true; 2] };
        }
        if is_found && (full || stream.over == [true; 2]) {
            self.enough.store(true, Ordering::Relaxed);
        }
        true
    }

    fn begun(&mut self, x: &Exchange, base: [u64; 2]) {
        let (ours, theirs) = (&self.x.request, &x.request);
        let same =
            x.flow == self.x.flow && ours.range == theirs.range && ours.at == theirs.at && ours.text == theirs.text;
        if !same || self.found.is_some() {
            return;
        }
        let base = [self.client, self.client.other()].map(|side| base[side.index()]);
        self.found = Some((self.last, base));
        self.streams.retain(|stream| stream.inside == self.last);
        if self.streams.is_empty() {
            // There were too many to keep all: it is known from here on.
            let kept = Stretch::default();
            self.streams.push(Stream { inside: self.last, kept, passed: 0, over: [false; 2] });
        }
        self.streams.iter_mut().for_each(|stream| stream.rebase(self.way, base));
    }
}
