//! `markdown`: cards for a ticket or a wiki.

use std::io::{self, Write};

use super::{Audit, counted, intermediaries, nobody, packets, who};
use crate::audit::document::Line;
use crate::report::markdown::{cell, code, fenced, text};

pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    writeln!(out, "## Audit of {}\n", intermediaries(audit))?;
    if audit.cards.is_empty() {
        writeln!(out, "{}\n", text(&nobody(audit)))?;
    }
    for input in &audit.inputs {
        writeln!(out, "- {}: {} packets", code(&input.path), input.packets)?;
    }
    for card in &audit.cards {
        writeln!(out, "\n### {}: {}\n\n{}\n", card.status.to_uppercase(), text(&who(card)), text(&counted(card)))?;
        if let Some(product) = card.product.as_ref().filter(|p| !p.evidence.is_empty()) {
            let signs = product.evidence.join("; ");
            writeln!(out, "Known by {} ({}).\n", text(&signs), text(&product.confidence))?;
        }
        writeln!(out, "| | what | seen | rules |\n|---|---|---|---|")?;
        for line in &card.lines {
            let rules: Vec<String> = line.rules.iter().map(|rule| cell(rule)).collect();
            writeln!(out, "| {} | {} | {} | {} |", status(line), text(&line.title), text(&line.text), rules.join(" "))?;
        }
        let mut told: Vec<&str> = Vec::new();
        for line in card.lines.iter().filter(|l| matches!(&*l.status, "fail" | "warn") && has_more(l)) {
            let place = packets(audit, &line.evidence);
            let place = if place.is_empty() { String::new() } else { format!(" ({})", text(&place)) };
            writeln!(out, "\n**{}**{place}", text(&line.title))?;
            for fix in &line.fixes {
                let product = format!("{} {}", fix.product, fix.versions);
                if told.contains(&&*fix.text) {
                    writeln!(out, "\nFix ({}): as above.", text(product.trim_end()))?;
                } else {
                    writeln!(out, "\nFix ({}):\n\n{}", text(product.trim_end()), fenced("", &fix.text))?;
                    told.push(&fix.text);
                }
            }
        }
    }
    if let Some(baseline) = &audit.baseline {
        writeln!(
            out,
            "\n### Since {}\n\n{} worse, {} better.\n\n| | line | at | before | now |\n|---|---|---|---|---|",
            code(&baseline.path),
            baseline.worse,
            baseline.better
        )?;
        for change in &baseline.changes {
            let told = |words: &Option<String>| words.as_deref().map(text).unwrap_or_default();
            writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                text(&change.kind),
                change.line.as_deref().map_or_else(|| "card".to_owned(), cell),
                text(&change.addresses.join(", ")),
                told(&change.before),
                told(&change.now)
            )?;
        }
    }
    out.flush()
}

/// More than its row can hold.
fn has_more(line: &Line) -> bool {
    !line.fixes.is_empty() || !line.evidence.is_empty()
}

fn status(line: &Line) -> &str {
    match &*line.status {
        "not-observed" => "–",
        "fail" => "**fail**",
        "warn" if line.severity == "info" => "note",
        other => other,
    }
}
