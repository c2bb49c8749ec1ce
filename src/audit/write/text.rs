//! `text`: cards for a terminal.

use std::io::{self, Write};

use super::{Audit, counted, nobody, packets, span, who};
use crate::audit::document::{Baseline, Line};

/// Columns.
const WIDTH: usize = 100;
/// Where a line's text begins.
const INDENT: usize = 31;

pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    if audit.cards.is_empty() {
        wrapped(&mut out, "", 0, &nobody(audit))?;
    }
    let several = audit.cards.len() > 1;
    if several {
        let fails = audit.cards.iter().filter(|card| card.status == "fail").count();
        let span = span(audit).map(|span| format!(" in {span}")).unwrap_or_default();
        writeln!(
            out,
            "{} intermediaries, {fails} of them fail; {} upgrades{span}.\n",
            audit.cards.len(),
            audit.chains
        )?;
    }
    for (at, card) in audit.cards.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        wrapped(&mut out, &format!("{} ", card.status.to_uppercase()), 5, &who(card))?;
        wrapped(&mut out, "     ", 5, &counted(card))?;
        if let Some(product) = card.product.as_ref().filter(|p| !p.evidence.is_empty()) {
            let words = format!("known by {} ({})", product.evidence.join("; "), product.confidence);
            wrapped(&mut out, "     ", 5, &words)?;
        }
        let mut group = "";
        // One change often mends several lines; it is told once.
        let mut told: Vec<(&str, &str)> = Vec::new();
        for line in &card.lines {
            if line.group != group {
                writeln!(out, "  {}", line.group)?;
                group = &line.group;
            }
            tell(audit, line, &mut told, &mut out)?;
        }
    }
    if let Some(baseline) = &audit.baseline {
        changes(baseline, &mut out)?;
    }
    out.flush()
}

fn tell<'a>(audit: &Audit, line: &'a Line, told: &mut Vec<(&'a str, &'a str)>, out: &mut dyn Write) -> io::Result<()> {
    let status = match &*line.status {
        "not-observed" => "–",
        "warn" if line.severity == "info" => "note",
        other => other,
    };
    wrapped(out, &format!("    {status:<5}{:<22}", line.title), INDENT, &line.text)?;
    if line.status == "pass" || line.status == "not-observed" {
        return Ok(());
    }
    let pad = " ".repeat(INDENT);
    let mut proof = Vec::new();
    if !line.rules.is_empty() {
        proof.push(format!("rule {}", line.rules.join(", ")));
    }
    if !line.chains.is_empty() {
        let chains: Vec<String> = line.chains.iter().map(|id| format!("#{id}")).collect();
        proof.push(format!("chains {}", chains.join(" ")));
    }
    let packets = packets(audit, &line.evidence);
    if !packets.is_empty() {
        proof.push(packets);
    }
    if !proof.is_empty() {
        wrapped(out, &pad, INDENT, &format!("evidence: {}", proof.join("; ")))?;
    }
    for fix in &line.fixes {
        let versions = if fix.versions.is_empty() { String::new() } else { format!(" {}", fix.versions) };
        if let Some((_, title)) = told.iter().find(|(text, _)| *text == fix.text) {
            wrapped(out, &pad, INDENT, &format!("fix ({}{versions}): the one of {title}", fix.product))?;
            continue;
        }
        told.push((&fix.text, &line.title));
        writeln!(out, "{pad}fix ({}{versions}):", fix.product)?;
        for text in fix.text.lines() {
            writeln!(out, "{}", format!("{pad}  {text}").trim_end())?;
        }
    }
    Ok(())
}

fn changes(baseline: &Baseline, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nSince {}: {} worse, {} better.", baseline.path, baseline.worse, baseline.better)?;
    for change in &baseline.changes {
        let at = change.addresses.first().map_or("", |address| address);
        let what = change.line.as_deref().unwrap_or("the whole card");
        wrapped(out, "  ", 4, &format!("{}: {what} at {at}", change.kind))?;
        if let Some(before) = &change.before {
            wrapped(out, "    before  ", 12, before)?;
        }
        if let Some(now) = &change.now {
            wrapped(out, "    now     ", 12, now)?;
        }
    }
    Ok(())
}

/// Words behind a label, on as many lines as they need; all but the first begin with `indent` blanks.
fn wrapped(out: &mut dyn Write, label: &str, indent: usize, words: &str) -> io::Result<()> {
    let mut line = label.to_owned();
    let mut empty = true;
    for word in words.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(out, "{}", line.trim_end())
}
