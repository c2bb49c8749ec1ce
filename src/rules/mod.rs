//! The rules: one check per file, a folder per section of the catalogue, one list per folder.
//! What comes in: exchanges, flows and inputs as `model` has them. What goes out: findings.
//! A rule never does I/O and never keeps state; what it may know of other exchanges is [`Seen`].

pub mod accept;
pub mod capture;
pub mod docs;
pub mod ends;
mod frames;
pub mod guilt;
mod hop;
mod http2;
mod icmp;
pub mod journey;
pub mod mending;
mod ordinary;
pub mod outcome;
pub mod patterns;
pub mod polls;
pub mod recovery;
pub mod request;
pub mod response;
pub mod rule;
pub mod run;
pub mod seen;
pub mod sentence;
#[cfg(test)]
pub(crate) mod testing;
pub mod tunnels;
mod unknown;
pub mod veiled;
pub mod verdict;

pub use mending::fix_classes;
pub use response::TLS as TLS_HANDSHAKE_FAILED;
pub use unknown::LARGER_BUFFER;

use std::sync::LazyLock;

use crate::model::Exchange;

pub use rule::{Check, Explains, Findings, Rule};
pub use seen::Seen;

/// Every rule, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let of_heads = [capture::RULES, request::RULES, response::RULES, accept::RULES];
    let of_tunnels = [frames::RULES, http2::RULES, hop::RULES, ends::RULES];
    of_heads.into_iter().chain(of_tunnels).flatten().copied()
}

/// Those that may find something in an exchange, and in which.
static OF_EXCHANGES: LazyLock<[Group; 7]> = LazyLock::new(|| {
    [
        Group::new(capture::RULES, None, |_| true),
        Group::new(request::RULES, Some(request::OF_ORDINARY), |_| true),
        Group::new(response::RULES, Some(response::OF_ORDINARY), |_| true),
        Group::new(accept::RULES, Some(accept::OF_ORDINARY), |_| true),
        Group::new(frames::RULES, None, is_talked),
        Group::new(http2::RULES, None, http2::concern),
        Group::new(ends::RULES, None, |_| true),
    ]
});

/// Rules, and the exchanges that they are for.
struct Group {
    /// Each, and whether it may find something where the heads are [`ordinary`].
    rules: Vec<(&'static Rule, bool)>,
    concern: fn(&Exchange) -> bool,
}

impl Group {
    /// `of_ordinary`: those that may find something where the heads are [`ordinary`]. `None`: all may.
    fn new(rules: &[&'static Rule], of_ordinary: Option<&[&Rule]>, concern: fn(&Exchange) -> bool) -> Group {
        let of = |rule: &Rule| of_ordinary.is_none_or(|some| some.iter().any(|asked| std::ptr::eq(*asked, rule)));
        Group { rules: rules.iter().map(|rule| (*rule, of(rule))).collect(), concern }
    }
}

/// Whether more was said behind its 101 than plain messages.
fn is_talked(x: &Exchange) -> bool {
    x.talk.as_ref().is_some_and(|talk| talk.client.rare.is_some() || talk.server.rare.is_some())
}

/// The rule with this slug. `refused-403` finds the family `refused-<code>`.
pub fn find(slug: &str) -> Option<&'static Rule> {
    BY_SLUG.get(slug).copied().or_else(|| {
        let (family, code) = slug.rsplit_once('-')?;
        let number = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        number.then(|| FAMILIES.get(family).copied())?
    })
}

/// Whether the rule with this slug is about the end of a tunnel alone: one that was granted, and failed.
pub fn is_of_an_end(slug: &str) -> bool {
    find(slug).is_none_or(|rule| rule.explains.iter().all(|explained| *explained == Explains::Ended))
}

type BySlug = hashbrown::HashMap<&'static str, &'static Rule, foldhash::fast::RandomState>;

/// Reports ask for the rule of every finding.
static BY_SLUG: LazyLock<BySlug> = LazyLock::new(|| all().map(|rule| (rule.id, rule)).collect());

/// By what stands before `-<code>`.
static FAMILIES: LazyLock<BySlug> =
    LazyLock::new(|| all().filter_map(|rule| Some((rule.id.strip_suffix("-<code>")?, rule))).collect());
