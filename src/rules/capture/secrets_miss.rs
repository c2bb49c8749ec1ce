//! Connections in TLS that the key logs have nothing for.

use crate::base::Counters;
use crate::model::{Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-secrets-miss",
    severity: Severity::Info,
    title: "the key logs have no secrets for some connections",
    about: "There are secrets of TLS, by `--keylog`, `SSLKEYLOGFILE` or inside the capture, and none of them belongs to \
        these connections: a key log names each connection by the random bytes of its ClientHello, and theirs are not \
        in it. What runs inside them was not read.\n\n\
        Secrets are those of one connection. A key log of another program, or of the same one at another time, opens \
        nothing; and each leg of a proxy has its own.",
    refs: &["RFC 9850"],
    causes: &[
        "the program that wrote the log is the end of another connection: the browser's log opens the leg to the \
         first proxy, that of the proxy the leg behind it",
        "the log was switched on after these connections were open, or the file was replaced meanwhile",
        "a resumed connection of TLS 1.2 was logged when its session began, and that part of the log is gone",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Capture(check),
};

fn check(counters: &Counters, out: &mut Findings<'_>) {
    let (missed, tls) = (counters.flows_tls_missed, counters.flows_tls);
    if missed == 0 {
        return;
    }
    let which = match (missed, tls) {
        (1, 1) => "The key logs have no secrets for the only TLS connection".to_owned(),
        _ => format!("The key logs have no secrets for {missed} of {tls} TLS connections"),
    };
    let what = format!("{which}: these were not read. A log opens only connections of the program that wrote it.");
    out.add(Text::own(what)).found(Text::own(missed.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_capture, words};

    #[test]
    fn connections_without_their_secrets_are_counted() {
        let counters = Counters { flows_tls: 5, flows_tls_read: 3, flows_tls_missed: 2, ..Counters::default() };
        let found = run_capture(&RULE, &counters);
        assert!(words(&found[0].message).starts_with("The key logs have no secrets for 2 of 5 TLS connections"));
    }

    #[test]
    fn where_there_is_no_key_log_at_all_nothing_is_missed() {
        assert!(run_capture(&RULE, &Counters { flows_tls: 5, ..Counters::default() }).is_empty());
    }
}
