//! `res-data-before-101`.

use super::looks_like::looks_like;
use super::support::{FROM_SERVER, websocket_101};
use crate::model::{Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-data-before-101",
    severity: Severity::Error,
    title: "the server sent other bytes before its 101",
    about: "The first bytes of the answer must be a status line. Here something else came first, and the 101 only \
        behind it. A client reads the first bytes as a broken response and gives up.\n\nTypical is a server that \
        sends its first message before its handshake is out: one thread writes frames while another still builds \
        the 101.",
    refs: &["RFC 6455 §4.2.2", "RFC 9112 §2.1"],
    causes: &[
        "the application sends its first message before the handshake is finished",
        "bytes of an earlier answer were left on a reused connection",
    ],
    fix: Some(FaultClass::Backend),
    explains: &[Explains::Broken],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let (Some(granted), Some(before)) = (websocket_101(x), &x.before_response) else { return };
    let kind = looks_like(&before.bytes);
    let end = before.offset + before.bytes.len() as u64;
    out.add(Text::own(format!("Before its 101 the server sent something else, which looks like {kind}.")))
        .expected(Text::own("HTTP/1.1 101 Switching Protocols as the first bytes"))
        .found(Text::new().bytes(&before.bytes))
        .evidence(Evidence { at: before.at, direction: Some(FROM_SERVER), bytes: Some(before.offset..end) })
        .start_line(granted, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_frame_before_the_101_is_found() {
        let mut x = exchange(ASK, Some(GRANT));
        x.before_response = preview(b"\x81\x05early");
        let found = run(&RULE, &x);
        assert_eq!(found[0].rule, "res-data-before-101");
        assert!(format!("{:?}", found[0].message).contains("WebSocket frame"));
    }

    #[test]
    fn a_frame_behind_the_101_is_not() {
        let mut x = exchange(ASK, Some(GRANT));
        x.after_101[1] = preview(b"\x81\x05early");
        assert!(slugs(&RULE, &x).is_empty());
    }
}
