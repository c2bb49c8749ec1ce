//! `junit`: one test case for each chain, as CI systems show them. A fault that is an error fails its case; what the
//! capture cannot tell is skipped.

use std::io::{self, Write};

use crate::report::quote::entity;
use crate::report::told::Told;
use crate::report::view::{self, Status, View};
use crate::report::{Format, Options};
use crate::store::Analysis;

pub(super) static FORMAT: Format = Format { name: "junit", extension: "xml", write };

/// Writes one suite with a case for each chain, in their order.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let view = View::new(a, options);
    let mut out = io::BufWriter::new(out);
    let count = |status| view.chains.iter().filter(|b| b.status == status).count();
    let (tests, failures, skipped) = (view.chains.len(), count(Status::Error), count(Status::Unknown));
    let numbers = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"");
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"hopscope\" {numbers}>")?;
    writeln!(out, "  <testsuite name=\"WebSocket upgrades\" {numbers}>")?;
    for brief in &view.chains {
        case(&view, &view.tell(brief), &mut out)?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")?;
    out.flush()
}

fn case(view: &View<'_>, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let first = told.first();
    let server = first.map(|x| view::endpoint(&x.server)).unwrap_or_default();
    let seconds = first.and_then(|x| x.latency_ns).map_or(0.0, |ns| ns as f64 / 1e9);
    let name = format!("{} {}", told.name(), told.title());
    let (v, status) = (&told.chain.verdict, told.status);
    write!(out, "    <testcase name=\"{}\" classname=\"{}\" time=\"{seconds:.6}\"", quoted(&name), quoted(&server))?;
    let body = details(view, told);
    match status {
        Status::Worked | Status::Settled => return writeln!(out, "/>"),
        Status::Error => writeln!(
            out,
            ">\n      <failure type=\"{}\" message=\"{}\">{}</failure>",
            quoted(&v.rule),
            quoted(&v.summary),
            quoted(&body)
        )?,
        Status::Unknown => writeln!(out, ">\n      <skipped message=\"{}\"/>", quoted(&v.summary))?,
        Status::Warning | Status::Allowed => {
            let all = format!("{} {}: {}\n{body}", status.word(), v.rule, v.summary);
            writeln!(out, ">\n      <system-out>{}</system-out>", quoted(&all))?;
        }
    }
    writeln!(out, "    </testcase>")
}

fn details(view: &View<'_>, told: &Told) -> String {
    let mut lines = Vec::new();
    lines.extend(told.blamed.as_ref().map(|blamed| format!("at fault: {blamed}")));
    for f in told.own_findings().take(1) {
        lines.extend((!f.expected.is_empty()).then(|| format!("expected: {}", f.expected)));
        lines.extend((!f.found.is_empty()).then(|| format!("found: {}", f.found)));
    }
    lines.extend(view.packets(told).into_iter().map(|(file, filter)| format!("evidence: {filter} in {file}")));
    for fix in &told.chain.verdict.fix {
        lines.push(format!("fix ({}{}{}):", fix.product, if fix.versions.is_empty() { "" } else { " " }, fix.versions));
        lines.push(fix.text.clone());
    }
    lines.join("\n")
}

/// Words in an attribute or between tags of XML.
fn quoted(words: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '\n' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            // What XML 1.0 cannot hold at all (§2.2).
            '\0'..='\x1f' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{{{:04x}}}", u32::from(c));
            }
            c => match entity(c) {
                Some(entity) => out.push_str(entity),
                None => out.push(c),
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place_in_xml() {
        assert_eq!(quoted("<a b=\"c\">&'\n"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;&#10;");
        assert_eq!(quoted("\u{1}\u{fffe}"), "\\u{0001}\\u{fffe}");
    }
}
