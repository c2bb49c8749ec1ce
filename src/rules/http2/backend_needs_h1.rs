//! `h2-backend-needs-h1`.

use super::support::{FAILURES, FROM_CLIENT};
use crate::model::{Exchange, FaultClass, Mechanism, Severity, Text};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-backend-needs-h1",
    severity: Severity::Error,
    title: "the hop speaks HTTP/2 to a backend that takes WebSocket over HTTP/1.1 only",
    about: "The hop passed the request for a WebSocket on over HTTP/2: as an ordinary request, which cannot become \
        one, or as an extended CONNECT to a backend that does not offer to take it. Backends that know WebSocket over \
        HTTP/2 are few; the hop should speak HTTP/1.1 to this one.",
    refs: &["RFC 8441 §3", "RFC 9113 §8.6"],
    causes: &[
        "the backend's protocol is set to HTTP/2 (a target group with HTTP2, h2c://, proto h2, an h2 upgrade policy)",
        "the hop offers h2 by ALPN to its backend for all requests alike",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    if !far.is_stream() || !near.is_websocket() || far.granted().is_some() || !view.writes_http() || !failed(near, far)
    {
        return;
    }
    let not_offered = far.stream.as_ref().is_some_and(|stream| stream.connect_protocol == Some(false));
    let how = match far.mechanism {
        Mechanism::Http2ExtendedConnect if not_offered => {
            "as an extended CONNECT, which the backend's SETTINGS do not offer to take"
        }
        Mechanism::Http2ExtendedConnect => return,
        Mechanism::Http1Upgrade | Mechanism::Connect | Mechanism::None => "as an ordinary request",
    };
    let who = view.who();
    let who = who.strip_prefix("the ").map_or_else(|| who.clone(), |rest| format!("The {rest}"));
    let text = Text::own(who).say(format!(" passed the WebSocket on over HTTP/2 {how} "));
    out.add(text.join(view.packets()).say("."))
        .expected(Text::own("HTTP/1.1 to this backend"))
        .found(Text::own("HTTP/2"))
        .head(&near.request, FROM_CLIENT)
        .head(&far.request, FROM_CLIENT);
}

/// Whether it came to nothing, as far as the capture tells: what a server says that does not know HTTP/2 is no answer.
fn failed(near: &Exchange, far: &Exchange) -> bool {
    let given_up = near.status().is_some_and(|status| status >= 500);
    far.response.is_some() || super::support::refused_by(far).is_some() || given_up
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::rules::testing::{GOOD, REFUSED, exchange, run_hop_of};

    #[test]
    fn an_upgrade_passed_on_over_http2_in_vain_is_found() {
        let near = || exchange(GOOD, Some(REFUSED));
        assert_eq!(run_hop_of(&RULE, near(), stream(GET, Some("404")), |_| {}).len(), 1);
        let not_offered = stream(ASK, Some("400")).with(|x| facts(x).connect_protocol = Some(false));
        assert!(words(&run_hop_of(&RULE, near(), not_offered, |_| {})[0].message).contains("do not offer to take"));
    }

    #[test]
    fn a_backend_that_says_nothing_in_http2_is_told_by_what_the_hop_says() {
        let near = |status: &str| exchange(GOOD, Some(&format!("HTTP/1.1 {status}\r\n\r\n")));
        assert_eq!(run_hop_of(&RULE, near("502 Bad Gateway"), stream(GET, None), |_| {}).len(), 1);
        assert!(run_hop_of(&RULE, near("403 Forbidden"), stream(GET, None), |_| {}).is_empty());
    }

    #[test]
    fn a_backend_that_takes_it_and_one_that_refuses_for_its_own_reasons_are_left_alone() {
        let near = || exchange(GOOD, Some(REFUSED));
        assert!(run_hop_of(&RULE, near(), granted(), |_| {}).is_empty());
        assert!(run_hop_of(&RULE, near(), stream(ASK, Some("403")), |_| {}).is_empty());
        assert!(run_hop_of(&RULE, near(), exchange(GOOD, Some(REFUSED)), |_| {}).is_empty());
    }
}
