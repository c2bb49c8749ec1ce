//! A peer that expects a PROXY header got none.

use super::proxy_protocol_unexpected::closed_at_once;
use crate::base::{Nanos, limits};
use crate::model::{Confidence, Direction, Evidence, Exchange, FaultClass, FlowFacts, Mechanism, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "proxy-protocol-missing",
    severity: Severity::Error,
    title: "a server that expects a PROXY protocol header got none",
    about: "Other connections to this server in the capture begin with a PROXY protocol header and work. This one \
        has none, and the server answered 400 or closed at once without a byte, as servers do that are told to \
        expect the header. Or its 400 says so itself.\n\nWithout such another connection in view, or such an answer, \
        nothing is said: a server may close for any reason.",
    refs: &["PROXY protocol §2"],
    causes: &[
        "a client or proxy connects past the load balancer that writes the header",
        "one of several proxies before this server does not send it (HAProxy send-proxy, nginx stream \
         proxy_protocol on, hitch write-proxy-v2)",
    ],
    fix: Some(FaultClass::ProxyProtocol),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &[],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: None },
};

/// How servers word it.
const WORDS: [&[u8]; 2] = [b"PROXY protocol", b"proxy protocol"];

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let quality = x.quality;
    // Of a connection joined midstream the header may have gone by.
    let unseen = quality.midstream || quality.gap || quality.request_gap || quality.no_server_packets;
    let before = x.proxied.is_some() || x.index_in_flow > 0 || !x.via.is_empty();
    if x.mechanism == Mechanism::None || unseen || before {
        return;
    }
    if x.status() == Some(400) && WORDS.iter().any(|words| memchr::memmem::find(&x.body, words).is_some()) {
        let mut found = out
            .add(Text::own("The request came without a PROXY header, and the server's answer says that it wants one."))
            .expected(Text::own("a PROXY protocol header before the request"))
            .found(Text::own("none"))
            .start_line(&x.request, Direction::ClientToServer);
        if let Some(head) = &x.response {
            found = found.start_line(head, Direction::ServerToClient);
        }
        found.confidence(Confidence::Certain);
        return;
    }
    if !seen.takes_proxy_header(x.server) {
        return;
    }
    let came = match &x.response {
        Some(head) if head.status() == Some(400) => "answered 400",
        None if closed_at_once(x) => "closed the connection without a byte",
        _ => return,
    };
    out.add(Text::own(format!(
        "The request came without the PROXY header that this server takes on other connections, and the server {came}."
    )))
    .confidence(Confidence::Likely)
    .expected(Text::own("a PROXY protocol header before the request"))
    .found(Text::own("none"))
    .start_line(&x.request, Direction::ClientToServer);
}

fn check_flow(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    let Some(said) = flow.said.as_ref().filter(|said| said.via.is_empty() && !said.gap) else { return };
    let [Some(client), None] = &said.first else { return };
    let at_once = said.end.tcp_at.is_some_and(|at| at.since(client.ts) <= Nanos::from_millis(limits::AT_ONCE_MS));
    let by_server = said.end.tcp_by == Some(Direction::ServerToClient);
    if !by_server || !at_once || !seen.takes_proxy_header(flow.server) {
        return;
    }
    out.add(Text::own(format!(
        "{} began without the PROXY header that {} takes on other connections, and the server closed the connection \
         without a byte.",
        flow.client, flow.server
    )))
    .confidence(Confidence::Likely)
    .expected(Text::own("a PROXY protocol header first"))
    .found(Text::own("none"))
    .evidence(Evidence { at: client.at, direction: Some(Direction::ClientToServer), bytes: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{ConnectState, End, EndHow, Preview, Proxied, Said};
    use crate::rules::testing::{GOOD, REFUSED, With as _, exchange, fires, flow, granted, run_flow_seen, run_seen};

    fn seen() -> Seen {
        let mut seen = Seen::default();
        let proxied = Proxied {
            version: 1,
            local: false,
            source: None,
            destination: None,
            tlvs: Box::default(),
            fault: None,
            at: PacketRef::default(),
            ts: Timestamp::default(),
            length: 40,
        };
        seen.learn(&exchange(GOOD, Some(&granted())).with(|x| x.proxied = Some(Box::new(proxied))), false);
        seen
    }

    #[test]
    fn a_refusal_by_a_server_that_takes_the_header_elsewhere_is_found() {
        let x = exchange(GOOD, Some(REFUSED));
        assert_eq!(run_seen(&RULE, &x, &seen()).len(), 1);
        assert!(!fires(&RULE, &x), "nothing is known of this server");
    }

    #[test]
    fn one_that_came_with_it_or_worked_is_not() {
        assert!(run_seen(&RULE, &exchange(GOOD, Some(&granted())), &seen()).is_empty());
        let second = exchange(GOOD, Some(REFUSED)).with(|x| x.index_in_flow = 1);
        assert!(run_seen(&RULE, &second, &seen()).is_empty());
        let midstream = exchange(GOOD, Some(REFUSED)).with(|x| x.quality.midstream = true);
        assert!(run_seen(&RULE, &midstream, &seen()).is_empty());
    }

    #[test]
    fn a_tls_client_that_is_sent_away_without_a_byte_is_found() {
        let ts = Timestamp::from_parts(1_700_000_000, 0);
        let hello = Preview { bytes: [0x16, 3, 1][..].into(), at: PacketRef::new(0, 4), ts, offset: 0 };
        let end = End {
            tcp_by: Some(Direction::ServerToClient),
            tcp_how: EndHow::Fin,
            tcp_at: Some(ts + Nanos::from_millis(1)),
            ..End::default()
        };
        let mut flow = flow(ConnectState::Established, 1);
        flow.said = Some(Box::new(Said { first: [Some(hello), None], end, ..Said::default() }));
        assert_eq!(run_flow_seen(&RULE, &flow, &seen()).len(), 1);
        assert!(run_flow_seen(&RULE, &flow, &Seen::default()).is_empty());
    }
}
