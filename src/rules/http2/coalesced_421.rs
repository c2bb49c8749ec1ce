//! `h2-coalesced-421`.

use super::support::FROM_SERVER;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-coalesced-421",
    severity: Severity::Warning,
    title: "the server does not serve this host on this connection",
    about: "A client may send requests for several hosts over one HTTP/2 connection, if its certificate names them all. \
        A server that is not set up for one of them answers 421 (Misdirected Request), and the client tries again on a \
        connection of its own. That costs a round trip, and clients that do not try again fail.",
    refs: &["RFC 9110 §15.5.20", "RFC 9113 §9.1.1"],
    causes: &[
        "one certificate for several hosts that different servers, or virtual hosts, serve",
        "a proxy compares the host with the name in the TLS handshake",
    ],
    fix: Some(FaultClass::Host),
    explains: &[Explains::Refused],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let asked = x.response.as_ref().filter(|head| head.status() == Some(421) && x.is_stream() && x.is_websocket());
    let Some(head) = asked else { return };
    let authority = x.request.first_value(":authority").unwrap_or_default();
    out.add(Text::own("The server does not serve ").field(b"host", authority).say(" on this connection (421)."))
        .expected(Text::own("a connection to a server that serves it"))
        .found(Text::own(":status 421"))
        .head(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_421_on_a_stream_is_found() {
        assert!(words(&run(&RULE, &stream(ASK, Some("421")))[0].message).contains("serve example.com on this"));
        assert!(!fires(&RULE, &stream(ASK, Some("403"))) && !fires(&RULE, &granted()));
        let http1 = crate::rules::testing::exchange(
            crate::rules::testing::GOOD,
            Some("HTTP/1.1 421 Misdirected Request\r\n\r\n"),
        );
        assert!(!fires(&RULE, &http1));
    }
}
