//! The request left the hop without a word about who sent it.

use crate::model::{Head, Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, far_whole, sentence, target};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "xff-missing",
    severity: Severity::Info,
    title: "a hop does not tell its backend the client's address",
    about: "The request left the hop without `X-Forwarded-For`, `Forwarded` or another field that names the client, \
        and without a PROXY protocol header. To the backend all clients have the proxy's address: its logs name \
        the proxy, and limits for one client count all of them together.\n\n\
        It is no fault of the upgrade. With such a field, hopscope also pairs the two legs more surely.",
    refs: &["RFC 7239 §5.2"],
    causes: &["the proxy adds none unless it is told to"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Hop(check),
};

/// Fields in which proxies name the client.
const NAMES: [&str; 10] = [
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "cf-connecting-ip",
    "true-client-ip",
    "fastly-client-ip",
];

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, &view.far.x.request);
    if !applies(view) || !far_whole(view) || NAMES.iter().any(|name| far.has(name)) {
        return;
    }
    let proxied = view.far.x.proxied.as_ref().is_some_and(|p| p.source.is_some());
    // Who asks for absolute targets chose this proxy, which need not give its users away.
    let chosen = target(&near.request).is_none_or(|t| t.authority.is_some());
    if proxied || chosen || near.client.ip.is_loopback() || mentions(far, &near.client.ip.to_string()) {
        return;
    }
    out.add(sentence(view, Text::own("does not tell its backend the address of the client")))
        .expected(Text::own(format!("X-Forwarded-For: {}", near.client.ip)))
        .found(Text::own("neither X-Forwarded-For nor Forwarded"))
        .head(far, REQUEST);
}

/// Whether a field's value has these words in it.
fn mentions(head: &Head, words: &str) -> bool {
    head.iter().any(|(_, value)| value.windows(words.len()).any(|part| part == words.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Proxied, Wrapper};
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires_hop, run_hop, run_hop_of, with_line, words};

    #[test]
    fn a_request_that_does_not_name_the_client_is_a_note() {
        let found = run_hop(&RULE, (GOOD, None), (GOOD, None));
        assert_eq!((found[0].severity, &*words(&found[0].expected)), (Severity::Info, "X-Forwarded-For: 192.0.2.10"));
    }

    #[test]
    fn every_field_that_names_it_will_do() {
        for line in [
            "x-forwarded-for: 192.0.2.10",
            "Forwarded: for=192.0.2.10",
            "X-Real-IP: 192.0.2.10",
            "X-Mine: a192.0.2.10:9",
        ] {
            assert!(!fires_hop(&RULE, (GOOD, None), (&with_line(line), None)), "{line}");
        }
    }

    #[test]
    fn a_proxy_header_a_forward_proxy_and_a_cut_head_are_left_alone() {
        let near = exchange(GOOD, None);
        let header = Proxied {
            version: 1,
            local: false,
            source: Some(near.client),
            destination: None,
            tlvs: Box::default(),
            fault: None,
            at: near.request.at,
            ts: near.request.first,
            length: 40,
        };
        let far = exchange(GOOD, None).with(|x| {
            x.via = vec![Wrapper::ProxyProtocol(1)];
            x.proxied = Some(Box::new(header));
        });
        assert!(run_hop_of(&RULE, near, far, |_| {}).is_empty());
        assert!(!fires_hop(&RULE, (&changed("/chat", "http://example.com/chat"), None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (GOOD, None), (&changed("\r\n\r\n", "\r\nX-"), None)));
    }
}
