//! Two heads side by side, matched by field name: what a hop did to the request, or to the answer that came back.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::{Exchange, Head, Hop};
use crate::tui::events::What;
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, fill, put};
use crate::tui::shared::Shared;
use crate::tui::theme::Tone;
use crate::tui::which::Which;

use super::{Screen, Step, View, message, verdict};

pub static SCREEN: Screen = Screen { name: "diff", action: Action::Diff, open };

/// Rows of the pane below, where there is room.
const PANE: u16 = 9;
const PANE_FROM: u16 = 18;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let chain = s.chain().ok_or_else(|| "there is no chain".to_owned())?;
    if let [first, second] = s.messages.as_slice() {
        let mut view = Diff { which: Which::at(s, s.chosen), marked: Some((*first, *second)), ..Diff::default() };
        view.build(s);
        view.list.cursor = view.rows.iter().position(|row| row.sign != Sign::Same).unwrap_or(0);
        return Ok(Box::new(view));
    }
    if chain.hops.is_empty() {
        return Err(
            "this chain has one leg: there is nothing to compare; capture on both sides of the proxy".to_owned()
        );
    }
    // The hop whose request differs in a field that the verdict is about stands first in most journeys.
    let mut view = Diff { which: Which::at(s, s.chosen), ..Diff::default() };
    view.hop = view.guilty(s);
    view.build(s);
    view.list.cursor = view.rows.iter().position(|row| row.sign != Sign::Same).unwrap_or(0);
    Ok(Box::new(view))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Same,
    Changed,
    Lost,
    Added,
    /// Only the letter case of the name differs.
    Case,
    /// A line between the two messages.
    Title,
}

impl Sign {
    fn glyph(self) -> (&'static str, Tone) {
        match self {
            Sign::Same => ("=", Tone::Dim),
            Sign::Changed => ("~", Tone::Warning),
            Sign::Lost => ("-", Tone::Error),
            Sign::Added => ("+", Tone::Info),
            Sign::Case => ("c", Tone::Dim),
            Sign::Title => (" ", Tone::Strong),
        }
    }
}

struct Row {
    sign: Sign,
    near: String,
    far: String,
    /// Lower case; empty for start lines.
    name: String,
}

#[derive(Default)]
struct Diff {
    which: Which,
    /// Of the chain's hops.
    hop: usize,
    /// Two messages instead, wherever they are from.
    marked: Option<(What, What)>,
    rows: Vec<Row>,
    list: List,
    /// Only what differs.
    changes: bool,
    secrets: bool,
    top: u16,
}

impl Diff {
    fn ends<'a>(&self, s: &'a Shared) -> Option<(&'a Hop, &'a Exchange, &'a Exchange)> {
        let hop = self.which.get(s)?.hops.get(self.hop)?;
        Some((hop, s.leg(hop.between.0)?, s.leg(hop.between.1)?))
    }

    /// The hop that the verdict blames; the first where it blames none.
    fn guilty(&self, s: &Shared) -> usize {
        let Some(chain) = self.which.get(s) else { return 0 };
        let blamed = chain.verdict.blame.as_ref().and_then(|blame| blame.address.as_deref()).unwrap_or_default();
        let is = |hop: &Hop| hop.addresses.iter().any(|ip| blamed.starts_with(&ip.to_string()));
        chain.hops.iter().position(is).unwrap_or(0)
    }

    fn build(&mut self, s: &Shared) {
        self.secrets = s.text.secrets();
        self.rows.clear();
        if let Some((first, second)) = self.marked {
            let head = |what| message::head(s, what).map(|(_, head)| head);
            compare(s, head(first), head(second), &mut self.rows);
            if self.changes {
                self.rows.retain(|row| row.sign != Sign::Same);
            }
            return;
        }
        let Some((_, near, far)) = self.ends(s) else { return };
        let mut rows = Vec::new();
        compare(s, Some(&near.request), Some(&far.request), &mut rows);
        if near.response.is_some() || far.response.is_some() {
            let title = |head: &Option<Head>| match head {
                Some(head) => format!("◄ answer, packet {}", head.at.number()),
                None => "◄ no answer".to_owned(),
            };
            let (near_title, far_title) = (title(&near.response), title(&far.response));
            rows.push(Row { sign: Sign::Title, near: near_title, far: far_title, name: String::new() });
            compare(s, near.response.as_ref(), far.response.as_ref(), &mut rows);
        }
        if self.changes {
            rows.retain(|row| row.sign != Sign::Same);
        }
        self.rows = rows;
    }

    fn change(&mut self, back: bool) -> Step {
        let here = self.list.cursor;
        let differs = |at: &usize| self.rows.get(*at).is_some_and(|row| !matches!(row.sign, Sign::Same | Sign::Title));
        let found = if back { (0..here).rev().find(differs) } else { (here + 1..self.rows.len()).find(differs) };
        match found {
            Some(at) => {
                self.list.cursor = at;
                Step::Done
            }
            None => Step::Say(format!("no {} change", if back { "earlier" } else { "later" })),
        }
    }

    /// What stands above the two columns.
    fn titles(&self, s: &Shared) -> Option<[String; 2]> {
        if let Some((first, second)) = self.marked {
            return Some([first, second].map(|what| match message::head(s, what) {
                Some((x, head)) => format!("■ #{} {} → {}  packet {}", x.id.0, x.client, x.server, head.at.number()),
                None => "■".to_owned(),
            }));
        }
        let (hop, near, far) = self.ends(s)?;
        let name = s.hop_name(hop);
        let head = |from: &str, to: &str, x: &Exchange| format!("{from} → {to}  packet {}", x.request.at.number());
        let onward = self.which.get(s).and_then(|c| c.hops.iter().find(|next| next.between.0 == far.id));
        let next = onward.map_or_else(|| "backend".to_owned(), |hop| s.hop_name(hop));
        Some([head("client side", &name, near), head(&name, &next, far)])
    }

    fn count(&self, sign: Sign) -> usize {
        self.rows.iter().filter(|row| row.sign == sign).count()
    }
}

impl View for Diff {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        if self.marked.is_some() {
            return "diff of the marked messages".to_owned();
        }
        let chain = self.which.get(s);
        let leg = |x: &Exchange| {
            chain
                .and_then(|c| c.legs.iter().position(|id| *id == x.id))
                .map_or_else(String::new, |at| (at + 1).to_string())
        };
        match self.ends(s) {
            Some((_, near, far)) => format!("diff of legs {} and {}", leg(near), leg(far)),
            None => "diff".to_owned(),
        }
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        if self.secrets != s.text.secrets() {
            self.build(s);
        }
        let Some([near, far]) = self.titles(s) else { return };
        let pane = if area.height >= PANE_FROM { PANE.max(area.height / 3) } else { 0 };
        let half = usize::from(area.width.saturating_sub(6) / 2);
        let titles = Line::of(Tone::Strong, format!("   {}", fill(&near, half)))
            .add(Tone::Dim, "│ ")
            .add(Tone::Strong, fill(&far, half));
        put(buf, s.theme, (area.left(), area.top()), area.width, &titles, Style::new());
        self.top = area.top() + 1;
        let height = area.height.saturating_sub(1 + pane);
        let window = self.list.window(usize::from(height), self.rows.len());
        for (at, y) in window.zip(self.top..) {
            let Some(row) = self.rows.get(at) else { continue };
            let chosen = at == self.list.cursor;
            let base = if chosen { s.theme.cursor() } else { Style::new() };
            let (glyph, tone) = row.sign.glyph();
            let text = if row.sign == Sign::Same { Tone::Plain } else { tone };
            let line = Line::of(Tone::Strong, if chosen { "►" } else { " " })
                .add(tone, format!("{glyph} "))
                .add(text, fill(&row.near, half))
                .add(Tone::Dim, "│ ")
                .add(text, fill(&row.far, half));
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
            put(buf, s.theme, (area.left(), y), area.width, &line, base);
        }
        if pane > 0 {
            let below = Rect { y: area.bottom() - pane, height: pane, ..area };
            self.pane(s, below, buf);
        }
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.list.act(action, self.rows.len()) {
            return Step::Done;
        }
        let hops = self.which.get(s).map_or(1, |chain| chain.hops.len().max(1));
        match action {
            Action::Pane | Action::PaneBack if self.marked.is_some() => return Step::Ignored,
            Action::Next => return self.change(false),
            Action::Previous => return self.change(true),
            Action::Pane | Action::PaneBack => {
                self.hop = (self.hop + if action == Action::Pane { 1 } else { hops - 1 }) % hops;
                self.build(s);
            }
            Action::OnlyChanges => {
                self.changes = !self.changes;
                self.build(s);
            }
            Action::Copy => {
                let row = self.rows.get(self.list.cursor);
                return row.map_or(Step::Ignored, |row| Step::Copy(format!("{}\n{}", row.near, row.far)));
            }
            _ => return Step::Ignored,
        }
        self.list.shrink(self.rows.len());
        Step::Done
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.list.cursor, self.rows.len())
    }

    fn changed(&mut self, s: &mut Shared) {
        self.build(s);
        self.list.shrink(self.rows.len());
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.rows.len())
    }
}

impl Diff {
    /// What the field under the cursor is whole, and the findings that speak of it; else the verdict.
    fn pane(&self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let columns = usize::from(area.width);
        let Some(chain) = self.which.get(s) else { return };
        let mut title = Line::new();
        let words = [(Sign::Lost, "lost"), (Sign::Changed, "changed"), (Sign::Added, "added")];
        for (sign, word) in words.into_iter().filter(|(sign, _)| self.count(*sign) > 0) {
            title.push(sign.glyph().1, format!("{word} {}  ", self.count(sign)));
        }
        title.push(Tone::Dim, "= same ~ changed - lost + added c letter case");
        paint::rule(buf, s.theme, Rect { height: 1, ..area }, &title);
        let mut out = Vec::new();
        if let Some(row) = self.rows.get(self.list.cursor).filter(|row| row.sign != Sign::Title) {
            verdict::labelled(&mut out, "near", Tone::Plain, &row.near, columns);
            verdict::labelled(&mut out, "far", Tone::Plain, &row.far, columns);
            let speaks = |text: &str| !row.name.is_empty() && text.to_lowercase().contains(&row.name);
            let all = s.findings(chain).into_iter().filter_map(|i| s.a.findings.get(i));
            for finding in all.filter(|f| speaks(&s.text.text(&f.message))).take(2) {
                out.extend(verdict::finding(s, finding, columns));
            }
        }
        out.extend(verdict::lines(s, chain, columns));
        paint::lines(buf, s.theme, Rect { y: area.y + 1, height: area.height - 1, ..area }, &out);
    }
}

/// Lines of two heads beside each other: in the order of the near one, then what only the far one has. Lines of one
/// name are paired in their order.
fn compare(s: &Shared, near: Option<&Head>, far: Option<&Head>, out: &mut Vec<Row>) {
    let first = |head: Option<&Head>| head.map(|head| start(s, head)).unwrap_or_default();
    let (a, b) = (first(near), first(far));
    let sign = if a == b { Sign::Same } else { Sign::Changed };
    out.push(Row { sign, near: a, far: b, name: String::new() });
    let fields = |head: Option<&Head>| -> Vec<(Vec<u8>, Vec<u8>)> {
        head.map(|head| head.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect()).unwrap_or_default()
    };
    let mut rest: Vec<Option<(Vec<u8>, Vec<u8>)>> = fields(far).into_iter().map(Some).collect();
    let shown = |name: &[u8], value: &[u8]| format!("{}: {}", s.text.bytes(name), s.text.field(name, value));
    let lower = |name: &[u8]| s.text.bytes(&name.to_ascii_lowercase());
    for (name, value) in fields(near) {
        let pair = rest.iter_mut().find(|other| other.as_ref().is_some_and(|(n, _)| n.eq_ignore_ascii_case(&name)));
        let near = shown(&name, &value);
        let row = match pair.and_then(Option::take) {
            Some((n, v)) => {
                let sign = match (v == value, n == name) {
                    (true, true) => Sign::Same,
                    (true, false) => Sign::Case,
                    (false, _) => Sign::Changed,
                };
                Row { sign, near, far: shown(&n, &v), name: lower(&name) }
            }
            None => Row { sign: Sign::Lost, near, far: "· missing ·".to_owned(), name: lower(&name) },
        };
        out.push(row);
    }
    for (name, value) in rest.into_iter().flatten() {
        let far = shown(&name, &value);
        out.push(Row { sign: Sign::Added, near: "· absent ·".to_owned(), far, name: lower(&name) });
    }
}

fn start(s: &Shared, head: &Head) -> String {
    let version = s.text.bytes(head.version());
    match head.status() {
        Some(status) => format!("{version} {status} {}", s.text.bytes(head.reason())),
        None => format!("{} {} {version}", s.text.bytes(head.method()), s.text.url(head.target())),
    }
}
