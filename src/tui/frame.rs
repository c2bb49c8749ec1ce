//! What is around every screen: path and progress, filter, counters, keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::input::Input;
use super::keys;
use super::paint::{self, Line, clip_middle, put, width};
use super::shared::{Shared, bytes, grouped};
use super::theme::Tone;

/// How far reading is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub bytes: u64,
    /// `None`: nobody knows, as of a pipe.
    pub total: Option<u64>,
    /// Since it began.
    pub seconds: f64,
    /// All is read; the verdicts are being found.
    pub judging: bool,
    /// It is a capture that runs.
    pub live: Option<Alive>,
}

/// How a capture that runs stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// Its devices and pipes, safe to print.
    pub names: String,
    pub packets: u64,
    /// Packets dropped by the kernel and by the interfaces.
    pub dropped: u64,
    /// The file that keeps the packets, safe to print. `None`: they are not kept.
    pub file: Option<String>,
    pub kept: u64,
    /// Packets that should be kept and are not.
    pub not_kept: u64,
}

/// What the frame is about.
pub(super) struct Framed<'a> {
    pub(super) path: &'a [String],
    pub(super) place: &'static str,
    pub(super) cursor: (usize, usize),
    /// What is being typed, and the sign before it.
    pub(super) typing: Option<(char, &'a Input)>,
    pub(super) said: Option<&'a str>,
    pub(super) reading: Option<&'a Reading>,
    /// It ended too early.
    pub(super) failed: bool,
    /// Whether the view is held, or follows.
    pub(super) live: &'a str,
}

/// Rows from which all parts of the frame are drawn.
const WHOLE: u16 = 16;

/// Draws it; what is left for the screen, and where the terminal's cursor belongs.
pub(super) fn draw(s: &Shared, f: &Framed<'_>, area: Rect, buf: &mut Buffer) -> (Rect, Option<Position>) {
    first(s, f, Rect { height: 1, ..area }, buf);
    let whole = area.height >= WHOLE;
    let mut top = area.top() + 1;
    let mut cursor = None;
    if whole || f.typing.is_some() || !s.filter.text.is_empty() {
        cursor = filter(s, f, Rect { y: top, height: 1, ..area }, buf);
        top += 1;
    }
    let mut bottom = area.bottom() - 1;
    footer(s, f, Rect { y: bottom, height: 1, ..area }, buf);
    if whole || f.said.is_some() || (f.typing.is_some() && s.filter.error.is_some()) {
        bottom -= 1;
        status(s, f, Rect { y: bottom, height: 1, ..area }, buf);
    }
    (Rect { y: top, height: bottom.saturating_sub(top), ..area }, cursor)
}

/// Where one is, and what is read.
fn first(s: &Shared, f: &Framed<'_>, area: Rect, buf: &mut Buffer) {
    let mut right = Line::of(Tone::Accent, f.live);
    right.0.extend(match f.reading {
        Some(reading) => progress(reading, usize::from(area.width)).0,
        None if f.failed => Line::of(Tone::Error, "✗ not all was read ").0,
        None => Line::of(Tone::Dim, format!("{} ", clip_middle(&s.source(), usize::from(area.width) / 3))).0,
    });
    let mut left = Line::of(Tone::Strong, " hopscope");
    for part in f.path {
        left.push(Tone::Dim, " › ");
        left.push(Tone::Strong, part);
    }
    let room = usize::from(area.width).saturating_sub(right.width() + 1);
    put(buf, s.theme, (area.x, area.y), u16::try_from(room).unwrap_or(area.width), &left, Style::new());
    put_right(s, &right, area, buf);
}

/// A bar, and how long it will take.
fn progress(r: &Reading, columns: usize) -> Line {
    if let Some(live) = &r.live {
        return Line::of(Tone::Good, format!("live {} ", clip_middle(&live.names, columns / 3)));
    }
    if r.judging {
        return Line::of(Tone::Info, "finding verdicts … ");
    }
    let rate = if r.seconds > 0.2 { r.bytes as f64 / r.seconds } else { 0.0 };
    let per_second = |rate: f64| if rate > 0.0 { format!("{:.0} MB/s", rate / 1e6) } else { String::new() };
    let Some(total) = r.total.filter(|total| *total > 0) else {
        return Line::of(Tone::Info, format!("{}B read  {} ", bytes(r.bytes), per_second(rate)));
    };
    let done = (r.bytes as f64 / total as f64).clamp(0.0, 1.0);
    let cells = if columns >= 120 { 24 } else { 10 };
    let full = (1..=cells).filter(|cell| f64::from(*cell) / f64::from(cells) <= done).count();
    let bar = "█".repeat(full) + &" ".repeat(usize::try_from(cells).unwrap_or(0).saturating_sub(full));
    let left =
        if rate > 0.0 { format!("{:.0} s left", total.saturating_sub(r.bytes) as f64 / rate) } else { String::new() };
    let percent = format!("{:3.0}%", done * 100.0);
    let text = if columns >= 120 {
        format!("{}B of {}B ▕{bar}▏ {percent}  {}  {left} ", bytes(r.bytes), bytes(total), per_second(rate))
    } else if columns >= 60 {
        format!("▕{bar}▏{percent} {left} ")
    } else {
        format!("{percent} ")
    };
    Line::of(Tone::Info, text)
}

/// The filter, or what is typed; how many match.
fn filter(s: &Shared, f: &Framed<'_>, area: Rect, buf: &mut Buffer) -> Option<Position> {
    let going = if s.is_filtering() { "… " } else { "" };
    let matches = format!("{going}{} of {} ", grouped(s.visible.len() as u64), grouped(s.a.chains.len() as u64));
    let right = if s.filter.text.is_empty() {
        let (at, rows) = f.cursor;
        Line::of(
            Tone::Dim,
            if rows > 0 { format!("{}/{} ", grouped(at as u64 + 1), grouped(rows as u64)) } else { String::new() },
        )
    } else {
        Line::of(Tone::Strong, matches)
    };
    let room = usize::from(area.width).saturating_sub(right.width() + 5);
    let tone = if s.filter.error.is_some() { Tone::Error } else { Tone::Good };
    let mut cursor = None;
    let line = match f.typing {
        Some((sign, input)) => {
            let text: Vec<char> = input.text().chars().collect();
            let before: String = text.iter().take(input.cursor()).collect();
            // What stands left of the place that is typed at is cut first.
            let skip = width(&before).saturating_sub(room.saturating_sub(1));
            let shown: String = text.iter().skip(skip).collect();
            let column = (3 + width(&before).saturating_sub(skip)).min(usize::from(area.width) - 1);
            cursor = u16::try_from(column).ok().map(|column| Position::new(area.x + column, area.y));
            let tone = if sign == '/' { tone } else { Tone::Plain };
            // Bytes that were typed or pasted are shown as captured ones are.
            Line::of(Tone::Accent, format!(" {sign} ")).add(tone, paint::clip(&safe(&shown), room))
        }
        None if s.filter.text.is_empty() => Line::of(Tone::Dim, " / all"),
        None => Line::of(Tone::Dim, " / ").add(tone, paint::clip(&safe(&s.filter.text), room)),
    };
    let line = match s.order().words() {
        words if words.is_empty() || f.typing.is_some() => line,
        words => line.add(Tone::Info, format!("   {words}")),
    };
    put(buf, s.theme, (area.x, area.y), area.width, &line, Style::new());
    put_right(s, &right, area, buf);
    cursor
}

/// A word to the user, or what was counted.
fn status(s: &Shared, f: &Framed<'_>, area: Rect, buf: &mut Buffer) {
    if let Some(error) = s.filter.error.as_ref().filter(|_| f.typing.is_some()) {
        let line = Line::of(Tone::Error, format!(" {}", safe(error)));
        put(buf, s.theme, (area.x, area.y), area.width, &line, Style::new());
        return;
    }
    if let Some(said) = f.said {
        put(buf, s.theme, (area.x, area.y), area.width, &Line::of(Tone::Info, format!(" {said}")), Style::new());
        return;
    }
    if let Some(live) = f.reading.and_then(|reading| reading.live.as_ref()) {
        put(buf, s.theme, (area.x, area.y), area.width, &alive(s, live, usize::from(area.width)), Style::new());
        put_right(s, &verdicts(s), area, buf);
        return;
    }
    if f.reading.is_some() && !s.a.chains.is_empty() {
        let line =
            Line::of(Tone::Info, format!(" {} chains so far; verdicts may change", grouped(s.a.chains.len() as u64)));
        put(buf, s.theme, (area.x, area.y), area.width, &line, Style::new());
        return;
    }
    if s.a.inputs.is_empty() || f.reading.is_some() {
        return;
    }
    let c = &s.a.counters;
    let mut line = Line::of(Tone::Dim, format!(" pkts {}  flows {}", grouped(c.packets), grouped(c.flows)));
    line.push(Tone::Dim, format!("  requests {}", grouped(c.http_requests)));
    let lost = [
        ("dropped", c.dropped_kernel + c.dropped_interface + c.dropped_hopscope),
        ("cut", s.a.inputs.iter().map(|i| i.snapped).sum()),
        ("gaps", c.gaps),
        ("evicted", c.evicted),
        ("damaged", s.a.inputs.iter().map(|i| i.damage.len() as u64).sum()),
    ];
    for (word, n) in lost.into_iter().filter(|(_, n)| *n > 0) {
        line.push(Tone::Warning, format!("  {word} {}", grouped(n)));
    }
    let lacks = |at: &usize| s.a.findings.get(*at).is_some_and(|f| f.rule.starts_with("cap-"));
    if s.facts.lone().iter().any(lacks) {
        line.push(Tone::Warning, "  limits: 5");
    }
    put(buf, s.theme, (area.x, area.y), area.width, &line, Style::new());
    put_right(s, &verdicts(s), area, buf);
}

/// How many chains are faulty.
fn verdicts(s: &Shared) -> Line {
    let mut right = Line::new();
    if s.text.secrets() {
        right.push(Tone::Warning, "secrets shown  ");
    }
    right.push(Tone::Error, format!("✗ {}", s.errors));
    right.push(Tone::Warning, format!("  ! {} ", s.warnings));
    right
}

/// What a running capture has seen, lost and kept.
fn alive(s: &Shared, live: &Alive, columns: usize) -> Line {
    let mut line = Line::of(Tone::Dim, format!(" pkts {}", grouped(live.packets)));
    let tone = if live.dropped == 0 { Tone::Dim } else { Tone::Warning };
    line.push(tone, format!("  dropped {}", grouped(live.dropped)));
    if s.a.counters.evicted > 0 {
        line.push(Tone::Warning, format!("  evicted {}", grouped(s.a.counters.evicted)));
    }
    if live.not_kept > 0 {
        line.push(Tone::Error, format!("  NOT KEPT {}", grouped(live.not_kept)));
    }
    if let Some(file) = &live.file {
        line.push(Tone::Dim, format!("  kept {} in {}", grouped(live.kept), clip_middle(file, columns / 3)));
    }
    line
}

/// The keys of this screen, as many as there is room for; help always.
fn footer(s: &Shared, f: &Framed<'_>, area: Rect, buf: &mut Buffer) {
    let mut keys: Vec<(&str, &str)> = match f.typing {
        Some(_) => vec![("Enter", "take"), ("Esc", "leave"), ("↑", "earlier")],
        None => keys::of(f.place).filter(|b| !b.short.is_empty()).map(|b| (shown(b), b.short)).collect(),
    };
    let length = |(key, short): &(&str, &str)| width(key) + width(short) + 3;
    // The last one is help.
    let last = keys.pop();
    let mut room = usize::from(area.width).saturating_sub(1 + last.as_ref().map_or(0, length));
    let mut line = Line::of(Tone::Plain, " ");
    for key in keys.into_iter() {
        match room.checked_sub(length(&key)) {
            Some(left) => room = left,
            None => continue,
        }
        line.push(Tone::Accent, key.0);
        line.push(Tone::Plain, format!(" {}  ", key.1));
    }
    if let Some((key, short)) = last {
        line.push(Tone::Accent, key);
        line.push(Tone::Plain, format!(" {short}"));
    }
    put(buf, s.theme, (area.x, area.y), area.width, &line, Style::new());
}

fn shown(binding: &keys::Binding) -> &'static str {
    binding.keys.first().map_or("", |key| keys::printed(key))
}

fn put_right(s: &Shared, line: &Line, area: Rect, buf: &mut Buffer) {
    let columns = u16::try_from(line.width()).unwrap_or(area.width).min(area.width);
    put(buf, s.theme, (area.right() - columns, area.y), columns, line, Style::new());
}

/// What was typed, with what could act on a terminal spelt out.
fn safe(text: &str) -> String {
    text.split('\\').map(|part| crate::base::escape::escape(part.as_bytes())).collect::<Vec<_>>().join("\\")
}
