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

/// How many characters of each target there is room for. `None`: it does not fit.
pub(super) fn fit(ladder: &Ladder, columns: usize) -> Option<usize> {
    let tries = ladder.rungs.iter().filter(|rung| rung.superseded && rung.leg.is_some()).count();
    // A connection in vain stands side by side only as the journey's end.
    let vain = ladder.rungs.iter().rposition(|rung| rung.leg.is_none()).is_none_or(|at| at + 1 == ladder.rungs.len());
    let one = ladder.rungs.iter().filter(|rung| rung.leg.is_none()).count() <= 1;
    if ladder.rungs.len() > LEGS || ladder.more > 0 || tries > 0 || !vain || !one {
        return None;
    }
    let longest = ladder.rungs.iter().map(|rung| length(&rung.asked[1])).max()?;
    (TARGET.min(longest)..=longest).rev().find(|&target| total(ladder, target) <= columns)
}

/// Draws it; whether every target stands there whole.
pub(super) fn write(page: &mut Page<'_>, ladder: &Ladder, target: usize) -> io::Result<bool> {
    let mut line = Line::default();
    line.push(Tone::Strong, &ladder.client);
    let mut columns = Vec::new();
    for rung in &ladder.rungs {
        line.push(Tone::Plain, " ");
        columns.push(line.length);
        let inner = inner(rung, target);
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
        line.push(Tone::Strong, &rung.to());
    }
    let end = line.length;
    page.pieces(None, &line.pieces)?;
    under(page, ladder, &columns, (FRONT, end), |rung| &rung.marks)?;
    let mut line = Line::default();
    for (rung, &at) in ladder.rungs.iter().zip(&columns).filter(|(rung, _)| rung.leg.is_some()) {
        line.pad(at);
        let inner = inner(rung, target);
        match &rung.answer {
            Some(answer) => {
                line.push(Tone::Dim, "◄── ");
                line.push(tone(rung), answer);
                line.push(Tone::Dim, &format!(" {}", "─".repeat(inner - length(answer) + 2)));
            }
            None => line.push(Tone::Bad, " ✗  no answer"),
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
fn inner(rung: &Rung, target: usize) -> usize {
    length(&words(rung, target)).max(rung.answer.as_deref().map_or(0, length))
}

fn total(ladder: &Ladder, target: usize) -> usize {
    let rungs = ladder.rungs.iter().map(|rung| inner(rung, target) + ARROW + 2 + length(&rung.to()));
    MARGIN + length(&ladder.client) + rungs.sum::<usize>()
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
