//! The bytes of one leg as they were sent, in hex and as text. They are read again, beside the screen; until they are
//! there, and where they cannot be, the screen shows what the analysis keeps.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::{ExchangeId, limits};
use crate::engine::stretch::{Ask, From, Stretch, Way};
use crate::model::{Direction, FrameRecord};
use crate::tui::dump::{self, Lit, ROW, Row, What};
use crate::tui::events::What as Event;
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, put};
use crate::tui::shared::Shared;
use crate::tui::theme::Tone;
use crate::tui::which::Which;

use super::{Screen, Step, View, message};

pub static SCREEN: Screen = Screen { name: "bytes", action: Action::Bytes, open };

/// Rows that are copied at once, at most.
const COPIED: usize = 1_000;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let chain = s.chain().ok_or_else(|| "there is no chain".to_owned())?;
    let leg = *chain.legs.first().ok_or_else(|| "this connection never carried a request".to_owned())?;
    Ok(Box::new(Bytes::new(s, s.chosen, leg, Direction::ClientToServer, None)))
}

/// The screen, with its cursor on the bytes of this message, or of these frames. Means nothing where it is neither.
pub(super) fn open_at(s: &Shared, index: usize, what: Event) -> Step {
    let place = match what {
        Event::Request(leg) | Event::Interim(leg, _) | Event::Response(leg) => {
            let way =
                if matches!(what, Event::Request(_)) { Direction::ClientToServer } else { Direction::ServerToClient };
            message::head(s, what).map(|(_, head)| (leg, way, head.range.clone()))
        }
        Event::Frames(leg, first, run) => {
            let talk = s.leg(leg).and_then(|x| x.talk.as_deref());
            let frames = talk.and_then(|talk| talk.frames.get(first..first.saturating_add(run))).unwrap_or_default();
            let ends = |frame: &FrameRecord| frame.offset.saturating_add(dump::frame_bytes(frame));
            frames.first().zip(frames.last()).map(|(first, last)| (leg, first.from, first.offset..ends(last)))
        }
        Event::Tcp | Event::Left(_) => None,
    };
    match place {
        Some((leg, way, lit)) => Step::Open(Box::new(Bytes::new(s, index, leg, way, Some(lit)))),
        None => Step::Ignored,
    }
}

struct Bytes {
    which: Which,
    leg: ExchangeId,
    way: Way,
    from: From,
    lit: Lit,
    /// Where the cursor is to stand in the rows that come.
    anchor: Option<u64>,
    rows: Vec<Row>,
    /// Of what they are. `None`: of what the analysis keeps.
    shows: Option<Ask>,
    /// Bytes that a row has, and whether secrets were shown, when the rows were made.
    of: usize,
    secrets: bool,
    list: List,
    top: u16,
}

impl Bytes {
    fn new(s: &Shared, index: usize, leg: ExchangeId, way: Direction, lit: Option<Range<u64>>) -> Bytes {
        let mut view = Bytes {
            which: Which::at(s, index),
            leg,
            way: Way::One(way),
            from: From::Position(0),
            anchor: None,
            lit: lit.map(|lit| (way, lit)),
            rows: Vec::new(),
            shows: None,
            of: ROW,
            secrets: false,
            list: List::default(),
            top: 0,
        };
        let begins = view.lit.as_ref().map(|(_, lit)| lit.start).or_else(|| view.begins(s));
        view.look(s, begins.map_or(From::Position(0), around), begins);
        view
    }

    /// Where the leg's message begins, if not with the stream: connections are used again.
    fn begins(&self, s: &Shared) -> Option<u64> {
        let x = s.leg(self.leg)?;
        let head = match self.way {
            Way::One(Direction::ClientToServer) => Some(&x.request),
            Way::One(Direction::ServerToClient) => x.response.as_ref(),
            Way::Both => None,
        };
        head.map(|head| head.range.start).filter(|begins| *begins > 0)
    }

    fn ask(&self) -> Ask {
        Ask { exchange: self.leg, way: self.way, from: self.from }
    }

    fn build(&mut self, s: &Shared) {
        self.secrets = s.text.secrets();
        let Some(x) = s.leg(self.leg) else {
            self.rows.clear();
            return;
        };
        let here = self.rows.get(self.list.cursor).map(|row| row.position);
        if let Some(Ok(stretch)) = s.streams.get(&self.ask()) {
            self.rows = dump::rows(s, x, (stretch, self.way), self.of, &self.lit);
            let is_new = self.shows.replace(self.ask()) != Some(self.ask());
            match (self.anchor.take(), here) {
                (Some(position), _) => self.go_to(position),
                (None, Some(position)) if !is_new => self.stay_at(position),
                (None, _) => self.list.cursor = if self.from == From::End { usize::MAX } else { 0 },
            }
            self.list.shrink(self.rows.len());
            return;
        }
        if let Some(before) = self.shows.filter(|shows| shows.exchange == self.leg && shows.way == self.way)
            && let Some(Ok(stretch)) = s.streams.get(&before)
        {
            // What was read before stays until the rest is there.
            self.rows = dump::rows(s, x, (stretch, self.way), self.of, &self.lit);
            self.list.shrink(self.rows.len());
            return;
        }
        self.shows = None;
        self.rows = dump::rows(s, x, (&dump::kept(x, self.way), self.way), self.of, &self.lit);
        if self.rows.is_empty() {
            let words = "nothing that it sent is kept".to_owned();
            self.rows.push(Row { position: 0, what: What::Note(words) });
        }
        match self.anchor {
            // The user has not moved yet.
            Some(position) if here.is_none() => self.go_to(position),
            _ => self.list.shrink(self.rows.len()),
        }
    }

    /// The rows are made anew: the cursor stays where it was, as far as that is still there.
    fn stay_at(&mut self, position: u64) {
        if self.rows.get(self.list.cursor).is_none_or(|row| row.position != position) {
            self.go_to(position);
        }
    }

    /// To the row that holds this position.
    fn go_to(&mut self, position: u64) {
        let behind = self.rows.partition_point(|row| row.position <= position);
        let data = |at: &usize| matches!(self.rows.get(*at), Some(Row { what: What::Data(_), .. }));
        let first = (0..behind).rev().find(data).unwrap_or(behind.saturating_sub(1));
        self.list.reveal(first);
    }

    /// The other direction, both, then the next leg.
    fn step(&mut self, s: &Shared, back: bool) {
        let ways = [Way::One(Direction::ClientToServer), Way::One(Direction::ServerToClient), Way::Both];
        let legs = self.which.get(s).map(|chain| chain.legs.as_slice()).unwrap_or_default();
        let all = legs.iter().flat_map(|leg| ways.map(|way| (*leg, way)));
        let all: Vec<(ExchangeId, Way)> = all.collect();
        let here = all.iter().position(|at| *at == (self.leg, self.way)).unwrap_or(0);
        let count = all.len().max(1);
        if let Some((leg, way)) = all.get((here + if back { count - 1 } else { 1 }) % count) {
            if *leg != self.leg {
                // Those bytes were another leg's.
                self.lit = None;
            }
            (self.leg, self.way) = (*leg, *way);
        }
        (self.rows, self.list) = (Vec::new(), List::default());
        let begins = self.begins(s);
        self.look(s, begins.map_or(From::Position(0), around), begins);
    }

    fn look(&mut self, s: &Shared, from: From, anchor: Option<u64>) {
        (self.from, self.anchor) = (from, anchor);
        self.build(s);
    }

    fn mark(&mut self, s: &Shared, back: bool) -> Step {
        let here = self.list.cursor;
        let is =
            |at: &usize| matches!(self.rows.get(*at), Some(Row { what: What::Data(data), .. }) if data.is_marked());
        let found = if back { (0..here).rev().find(is) } else { (here + 1..self.rows.len()).find(is) };
        match found {
            Some(at) => self.list.cursor = at,
            None => match self.mark_beyond(s, back) {
                Some(place) => self.look(s, around(place), Some(place)),
                None => return Step::Say("no other byte here is evidence of a finding".to_owned()),
            },
        }
        Step::Done
    }

    /// Where the next bytes that a finding is about begin, behind what was read or before it.
    fn mark_beyond(&self, s: &Shared, back: bool) -> Option<u64> {
        let Way::One(way) = self.way else { return None };
        let (begins, ends) = self.read(s).map(|stretch| (stretch.begins, stretch.ends))?;
        let places = dump::marked(s, s.leg(self.leg)?, way).into_iter().map(|(range, _)| range.start);
        if back { places.filter(|at| *at < begins).max() } else { places.filter(|at| *at >= ends).min() }
    }

    /// What was asked for, where it is there.
    fn read<'s>(&self, s: &'s Shared) -> Option<&'s Stretch> {
        let ask = self.shows.filter(|shows| *shows == self.ask())?;
        s.streams.get(&ask)?.as_deref().ok()
    }

    /// Reads on where the cursor would leave what was read.
    fn leaves(&mut self, s: &Shared, action: Action) -> bool {
        if action == Action::Bottom && self.from != From::End && self.is_loading(s) {
            // Who types faster than it is read means the end of what comes.
            self.look(s, From::End, None);
            return true;
        }
        let Some(stretch) = self.read(s) else { return false };
        let up = matches!(action, Action::Up | Action::HalfUp | Action::PageUp);
        let down = matches!(action, Action::Down | Action::HalfDown | Action::PageDown);
        let (begins, ends, more) = (stretch.begins, stretch.ends, stretch.more);
        let last = self.list.cursor + 1 >= self.rows.len();
        let (from, anchor) = match action {
            Action::Top if begins > 0 => (From::Position(0), Some(0)),
            Action::Bottom if more => (From::End, None),
            _ if up && begins > 0 && self.list.cursor == 0 => (around(begins), Some(begins)),
            // Some of the end once more, for those who want to look back.
            _ if down && more && last => (From::Position(ends - ends.saturating_sub(begins) / 4), Some(ends)),
            _ => return false,
        };
        self.look(s, from, anchor);
        true
    }

    /// What the cursor stands on: from one title to the next.
    fn here(&self) -> Range<usize> {
        let is_title = |at: &usize| matches!(self.rows.get(*at), Some(Row { what: What::Title(..), .. }));
        let from = (0..=self.list.cursor).rev().find(is_title).unwrap_or(0);
        let to = (self.list.cursor + 1..self.rows.len()).find(is_title).unwrap_or(self.rows.len());
        from..to.min(from + COPIED)
    }

    fn is_loading(&self, s: &Shared) -> bool {
        !s.reading && s.streams.get(&self.ask()).is_none()
    }

    /// Why these are not, or not yet, the rows that were asked for. `None`: they are.
    fn status(&self, s: &Shared) -> Option<String> {
        if self.shows == Some(self.ask()) {
            return None;
        }
        let what = if self.shows.is_none() { "this is what the analysis keeps; " } else { "" };
        Some(match s.streams.get(&self.ask()) {
            Some(Err(why)) => format!("{what}{why}"),
            _ if s.reading => format!("{what}the rest can be read when all is"),
            _ => format!("{what}loading…"),
        })
    }
}

/// From where to read, so that there is something before this place too.
fn around(position: u64) -> From {
    From::Position(position.saturating_sub(limits::STRETCH_BYTES as u64 / 4))
}

impl View for Bytes {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        let legs = self.which.get(s).map(|chain| chain.legs.as_slice()).unwrap_or_default();
        let leg = legs.iter().position(|leg| *leg == self.leg).map_or(1, |at| at + 1);
        let way = match self.way {
            Way::One(way) => way.sender(),
            Way::Both => "both sides",
        };
        format!("bytes of leg {leg}, {way}")
    }

    fn wants(&self) -> Option<Ask> {
        Some(self.ask())
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let of = dump::row_of(area.width);
        if of != self.of || self.secrets != s.text.secrets() {
            self.of = of;
            self.build(s);
        }
        let status = self.status(s);
        if let Some(words) = &status {
            let line = Line::of(Tone::Info, format!(" {words}"));
            put(buf, s.theme, (area.left(), area.top()), area.width, &line, Style::new());
        }
        self.top = area.top() + u16::from(status.is_some());
        let height = area.bottom().saturating_sub(self.top);
        let window = self.list.window(usize::from(height), self.rows.len());
        for (at, y) in window.zip(self.top..) {
            let Some(row) = self.rows.get(at) else { continue };
            let chosen = at == self.list.cursor;
            let base = if chosen { s.theme.cursor() } else { Style::new() };
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
            let mut line = Line::of(Tone::Strong, if chosen { "►" } else { " " });
            line.0.extend(dump::line(row, of).0);
            put(buf, s.theme, (area.left(), y), area.width, &line, base);
        }
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.leaves(s, action) || self.list.act(action, self.rows.len()) {
            return Step::Done;
        }
        match action {
            Action::Pane => self.step(s, false),
            Action::PaneBack => self.step(s, true),
            Action::Next => return self.mark(s, false),
            Action::Previous => return self.mark(s, true),
            Action::Copy => {
                let rows = self.rows.get(self.here()).unwrap_or_default();
                let lines = rows.iter().map(|row| dump::line(row, self.of));
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
        self.build(s);
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.rows.len())
    }
}
