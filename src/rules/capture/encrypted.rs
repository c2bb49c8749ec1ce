//! Connections in TLS, which are not read.

use crate::base::{Counters, TlsName};
use crate::model::{Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-encrypted",
    severity: Severity::Info,
    title: "connections are encrypted and were not read",
    about: "TLS was seen, and what runs inside cannot be read without its secrets. An upgrade in there (wss://) is in \
        no number and no verdict of this report; what is told is what the clients say in clear: the name that they \
        ask for (SNI) and the protocols that they offer (ALPN).\n\n\
        Either give the secrets with `--keylog FILE`: browsers, curl, Node.js, Python and others write such a file \
        where the variable `SSLKEYLOGFILE` names one when they start, and docs/keys.md says how HAProxy, Envoy, nginx \
        and Apache do. Of a capture that is there already nothing can be read later: the secrets have to be written \
        while it is made. Or capture where the same traffic is plain: between the proxy that ends TLS and what stands \
        behind it.",
    refs: &["RFC 9850"],
    causes: &[
        "the clients connect with wss:// or https://, and the capture was taken before TLS ends",
        "the leg behind the proxy is encrypted as well",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Capture(check),
};

/// Names that the message tells.
const NAMES: usize = 3;

fn check(counters: &Counters, out: &mut Findings<'_>) {
    let (tls, all) = (counters.flows_tls_unread(), counters.flows);
    if tls == 0 {
        return;
    }
    let which = match (tls, all) {
        (1, 1) => "The only TCP connection is".to_owned(),
        (1, _) => format!("1 of {all} TCP connections is"),
        _ if tls == all => format!("All {all} TCP connections are"),
        _ => format!("{tls} of {all} TCP connections are"),
    };
    let text = Text::own(format!("{which} in TLS and not read: an upgrade inside is not in this report"));
    let text = names(text, &counters.tls_names);
    out.add(text.say(". Give their secrets by --keylog, or capture behind the proxy that ends TLS."))
        .found(Text::own(tls.to_string()));
}

/// Adds the names that most of them ask for.
fn names(text: Text, all: &[TlsName]) -> Text {
    let mut named: Vec<&TlsName> = all.iter().filter(|n| !(n.name.is_empty() && n.offers.is_empty())).collect();
    named.sort_by_key(|name| std::cmp::Reverse(name.flows));
    let mut text = text;
    for (at, name) in named.iter().take(NAMES).enumerate() {
        text = text.say(if at == 0 { ". They are for " } else { ", " });
        text = if name.name.is_empty() { text.say("no name") } else { text.bytes(&name.name) };
        text = text.say(format!(" ({}", name.flows));
        if !name.offers.is_empty() {
            text = text.say(", offering ").bytes(&name.offers);
        }
        text = text.say(")");
    }
    match named.len() {
        n if n > NAMES => text.say(format!(" and {} more", n - NAMES)),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_capture, words};

    fn found(flows_tls: u64, flows: u64) -> Option<String> {
        let found = run_capture(&RULE, &Counters { flows_tls, flows, ..Counters::default() });
        found.first().map(|f| words(&f.message))
    }

    #[test]
    fn encrypted_connections_are_counted() {
        for (tls, all, words) in [
            (1, 1, "The only TCP connection is in TLS"),
            (1, 7, "1 of 7 TCP connections is in TLS"),
            (3, 7, "3 of 7 TCP connections are in TLS"),
            (7, 7, "All 7 TCP connections are in TLS"),
        ] {
            assert!(found(tls, all).is_some_and(|text| text.starts_with(words)), "{words}");
        }
    }

    #[test]
    fn connections_that_were_read_are_not_counted() {
        let read = |n| Counters { flows_tls: 3, flows_tls_read: n, flows: 7, ..Counters::default() };
        assert!(run_capture(&RULE, &read(3)).is_empty());
        let found = run_capture(&RULE, &read(2));
        assert!(words(&found[0].message).starts_with("1 of 7 TCP connections is"));
    }

    #[test]
    fn the_names_that_are_asked_for_most_are_told() {
        let mut counters = Counters { flows_tls: 9, flows: 9, ..Counters::default() };
        counters.tls_name(b"a.example", b"", 1);
        counters.tls_name(b"b.example", b"h2, http/1.1", 5);
        let text = words(&run_capture(&RULE, &counters)[0].message);
        assert!(text.contains("They are for b.example (5, offering h2, http/1.1), a.example (1). Give"), "{text}");
    }

    #[test]
    fn a_capture_in_clear_raises_nothing() {
        assert_eq!(found(0, 7), None);
    }
}
