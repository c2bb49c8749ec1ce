//! Another path left the hop than came.

use percent_encoding::percent_decode;

use crate::base::limits;
use crate::model::{Confidence, Exchange, FaultClass, Severity, Text};
use crate::rules::Explains;
use crate::rules::hop::asked::{HARD, REQUEST, answered, applies, granted_others, rewrites, sentence, target};
use crate::rules::journey::HopView;
use crate::rules::seen::{Attempt, path as path_of};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-path-rewritten",
    severity: Severity::Error,
    title: "a hop changed the path",
    about: "The request left the hop with another path than it came with: something was cut off its front or put \
        there, or it was decoded, encoded or normalised. Proxies do that on purpose, and one character in their \
        configuration decides how.\n\n\
        An error where the answer was 404 or a page (200): then no WebSocket endpoint is where the request went. So is \
        403 without a page of an ASGI server (uvicorn, hypercorn) and the 400 of ws for node, which are their answers \
        where no route fits, if nothing beside that path was granted; possible only, because they answer so to what \
        they do not allow as well. And 400 to a path without its slash. Else a note.",
    refs: &["RFC 9110 §7.6", "RFC 3986 §6.2"],
    causes: &[
        "the proxy's configuration replaces the part of the path that it matched",
        "the proxy is to cut off a prefix that the backend expects, or to keep one that it does not know",
    ],
    fix: Some(FaultClass::Path),
    explains: &[Explains::Refused],
    symptom_of: HARD,
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let (Some(came), Some(left)) = (target(near), target(far)) else { return };
    if !applies(view) || came.path == left.path || near.method() == b"CONNECT" {
        return;
    }
    let no_route = || {
        let status = answered(view, &[400, 403]).filter(|_| !granted_beside(view, left.path, seen))?;
        let x = view.far.x;
        (if status == 403 { is_asgi(x) } else { is_spoilt(left.path) || is_node(x) }).then_some(status)
    };
    let minded = answered(view, &[200, 404]).or_else(no_route).filter(|_| rewrites(view, true) == Severity::Error);
    let possible = minded == Some(403) || minded == Some(400) && !is_spoilt(left.path);
    let mut what = match change(came.path, left.path) {
        Change::CutInFront(part) => Text::own("cut ").url(part).say(" off the front of the path ").url(came.path),
        Change::PutInFront(part) => Text::own("put ").url(part).say(" in front of the path ").url(came.path),
        Change::Spelling => Text::own("spelt the path ").url(came.path).say(" as ").url(left.path),
        Change::Other => Text::own("changed the path from ").url(came.path).say(" to ").url(left.path),
    };
    if let Some(status) = minded {
        what = what.say(format!(", and the answer was {status}"));
    }
    out.add(sentence(view, what))
        .severity(if minded.is_some() { Severity::Error } else { Severity::Info })
        .confidence(if possible { Confidence::Possible } else { Confidence::Certain })
        .expected(Text::new().url(came.path))
        .found(Text::new().url(left.path))
        .start_line(near, REQUEST)
        .start_line(far, REQUEST);
}

/// Whether this is no path of a request at all (RFC 9112 §3.2.1).
fn is_spoilt(path: &[u8]) -> bool {
    !path.starts_with(b"/")
}

/// Whether the backend granted another upgrade of this hop in the same place: then what it does to paths is right, unless
/// that one came with the path with which it left.
fn granted_beside(view: &HopView<'_>, path: &[u8], seen: &Seen) -> bool {
    let parent =
        |path: &[u8]| path.iter().rposition(|&b| b == b'/').map(|at| path.get(..at).unwrap_or_default().to_vec());
    let of = |a: &Attempt| path_of(a.target()).to_vec();
    let mine = parent(path);
    let hop = view.near.x.server.ip;
    // Where nothing of the path is left, what else stands at the root tells nothing.
    let beside = |other: &[u8]| if path == b"/" { other == path } else { parent(other) == mine };
    granted_others(view, seen).filter(|a| beside(&of(a))).any(|a| {
        let mut as_it_came = a.key().into_iter().flat_map(|key| seen.with_key(key).take(limits::SEEN_COMPARED));
        !as_it_came.any(|came| came.server == hop && came.id != a.id && of(came) == of(a))
    })
}

/// Whether the page is the one of ws for node, which answers 400 where its path is another.
fn is_node(x: &Exchange) -> bool {
    let Some(head) = &x.response else { return false };
    let is = |name: &str, value: &[u8]| head.first_value(name) == Some(value);
    !head.has("server") && is("content-type", b"text/html") && is("content-length", b"11")
}

/// Whether a server answered that asks its application by ASGI, in which a WebSocket without a route is refused by a 403
/// without a page; some of them do not name themselves in it.
fn is_asgi(x: &Exchange) -> bool {
    let Some(head) = &x.response else { return false };
    if !x.body.is_empty() {
        return false;
    }
    match head.first_value("server") {
        Some(server) => [&b"uvicorn"[..], b"hypercorn"].iter().any(|name| server.starts_with(name)),
        None => head.first_value("content-type") == Some(b"text/plain; charset=utf-8"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Change<'a> {
    CutInFront(&'a [u8]),
    PutInFront(&'a [u8]),
    /// The same with percent-encoding undone and repeated slashes made one (RFC 3986 §6.2).
    Spelling,
    Other,
}

fn change<'a>(came: &'a [u8], left: &'a [u8]) -> Change<'a> {
    // `/a` of `/ab/a`: only whole segments count, and both parts begin with a slash.
    let front = |long: &'a [u8], short: &[u8]| {
        long.strip_suffix(short).filter(|part| part.starts_with(b"/") && short.starts_with(b"/"))
    };
    if let Some(part) = front(came, left) {
        return Change::CutInFront(part);
    }
    if let Some(part) = front(left, came) {
        return Change::PutInFront(part);
    }
    if normal(came) == normal(left) { Change::Spelling } else { Change::Other }
}

fn normal(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = percent_decode(path).collect();
    out.dedup_by(|b, before| (*before, *b) == (b'/', b'/'));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, changed, fires_hop, granted, run_hop, words};

    fn answer(status: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
    }

    #[test]
    fn a_path_that_leads_nowhere_is_an_error_and_otherwise_a_note() {
        let near = changed("/chat", "/api/chat");
        for (status, severity) in
            [("404 Not Found", Severity::Error), ("200 OK", Severity::Error), ("503 No", Severity::Info)]
        {
            let answer = answer(status);
            let found = run_hop(&RULE, (&near, Some(&answer)), (GOOD, Some(&answer)));
            assert_eq!(found[0].severity, severity, "{status}");
        }
        let granted = granted();
        let found = run_hop(&RULE, (&near, Some(&granted)), (GOOD, Some(&granted)));
        assert_eq!(found[0].severity, Severity::Info);
        let found = run_hop(&RULE, (&near, Some(&granted)), (GOOD, Some(&answer("404 Not Found"))));
        assert_eq!(found[0].severity, Severity::Info, "another try was granted");
        let found = run_hop(&RULE, (&near, Some(&granted)), (GOOD, Some(&granted)));
        assert!(words(&found[0].message).contains(" cut /api off the front of the path /api/chat (packets"));
    }

    #[test]
    fn a_403_of_an_asgi_server_is_one_too() {
        let near = changed("/chat", "/api/chat");
        for (server, severity) in [
            ("Server: uvicorn\r\n", Severity::Error),
            ("Server: nginx\r\n", Severity::Info),
            ("Content-Type: text/plain; charset=utf-8\r\n", Severity::Error),
        ] {
            let answer = format!("HTTP/1.1 403 Forbidden\r\n{server}Content-Length: 0\r\n\r\n");
            let found = run_hop(&RULE, (&near, Some(&answer)), (GOOD, Some(&answer)));
            assert_eq!(found[0].severity, severity, "{server}");
            assert_eq!(found[0].confidence == Confidence::Possible, severity == Severity::Error);
        }
    }

    #[test]
    fn a_400_of_ws_and_a_path_without_its_slash_are_too() {
        let ws =
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n";
        let bare = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        let (twice, spoilt) = (changed("/chat", "/chat/chat"), changed("/chat", "chat"));
        let told = |far: &str, answer: &str| {
            let found = run_hop(&RULE, (GOOD, Some(answer)), (far, Some(answer)));
            (found[0].severity, found[0].confidence)
        };
        assert_eq!(told(&twice, ws), (Severity::Error, Confidence::Possible));
        assert_eq!(told(&twice, bare).0, Severity::Info);
        assert_eq!(told(&spoilt, bare), (Severity::Error, Confidence::Certain));
    }

    #[test]
    fn the_kind_of_change_is_told() {
        assert_eq!(change(b"/api/ws", b"/ws"), Change::CutInFront(b"/api"));
        assert_eq!(change(b"/ws", b"/api/ws"), Change::PutInFront(b"/api"));
        assert_eq!(change(b"/api/ws", b"//ws"), Change::Other);
        assert_eq!(change(b"/a%20b", b"/a b"), Change::Spelling);
        assert_eq!(change(b"/a//b%2", b"/a/b%2"), Change::Spelling);
        assert_eq!(change(b"/ws/", b"/ws"), Change::Other);
    }

    #[test]
    fn the_same_path_in_the_form_for_a_server_and_another_query_are_no_change() {
        let absolute = changed("/chat", "http://example.com/chat?a=1");
        assert!(!fires_hop(&RULE, (&absolute, None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (GOOD, None), (&changed("/chat", "/chat?b=2"), None)));
    }

    #[test]
    fn a_start_line_that_breaks_off_is_left_alone() {
        assert!(!fires_hop(&RULE, (GOOD, None), ("GET /ch", None)));
    }
}
