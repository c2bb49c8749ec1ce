//! `text`: the report for a person under stress. First what happened in a few lines, then what the
//! failures share, then a block for each broken upgrade, what worked in brief, and notes.

use std::io::{self, Write};

use crate::report::mask::Masker;
use crate::report::time::Clock;
use crate::report::{Format, Options};
use crate::store::Analysis;

mod block;
mod capture;
mod facts;
mod groups;
mod healthy;
mod nothing;
mod page;
mod patterns;
mod summary;

use facts::Facts;
use page::Page;

pub(super) static FORMAT: Format = Format { name: "text", extension: "txt", write };

/// What every section needs.
struct Context<'a> {
    a: &'a Analysis,
    facts: Facts,
    options: &'a Options,
    clock: Clock,
    masker: Masker,
}

/// Writes the report.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let facts = Facts::new(a);
    let clock = Clock::new(options.utc, facts.first);
    let mut context = Context { a, facts, options, clock, masker: Masker::new(options.show_secrets) };
    let mut page = Page::new(out, options.color);
    summary::write(&mut context, &mut page)?;
    patterns::write(&mut context, &mut page)?;
    groups::write(&mut context, &mut page)?;
    if !options.quiet {
        healthy::write(&mut context, &mut page)?;
        healthy::notes(&mut context, &mut page)?;
        hint(&context, &mut page)?;
    }
    page.flush()
}

/// Where to read on.
fn hint(context: &Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let mut hints = Vec::new();
    if let Some(group) = context.facts.groups.iter().find(|g| g.rule != "unknown") {
        hints.push(format!("What a rule checks, and why: hopscope explain {}", group.rule));
    }
    if context.masker.masked() {
        hints.push(
            "Secrets are shown as [redacted #N], the same secret with the same number; --show-secrets shows them"
                .to_owned(),
        );
    }
    if !hints.is_empty() {
        page.blank()?;
    }
    hints.iter().try_for_each(|hint| page.dim(hint))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::base::{Counters, Nanos, PacketRef, Timestamp};
    use crate::model::{Chain, Damage, InputFacts};
    use crate::store::testing;

    fn text(a: &Analysis, options: &Options) -> String {
        let mut out = Vec::new();
        write(a, options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn utc() -> Options {
        Options { utc: true, ..Options::default() }
    }

    #[test]
    fn one_of_each() {
        insta::assert_snapshot!(text(&testing::sample(), &utc()), @"");
    }

    #[test]
    fn many_failures_of_one_kind_are_counted() {
        insta::assert_snapshot!(text(&testing::many(312, 210), &utc()), @"");
    }

    #[test]
    fn what_is_neither_healthy_nor_broken_is_told_apart() {
        insta::assert_snapshot!(text(&testing::odd(), &utc()), @"");
    }

    #[test]
    fn nothing_found_says_why() {
        insta::assert_snapshot!(text(&Analysis::default(), &utc()), @"");
        let mut a = Analysis::default();
        a.inputs.push(InputFacts { path: "a.pcap".to_owned(), packets: 900, ..InputFacts::default() });
        a.counters = Counters { packets: 900, flows: 12, ..Counters::default() };
        insta::assert_snapshot!(text(&a, &utc()), @"");
    }

    #[test]
    fn quiet_leaves_out_what_worked() {
        let options = Options { quiet: true, ..utc() };
        let all = text(&testing::sample(), &options);
        assert!(all.contains("accept-mismatch") && !all.contains("Worked") && !all.contains("explain"));
    }

    #[test]
    fn colours_say_nothing_that_words_do_not() {
        let plain = text(&testing::sample(), &utc());
        let coloured = text(&testing::sample(), &Options { color: true, ..utc() });
        assert!(coloured.contains("\x1b["));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }

    #[test]
    fn secrets_do_not_appear_unless_asked_for() {
        assert!(!text(&testing::sample(), &utc()).contains("topsecret"));
        assert!(text(&testing::sample(), &Options { show_secrets: true, ..utc() }).contains("topsecret"));
    }

    #[test]
    fn lines_are_no_wider_than_the_page_unless_to_be_pasted() {
        for a in [testing::sample(), testing::many(30, 30), testing::odd()] {
            for line in text(&a, &utc()).lines() {
                assert!(line.chars().count() <= page::WIDTH || line.contains("frame.number"), "{line}");
            }
        }
    }

    #[test]
    fn absurd_values_do_no_harm() {
        let mut a = testing::sample();
        a.inputs.push(InputFacts {
            path: "b\x1b[31m".to_owned(),
            first: Some(Timestamp(i64::MIN)),
            last: Some(Timestamp(i64::MAX)),
            packets: u64::MAX,
            cut_short: Some(u64::MAX),
            damage: vec![Damage { packet: u64::MAX, byte: u64::MAX, why: "x".repeat(5_000), lost_bytes: u64::MAX }],
            snaplen: Some(u32::MAX),
            snapped: u64::MAX,
            dropped_kernel: u64::MAX,
            ..InputFacts::default()
        });
        for row in &mut a.rows {
            row.exchange.request.first = Timestamp(i64::MIN);
            row.exchange.request.at = PacketRef::new(u16::MAX, u64::MAX);
            row.exchange.end.lifetime = Some(Nanos(i64::MIN));
        }
        a.patterns = testing::many(1, 1).patterns;
        for share in [f64::NAN, 0.0, -1.0, f64::INFINITY, 1e-300] {
            a.patterns[0].failed_share = share;
            a.patterns[0].chains = u64::MAX;
            text(&a, &utc());
        }
        let stray = Chain { legs: Vec::new(), findings: vec![usize::MAX], ..a.chains[1].clone() };
        a.chains.push(stray);
        let all = text(&a, &utc());
        assert!(!all.contains('\x1b'));
    }
}
