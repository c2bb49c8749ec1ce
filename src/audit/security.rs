//! Notes on security: nothing here breaks an upgrade, and most of it is for somebody else than the proxy to mend.

use std::collections::{HashMap, HashSet};

use crate::model::{Exchange, Outcome, Severity};

use super::line::{Maker, Status, Tally};
use super::scope::Scope;

pub(super) fn lines(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    origin(scope, m);
    plain(scope, m);
    token_in_url(scope, m);
    smuggling(scope, m);
    h2c(scope, m);
    version_probe(scope, m);
    compressed_secrets(scope, m);
    keys(scope, m);
    banner(scope, m);
}

/// Whether somebody looks at `Origin`: RFC 6455 §10.2.
fn origin(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, x) in &scope.fronts {
        let foreign = match (x.request.first_value("origin"), x.request.host()) {
            (Some(origin), Some(host)) => is_foreign(origin, host),
            _ => continue,
        };
        if foreign {
            tally.add(Some(chain.outcome != Outcome::Upgraded), chain, vec![x]);
        }
    }
    let words = [
        "upgrades with a foreign Origin are refused",
        "upgrades with an Origin of another site are granted: any page may open them with its visitor's cookies",
    ];
    m.tallied(("audit-no-origin-check", "Foreign Origin"), &tally, Status::Warn, words, None);
    note(m, Severity::Info, &["RFC 6455 §10.2"]);
}

/// Cookies and credentials in clear.
fn plain(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, x) in &scope.fronts {
        let secret = x.request.has("cookie") || x.request.has("authorization");
        let first = chain.legs.first() == Some(&x.id);
        if !secret || !first {
            continue;
        }
        let tls = x.is_inside_tls();
        let behind_tls = x.request.first_value("x-forwarded-proto").is_some_and(|p| p.eq_ignore_ascii_case(b"https"));
        tally.add(Some(tls || behind_tls), chain, vec![x]);
    }
    let words = ["credentials come to it inside TLS only", "Cookie or Authorization comes to it in clear (ws://)"];
    m.tallied(("audit-ws-plain", "Credentials in clear"), &tally, Status::Warn, words, None);
    note(m, Severity::Warning, &["RFC 6455 §10.6"]);
}

/// Secrets where every log has them.
fn token_in_url(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, x) in &scope.fronts {
        let target = x.request.target();
        if target.contains(&b'?') {
            tally.add(Some(!crate::report::mask::has_secret(target)), chain, vec![x]);
        }
    }
    let words = [
        "no token stands in a request target",
        "tokens stand in request targets, and so in the logs of everybody on the way",
    ];
    m.tallied(("audit-token-in-url", "Token in the URL"), &tally, Status::Warn, words, None);
    note(m, Severity::Warning, &["RFC 6750 §5.3"]);
}

/// A tunnel that the backend never granted.
fn smuggling(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, p) in scope.hops.iter().filter(|(_, p)| !p.tried_again && p.far.response.is_some()) {
        if p.far.granted().is_none() {
            tally.add(Some(p.near.granted().is_none()), chain, vec![p.near, p.far]);
        }
    }
    let words = [
        "opens no tunnel where the backend grants none",
        "grants upgrades that the backend did not grant: what the client sends next reaches the backend unread",
    ];
    m.tallied(("tunnel-without-101", "Tunnel without a 101"), &tally, Status::Fail, words, None);
    note(m, Severity::Error, &["RFC 9110 §7.8"]);
}

/// Cleartext HTTP/2 through a proxy that cannot look into it.
fn h2c(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, x) in scope.fronts.iter().filter(|(_, x)| x.request.has_token("upgrade", "h2c")) {
        let on = scope.hops_of(chain).any(|p| p.far.request.has_token("upgrade", "h2c"));
        tally.add(Some(!on), chain, vec![x]);
    }
    let words = ["Upgrade: h2c goes no farther", "passes Upgrade: h2c on: requests inside pass it unseen"];
    m.tallied(("audit-h2c-upgrade", "h2c"), &tally, Status::Warn, words, None);
    note(m, Severity::Warning, &["RFC 9113 §3.1"]);
}

/// What is granted although it should not be.
fn version_probe(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, x) in &scope.fronts {
        let version = x.request.first_value("sec-websocket-version");
        if version.is_some_and(|v| v != b"13") && x.response.is_some() {
            tally.add(Some(x.granted().is_none()), chain, vec![x]);
        }
    }
    let words = ["versions other than 13 are refused", "versions other than 13 are granted"];
    m.tallied(("audit-version-probe", "Other versions"), &tally, Status::Warn, words, None);
    note(m, Severity::Info, &["RFC 6455 §4.4"]);
}

/// Where lengths could tell a secret (as CRIME did): compression over messages, with credentials at hand.
fn compressed_secrets(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let (id, title) = ("audit-compression-secrets", "Compressed secrets");
    let deflated = |x: &Exchange| {
        let deflate = x.talk.as_ref().and_then(|talk| talk.deflate);
        deflate.is_some_and(|d| !d.client_no_context_takeover || !d.server_no_context_takeover)
    };
    let secret = |x: &Exchange| x.request.has("cookie") || x.request.has("authorization");
    let mut tally = Tally::default();
    for (chain, x) in scope.fronts.iter().filter(|(_, x)| x.granted().is_some()) {
        tally.add(Some(!(deflated(x) && secret(x))), chain, vec![x]);
    }
    let words = [
        "no tunnel with credentials keeps one compression context for all messages",
        "tunnels with credentials keep one compression context: no secret should be sent beside what others choose",
    ];
    m.tallied((id, title), &tally, Status::Warn, words, None);
    note(m, Severity::Info, &["RFC 7692 §7.1.1"]);
}

/// Keys that should be new each time (RFC 6455 §4.1).
fn keys(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut used: HashMap<&[u8], u64> = HashMap::new();
    let mut firsts: HashSet<&[u8]> = HashSet::new();
    let mut tally = Tally::default();
    for (_, x) in &scope.fronts {
        if let Some(key) = x.request.first_value("sec-websocket-key") {
            *used.entry(key).or_default() += 1;
        }
    }
    for (chain, x) in &scope.fronts {
        let Some(key) = x.request.first_value("sec-websocket-key") else { continue };
        let again = !firsts.insert(key) && used.get(key).is_some_and(|n| *n > 1);
        tally.add(Some(!again), chain, vec![x]);
    }
    let words = ["every request has a key of its own", "keys come again: a client makes them without chance"];
    m.tallied(("audit-key-reuse", "Key reuse"), &tally, Status::Warn, words, None);
    note(m, Severity::Info, &["RFC 6455 §4.1", "RFC 6455 §10.3"]);
}

/// Versions that help whoever looks for old ones.
fn banner(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let mut tally = Tally::default();
    for (chain, x) in &scope.fronts {
        let Some(response) = &x.response else { continue };
        let tells = ["server", "via", "x-powered-by"].iter().any(|name| {
            response.combined(name).is_some_and(|v| v.windows(2).any(|w| matches!(w, [b'/', b'0'..=b'9'])))
        });
        tally.add(Some(!tells), chain, vec![x]);
    }
    let words = ["answers name no version", "answers name versions of software (Server, Via or X-Powered-By)"];
    m.tallied(("audit-server-banner", "Version in answers"), &tally, Status::Warn, words, None);
    note(m, Severity::Info, &["RFC 9110 §10.2.4"]);
}

/// How bad the last line is where it is not passed, and where that is written.
fn note(m: &mut Maker<'_, '_>, severity: Severity, references: &[&str]) {
    let Some(line) = m.lines.last_mut() else { return };
    line.references = references.iter().map(|&r| r.to_owned()).collect();
    if matches!(line.status, Status::Warn | Status::Fail) {
        line.severity = severity;
    }
}

/// Whether an Origin's host is another than the one asked for; `null` and what has no host is none.
fn is_foreign(origin: &[u8], host: &[u8]) -> bool {
    let Some(at) = origin.windows(3).position(|w| w == b"://") else { return false };
    let name = |authority: &[u8]| -> Vec<u8> {
        let end = match authority.first() {
            Some(b'[') => authority.iter().position(|&b| b == b']').map(|at| at + 1),
            _ => authority.iter().position(|&b| b == b':'),
        };
        authority.get(..end.unwrap_or(authority.len())).unwrap_or_default().to_ascii_lowercase()
    };
    let (of, host) = (name(origin.get(at + 3..).unwrap_or_default()), name(host));
    of != host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_letter_case_make_no_foreigner() {
        assert!(!is_foreign(b"https://Chat.example.org", b"chat.example.org:8080"));
        assert!(!is_foreign(b"http://[2001:db8::1]:8080", b"[2001:db8::1]"));
        assert!(is_foreign(b"https://evil.example", b"chat.example.org"));
        assert!(!is_foreign(b"null", b"chat.example.org"));
    }
}
