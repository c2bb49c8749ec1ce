//! `h2-hop-by-hop-field`.

use super::support::{FAILURES, FROM_CLIENT, FROM_SERVER};
use crate::model::{Direction, Exchange, FaultClass, Head, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-hop-by-hop-field",
    severity: Severity::Error,
    title: "a field of HTTP/1.1's connections stands in a message of HTTP/2",
    about: "`Connection`, `Upgrade`, `Proxy-Connection`, `Keep-Alive` and `Transfer-Encoding` have no place in HTTP/2, \
        and `TE` may only say `trailers`: a message with them is malformed, and its receiver must refuse it. In HTTP/2 \
        a WebSocket is opened by an extended CONNECT, without any of them.",
    refs: &["RFC 9113 §8.2.2", "RFC 8441 §5"],
    causes: &[
        "a client that was written for HTTP/1.1, on a connection on which ALPN chose h2",
        "a proxy that copies the fields of an HTTP/1.1 message into HTTP/2",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

const FORBIDDEN: [&str; 5] = ["connection", "upgrade", "proxy-connection", "keep-alive", "transfer-encoding"];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !x.is_stream() || !x.is_websocket() {
        return;
    }
    of_head(&x.request, FROM_CLIENT, out);
    if let Some(head) = &x.response {
        of_head(head, FROM_SERVER, out);
    }
}

fn of_head(head: &Head, from: Direction, out: &mut Findings<'_>) {
    let mut names: Vec<&'static str> = FORBIDDEN.into_iter().filter(|name| head.has(name)).collect();
    if head.any_member("te", |member| !member.eq_ignore_ascii_case(b"trailers")) {
        names.push("te");
    }
    let Some(first) = names.first() else { return };
    let whose = if from == FROM_CLIENT { "request" } else { "response" };
    let text = format!("The {whose} has {}, which HTTP/2 forbids: it is malformed.", names.join(", "));
    let value = head.combined(first).unwrap_or_default();
    out.add(Text::own(text))
        .expected(Text::own("none of HTTP/1.1's connection fields"))
        .found(Text::own(format!("{first}: ")).field(first.as_bytes(), &value))
        .head(head, from);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn fields_of_http1_are_found_on_either_side() {
        let found = run(&RULE, &stream(&ask_with("upgrade", "websocket"), Some("400")));
        assert_eq!(words(&found[0].message), "The request has upgrade, which HTTP/2 forbids: it is malformed.");
        let mut x = granted();
        let place = x.request.clone();
        x.response = Some(head(&[(":status", "200"), ("connection", "upgrade")], &place));
        assert_eq!(run(&RULE, &x).len(), 1);
    }

    #[test]
    fn trailers_are_allowed_and_http1_is_left_alone() {
        assert!(!fires(&RULE, &stream(&ask_with("te", "trailers"), Some("200"))));
        assert!(fires(&RULE, &stream(&ask_with("te", "gzip"), Some("200"))));
        assert!(!fires(&RULE, &crate::rules::testing::exchange(crate::rules::testing::GOOD, None)));
        assert!(!fires(&RULE, &granted()));
    }
}
