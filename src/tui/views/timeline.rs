//! All chains on one axis of time: a bar each, frames as ticks, faults as marks; below, the whole capture as a strip,
//! and where the time of the chain under the cursor went.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::{Nanos, Timestamp};
use crate::model::Chain;
use crate::tui::axis::{height, ruler};
use crate::tui::bars::{self, Axis, Bar, Phase, cells};
use crate::tui::keys::Action;
use crate::tui::paint::{self, Line, fill, fill_left, put};
use crate::tui::phases;
use crate::tui::shared::{Mark, Shared, span};
use crate::tui::theme::Tone;
use crate::tui::tree::{Row, Tree};

use super::{Screen, Step, View};

pub static SCREEN: Screen = Screen { name: "timeline", action: Action::Timeline, open };

/// Rows of the body below which there is no pane; its rows on a small and a large screen.
const PANE_FROM: u16 = 15;
const PANE: [u16; 2] = [8, 17];
/// Rows of the body from which a screen is large.
const LARGE: u16 = 36;
/// Columns of the names, on a small, an ordinary and a wide screen.
const NAMES: [u16; 3] = [15, 26, 44];
/// Room left and right of what is fitted into the window, as a part of it.
const MARGIN: i64 = 40;
/// The shortest window.
const LEAST: Nanos = Nanos(1_000);

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    if s.visible.is_empty() {
        return Err("there is no chain to draw".to_owned());
    }
    let mut view = Timeline { tree: Tree::new(s), ..Timeline::default() };
    view.fit(s);
    Ok(Box::new(view))
}

#[derive(Default)]
struct Timeline {
    tree: Tree,
    axis: Axis,
    /// The user chose the window: it stays when more comes in.
    chosen: bool,
    /// What the strip shows, and of which window, filter and width it was made.
    strip: Vec<(u32, Option<Mark>)>,
    strip_of: Option<(u64, usize)>,
    /// First row of the bars, and where the axis begins, on the screen.
    top: u16,
    left: u16,
    columns: usize,
}

impl Timeline {
    fn chain<'a>(&self, s: &'a Shared) -> Option<&'a Chain> {
        s.at(self.tree.place(s)).map(|(_, chain)| chain)
    }

    /// The window that shows all that matches.
    fn fit(&mut self, s: &Shared) {
        let ends = s.visible.iter().filter_map(|at| {
            let at = usize::try_from(*at).ok()?;
            let (began, ended) = s.facts.span(at)?;
            let opened = s.a.chains.get(at).and_then(|chain| s.opened(chain));
            Some((opened.map_or(began, |opened| opened.min(began)), ended))
        });
        let bounds = ends.reduce(|(from, to), (a, b)| (from.min(a), to.max(b)));
        self.show(bounds);
    }

    fn show(&mut self, bounds: Option<(Timestamp, Timestamp)>) {
        let Some((from, to)) = bounds else { return };
        let length = to.since(from).max(LEAST);
        let margin = Nanos(length.0 / MARGIN);
        self.axis = Axis { from: from - margin, length: Nanos(length.0.saturating_add(2 * margin.0 + 1)) };
    }

    /// Makes the window longer or shorter about the middle of what is chosen and in view.
    fn zoom(&mut self, s: &Shared, factor: f64) {
        let middle = self.axis.from + Nanos(self.axis.length.0 / 2);
        let bounds = self.chain(s).and_then(|chain| Some((s.began(chain)?, s.ended(chain)?)));
        let seen = |(from, to): (Timestamp, Timestamp)| {
            let (from, to) = (from.max(self.axis.from), to.min(self.axis.end()));
            (from <= to).then(|| from + Nanos(to.since(from).0 / 2))
        };
        let about = bounds.and_then(seen).unwrap_or(middle);
        #[allow(clippy::cast_possible_truncation, reason = "a float saturates")]
        let scaled = |n: i64| (n as f64 * factor) as i64;
        let length = Nanos(scaled(self.axis.length.0).clamp(LEAST.0, i64::MAX / 4));
        let before = scaled(about.since(self.axis.from).0).clamp(0, length.0);
        self.axis = Axis { from: about - Nanos(before), length };
    }

    fn pan(&mut self, eighths: i64) {
        self.axis.from = self.axis.from + Nanos(self.axis.length.0 / 8 * eighths);
    }

    /// How many chains begin in each column of the whole capture, and the worst of them.
    fn strip(&mut self, s: &Shared, columns: usize) {
        if self.strip_of == Some((s.generation, columns)) {
            return;
        }
        self.strip_of = Some((s.generation, columns));
        self.strip = vec![(0, None); columns];
        let Some(axis) = whole(s) else { return };
        for at in &s.visible {
            let index = usize::try_from(*at).unwrap_or(usize::MAX);
            let Some((began, _)) = s.facts.span(index) else { continue };
            let column = usize::try_from(axis.column(began, columns)).unwrap_or(0).min(columns.saturating_sub(1));
            if let Some((n, worst)) = self.strip.get_mut(column) {
                *n += 1;
                let rank = |mark: Option<Mark>| match mark {
                    Some(Mark::Error) => 2,
                    Some(Mark::Warning) => 1,
                    _ => 0,
                };
                let mark = s.mark_of(index);
                if rank(mark) > rank(*worst) {
                    *worst = mark;
                }
            }
        }
    }

    fn overview(&mut self, s: &Shared, area: Rect, y: u16, buf: &mut Buffer) {
        let columns = usize::from(area.right().saturating_sub(self.left));
        self.strip(s, columns);
        let names = usize::from(self.left - area.left());
        put(
            buf,
            s.theme,
            (area.left(), y),
            area.width,
            &Line::of(Tone::Dim, fill(" overview", names - 1)),
            Style::new(),
        );
        put(buf, s.theme, (self.left - 1, y), 1, &Line::of(Tone::Dim, "│"), Style::new());
        let most = self.strip.iter().map(|(n, _)| *n).max().unwrap_or(0);
        let seen = whole(s).map(|all| (all.column(self.axis.from, columns), all.column(self.axis.end(), columns)));
        for ((n, worst), (at, x)) in self.strip.iter().zip((0_i64..).zip(self.left..)) {
            let tone = worst.map_or(Tone::Dim, |mark| mark.glyph().1);
            let base = match seen {
                Some((from, to)) if (from..=to).contains(&at) && to - from + 1 < self.strip.len() as i64 => {
                    s.theme.cursor()
                }
                _ => Style::new(),
            };
            put(buf, s.theme, (x, y), 1, &Line::of(tone, height(*n, most)), base);
        }
    }

    fn name(&self, s: &Shared, row: Row, columns: u16) -> Line {
        let room = usize::from(columns);
        let place = match row {
            Row::Group(group) => return self.tree.heading(s, group),
            Row::Chain(place) | Row::Leg(place, _) => place,
        };
        let Some((_, chain)) = s.at(place) else { return Line::new() };
        if let Row::Leg(_, leg) = row {
            let tree = if leg + 1 == chain.legs.len() { "└" } else { "├" };
            let x = chain.legs.get(leg).and_then(|id| s.leg(*id));
            let to = x.map(|x| x.server.to_string()).unwrap_or_default();
            return Line::of(Tone::Dim, format!("   {tree} {} ", leg + 1))
                .add(Tone::Plain, fill(&format!("→ {to}"), room.saturating_sub(7)));
        }
        let line = self.tree.signs(s, place);
        let number = fill_left(&chain.id.to_string(), 5);
        let rest = room.saturating_sub(10);
        let x = s.legs(chain).next();
        let host = x.and_then(|x| x.request.host()).filter(|_| columns >= NAMES[2]);
        let name = match x {
            Some(x) => {
                let host = host.map(|host| s.text.bytes(host)).unwrap_or_default();
                format!("{host}{}", s.text.url(x.request.target()))
            }
            None => chain.flow.and_then(|id| s.flow(id)).map(|f| f.server.to_string()).unwrap_or_default(),
        };
        line.add(Tone::Plain, format!("{number} {}", if rest > 0 { fill(&name, rest) } else { String::new() }))
    }

    /// What stands beside a name; nothing beside a heading.
    fn bar(&self, s: &Shared, row: Row) -> Bar {
        let chain = |place| s.at(place).map(|(_, chain)| chain);
        let bar = match row {
            Row::Group(_) => None,
            Row::Chain(place) => chain(place).map(|chain| bars::of_chain(s, chain)),
            Row::Leg(place, leg) => {
                chain(place).and_then(|chain| s.leg(*chain.legs.get(leg)?)).map(|x| bars::of_leg(s, x))
            }
        };
        bar.unwrap_or_default()
    }
}

/// The whole capture.
fn whole(s: &Shared) -> Option<Axis> {
    let (from, to) = (s.first()?, s.last()?);
    Some(Axis { from, length: Nanos(to.since(from).0.saturating_add(1).max(LEAST.0)) })
}

impl View for Timeline {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        let since = s.first().map(|first| self.axis.from.since(first)).filter(|since| *since > Nanos::ZERO);
        let from = since.map(|since| format!(" from +{}", span(Some(since)))).unwrap_or_default();
        format!("timeline of {}{from}", span(Some(self.axis.length)))
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let names = match area.width {
            0..66 => NAMES[0],
            66..130 => NAMES[1],
            130.. => NAMES[2],
        };
        self.left = area.left() + names.min(area.width.saturating_sub(8)) + 1;
        self.columns = usize::from(area.right().saturating_sub(self.left));
        let rows = self.tree.rows();
        let strip = u16::from(area.height >= 10);
        let listed = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2 + strip);
        let pane = match area.height {
            0..PANE_FROM => 0,
            PANE_FROM..LARGE => PANE[0].max(area.height.saturating_sub(listed)),
            LARGE.. => PANE[1].max(area.height.saturating_sub(listed)),
        };
        let axis_at = (self.left, area.top());
        let zero = s.first().unwrap_or(self.axis.from);
        put(buf, s.theme, (area.left(), area.top()), names, &Line::of(Tone::Dim, "       # Path"), Style::new());
        let ruled = Line::of(Tone::Dim, ruler(self.axis, zero, self.columns));
        put(buf, s.theme, axis_at, area.width, &ruled, Style::new());
        paint::rule(buf, s.theme, Rect { y: area.top() + 1, height: 1, ..area }, &Line::new());
        put(buf, s.theme, (self.left - 1, area.top() + 1), 1, &Line::of(Tone::Dim, "┬"), Style::new());
        self.top = area.top() + 2;
        let height = area.height.saturating_sub(2 + strip + pane);
        let window = self.tree.list.window(usize::from(height), rows);
        for (at, y) in window.zip(self.top..) {
            let row = self.tree.row(at);
            let chosen = at == self.tree.list.cursor;
            let base = if chosen { s.theme.cursor() } else { Style::new() };
            let name = self.name(s, row, names);
            // Beside a heading stands no bar.
            let room = if matches!(row, Row::Group(_)) { area.width } else { names };
            put(buf, s.theme, (area.left(), y), room, &name, base);
            if chosen {
                // The bar itself is not reversed: its shades would change their meaning.
                paint::tint(buf, Rect::new(area.left(), y, room.min(area.width), 1), base);
                put(buf, s.theme, (area.left(), y), 1, &Line::of(Tone::Strong, "►"), base);
            }
            if room == area.width {
                continue;
            }
            put(buf, s.theme, (self.left - 1, y), 1, &Line::of(Tone::Dim, "│"), Style::new());
            let bar = self.bar(s, row);
            put(buf, s.theme, (self.left, y), area.width, &cells(&bar, self.axis, self.columns), Style::new());
        }
        if strip > 0 {
            self.overview(s, area, area.bottom() - pane - 1, buf);
        }
        if pane > 0
            && let Some(chain) = self.chain(s)
        {
            let below = Rect { y: area.bottom() - pane, height: pane, ..area };
            let mut title = Line::of(Tone::Strong, format!("#{}", chain.id));
            for (phase, word) in [
                (Phase::Tcp, "tcp"),
                (Phase::Tls, "tls"),
                (Phase::Wait, "wait"),
                (Phase::Open, "open"),
                (Phase::Silent, "silent"),
            ] {
                let (glyph, tone) = phase.glyph();
                title.push(tone, format!("  {glyph}"));
                title.push(Tone::Dim, format!(" {word}"));
            }
            paint::rule(buf, s.theme, Rect { height: 1, ..below }, &title);
            let inner = Rect { y: below.y + 1, height: pane - 1, ..below };
            paint::lines(buf, s.theme, inner, &phases::lines(s, chain, usize::from(area.width)));
        }
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.tree.moved(action, s) {
            return Step::Done;
        }
        self.chosen = match action {
            Action::Left | Action::Right | Action::ZoomIn | Action::ZoomOut | Action::FitRow => true,
            Action::Fit => false,
            _ => self.chosen,
        };
        match action {
            Action::Left => self.pan(-1),
            Action::Right => self.pan(1),
            Action::ZoomIn => self.zoom(s, 0.5),
            Action::ZoomOut => self.zoom(s, 2.0),
            Action::Fit => self.fit(s),
            Action::FitRow => {
                let row = match self.tree.row(self.tree.list.cursor) {
                    Row::Group(_) => Row::Chain(self.tree.place(s)),
                    row => row,
                };
                let bounds = self.bar(s, row).bounds();
                self.show(bounds);
            }
            Action::Mark => self.tree.mark(s),
            Action::Next | Action::Previous => return self.tree.fault(s, action == Action::Previous),
            Action::Enter => return Step::Go(Action::Ladder),
            Action::Pane | Action::PaneBack => return self.tree.fold(s, None),
            Action::Copy => {
                let lines = self.chain(s).map(|chain| phases::lines(s, chain, 120)).unwrap_or_default();
                return Step::Copy(lines.iter().map(|line| format!("{}\n", line.text().trim_end())).collect());
            }
            _ => return Step::Ignored,
        }
        Step::Done
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.tree.list.cursor, self.tree.rows())
    }

    fn click(&mut self, (_, y): (u16, u16), s: &mut Shared) -> bool {
        self.tree.click(y.checked_sub(self.top), s)
    }

    fn drag(&mut self, from: u16, to: u16, _: &mut Shared) {
        let column = |x: u16| usize::from(x.saturating_sub(self.left)).min(self.columns);
        let (low, high) = (column(from.min(to)), column(from.max(to)));
        if high > low {
            self.chosen = true;
            let (from, to) = (self.axis.at(low, self.columns), self.axis.at(high, self.columns));
            self.axis = Axis { from, length: to.since(from).max(LEAST) };
        }
    }

    fn changed(&mut self, s: &mut Shared) {
        self.tree.changed(s);
        if !self.chosen {
            self.fit(s);
        }
    }
}
