//! A PROXY header went to a peer that does not know it.

use crate::base::{Nanos, limits};
use crate::model::{
    Confidence, Direction, Evidence, Exchange, FaultClass, FlowFacts, Mechanism, Proxied, Severity, Text,
};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "proxy-protocol-unexpected",
    severity: Severity::Error,
    title: "a PROXY protocol header went to a server that does not expect one",
    about: "The connection begins with a PROXY protocol header, which tells whose connection a proxy passes on. The \
        server answered it, or the faultless request behind it, with an error, or closed at once: to a server that is \
        not told to expect the header it is garbage before the request.\n\nA server that was seen to take such \
        connections elsewhere in the capture is not blamed, nor is one that had another fault to refuse.",
    refs: &["PROXY protocol §2", "PROXY protocol §4"],
    causes: &[
        "the proxy sends the header (HAProxy send-proxy or send-proxy-v2, nginx stream proxy_protocol on, hitch \
         write-proxy-v2, an AWS or GCP load balancer) and the server is not told to expect it (nginx listen … \
         proxy_protocol, HAProxy accept-proxy, Apache RemoteIPProxyProtocol On)",
        "the header goes to a port other than the one that expects it",
        "the server expects the other version of the header",
    ],
    fix: Some(FaultClass::ProxyProtocol),
    explains: &[Explains::Refused, Explains::Unanswered],
    // A fault of the request explains its refusal without the header.
    symptom_of: &[
        "req-connection-no-upgrade",
        "req-head-incomplete",
        "req-host-missing",
        "req-http10",
        "req-key-missing",
        "req-key-not-16-bytes",
        "req-method-not-get",
        "req-orphan-key",
        "req-version-missing",
        "req-version-not-13",
        "upgrade-value-wrong",
    ],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: None },
};

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let Some(header) = &x.proxied else { return };
    let holes = x.quality.gap || x.quality.request_gap || x.quality.response_gap || x.quality.no_server_packets;
    // Behind a first request that was answered, the header was understood.
    if x.mechanism == Mechanism::None || x.index_in_flow > 0 || holes || is_taken(header, x.server, seen) {
        return;
    }
    let came = match &x.response {
        Some(head) if matches!(head.status(), Some(400 | 501 | 505)) => {
            format!("answered {}", head.status().unwrap_or_default())
        }
        Some(_) => return,
        None if x.odd_response.is_some() => "answered with no HTTP".to_owned(),
        None if closed_at_once(x) => "closed the connection without a byte".to_owned(),
        None => return,
    };
    tell(out, header, "The request came behind", &came).start_line(&x.request, Direction::ClientToServer);
}

fn check_flow(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    let Some(said) = flow.said.as_ref().filter(|said| !said.gap) else { return };
    let Some(header) = said.proxied.as_ref().filter(|header| !is_taken(header, flow.server, seen)) else { return };
    let by_server = said.end.tcp_by == Some(Direction::ServerToClient);
    let at_once = said.end.tcp_at.is_some_and(|at| at.since(header.ts) <= AT_ONCE);
    let (came, at) = match &said.first[1] {
        Some(word) if word.bytes.starts_with(b"HTTP/") => ("answered with an HTTP error", Some(word.at)),
        Some(word) if word.bytes.starts_with(&[0x15, 3]) => ("answered with a TLS alert", Some(word.at)),
        Some(_) => return,
        None if by_server && at_once => ("closed the connection without a byte", said.end.packet),
        None => return,
    };
    let found = tell(out, header, "The connection began with", came);
    if let Some(at) = at {
        found.evidence(Evidence { at, direction: Some(Direction::ServerToClient), bytes: None });
    }
}

const AT_ONCE: Nanos = Nanos::from_millis(limits::AT_ONCE_MS);

/// Whether the server is known to read such a header.
fn is_taken(header: &Proxied, server: crate::base::Endpoint, seen: &Seen) -> bool {
    header.fault.is_none() && seen.takes_proxy_header(server)
}

/// Whether the server closed right behind the request, without an answer.
pub(super) fn closed_at_once(x: &Exchange) -> bool {
    x.response.is_none()
        && x.odd_response.is_none()
        && x.end.tcp_by == Some(Direction::ServerToClient)
        && x.end.tcp_at.is_some_and(|at| at.since(x.request.last) <= AT_ONCE)
}

fn tell<'a>(out: &'a mut Findings<'_>, header: &Proxied, what: &str, came: &str) -> crate::rules::rule::Builder<'a> {
    let version = header.version;
    let fault = header.fault.map(|fault| format!(" that is faulty ({fault})")).unwrap_or_default();
    let text = format!("{what} a PROXY protocol v{version} header{fault}, and the server {came}.");
    out.add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("a server that reads the PROXY header, or none before the request"))
        .found(Text::own(format!("a PROXY v{version} header of {} bytes", header.length)))
        .evidence(Evidence { at: header.at, direction: Some(Direction::ClientToServer), bytes: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{ConnectState, End, EndHow, Said};
    use crate::rules::testing::{GOOD, REFUSED, With as _, exchange, fires, flow, granted, run_flow, run_seen};

    pub(in crate::rules::request) fn header() -> Box<Proxied> {
        Box::new(Proxied {
            version: 2,
            local: false,
            source: None,
            destination: None,
            tlvs: Box::default(),
            fault: None,
            at: PacketRef::new(0, 3),
            ts: Timestamp::from_parts(1_700_000_000, 0),
            length: 28,
        })
    }

    fn behind(answer: Option<&str>) -> Exchange {
        exchange(GOOD, answer).with(|x| x.proxied = Some(header()))
    }

    #[test]
    fn a_400_or_an_end_right_behind_the_header_is_found() {
        assert!(fires(&RULE, &behind(Some(REFUSED))));
        let closed = behind(None).with(|x| {
            x.end.tcp_by = Some(Direction::ServerToClient);
            x.end.tcp_at = Some(x.request.last + Nanos::from_millis(2));
        });
        assert!(fires(&RULE, &closed));
        let late = closed.with(|x| x.end.tcp_at = Some(x.request.last + Nanos::from_secs(5)));
        assert!(!fires(&RULE, &late));
    }

    #[test]
    fn a_peer_that_takes_the_header_is_not() {
        assert!(!fires(&RULE, &behind(Some(&granted()))));
        assert!(!fires(&RULE, &behind(Some("HTTP/1.1 403 Forbidden\r\n\r\n"))));
        assert!(!fires(&RULE, &exchange(GOOD, Some(REFUSED))), "no header at all");
        let mut seen = Seen::default();
        seen.learn(&behind(Some(&granted())), false);
        assert!(run_seen(&RULE, &behind(Some(REFUSED)), &seen).is_empty());
        let faulty = behind(Some(REFUSED)).with(|x| {
            let mut header = header();
            header.fault = Some("its version is not 2");
            x.proxied = Some(header);
        });
        assert!(!run_seen(&RULE, &faulty, &seen).is_empty());
    }

    #[test]
    fn a_connection_that_ends_behind_the_header_is_found_where_the_server_ends_it() {
        let ended = |by| {
            let end = End {
                tcp_by: Some(by),
                tcp_how: EndHow::Fin,
                tcp_at: Some(header().ts + Nanos::from_millis(1)),
                ..End::default()
            };
            let mut flow = flow(ConnectState::Established, 1);
            flow.said = Some(Box::new(Said { proxied: Some(header()), end, ..Said::default() }));
            run_flow(&RULE, &flow).len()
        };
        assert_eq!(ended(Direction::ServerToClient), 1);
        assert_eq!(ended(Direction::ClientToServer), 0, "as a health check does");
    }
}
