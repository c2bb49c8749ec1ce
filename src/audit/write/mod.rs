//! An audit as text, JSON, Markdown and HTML. All strings of the document are escaped and masked already.

use std::io::{self, Write};

use crate::report::document as doc;
use crate::report::time::human;

use super::document::{Audit, Card};

mod html;
mod markdown;
mod text;

/// One way to write an audit.
pub struct Format {
    /// What `--format` takes.
    pub name: &'static str,
    /// Fails only where the writer fails.
    pub write: fn(&Audit, &mut dyn Write) -> io::Result<()>,
}

/// Every format, the default first.
pub static FORMATS: &[Format] = &[
    Format { name: "text", write: text::write },
    Format { name: "json", write: json },
    Format { name: "markdown", write: markdown::write },
    Format { name: "html", write: html::write },
];

/// The format with this name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

fn json(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    serde_json::to_writer_pretty(&mut out, audit)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// How many there are.
fn intermediaries(audit: &Audit) -> String {
    match audit.cards.len() {
        1 => "1 intermediary".to_owned(),
        n => format!("{n} intermediaries"),
    }
}

/// `nginx 1.22.1 at 10.0.0.2, 10.0.1.1`.
fn who(card: &Card) -> String {
    let product = card.product.as_ref().map(|p| match &p.version {
        Some(version) => format!("{} {version}", p.name),
        None => p.name.clone(),
    });
    let name = [card.name.clone(), product].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let name = if name.is_empty() { "a proxy of unknown make".to_owned() } else { name };
    format!("{name} at {}", card.addresses.join(", "))
}

/// What went through it, as one sentence.
fn counted(card: &Card) -> String {
    let upgrades = if card.asked == 1 { "1 upgrade".to_owned() } else { format!("{} upgrades", card.asked) };
    let verdicts: Vec<String> = card.verdicts.iter().map(|(rule, n)| format!("{n} × {rule}")).collect();
    format!(
        "{upgrades} asked for, {} passed on, {} came up; verdicts: {}",
        card.kept,
        card.upgraded,
        verdicts.join(", ")
    )
}

/// `4, 12 in edge.pcap`: packets of the evidence by input.
fn packets(audit: &Audit, evidence: &[doc::Evidence]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (at, input) in audit.inputs.iter().enumerate() {
        let mut numbers: Vec<u64> = evidence.iter().filter(|e| usize::from(e.input) == at).map(|e| e.packet).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if !numbers.is_empty() {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let file = input.path.rsplit('/').next().unwrap_or_default();
            let packets = if numbers.len() == 1 { "packet" } else { "packets" };
            parts.push(format!("{packets} {} of {file}", numbers.join(", ")));
        }
    }
    parts.join("; ")
}

/// What is said where there is no card.
fn nobody(audit: &Audit) -> String {
    match audit.chains {
        0 => "No upgrade was seen, and no intermediary.".to_owned(),
        n => format!(
            "No intermediary was seen on both of its sides ({n} {} in the capture): capture at the client's side \
             and at the backend's side of it, at the same time, and name all files.",
            if n == 1 { "upgrade" } else { "upgrades" }
        ),
    }
}

/// How much time the captures cover. `None` without packets.
fn span(audit: &Audit) -> Option<String> {
    let parse =
        |time: &String| time.parse::<jiff::Timestamp>().ok().and_then(|t| i64::try_from(t.as_nanosecond()).ok());
    let first = audit.inputs.iter().filter_map(|i| i.first.as_ref().and_then(parse)).min()?;
    let last = audit.inputs.iter().filter_map(|i| i.last.as_ref().and_then(parse)).max()?;
    Some(human(crate::base::Nanos(last.saturating_sub(first))))
}
