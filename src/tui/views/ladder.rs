//! One chain as a ladder: a lane for the client, each hop and the server; every message an arrow, every finding at the
//! message that proves it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::Nanos;
use crate::tui::events::{self, Event, Events, What};
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, clip, clip_middle, fill_left, put, width};
use crate::tui::shared::{Mark, Shared, span};
use crate::tui::theme::Tone;
use crate::tui::which::Which;

use super::{Screen, Step, View, bytes, frames, message, verdict};

pub static SCREEN: Screen = Screen { name: "ladder", action: Action::Ladder, open };

/// Columns of the cursor, the time and the delta.
const TIMES: u16 = 22;
/// Columns right of the last lane: half of its address, and the flag.
const RIGHT: u16 = 11;
/// Columns between two lanes below which a ladder cannot be read: then it is a list.
const GAP: u16 = 12;
/// Columns from which the pane stands at the right.
const BESIDE: u16 = 120;
/// Rows of the body from which there is a pane below.
const BELOW: u16 = 14;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    if s.chain().is_none() {
        return Err("there is no chain to draw".to_owned());
    }
    let mut view = Ladder { which: Which::at(s, s.chosen), ..Ladder::default() };
    view.build(s);
    // The message that proves the verdict is what one came for.
    let rule = s.chain().map(|chain| chain.verdict.rule.clone()).unwrap_or_default();
    let proves = |event: &Event| event.findings.iter().any(|&i| s.a.findings.get(i).is_some_and(|f| f.rule == rule));
    view.list.cursor = view.events.all.iter().position(proves).unwrap_or(0);
    Ok(Box::new(view))
}

/// What the pane shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pane {
    /// The findings of the message, or the verdict where it has none.
    #[default]
    Here,
    Fix,
    Head,
}

impl Pane {
    const ALL: [(Pane, &'static str); 3] = [(Pane::Here, "findings"), (Pane::Fix, "fix"), (Pane::Head, "message")];

    fn step(self, back: bool) -> Pane {
        match (self, back) {
            (Pane::Here, false) | (Pane::Head, true) => Pane::Fix,
            (Pane::Fix, false) | (Pane::Here, true) => Pane::Head,
            (Pane::Head, false) | (Pane::Fix, true) => Pane::Here,
        }
    }
}

#[derive(Default)]
struct Ladder {
    which: Which,
    events: Events,
    list: List,
    pane: Pane,
    /// The pane takes the whole body.
    whole: bool,
    /// Whether secrets were shown when the labels were made.
    secrets: bool,
    top: u16,
}

impl Ladder {
    fn build(&mut self, s: &Shared) {
        self.secrets = s.text.secrets();
        self.events = self.which.get(s).map(|chain| events::of(s, chain)).unwrap_or_default();
    }

    fn event(&self) -> Option<&Event> {
        self.events.all.get(self.list.cursor)
    }

    fn finding(&mut self, back: bool) -> Step {
        let here = self.list.cursor;
        let has = |at: &usize| self.events.all.get(*at).is_some_and(|event| !event.findings.is_empty());
        let found = if back { (0..here).rev().find(has) } else { (here + 1..self.events.all.len()).find(has) };
        match found {
            Some(at) => {
                self.list.cursor = at;
                Step::Done
            }
            None => Step::Say(format!("no {} message with a finding", if back { "earlier" } else { "later" })),
        }
    }

    fn lanes(&self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let count = u16::try_from(self.events.lanes.len()).unwrap_or(1).max(1);
        let gap = gap(area.width, count);
        let xs: Vec<u16> = (0..count).map(|lane| area.left() + TIMES + lane.saturating_mul(gap + 1)).collect();
        for (lane, x) in self.events.lanes.iter().zip(&xs) {
            let room = usize::from(gap).saturating_sub(1).min(2 * usize::from(RIGHT) - 2);
            let name = Line::of(Tone::Strong, clip(&lane.name, room));
            let end = Line::of(Tone::Dim, clip_middle(&lane.end.to_string(), room));
            for (line, y) in [name, end].iter().zip(area.top()..) {
                let half = u16::try_from(line.width() / 2).unwrap_or(0);
                put(buf, s.theme, (x.saturating_sub(half), y), area.width, line, Style::new());
            }
        }
        let rule = "─".repeat(usize::from(area.width));
        put(buf, s.theme, (area.left(), area.top() + 2), area.width, &Line::of(Tone::Dim, rule), Style::new());
        let heads = Line::of(Tone::Dim, format!("  {}  {}", fill_left("time", 9), fill_left("delta", 8)));
        put(buf, s.theme, (area.left(), area.top() + 2), TIMES - 1, &heads, Style::new());
        for x in &xs {
            put(buf, s.theme, (*x, area.top() + 2), 1, &Line::of(Tone::Dim, "┬"), Style::new());
        }
    }

    /// One row of it.
    fn arrow(&self, s: &Shared, at: usize, area: Rect, y: u16, buf: &mut Buffer) {
        let Some(event) = self.events.all.get(at) else { return };
        let chosen = at == self.list.cursor;
        let base = if chosen { s.theme.cursor() } else { Style::new() };
        if chosen {
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
        }
        let marked = s.messages.contains(&event.what);
        put(buf, s.theme, (area.left(), y), TIMES, &self.times(at, chosen, marked), base);
        let count = u16::try_from(self.events.lanes.len()).unwrap_or(1).max(1);
        let gap = gap(area.width, count);
        let x = |lane: usize| area.left() + TIMES + u16::try_from(lane).unwrap_or(0) * (gap + 1);
        let (low, high) = (event.from.min(event.to), event.from.max(event.to));
        for lane in 0..usize::from(count) {
            let inside = low < lane && lane < high;
            let glyph = if inside { "┼" } else { "│" };
            put(buf, s.theme, (x(lane), y), 1, &Line::of(Tone::Dim, glyph), base);
        }
        if low < high {
            let from = x(low) + 1;
            let columns = usize::from(x(high).saturating_sub(from));
            let crossed: Vec<usize> = (low + 1..high).map(|lane| usize::from(x(lane) - from)).collect();
            put(buf, s.theme, (from, y), x(high) - from, &shaft(event, columns, &crossed), base);
        }
        let flag = self.events.worst(s, event).map(|severity| Mark::of(severity).glyph());
        if let Some((glyph, tone)) = flag {
            put(buf, s.theme, (x(usize::from(count) - 1) + 2, y), 2, &Line::of(tone, glyph), base);
        }
    }

    fn times(&self, at: usize, chosen: bool, marked: bool) -> Line {
        let first = self.events.all.first().map(|event| event.ts);
        let before = at.checked_sub(1).and_then(|at| self.events.all.get(at)).map(|event| event.ts);
        let event = self.events.all.get(at).map(|event| event.ts);
        let since = event.zip(first).map(|(ts, first)| ts.since(first));
        let delta = event.zip(before).map(|(ts, before)| ts.since(before));
        let delta = delta.map(|delta| format!("+{}", span(Some(delta)))).unwrap_or_default();
        let mark = match (marked, chosen) {
            (true, _) => "■",
            (false, true) => "►",
            (false, false) => " ",
        };
        let time = if since == Some(Nanos::ZERO) { "0".to_owned() } else { span(since) };
        Line::of(Tone::Strong, mark).add(Tone::Plain, fill_left(&time, 10)).add(Tone::Dim, fill_left(&delta, 10))
    }

    /// Where lanes have no room: an arrow and words.
    fn row(&self, s: &Shared, at: usize, area: Rect, y: u16, buf: &mut Buffer) {
        let Some(event) = self.events.all.get(at) else { return };
        let chosen = at == self.list.cursor;
        let base = if chosen { s.theme.cursor() } else { Style::new() };
        if chosen {
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
        }
        let mut line = Line::of(Tone::Strong, if chosen { "►" } else { " " });
        let (glyph, tone) = match self.events.worst(s, event) {
            Some(severity) => Mark::of(severity).glyph(),
            None => (" ", Tone::Plain),
        };
        line.push(tone, format!("{glyph} "));
        let first = self.events.all.first().map(|first| event.ts.since(first.ts));
        line.push(Tone::Dim, fill_left(&span(first), 9));
        line.push(
            Tone::Dim,
            format!(" {}{} ", "  ".repeat(event.from.min(event.to)), if event.from < event.to { "→" } else { "←" }),
        );
        line.push(event.tone, event.label.clone());
        put(buf, s.theme, (area.left(), y), area.width, &line, base);
    }

    fn pane(&self, s: &Shared, columns: usize, wide: bool) -> Vec<Line> {
        let Some(chain) = self.which.get(s) else { return Vec::new() };
        let mut out = Vec::new();
        let event = self.event();
        let head = |out: &mut Vec<Line>| {
            if let Some(head) = event.and_then(|event| message::lines_of(s, event.what)) {
                out.extend(head);
            }
        };
        let proved = event.map(|event| event.findings.as_slice()).unwrap_or_default();
        // Alone, the pane has room for all of them.
        let full = if self.whole { proved.len() } else { 1 };
        let here = |out: &mut Vec<Line>| {
            for finding in proved.iter().take(full).filter_map(|&i| s.a.findings.get(i)) {
                out.extend(verdict::finding(s, finding, columns));
            }
            out.extend(verdict::also(s, proved.get(full..).unwrap_or_default(), columns));
            if proved.is_empty() {
                out.extend(verdict::lines(s, chain, columns));
            }
        };
        let fix = |out: &mut Vec<Line>| {
            verdict::labelled(out, "at fault", Tone::Strong, &s.at_fault(chain), columns);
            out.extend(verdict::fixes(s, chain, columns));
            out.extend(verdict::cause(s, chain, 3, columns));
        };
        match self.pane {
            Pane::Here if wide => {
                head(&mut out);
                out.push(Line::new());
                here(&mut out);
                if !proved.is_empty() {
                    out.push(Line::new());
                    let is_verdict = |&i: &usize| s.a.findings.get(i).is_some_and(|f| f.rule == chain.verdict.rule);
                    if !proved.iter().any(is_verdict) {
                        // Whose fault it is and what mends it is told of the verdict, not of these.
                        out.extend(verdict::headline(s, chain, columns).into_iter().take(1));
                    }
                    fix(&mut out);
                }
            }
            Pane::Here => here(&mut out),
            Pane::Fix => {
                out.extend(verdict::headline(s, chain, columns).into_iter().take(if wide { usize::MAX } else { 1 }));
                fix(&mut out);
            }
            Pane::Head => {
                head(&mut out);
                if out.is_empty() {
                    out.push(Line::of(Tone::Dim, "   this is no message with a head"));
                }
            }
        }
        out
    }

    /// What is chosen, and the names of the panes.
    fn pane_title(&self, s: &Shared, columns: usize) -> Line {
        let mut title = Line::new();
        for (pane, name) in Pane::ALL {
            let tone = if pane == self.pane { Tone::Accent } else { Tone::Dim };
            title.push(tone, if pane == self.pane { format!("[{name}] ") } else { format!("{name} ") });
        }
        if let Some(event) = self.event() {
            let name = |lane: usize| self.events.lanes.get(lane).map_or("", |lane| lane.name.as_str());
            title.push(Tone::Dim, format!("─ {} → {}", name(event.from), name(event.to)));
            if event.leg > 0 {
                title.push(Tone::Dim, format!(", leg {}", event.leg));
            }
            if let Some(at) = event.at {
                let left = columns.saturating_sub(title.width() + 6);
                let words = s.text.packet(at);
                let short = format!("packet {}", at.number());
                title.push(Tone::Dim, format!(", {}", if width(&words) > left { short } else { words }));
            }
        }
        title
    }
}

impl View for Ladder {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        let id = self.which.get(s).map_or(0, |chain| chain.id);
        format!("ladder #{id}")
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        if self.secrets != s.text.secrets() {
            self.build(s);
        }
        let beside = area.width >= BESIDE && !self.whole;
        let below = !beside && area.height >= BELOW && !self.whole;
        let (mut main, mut pane) = (area, Rect::default());
        if self.whole {
            (main.height, pane) = (0, area);
        } else if beside {
            main.width = (area.width * 5 / 8).max(area.width.saturating_sub(90));
            pane = Rect { x: main.right(), width: area.width - main.width, ..area };
        } else if below {
            // As many rows as the events need, and at most half for the pane.
            let least = area.height / 3;
            let events = u16::try_from(self.events.all.len()).unwrap_or(u16::MAX).saturating_add(3);
            main.height = events.clamp(area.height / 2, area.height - least);
            pane = Rect { y: main.bottom(), height: area.height - main.height, ..area };
        }
        let lanes = gap(main.width, u16::try_from(self.events.lanes.len()).unwrap_or(1)) >= GAP && main.height > 5;
        let header = if lanes { 3 } else { u16::from(main.height > 5) };
        if lanes {
            self.lanes(s, main, buf);
        } else if header > 0 {
            let names: Vec<&str> = self.events.lanes.iter().map(|lane| lane.name.as_str()).collect();
            let line = Line::of(Tone::Strong, format!("            {}", names.join(" → ")));
            put(buf, s.theme, (main.left(), main.top()), main.width, &line, Style::new());
        }
        self.top = main.top() + header;
        let window = self.list.window(usize::from(main.height.saturating_sub(header)), self.events.all.len());
        for (at, y) in window.zip(self.top..) {
            if lanes { self.arrow(s, at, main, y, buf) } else { self.row(s, at, main, y, buf) }
        }
        if pane.height == 0 {
            return;
        }
        if beside {
            for y in pane.top()..pane.bottom() {
                put(buf, s.theme, (pane.left(), y), 1, &Line::of(Tone::Dim, "┃"), Style::new());
            }
            pane = Rect { x: pane.x + 1, width: pane.width - 1, ..pane };
        }
        paint::rule(buf, s.theme, Rect { height: 1, ..pane }, &self.pane_title(s, usize::from(pane.width)));
        let inner = Rect { y: pane.y + 1, height: pane.height - 1, ..pane };
        paint::lines(buf, s.theme, inner, &self.pane(s, usize::from(inner.width), beside));
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.list.act(action, self.events.all.len()) {
            return Step::Done;
        }
        match action {
            Action::Pane => self.pane = self.pane.step(false),
            Action::PaneBack => self.pane = self.pane.step(true),
            Action::Maximise => self.whole = !self.whole,
            Action::Mark => match self.event().map(|event| event.what) {
                Some(what @ (What::Request(_) | What::Interim(..) | What::Response(_))) => s.mark_message(what),
                _ => return Step::Say("only a message with a head can be compared".to_owned()),
            },
            Action::Next => return self.finding(false),
            Action::Previous => return self.finding(true),
            Action::Enter => {
                return match self.event().map(|event| event.what) {
                    Some(what @ (What::Request(_) | What::Interim(..) | What::Response(_))) => {
                        message::open_at(s, self.which.index(s), what)
                    }
                    Some(What::Frames(leg, first, _)) => frames::open_at(s, self.which.index(s), leg, first),
                    _ => Step::Say("this is no message with a head".to_owned()),
                };
            }
            Action::Frames => {
                let at = self.event().and_then(|event| event.leg.checked_sub(1));
                let leg = at.zip(self.which.get(s)).and_then(|(at, chain)| s.leg(*chain.legs.get(at)?));
                return match leg.filter(|x| x.talk.as_ref().is_some_and(|talk| !talk.frames.is_empty())) {
                    Some(x) => frames::open_at(s, self.which.index(s), x.id, 0),
                    None => Step::Ignored,
                };
            }
            Action::Copy => {
                let event = self.event();
                let head = event.and_then(|event| message::lines_of(s, event.what));
                let label = || vec![Line::of(Tone::Plain, event.map_or("", |event| event.label.as_str()))];
                let lines = head.unwrap_or_else(label);
                return Step::Copy(lines.iter().map(|line| format!("{}\n", line.text().trim())).collect());
            }
            Action::Bytes => {
                let what = self.event().map_or(What::Tcp, |event| event.what);
                return bytes::open_at(s, self.which.index(s), what);
            }
            Action::Back if self.whole => self.whole = false,
            _ => return Step::Ignored,
        }
        Step::Done
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.list.cursor, self.events.all.len())
    }

    fn changed(&mut self, s: &mut Shared) {
        self.build(s);
        self.list.shrink(self.events.all.len());
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.events.all.len())
    }
}

/// Columns between two lanes.
fn gap(columns: u16, lanes: u16) -> u16 {
    columns.saturating_sub(lanes.saturating_add(TIMES + RIGHT)) / lanes.saturating_sub(1).max(1)
}

/// `──── GET /chat ───►`, exactly so many columns; lanes that it crosses are seen.
fn shaft(event: &Event, columns: usize, crossed: &[usize]) -> Line {
    let right = event.from < event.to;
    let label = clip(&event.label, columns.saturating_sub(6));
    let dashes = columns.saturating_sub(width(&label) + 3);
    let (before, behind) = (dashes / 2, dashes - dashes / 2);
    let line = |from: usize, n: usize| -> String {
        (from..from + n).map(|at| if crossed.contains(&at) { '┼' } else { '─' }).collect()
    };
    let start = usize::from(!right);
    let mut out = Line::of(Tone::Plain, if right { "" } else { "◄" });
    out.push(Tone::Dim, line(start, before));
    out.push(event.tone, format!(" {label} "));
    out.push(Tone::Dim, line(start + before + width(&label) + 2, behind));
    out.push(Tone::Plain, if right { "►" } else { "" });
    out
}
