//! `not-websocket-after-101`.

use super::looks_like::{REQUEST, looks_like};
use super::res_101_then_http::is_http;
use super::res_101_then_tls::is_tls;
use super::support::{FROM_CLIENT, FROM_SERVER, websocket_101};
use crate::model::{Direction, Evidence, Exchange, FaultClass, Severity, Text, WsCounts};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "not-websocket-after-101",
    severity: Severity::Error,
    title: "what follows the 101 is not WebSocket",
    about: "From the first byte behind the 101 head both sides speak in frames (RFC 6455 §5.2). Here a direction \
        begins with bytes that are no frame header, so the peer fails the connection with a protocol error (close \
        code 1002).\n\nTypical is a response body that was sent with the 101, or a proxy that relays something else.",
    refs: &["RFC 6455 §4.2.2", "RFC 6455 §5.2"],
    causes: &[
        "the server sends a body with its 101",
        "a proxy answered 101 by itself and relays something else behind it",
        NEXT_REQUEST,
        OTHER_PROTOCOL,
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken],
    symptom_of: &["hop-101-fabricated", "hop-tunnel-dead", "res-101-then-http"],
    check: Check::Exchange(check),
};

const NEXT_REQUEST: &str = "an HTTP library or pool sends its next request on the connection that was upgraded";
const OTHER_PROTOCOL: &str = "the peer speaks another protocol inside the upgrade";

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // What came before RFC 6455 has frames of another form.
    if x.request.has_hixie() {
        return;
    }
    let Some(granted) = websocket_101(x) else { return };
    let counts = x.ws.map(|ws| [ws.client, ws.server]);
    for (i, direction) in [FROM_CLIENT, FROM_SERVER].into_iter().enumerate() {
        let Some(first) = &x.after_101[i] else { continue };
        // Behind a hole it may be the middle of a frame.
        let head = if i == 0 { &x.request } else { granted };
        if x.quality.gap && first.offset != head.range.end {
            continue;
        }
        let counted = counts.map(|c| c[i]).unwrap_or_default();
        if is_tls(&first.bytes) || is_http(&first.bytes) || !is_no_frame(&first.bytes, &counted) {
            continue;
        }
        let kind = looks_like(&first.bytes);
        let who = if direction == Direction::ClientToServer { "client" } else { "server" };
        let end = first.offset + first.bytes.len() as u64;
        let mut found = out
            .add(Text::own(format!("Behind the 101 the {who} does not send WebSocket frames but {kind}.")))
            .expected(Text::own("a frame header, such as 81 or 82 (hexadecimal) and a length"))
            .found(Text::new().bytes(&first.bytes))
            .evidence(Evidence { at: first.at, direction: Some(direction), bytes: Some(first.offset..end) });
        if direction == FROM_SERVER && granted.has("content-length") {
            found = found.cause("the 101 announces content with Content-Length, and this is it");
        }
        if direction == FROM_CLIENT {
            found.cause(if kind == REQUEST { NEXT_REQUEST } else { OTHER_PROTOCOL });
        }
    }
}

/// Whether a direction that begins so cannot be frames. A first byte with FIN set and one wrong bit
/// is a broken frame, which other rules explain better.
fn is_no_frame(bytes: &[u8], counted: &WsCounts) -> bool {
    let Some(&first) = bytes.first() else { return false };
    // RFC 6455 §5.2: FIN, RSV1-3, opcode. A first frame without FIN starts a text or binary
    // message; RSV1 may be compression.
    let may_begin = first & 0x80 != 0 || matches!(first & 0xbf, 0x01 | 0x02);
    !may_begin || counted.broken && counted.frames == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    fn after(client: &[u8], server: &[u8]) -> Exchange {
        let mut x = exchange(ASK, Some(GRANT));
        x.after_101 = [client, server].map(|b| if b.is_empty() { None } else { preview(b) });
        x
    }

    #[test]
    fn bytes_behind_a_hole_are_the_middle_of_something() {
        let mut x = after(b"", b"hello");
        x.quality.gap = true;
        assert!(slugs(&RULE, &x).is_empty());
    }

    #[test]
    fn text_behind_the_101_is_found() {
        assert_eq!(slugs(&RULE, &after(b"", b"hello\x81\x02hi")), ["not-websocket-after-101"]);
        assert_eq!(slugs(&RULE, &after(b"PING\r\n", b"\x81\x02hi")), ["not-websocket-after-101"]);
        let mut x = with_frames(after(b"", b"\xff\xff\xff"), 0, 0);
        x.ws.iter_mut().for_each(|ws| ws.server.broken = true);
        assert_eq!(slugs(&RULE, &x), ["not-websocket-after-101"]);
    }

    #[test]
    fn frames_of_all_sorts_are_fine_and_other_rules_speak_of_http_and_tls() {
        for server in [&b"\x81\x02hi"[..], b"\x01\x02hi", b"\xc1\x02hi", b"\x88\x00", b"\x8a\x00", b"<html>"] {
            assert!(slugs(&RULE, &after(b"", server)).is_empty());
        }
        assert!(slugs(&RULE, &after(b"\x16\x03\x01\x00", b"")).is_empty());
        let tcp = "POST /attach HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n";
        let mut x = exchange(tcp, Some(&GRANT.replace("websocket", "tcp")));
        x.after_101[1] = preview(b"raw bytes");
        assert!(slugs(&RULE, &x).is_empty());
    }
}
