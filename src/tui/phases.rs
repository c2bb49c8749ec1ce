//! Where the time of one chain went: phase by phase, and hop by hop.

use crate::base::Nanos;
use crate::model::{Chain, Direction, EndHow, Exchange};

use super::bars::{self, Phase};
use super::events::opcode;
use super::paint::{Line, fill, fill_left};
use super::shared::{Shared, bytes, grouped, span};
use super::theme::Tone;
use super::views::verdict::{self, labelled};

/// Columns from which phases are a table.
const TABLE: usize = 110;
/// Columns of the bar that compares hops.
const BAR: usize = 40;

/// All of it: phases, hops, the last frame, the verdict; as many columns wide.
pub fn lines(s: &Shared, chain: &Chain, columns: usize) -> Vec<Line> {
    let mut out = Vec::new();
    if let Some(x) = s.legs(chain).next() {
        if columns >= TABLE {
            table(s, x, &mut out)
        } else {
            row(s, x, columns, &mut out)
        }
        hops(s, chain, x, columns, &mut out);
        labelled(&mut out, "last", Tone::Plain, &last_frame(s, x), columns);
    }
    out.extend(verdict::lines(s, chain, columns));
    out
}

/// What a phase is called, and who waits in it.
fn words(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Tcp => ("TCP connect", "client"),
        Phase::Tls => ("TLS, to request", "client"),
        Phase::Idle => ("before request", "–"),
        Phase::Request => ("request sent", "server"),
        Phase::Wait => ("first byte wait", "client"),
        Phase::Answer => ("answer received", "client"),
        Phase::Open => ("WebSocket open", "–"),
        Phase::Silent => ("nothing more", "–"),
    }
}

fn table(s: &Shared, x: &Exchange, out: &mut Vec<Line>) {
    let heads = format!("   {} {} {}  who waits", fill("phase", 16), fill_left("start", 12), fill_left("length", 12));
    out.push(Line::of(Tone::Dim, heads));
    let bar = bars::of_leg(s, x);
    let Some((zero, _)) = bar.bounds() else { return };
    for part in &bar.spans {
        let (glyph, tone) = part.phase.glyph();
        let (word, waits) = words(part.phase);
        let start = format!("+{}", span(Some(part.from.since(zero))));
        let length = span(Some(part.to.since(part.from)));
        let mut line = Line::of(tone, format!(" {glyph} "));
        line.push(Tone::Plain, format!("{} {} ", fill(word, 16), fill_left(&start, 12)));
        line.push(Tone::Strong, fill_left(&length, 12));
        line.push(Tone::Plain, format!("  {}", fill(waits, 9)));
        line.push(Tone::Dim, note(x, part.phase));
        out.push(line);
    }
    let how = ending(s, x);
    if !how.is_empty() {
        let at = x.end.tcp_at.or(x.end.at).map(|at| format!("+{}", span(Some(at.since(zero))))).unwrap_or_default();
        let line = Line::of(Tone::Dim, " ◄ ").add(Tone::Plain, format!("{} {}", fill("end", 16), fill_left(&at, 12)));
        out.push(line.add(Tone::Plain, format!(" {:12}  {how}", "")));
    }
}

fn note(x: &Exchange, phase: Phase) -> String {
    match phase {
        Phase::Tcp => {
            x.times.rtt.map(|rtt| format!("a round trip takes about {}", span(Some(rtt)))).unwrap_or_default()
        }
        Phase::Answer => x.status().map(|status| status.to_string()).unwrap_or_default(),
        Phase::Open => {
            let ws = x.ws.unwrap_or_default();
            let (up, down) = (ws.client, ws.server);
            format!(
                "{} frames: {} C→S with {}B, {} S→C with {}B",
                grouped(u64::from(up.frames) + u64::from(down.frames)),
                grouped(up.frames.into()),
                bytes(up.payload_bytes),
                grouped(down.frames.into()),
                bytes(down.payload_bytes)
            )
        }
        _ => String::new(),
    }
}

/// The same in one or two lines.
fn row(s: &Shared, x: &Exchange, columns: usize, out: &mut Vec<Line>) {
    let parts = bars::of_leg(s, x).spans.into_iter().map(|part| {
        let word = match part.phase {
            Phase::Tcp => "TCP",
            Phase::Tls => "TLS",
            Phase::Idle => "idle",
            Phase::Request => "request",
            Phase::Wait => "wait",
            Phase::Answer => "answer",
            Phase::Open => "open",
            Phase::Silent => "silent",
        };
        let status = match (part.phase, x.status()) {
            (Phase::Answer, Some(status)) => format!(" {status}"),
            _ => String::new(),
        };
        format!("{word}{status} {}", span(Some(part.to.since(part.from))))
    });
    let mut parts: Vec<String> = parts.collect();
    let how = ending(s, x);
    if !how.is_empty() {
        parts.push(how);
    }
    labelled(out, "phases", Tone::Plain, &parts.join(" │ "), columns);
}

/// How it ended, in words; empty where it did not.
fn ending(s: &Shared, x: &Exchange) -> String {
    let word = match x.end.how {
        EndHow::CloseFrame => "Close",
        EndHow::Fin => "FIN",
        EndHow::Rst => "RST",
        EndHow::Silent | EndHow::Open => return String::new(),
    };
    let by = x.end.by.map(|by| format!(" by the {}", by.sender())).unwrap_or_default();
    let code = x.end.close.as_ref().and_then(|close| {
        let reason = s.text.bytes(&close.reason);
        Some(format!(" {} {reason}", close.code?).trim_end().to_owned())
    });
    let idle = x.end.idle_before.filter(|_| x.granted().is_some());
    let idle = idle.map(|idle| format!(" after {} of silence", span(Some(idle)))).unwrap_or_default();
    format!("{word}{}{by}{idle}", code.unwrap_or_default())
}

/// The last frame that was kept, and the silence behind it; empty without one.
fn last_frame(s: &Shared, x: &Exchange) -> String {
    let Some((frame, response)) = x.talk.as_ref().and_then(|talk| talk.frames.last()).zip(x.response.as_ref()) else {
        return String::new();
    };
    let way = if frame.from == Direction::ClientToServer { "C→S" } else { "S→C" };
    let at = span(Some(frame.ts.since(response.last)));
    let end = x.end.tcp_at.or(x.end.at).or(s.last());
    let silence = end.map(|end| end.since(frame.ts)).filter(|silence| *silence > Nanos::ZERO);
    let silence = silence.map(|silence| format!(" │ then {} of silence", span(Some(silence)))).unwrap_or_default();
    format!("{way} {} {} B at +{at}{silence}", opcode(frame.opcode()), frame.payload)
}

/// How long each hop took of what the client waited, and the backend; a bar for each, to one scale.
fn hops(s: &Shared, chain: &Chain, x: &Exchange, columns: usize, out: &mut Vec<Line>) {
    let Some(whole) = x.latency().filter(|whole| *whole > Nanos::ZERO && !chain.hops.is_empty()) else { return };
    let mut label = "hops";
    let mut row = |name: &str, length: Nanos, words: &str| {
        let share = (length.0.max(0) as f64 / whole.0 as f64).min(1.0);
        let most = BAR.min(columns.saturating_sub(66));
        let full = (0..most).filter(|cell| (*cell as f64) < share * most as f64).count();
        let mut line = Line::of(Tone::Dim, format!(" {label:10}")).add(Tone::Strong, fill(name, 16));
        line.push(Tone::Plain, format!(" {} ", fill_left(&span(Some(length)), 9)));
        line.push(Tone::Dim, format!("{:3.0}% ", share * 100.0));
        line.push(Tone::Info, "█".repeat(full));
        line.push(Tone::Dim, "░".repeat(most - full));
        line.push(Tone::Dim, format!(" {words}"));
        out.push(line);
        label = "";
    };
    for hop in &chain.hops {
        let own = hop.forward.unwrap_or_default() + hop.back.unwrap_or_default();
        let part = |length: Option<Nanos>, word: &str| length.map(|length| format!("{} {word}", span(Some(length))));
        let words: Vec<String> = [part(hop.forward, "on"), part(hop.back, "back")].into_iter().flatten().collect();
        match words.is_empty() {
            true => row(&s.hop_name(hop), Nanos::ZERO, "its clocks cannot be compared that finely"),
            false => row(&s.hop_name(hop), own, &words.join(", ")),
        }
    }
    let last = chain.hops.iter().rev().find_map(|hop| s.leg(hop.between.1)?.latency());
    if let Some(length) = last {
        row("backend", length, &format!("of {} waited", span(Some(whole))));
    }
}
