//! What is drawn: when things happened, and who said what to whom. As SVG inside the page, in the page's colours.

use std::io::{self, Write};

use crate::base::limits;
use crate::model::Chain;
use crate::report::html::quoted;
use crate::report::told::{Journey, MessageKind};
use crate::report::view::{Brief, Status, View, clip, length, name};
use crate::report::{build, mask};

/// Width of the time line's scale, and where it begins, in its own units.
const SCALE: f64 = 860.0;
const LEFT: f64 = 120.0;
/// Between the participants of a ladder; its lines' height.
const COLUMN: usize = 330;
const LINE: usize = 20;
/// Characters that have room above an arrow, and under a participant.
const TEXT: usize = 42;

/// A line for each sort of end; a mark from a chain's request to its end.
pub(super) fn timeline(view: &View<'_>, chains: &[Brief<'_>], out: &mut dyn Write) -> io::Result<()> {
    let mut marks: Vec<(Status, i64, i64, &Chain)> = Vec::new();
    let mut begin = i64::MAX;
    let mut end = i64::MIN;
    for Brief { chain, status } in chains {
        let Some(x) = chain.legs.first().and_then(|&leg| build::leg(view.a, leg)) else { continue };
        let from = x.request.first.0;
        let life = x.end.lifetime.or(x.latency()).map_or(0, |life| life.0.max(0));
        let to = from.saturating_add(life);
        (begin, end) = (begin.min(from), end.max(to));
        marks.push((*status, from, to, chain));
    }
    if marks.len() < 2 {
        return Ok(());
    }
    let whole = (end.saturating_sub(begin)).max(1) as f64;
    let at = |ns: i64| LEFT + SCALE * (ns.saturating_sub(begin)) as f64 / whole;
    let lanes: Vec<Status> = Status::ALL.into_iter().filter(|s| marks.iter().any(|m| m.0 == *s)).collect();
    let height = 30 * lanes.len() + 30;
    writeln!(out, "<section aria-labelledby=\"when\"><h2 id=\"when\">When</h2>")?;
    writeln!(out, "<svg class=\"timeline\" viewBox=\"0 0 1000 {height}\" role=\"img\" aria-labelledby=\"when\">")?;
    for (lane, status) in lanes.iter().enumerate() {
        let (y, word) = (30 * lane + 20, status.word());
        let n = marks.iter().filter(|m| m.0 == *status).count();
        writeln!(out, "<text x=\"0\" y=\"{y}\">{word} ({n})</text>")?;
        writeln!(
            out,
            "<line class=\"rail\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>",
            LEFT + SCALE,
            y - 4,
            y - 4
        )?;
        for (_, from, to, chain) in marks.iter().filter(|m| m.0 == *status).take(limits::HTML_MARKS) {
            let (x, wide) = (at(*from), (at(*to) - at(*from)).max(3.0));
            writeln!(
                out,
                "<rect class=\"mark {word}\" x=\"{x:.1}\" y=\"{}\" width=\"{wide:.1}\" height=\"14\"><title>{}</title></rect>",
                y - 11,
                quoted(&format!("{} {}", name(chain.id), mask::own(&chain.verdict.rule)))
            )?;
        }
    }
    let y = height - 6;
    let time = |ns: i64| length(ns.saturating_sub(begin));
    writeln!(out, "<text class=\"scale\" x=\"{LEFT}\" y=\"{y}\">0</text>")?;
    writeln!(out, "<text class=\"scale\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>", LEFT + SCALE, time(end))?;
    writeln!(out, "</svg>")?;
    let most = lanes.iter().map(|status| marks.iter().filter(|m| m.0 == *status).count()).max().unwrap_or_default();
    if most > limits::HTML_MARKS {
        writeln!(out, "<p>Each line has its first {} marks.</p>", limits::HTML_MARKS)?;
    }
    writeln!(out, "</section>")
}

/// Who said what to whom, top to bottom.
pub(super) fn ladder(journey: &Journey, out: &mut dyn Write) -> io::Result<()> {
    if journey.messages.is_empty() {
        return Ok(());
    }
    let width = COLUMN * (journey.who.len().max(2) - 1) + 200;
    let height = 60 + journey.messages.iter().map(|m| LINE * (2 + m.notes.len())).sum::<usize>();
    let x = |place: usize| 100 + COLUMN * place;
    writeln!(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Journey\">")?;
    writeln!(
        out,
        "<svg class=\"ladder\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"group\">"
    )?;
    for (place, (role, address)) in journey.who.iter().enumerate() {
        let x = x(place);
        writeln!(
            out,
            "<text class=\"who\" x=\"{x}\" y=\"16\" text-anchor=\"middle\">{}</text>",
            quoted(&clip(role, 24))
        )?;
        writeln!(out, "<text x=\"{x}\" y=\"34\" text-anchor=\"middle\">{}</text>", quoted(&clip(address, 28)))?;
        writeln!(out, "<line class=\"rail\" x1=\"{x}\" x2=\"{x}\" y1=\"42\" y2=\"{height}\"/>")?;
    }
    let mut y = 62;
    for m in &journey.messages {
        let (from, to) = (x(m.from), x(m.to));
        let class = match m.kind {
            MessageKind::Request => "request",
            MessageKind::Granted => "granted",
            MessageKind::Answer => "answer",
            MessageKind::Nothing => "nothing",
            MessageKind::End => "end",
        };
        let middle = usize::midpoint(from, to);
        writeln!(
            out,
            "<text class=\"{class}\" x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\"><title>{}</title>{}</text>",
            quoted(&m.text),
            quoted(&clip(&m.text, TEXT))
        )?;
        let line = y + 8;
        writeln!(out, "<line class=\"arrow {class}\" x1=\"{from}\" x2=\"{to}\" y1=\"{line}\" y2=\"{line}\"/>")?;
        // Towards the right the head points right.
        let (tip, back) = if to > from { (to, to.saturating_sub(9)) } else { (to, to + 9) };
        let head = match m.kind {
            MessageKind::Nothing => {
                format!("M{back} {} L{tip} {} M{back} {} L{tip} {}", line - 5, line + 5, line + 5, line - 5)
            }
            _ => format!("M{back} {} L{tip} {line} L{back} {}", line - 5, line + 5),
        };
        writeln!(out, "<path class=\"arrow {class}\" d=\"{head}\"/>")?;
        y += LINE * 2;
        for (sign, note) in &m.notes {
            let kind = match sign {
                '−' => "gone",
                '·' => "said",
                _ => "other",
            };
            writeln!(
                out,
                "<text class=\"note {kind}\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{sign} {}</text>",
                y - 12,
                quoted(&clip(note, TEXT))
            )?;
            y += LINE;
        }
    }
    writeln!(out, "</svg></div>")
}
