//! `markdown`: what goes into a ticket. The summary, a table, and for each kind of fault the journey, what the hop
//! changed, the evidence and the fix. GitHub's dialect; everything captured stands in code spans or is quoted.

use std::collections::HashSet;
use std::io::{self, Write};

use crate::base::limits;
use crate::report::document as doc;
use crate::report::told::{MessageKind, Told};
use crate::report::view::{self, Brief, Status, View};
use crate::report::{Format, Options};
use crate::store::Analysis;

pub(super) static FORMAT: Format = Format { name: "markdown", extension: "md", write };

/// Characters of a value in a table.
const VALUE: usize = 200;

/// Writes the report.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let view = View::new(a, options);
    let mut out = io::BufWriter::new(out);
    writeln!(out, "## {}\n", text(&view.summary(options)))?;
    for input in &view.inputs {
        let span = match (&input.first, &input.last) {
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        writeln!(out, "- {}: {} packets{span}", code(&input.path), input.packets)?;
        if let Some(damage) = &input.damage {
            writeln!(out, "  - damaged at packet {}: {}", damage.packet, text(&damage.why))?;
        }
    }
    for f in view.limits() {
        writeln!(out, "- {} {}", code(&f.rule), text(&f.message))?;
    }
    writeln!(out)?;
    patterns(&view, &mut out)?;
    table(&view, options, &mut out)?;
    let mut kinds: HashSet<(&str, Option<String>)> = HashSet::new();
    for brief in broken(&view) {
        let kind = (&*brief.chain.verdict.rule, view::blamed(&brief.chain.verdict));
        if !kinds.insert(kind) {
            continue;
        }
        if kinds.len() <= limits::MARKDOWN_BLOCKS {
            block(&view, &view.tell(brief), &mut out)?;
        }
    }
    match kinds.len().saturating_sub(limits::MARKDOWN_BLOCKS) {
        0 => {}
        n => writeln!(out, "{n} more kinds of fault are in the table only.\n")?,
    }
    if view.masked() {
        writeln!(out, "Secrets are shown as `[redacted #N]`, the same secret with the same number.")?;
    }
    out.flush()
}

fn broken<'v, 'a>(view: &'v View<'a>) -> Vec<&'v Brief<'a>> {
    let mut chains: Vec<&Brief<'_>> = view.chains.iter().filter(|b| b.status <= Status::Unknown).collect();
    chains.sort_by_key(|b| b.status);
    chains
}

fn patterns(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    for p in &view.patterns {
        writeln!(
            out,
            "- {} failures share {} {}: {:.0} % of its chains failed, {:.0} % of the others",
            p.chains,
            text(&p.field),
            code(&view::clip(&p.value, VALUE)),
            p.failed_share * 100.0,
            p.others_failed_share * 100.0
        )?;
    }
    if view.patterns.is_empty() { Ok(()) } else { writeln!(out) }
}

fn table(view: &View<'_>, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut chains = view.chains.clone();
    if options.quiet {
        chains.retain(|b| b.status < Status::Allowed);
    }
    chains.sort_by_key(|b| b.status);
    if chains.is_empty() {
        return Ok(());
    }
    writeln!(out, "| chain | status | upgrade | answer | verdict | at fault |\n|---|---|---|---|---|---|")?;
    for brief in chains.iter().take(limits::MARKDOWN_ROWS) {
        let told = view.tell(brief);
        let chain = &told.chain;
        let status = told.first().and_then(|x| x.response.as_ref()).and_then(|r| r.status);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            text(&told.name()),
            told.status.word(),
            cell(&view::clip(&told.title(), VALUE)),
            status.map_or_else(|| text(&chain.outcome), |status| format!("{status}, {}", text(&chain.outcome))),
            cell(&chain.verdict.rule),
            told.blamed.as_deref().map(text).unwrap_or_default()
        )?;
    }
    match chains.len().saturating_sub(limits::MARKDOWN_ROWS) {
        0 => writeln!(out),
        n => writeln!(out, "\n{n} more are not in this table.\n"),
    }
}

fn block(view: &View<'_>, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let (chain, v) = (&told.chain, &told.chain.verdict);
    let word = told.status.word().to_uppercase();
    writeln!(out, "### {word} {} ({})\n", code(&v.rule), text(&told.name()))?;
    writeln!(out, "{}\n", text(&v.summary))?;
    let like = view.chains.iter().filter(|b| b.chain.verdict.rule == v.rule).count();
    if like > 1 {
        writeln!(out, "{like} chains have this verdict; this is one of them.\n")?;
    }
    ladder(told, out)?;
    if let Some(blamed) = &told.blamed {
        writeln!(out, "- **At fault:** {}", text(blamed))?;
    }
    if let Some(x) = told.first() {
        writeln!(out, "- **Client:** {} at {}", code(&view::endpoint(&x.client)), code(&x.request.at))?;
        if !x.via.is_empty() {
            writeln!(out, "- **Inside:** {}", code(&x.via.join(", ")))?;
        }
    }
    for f in told.own_findings().take(1) {
        for (label, value) in [("Expected", &f.expected), ("Found", &f.found)] {
            if !value.is_empty() {
                writeln!(out, "- **{label}:** {}", code(&view::clip(value, 1_000)))?;
            }
        }
        if !f.causes.is_empty() {
            writeln!(out, "- **Likely cause:** {}", text(f.causes.first().map_or("", |c| c)))?;
        }
        if !f.references.is_empty() {
            writeln!(out, "- **See:** {}", text(&f.references.join(", ")))?;
        }
    }
    for (file, filter) in view.packets(told) {
        writeln!(out, "- **Evidence:** {} in {}", code(&filter), code(&file))?;
    }
    let others: Vec<String> = told
        .findings
        .iter()
        .filter(|f| f.rule != v.rule && f.severity != "info")
        .map(|f| format!("{} ({})", code(&f.rule), f.severity))
        .collect();
    if !others.is_empty() {
        writeln!(out, "- **Also:** {}", others.join(", "))?;
    }
    writeln!(out)?;
    for hop in &chain.hops {
        changes(&format!("What {} did to the request", view::hop_name(hop)), &hop.request, out)?;
        changes(&format!("What {} did to the answer", view::hop_name(hop)), &hop.response, out)?;
    }
    for fix in &v.fix {
        let versions = if fix.versions.is_empty() { String::new() } else { format!(" {}", text(&fix.versions)) };
        writeln!(out, "**Fix ({}{versions})**\n\n{}\n", text(&fix.product), fenced("", &fix.text))?;
    }
    Ok(())
}

fn ladder(told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let journey = told.journey();
    if journey.messages.is_empty() {
        return Ok(());
    }
    let name = |at: usize| journey.who.get(at).map(|(role, at)| format!("{role} {at}")).unwrap_or_default();
    let names: Vec<String> = (0..journey.who.len()).map(name).collect();
    let wide = names.iter().map(|n| n.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for m in &journey.messages {
        let message = view::clip(&m.text, VALUE);
        let arrow = match m.kind {
            MessageKind::Request => "──►",
            MessageKind::Nothing => "──✗",
            MessageKind::Granted | MessageKind::Answer => "◄──",
            MessageKind::End if m.from > m.to => "◄──",
            MessageKind::End => "──►",
        };
        let (left, right) = match arrow == "◄──" || m.from > m.to {
            true => (m.to, m.from),
            false => (m.from, m.to),
        };
        let (left, right) = (names.get(left).map_or("", |n| n), names.get(right).map_or("", |n| n));
        let pad = " ".repeat(wide.saturating_sub(left.chars().count()));
        lines.push(format!("{left}{pad} {arrow} {message} {arrow} {right}"));
        for (sign, note) in &m.notes {
            lines.push(format!("{} {sign} {}", " ".repeat(wide + 4), view::clip(note, VALUE)));
        }
    }
    writeln!(out, "{}\n", fenced("text", &lines.join("\n")))
}

fn changes(title: &str, changes: &doc::Changes, out: &mut dyn Write) -> io::Result<()> {
    let rows = view::diff(changes);
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "**{}**\n\n| | field | before | behind |\n|---|---|---|---|", text(title))?;
    for (sign, name, before, behind) in rows {
        let value = |v: &str| if v.is_empty() { String::new() } else { cell(&view::clip(v, VALUE)) };
        writeln!(out, "| {sign} | {} | {} | {} |", cell(name), value(before), value(behind))?;
    }
    writeln!(out)
}

/// Plain words in Markdown: on one line, and nothing in them means anything.
pub(crate) fn text(words: &str) -> String {
    let mut out = String::with_capacity(words.len() + 8);
    for (at, c) in words.char_indices() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '#' | '!' | '@' => {
                out.push('\\');
                out.push(c);
            }
            // No link of its own accord.
            ':' if words.get(at..).is_some_and(|rest| rest.starts_with("://")) => out.push_str("\\:"),
            '.' if words.get(..at).is_some_and(|before| before.to_ascii_lowercase().ends_with("www")) => {
                out.push_str("\\.");
            }
            '-' | '+' | '=' if at == 0 => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if at > 0 && words.get(..at).is_some_and(|b| b.bytes().all(|b| b.is_ascii_digit())) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Words in a code span of their own.
pub(crate) fn code(words: &str) -> String {
    let words: String = words.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }).collect();
    if words.trim().is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&words) + 1);
    // A blank keeps backticks at its ends apart; the reader takes one off on both sides.
    let blank = if words.starts_with(['`', ' ']) || words.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{blank}{words}{blank}{ticks}")
}

/// A code span in a cell of a table, where `|` parts cells even inside of one.
pub(crate) fn cell(words: &str) -> String {
    code(words).replace('|', "\\|")
}

/// A fenced block that nothing inside of it can end.
pub(crate) fn fenced(language: &str, words: &str) -> String {
    let fence = "`".repeat((longest_run(words) + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}", words.trim_end_matches('\n'))
}

fn longest_run(words: &str) -> usize {
    words.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_captured_means_anything() {
        assert_eq!(
            text("<b>*x*</b> | [a](b) ![c] `d` #1"),
            "\\<b\\>\\*x\\*\\</b\\> \\| \\[a\\](b) \\!\\[c\\] \\`d\\` \\#1"
        );
        assert_eq!(
            text("see https://evil.example/ or www.evil.example"),
            "see https\\://evil.example/ or www\\.evil.example"
        );
        assert_eq!(text("a\nb"), "a b");
        assert_eq!([text("- a"), text("1. a"), text("10.0.0.1")], ["\\- a", "1\\. a", "10\\.0.0.1"]);
    }

    #[test]
    fn code_spans_end_where_they_should() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a\nb"), "`a b`");
        assert_eq!(cell("a|b"), "`a\\|b`");
        assert_eq!(code(""), "");
        assert_eq!(fenced("x", "a\n```\nb"), "````x\na\n```\nb\n````");
    }
}
