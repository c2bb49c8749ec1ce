//! What was sent, as rows of hex and text: titles where messages begin, holes, and hidden what may be secret. Only
//! [`Row`]s are made here; a row becomes text when it is drawn.

mod http2;
mod known;

use std::ops::Range;

use crate::base::{PacketRef, limits};
use crate::engine::stretch::{Part, Piece, Stretch, Way};
use crate::model::{Direction, Exchange, Head, Preview};
use crate::stream::{CloseHow, GapWhy};

use known::{Known, is_as_sent};

use super::paint::{Line, fill};
use super::shared::{Mark, Shared, grouped};
use super::theme::Tone;

pub use known::{frame_bytes, marked};

/// Bytes of a row, where there is room for all.
pub const ROW: usize = 16;
/// Where a row's second half begins.
const HALF: usize = 8;

/// Bytes of a row on a screen of so many columns.
pub fn row_of(columns: u16) -> usize {
    match columns {
        78.. => ROW,
        47.. => HALF,
        _ => 4,
    }
}

/// So many bytes that are hidden are no row of their own any more, but a word.
const HIDDEN: u64 = 32;

/// One row, and the position of its first byte in what is looked at.
pub struct Row {
    pub position: u64,
    pub what: What,
}

pub enum What {
    Title(Direction, String),
    Data(Data),
    Note(String),
}

pub struct Data {
    pub from: Direction,
    /// Of the first byte, in what this direction sent.
    offset: u64,
    bytes: [u8; ROW],
    len: usize,
    /// Bits from the lowest on: bytes that are hidden, that are pointed at, that prove a finding.
    hidden: u16,
    lit: u16,
    marked: u16,
    mark: Option<Mark>,
}

/// Bytes that are pointed at.
pub type Lit = Option<(Direction, Range<u64>)>;

/// All rows of it, each of so many bytes.
pub fn rows(s: &Shared, x: &Exchange, (stretch, way): (&Stretch, Way), of: usize, lit: &Lit) -> Vec<Row> {
    let known = [Direction::ClientToServer, Direction::ServerToClient].map(|way| Known::of(s, x, stretch, way));
    let mut dump = Dump { known, way, of: of.clamp(1, ROW), lit, rows: Vec::new() };
    dump.all(stretch);
    dump.rows
}

/// What the analysis keeps of it: heads, the beginning of bodies, the first bytes behind the 101.
pub fn kept(x: &Exchange, way: Way) -> Stretch {
    let mut out = Stretch::default();
    let mut add = |from: Direction, offset: u64, at: PacketRef, bytes: &[u8]| {
        if way == Way::Both || way == Way::One(from) {
            let start = out.bytes.len();
            out.bytes.extend_from_slice(bytes);
            out.pieces.push(Piece { from, offset, at, ts: x.request.first, what: Part::Bytes(start..out.bytes.len()) });
        }
    };
    let (up, down) = (Direction::ClientToServer, Direction::ServerToClient);
    let mut head = |from: Direction, head: &Head| {
        if is_as_sent(head) {
            add(from, head.range.start, head.at, &head.text);
        }
    };
    head(up, &x.request);
    x.interim.iter().for_each(|interim| head(down, interim));
    x.response.iter().for_each(|response| head(down, response));
    if let Some(response) = x.response.as_ref().filter(|_| !x.body.is_empty()) {
        add(down, response.range.end, response.at_last, &x.body);
    }
    let mut preview = |from: Direction, p: &Option<Box<Preview>>| {
        if let Some(p) = p {
            add(from, p.offset, p.at, &p.bytes);
        }
    };
    preview(up, &x.early);
    preview(down, &x.before_response);
    preview(down, &x.odd_response);
    let [first_up, first_down] = &x.after_101;
    preview(up, first_up);
    preview(down, first_down);
    // In the order of each stream; both of them, the request first.
    out.pieces.sort_by_key(|piece| (piece.from == down, piece.offset));
    out
}

/// One row as text.
pub fn line(row: &Row, of: usize) -> Line {
    match &row.what {
        What::Title(from, title) => {
            let arrow = if *from == Direction::ClientToServer { "→" } else { "←" };
            Line::of(Tone::Strong, format!(" {arrow} {title}"))
        }
        What::Note(note) => Line::of(Tone::Info, format!("   {note}")),
        What::Data(data) => data.line(of),
    }
}

impl Data {
    /// Whether a finding is about a byte of it.
    pub fn is_marked(&self) -> bool {
        self.marked != 0
    }

    fn line(&self, of: usize) -> Line {
        let (glyph, marked) = self.mark.map_or((" ", Tone::Plain), Mark::glyph);
        let mut line = Line::of(marked, glyph).add(Tone::Dim, format!(" {:08x}", self.offset));
        let tone = |n: usize| match 1_u16 << n {
            bit if self.marked & bit != 0 => marked,
            bit if self.lit & bit != 0 => Tone::Accent,
            bit if self.hidden & bit != 0 => Tone::Dim,
            _ => Tone::Plain,
        };
        let mut used = 0;
        for (n, byte) in self.bytes.iter().take(self.len).enumerate() {
            let blank = if n == HALF { "  " } else { " " };
            let hex = if self.hides(n) { format!("{blank}**") } else { format!("{blank}{byte:02x}") };
            used += hex.len();
            put(&mut line, tone(n), &hex);
        }
        let columns = of * 3 + usize::from(of > HALF);
        put(&mut line, Tone::Plain, &fill("", columns.saturating_sub(used) + 2));
        for (n, byte) in self.bytes.iter().take(self.len).enumerate() {
            let c = match byte {
                _ if self.hides(n) => '*',
                b' '..=b'~' => char::from(*byte),
                _ => '·',
            };
            put(&mut line, tone(n), c.encode_utf8(&mut [0; 4]));
        }
        line
    }

    fn hides(&self, n: usize) -> bool {
        self.hidden & 1 << n != 0
    }
}

/// Adds to the last piece of a line where that has the same tone.
fn put(line: &mut Line, tone: Tone, text: &str) {
    match line.0.last_mut() {
        Some((last, words)) if *last == tone => words.push_str(text),
        _ => line.push(tone, text),
    }
}

/// On its way into rows.
struct Dump<'a> {
    /// Of the client, of the server.
    known: [Known; 2],
    way: Way,
    of: usize,
    lit: &'a Lit,
    rows: Vec<Row>,
}

impl Dump<'_> {
    fn all(&mut self, stretch: &Stretch) {
        if stretch.begins > 0 {
            let words = format!("··· {} B before these: ↑ reads them ···", grouped(stretch.begins));
            self.push(stretch.begins, What::Note(words));
        }
        let (mut position, mut next, mut speaker) = (stretch.begins, [None; 2], None);
        let mut pieces = stretch.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            if let Way::One(_) = self.way {
                position = piece.offset;
            }
            let expected: &mut Option<u64> = &mut next[usize::from(piece.from == Direction::ServerToClient)];
            match &piece.what {
                Part::Bytes(range) => {
                    let mut range = range.clone();
                    while let Some(more) = pieces.next_if(|next| follows(piece, &range, next)) {
                        range.end += usize::try_from(more.len()).unwrap_or(0);
                    }
                    let missing = expected.map_or(0, |expected| piece.offset.saturating_sub(expected));
                    if missing > 0 {
                        self.push(position, What::Note(format!("··· {} B that are not kept ···", grouped(missing))));
                    }
                    let bytes = stretch.of(&Part::Bytes(range));
                    let is_new = speaker.replace(piece.from) != Some(piece.from);
                    self.bytes(piece, bytes, position, is_new);
                    *expected = Some(piece.offset.saturating_add(bytes.len() as u64));
                    position = position.saturating_add(bytes.len() as u64);
                    continue;
                }
                Part::Hole(len, why) => {
                    self.push(position, What::Note(hole(*len, *why)));
                    *expected = len.map(|len| piece.offset.saturating_add(len));
                    position = position.saturating_add(len.unwrap_or(0));
                }
                Part::Over(how) => {
                    let word = if *how == CloseHow::Rst { "RST" } else { "FIN" };
                    let words = format!("{word} of the {}, packet {}", piece.from.sender(), piece.at.number());
                    self.push(position, What::Title(piece.from, words));
                }
            }
        }
        if stretch.more {
            let words = format!("··· more than these {}: ↓ reads on ···", size(limits::STRETCH_BYTES));
            self.push(position, What::Note(words));
        }
    }

    /// Bytes of one direction that follow each other.
    fn bytes(&mut self, piece: &Piece, bytes: &[u8], position: u64, is_new: bool) {
        let (from, begins) = (piece.from, piece.offset);
        let ends = begins.saturating_add(bytes.len() as u64);
        let titles = &self.known[usize::from(from == Direction::ServerToClient)].titles;
        let first = titles.partition_point(|(at, _)| *at < begins);
        let titles: Vec<(u64, String)> = titles.iter().skip(first).take_while(|(at, _)| *at < ends).cloned().collect();
        if is_new && titles.first().is_none_or(|(at, _)| *at > begins) {
            let words = format!("{}, packet {}", from.sender(), piece.at.number());
            self.push(position, What::Title(from, words));
        }
        let mut at = begins;
        let cuts = titles.into_iter().map(|(at, words)| (at, Some(words))).chain([(ends, None)]);
        for (cut, words) in cuts {
            self.segment(from, at..cut, slice(bytes, begins, &(at..cut)), position.saturating_add(at - begins));
            if let Some(words) = words {
                self.push(position.saturating_add(cut - begins), What::Title(from, words));
            }
            at = cut;
        }
    }

    /// The same, without a title in between.
    fn segment(&mut self, from: Direction, range: Range<u64>, bytes: &[u8], position: u64) {
        let side = usize::from(from == Direction::ServerToClient);
        let place = |at: u64| position.saturating_add(at - range.start);
        let mut at = range.start;
        let mut begun = at;
        while at < range.end {
            let (shown, len) = self.known[side].run(at);
            let end = range.end.min(at.saturating_add(len));
            if !shown && end - at >= HIDDEN {
                self.data(from, slice(bytes, range.start, &(begun..at)), begun, place(begun));
                let words = format!("{} B that may hold secrets are not shown: S shows them", grouped(end - at));
                self.push(place(at), What::Note(words));
                begun = end;
            }
            at = end;
        }
        self.data(from, slice(bytes, range.start, &(begun..at)), begun, place(begun));
    }

    fn data(&mut self, from: Direction, bytes: &[u8], offset: u64, position: u64) {
        let known = &self.known[usize::from(from == Direction::ServerToClient)];
        let lit = self.lit.as_ref().filter(|(way, _)| *way == from).map(|(_, range)| range.clone());
        for (n, some) in bytes.chunks(self.of).enumerate() {
            let before = (n * self.of) as u64;
            let begins = offset.saturating_add(before);
            let here = begins..begins.saturating_add(some.len() as u64);
            let bits = |range: &Range<u64>| bits(&here, range);
            let mut hidden = 0;
            let mut at = here.start;
            while at < here.end {
                let (shown, len) = known.run(at);
                let end = here.end.min(at.saturating_add(len));
                hidden |= if shown { 0 } else { bits(&(at..end)) };
                at = end;
            }
            let mut about = known.marked.iter().filter(|(range, _)| bits(range) != 0);
            let (range, mark) = about.next().map_or((0..0, None), |(range, mark)| (range.clone(), Some(*mark)));
            let mut row = Data {
                from,
                offset: here.start,
                bytes: [0; ROW],
                len: some.len(),
                hidden,
                lit: lit.as_ref().map_or(0, bits),
                marked: bits(&range),
                mark,
            };
            row.bytes.iter_mut().zip(some).for_each(|(to, byte)| *to = *byte);
            self.rows.push(Row { position: position.saturating_add(before), what: What::Data(row) });
        }
    }

    fn push(&mut self, position: u64, what: What) {
        self.rows.push(Row { position, what });
    }
}

/// Whether the next piece goes on where these bytes of the same direction end.
fn follows(piece: &Piece, range: &Range<usize>, next: &Piece) -> bool {
    let Part::Bytes(bytes) = &next.what else { return false };
    let ends = piece.offset.saturating_add(range.len() as u64);
    next.from == piece.from && bytes.start == range.end && next.offset == ends
}

/// The bytes of this range, where the first one stands at `begins`.
fn slice<'b>(bytes: &'b [u8], begins: u64, range: &Range<u64>) -> &'b [u8] {
    let at = |place: u64| usize::try_from(place.saturating_sub(begins)).unwrap_or(usize::MAX);
    bytes.get(at(range.start)..at(range.end)).unwrap_or_default()
}

/// The bytes of a row that lie in a range, as bits.
fn bits(row: &Range<u64>, range: &Range<u64>) -> u16 {
    let at = |place: u64| place.clamp(row.start, row.end) - row.start;
    let (from, to) = (at(range.start), at(range.end));
    let below = |n: u64| if n >= 16 { u16::MAX } else { (1 << n) - 1 };
    below(to) & !below(from)
}

fn hole(len: Option<u64>, why: GapWhy) -> String {
    let many = len.map_or_else(|| "an unknown number of bytes".to_owned(), |len| format!("{} B", grouped(len)));
    match why {
        GapWhy::Lost => format!("··· {many} lost ···"),
        GapWhy::Cut => format!("··· {many} cut off by the snap length ···"),
        GapWhy::Undelivered { .. } => format!("··· {many} never arrived ···"),
        GapWhy::Evicted => format!("··· {many} given up: a limit was reached ···"),
    }
}

fn size(bytes: usize) -> String {
    format!("{} KiB", bytes >> 10)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;
    use crate::tui::Theme;

    #[test]
    fn rows_of_one_side_stand_at_their_offsets_also_where_something_is_not_kept() {
        let mut s = Shared::new(Theme::default(), true, true);
        s.take(crate::tui::Ready::new(testing::sample()));
        let mut x = s.a.rows.first().unwrap().exchange.as_ref().clone();
        let (at, bytes) = (x.request.at, b"abc".as_slice().into());
        x.early = Some(Box::new(Preview { bytes, at, ts: x.request.first, offset: 5_000 }));
        let way = Way::One(Direction::ClientToServer);
        let rows = rows(&s, &x, (&kept(&x, way), way), ROW, &None);
        let [.., note, title, data] = rows.as_slice() else { panic!("{} rows", rows.len()) };
        assert!(matches!(&note.what, What::Note(words) if words.ends_with("B that are not kept ···")));
        assert!(matches!(&title.what, What::Title(_, words) if words.starts_with("sent before the answer")));
        assert_eq!(
            (data.position, line(data, ROW).text().trim()),
            (5_000, "00001388 61 62 63                                          abc")
        );
    }

    #[test]
    fn bits_are_the_bytes_of_a_row_that_lie_in_a_range() {
        let of = |range| bits(&(32..48), &range);
        assert_eq!([of(0..32), of(32..33), of(40..99), of(0..99), of(48..50)], [0, 1, 0xff00, 0xffff, 0]);
        assert_eq!(bits(&(0..3), &(1..9)), 0b110);
    }
}
