//! `request-lost`.

use super::mtu_black_hole::LARGE;
use super::support::spell;
use crate::base::Nanos;
use crate::model::{Confidence, Direction, Evidence, Exchange, Severity, Swallowed, Text, Transport};
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
        is dead in one direction. To tell which, capture at both ends at once (`lost-between`).",
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
    check: Check::Exchange(check),
};

const TOO_LARGE: &str = RULE.causes[1];
const QUEUE: &str = RULE.causes[2];

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
    use crate::base::PacketRef;
    use crate::rules::testing::{GOOD, With as _, exchange, fires, granted, run, words};

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

    #[test]
    fn few_tries_an_answer_and_a_view_of_one_side_are_not() {
        assert!(!fires(&RULE, &lost(2, 300, 0)));
        assert!(!fires(&RULE, &lost(5, 300, 0).with(|x| x.times.rtt = None)));
        let answered = exchange(GOOD, Some(&granted())).with(|x| x.transport = lost(5, 300, 0).transport);
        assert!(!fires(&RULE, &answered));
    }
}
