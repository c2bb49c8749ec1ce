//! `html`: cards as one page, in the look of the report's.

use std::io::{self, Write};

use super::{Audit, counted, intermediaries, nobody, packets, who};
use crate::audit::document::{Baseline, Card, Line};
use crate::report::html::{begin, end, quoted};

pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let title = format!("audit of {}", intermediaries(audit));
    begin(&title, &mut out)?;
    writeln!(out, "<header><h1>Audit</h1>")?;
    if audit.cards.is_empty() {
        writeln!(out, "<p class=\"lead\">{}</p>", quoted(&nobody(audit)))?;
    }
    writeln!(out, "</header>")?;
    if let Some(baseline) = &audit.baseline {
        changes(baseline, &mut out)?;
    }
    for card in &audit.cards {
        self::card(audit, card, &mut out)?;
    }
    end(&audit.tool, &mut out)?;
    out.flush()
}

fn card(audit: &Audit, card: &Card, out: &mut dyn Write) -> io::Result<()> {
    let class = match &*card.status {
        "fail" => "error",
        "warn" => "warning",
        _ => "worked",
    };
    writeln!(
        out,
        "<section class=\"chain {class}\"><h2><span class=\"badge\">{}</span> {}</h2>",
        quoted(&card.status),
        quoted(&who(card))
    )?;
    writeln!(out, "<p>{}</p>", quoted(&counted(card)))?;
    if let Some(product) = card.product.as_ref().filter(|p| !p.evidence.is_empty()) {
        writeln!(out, "<p>Known by {} ({}).</p>", quoted(&product.evidence.join("; ")), quoted(&product.confidence))?;
    }
    writeln!(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Lines\"><table><thead><tr>")?;
    for name in ["", "what", "seen", "evidence"] {
        writeln!(out, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for line in &card.lines {
        row(audit, line, out)?;
    }
    writeln!(out, "</tbody></table></div></section>")
}

fn row(audit: &Audit, line: &Line, out: &mut dyn Write) -> io::Result<()> {
    let word = match &*line.status {
        "warn" if line.severity == "info" => "note",
        "not-observed" => "not observed",
        other => other,
    };
    let id = quoted(&line.id);
    writeln!(
        out,
        "<tr class=\"{}\"><td><span class=\"badge\">{}</span></td><th scope=\"row\" title=\"{id}\">{}</th><td>{}",
        quoted(&line.status),
        quoted(word),
        quoted(&line.title),
        quoted(&line.text)
    )?;
    if matches!(&*line.status, "fail" | "warn") && !line.fixes.is_empty() {
        writeln!(out, "<details><summary>Fix</summary>")?;
        for fix in &line.fixes {
            let product = format!("{} {}", fix.product, fix.versions);
            writeln!(out, "<p>{}</p><pre class=\"fix\"><code>{}</code></pre>", quoted(&product), quoted(&fix.text))?;
        }
        writeln!(out, "</details>")?;
    }
    let rules: Vec<String> = line.rules.iter().map(|rule| format!("<code>{}</code>", quoted(rule))).collect();
    writeln!(out, "</td><td>{} {}</td></tr>", rules.join(" "), quoted(&packets(audit, &line.evidence)))
}

fn changes(baseline: &Baseline, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<section><h2>Since {}</h2><p>{} worse, {} better.</p><ul>",
        quoted(&baseline.path),
        baseline.worse,
        baseline.better
    )?;
    for change in &baseline.changes {
        let told = |words: &Option<String>| words.as_deref().map(quoted).unwrap_or_default();
        writeln!(
            out,
            "<li>{}: <code>{}</code> at {}<br>before: {}<br>now: {}</li>",
            quoted(&change.kind),
            change.line.as_deref().map_or_else(|| "card".to_owned(), quoted),
            quoted(&change.addresses.join(", ")),
            told(&change.before),
            told(&change.now)
        )?;
    }
    writeln!(out, "</ul></section>")
}
