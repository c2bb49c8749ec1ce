//! `hop-bridge-without-key`.

use super::asked::{REQUEST, far_whole, sentence, show};
use super::support::FAILURES;
use crate::model::{FaultClass, Mechanism, Severity, Text};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-bridge-without-key",
    severity: Severity::Error,
    title: "the bridge from HTTP/2 made no Sec-WebSocket-Key",
    about: "An extended CONNECT has no key. A bridge that makes an HTTP/1.1 upgrade of it has to make one, and to check \
        the accept itself. Without a key the backend refuses: 400 as a rule.",
    refs: &["RFC 8441 §5", "RFC 6455 §4.1"],
    causes: &[
        "the proxy passes an extended CONNECT on as a GET with Upgrade, field by field (Envoy with an HTTP/1.1 cluster)",
        "a plug-in or program that bridges by itself",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    const NAME: &str = "Sec-WebSocket-Key";
    let (near, far) = (view.near.x, view.far.x);
    let bridges = near.mechanism == Mechanism::Http2ExtendedConnect && near.is_websocket() && !far.is_stream();
    let asks = far.request.upgrades_to_websocket();
    if !bridges || !asks || far.request.has(NAME) || !far_whole(view) || !view.writes_http() {
        return;
    }
    out.add(sentence(view, Text::own("made an HTTP/1.1 upgrade of the extended CONNECT, without Sec-WebSocket-Key")))
        .severity(if far.granted().is_some() { Severity::Warning } else { Severity::Error })
        .expected(Text::own("Sec-WebSocket-Key of the bridge's own"))
        .found(show(&far.request, NAME))
        .head(&near.request, REQUEST)
        .head(&far.request, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::http2::testing::{ASK, stream};
    use crate::rules::testing::{GOOD, KEY, REFUSED, changed, exchange, run_hop_of};

    #[test]
    fn an_upgrade_without_a_key_behind_an_extended_connect_is_found() {
        let keyless = changed(&format!("Sec-WebSocket-Key: {KEY}\r\n"), "");
        let near = || stream(ASK, Some("400"));
        let found = run_hop_of(&RULE, near(), exchange(&keyless, Some(REFUSED)), |_| {});
        assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
        assert!(run_hop_of(&RULE, near(), exchange(GOOD, Some(REFUSED)), |_| {}).is_empty());
        let http1 = run_hop_of(&RULE, exchange(GOOD, Some(REFUSED)), exchange(&keyless, Some(REFUSED)), |_| {});
        assert!(http1.is_empty(), "hop-stripped-sec tells that");
    }
}
