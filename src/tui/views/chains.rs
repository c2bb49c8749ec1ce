//! Home: one row for each chain, which unfolds into its legs; below, the verdict on the one under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::{Chain, Exchange};
use crate::tui::keys::Action;
use crate::tui::order::{Order, Sort};
use crate::tui::paint::{self, Line, fill, fill_left};
use crate::tui::shared::{Mark, Shared, bytes, grouped, span};
use crate::tui::theme::Tone;
use crate::tui::tree::{Row, Tree};

use super::{Screen, Step, View, summary, verdict};

pub static SCREEN: Screen = Screen { name: "chains", action: Action::Chains, open };

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    Ok(Box::new(Chains { tree: Tree::new(s), ..Chains::default() }))
}

/// Rows of the body below which there is no pane for the verdict.
const PANE_FROM: u16 = 15;
/// Rows of that pane, of a small and a large screen.
const PANE: [u16; 2] = [10, 16];
/// Rows of the body from which a screen is large.
const LARGE: u16 = 36;

#[derive(Default)]
struct Chains {
    tree: Tree,
    /// First row of the list, and first column, on the screen.
    top: u16,
    left: u16,
    /// As they were drawn last.
    columns: Vec<(Kind, usize)>,
}

impl View for Chains {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, _: &Shared) -> String {
        "chains".to_owned()
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        if s.visible.is_empty() {
            return empty(s, area, buf);
        }
        // What the list does not need is the pane's.
        let rows = u16::try_from(self.tree.rows()).unwrap_or(u16::MAX);
        let free = area.height.saturating_sub(rows.saturating_add(2));
        let pane = match area.height {
            0..PANE_FROM => 0,
            PANE_FROM..LARGE => PANE[0].max(free),
            LARGE.. => PANE[1].max(free),
        };
        let columns = columns(area.width);
        let head = heads(&columns, s.order());
        paint::put(buf, s.theme, (area.left(), area.top()), area.width, &head, Style::new());
        (self.top, self.left) = (area.top() + 1, area.left());
        let height = area.height.saturating_sub(1 + pane);
        let window = self.tree.list.window(usize::from(height), self.tree.rows());
        for (at, y) in window.zip(self.top..) {
            let line = match self.tree.row(at) {
                Row::Group(group) => self.tree.heading(s, group),
                Row::Chain(place) => match s.at(place) {
                    Some((_, chain)) => chain_line(s, chain, self.tree.signs(s, place), &columns),
                    None => continue,
                },
                Row::Leg(place, leg) => match s.at(place) {
                    Some((_, chain)) => leg_line(s, chain, leg, area.width),
                    None => continue,
                },
            };
            let base = if at == self.tree.list.cursor { s.theme.cursor() } else { Style::new() };
            paint::put(buf, s.theme, (area.left(), y), area.width, &line, base);
            if at == self.tree.list.cursor {
                paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
                paint::put(buf, s.theme, (area.left(), y), 1, &Line::of(Tone::Strong, "►"), base);
            }
        }
        if pane > 0
            && let Some((_, chain)) = s.at(self.tree.place(s))
        {
            let below = Rect { y: area.bottom() - pane, height: pane, ..area };
            verdict_pane(s, chain, below, buf);
        }
        self.columns = columns;
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.tree.moved(action, s) {
            return Step::Done;
        }
        let rows = self.tree.rows();
        match action {
            Action::Enter if rows > 0 => Step::Go(Action::Ladder),
            Action::Right | Action::Left if rows > 0 => self.tree.fold(s, Some(action == Action::Right)),
            Action::Copy => match s.chain() {
                Some(chain) => {
                    let lines = verdict::lines(s, chain, 100);
                    Step::Copy(lines.iter().map(|line| format!("{}\n", line.text())).collect())
                }
                None => Step::Ignored,
            },
            Action::Mark if rows > 0 => {
                self.tree.mark(s);
                Step::Done
            }
            Action::Next | Action::Previous => self.tree.fault(s, action == Action::Previous),
            _ => Step::Ignored,
        }
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.tree.list.cursor, self.tree.rows())
    }

    fn click(&mut self, (_, y): (u16, u16), s: &mut Shared) -> bool {
        self.tree.click(y.checked_sub(self.top), s)
    }

    fn heading_at(&self, (x, y): (u16, u16)) -> Option<Sort> {
        if y + 1 != self.top {
            return None;
        }
        let at = usize::from(x.checked_sub(self.left)?);
        let mut end = 0;
        let column = self.columns.iter().find(|(_, columns)| {
            end += columns + 1;
            at < end
        });
        sort(column?.0)
    }

    fn changed(&mut self, s: &mut Shared) {
        self.tree.changed(s);
    }
}

/// What a column tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mark,
    Number,
    Time,
    Client,
    Server,
    Host,
    Path,
    Status,
    Legs,
    Frames,
    Up,
    Down,
    Lasted,
    Verdict,
}

/// The columns that a screen of this width has room for, and their widths. What is cut is cut in paths, hosts and
/// verdicts, never in numbers.
fn columns(width: u16) -> Vec<(Kind, usize)> {
    use Kind::*;
    // Least width, kind, fixed width; 0: it shares what is left.
    let all: &[(u16, Kind, usize)] = &[
        (0, Mark, 4),
        (0, Number, 5),
        (66, Time, 12),
        (100, Client, 21),
        (150, Server, 21),
        (130, Host, 0),
        (0, Path, 0),
        (0, Status, 3),
        (60, Legs, 2),
        (112, Frames, 6),
        (150, Up, 5),
        (150, Down, 5),
        (76, Lasted, 8),
        (50, Verdict, 0),
    ];
    let chosen: Vec<_> = all.iter().filter(|(least, ..)| width >= *least).collect();
    let fixed: usize = chosen.iter().map(|(_, _, columns)| columns + 1).sum();
    let left = usize::from(width).saturating_sub(fixed);
    // A verdict is longer than a path, and tells more.
    let share = |kind: Kind| if kind == Verdict { 5 } else { 2 };
    let shares: usize = chosen.iter().filter(|c| c.2 == 0).map(|c| share(c.1)).sum();
    let of = |kind: Kind, columns: usize| if columns > 0 { columns } else { left * share(kind) / shares.max(1) };
    chosen.iter().map(|(_, kind, columns)| (*kind, of(*kind, *columns))).collect()
}

/// What a click on its heading sorts by.
fn sort(kind: Kind) -> Option<Sort> {
    Some(match kind {
        Kind::Mark | Kind::Verdict => Sort::Verdict,
        Kind::Number | Kind::Time => Sort::Time,
        Kind::Client => Sort::Client,
        Kind::Server => Sort::Server,
        Kind::Host => Sort::Host,
        Kind::Path => Sort::Path,
        Kind::Status => Sort::Status,
        Kind::Legs => Sort::Legs,
        Kind::Frames => Sort::Frames,
        Kind::Up => Sort::Up,
        Kind::Down => Sort::Down,
        Kind::Lasted => Sort::Lasted,
    })
}

/// Names of the columns; the one that is sorted by is lit.
fn heads(columns: &[(Kind, usize)], order: Order) -> Line {
    let mut out = Line::new();
    for (kind, columns) in columns {
        let name = match kind {
            Kind::Mark => "",
            Kind::Number => "#",
            Kind::Time => "Time",
            Kind::Client => "Client",
            Kind::Server => "Server",
            Kind::Host => "Host",
            Kind::Path => "Path",
            Kind::Status => "St",
            Kind::Legs => "Lg",
            Kind::Frames => "Frames",
            Kind::Up => "C→S",
            Kind::Down => "S→C",
            Kind::Lasted => "Lasted",
            Kind::Verdict => "Verdict",
        };
        let sorted = *kind != Kind::Mark && *kind != Kind::Number && sort(*kind) == Some(order.sort);
        let sign = match (sorted && !order.is_natural(), order.falls()) {
            (false, _) => "",
            (true, true) => "▾",
            (true, false) => "▴",
        };
        let tone = if sign.is_empty() { Tone::Dim } else { Tone::Accent };
        let name = format!("{name}{sign}");
        let name = if is_number(*kind) { fill_left(&name, *columns) } else { fill(&name, *columns) };
        out.push(tone, name);
        out.push(Tone::Dim, " ");
    }
    out
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Status | Kind::Legs | Kind::Frames | Kind::Up | Kind::Down | Kind::Lasted)
}

fn chain_line(s: &Shared, chain: &Chain, signs: Line, columns: &[(Kind, usize)]) -> Line {
    let x = chain.legs.first().and_then(|id| s.leg(*id));
    let mut out = Line::new();
    for (kind, columns) in columns {
        let (tone, text) = match kind {
            Kind::Mark => {
                out.0.extend(signs.0.iter().cloned());
                out.push(Tone::Plain, "  ");
                continue;
            }
            kind => cell(s, chain, x, *kind),
        };
        let text = match kind {
            // Its beginning tells the most.
            Kind::Verdict => paint::clip(&text, *columns),
            kind if is_number(*kind) => fill_left(&text, *columns),
            _ => fill(&text, *columns),
        };
        out.push(tone, text);
        out.push(Tone::Plain, " ");
    }
    out
}

fn cell(s: &Shared, chain: &Chain, x: Option<&Exchange>, kind: Kind) -> (Tone, String) {
    let flow = chain.flow.and_then(|id| s.flow(id));
    let ws = x.and_then(|x| x.ws);
    let or_dash = |text: Option<String>| (Tone::Plain, text.unwrap_or_else(|| "–".to_owned()));
    match kind {
        Kind::Mark => (Tone::Plain, String::new()),
        Kind::Number => (Tone::Plain, chain.id.to_string()),
        Kind::Time => or_dash(s.began(chain).map(|ts| s.time(ts))),
        Kind::Client => or_dash(x.map(|x| x.client).or(flow.map(|f| f.client)).map(|end| end.to_string())),
        Kind::Server => or_dash(x.map(|x| x.server).or(flow.map(|f| f.server)).map(|end| end.to_string())),
        Kind::Host => or_dash(x.and_then(|x| x.request.first_value("host")).map(|host| s.text.bytes(host))),
        Kind::Path => match (x, flow) {
            (Some(x), _) => (Tone::Plain, s.text.url(x.request.target())),
            (None, Some(flow)) if flow.sealed().is_some() => (Tone::Dim, format!("(TLS, not read) {}", flow.server)),
            (None, Some(flow)) => (Tone::Dim, format!("(no request) {}", flow.server)),
            (None, None) => (Tone::Plain, String::new()),
        },
        Kind::Status => or_dash(x.map(|x| x.status().map_or_else(|| "…".to_owned(), |status| status.to_string()))),
        Kind::Legs => (Tone::Plain, chain.legs.len().to_string()),
        Kind::Frames => or_dash(ws.map(|ws| grouped(u64::from(ws.client.frames) + u64::from(ws.server.frames)))),
        Kind::Up => or_dash(ws.map(|ws| bytes(ws.client.payload_bytes))),
        Kind::Down => or_dash(ws.map(|ws| bytes(ws.server.payload_bytes))),
        Kind::Lasted => or_dash(s.lasted(chain).map(|length| span(Some(length)))),
        Kind::Verdict => {
            let (_, tone) = s.mark(chain).glyph();
            if chain.verdict.rule == "ok" {
                return (Tone::Dim, chain.outcome.word().to_owned());
            }
            let blame = chain.verdict.blame.as_ref();
            let who = blame.and_then(|b| b.product.as_deref().or(b.address.as_deref()));
            let who = who.map(|who| format!(" {}", s.text.own(who))).unwrap_or_default();
            (tone, format!("{}{who}", s.text.own(&chain.verdict.rule)))
        }
    }
}

/// A leg of an unfolded chain: between whom, what came back, and its worst finding.
fn leg_line(s: &Shared, chain: &Chain, leg: usize, width: u16) -> Line {
    let tree = if leg + 1 == chain.legs.len() { "└" } else { "├" };
    let mut out = Line::of(Tone::Dim, format!("    {tree} leg {} ", leg + 1));
    let Some(row) = chain.legs.get(leg).and_then(|id| s.row(*id)) else { return out };
    let x = &row.exchange;
    out.push(Tone::Plain, format!("{} → {}", x.client, x.server));
    if let Some(hop) = chain.hops.iter().find(|hop| hop.between.0 == x.id) {
        out.push(Tone::Strong, format!(" {}", s.hop_name(hop)));
    }
    out.push(Tone::Plain, format!("  {}", x.status().map_or_else(|| "…".to_owned(), |status| status.to_string())));
    out.push(Tone::Dim, format!(" {}", span(x.latency())));
    let worst = row.findings.iter().filter_map(|&i| s.a.findings.get(i)).max_by_key(|f| f.severity);
    if let Some(worst) = worst {
        let (glyph, tone) = Mark::of(worst.severity).glyph();
        let left = usize::from(width).saturating_sub(out.width() + 2);
        out.push(tone, paint::clip(&format!("  {glyph} {}", s.text.own(&worst.rule)), left));
    }
    out
}

fn verdict_pane(s: &Shared, chain: &Chain, area: Rect, buf: &mut Buffer) {
    let mut title = Line::of(Tone::Strong, format!("#{}", chain.id));
    if let Some(x) = chain.legs.first().and_then(|id| s.leg(*id)) {
        let host = x.request.first_value("host").map(|host| s.text.bytes(host)).unwrap_or_default();
        let room = usize::from(area.width).saturating_sub(12);
        let line = format!(" {} {host}{}", s.text.bytes(x.request.method()), s.text.url(x.request.target()));
        title.push(Tone::Plain, paint::clip_middle(&line, room));
    }
    paint::rule(buf, s.theme, Rect { height: 1, ..area }, &title);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    paint::lines(buf, s.theme, below, &verdict::lines(s, chain, usize::from(area.width)));
}

/// Why there is no row.
fn empty(s: &Shared, area: Rect, buf: &mut Buffer) {
    let all = s.a.chains.len();
    let text = if s.is_filtering() {
        "looking …".to_owned()
    } else if all > 0 {
        format!("Nothing matches the filter; without it there are {}.", grouped(all as u64))
    } else if s.a.inputs.is_empty() {
        String::new()
    } else {
        // Why there is none, and what to do, as a report says it.
        let lines: Vec<Line> = summary::lines(s, usize::from(area.width));
        return paint::lines(buf, s.theme, area, &lines);
    };
    let lines = paint::wrap(&text, usize::from(area.width.saturating_sub(4)));
    let lines: Vec<Line> = lines.into_iter().map(|line| Line::of(Tone::Plain, format!("  {line}"))).collect();
    let area = Rect { y: area.y + area.height.min(3) / 2, height: area.height - area.height.min(3) / 2, ..area };
    paint::lines(buf, s.theme, area, &lines);
}
