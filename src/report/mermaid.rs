//! `mermaid`: a sequence diagram for each chain, in fences as Markdown has them, for wikis and merge requests that
//! draw them.

use std::io::{self, Write};

use crate::base::limits;
use crate::report::told::MessageKind;
use crate::report::view::{self, Status, View};
use crate::report::{Format, Options};
use crate::store::Analysis;

pub(super) static FORMAT: Format = Format { name: "mermaid", extension: "md", write };

/// Characters of one message.
const WIDTH: usize = 80;

/// Characters of one line of a note over all participants.
const NOTE: usize = 60;

/// Writes the diagrams, the worst chain's first.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let view = View::new(a, options);
    let mut out = io::BufWriter::new(out);
    let mut chains: Vec<_> = view.chains.iter().filter(|b| !b.chain.legs.is_empty()).collect();
    chains.sort_by_key(|b| b.status);
    for brief in chains.iter().take(limits::MERMAID_DIAGRAMS) {
        let told = view.tell(brief);
        let (chain, journey) = (&told.chain, told.journey());
        writeln!(out, "```mermaid\nsequenceDiagram")?;
        let title = format!("{}: {} ({})", told.name(), chain.verdict.rule, chain.outcome);
        writeln!(out, "    title {}", quoted(&title))?;
        for (at, (role, address)) in journey.who.iter().enumerate() {
            writeln!(out, "    participant P{at} as {}", quoted(&format!("{role} {address}")))?;
        }
        for m in &journey.messages {
            let arrow = match m.kind {
                MessageKind::Request => "->>",
                MessageKind::Granted | MessageKind::Answer => "-->>",
                MessageKind::Nothing | MessageKind::End => "-x",
            };
            writeln!(out, "    P{}{arrow}P{}: {}", m.from, m.to, quoted(&view::clip(&m.text, WIDTH)))?;
            if !m.notes.is_empty() {
                let notes: Vec<String> =
                    m.notes.iter().map(|(sign, note)| quoted(&format!("{sign} {}", view::clip(note, WIDTH)))).collect();
                writeln!(out, "    Note over P{}: {}", m.from, notes.join("<br/>"))?;
            }
        }
        if told.status < Status::Allowed {
            let last = journey.who.len().saturating_sub(1);
            let summary = view::clip(&chain.verdict.summary, WIDTH * 3);
            writeln!(out, "    Note over P0,P{last}: {}", broken(&summary).join("<br/>"))?;
        }
        writeln!(out, "```\n")?;
    }
    match chains.len().saturating_sub(limits::MERMAID_DIAGRAMS) {
        0 if chains.is_empty() => writeln!(out, "{}", view.summary(options))?,
        0 => {}
        n => writeln!(out, "{n} more chains are not drawn; choose some with -Y.")?,
    }
    out.flush()
}

/// Lines that fit over a note, which Mermaid makes no wider for its words, each quoted.
fn broken(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut width = 0;
    for word in words.split(' ') {
        let more = word.chars().count();
        match lines.last_mut().filter(|_| width + 1 + more <= NOTE) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
                width += 1 + more;
            }
            None => {
                lines.push(word.to_owned());
                width = more;
            }
        }
    }
    lines.iter().map(|line| quoted(line)).collect()
}

/// Words that mean nothing to Mermaid: what could, stands there as its number.
fn quoted(words: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | ' '
            | '.'
            | ','
            | '/'
            | ':'
            | '_'
            | '-'
            | '+'
            | '='
            | '?'
            | '('
            | ')' => {
                out.push(c);
            }
            c if c.is_alphanumeric() || matches!(c, '−' | '~' | '…') => out.push(c),
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    if out.trim().is_empty() { "#160;".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_mermaid_is_a_number() {
        assert_eq!(quoted("a;b#c<d>\"e\"`f`%%"), "a#59;b#35;c#60;d#62;#34;e#34;#96;f#96;#37;#37;");
        assert_eq!(quoted(" \n"), " #10;");
        assert_eq!(quoted(""), "#160;");
    }

    #[test]
    fn a_note_is_broken_between_words() {
        assert_eq!(broken(&"abcd ".repeat(14)), ["abcd ".repeat(12).trim_end(), "abcd abcd "]);
        assert_eq!(broken("a;b"), ["a#59;b"]);
        let long = "x".repeat(100);
        assert_eq!(broken(&format!("a {long} b")), ["a", &long, "b"]);
    }
}
