//! What the rules on the request's way through a hop ask first, and how they speak.

use std::borrow::Cow;

use crate::base::limits;
use crate::model::head::trim;
use crate::model::{Direction, Exchange, Head, LineFaults, Mechanism, Outcome, Severity, Text};
use crate::rules::journey::HopView;
use crate::rules::seen::Attempt;
use crate::rules::{Seen, response};

/// Who sends a request.
pub(super) const REQUEST: Direction = Direction::ClientToServer;

/// Faults that need no other for the upgrade to fail: what was rewritten besides is not why.
pub(super) const HARD: &[&str] = &[
    "connection-lists-e2e",
    "hop-downgraded-http10",
    "hop-duplicated-field",
    "hop-method-changed",
    "hop-rewrote-upgrade-value",
    "hop-stripped-connection",
    "hop-stripped-sec",
    "hop-stripped-upgrade",
    "proxy-protocol-missing",
    "proxy-protocol-unexpected",
    "req-connection-no-upgrade",
    "req-early-data",
    "req-extension-malformed",
    "req-has-body",
    "req-head-incomplete",
    "req-head-too-large",
    "req-host-repeated",
    "req-http10",
    "req-key-bad-base64",
    "req-key-missing",
    "req-key-not-16-bytes",
    "req-key-repeated",
    "req-method-not-get",
    "req-orphan-key",
    "req-version-missing",
    "req-version-not-13",
    "h2-to-http1",
    "tls-plain-mismatch",
    "upgrade-duplicated",
    "upgrade-value-wrong",
];

/// Whether the rules on requests apply: the hop writes HTTP/1.x, and the near leg tries to open a WebSocket
/// (RFC 6455 §4.1) or, where its head breaks off, asks for one in what is left. `Upgrade: websocket` alone is
/// no try: proxies write it on every request.
pub(super) fn applies(view: &HopView<'_>) -> bool {
    let x = view.near.x;
    let asks = response::is_attempt(x) || !x.request.complete && x.request.upgrades_to_websocket();
    view.writes_http() && asks && view.far.x.mechanism != Mechanism::Connect && !is_inquiry(view)
}

/// Fields in which a proxy that asks another server whether the client may names what the client asked for.
const ASKED_FOR: [&str; 4] = ["x-original-uri", "x-original-url", "x-forwarded-uri", "x-auth-request-redirect"];

/// Whether the hop only asks behind this leg whether the client may: with the client's fields, for a path of
/// its own, and without the upgrade, as it should. The answer to that is a permission or none. Both legs together show
/// it by fewer signs than the far one alone ([`crate::model::Exchange::asks_permission`]).
fn is_inquiry(view: &HopView<'_>) -> bool {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let path = |head| target(head).map(|t| t.path);
    let names_it = |name: &&str| {
        let named = value(far, name).unwrap_or_default();
        named.windows(near.target().len().max(1)).any(|part| part == near.target())
    };
    let asks = !far.has("upgrade") && path(near) != path(far) && ASKED_FOR.iter().any(names_it);
    // What is neither a permission nor a refusal makes 500 of the request that it was about (nginx's auth_request).
    let failed =
        || view.near.x.status() == Some(500) && view.far.x.status().is_some_and(|code| code > 401 && code != 500);
    asks && (view.tried_again || answered(view, &[401, 403]).is_some() || failed()) || is_check_of_envoy(near, far)
}

/// Whether this is what Envoy's `ext_authz` asks by HTTP: for the same path, with a length that says that no content
/// follows, and of the client's fields those alone that it is told to show; what Envoy passes on has an id and the key.
fn is_check_of_envoy(near: &Head, far: &Head) -> bool {
    far.has("x-envoy-internal")
        && value(far, "content-length") == Some(b"0")
        && !near.has("content-length")
        && !far.has("x-request-id")
        && !far.has_websocket()
        && near.has_websocket()
}

/// As [`applies`], and the near leg may expect its upgrade to be passed on: it has all that RFC 9110 §7.8
/// asks for. What was lost before is not this hop's fault.
pub(super) fn asks_to_upgrade(view: &HopView<'_>) -> bool {
    let near = &view.near.x.request;
    applies(view)
        && near.upgrades_to_websocket()
        && near.has_token("connection", "upgrade")
        && near.version() != b"HTTP/1.0"
}

/// Whether the head behind the hop was seen whole: only then is a field that is not in it missing.
pub(super) fn far_whole(view: &HopView<'_>) -> bool {
    whole(view.far.x)
}

/// Whether a request's head was seen whole.
pub(super) fn whole(x: &Exchange) -> bool {
    let cut = LineFaults(LineFaults::TOO_MANY.0 | LineFaults::TOO_LARGE.0);
    x.request.complete && !x.quality.request_gap && !x.request.faults.has(cut)
}

/// How bad a fault is that breaks the upgrade. One that was granted all the same works by luck; and where
/// another leg behind the same hop was granted (a second try, or this one is a copy of the request for
/// somebody who listens in), the client has its answer from there.
pub(super) fn breaks(view: &HopView<'_>) -> Severity {
    match view.near.outcome {
        Outcome::Upgraded if granted_elsewhere(view) => Severity::Info,
        Outcome::Upgraded => Severity::Warning,
        _ => Severity::Error,
    }
}

fn granted_elsewhere(view: &HopView<'_>) -> bool {
    let (near, far) = view.hop.between;
    let others = view.journey.hops.iter().map(|hop| hop.between).filter(|other| other.0 == near && other.1 != far);
    let granted = |id| view.journey.legs.iter().any(|leg| leg.x.id == id && leg.x.granted().is_some());
    others.map(|other| other.1).any(granted)
}

/// How bad a rewrite is that only some servers mind: one that was upgraded through it all the same did not,
/// unless the client left at once. `minded`: the answer is one of those that it causes.
pub(super) fn rewrites(view: &HopView<'_>, minded: bool) -> Severity {
    match view.near.outcome {
        Outcome::Upgraded if !response::client_left_at_once(view.near.x) => Severity::Info,
        Outcome::Upgraded => Severity::Warning,
        _ if minded => Severity::Error,
        _ => Severity::Warning,
    }
}

/// As [`rewrites`], of what can have no other effect than those answers: with another one it is a note.
pub(super) fn loses(view: &HopView<'_>, minded: bool) -> Severity {
    match rewrites(view, minded) {
        Severity::Warning if view.near.outcome != Outcome::Upgraded => Severity::Info,
        severity => severity,
    }
}

/// The status behind the hop is one of these.
pub(super) fn answered(view: &HopView<'_>, statuses: &[u16]) -> Option<u16> {
    view.far.x.status().filter(|status| statuses.contains(status))
}

/// Whether the backend granted other upgrades of this hop, to which it does the same: then it can live with that.
pub(super) fn serves_others(view: &HopView<'_>, seen: &Seen) -> bool {
    granted_others(view, seen).next().is_some()
}

/// What the backend granted this hop besides, of the last attempts.
pub(super) fn granted_others<'s>(view: &HopView<'_>, seen: &'s Seen) -> impl Iterator<Item = &'s Attempt> {
    let (id, client, server) = (view.far.x.id, view.far.x.client.ip, view.far.x.server);
    let same = move |a: &&Attempt| a.client == client && (a.server, a.server_port) == (server.ip, server.port);
    seen.attempts().take(limits::SEEN_COMPARED).filter(move |a| a.granted && a.id != id).filter(same)
}

/// A sentence about the hop, ended by the packets: `what` are the words behind its name.
pub(super) fn sentence(view: &HopView<'_>, what: Text) -> Text {
    let who = view.who();
    let who = who.strip_prefix("the ").map_or_else(|| who.clone(), |rest| format!("The {rest}"));
    let start = Text::own(who).say(" ");
    start.join(what).say(" ").join(view.packets()).say(".")
}

/// All lines of this name as one value: `Name: value`, or `no Name field`.
pub(super) fn show(head: &Head, name: &'static str) -> Text {
    match head.combined(name) {
        Some(value) => Text::own(format!("{name}: ")).field(name.as_bytes(), &value),
        None => Text::own(format!("no {name} field")),
    }
}

/// The value of the first line of this name, if nothing of it was cut off.
pub(super) fn value<'a>(head: &'a Head, name: &str) -> Option<&'a [u8]> {
    head.whole_value(name).map(trim)
}

/// The members of a list field, if the head was seen up to its last line of this name.
pub(super) fn members(head: &Head, name: &str) -> Vec<Vec<u8>> {
    if head.lines(name).any(|field| head.is_cut(field)) { Vec::new() } else { head.members(name) }
}

/// What is in one list more often than in the other, each as often, in its order.
pub(super) fn more<'a>(of: &'a [Vec<u8>], than: &[Vec<u8>]) -> Vec<&'a [u8]> {
    let mut left: Vec<&Vec<u8>> = than.iter().collect();
    let mut surplus = Vec::new();
    for member in of {
        match left.iter().position(|other| *other == member) {
            Some(at) => drop(left.swap_remove(at)),
            None => surplus.push(member.as_slice()),
        }
    }
    surplus
}

/// A request target in its parts (RFC 9112 §3.2). A proxy is sent the absolute form and sends on the origin
/// form: the same target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Only in the absolute form.
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    /// What follows the first `?`.
    pub(super) query: Option<&'a [u8]>,
}

/// `None` where the start line was not seen whole, or has no target.
pub(super) fn target(head: &Head) -> Option<Target<'_>> {
    let target = head.target();
    if head.version().is_empty() || target.is_empty() {
        return None;
    }
    let scheme = target.windows(3).position(|w| w == b"://").filter(|_| !target.starts_with(b"/"));
    let (authority, rest) = match scheme {
        Some(at) => {
            let behind = target.get(at + 3..).unwrap_or_default();
            let end = behind.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(behind.len());
            let (authority, rest) = behind.split_at(end);
            (Some(authority), rest)
        }
        None => (None, target),
    };
    let (path, query) = match rest.iter().position(|&b| b == b'?') {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    };
    Some(Target { authority, path: if path.is_empty() { b"/" } else { path }, query })
}

/// The host that a request is for: of its target in the absolute form, else of Host (RFC 9112 §3.2.2), in HTTP/2 of
/// `:authority` (RFC 9113 §8.3.1).
/// `None` where neither is there, or not seen whole.
pub(super) fn host(head: &Head) -> Option<&[u8]> {
    target(head)?.authority.or_else(|| value(head, head.host_field())).filter(|host| !host.is_empty())
}

/// Whether these name the same host: letter case counts nothing, nor does the scheme's default port.
pub(super) fn same_host(a: &[u8], b: &[u8]) -> bool {
    let plain = |host: &[u8]| -> Vec<u8> {
        let host = host.to_ascii_lowercase();
        let bare = host.strip_suffix(b":80").or_else(|| host.strip_suffix(b":443"));
        // `2001:db8::443` without brackets is no host and port; nobody may write it so.
        bare.map(<[u8]>::to_vec).unwrap_or(host)
    };
    plain(a) == plain(b)
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[&'static str]) -> Cow<'static, str> {
    match names {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(one),
        [all @ .., last] => Cow::Owned(format!("{} and {last}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, exchange};

    fn parts(line: &str) -> (Option<String>, String, Option<String>) {
        let head = exchange(&format!("GET {line} HTTP/1.1\r\nHost: a\r\n\r\n"), None).request;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let target = target(&head).unwrap_or(Target { authority: None, path: b"none", query: None });
        (target.authority.map(text), text(target.path), target.query.map(text))
    }

    #[test]
    fn a_target_in_absolute_form_has_the_same_path_and_query_as_in_origin_form() {
        assert_eq!(parts("/a?b=c?d"), (None, "/a".into(), Some("b=c?d".into())));
        assert_eq!(parts("http://h:1/a?b"), (Some("h:1".into()), "/a".into(), Some("b".into())));
        assert_eq!(parts("http://h"), (Some("h".into()), "/".into(), None));
        assert_eq!(parts("http://h?x"), (Some("h".into()), "/".into(), Some("x".into())));
        assert_eq!(parts("/go?to=http://h/"), (None, "/go".into(), Some("to=http://h/".into())));
        assert!(target(&exchange("GET /a", None).request).is_none());
    }

    #[test]
    fn the_default_port_and_letter_case_make_no_other_host() {
        assert!(same_host(b"Example.com:80", b"example.com") && same_host(b"example.com:443", b"example.com"));
        assert!(!same_host(b"example.com:8080", b"example.com") && !same_host(b"[2001:db8::1]", b"[2001:db8::2]"));
    }

    #[test]
    fn the_host_of_a_target_in_absolute_form_counts() {
        let absolute = exchange(&changed("/chat", "http://other.example:8080/chat"), None).request;
        assert_eq!(host(&absolute), Some(&b"other.example:8080"[..]));
        assert_eq!(host(&exchange(GOOD, None).request), Some(&b"example.com"[..]));
    }

    #[test]
    fn lists_are_compared_member_by_member() {
        let list = |words: &[&str]| -> Vec<Vec<u8>> { words.iter().map(|w| w.as_bytes().to_vec()).collect() };
        assert_eq!(more(&list(&["a", "b", "a"]), &list(&["b", "a"])), [b"a"]);
        assert!(more(&list(&["a", "b"]), &list(&["b", "a", "c"])).is_empty());
        assert_eq!(listed(&["A", "B", "C"]), "A, B and C");
    }
}
