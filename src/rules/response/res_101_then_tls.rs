//! `res-101-then-tls`.

use super::support::{FROM_CLIENT, FROM_SERVER, whole_response};
use crate::model::{Evidence, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-101-then-tls",
    severity: Severity::Info,
    title: "TLS follows the 101",
    about: "Behind the 101 a TLS handshake begins: the upgrade is used as a tunnel for TLS, whatever protocol it \
        names. No WebSocket frames are to be expected inside, so rules about frames do not apply.",
    refs: &["RFC 8446 §5.1", "RFC 9110 §7.8"],
    causes: &["a VPN or tunnel program uses the upgrade as its carrier"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// Whether these bytes begin a TLS handshake record.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3, 0..=4, ..])
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if whole_response(x).is_none_or(|r| r.status() != Some(101)) {
        return;
    }
    for (first, direction) in x.after_101.iter().zip([FROM_CLIENT, FROM_SERVER]) {
        if let Some(first) = first.as_ref().filter(|f| is_tls(&f.bytes)) {
            let bytes = Some(first.offset..first.offset + first.bytes.len() as u64);
            out.add(Text::own("TLS follows the 101: the upgrade carries a TLS connection, not WebSocket frames."))
                .evidence(Evidence { at: first.at, direction: Some(direction), bytes });
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_tls_record_behind_the_101_is_shown() {
        let mut x = exchange(ASK, Some(GRANT));
        x.after_101[0] = preview(b"\x16\x03\x01\x02\x00\x01");
        assert_eq!(slugs(&RULE, &x), ["res-101-then-tls"]);
    }

    #[test]
    fn frames_are_not() {
        let mut x = exchange(ASK, Some(GRANT));
        x.after_101[1] = preview(b"\x81\x02\x16\x03");
        assert!(slugs(&RULE, &x).is_empty());
    }
}
