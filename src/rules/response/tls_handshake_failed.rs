//! `tls-handshake-failed`.

use std::borrow::Cow;

use crate::base::Nanos;
use crate::model::{
    Broken, BrokenHow, Confidence, Direction, Evidence, Exchange, FaultClass, FlowFacts, HandshakeStep, Severity, Text,
    Wrapper,
};
use crate::rules::hop::tried::failed;
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};
use crate::wire::tls::{alert, record};

pub(super) static RULE: Rule = Rule {
    id: TLS,
    severity: Severity::Error,
    title: "a TLS handshake failed",
    about: "Client and server did not come to terms about TLS, so that no request was ever sent: the connection that \
        a wss:// URL asks for, or the one that a proxy opens to its backend, for which its own client then gets an \
        error. No secrets are needed to see it: alerts of a handshake are in clear, or where they are not (TLS 1.3), \
        the size of the last record and who ended the connection tell.\n\nAn alert is sent by whoever is not content. \
        One about the certificate that a client got (unknown_ca, certificate_expired, bad_certificate) is about the \
        server's certificate, or about what the client trusts; one of a server that demands a certificate is about \
        the client's. A client that leaves in the middle without an alert may also have been stopped by its user: \
        that is a warning only, as is a client that offers HTTP/2, which browsers do not do for a WebSocket.",
    refs: &["RFC 8446 §6.2", "RFC 5246 §7.2.2", "RFC 6455 §4.1"],
    causes: &[UNTRUSTED, DEMANDS, "client and server have no version, cipher or name in common", NO_TLS],
    fix: Some(FaultClass::Tls),
    explains: &[Explains::Refused, Explains::Unanswered],
    symptom_of: &["tls-plain-mismatch"],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: Some(check_chain) },
};

/// Slug of this rule.
pub const TLS: &str = "tls-handshake-failed";

/// Whose the fault most likely is, of a handshake that failed: the client's or the server's end of the connection.
/// `None`: this connection's did not fail. `by_proxy`: its client is a hop, which somebody configured.
pub(in crate::rules) fn at_fault(flow: &FlowFacts, by_proxy: bool) -> Option<Direction> {
    use Direction::{ClientToServer, ServerToClient};
    let broken = broken(flow)?;
    Some(match (broken.by, broken.how) {
        (ServerToClient, BrokenHow::Alert(description)) => match description {
            _ if is_of_client(description) || broken.no_certificate => ClientToServer,
            UNRECOGNIZED_NAME if by_proxy => ClientToServer,
            _ if by_proxy && is_nameless(flow) => ClientToServer,
            _ => ServerToClient,
        },
        // A name that is missing is answered with an alert or the end, and not with nothing.
        (ServerToClient, BrokenHow::Silence) => ServerToClient,
        (ServerToClient, _) if broken.no_certificate => ClientToServer,
        (ServerToClient, _) if by_proxy && is_nameless(flow) => ClientToServer,
        _ => ServerToClient,
    })
}

const HANDSHAKE_FAILURE: u8 = 40;
const NO_CERTIFICATE: u8 = 41;
const PROTOCOL_VERSION: u8 = 70;
const INSUFFICIENT: u8 = 71;
const INTERNAL: u8 = 80;
const UNRECOGNIZED_NAME: u8 = 112;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_PROTOCOL: u8 = 120;

/// Alerts of a server about what its client shows or offers.
fn is_of_client(description: u8) -> bool {
    matches!(description, NO_CERTIFICATE | CERTIFICATE_REQUIRED | NO_PROTOCOL) || is_of_certificate(description)
}

/// Alerts about a certificate that was shown (RFC 8446 §6.2).
fn is_of_certificate(description: u8) -> bool {
    matches!(description, 42..=46 | 48)
}

/// What is to be mended where it is not what either side says of TLS. `None`: it is.
pub(in crate::rules) fn fix_class(flow: &FlowFacts) -> Option<FaultClass> {
    broken(flow).filter(|broken| broken.how == BrokenHow::Silence).map(|_| FaultClass::Server)
}

/// Whether what failed was the path: the server answered, and its packets did not arrive.
pub(in crate::rules) fn is_torn(flow: &FlowFacts) -> bool {
    broken(flow).is_some_and(|broken| broken.torn)
}

fn broken(flow: &FlowFacts) -> Option<&Broken> {
    flow.said.as_ref()?.broken.as_deref()
}

/// Its ClientHello was read, and asks for no name.
pub(in crate::rules) fn is_nameless(flow: &FlowFacts) -> bool {
    let said = flow.said.as_ref();
    said.is_some_and(|said| said.via.iter().any(|wrapper| matches!(wrapper, Wrapper::Tls(_))))
        && flow.server_name().is_none()
}

/// A client that is done in TLS 1.3 asks at once, and may be told only then that its certificate will not do.
fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(odd) = x.odd_response.as_ref().filter(|_| x.is_inside_tls() && x.response.is_none()) else { return };
    let [record::ALERT, _, _, 0, 2, alert::FATAL, description] = *odd.bytes else { return };
    let text = format!(
        "The server {} ended TLS with the alert {} and did not answer the request.",
        x.server,
        alert_name(description)
    );
    let bytes = Some(odd.offset..odd.offset + odd.bytes.len() as u64);
    let said = Evidence { at: odd.at, direction: Some(Direction::ServerToClient), bytes };
    let found = out.add(Text::own(text)).found(Text::own(alert_name(description)));
    if is_of_client(description) {
        let cause = if is_of_certificate(description) { UNWANTED } else { DEMANDS };
        found.cause(cause).start_line(&x.request, Direction::ClientToServer).evidence(said);
    } else {
        found.evidence(said);
    }
}

fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some(broken) = broken(flow).filter(|_| !ends::is_hello_between(flow)) else { return };
    let open = broken.how == BrokenHow::Silence && broken.waited == Nanos::ZERO;
    if broken.after == HandshakeStep::Complete || open {
        return;
    }
    let mut text = Text::own(format!("The TLS handshake of {} with {}", flow.client, flow.server));
    if let Some(name) = flow.server_name() {
        text = text.say(" (for ").bytes(name).say(")");
    }
    let who = if broken.by == Direction::ClientToServer { "client" } else { "server" };
    let text = text.say(match broken.torn {
        true => format!(" failed: the server {}.", did(broken)),
        false => format!(" failed: the {who} {}.", did(broken)),
    });
    let left = matches!((broken.by, broken.how), (Direction::ClientToServer, BrokenHow::Fin | BrokenHow::Rst));
    let h2 = broken.alpn_offered.iter().any(|name| **name == *b"h2");
    let mut found = out.add(text).confidence(sure(broken)).found(what(broken)).evidence(evidence(broken));
    // Scanners ask for no name: a WebSocket's URL has one as a rule.
    if left || h2 || is_nameless(flow) {
        found = found.severity(Severity::Warning);
    }
    for cause in causes(flow, broken, false) {
        found = found.cause(cause);
    }
}

fn check_chain(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    // Who closes at once upon a ClientHello may speak no TLS at all, unless others show that it does.
    let like = |flow: &FlowFacts| {
        let is = broken(flow).is_some_and(|b| !is_wordless(b) || seen.speaks_tls(flow.server));
        is && !ends::is_hello_between(flow)
    };
    let Some(failed) = failed(journey, like) else { return };
    let Some((flow, broken)) = failed.flows.first().and_then(|flow| Some((flow, broken(flow)?))) else { return };
    let mut broken = Cow::Borrowed(broken);
    if broken.how == BrokenHow::Silence && broken.waited == Nanos::ZERO {
        let x = failed.leg.x;
        let Some(over) = x.response.as_ref().map(|answer| answer.first).or(x.end.tcp_at) else { return };
        let waited = over.since(broken.ts);
        if waited < LEAST_SILENCE {
            return;
        }
        broken.to_mut().waited = waited;
    }
    let broken = &*broken;
    let text = Text::own(format!("{} began TLS with {}", failed.who(), failed.servers()));
    let text = match flow.server_name() {
        Some(name) => text.say(" (for ").bytes(name).say(")"),
        None if is_nameless(flow) => text.say(" (without a name)"),
        None => text,
    };
    let text = match broken.by {
        Direction::ClientToServer => text.say(format!(", {}, and {}.", did(broken), failed.outcome())),
        Direction::ServerToClient => text.say(format!(", which {}, and {}.", did(broken), failed.outcome())),
    };
    let mut found = out
        .add(text)
        .confidence(failed.confidence.min(sure(broken)))
        .found(what(broken))
        .evidence(evidence(broken))
        .evidence(failed.answer());
    for cause in causes(flow, broken, true) {
        found = found.cause(cause);
    }
}

/// The shortest silence for which a hop gives up.
const LEAST_SILENCE: Nanos = Nanos::from_millis(900);

/// A server that ended the connection upon the ClientHello.
fn is_wordless(broken: &Broken) -> bool {
    broken.by == Direction::ServerToClient
        && broken.after == HandshakeStep::ClientHello
        && matches!(broken.how, BrokenHow::Fin | BrokenHow::Rst)
}

fn spell(broken: &Broken) -> String {
    format!("{:.1} s", broken.waited.as_secs_f64())
}

fn sure(broken: &Broken) -> Confidence {
    match (broken.how, broken.by) {
        (BrokenHow::Alert(_), _) => Confidence::Certain,
        (_, Direction::ClientToServer) if broken.after == HandshakeStep::Complete => Confidence::Likely,
        (BrokenHow::SealedAlert, _) | (_, Direction::ServerToClient) => Confidence::Likely,
        (BrokenHow::Fin | BrokenHow::Rst | BrokenHow::Silence, Direction::ClientToServer) => Confidence::Possible,
    }
}

/// Behind the subject of a sentence.
fn did(broken: &Broken) -> String {
    let end = match (broken.how, broken.after) {
        _ if broken.torn && broken.how == BrokenHow::Silence => {
            return format!(
                "answered its ClientHello, and the first bytes of the answer never came: for {} only what stands behind them",
                spell(broken)
            );
        }
        _ if broken.torn => {
            return "sent its answer again and again, and it was never acknowledged, until the client left".to_owned();
        }
        (BrokenHow::Alert(description), _) => return format!("sent the alert {}", alert_name(description)),
        (BrokenHow::SealedAlert, _) => return "ended it with what is as long as an encrypted alert".to_owned(),
        (BrokenHow::Silence, _) => return format!("said nothing to its ClientHello for {}", spell(broken)),
        (BrokenHow::Rst, _) => "reset the connection",
        (BrokenHow::Fin, _) => "closed the connection",
    };
    let when = match (broken.by, broken.after) {
        (_, HandshakeStep::ClientHello) => "upon the ClientHello, without a word",
        (Direction::ClientToServer, HandshakeStep::ServerHello) => "upon the server's certificate, without a word",
        (Direction::ServerToClient, HandshakeStep::ServerHello) => "before the handshake was complete",
        (_, HandshakeStep::ClientFinished) => "when the client had done its part",
        (_, HandshakeStep::Complete) => "when TLS stood, without a request in it",
    };
    format!("{end} {when}")
}

fn alert_name(description: u8) -> String {
    match alert::name(description) {
        Some(name) => format!("{name} ({description})"),
        None => format!("{description}, which nobody has defined"),
    }
}

fn what(broken: &Broken) -> Text {
    Text::own(match broken.how {
        BrokenHow::Alert(description) => alert_name(description),
        BrokenHow::SealedAlert => "a record as long as an alert, and the end".to_owned(),
        BrokenHow::Fin => "FIN".to_owned(),
        BrokenHow::Rst => "RST".to_owned(),
        BrokenHow::Silence => format!("nothing for {}", spell(broken)),
    })
}

fn evidence(broken: &Broken) -> Evidence {
    Evidence { at: broken.at, direction: Some(broken.by), bytes: None }
}

/// The likeliest first.
fn causes(flow: &FlowFacts, broken: &Broken, by_proxy: bool) -> Vec<&'static str> {
    let by_client = broken.by == Direction::ClientToServer;
    let description = match broken.how {
        _ if broken.torn => return vec![TORN],
        BrokenHow::Alert(description) => description,
        BrokenHow::Silence => return vec![HANGS, SWALLOWED],
        _ if by_client && broken.after != HandshakeStep::ClientHello => return vec![UNTRUSTED],
        _ if broken.no_certificate => return vec![DEMANDS],
        _ if by_client => return Vec::new(),
        _ if broken.after != HandshakeStep::ClientHello => return vec![GAVE_UP],
        _ if is_nameless(flow) && by_proxy => {
            return vec![NO_NAME, OLD, WANTS_PROXY, NO_TLS];
        }
        _ if is_nameless(flow) => return vec![NO_TLS, NO_NAME, OLD],
        BrokenHow::Rst if TLS_PORTS.contains(&flow.server.port) => {
            return vec![NO_ROUTE, WANTS_PROXY, FILTERED, NO_TLS];
        }
        _ if TLS_PORTS.contains(&flow.server.port) => return vec![NO_ROUTE, OLD, WANTS_PROXY, NO_TLS],
        _ => return vec![NO_TLS, NO_ROUTE],
    };
    match description {
        48 if by_client => vec![
            "the issuer of the server's certificate is not among those that the client trusts, or an intermediate \
             certificate is missing from what the server sends",
            "a proxy that opens TLS stands between, and the client does not trust its authority",
        ],
        45 if by_client => {
            vec!["the server's certificate has expired and must be renewed, or the client's clock is wrong"]
        }
        42 | 46 if by_client => vec![
            "the name in the server's certificate is not the one that was asked for, or its issuer is not trusted",
            "the certificate itself is damaged or of a kind that the client does not take",
        ],
        43 | 44 if by_client => {
            vec!["the server's certificate was revoked, or is of a kind that the client does not take"]
        }
        _ if is_of_certificate(description) => vec![UNWANTED],
        NO_CERTIFICATE | CERTIFICATE_REQUIRED => vec![DEMANDS],
        _ if broken.no_certificate => vec![DEMANDS],
        PROTOCOL_VERSION => vec![OLD, "one side allows only old versions of TLS"],
        NO_PROTOCOL => vec!["the server speaks none of the protocols that the client offers by ALPN"],
        UNRECOGNIZED_NAME if is_nameless(flow) => vec![NO_NAME],
        UNRECOGNIZED_NAME => vec!["the server has no certificate for the name that was asked for (SNI)"],
        HANDSHAKE_FAILURE | INTERNAL if !by_client && is_nameless(flow) => vec![NO_NAME, NO_CIPHER],
        INTERNAL if by_client && broken.after != HandshakeStep::ClientHello => vec![UNTRUSTED],
        INTERNAL if !by_client && by_proxy => {
            vec!["the backend has no certificate for the name that was asked for (SNI)"]
        }
        INTERNAL if !by_client => vec!["the server has no certificate for the name that was asked for (SNI)"],
        HANDSHAKE_FAILURE if !by_client && broken.after == HandshakeStep::ClientHello => vec![NO_CIPHER, NO_ROUTE],
        HANDSHAKE_FAILURE | INSUFFICIENT => vec![NO_CIPHER, DEMANDS],
        _ => Vec::new(),
    }
}

const NO_TLS: &str = "the server does not speak TLS on this port";
const GAVE_UP: &str = "the server does not take what the client shows or offers, or its time for a handshake was over";
const HANGS: &str = "the server hangs, or its listener is not served: the kernel accepts connections all the same";
const TORN: &str = "packets as large as those of a certificate do not pass a link on the way, and no ICMP says so (MTU black \
    hole): ping -M do -s 1472, and smaller, shows it; clamping the MSS mends it (mtu-black-hole)";
const SWALLOWED: &str =
    "a filter on the way drops what asks for this name, or packets as large as the ClientHello (MTU) are lost";

const NO_NAME: &str = "the client asks for no name (SNI), and the server has none but named certificates";
const DEMANDS: &str =
    "the server demands a certificate of the client (mutual TLS), and the client showed none or none that it trusts";
const UNWANTED: &str = "the server does not take the certificate that the client showed";
const UNTRUSTED: &str = "the client does not trust the server's certificate: self-signed, of an unknown issuer, expired, \
    or for another name";

/// Ports on which a server that does not speak TLS would be a surprise.
const TLS_PORTS: [u16; 3] = [443, 8443, 9443];

const WANTS_PROXY: &str = "the server expects a PROXY header before TLS (HAProxy accept-proxy, nginx listen … proxy_protocol), and its \
    client writes none";

const FILTERED: &str = "a filter on the way resets connections that ask for this name";
const NO_ROUTE: &str = "a router by name (SNI) does not know this one, or has no backend for it";
const OLD: &str = "client and server have no version of TLS in common: both should speak 1.2 and 1.3";
const NO_CIPHER: &str = "client and server have no cipher, group or signature in common, or no certificate fits";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PacketRef, Timestamp};
    use crate::model::{ConnectState, Preview, Said, Tls};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, With as _, exchange, flow, granted, run, run_flow, run_tried, words};
    use Direction::{ClientToServer, ServerToClient};

    fn failed(by: Direction, how: BrokenHow, after: HandshakeStep, change: impl FnOnce(&mut Broken)) -> FlowFacts {
        let mut broken = Broken::new(by, how, after, (PacketRef::new(0, 7), Timestamp::default()));
        change(&mut broken);
        let tls = Tls { server_name: Some(b"chat.example".as_slice().into()), ..Tls::default() };
        let via = vec![Wrapper::Tls(Box::new(tls))];
        let said = Said { via, broken: Some(Box::new(broken)), ..Said::default() };
        FlowFacts { said: Some(Box::new(said)), ..flow(ConnectState::Established, 1) }
    }

    fn nameless(mut flow: FlowFacts) -> FlowFacts {
        let via = flow.said.as_mut().map(|said| &mut said.via);
        via.into_iter().flatten().for_each(|wrapper| *wrapper = Wrapper::Tls(Box::default()));
        flow
    }

    const HELLO: HandshakeStep = HandshakeStep::ClientHello;
    const SHOWN: HandshakeStep = HandshakeStep::ServerHello;
    const DONE: HandshakeStep = HandshakeStep::ClientFinished;

    #[test]
    fn an_alert_is_told_by_its_name_with_what_it_is_about() {
        let found = run_flow(&RULE, &failed(ClientToServer, BrokenHow::Alert(48), SHOWN, |_| {}));
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Certain));
        let said = words(&found[0].message);
        assert!(said.ends_with("(for chat.example) failed: the client sent the alert unknown_ca (48)."), "{said}");
        assert!(found[0].causes[0].contains("issuer"), "{:?}", found[0].causes);
        let unknown = run_flow(&RULE, &failed(ServerToClient, BrokenHow::Alert(200), HELLO, |_| {}));
        assert!(words(&unknown[0].message).contains("200, which nobody has defined"));
    }

    #[test]
    fn a_client_that_leaves_without_a_word_or_offers_http_2_is_a_warning() {
        let left = run_flow(&RULE, &failed(ClientToServer, BrokenHow::Fin, SHOWN, |_| {}));
        assert_eq!((left[0].severity, left[0].confidence), (Severity::Warning, Confidence::Possible));
        let h2 = |b: &mut Broken| b.alpn_offered = Box::new([b"h2".as_slice().into()]);
        let browser = run_flow(&RULE, &failed(ClientToServer, BrokenHow::Alert(48), SHOWN, h2));
        assert_eq!(browser[0].severity, Severity::Warning);
        let silent = run_flow(&RULE, &failed(ServerToClient, BrokenHow::Fin, HELLO, |_| {}));
        assert_eq!((silent[0].severity, silent[0].confidence), (Severity::Error, Confidence::Likely));
    }

    #[test]
    fn what_was_never_used_or_is_still_open_is_told_only_where_a_proxys_client_got_an_error() {
        let unused = || failed(ClientToServer, BrokenHow::Fin, HandshakeStep::Complete, |_| {});
        let open = || failed(ServerToClient, BrokenHow::Silence, HELLO, |_| {});
        assert!(run_flow(&RULE, &unused()).is_empty() && run_flow(&RULE, &open()).is_empty());
        let gateway = exchange(GOOD, Some("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        let found = run_tried(&RULE, gateway, vec![unused()], View::default());
        let said = words(&found[0].message);
        assert!(
            said.starts_with("The proxy at 192.0.2.20 began TLS with 192.0.2.20:80 (for chat.example), "),
            "{said}"
        );
        assert!(said.ends_with("when TLS stood, without a request in it, and answered its client 502."), "{said}");
        let after = |ms: i64| {
            let gateway = exchange(GOOD, Some("HTTP/1.1 504 Gateway Time-out\r\n\r\n"));
            gateway.with(|x| x.response.iter_mut().for_each(|head| head.first = Timestamp(ms * 1_000_000)))
        };
        let found = run_tried(&RULE, after(4_000), vec![open()], View::default());
        assert!(words(&found[0].message).contains("which said nothing to its ClientHello for 4.0 s, and"));
        assert!(run_tried(&RULE, after(5), vec![open()], View::default()).is_empty(), "at once");
        assert!(run_tried(&RULE, exchange(GOOD, Some(&granted())), vec![unused()], View::default()).is_empty());
    }

    #[test]
    fn whoever_shows_what_the_other_does_not_take_is_at_fault() {
        let of = |by, how, after, no_certificate: bool| {
            let flow = failed(by, how, after, |b| b.no_certificate = no_certificate);
            (at_fault(&flow, false), at_fault(&flow, true), at_fault(&nameless(flow), true))
        };
        let all = |side| (Some(side), Some(side), Some(side));
        assert_eq!(of(ClientToServer, BrokenHow::Alert(45), SHOWN, false), all(ServerToClient));
        assert_eq!(of(ServerToClient, BrokenHow::Alert(116), DONE, false), all(ClientToServer));
        assert_eq!(of(ServerToClient, BrokenHow::Alert(40), DONE, true), all(ClientToServer));
        assert_eq!(of(ServerToClient, BrokenHow::SealedAlert, DONE, true), all(ClientToServer));
        // A proxy that asks for no name, or a wrong one, was told to.
        let (server, client) = (Some(ServerToClient), Some(ClientToServer));
        assert_eq!(of(ServerToClient, BrokenHow::Alert(40), HELLO, false), (server, server, client));
        assert_eq!(of(ServerToClient, BrokenHow::Alert(112), HELLO, false), (server, client, client));
        assert_eq!(of(ServerToClient, BrokenHow::Alert(70), HELLO, false), (server, server, client));
        assert_eq!(at_fault(&flow(ConnectState::Established, 1), false), None);
    }

    #[test]
    fn an_alert_behind_the_request_is_told_inside_tls_alone() {
        let refused = |via: Vec<Wrapper>, description| {
            exchange(GOOD, None).with(|x| {
                x.via = via;
                let bytes = [21, 3, 3, 0, 2, 2, description];
                let (at, ts) = (PacketRef::new(0, 9), Timestamp::default());
                x.odd_response = Some(Box::new(Preview { bytes: bytes.into(), at, ts, offset: 0 }));
            })
        };
        let tls = || vec![Wrapper::Tls(Box::default())];
        let found = run(&RULE, &refused(tls(), 116));
        assert!(words(&found[0].message).contains("ended TLS with the alert certificate_required (116)"));
        assert_eq!(found[0].evidence[0].direction, Some(ClientToServer), "it is about the client");
        let other = run(&RULE, &refused(tls(), 80));
        assert_eq!(other[0].evidence[0].direction, Some(ServerToClient));
        assert!(run(&RULE, &refused(Vec::new(), 116)).is_empty());
    }
}
