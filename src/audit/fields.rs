//! What the intermediary does with the fields that an upgrade hangs on.

use crate::model::{AcceptVerdict, Exchange, FaultClass, Head, HopKind};
use crate::report::build;
use crate::report::passed::Passed;

use super::line::{Maker, Status, Tally, both, once_of};
use super::scope::Scope;

/// What failed by its fault, whatever it was.
pub(super) fn faults(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let found = scope.blamed_for();
    match (found.is_empty(), scope.fronts.len()) {
        (false, _) => {
            m.from("no-fault", "Failures by its fault", &found);
            // The verdict says whose fault it is; a finding of an end, only what was seen there.
            let worst = found.iter().max_by_key(|(chain, _)| chain.verdict.severity);
            let told = worst.map(|(chain, _)| (m.masker.text(&chain.verdict.summary), chain.verdict.severity));
            if let Some((line, (summary, severity))) =
                m.lines.last_mut().zip(told).filter(|(_, told)| !told.0.is_empty())
            {
                (line.status, line.severity) = (Status::of(severity), severity);
                line.text = once_of(found.len(), &summary);
            }
        }
        (true, 0) => {
            m.plain("no-fault", "Failures by its fault", Status::NotObserved, "nothing went through it".to_owned());
        }
        (true, n) => {
            let text = format!("no upgrade failed by its fault ({n} of {n})");
            m.plain("no-fault", "Failures by its fault", Status::Pass, text);
        }
    }
}

/// `Upgrade`, `Connection`, the version, the key, the accept and the answers.
pub(super) fn upgrade(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let fwd = Some(FaultClass::Fwd);
    let tally = asked(scope, Passed::upgrade_kept);
    let words = ["passes Upgrade on", "does not pass Upgrade on"];
    m.tallied(("upgrade-passed", "Upgrade"), &tally, Status::Fail, words, fwd);
    let tally = asked(scope, Passed::connection_kept);
    let words = ["renews Connection: Upgrade", "does not renew Connection: Upgrade"];
    m.tallied(("connection-passed", "Connection"), &tally, Status::Fail, words, fwd);
    let tally = asked(scope, |p| {
        let upgrade = p.near.request.has("upgrade") && !is_stream(p);
        upgrade.then(|| p.far.request.version() != b"HTTP/1.0" || p.near.request.version() == b"HTTP/1.0")
    });
    let words = ["asks the backend in HTTP/1.1", "asks the backend in HTTP/1.0, which knows no upgrade"];
    m.tallied(("http-version", "HTTP version"), &tally, Status::Fail, words, fwd);
    let tally = asked(scope, |p| kept(p, "sec-websocket-version"));
    let words = ["passes Sec-WebSocket-Version on", "does not pass Sec-WebSocket-Version on"];
    m.tallied(("websocket-version", "Sec-WebSocket-Version"), &tally, Status::Fail, words, fwd);
    key(scope, m);
    accept(scope, m);
    let answered = scope.hops.iter().filter(|(_, p)| p.near.response.is_some() && p.far.response.is_some()).count();
    let slugs = [
        "hop-101-fabricated",
        "hop-101-swallowed",
        "hop-status-changed",
        "hop-interim-mishandled",
        "hop-answered-locally",
    ];
    m.found("answers-passed", "Answers", &slugs, answered as u64, "passes on what the backend answers");
    let slugs = ["hop-routed-by-spelling", "hop-routed-elsewhere", "affinity-broken", "hop-retried"];
    let sent = scope.hops.len() as u64;
    m.found("routing", "Routing", &slugs, sent, "sends upgrades to a backend that takes them, and once");
    m.found("delay", "Delay", &["hop-latency"], answered as u64, "passes requests and answers on at once");
}

/// Fields beside: who asks, for whom, from where.
pub(super) fn others(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let http = scope.hops.iter().filter(|(_, p)| p.hop.kind == HopKind::Http);
    let seen = |name: &str| http.clone().filter(|(_, p)| p.near.request.has(name)).count() as u64;
    let hosts = http.clone().filter(|(_, p)| p.near.request.host().is_some()).count() as u64;
    m.found("host", "Host", &["hop-host-rewritten"], hosts, "passes Host on as it came");
    m.found("origin", "Origin", &["hop-origin-changed"], seen("origin"), "passes Origin on as it came");
    forwarded(scope, m);
    let names = seen("x-forwarded-proto")
        .max(http.clone().filter(|(_, p)| p.far.request.has("x-forwarded-proto")).count() as u64);
    m.found(
        "forwarded-proto",
        "X-Forwarded-Proto",
        &["xfp-wrong"],
        names,
        "X-Forwarded-Proto says what the client spoke",
    );
    let slugs = ["hop-subprotocol-changed"];
    m.found(
        "subprotocols",
        "Subprotocols",
        &slugs,
        seen("sec-websocket-protocol"),
        "passes offers and choice of subprotocols on",
    );
    let slugs = ["hop-path-rewritten", "hop-query-lost", "hop-method-changed"];
    m.found(
        "target",
        "Path and query",
        &slugs,
        http.clone().count() as u64,
        "asks the backend for what it was asked for",
    );
    let slugs = [
        "hop-duplicated-field",
        "hop-rewrote-upgrade-value",
        "hop-stripped-sec",
        "hop-auth-stripped",
        "upgrade-forced",
    ];
    m.found(
        "other-fields",
        "Other fields",
        &slugs,
        http.count() as u64,
        "adds and takes out nothing that an upgrade needs",
    );
}

/// Whether the accept that clients get is as good as the one that came to it.
fn accept(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let (id, title) = ("accept-passed", "Sec-WebSocket-Accept");
    let faults = scope.findings(&["hop-accept-changed", "hop-accept-not-translated"]);
    if !faults.is_empty() {
        m.from(id, title, &faults);
        return;
    }
    let tally = count(scope, |p| {
        let verdict = |x: &Exchange| build::row(scope.a, x.id).map(|row| row.handshake.accept_verdict);
        match (verdict(p.far)?, verdict(p.near)?) {
            (AcceptVerdict::Valid, AcceptVerdict::Valid) => Some(true),
            (AcceptVerdict::Valid, AcceptVerdict::Invalid | AcceptVerdict::Missing) => Some(false),
            // It is the backend's fault, or nobody asks for one.
            _ => None,
        }
    });
    let words = ["clients get an accept that fits their key", "takes out or spoils the accept of the backend"];
    m.tallied((id, title), &tally, Status::Fail, words, None);
}

fn key(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let (id, title) = ("key-passed", "Sec-WebSocket-Key");
    let faults = scope.findings(&["hop-key-changed", "hop-bridge-without-key"]);
    if !faults.is_empty() {
        m.from(id, title, &faults);
        return;
    }
    let tally = count(scope, Passed::key_kept);
    match (tally.all(), tally.bad.len()) {
        (0, _) => m.plain(id, title, Status::NotObserved, "nothing of it was seen".to_owned()),
        (all, 0) => m.plain(id, title, Status::Pass, format!("passes the key on ({all} of {all})")),
        (all, own) => {
            let words = format!("makes its own key, as what ends WebSocket itself does ({own} of {all})");
            m.plain(id, title, Status::Pass, words)
        }
    };
}

fn forwarded(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let tells = |p: &Passed<'_, '_>| {
        let client = p.near.client.ip.to_string();
        ["x-forwarded-for", "forwarded", "x-real-ip"]
            .iter()
            .any(|name| p.far.request.combined(name).is_some_and(|value| contains(&value, client.as_bytes())))
    };
    let tally = count(scope, |p| (p.hop.kind == HopKind::Http).then(|| tells(p) || p.far.proxied.is_some()));
    let words = [
        "tells the backend who the client is",
        "does not tell the backend who the client is: no X-Forwarded-For or Forwarded",
    ];
    m.tallied(("forwarded-for", "X-Forwarded-For"), &tally, Status::Warn, words, None);
    if let Some(line) = m.lines.last_mut().filter(|line| line.status == Status::Warn) {
        // Upgrades work without it.
        line.severity = crate::model::Severity::Info;
    }
}

/// Counts what is said of each hop's upgrade.
fn count<'a>(scope: &Scope<'a>, good: impl Fn(&Passed<'a, 'a>) -> Option<bool>) -> Tally<'a> {
    let mut tally = Tally::default();
    for (chain, p) in &scope.hops {
        tally.add(good(p), chain, both(p));
    }
    tally
}

/// As [`count`], of what a request for an upgrade needs behind the hop. What is lost is a fault where a rule says so: not of a
/// question whether the client may, of h2c, or where another hop had lost it before.
fn asked<'a>(scope: &Scope<'a>, good: impl Fn(&Passed<'a, 'a>) -> Option<bool>) -> Tally<'a> {
    let mut tally = Tally::default();
    for (chain, p) in &scope.hops {
        let good = good(p).filter(|good| *good || scope.is_found(chain, p, LOST));
        tally.add(good, chain, both(p));
    }
    tally
}

/// Rules of what a hop loses of an upgrade.
const LOST: &[&str] = &[
    "hop-downgraded-http10",
    "hop-rewrote-upgrade-value",
    "hop-stripped-connection",
    "hop-stripped-sec",
    "hop-stripped-upgrade",
];

/// Whether a field is the same behind the hop. `None` where there is none, or where heads are not whole.
fn kept(p: &Passed<'_, '_>, name: &str) -> Option<bool> {
    let whole = |x: &Exchange, head: &Head| head.complete && !x.quality.request_gap;
    let (near, far) = (&p.near.request, &p.far.request);
    if is_stream(p) || !near.has(name) || !whole(p.near, near) || !whole(p.far, far) {
        return None;
    }
    Some(near.first_value(name) == far.first_value(name))
}

fn is_stream(p: &Passed<'_, '_>) -> bool {
    p.near.is_stream() || p.far.is_stream()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}
