//! `res-not-http`.

use super::looks_like::looks_like;
use super::support::{FROM_SERVER, say_status};
use crate::model::{Evidence, Exchange, Mechanism, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-not-http",
    severity: Severity::Error,
    title: "the answer is no HTTP response",
    about: "The bytes that came back do not begin with an HTTP status line, so no client can read an answer in them. \
        What they look like usually names the mistake: a TLS alert means a TLS port got plain HTTP, a banner means \
        that another service listens there.\n\nSome proxies pass such bytes on, others answer 502.",
    refs: &["RFC 9112 §4"],
    causes: &[
        "the address or port is another service's (SSH, mail, a database)",
        "the port speaks TLS and was sent plain HTTP",
        "a crashed or broken server wrote something else on its connection",
    ],
    fix: None,
    explains: &[Explains::Unanswered],
    symptom_of: &[
        "alpn-h2-only",
        "hop-101-swallowed",
        "h2-to-http1",
        "hop-interim-mishandled",
        "proxy-protocol-unexpected",
        "tls-handshake-failed",
        "tls-plain-mismatch",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if x.mechanism == Mechanism::None || x.quality.response_gap {
        return;
    }
    match (&x.response, &x.odd_response) {
        (None, Some(odd)) => {
            let kind = looks_like(&odd.bytes);
            let end = odd.offset + odd.bytes.len() as u64;
            out.add(Text::own(format!("The server did not answer in HTTP: what it sent looks like {kind}.")))
                .expected(Text::own("HTTP/1.1 101 Switching Protocols"))
                .found(Text::new().bytes(&odd.bytes))
                .evidence(Evidence { at: odd.at, direction: Some(FROM_SERVER), bytes: Some(odd.offset..end) });
        }
        (Some(head), _) if head.complete && head.status().is_none() => {
            out.add(say_status(Text::own("The server's answer has "), head).say("."))
                .expected(Text::own("HTTP/1.1 101 Switching Protocols"))
                .found(Text::new().bytes(head.text.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii()))
                .start_line(head, FROM_SERVER);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::response::testing::*;

    #[test]
    fn a_banner_instead_of_a_status_line_is_found() {
        let mut x = exchange(ASK, None);
        x.odd_response = preview(b"SSH-2.0-OpenSSH_9.6\r\n");
        let found = run(&RULE, &x);
        assert_eq!(found[0].rule, "res-not-http");
        assert!(format!("{:?}", found[0].message).contains("SSH banner"));
        assert_eq!(slugs(&RULE, &exchange(ASK, Some("HTTP/1.1 OK\r\n\r\n"))), ["res-not-http"]);
    }

    #[test]
    fn a_status_line_or_a_gap_is_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(GRANT))).is_empty());
        let mut x = exchange(ASK, None);
        x.odd_response = preview(b"rest of something");
        x.quality.response_gap = true;
        assert!(slugs(&RULE, &x).is_empty());
    }
}
