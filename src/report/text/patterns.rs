//! What the failures share, in a sentence.

use std::io;

use crate::model::Pattern;
use crate::report::text::Context;
use crate::report::text::facts::Fate;
use crate::report::text::page::{Page, Tone, clip};

/// Patterns told; the first are the strongest.
const MOST: usize = 3;

pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    for (i, pattern) in c.a.patterns.iter().take(MOST).enumerate() {
        if i == 0 {
            page.blank()?;
        }
        let sentence = sentence(c, pattern);
        page.say(Tone::Strong, &sentence)?;
    }
    Ok(())
}

fn sentence(c: &mut Context<'_>, p: &Pattern) -> String {
    let failures = (c.facts.count(Fate::Failed) + c.facts.count(Fate::Cut)).max(p.chains);
    let successes = c.facts.count(Fate::Worked) + c.facts.count(Fate::Settled);
    let value = clip(&c.masker.text(&p.value), 120);
    let failed = match (p.chains, failures) {
        (1, 1) => "The one failure".to_owned(),
        (some, all) if some == all => format!("All {all} failures"),
        (some, all) => format!("{some} of the {all} failures"),
    };
    // Of all with this value, how many worked: from the share, which knows the same chains.
    let with = p.chains as f64 / p.failed_share.clamp(0.0, 1.0);
    let worked = if with.is_finite() { (with - p.chains as f64).round().max(0.0) } else { 0.0 };
    let others = match (worked < 0.5, successes) {
        (_, 0) => String::new(),
        (true, 1) => " and not the one success".to_owned(),
        (true, n) => format!(" and none of the {n} successes"),
        (false, n) => format!(" and {worked:.0} of the {n} successes"),
    };
    if p.field == "time" {
        return format!("{failed} came {value}; the first at {}.", c.clock.time(p.since));
    }
    let shared = match p.field {
        "server" => format!("ended at {value}"),
        "client" => format!("came from {value}"),
        "onward" => format!("went onward from {value}"),
        "host" => format!("asked for the host {value}"),
        "path" => format!("asked for the path {value}"),
        "origin" => format!("came from pages of {value}"),
        "user-agent" => format!("came from the user agent {value}"),
        other => format!("have the {other} {value}"),
    };
    format!("{failed}{others} {shared}; the first at {}.", c.clock.time(p.since))
}
