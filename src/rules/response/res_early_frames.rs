//! `res-early-frames`.

use super::support::{FROM_SERVER, websocket_101};
use crate::model::{Evidence, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-early-frames",
    severity: Severity::Info,
    title: "frames came in the same packet as the 101",
    about: "The server may send frames as soon as its 101 is out, so the first one may share a packet with it. That \
        is legal and common. It matters where the connection works and the first message is missing: some proxies \
        throw away what they read behind the 101.",
    refs: &["RFC 6455 §4.2.2"],
    causes: &["the server sends a greeting at once"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(granted) = websocket_101(x).filter(|_| x.frames_with_101) else { return };
    let (at, bytes) = match &x.after_101[1] {
        Some(first) => (first.at, Some(first.offset..first.offset + first.bytes.len() as u64)),
        None => (granted.at_last, None),
    };
    out.add(Text::own("The server's first frames came in the packet that ends its 101.")).evidence(Evidence {
        at,
        direction: Some(FROM_SERVER),
        bytes,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn frames_in_the_packet_of_the_101_are_shown() {
        let mut x = with_frames(exchange(ASK, Some(GRANT)), 0, 1);
        x.frames_with_101 = true;
        x.after_101[1] = preview(b"\x81\x02hi");
        assert_eq!(slugs(&RULE, &x), ["res-early-frames"]);
    }

    #[test]
    fn later_frames_are_not() {
        assert!(slugs(&RULE, &with_frames(exchange(ASK, Some(GRANT)), 0, 1)).is_empty());
    }
}
