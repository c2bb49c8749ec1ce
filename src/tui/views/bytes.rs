//! The bytes of one leg as they were sent, in hex and as text, as far as the analysis keeps them: heads, the beginning
//! of bodies, the first bytes behind the 101. What is between them and not kept is told with its length.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::{ExchangeId, PacketRef};
use crate::model::{Direction, Exchange, Head, Preview};
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, fill, put};
use crate::tui::shared::{Mark, Shared, grouped};
use crate::tui::theme::Tone;
use crate::tui::which::Which;

use super::{Screen, Step, View};

pub static SCREEN: Screen = Screen { name: "bytes", action: Action::Bytes, open };

/// Bytes of a row, where there is room for a second half, and where there is not.
const ROW: usize = 16;
const NARROW: usize = 8;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let chain = s.chain().ok_or_else(|| "there is no chain".to_owned())?;
    let leg = *chain.legs.first().ok_or_else(|| "this connection never carried a request".to_owned())?;
    Ok(Box::new(open_on(s, s.chosen, leg, Direction::ClientToServer)))
}

fn open_on(s: &Shared, index: usize, leg: ExchangeId, way: Direction) -> Bytes {
    let which = Which::at(s, index);
    let mut view = Bytes { which, leg, way, rows: Vec::new(), of: 0, shown: false, list: List::default(), top: 0 };
    view.build(s, ROW);
    view
}

struct Bytes {
    which: Which,
    leg: ExchangeId,
    way: Direction,
    rows: Vec<Row>,
    /// Bytes that a row has, and whether secrets were shown, when the rows were made.
    of: usize,
    shown: bool,
    list: List,
    top: u16,
}

/// One row of the screen.
enum Row {
    Title(String),
    /// The offset in the direction's stream, the bytes, and which of them a finding is about.
    Data(u64, Vec<u8>, Option<Mark>),
    Note(String),
}

/// Bytes that follow each other in a stream.
struct Piece<'a> {
    what: String,
    from: u64,
    bytes: &'a [u8],
    at: PacketRef,
    /// Stands in it as it was sent; a head of HTTP/2 was compressed.
    raw: bool,
}

impl Bytes {
    fn build(&mut self, s: &Shared, of: usize) {
        (self.of, self.shown) = (of, s.text.secrets());
        self.rows.clear();
        let Some(x) = s.leg(self.leg) else { return };
        let marked = marked(s, x, self.way);
        let mut next = None;
        for piece in pieces(x, self.way) {
            if let Some(missing) = next.and_then(|next| piece.from.checked_sub(next)).filter(|n| *n > 0 && piece.raw) {
                self.rows.push(Row::Note(format!("··· {} B that are not kept ···", grouped(missing))));
            }
            self.rows.push(Row::Title(format!("{}, packet {}", piece.what, piece.at.number())));
            if !s.text.secrets() && has_secrets(s, x, &piece) {
                self.rows.push(Row::Note("it may hold cookies, tokens or passwords: S shows it".to_owned()));
                next = Some(piece.from + piece.bytes.len() as u64);
                continue;
            }
            if !piece.raw {
                self.rows.push(Row::Note("a head of HTTP/2: decoded, not as it was sent".to_owned()));
            }
            for (n, some) in piece.bytes.chunks(of.max(1)).enumerate() {
                let from = piece.from + (n * of) as u64;
                let range = from..from + some.len() as u64;
                let hit = marked.iter().filter(|(bytes, _)| bytes.start < range.end && range.start < bytes.end);
                let mark = hit.map(|(_, mark)| *mark).find(|_| piece.raw);
                self.rows.push(Row::Data(from, some.to_vec(), mark));
            }
            next = Some(piece.from + piece.bytes.len() as u64);
        }
        if self.rows.is_empty() {
            self.rows.push(Row::Note("nothing that it sent is kept".to_owned()));
        }
    }

    /// The other direction, then the next leg.
    fn step(&mut self, s: &Shared) {
        if self.way == Direction::ClientToServer {
            self.way = Direction::ServerToClient;
        } else {
            self.way = Direction::ClientToServer;
            let legs = self.which.get(s).map(|chain| chain.legs.as_slice()).unwrap_or_default();
            let here = legs.iter().position(|leg| *leg == self.leg).unwrap_or(0);
            self.leg = legs.get((here + 1) % legs.len().max(1)).copied().unwrap_or(self.leg);
        }
        self.list.cursor = 0;
        self.build(s, self.of);
    }

    fn mark(&mut self, back: bool) -> Step {
        let here = self.list.cursor;
        let is = |at: &usize| matches!(self.rows.get(*at), Some(Row::Data(_, _, Some(_))));
        let found = if back { (0..here).rev().find(is) } else { (here + 1..self.rows.len()).find(is) };
        match found {
            Some(at) => self.list.cursor = at,
            None => return Step::Say("no other byte here is evidence of a finding".to_owned()),
        }
        Step::Done
    }
}

/// What is kept of one direction, in the order of the stream.
fn pieces(x: &Exchange, way: Direction) -> Vec<Piece<'_>> {
    fn head<'a>(head: &'a Head, what: &str) -> Piece<'a> {
        Piece { what: what.to_owned(), from: head.range.start, bytes: &head.text, at: head.at, raw: !head.coded }
    }
    fn preview<'a>(preview: &'a Preview, what: &str) -> Piece<'a> {
        Piece { what: what.to_owned(), from: preview.offset, bytes: &preview.bytes, at: preview.at, raw: true }
    }
    let mut out = Vec::new();
    let [up, down] = &x.after_101;
    if way == Direction::ClientToServer {
        out.push(head(&x.request, "request"));
        out.extend(x.early.iter().map(|p| preview(p, "sent before the answer")));
        out.extend(up.iter().map(|p| preview(p, "first bytes behind the 101")));
        return out;
    }
    out.extend(x.before_response.iter().map(|p| preview(p, "sent before the response")));
    out.extend(x.interim.iter().map(|h| head(h, "interim response")));
    out.extend(x.odd_response.iter().map(|p| preview(p, "instead of a response")));
    if let Some(response) = &x.response {
        out.push(head(response, "response"));
        if !x.body.is_empty() {
            let (from, at) = (response.range.end, response.at_last);
            out.push(Piece {
                what: "beginning of its body".to_owned(),
                from,
                bytes: &x.body,
                at,
                raw: !response.coded,
            });
        }
    }
    out.extend(down.iter().map(|p| preview(p, "first bytes behind the 101")));
    out
}

/// Bytes that findings point at.
fn marked(s: &Shared, x: &Exchange, way: Direction) -> Vec<(Range<u64>, Mark)> {
    let all = s.row(x.id).into_iter().flat_map(|row| &row.findings).filter_map(|&i| s.a.findings.get(i));
    let mut out: Vec<_> = all
        .flat_map(|f| f.evidence.iter().map(move |e| (e, Mark::of(f.severity))))
        .filter(|(e, mark)| e.direction == Some(way) && *mark != Mark::Plain)
        .filter_map(|(e, mark)| Some((e.bytes.clone()?, mark)))
        .collect();
    // An error is shown where a warning is about the same bytes.
    out.sort_by_key(|(_, mark)| match mark {
        Mark::Error => 0,
        Mark::Warning => 1,
        _ => 2,
    });
    out
}

/// Whether a head would be shown otherwise with its secrets masked.
fn has_secrets(s: &Shared, x: &Exchange, piece: &Piece<'_>) -> bool {
    let heads = std::iter::once(&x.request).chain(&x.interim).chain(&x.response);
    let Some(head) = heads.into_iter().find(|head| head.range.start == piece.from && *head.text == *piece.bytes) else {
        // Bodies and frames may hold anything.
        return true;
    };
    let masked = |shown: String| shown.contains("[redacted");
    head.iter().any(|(name, value)| masked(s.text.field(name, value))) || masked(s.text.url(head.target()))
}

impl View for Bytes {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        let legs = self.which.get(s).map(|chain| chain.legs.as_slice()).unwrap_or_default();
        let leg = legs.iter().position(|leg| *leg == self.leg).map_or(1, |at| at + 1);
        format!("bytes of leg {leg}, {}", self.way.sender())
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let of = if area.width >= 78 { ROW } else { NARROW };
        if of != self.of || self.shown != s.text.secrets() {
            self.build(s, of);
        }
        self.top = area.top();
        let window = self.list.window(usize::from(area.height), self.rows.len());
        for (at, y) in window.zip(self.top..) {
            let Some(row) = self.rows.get(at) else { continue };
            let chosen = at == self.list.cursor;
            let base = if chosen { s.theme.cursor() } else { Style::new() };
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
            let mut line = Line::of(Tone::Strong, if chosen { "►" } else { " " });
            line.0.extend(row_line(row, of).0);
            put(buf, s.theme, (area.left(), y), area.width, &line, base);
        }
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.list.act(action, self.rows.len()) {
            return Step::Done;
        }
        match action {
            Action::Pane | Action::PaneBack => self.step(s),
            Action::Next => return self.mark(false),
            Action::Previous => return self.mark(true),
            Action::Copy => {
                let lines = self.rows.iter().map(|row| row_line(row, self.of));
                return Step::Copy(lines.map(|line| format!("{}\n", line.text().trim_end())).collect());
            }
            _ => return Step::Ignored,
        }
        Step::Done
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.list.cursor, self.rows.len())
    }

    fn changed(&mut self, s: &mut Shared) {
        self.build(s, self.of);
        self.list.shrink(self.rows.len());
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.rows.len())
    }
}

fn row_line(row: &Row, of: usize) -> Line {
    match row {
        Row::Title(title) => Line::of(Tone::Strong, format!(" {title}")),
        Row::Note(note) => Line::of(Tone::Info, format!("   {note}")),
        Row::Data(from, bytes, mark) => {
            let (glyph, tone) = mark.map_or((" ", Tone::Plain), Mark::glyph);
            let mut hex = String::new();
            for (n, byte) in bytes.iter().enumerate() {
                hex.push_str(if n == NARROW { "  " } else { " " });
                hex.push_str(&format!("{byte:02x}"));
            }
            let text: String =
                bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '·' }).collect();
            Line::of(tone, glyph)
                .add(Tone::Dim, format!(" {from:08x}"))
                .add(tone, fill(&hex, of * 3 + usize::from(of > NARROW)))
                .add(tone, format!("  {text}"))
        }
    }
}
