//! The ladder side by side: requests from left to right, answers back under them.

use std::io;

use super::{Ladder, Mark, Rung, tone};
use crate::report::text::page::{Page, Piece, Tone, length, short};

/// Legs that stand side by side.
const LEGS: usize = 3;
/// Characters that a target is cut to at most.
const TARGET: usize = 14;
/// `── ` in front of the words of an arrow, ` ──►` behind.
const FRONT: usize = 3;
const ARROW: usize = 7;
/// What every line of a page begins with.
const MARGIN: usize = 2;

/// How a ladder fits.
#[derive(Clone, Copy)]
pub(super) struct Fit {
    /// Characters of each target.
    target: usize,
    /// Answers are cut to the length of their requests.
    cut: bool,
    /// Names stand over addresses, not before them.
    stacked: bool,
}

/// `None`: it does not fit.
pub(super) fn fit(ladder: &Ladder, columns: usize) -> Option<Fit> {
    let tries = ladder.rungs.iter().filter(|rung| rung.superseded && rung.leg.is_some()).count();
    // A connection in vain stands side by side only as the journey's end.
    let vain = ladder.rungs.iter().rposition(|rung| rung.leg.is_none()).is_none_or(|at| at + 1 == ladder.rungs.len());
    let one = ladder.rungs.iter().filter(|rung| rung.leg.is_none()).count() <= 1;
    if ladder.rungs.len() > LEGS || ladder.more > 0 || tries > 0 || !vain || !one {
        return None;
    }
    let longest = ladder.rungs.iter().map(|rung| length(&rung.asked[1])).max()?;
    // Whole targets first; an answer stands below once more.
    let ways = (TARGET.min(longest)..=longest).rev().flat_map(|target| {
        let way = |cut, stacked| Fit { target, cut, stacked };
        [way(false, false), way(false, true), way(true, false), way(true, true)]
    });
    ways.into_iter().find(|&fit| total(ladder, fit) <= columns)
}

/// Draws it; whether every target stands there whole.
pub(super) fn write(page: &mut Page<'_>, ladder: &Ladder, fit: Fit) -> io::Result<bool> {
    let Fit { target, stacked, .. } = fit;
    let mut names = Line::default();
    names.push(Tone::Strong, "client");
    let mut line = Line::default();
    line.push(Tone::Strong, &if stacked { ladder.client.clone() } else { format!("client {}", ladder.client) });
    line.pad(node(stacked, "client", &ladder.client));
    let mut columns = Vec::new();
    for rung in &ladder.rungs {
        line.push(Tone::Plain, " ");
        columns.push(line.length);
        let inner = inner(rung, fit);
        let [method, _, version] = &rung.asked;
        let words = words(rung, target);
        line.push(Tone::Dim, "── ");
        match version.is_empty() {
            true => line.push(Tone::Bad, method),
            false => {
                line.push(Tone::Plain, words.strip_suffix(version.as_str()).unwrap_or(&words));
                line.push(if rung.downgraded { Tone::Warning } else { Tone::Plain }, version);
            }
        }
        line.push(Tone::Dim, &format!(" {}", "─".repeat(inner - length(&words) + 2)));
        match rung.leg {
            Some(_) => line.push(Tone::Dim, "►"),
            None => line.push(Tone::Bad, "✗"),
        }
        line.push(Tone::Plain, " ");
        let from = line.length;
        names.pad(from);
        names.push(Tone::Strong, rung.name().trim_end_matches(':'));
        line.push(Tone::Strong, &if stacked { rung.address.clone() } else { rung.to() });
        line.pad(from + node(stacked, rung.name(), &rung.address));
    }
    let end = line.length;
    if stacked {
        page.pieces(None, &names.pieces)?;
    }
    page.pieces(None, &line.pieces)?;
    under(page, ladder, &columns, (FRONT, end), |rung| &rung.marks)?;
    let mut line = Line::default();
    for (rung, &at) in ladder.rungs.iter().zip(&columns).filter(|(rung, _)| rung.leg.is_some()) {
        line.pad(at);
        let inner = inner(rung, fit);
        match answer(rung, fit) {
            answer if !answer.is_empty() => {
                line.push(Tone::Dim, "◄── ");
                line.push(tone(rung), &answer);
                line.push(Tone::Dim, &format!(" {}", "─".repeat(inner - length(&answer) + 2)));
            }
            _ => line.push(Tone::Bad, " ✗  no answer"),
        }
    }
    page.pieces(None, &line.pieces)?;
    under(page, ladder, &columns, (FRONT + 1, end), |rung| &rung.back)?;
    Ok(ladder.rungs.iter().all(|rung| length(&rung.asked[1]) <= target))
}

/// Marks under their arrows, as far as the next one begins.
fn under(
    page: &mut Page<'_>,
    ladder: &Ladder,
    columns: &[usize],
    (front, end): (usize, usize),
    marks: impl Fn(&Rung) -> &Vec<Mark>,
) -> io::Result<()> {
    let most = ladder.rungs.iter().map(|rung| marks(rung).len()).max().unwrap_or_default();
    for row in 0..most {
        let mut line = Line::default();
        for (index, (rung, &at)) in ladder.rungs.iter().zip(columns).enumerate() {
            let Some(mark) = marks(rung).get(row) else { continue };
            let next = columns.get(index + 1).map_or(end.max(page.wide() - MARGIN), |next| next + front - 2);
            // Words stand under words; signs of change before them.
            line.pad(at + front);
            line.push(mark.tone, &short(&mark.text, next.saturating_sub(at + front)));
        }
        page.pieces(None, &line.pieces)?;
    }
    Ok(())
}

fn words(rung: &Rung, target: usize) -> String {
    let [method, path, version] = &rung.asked;
    let words = [method.clone(), short(path, target), version.clone()];
    words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Characters between the ends of an arrow.
fn inner(rung: &Rung, fit: Fit) -> usize {
    length(&words(rung, fit.target)).max(length(&answer(rung, fit)))
}

/// Empty where there is none.
fn answer(rung: &Rung, fit: Fit) -> String {
    let whole = rung.answer.as_deref().unwrap_or_default();
    let most = if fit.cut { length(&words(rung, fit.target)) } else { usize::MAX };
    short(whole, most)
}

fn total(ladder: &Ladder, fit: Fit) -> usize {
    let stacked = fit.stacked;
    let end = |rung: &Rung| node(stacked, rung.name(), &rung.address);
    let rungs = ladder.rungs.iter().map(|rung| inner(rung, fit) + ARROW + 2 + end(rung));
    MARGIN + node(stacked, "client", &ladder.client) + rungs.sum::<usize>()
}

/// Characters of an end of an arrow.
fn node(stacked: bool, name: &str, address: &str) -> usize {
    let (name, address) = (length(name), length(address));
    match (stacked, name) {
        (true, _) => name.max(address),
        (false, 0) => address,
        (false, _) => name + 1 + address,
    }
}

/// A line that grows to the right.
#[derive(Default)]
struct Line {
    pieces: Vec<Piece>,
    length: usize,
}

impl Line {
    fn push(&mut self, tone: Tone, text: &str) {
        self.length += length(text);
        self.pieces.push((tone, text.to_owned()));
    }

    fn pad(&mut self, column: usize) {
        let blanks = column.saturating_sub(self.length);
        self.push(Tone::Plain, &" ".repeat(blanks));
    }
}
