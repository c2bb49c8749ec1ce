//! The filter language: `status:101 host:chat.* rule:accept-* path~room -client:10.0.3.17 dur>1s`.
//!
//! Terms parted by spaces must all hold; `or` parts alternatives (`a b or c` is a and b, or c); `-`
//! in front negates a term. `key:value` is the whole value, `*` in it stands for anything;
//! `key~text` is a part of it; `key>5`, `key<200ms`, `>=` and `<=` compare. A word alone is searched
//! in path, host, addresses and rules. Quotes hold spaces together. Letter case counts for `key` and
//! `accept` only. Of a journey over several legs, one leg must have all that is asked for, and none what
//! is ruled out; an address may be a network (`client:10.0.0.0/8`); `hop:` is the address or name of a proxy on the way, `product:` what is at fault or what
//! a proxy on the way runs.

use crate::model::{Chain, Finding, FlowFacts, InputFacts};
use crate::store::{Analysis, Row};

mod asking;
mod bits;
mod column;
mod columns;
mod keys;
mod known;
mod parse;
mod parts;
mod pattern;

pub use asking::Asking;
pub use columns::Columns;
pub use parts::Parts;

use keys::{Key, Subject};
use pattern::Pattern;

/// A filter, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Alternatives; all terms of one must hold. Empty: everything matches.
    any: Vec<Vec<Term>>,
    /// Names of the inputs, for `file:`.
    inputs: Vec<String>,
}

/// Why a filter cannot be understood. Says where and what would be possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter, character {at}: {why}")]
pub struct FilterError {
    /// Position of the faulty term in the filter, in characters from 1.
    pub at: usize,
    /// Lower case, no full stop.
    pub why: String,
}

#[derive(Clone, Debug)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// A part of any of the places in which one looks first.
    Anywhere(Pattern),
    Text(Key, Pattern),
    Number(Key, Compare, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    AtLeast,
    AtMost,
    Equal,
    Less,
    More,
}

impl Filter {
    /// Understands a filter. An empty one matches everything.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        Ok(Filter { any: parse::terms(text)?, inputs: Vec::new() })
    }

    /// Tells the names of the inputs, without which `file:` knows only their numbers.
    pub fn with_inputs(mut self, inputs: &[InputFacts]) -> Filter {
        self.inputs = inputs.iter().map(|i| i.path.clone()).collect();
        self
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.any.is_empty()
    }

    /// Whether an exchange matches. `chain`: the one it belongs to, where that is known. `findings`:
    /// all of the analysis; the indices of row and chain pick from them.
    pub fn matches(&self, row: &Row, chain: Option<&Chain>, findings: &[Finding]) -> bool {
        let inputs = &self.inputs;
        self.holds(&[Subject { row: Some(row), flow: None, chain, findings, inputs, proxies: &[] }])
    }

    /// Whether a connection without a request matches; what only an exchange has, it lacks.
    pub fn matches_flow(&self, flow: &FlowFacts, chain: Option<&Chain>, findings: &[Finding]) -> bool {
        let inputs = &self.inputs;
        self.holds(&[Subject { row: None, flow: Some(flow), chain, findings, inputs, proxies: &[] }])
    }

    /// Whether a chain of this analysis matches: one of its legs or connections has all that is asked for,
    /// and none has what is ruled out. `legs`, `flows`: its own.
    pub fn matches_chain(&self, a: &Analysis, chain: &Chain, legs: &[&Row], flows: &[&FlowFacts]) -> bool {
        let part = |row, flow| Subject {
            row,
            flow,
            chain: Some(chain),
            findings: &a.findings,
            inputs: &self.inputs,
            proxies: &a.intermediaries,
        };
        let legs = legs.iter().map(|&row| part(Some(row), None));
        self.holds(&legs.chain(flows.iter().map(|&flow| part(None, Some(flow)))).collect::<Vec<_>>())
    }

    fn holds(&self, parts: &[Subject<'_>]) -> bool {
        let alternative = |all: &Vec<Term>| {
            let (without, with): (Vec<&Term>, Vec<&Term>) = all.iter().partition(|term| term.negated);
            parts.iter().all(|part| without.iter().all(|term| term.holds(part)))
                && parts.iter().any(|part| with.iter().all(|term| term.holds(part)))
        };
        !parts.is_empty() && (self.any.is_empty() || self.any.iter().any(alternative))
    }
}

impl std::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        Filter::parse(text)
    }
}

impl Term {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let holds = match &self.test {
            Test::Anywhere(pattern) => {
                Key::ANYWHERE.iter().any(|key| subject.any_text(*key, &mut |value| pattern.matches(value)))
            }
            Test::Text(key, pattern) => subject.any_text(*key, &mut |value| pattern.matches(value)),
            Test::Number(key, compare, than) => {
                subject.any_number(*key, &mut |value| column::compares(*compare, value, *than))
            }
        };
        holds != self.negated
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::testing;

    /// Ids of the exchanges of the sample that match.
    fn found(a: &Analysis, filter: &str) -> Vec<u64> {
        let filter = Filter::parse(filter).unwrap().with_inputs(&a.inputs);
        let pairs = a.rows.iter().zip(&a.chains);
        pairs.filter(|(row, c)| filter.matches(row, Some(c), &a.findings)).map(|(row, _)| row.exchange.id.0).collect()
    }

    #[test]
    fn every_sort_of_term_is_understood() {
        let a = testing::sample();
        for (filter, ids) in [
            ("", &[1, 2, 3][..]),
            ("status:101", &[1, 2]),
            ("status:4* or id:1", &[1, 3]),
            ("host:chat.*", &[1, 2, 3]),
            ("host:CHAT.example.org -rule:accept-*", &[1, 3]),
            ("rule:accept-*", &[2]),
            ("finding:origin-host-mismatch", &[3]),
            ("path~ROOM=7", &[1, 2, 3]),
            ("-client:10.0.0.1", &[]),
            ("client:10.0.0.1:40002", &[2]),
            ("server:10.0.1.9:8080", &[2]),
            ("ip:10.0.1.*", &[2]),
            ("port:8080", &[2]),
            ("port>40002", &[3]),
            ("dur>1s", &[1]),
            ("dur>=4s dur<=4s", &[1]),
            ("latency<2ms", &[1, 2, 3]),
            ("latency>1.5ms latency<200ms", &[1, 2, 3]),
            ("frames>5", &[1]),
            ("bytes<1k", &[1]),
            ("outcome:broken", &[2]),
            ("verdict:ok", &[1]),
            ("severity:error", &[2, 3]),
            ("kind:guid-missing", &[2]),
            ("product:nginx", &[3]),
            ("blame:hop or blame:server", &[2, 3]),
            ("key:dGhlIHNhbXBsZSBub25jZQ==", &[1, 2, 3]),
            ("key:dghlIHNhbXBsZSBub25jZQ==", &[]),
            ("accept~5wDa", &[2]),
            ("origin:*", &[3]),
            ("-origin:*", &[1, 2]),
            ("ua~mozilla", &[3]),
            ("protocol:websocket method:get", &[1, 2, 3]),
            ("file:edge* packet:14", &[2]),
            ("input:0 packet>20", &[3]),
            ("10.0.1.9:8080", &[2]),
            ("client:10.0.0.0/8 server:10.0.1.8/31", &[2]),
            ("ip:10.0.1.8/29", &[2]),
            ("-server:10.0.1.9/32", &[1, 3]),
            ("ip:2001:db8::/32", &[]),
            ("path:10.0.0.0/8", &[]),
            ("accept-mis", &[2]),
            ("\"chat room\"", &[]),
            ("path:\"/chat*\"", &[1, 2, 3]),
            ("close:1000 end:close-frame", &[1]),
        ] {
            assert_eq!(found(&a, filter), ids, "{filter}");
        }
    }

    #[test]
    fn what_is_not_understood_says_where_and_what_would_be() {
        let message = |text: &str| Filter::parse(text).unwrap_err().to_string();
        assert!(message("status:101 hots:x").starts_with("filter, character 12: unknown key `hots`; known are id, "));
        insta::assert_snapshot!(message("dur>fast"), @"filter, character 1: `fast` should be a length of time with its unit, such as 200ms, 1.5s, 2m or 1h");
        insta::assert_snapshot!(message("dur>5"), @"filter, character 1: `5` should be a length of time with its unit, such as 200ms, 1.5s, 2m or 1h");
        insta::assert_snapshot!(message("host>5"), @"filter, character 1: `host` has no order; use host:value or host~part");
        insta::assert_snapshot!(message("status:"), @"filter, character 1: `status:` needs a value behind it; status:* is any, -status:* is none");
        insta::assert_snapshot!(message("a or"), @"filter, character 3: `or` stands between two terms: status:101 or status:200");
        insta::assert_snapshot!(message("or a"), @"filter, character 1: `or` stands between two terms: status:101 or status:200");
        insta::assert_snapshot!(message("-"), @"filter, character 1: `-` negates the term behind it: -status:101");
        insta::assert_snapshot!(message("status=101"), @"filter, character 1: `=` compares nothing here: write status:101, or \"status=101\" for these words");
        insta::assert_snapshot!(message("rule:acept-mismatch"), @"filter, character 1: there is no rule `acept-mismatch`; did you mean accept-mismatch?");
        insta::assert_snapshot!(message("verdict:foo*"), @"filter, character 1: there is no rule `foo*`; see: hopscope rules");
        insta::assert_snapshot!(message("severity:critical"), @"filter, character 1: `severity` is never `critical`; it is one of error, warning, info");
        insta::assert_snapshot!(message("outcome:failed"), @"filter, character 1: `outcome` is never `failed`; it is one of upgraded, broken, refused, redirected, unanswered, unknown");
        insta::assert_snapshot!(message("ip:10.0.0.0/33"), @"filter, character 1: `10.0.0.0/33` should be a network, such as 10.0.0.0/8 or 2001:db8::/32");
        for good in [
            "rule:refused-403",
            "verdict:refused-4*",
            "rule:hop-*",
            "verdict:ok",
            "-severity:error",
            "end:rst",
            "kind:guid-*",
            "\"status=101\"",
            "a=b",
            "?status=1",
        ] {
            assert!(Filter::parse(good).is_ok(), "{good}");
        }
        insta::assert_snapshot!(message("a \"b"), @r#"filter, character 3: this quote is not closed; add another " at the end of the words"#);
    }

    #[test]
    fn a_journey_is_asked_for_by_any_of_its_legs_and_by_its_hops() {
        let a = testing::journeys();
        for (filter, ids) in [
            ("hop:10.0.1.1", &[1, 3, 6, 9][..]),
            ("hop:edge", &[3]),
            ("product:nginx", &[1, 3, 6, 9]),
            ("product:\"nginx 1.22*\" outcome:upgraded", &[3]),
            ("-product:nginx", &[]),
            ("server:10.0.1.9:8080", &[1, 3, 6, 9]),
            ("server:10.0.1.10:8080", &[6]),
            // One leg has all of it.
            ("server:10.0.1.9:8080 status:503", &[]),
            // No leg has it.
            ("-client:10.0.0.1", &[]),
            ("-server:10.0.1.10:8080", &[1, 3, 9]),
            ("10.0.1.3", &[3]),
        ] {
            let keep = crate::store::select::chains(&a, &Filter::parse(filter).unwrap());
            let kept: Vec<i64> = a.chains.iter().zip(keep).filter(|(_, keep)| *keep).map(|(c, _)| c.id).collect();
            assert_eq!(kept, ids, "{filter}");
        }
    }

    #[test]
    fn a_connection_without_a_request_can_be_asked_for() {
        let a = testing::odd();
        let chain = a.chains.last();
        let matches = |text: &str| Filter::parse(text).unwrap().matches_flow(&a.flows[0], chain, &a.findings);
        assert!(matches("server:10.0.0.2:81") && matches("verdict:connect-refused") && !matches("status:101"));
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused_without_a_panic(text in "[ -~äß\"*:~<>=-]{0,60}") {
            if let Ok(filter) = Filter::parse(&text) {
                let a = testing::sample();
                for row in &a.rows {
                    filter.matches(row, a.chains.first(), &a.findings);
                }
            }
        }

        #[test]
        fn a_term_and_its_negation_never_agree(value in "[a-z0-9.*]{1,8}") {
            let a = testing::sample();
            let yes = found(&a, &format!("host:{value}"));
            let no = found(&a, &format!("-host:{value}"));
            prop_assert_eq!(yes.len() + no.len(), a.rows.len());
        }
    }
}
