//! The fields of the handshake itself did not leave the hop.

use crate::model::{FaultClass, Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, breaks, far_whole, listed, sentence};
use crate::rules::hop::support::FAILURES;
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-stripped-sec",
    severity: Severity::Error,
    title: "a hop removed Sec-WebSocket-Key or Sec-WebSocket-Version",
    about: "The request reached the hop with the fields of the WebSocket handshake and left it without the key or \
        the version. Neither is a hop-by-hop field: a proxy has no reason to take them off. The server behind it \
        answers 400 or 426.\n\n\
        Proxies that pass on only fields of a list do this. Where only Sec-WebSocket-Protocol is lost, see \
        hop-subprotocol-changed.",
    refs: &["RFC 6455 §4.1", "RFC 6455 §4.2.1", "RFC 9110 §7.6"],
    causes: &[
        "the proxy passes on only fields of an allow-list (a policy of a CDN, an API gateway, a firewall)",
        "the proxy takes the fields for its own and ends the WebSocket only in part",
    ],
    fix: Some(FaultClass::Fields),
    explains: FAILURES,
    symptom_of: &["hop-downgraded-http10", "hop-stripped-upgrade"],
    check: Check::Hop(check),
};

/// Without any of these there is no handshake.
const NEEDED: [&str; 2] = ["Sec-WebSocket-Key", "Sec-WebSocket-Version"];

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    if !applies(view) || !far_whole(view) {
        return;
    }
    let is_lost = |name: &&'static str| near.has(name) && !far.has(name);
    // HTTP/2 has no key (RFC 8441 §5).
    let streams = view.near.x.is_stream() || view.far.x.is_stream();
    let needed = NEEDED.into_iter().filter(|name| !streams || *name != "Sec-WebSocket-Key");
    let mut lost: Vec<&'static str> = needed.filter(is_lost).collect();
    if lost.is_empty() {
        return;
    }
    lost.extend(Some("Sec-WebSocket-Protocol").filter(is_lost));
    let names = listed(&lost);
    let mut found = out
        .add(sentence(view, Text::own(format!("removed {names} from the request"))))
        .severity(breaks(view))
        .expected(Text::own(format!("{names}, as the client sent")))
        .found(Text::own(format!("no {names}")));
    for name in lost {
        found = found.field(near, name, REQUEST);
    }
    found.head(far, REQUEST);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, KEY, changed, fires_hop, run_hop, with_line, words};

    #[test]
    fn a_lost_key_and_a_lost_version_are_found() {
        let without_key = changed(&format!("Sec-WebSocket-Key: {KEY}\r\n"), "");
        let found = run_hop(&RULE, (GOOD, None), (&without_key, None));
        assert!(words(&found[0].message).contains(" removed Sec-WebSocket-Key from the request (packets"));
        let without_any = without_key.replace("Sec-WebSocket-Version: 13\r\n", "");
        let near = with_line("Sec-WebSocket-Protocol: chat");
        let found = run_hop(&RULE, (&near, None), (&without_any, None));
        assert_eq!(words(&found[0].found), "no Sec-WebSocket-Key, Sec-WebSocket-Version and Sec-WebSocket-Protocol");
    }

    #[test]
    fn other_letters_in_the_names_are_right() {
        let far = GOOD.replace("Sec-WebSocket-", "Sec-Websocket-");
        assert!(!fires_hop(&RULE, (GOOD, None), (&far, None)));
    }

    #[test]
    fn what_the_client_did_not_send_or_the_capture_lacks_is_not_lost() {
        let near = changed("Sec-WebSocket-Version: 13\r\n", "");
        assert!(!fires_hop(&RULE, (&near, None), (&near, None)));
        let cut = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n";
        assert!(!fires_hop(&RULE, (GOOD, None), (cut, None)));
        let protocol = with_line("Sec-WebSocket-Protocol: chat");
        assert!(!fires_hop(&RULE, (&protocol, None), (GOOD, None)));
    }
}
