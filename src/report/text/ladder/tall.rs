//! The ladder one leg a line: requests downwards, then the answers on their way back.

use std::io;

use super::{Ladder, Mark, Rung, tone};
use crate::report::text::page::{Page, Piece, Tone, length, short};

/// Characters of an arrow's words, where the page is wide enough for them.
const WORDS: usize = 48;
/// `1 ── ` in front of an arrow's words, ` ──► ` behind.
const SIGNS: usize = 10;
/// Where words begin: behind a leg's number and `── `, or `◄── `.
const DOWN: usize = 5;
const UP: usize = 6;

/// Draws it; whether every target stands there whole.
pub(super) fn write(page: &mut Page<'_>, ladder: &Ladder) -> io::Result<bool> {
    let room = page.beside_label().saturating_sub(SIGNS);
    let longest = ladder.rungs.iter().map(|rung| length(&rung.to())).max().unwrap_or_default();
    let most = WORDS.min(room.saturating_sub(longest)).max(24);
    let down = |rung: &Rung| words(rung, most);
    let wide =
        ladder.rungs.iter().flat_map(|rung| [length(&down(rung)), rung.answer.as_deref().map_or(0, length).min(most)]);
    let width = wide.max().unwrap_or_default();
    page.pieces(Some("journey"), &[(Tone::Strong, format!("  client {}", ladder.client))])?;
    for rung in &ladder.rungs {
        request(page, rung, &down(rung), width)?;
        if rung.superseded && rung.leg.is_some() {
            answer(page, "", rung, width)?;
        }
    }
    if ladder.more > 0 {
        page.pieces(Some(""), &[(Tone::Dim, format!("  and {} more", ladder.more))])?;
    }
    let mut label = "and back";
    for rung in ladder.rungs.iter().rev().filter(|rung| !rung.superseded) {
        answer(page, label, rung, width)?;
        label = "";
    }
    Ok(ladder.rungs.iter().all(|rung| rung.leg.is_none() || down(rung) == words(rung, usize::MAX)))
}

fn request(page: &mut Page<'_>, rung: &Rung, words: &str, width: usize) -> io::Result<()> {
    let dashes = "─".repeat(width.saturating_sub(length(words)) + 2);
    let version = &rung.asked[2];
    let start = words.strip_suffix(version.as_str()).unwrap_or(words);
    let (word, head) = match rung.leg {
        Some(_) => (Tone::Plain, (Tone::Dim, "►".to_owned())),
        None => (Tone::Bad, (Tone::Bad, "✗".to_owned())),
    };
    let line = [
        (Tone::Dim, format!("{} ── ", number(rung))),
        (word, start.to_owned()),
        (if rung.downgraded { Tone::Warning } else { Tone::Plain }, version.clone()),
        (Tone::Dim, format!(" {dashes}")),
        head,
    ];
    end(page, "", line.to_vec(), rung)?;
    marks(page, DOWN, &rung.marks)
}

fn answer(page: &mut Page<'_>, label: &str, rung: &Rung, width: usize) -> io::Result<()> {
    let Some(text) = &rung.answer else {
        let words = (Tone::Bad, "no answer".to_owned());
        return page.pieces(Some(label), &[(Tone::Dim, format!("{} ✗   ", number(rung))), words]);
    };
    let text = short(text, width);
    let dashes = "─".repeat(width.saturating_sub(length(&text)) + 2);
    let line = [(Tone::Dim, format!("{} ◄── ", number(rung))), (tone(rung), text), (Tone::Dim, format!(" {dashes}"))];
    end(page, label, line.to_vec(), rung)?;
    marks(page, UP, &rung.back)
}

/// An arrow and whom it is to or from; on a line of its own where a long address needs it.
fn end(page: &mut Page<'_>, label: &str, mut arrow: Vec<Piece>, rung: &Rung) -> io::Result<()> {
    let used: usize = arrow.iter().map(|(_, text)| length(text)).sum();
    let to = rung.to();
    if used + 1 + length(&to) <= page.beside_label() {
        arrow.push((Tone::Strong, format!(" {to}")));
        return page.pieces(Some(label), &arrow);
    }
    page.pieces(Some(label), &arrow)?;
    page.pieces(Some(""), &[(Tone::Strong, format!("{:DOWN$}{to}", ""))])
}

/// Beside each other, as many as a line holds.
fn marks(page: &mut Page<'_>, indent: usize, marks: &[Mark]) -> io::Result<()> {
    let room = page.beside_label() - indent;
    let mut line: Vec<Piece> = Vec::new();
    let mut used = 0;
    for mark in marks {
        let text = short(&mark.text, room);
        if used > 0 && used + 3 + length(&text) > room {
            page.pieces(Some(""), &line)?;
            line.clear();
            used = 0;
        }
        match used {
            0 => line.push((Tone::Plain, " ".repeat(indent))),
            _ => line.push((Tone::Dim, " · ".to_owned())),
        }
        used += length(&text) + if used > 0 { 3 } else { 0 };
        line.push((mark.tone, text));
    }
    if line.is_empty() { Ok(()) } else { page.pieces(Some(""), &line) }
}

fn number(rung: &Rung) -> String {
    rung.leg.map_or_else(|| " ".to_owned(), |leg| leg.to_string())
}

/// Method, target and version, the target cut so that all of it has at most `most` characters.
fn words(rung: &Rung, most: usize) -> String {
    let [method, target, version] = &rung.asked;
    if target.is_empty() && version.is_empty() {
        return method.clone();
    }
    let rest = length(method) + length(version) + 2;
    format!("{method} {} {version}", short(target, most.saturating_sub(rest).max(8)))
}
