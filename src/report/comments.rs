//! What `extract` writes beside the packets: which findings a packet proves, and where it was.
//! Captured bytes are masked and escaped as in every report.

use std::collections::HashMap;

use crate::base::PacketRef;
use crate::base::escape::escape;
use crate::model::{Confidence, Finding, InputFacts, Subject};
use crate::report::mask::{self, Masker};
use crate::store::Analysis;

/// The comments of an analysis' packets.
pub struct Comments<'a> {
    inputs: &'a [InputFacts],
    findings: &'a [Finding],
    /// Findings that each packet is evidence of, by index.
    evidence: HashMap<PacketRef, Vec<usize>>,
    masker: Masker,
}

impl<'a> Comments<'a> {
    /// `wanted`: whether the packets of this subject are of interest.
    pub fn new(a: &'a Analysis, wanted: impl Fn(&Subject) -> bool, masker: Masker) -> Self {
        let mut evidence: HashMap<PacketRef, Vec<usize>> = HashMap::new();
        for (index, finding) in a.findings.iter().enumerate().filter(|(_, f)| wanted(&f.subject)) {
            for place in &finding.evidence {
                let at = evidence.entry(place.at).or_default();
                if at.last() != Some(&index) {
                    at.push(index);
                }
            }
        }
        Comments { inputs: &a.inputs, findings: &a.findings, evidence, masker }
    }

    /// One comment for each finding, and one that says which packet of which file it was. Empty where the
    /// packet is evidence of nothing.
    pub fn of(&mut self, at: PacketRef) -> Vec<String> {
        let Some(indices) = self.evidence.get(&at) else { return Vec::new() };
        let findings = indices.iter().filter_map(|&i| self.findings.get(i));
        let mut all: Vec<String> = findings.map(|f| sentence(f, &mut self.masker)).collect();
        all.push(format!("packet {} of {}", at.number(), self.file(at.input())));
        all
    }

    /// The name of an input, as it was given, safe to print.
    pub fn file(&self, input: u16) -> String {
        let facts = self.inputs.get(usize::from(input));
        facts.map(|facts| escape(facts.path.as_bytes())).unwrap_or_default()
    }

    /// What the user wrote, such as a filter, safe to print.
    pub fn words(&mut self, text: &str) -> String {
        self.masker.bytes(text.as_bytes())
    }
}

/// A finding in one line.
pub fn sentence(f: &Finding, masker: &mut Masker) -> String {
    let sure = match f.confidence {
        Confidence::Certain => String::new(),
        less => format!(", {}", less.word()),
    };
    let subject = match f.subject {
        Subject::Exchange(id) => format!(" in exchange {id}"),
        Subject::Chain(id) => format!(" in chain {id}"),
        Subject::Flow(_) | Subject::Input(_) | Subject::Capture => String::new(),
    };
    let (rule, severity) = (mask::own(&f.rule), f.severity.word());
    format!("hopscope: {rule} ({severity}{sure}){subject}: {}", masker.text(&f.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    fn a_packet_names_each_of_its_findings_once_and_where_it_was() {
        let a = testing::sample();
        let mut comments = Comments::new(&a, |_| true, Masker::new(false));
        let some: Vec<_> = a.findings.iter().filter_map(|f| Some((f, f.evidence.first()?.at))).collect();
        assert!(!some.is_empty());
        for (finding, at) in some {
            let all = comments.of(at);
            let named = all.iter().filter(|c| c.contains(&format!("hopscope: {} (", finding.rule))).count();
            assert!(named >= 1, "{all:?}");
            assert!(all.last().is_some_and(|c| c.starts_with(&format!("packet {} of ", at.number()))), "{all:?}");
        }
        assert!(comments.of(PacketRef::new(9, 9)).is_empty());
        assert!(Comments::new(&a, |_| false, Masker::new(false)).evidence.is_empty());
    }
}
