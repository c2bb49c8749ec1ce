//! `ndjson`: one object a line, each with a `type`: `start` first, `summary` last.
//!
//! [`Lines`] makes single lines, so that a running analysis can print what is decided; [`write_all`]
//! prints a finished one in the same order.

use std::io::{self, Write};

use serde::Serialize;

use crate::base::Counters;
use crate::model::{Chain, Finding, Fix, InputFacts, Intermediary, Pattern};
use crate::report::build::{self, Owners};
use crate::report::document as doc;
use crate::report::mask::Masker;
use crate::report::passed::{self, Legs};
use crate::report::{Format, Options};
use crate::store::{Analysis, Row};

pub(super) static FORMAT: Format = Format { name: "ndjson", extension: "ndjson", write: write_all };

/// Makes the lines of one report, without their line breaks. Keeps the numbering of masked secrets.
#[derive(Debug)]
pub struct Lines {
    masker: Masker,
}

impl Lines {
    pub fn new(options: &Options) -> Self {
        Lines { masker: Masker::new(options.show_secrets) }
    }

    /// The first line. What is not known of an input yet is zero or null; `summary` has it in the end.
    pub fn start_line(&mut self, inputs: &[InputFacts]) -> String {
        #[derive(Serialize)]
        struct Start {
            schema: &'static str,
            tool: doc::Tool,
            inputs: Vec<doc::Input>,
        }
        self.masker.name(inputs);
        line("start", None, &Start { schema: doc::SCHEMA, tool: build::tool(), inputs: build::inputs(inputs) })
    }

    /// An exchange; printed again when `last`: the later line wins.
    pub fn exchange_line(&mut self, row: &Row, last: bool) -> String {
        line("exchange", Some(last), &build::exchange(row, last, &mut self.masker))
    }

    /// `index`: of the finding in its analysis; its id is one more. `fix`: what mends it, where known.
    pub fn finding_line(&mut self, index: usize, finding: &Finding, fix: &[Fix]) -> String {
        line("finding", None, &build::finding(index, finding, fix, &mut self.masker))
    }

    /// A chain; `last` when all its legs are.
    /// `leg`: the exchanges of its legs.
    pub fn chain_line<'a>(&mut self, chain: &Chain, leg: Legs<'_, 'a>, last: bool) -> String {
        line("chain", Some(last), &build::chain(chain, leg, &mut self.masker))
    }

    /// The last line.
    pub fn summary_line(
        &mut self,
        inputs: &[InputFacts],
        counters: &Counters,
        intermediaries: &[Intermediary],
        patterns: &[Pattern],
    ) -> String {
        #[derive(Serialize)]
        struct Summary {
            inputs: Vec<doc::Input>,
            counters: doc::Counters,
            intermediaries: Vec<doc::Intermediary>,
            patterns: Vec<doc::Pattern>,
        }
        let summary = Summary {
            inputs: build::inputs(inputs),
            counters: build::counters(counters),
            intermediaries: intermediaries.iter().map(|i| passed::intermediary(i, &mut self.masker)).collect(),
            patterns: patterns.iter().map(|p| build::pattern(p, &mut self.masker)).collect(),
        };
        line("summary", None, &summary)
    }
}

/// A finished analysis: `start`, for each chain its exchanges, findings and the chain, findings of no
/// chain, `summary`.
pub fn write_all(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let mut lines = Lines::new(options);
    let owners = Owners::new(a);
    let mut printed = vec![false; a.findings.len()];
    let mut print_finding = |index: usize, lines: &mut Lines| {
        let (finding, printed) = (a.findings.get(index)?, printed.get_mut(index)?);
        if std::mem::replace(printed, true) {
            return None;
        }
        let chain = owners.chain(a, index).filter(|c| c.verdict.told_by() == finding.rule);
        Some(lines.finding_line(index, finding, chain.map(|c| c.verdict.fix.as_slice()).unwrap_or_default()))
    };
    writeln!(out, "{}", lines.start_line(&a.inputs))?;
    for chain in &a.chains {
        let legs: Vec<&Row> = chain.legs.iter().filter_map(|&leg| build::row(a, leg)).collect();
        for &leg in &legs {
            writeln!(out, "{}", lines.exchange_line(leg, true))?;
        }
        let mut findings: Vec<usize> =
            legs.iter().flat_map(|leg| &leg.findings).chain(&chain.findings).copied().collect();
        findings.sort_unstable();
        for index in findings {
            if let Some(line) = print_finding(index, &mut lines) {
                writeln!(out, "{line}")?;
            }
        }
        writeln!(out, "{}", lines.chain_line(chain, &|id| build::leg(a, id), true))?;
    }
    for index in 0..a.findings.len() {
        if let Some(line) = print_finding(index, &mut lines) {
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out, "{}", lines.summary_line(&a.inputs, &a.counters, &a.intermediaries, &a.patterns))?;
    out.flush()
}

fn line(kind: &'static str, last: Option<bool>, content: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Line<'a, T: Serialize> {
        r#type: &'static str,
        #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
        last: Option<bool>,
        #[serde(flatten)]
        content: &'a T,
    }
    // Nothing that is written here can fail to be JSON: names are strings and no map has other keys.
    serde_json::to_string(&Line { r#type: kind, last, content }).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;

    fn lines(a: &Analysis) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        write_all(a, &Options::default(), &mut out).unwrap();
        out.split(|&b| b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
    }

    #[test]
    fn start_is_first_and_summary_last_and_a_chain_follows_what_it_is_made_of() {
        let kinds: Vec<String> =
            lines(&testing::sample()).iter().map(|l| l["type"].as_str().unwrap().to_owned()).collect();
        insta::assert_snapshot!(kinds.join(" "), @"start exchange finding chain exchange finding chain exchange finding finding chain summary");
    }

    #[test]
    fn every_finding_and_exchange_is_printed_once() {
        let a = testing::sample();
        let mut ids = Vec::new();
        for line in lines(&a) {
            if line["type"] == "finding" {
                ids.push(line["id"].as_u64().unwrap());
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, (1..=a.findings.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn an_exchange_that_goes_on_has_no_end() {
        let a = testing::sample();
        let mut lines = Lines::new(&Options::default());
        let line: serde_json::Value = serde_json::from_str(&lines.exchange_line(&a.rows[0], false)).unwrap();
        assert_eq!(line["final"], false);
        assert!(line["end"].is_null());
        assert_eq!(line["id"], 1);
    }
}
