//! Chains and legs on an axis of time: what they did when, and the cells that show it.

use crate::base::{Nanos, Timestamp};
use crate::model::{Chain, ConnectState, Direction, EndHow, Exchange, FlowFacts, Severity};

use super::paint::Line;
use super::shared::{Mark, Shared};
use super::theme::Tone;

/// What goes on in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The connection is opened.
    Tcp,
    /// From the open connection to the request, inside TLS.
    Tls,
    /// The same in clear: nobody asked for anything yet.
    Idle,
    Request,
    /// The client waits for the first byte of the answer.
    Wait,
    Answer,
    /// The WebSocket is open.
    Open,
    /// Nothing came any more, and nothing ended it: no answer, or still open when the capture ended.
    Silent,
}

impl Phase {
    pub fn glyph(self) -> (char, Tone) {
        match self {
            Phase::Tcp => ('░', Tone::Dim),
            Phase::Tls => ('▓', Tone::Dim),
            Phase::Idle => ('·', Tone::Dim),
            Phase::Request | Phase::Wait | Phase::Answer => ('▒', Tone::Plain),
            Phase::Open => ('━', Tone::Good),
            Phase::Silent => ('┄', Tone::Dim),
        }
    }

    /// Whether it is seen however short it was.
    fn is_kept(self) -> bool {
        matches!(self, Phase::Tcp | Phase::Tls | Phase::Wait | Phase::Open)
    }
}

/// One phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub phase: Phase,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// A frame on the bar.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    pub ts: Timestamp,
    pub from: Direction,
    /// The worst that it is evidence of.
    pub fault: Option<Severity>,
}

/// What one row shows.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    /// In the order of time, none overlapping another.
    pub spans: Vec<Span>,
    pub ticks: Vec<Tick>,
    /// What stands behind the last span.
    pub mark: Option<Mark>,
}

/// The part of time that is in view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Axis {
    pub from: Timestamp,
    /// At least one nanosecond.
    pub length: Nanos,
}

impl Axis {
    /// The column of a moment, of so many; beyond them on either side where it is not in view.
    #[allow(clippy::cast_possible_truncation, reason = "a float saturates")]
    pub fn column(&self, ts: Timestamp, columns: usize) -> i64 {
        let share = ts.since(self.from).0 as f64 / self.length.0.max(1) as f64;
        (share * columns as f64).floor().clamp(-1e9, 1e9) as i64
    }

    /// The moment at which a column begins.
    #[allow(clippy::cast_possible_truncation, reason = "a float saturates")]
    pub fn at(&self, column: usize, columns: usize) -> Timestamp {
        let share = column as f64 / columns.max(1) as f64;
        self.from + Nanos((self.length.0 as f64 * share) as i64)
    }

    pub fn end(&self) -> Timestamp {
        self.from + self.length
    }
}

/// A chain: its first leg, or its connection.
pub fn of_chain(s: &Shared, chain: &Chain) -> Bar {
    let mut bar = match s.legs(chain).next() {
        Some(x) => of_leg(s, x),
        None => chain.flow.and_then(|id| s.flow(id)).map(of_flow).unwrap_or_default(),
    };
    bar.mark = Some(s.mark(chain)).filter(|mark| matches!(mark, Mark::Error | Mark::Warning | Mark::Unknown));
    bar
}

/// A leg alone.
pub fn of_leg(s: &Shared, x: &Exchange) -> Bar {
    let mut bar = Bar::default();
    if let Some(syn) = x.times.syn.filter(|_| x.index_in_flow == 0) {
        let open = syn + x.times.rtt.unwrap_or_default();
        bar.add(Phase::Tcp, syn, open);
        let secured = x.is_inside_tls();
        bar.add(if secured { Phase::Tls } else { Phase::Idle }, open, x.request.first);
    }
    let last = x.times.last.unwrap_or(x.request.last);
    let end = x.end.tcp_at.into_iter().chain(x.end.at).max().unwrap_or(last);
    bar.add(Phase::Request, x.request.first, x.request.last);
    match &x.response {
        Some(head) => {
            bar.add(Phase::Wait, x.request.last, head.first);
            bar.add(Phase::Answer, head.first, head.last);
            if x.granted().is_some() {
                bar.add(Phase::Open, head.last, end.max(last));
            }
        }
        None => bar.add(Phase::Wait, x.request.last, end.max(last)),
    }
    let open = x.granted().is_some() || x.response.is_none();
    if let Some(over) = s.last().filter(|_| open && matches!(x.end.how, EndHow::Open | EndHow::Silent)) {
        bar.add(Phase::Silent, end.max(last), over);
    }
    bar.frames(s, x);
    bar.mark = worst(s, x);
    bar
}

/// A connection without a request.
pub fn of_flow(flow: &FlowFacts) -> Bar {
    let mut bar = Bar::default();
    let end = flow.end_at.unwrap_or(flow.syn_at);
    let phase = if flow.state == ConnectState::Established { Phase::Idle } else { Phase::Tcp };
    bar.add(phase, flow.syn_at, end);
    bar
}

/// The cells of a bar: one for each column.
pub fn cells(bar: &Bar, axis: Axis, columns: usize) -> Line {
    let mut cells = vec![(' ', Tone::Plain); columns];
    let mut put = |at: i64, cell: (char, Tone)| {
        if let Some(place) = usize::try_from(at).ok().and_then(|at| cells.get_mut(at)) {
            *place = cell;
        }
    };
    // Short phases get a cell of their own, and push what follows on: a handshake of a millisecond is what one
    // looks for on an axis of hours.
    let mut next = i64::MIN;
    let mut open = None;
    for span in &bar.spans {
        let from = axis.column(span.from, columns).max(next);
        let to = axis.column(span.to, columns).max(from + i64::from(span.phase.is_kept()));
        let wide = i64::try_from(columns).unwrap_or(i64::MAX);
        (from.max(0)..to.min(wide)).for_each(|at| put(at, span.phase.glyph()));
        next = to;
        if span.phase == Phase::Open {
            open = Some((from, to));
        }
    }
    if let Some((from, to)) = open {
        let faulty = bar.ticks.iter().filter(|tick| tick.fault.is_some());
        for tick in bar.ticks.iter().chain(faulty) {
            let at = axis.column(tick.ts, columns).clamp(from, (to - 1).max(from));
            put(at, tick_glyph(tick));
        }
    }
    if let Some(mark) = bar.mark {
        let (glyph, tone) = mark.glyph();
        put(next, (glyph.chars().next().unwrap_or(' '), tone));
    }
    let mut line = Line::new();
    for (glyph, tone) in cells {
        match line.0.last_mut() {
            Some((last, text)) if *last == tone => text.push(glyph),
            _ => line.push(tone, glyph),
        }
    }
    line
}

fn tick_glyph(tick: &Tick) -> (char, Tone) {
    match tick.fault {
        Some(severity) => {
            let (glyph, tone) = Mark::of(severity).glyph();
            (glyph.chars().next().unwrap_or(' '), tone)
        }
        None if tick.from == Direction::ClientToServer => ('╋', Tone::Strong),
        None => ('┿', Tone::Plain),
    }
}

impl Bar {
    /// A phase behind the others; what would be before them is cut.
    fn add(&mut self, phase: Phase, from: Timestamp, to: Timestamp) {
        let from = self.spans.last().map_or(from, |last| from.max(last.to));
        if to > from || phase.is_kept() {
            self.spans.push(Span { phase, from, to: to.max(from) });
        }
    }

    fn frames(&mut self, s: &Shared, x: &Exchange) {
        let Some(talk) = &x.talk else { return };
        let rows = s.row(x.id).into_iter().flat_map(|row| &row.findings);
        let findings = rows.filter_map(|&i| s.a.findings.get(i)).filter(|f| f.severity > Severity::Info && !f.allowed);
        let places: Vec<_> = findings.flat_map(|f| f.evidence.iter().map(|e| (e.at, f.severity))).collect();
        self.ticks = (talk.frames.iter())
            .map(|frame| {
                let fault = places.iter().filter(|(at, _)| *at == frame.at).map(|(_, severity)| *severity).max();
                Tick { ts: frame.ts, from: frame.from, fault }
            })
            .collect();
    }

    /// From the first moment to the last. `None`: there is none.
    pub fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.spans.first()?.from, self.spans.last()?.to))
    }
}

fn worst(s: &Shared, x: &Exchange) -> Option<Mark> {
    let findings = s.row(x.id)?.findings.iter().filter_map(|&i| s.a.findings.get(i));
    let worst = findings.filter(|f| !f.allowed).map(|f| f.severity).max()?;
    Some(Mark::of(worst)).filter(|mark| *mark != Mark::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    fn text(bar: &Bar, from: i64, length: i64) -> String {
        cells(bar, Axis { from: at(from), length: Nanos::from_millis(length) }, 10).text()
    }

    fn bar() -> Bar {
        let mut bar = Bar { mark: Some(Mark::Error), ..Bar::default() };
        bar.add(Phase::Tcp, at(0), at(1));
        bar.add(Phase::Idle, at(1), at(2));
        bar.add(Phase::Wait, at(2), at(20));
        bar.add(Phase::Open, at(20), at(70));
        let tick = |ms| Tick { ts: at(ms), from: Direction::ClientToServer, fault: None };
        bar.ticks = vec![tick(20), tick(55)];
        bar
    }

    #[test]
    fn short_phases_have_a_cell_and_long_ones_their_length() {
        assert_eq!(text(&bar(), 0, 100), "░▒╋━━╋━✗  ");
        assert_eq!(text(&bar(), 0, 10), "░·▒▒▒▒▒▒▒▒");
    }

    #[test]
    fn what_is_out_of_view_is_not_drawn() {
        assert_eq!(text(&bar(), 50, 40), "━╋━━━✗    ");
        assert_eq!(text(&bar(), 500, 40), " ".repeat(10));
        assert_eq!(text(&bar(), -500, 40), " ".repeat(10));
    }

    #[test]
    fn columns_and_moments_fit_together() {
        let axis = Axis { from: at(100), length: Nanos::from_millis(50) };
        for column in 0..10 {
            assert_eq!(axis.column(axis.at(column, 10), 10), i64::try_from(column).unwrap_or(-1));
        }
    }
}
