//! `connect-refused-by-proxy`.

use super::support::{FROM_CLIENT, FROM_SERVER, say_status};
use crate::model::{Exchange, Mechanism, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "connect-refused-by-proxy",
    severity: Severity::Error,
    title: "the forward proxy refused the tunnel",
    about: "The client asked its forward proxy for a tunnel with CONNECT, as it must for a WebSocket through a proxy \
        (RFC 6455 §4.1), and got another answer than 2xx. The WebSocket request was never sent.\n\nA first 407 only \
        asks for credentials, and is a note unless the client gave up over it.",
    refs: &["RFC 9110 §9.3.6", "RFC 6455 §4.1"],
    causes: &[FORBIDDEN, CREDENTIALS, UNREACHABLE],
    fix: None,
    explains: &[Explains::Refused, Explains::Redirected],
    symptom_of: &["backend-refused", "backend-unreachable", "syn-rejected"],
    check: Check::Exchange(check),
};

const FORBIDDEN: &str = "the proxy's rules do not allow this host or port: many allow 443 only";
const STRANGER: &str = "the proxy does not serve this client's address, as its page says (Tinyproxy: Allow)";
const CREDENTIALS: &str = "the proxy wants credentials (407): the client sent none, or none that it accepts";
const UNREACHABLE: &str = "the proxy cannot reach the host (502, 503, 504)";

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let Some(head) = x.response.as_ref().filter(|_| x.mechanism == Mechanism::Connect) else { return };
    let Some(code) = head.status().filter(|code| !(200..300).contains(code)) else { return };
    let first_round = code == 407 && !x.request.has("proxy-authorization") && !seen.gave_up(x);
    let text = Text::own("The proxy refused the tunnel to ").url(x.request.target()).say(" with ");
    let cause = match code {
        407 => CREDENTIALS,
        500..=599 => UNREACHABLE,
        _ if memchr::memmem::find(&x.body, b"from your host").is_some() => STRANGER,
        _ => FORBIDDEN,
    };
    out.add(say_status(text, head).say("."))
        .cause(cause)
        .severity(if first_round { Severity::Info } else { Severity::Error })
        .expected(Text::own("200"))
        .found(say_status(Text::new(), head))
        .start_line(&x.request, FROM_CLIENT)
        .start_line(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::model::{EndHow, Subject};
    use crate::rules::response::testing::*;
    use crate::rules::testing::With as _;

    const CONNECT: &str = "CONNECT ws.example:80 HTTP/1.1\r\nHost: ws.example:80\r\n\r\n";

    #[test]
    fn a_refused_connect_is_found() {
        let x = exchange(CONNECT, Some("HTTP/1.1 403 Forbidden\r\n\r\n"));
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Error);
        assert_eq!(run(&RULE, &x)[0].causes, [FORBIDDEN]);
        let stranger = x.with(|x| x.body = b"not configured it to service requests from your host".as_slice().into());
        assert_eq!(run(&RULE, &stranger)[0].causes, [STRANGER]);
        let x = exchange(CONNECT, Some("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
        assert_eq!(
            (run(&RULE, &x)[0].severity, &*run(&RULE, &x)[0].causes),
            (Severity::Info, &[CREDENTIALS.into()][..])
        );
    }

    #[test]
    fn a_client_that_gives_up_over_a_407_failed() {
        let refused = exchange(CONNECT, Some("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
        let over = refused.clone().with(|x| x.end.tcp_how = EndHow::Fin);
        let severity = |x: &Exchange, later: Option<&str>| {
            let mut seen = Seen::default();
            seen.learn(x, false);
            if let Some(text) = later {
                let signed = CONNECT.replace("\r\n\r\n", text);
                let signed = exchange(&signed, None).with(|y| (y.id, y.request.first) = (ExchangeId(2), at(9_000)));
                seen.learn(&signed, false);
            }
            let mut out = Vec::new();
            check(x, &seen, &mut Findings::new(&RULE, Subject::Exchange(x.id), &mut out));
            out[0].severity
        };
        assert_eq!(severity(&over, None), Severity::Error);
        assert_eq!(severity(&refused, None), Severity::Info, "it may still come");
        let signed = "\r\nProxy-Authorization: Basic eDp5\r\n\r\n";
        assert_eq!(severity(&over, Some(signed)), Severity::Info);
        assert_eq!(severity(&over, Some("\r\nX: y\r\n\r\n")), Severity::Error);
    }

    #[test]
    fn an_opened_tunnel_and_a_refused_websocket_are_not() {
        assert!(slugs(&RULE, &exchange(CONNECT, Some("HTTP/1.1 200 OK\r\n\r\n"))).is_empty());
        assert!(slugs(&RULE, &exchange(ASK, Some("HTTP/1.1 403 Forbidden\r\n\r\n"))).is_empty());
    }
}
