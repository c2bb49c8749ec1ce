//! What became of an upgrade, as the client of this leg saw it (docs/schema: `outcome`).

use crate::model::{AcceptVerdict, Direction, Exchange, Finding, Handshake, Mechanism, Outcome, Severity};
use crate::rules::{Explains, Rule, accept, http2, response};

/// The outcome of one exchange.
///
/// - a 101 (2xx to CONNECT, extended or not): `Upgraded`; `Broken` where the accept is wrong or missing, or an error
///   of the response rules says that a conforming client must fail it;
/// - a stream of HTTP/2 that the server reset, or said it did not look at, without an answer: `Refused`;
/// - any other final status: `Redirected` for a 3xx with Location, else `Refused`, also for a 2xx that
///   ignores the upgrade;
/// - a 101 that came when the client had closed the connection: `Unanswered`;
/// - no status although the request was whole and the connection ended (or stayed silent for long),
///   an answer that is no HTTP, a head that breaks off: `Unanswered`;
/// - `Unknown` where the capture cannot tell: also a 101 to a WebSocket request that was not seen whole,
///   unless both sides go on with frames.
///
/// `findings`: those about this exchange.
pub fn of(x: &Exchange, handshake: &Handshake, findings: &[Finding]) -> Outcome {
    let Some(head) = &x.response else {
        let garbage = x.odd_response.is_some() && !x.quality.response_gap;
        if http2::refused_by(x) == Some(Direction::ServerToClient) {
            return Outcome::Refused;
        }
        return if garbage || response::is_unanswered(x) { Outcome::Unanswered } else { Outcome::Unknown };
    };
    match head.status() {
        Some(200..=299) if x.mechanism == Mechanism::Connect => Outcome::Upgraded,
        // A conforming client treats it as malformed (RFC 9113 §8.6).
        Some(101) if x.is_stream() => Outcome::Broken,
        // What comes when the client has gone, it never heard.
        _ if response::left_before_grant(x) => Outcome::Unanswered,
        _ if x.granted().is_some() => switched(x, handshake, findings),
        // 1xx is never the last word (RFC 9110 §15.2).
        Some(100..=199) => Outcome::Unknown,
        Some(300..=399) if head.has("location") => Outcome::Redirected,
        Some(300..=399) if !head.complete => Outcome::Unknown,
        Some(_) => Outcome::Refused,
        None if head.complete || response::breaks_off(x) => Outcome::Unanswered,
        None => Outcome::Unknown,
    }
}

fn switched(x: &Exchange, handshake: &Handshake, findings: &[Finding]) -> Outcome {
    let whole = x.response.as_ref().is_some_and(|r| r.complete) && !x.quality.response_gap;
    // Of a direction that is not in view no frame can be asked for.
    let speaks = x.ws.is_some_and(|ws| (ws.client.frames > 0 || x.is_request_unseen()) && ws.server.frames > 0);
    let wrong_accept = matches!(handshake.accept_verdict, AcceptVerdict::Invalid | AcceptVerdict::Missing);
    if !whole && !speaks {
        return if response::breaks_off(x) { Outcome::Unanswered } else { Outcome::Unknown };
    }
    if wrong_accept || findings.iter().any(must_fail) {
        return Outcome::Broken;
    }
    // Without the key nobody can tell whether the accept is right; that both sides go on to speak can.
    let request_whole = x.request.complete && !x.quality.request_gap;
    let to_websocket = x.is_websocket()
        || x.response.as_ref().is_some_and(|r| r.upgrades_to_websocket() || r.has("sec-websocket-accept"));
    if to_websocket && !request_whole && !speaks { Outcome::Unknown } else { Outcome::Upgraded }
}

/// Whether a conforming client must fail the connection for this (RFC 6455 §4.1): a fault of the
/// response, not of the request that got it.
fn must_fail(finding: &Finding) -> bool {
    finding.severity == Severity::Error
        && response_rule(&finding.rule).is_some_and(|rule| rule.explains.contains(&Explains::Broken))
}

/// The rule with this slug, if it judges what the server sent.
fn response_rule(slug: &str) -> Option<&'static Rule> {
    response::RULES.iter().chain(accept::RULES).find(|rule| rule.id == slug).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndHow, Head};
    use crate::rules::response::testing::*;

    fn outcome(x: &Exchange) -> Outcome {
        of(x, &Handshake::default(), &run_all(x))
    }

    fn answered(response: &str) -> Outcome {
        outcome(&exchange(ASK, Some(response)))
    }

    #[test]
    fn a_101_is_upgraded_and_a_faulty_one_broken() {
        assert_eq!(answered(GRANT), Outcome::Upgraded);
        assert_eq!(answered(&without(GRANT, "Connection")), Outcome::Broken);
        assert_eq!(answered(&grant("Content-Length: 0\r\n")), Outcome::Upgraded, "a warning breaks nothing");
        for accept_verdict in [AcceptVerdict::Invalid, AcceptVerdict::Missing] {
            let handshake = Handshake { accept_verdict, ..Handshake::default() };
            assert_eq!(of(&exchange(ASK, Some(GRANT)), &handshake, &[]), Outcome::Broken);
        }
    }

    #[test]
    fn other_protocols_are_upgraded_or_refused_like_any() {
        let tcp = "POST /x HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(outcome(&exchange(tcp, Some(&GRANT.replace("websocket", "tcp")))), Outcome::Upgraded);
        assert_eq!(outcome(&exchange(&tcp.replace("tcp", "h2c"), Some("HTTP/1.1 200 OK\r\n\r\n"))), Outcome::Refused);
    }

    #[test]
    fn a_final_status_decides_even_where_the_rest_of_the_head_is_missing() {
        assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\n"), Outcome::Refused);
        assert_eq!(answered("HTTP/1.1 426 Upgrade Required\r\nSer"), Outcome::Refused);
        assert_eq!(answered("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"), Outcome::Redirected);
        assert_eq!(answered("HTTP/1.1 302 Found\r\n\r\n"), Outcome::Refused);
        assert_eq!(answered("HTTP/1.1 302 Found\r\nSer"), Outcome::Unknown);
        assert_eq!(answered("HTTP/1.1 101 Switching Protocols\r\nUpg"), Outcome::Unknown);
    }

    #[test]
    fn a_cut_101_is_upgraded_where_frames_prove_it_and_unanswered_where_it_breaks_off() {
        let half = || exchange(ASK, Some("HTTP/1.1 101 Switching Protocols\r\nUpg"));
        assert_eq!(outcome(&with_frames(half(), 1, 1)), Outcome::Upgraded);
        assert_eq!(outcome(&ended(half(), Direction::ServerToClient, EndHow::Fin, 20)), Outcome::Unanswered);
    }

    #[test]
    fn a_101_to_a_request_that_was_not_seen_whole_is_upgraded_only_where_both_sides_speak() {
        let blind = || exchange("GET /chat HTTP/1.1\r\nHost: ws", Some(GRANT));
        assert_eq!(outcome(&blind()), Outcome::Unknown);
        assert_eq!(outcome(&with_frames(blind(), 0, 3)), Outcome::Unknown, "the client may have dropped it");
        assert_eq!(outcome(&with_frames(blind(), 1, 1)), Outcome::Upgraded);
        let unseen = |mut x: Exchange| {
            x.request = Head { text: Box::default(), fields: std::sync::Arc::default(), ..x.request };
            x.quality.no_client_packets = true;
            x
        };
        assert_eq!(outcome(&unseen(with_frames(blind(), 0, 3))), Outcome::Upgraded, "nothing of the client is in view");
        assert_eq!(outcome(&unseen(blind())), Outcome::Unknown, "nobody spoke");
        let mut holed = exchange(ASK, Some(GRANT));
        holed.quality.request_gap = true;
        assert_eq!(outcome(&holed), Outcome::Unknown);
        let other_answer = "HTTP/1.1 101 Switching\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(outcome(&exchange("POST /x HTTP/1.1\r\nUpgrade: tc", Some(other_answer))), Outcome::Upgraded);
    }

    #[test]
    fn silence_is_unanswered_only_where_the_capture_shows_it() {
        assert_eq!(outcome(&exchange(ASK, None)), Outcome::Unknown);
        assert_eq!(
            outcome(&ended(exchange(ASK, None), Direction::ServerToClient, EndHow::Rst, 20)),
            Outcome::Unanswered
        );
        let mut garbage = exchange(ASK, None);
        garbage.odd_response = preview(b"SSH-2.0-x\r\n");
        assert_eq!(outcome(&garbage), Outcome::Unanswered);
        garbage.quality.response_gap = true;
        assert_eq!(outcome(&garbage), Outcome::Unknown);
    }

    #[test]
    fn connect_is_upgraded_by_2xx_alone() {
        let connect = "CONNECT ws.example:80 HTTP/1.1\r\nHost: ws.example:80\r\n\r\n";
        assert_eq!(outcome(&exchange(connect, Some("HTTP/1.1 200 OK\r\n\r\n"))), Outcome::Upgraded);
        assert_eq!(outcome(&exchange(connect, Some("HTTP/1.1 403 Forbidden\r\n\r\n"))), Outcome::Refused);
    }
}
