//! Connections in TLS, which are not read.

use crate::base::Counters;
use crate::model::{Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-encrypted",
    severity: Severity::Info,
    title: "connections are encrypted and were not read",
    about: "TLS was seen, and what runs inside cannot be read without its keys. An upgrade in there (wss://) is in \
        no number and no verdict of this report. Capture where the same traffic is plain: between the proxy that \
        ends TLS and what stands behind it.",
    refs: &[],
    causes: &[
        "the clients connect with wss:// or https://, and the capture was taken before TLS ends",
        "the leg behind the proxy is encrypted as well",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Capture(check),
};

fn check(counters: &Counters, out: &mut Findings<'_>) {
    let (tls, all) = (counters.flows_tls, counters.flows);
    if tls == 0 {
        return;
    }
    let which = match (tls, all) {
        (1, 1) => "The only TCP connection is".to_owned(),
        (1, _) => format!("1 of {all} TCP connections is"),
        _ if tls == all => format!("All {all} TCP connections are"),
        _ => format!("{tls} of {all} TCP connections are"),
    };
    out.add(Text::own(format!(
        "{which} in TLS and not read: an upgrade inside is not in this report. Capture behind the proxy that ends TLS."
    )))
    .found(Text::own(tls.to_string()));
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
    fn a_capture_in_clear_raises_nothing() {
        assert_eq!(found(0, 7), None);
    }
}
