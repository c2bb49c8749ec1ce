//! `res-101-then-http`.

use super::support::{FROM_SERVER, websocket_101};
use crate::model::{Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-101-then-http",
    severity: Severity::Error,
    title: "an HTTP response or page follows the 101",
    about: "Behind a 101 come frames. Here an HTTP status line or a page came instead: somebody answered 101 before \
        the backend had agreed, and then relayed what the backend really said. The client reads it as a broken \
        frame and closes.",
    refs: &["RFC 6455 §4.2.2", "RFC 9110 §15.2.2"],
    causes: &[
        "a proxy answered 101 by itself and then relays the backend's error page",
        "the application wrote an ordinary response after its handshake",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken],
    symptom_of: &["hop-101-fabricated", "hop-tunnel-dead"],
    check: Check::Exchange(check),
};

/// Whether these bytes begin an HTTP response or a page.
pub(super) fn is_http(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    bytes.starts_with(b"HTTP/") || bytes.starts_with(b"<")
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let (Some(_), Some(first)) = (websocket_101(x), &x.after_101[1]) else { return };
    if !is_http(&first.bytes) {
        return;
    }
    let end = first.offset + first.bytes.len() as u64;
    let line = first.bytes.trim_ascii_start().split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    out.add(Text::own("Behind its 101 the server sent HTTP instead of frames: ").bytes(line).say("."))
        .expected(Text::own("WebSocket frames"))
        .found(Text::new().bytes(&first.bytes))
        .evidence(Evidence { at: first.at, direction: Some(FROM_SERVER), bytes: Some(first.offset..end) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_status_line_or_a_page_behind_the_101_is_found() {
        for bytes in [&b"HTTP/1.1 502 Bad Gateway\r\n"[..], b"<html>", b"\r\n<!DOCTYPE html>"] {
            let mut x = exchange(ASK, Some(GRANT));
            x.after_101[1] = preview(bytes);
            assert_eq!(slugs(&RULE, &x), ["res-101-then-http"]);
        }
    }

    #[test]
    fn frames_and_other_protocols_are_not() {
        let mut x = exchange(ASK, Some(GRANT));
        x.after_101[1] = preview(b"\x81\x06HTTP/1");
        assert!(slugs(&RULE, &x).is_empty());
        let tcp = "POST /attach HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n";
        let mut x = exchange(tcp, Some(&GRANT.replace("websocket", "tcp")));
        x.after_101[1] = preview(b"HTTP/1.1 200 OK\r\n");
        assert!(slugs(&RULE, &x).is_empty());
    }
}
