//! `request-lost`.

use super::mtu_black_hole::LARGE;
use super::support::spell;
use crate::base::{Nanos, PacketRef};
use crate::model::{
    Broken, BrokenHow, Confidence, ConnectState, Direction, Evidence, Exchange, FlowFacts, HandshakeStep, Rejected,
    Resent, Severity, Swallowed, Text, Transport,
};
use crate::rules::hop::tried::failed;
use crate::rules::journey::Journey;
use crate::rules::rule::Builder;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "request-lost",
    severity: Severity::Error,
    title: "the request was sent again and again, and never acknowledged",
    about: "The TCP connection was opened, and then no acknowledgement of the request came, however often its sender sent it: \
        not even the other side's kernel has it, as far as can be seen here, and its program did not see it. So the program is not \
        at fault, and its log says nothing; if it does, what the host sends back is lost.\n\nA filter that reads what packets hold drops it; or it is too large for a link on the path; \
        or the host went away. Where the other side sends its SYN-ACK again meanwhile, the last packet of the handshake \
        was dropped too: a listener whose queue is full (accept is not called often enough) does that, and so does a path that \
        is dead in one direction. To tell which, capture at both ends at once (`lost-between`).\n\nOf a connection in TLS \
        the first request is the ClientHello, of which the same is told: it is long where it holds a post-quantum key \
        share, so that it takes two packets, and it names the server in clear, by which filters drop it.",
    refs: &["RFC 9293 §3.8.1", "RFC 6298 §5", "RFC 2923 §2.1"],
    causes: &[
        "a firewall or filter on the path drops packets that hold what this request holds",
        "the request's packets are too large for a link on the path, and no ICMP says so (MTU black hole): see \
         mtu-black-hole; a smaller request (fewer cookies) would arrive",
        "the queue of the server's listener is full, so that its kernel drops what comes on connections that are not \
         accepted (ss -ltn: Recv-Q above Send-Q), or a firewall that sees only half of the connection drops all that \
         follows its SYN (asymmetric routing)",
        "the server's host, or the path to it, went away right behind the TCP handshake",
    ],
    fix: None,
    explains: &[Explains::Unanswered, Explains::Refused],
    symptom_of: &["lost-between", "rst-injected"],
    check: Check::Several { exchange: Some(check), flow: Some(check_flow), chain: Some(check_chain) },
};

const TOO_LARGE: &str = RULE.causes[1];
const QUEUE: &str = RULE.causes[2];
const LOSSY: &str = "the path loses most packets: a bad link, an overloaded firewall or tunnel";
const AT_HOST: &str = "the server's own host drops it (a firewall there, iptables INPUT), or what stands between it and the place \
    of capture nearest to it";
/// Of a ClientHello.
const BY_NAME: &str = "a firewall or filter on the path drops what asks for this name (SNI), or TLS altogether";
const HELLO_TOO_LARGE: &str = "the packets of the ClientHello are too large for a link on the path, and no ICMP says so \
    (MTU black hole): see mtu-black-hole; a client without post-quantum key shares sends a shorter one";

/// So often must it be sent again in vain, and for so long.
const TIMES: u32 = 3;
const IN_VAIN: Nanos = Nanos::from_secs(1);

/// Whether the request of this leg never came to its server's host, as far as TCP tells.
pub(in crate::rules) fn is_seen(x: &Exchange) -> bool {
    seen(x).is_some()
}

fn seen(x: &Exchange) -> Option<(Swallowed, &Transport)> {
    let quality = x.quality;
    // The handshake was seen from both sides, so that acknowledgements would be too.
    let both = x.times.rtt.is_some() && !quality.no_server_packets && !quality.midstream && !quality.response_gap;
    let silent = x.response.is_none() && x.odd_response.is_none() && x.interim.is_empty();
    let transport = x.transport.as_deref().filter(|_| both && silent)?;
    let lost = transport.swallowed.filter(|lost| lost.by == Direction::ClientToServer && lost.times >= TIMES)?;
    (lost.last.since(lost.first) >= IN_VAIN).then_some((lost, transport))
}

/// Whether the ClientHello of this connection never came to its server's host, as far as TCP tells.
pub(in crate::rules) fn is_hello_lost(flow: &FlowFacts) -> bool {
    hello_lost(flow).is_some()
}

fn hello_lost(flow: &FlowFacts) -> Option<Hello<'_>> {
    let said = flow.said.as_ref().filter(|said| !said.gap && flow.state == ConnectState::Established)?;
    let silent = |broken: &&Broken| {
        broken.how == BrokenHow::Silence && !broken.torn && broken.after == HandshakeStep::ClientHello
    };
    let broken = said.broken.as_deref().filter(silent)?;
    let transport = broken.transport.as_deref()?;
    let of_client = |lost: &Swallowed| lost.by == Direction::ClientToServer;
    let Some(lost) = transport.swallowed.filter(of_client) else { return late(broken, transport) };
    let in_vain = lost.times >= TIMES && lost.last.since(lost.first) >= IN_VAIN;
    (in_vain || broken.unseen_at.is_some()).then_some(Hello {
        lost,
        transport,
        unseen_at: broken.unseen_at,
        reached: broken.reached,
        late: false,
    })
}

/// It arrived when its client had all but given up.
fn late<'a>(broken: &'a Broken, transport: &'a Transport) -> Option<Hello<'a>> {
    let Resent { by, times, at, first, last } = transport.overcome.filter(|sent| sent.times >= TIMES)?;
    let too_late = broken.ts.since(last) <= TOO_LATE && last.since(first) >= IN_VAIN && by == Direction::ClientToServer;
    let none = Swallowed { by, times, smallest: 0, before: 0, signs: 0, between: 0, deaf: 0, at, first, last };
    too_late.then_some(Hello { lost: none, transport, unseen_at: None, reached: false, late: true })
}

/// So soon behind it a server need not have answered.
const TOO_LATE: Nanos = Nanos::from_millis(500);

/// A ClientHello that did not arrive.
#[derive(Clone, Copy)]
struct Hello<'a> {
    lost: Swallowed,
    transport: &'a Transport,
    /// As [`Broken::unseen_at`] and [`Broken::reached`].
    unseen_at: Option<PacketRef>,
    reached: bool,
    /// It did at last, too late.
    late: bool,
}

fn check_flow(flow: &FlowFacts, _: &Seen, out: &mut Findings<'_>) {
    let Some(hello) = hello_lost(flow) else { return };
    let mut text = Text::own(format!("The TLS ClientHello of {} to {}", flow.client, flow.server));
    if let Some(name) = flow.server_name() {
        text = text.say(" (for ").bytes(name).say(")");
    }
    with_hello(out.add(text.say(format!(" was {}: {}.", hello.again(), hello.why()))), flow, hello);
}

fn check_chain(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let Some(failed) = failed(journey, is_hello_lost) else { return };
    let Some((flow, hello)) = failed.flows.first().and_then(|flow| Some((flow, hello_lost(flow)?))) else { return };
    let mut text = Text::own(format!("{} began TLS with {}", failed.who(), failed.servers()));
    if let Some(name) = flow.server_name() {
        text = text.say(" (for ").bytes(name).say(")");
    }
    let text =
        text.say(format!("; its ClientHello was {}: {}; and it {}.", hello.again(), hello.why(), failed.outcome()));
    let found = with_hello(out.add(text), flow, hello);
    found.confidence(failed.confidence.min(hello.sure())).evidence(failed.answer());
}

impl Hello<'_> {
    /// Behind "was".
    fn again(self) -> String {
        let greeted = match self.transport.greeted_again {
            0 => "",
            _ => ", while the SYN-ACK came again",
        };
        let over = spell(self.lost.last.since(self.lost.first));
        match self.lost.times {
            times if self.late => {
                format!("sent again {times} times over {over}, and acknowledged only when its client gave up")
            }
            1 => format!("sent again, and never acknowledged{greeted}"),
            times => format!("sent again {times} times over {over}, and never acknowledged{greeted}"),
        }
    }

    /// Behind a colon.
    fn why(self) -> String {
        match (self.icmp(), self.unseen_at) {
            (Some(told), _) => format!("it did not arrive, as {} says by ICMP ({})", told.by, told.why.name()),
            (None, Some(_)) => {
                "it was lost before the other place of capture, which saw the connection open".to_owned()
            }
            (None, None) if self.late => "its packets were lost until then".to_owned(),
            (None, None) if self.reached => {
                "it came to the other place of capture, and was not acknowledged there either".to_owned()
            }
            (None, None) => "it did not arrive, or nothing comes back".to_owned(),
        }
    }

    fn sure(self) -> Confidence {
        if self.unseen_at.is_some() { Confidence::Certain } else { Confidence::Likely }
    }

    fn icmp(self) -> Option<Rejected> {
        self.transport.rejected.filter(|told| told.of == Direction::ClientToServer)
    }
}

fn with_hello<'a>(found: Builder<'a>, flow: &FlowFacts, hello: Hello<'_>) -> Builder<'a> {
    let evidence = |at, direction| Evidence { at, direction: Some(direction), bytes: None };
    let mut found = found
        .confidence(hello.sure())
        .expected(Text::own("an acknowledgement of the ClientHello"))
        .found(Text::own(if hello.late { "one, too late" } else { "none" }))
        .evidence(evidence(hello.lost.at, Direction::ClientToServer));
    if let Some(at) = hello.unseen_at {
        found = found.evidence(evidence(at, Direction::ClientToServer));
    }
    match hello.icmp() {
        Some(icmp) => found.cause(icmp.cause(flow.server.ip)).evidence(evidence(icmp.at, Direction::ServerToClient)),
        None if hello.transport.greeted_again > 0 => found.cause(QUEUE),
        None if hello.late => found.cause(LOSSY),
        None if hello.reached => found.cause(AT_HOST),
        None if hello.lost.smallest >= LARGE => found.cause(HELLO_TOO_LARGE).cause(BY_NAME),
        None => found.cause(BY_NAME),
    }
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((lost, transport)) = seen(x) else { return };
    let again = match transport.greeted_again {
        0 => "",
        _ => ", which sent its SYN-ACK again instead",
    };
    let icmp = transport.rejected.filter(|told| told.of == Direction::ClientToServer);
    let why = match icmp {
        Some(told) => format!("it did not arrive, as {} says by ICMP ({})", told.by, told.why.name()),
        None => "it did not arrive, or nothing comes back".to_owned(),
    };
    let text = format!(
        "The request was sent again {} times in {}, and no acknowledgement of it came from {}{again}: {why}.",
        lost.times,
        spell(lost.last.since(x.request.last)),
        x.server,
    );
    let told = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("an acknowledgement of the request"))
        .found(Text::own("none"))
        .evidence(Evidence { at: x.request.at, direction: Some(Direction::ClientToServer), bytes: None });
    if let Some(icmp) = icmp {
        told.cause(icmp.cause(x.server.ip)).evidence(Evidence {
            at: icmp.at,
            direction: Some(Direction::ServerToClient),
            bytes: None,
        });
    } else if transport.greeted_again > 0 {
        told.cause(QUEUE);
    } else if lost.smallest >= LARGE {
        told.cause(TOO_LARGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Said;
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, With as _, exchange, fires, flow, granted, run, run_flow, run_tried, words};

    fn lost(times: u32, smallest: u32, greeted_again: u32) -> Exchange {
        exchange(GOOD, None).with(|x| {
            let by = Direction::ClientToServer;
            let first = x.request.last + Nanos::from_millis(200);
            let (at, last) = (PacketRef::new(0, 4), x.request.last + Nanos::from_secs(3));
            let none = Swallowed { by, times, smallest, before: 0, signs: 0, between: 0, deaf: 0, at, first, last };
            x.transport = Some(Box::new(Transport { swallowed: Some(none), greeted_again, ..Transport::default() }));
            x.times.rtt = Some(Nanos::from_millis(1));
        })
    }

    #[test]
    fn a_request_that_is_never_acknowledged_did_not_arrive() {
        let found = run(&RULE, &lost(5, 300, 0));
        let said = words(&found[0].message);
        assert!(
            said.starts_with("The request was sent again 5 times in 3.0 s, and no acknowledgement of it came"),
            "{said}"
        );
        assert!(found[0].causes.is_empty());
        assert_eq!(run(&RULE, &lost(5, 1_448, 0))[0].causes, [TOO_LARGE]);
    }

    #[test]
    fn where_the_handshake_was_dropped_too_it_is_the_listeners_queue() {
        assert_eq!(run(&RULE, &lost(5, 300, 2))[0].causes, [QUEUE]);
    }

    fn hello(times: u32, smallest: u32, unseen_at: Option<PacketRef>) -> FlowFacts {
        let transport = lost(times, smallest, 0).transport;
        let (by, how, after) = (Direction::ServerToClient, BrokenHow::Silence, HandshakeStep::ClientHello);
        let broken =
            Broken { transport, unseen_at, ..Broken::new(by, how, after, (PacketRef::new(0, 9), Default::default())) };
        let said = Said { broken: Some(Box::new(broken)), ..Said::default() };
        FlowFacts { said: Some(Box::new(said)), ..flow(ConnectState::Established, 1) }
    }

    #[test]
    fn of_a_client_hello_the_same_is_told_and_more_surely_where_another_place_did_not_see_it() {
        let found = run_flow(&RULE, &hello(5, 300, None));
        let said = words(&found[0].message);
        assert!(
            said.contains("sent again 5 times over 2.8 s, and never acknowledged: it did not arrive, or"),
            "{said}"
        );
        assert_eq!((found[0].confidence, &found[0].causes[..]), (Confidence::Likely, &[BY_NAME.into()][..]));
        assert_eq!(run_flow(&RULE, &hello(5, 1_400, None))[0].causes[0], HELLO_TOO_LARGE);
        let found = run_flow(&RULE, &hello(1, 300, Some(PacketRef::new(1, 1))));
        assert_eq!((found[0].confidence, found[0].evidence.len()), (Confidence::Certain, 2));
        assert!(words(&found[0].message).ends_with("saw the connection open."));
    }

    #[test]
    fn one_that_arrived_when_its_client_gave_up_was_lost_until_then() {
        let late = |ms: i64| {
            let mut flow = hello(5, 300, None);
            let broken = flow.said.iter_mut().filter_map(|said| said.broken.as_mut());
            for broken in broken {
                let transport = broken.transport.get_or_insert_default();
                let Some(Swallowed { by, times, at, first, last, .. }) = transport.swallowed.take() else { continue };
                transport.overcome = Some(Resent { by, times, at, first, last });
                broken.ts = last + Nanos::from_millis(ms);
            }
            flow
        };
        let found = run_flow(&RULE, &late(10));
        assert!(words(&found[0].message).contains("and acknowledged only when its client gave up"));
        assert_eq!(found[0].causes, [LOSSY]);
        assert!(run_flow(&RULE, &late(900)).is_empty(), "the server had time to answer");
    }

    #[test]
    fn a_client_hello_that_was_acknowledged_or_sent_again_seldom_was_not_lost() {
        let mut acknowledged = hello(5, 300, None);
        let broken = acknowledged.said.as_mut().and_then(|said| said.broken.as_mut());
        broken.into_iter().for_each(|broken| broken.transport = None);
        assert!(run_flow(&RULE, &acknowledged).is_empty() && run_flow(&RULE, &hello(2, 300, None)).is_empty());
        let refused = FlowFacts { state: ConnectState::Refused, ..hello(5, 300, None) };
        assert!(!is_hello_lost(&refused));
    }

    #[test]
    fn a_hop_whose_client_hello_was_lost_is_told_with_what_its_client_got() {
        let gateway = exchange(GOOD, Some("HTTP/1.1 504 Gateway Time-out\r\n\r\n"));
        let found = run_tried(&RULE, gateway, vec![hello(5, 300, None)], View::default());
        let said = words(&found[0].message);
        assert!(said.contains("began TLS with 192.0.2.20:80; its ClientHello was sent again 5 times"), "{said}");
        assert!(said.ends_with("; and it answered its client 504."), "{said}");
    }

    #[test]
    fn few_tries_an_answer_and_a_view_of_one_side_are_not() {
        assert!(!fires(&RULE, &lost(2, 300, 0)));
        assert!(!fires(&RULE, &lost(5, 300, 0).with(|x| x.times.rtt = None)));
        let answered = exchange(GOOD, Some(&granted())).with(|x| x.transport = lost(5, 300, 0).transport);
        assert!(!fires(&RULE, &answered));
    }
}
