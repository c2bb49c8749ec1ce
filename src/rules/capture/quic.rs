//! Connections in QUIC, which are not read.

use crate::base::{Counters, TlsName};
use crate::model::{Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-quic",
    severity: Severity::Info,
    title: "clients open QUIC connections, which are not read",
    about: "HTTP/3 runs over QUIC, and a WebSocket may be opened there too (RFC 9220). hopscope does not decode it: an \
        upgrade in there is in no number and no verdict of this report. What is told is how many connections clients \
        opened, and the names that they asked for (SNI), which stand in the first packets under keys that everybody \
        knows.\n\nTo see what runs there, have the client use HTTP/2 or HTTP/1.1: switch HTTP/3 off in it, block UDP \
        on that port, or take the Alt-Svc field away.",
    refs: &["RFC 9001 §5.2", "RFC 9220", "RFC 9369"],
    causes: &["the server or a proxy in front of it offers HTTP/3, by Alt-Svc or in the DNS"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Capture(check),
};

/// Names that the message tells.
const NAMES: usize = 3;

fn check(counters: &Counters, out: &mut Findings<'_>) {
    let all = counters.quic_connections;
    let which = match all {
        0 => return,
        1 => "1 QUIC connection was opened".to_owned(),
        _ => format!("{all} QUIC connections were opened"),
    };
    let text = Text::own(format!("{which}: WebSocket over HTTP/3 would be here; not decoded"));
    let mut names: Vec<&TlsName> = counters.quic_names.iter().filter(|name| !name.name.is_empty()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.flows));
    let more = names.len().saturating_sub(NAMES);
    let text = names.iter().take(NAMES).enumerate().fold(text, |text, (at, name)| {
        text.say(if at == 0 { ". They are for " } else { ", " }).bytes(&name.name).say(format!(" ({})", name.flows))
    });
    let text = if more > 0 { text.say(format!(" and {more} more")) } else { text };
    out.add(text.say(".")).found(Text::own(all.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_capture, words};

    #[test]
    fn connections_are_told_once_with_the_names_that_most_ask_for() {
        let mut counters = Counters { quic_connections: 9, ..Counters::default() };
        for (name, times) in [("a.example", 1), ("b.example", 5), ("c.example", 2), ("d.example", 1)] {
            (0..times).for_each(|_| counters.quic_name(name.as_bytes()));
        }
        let found = run_capture(&RULE, &counters);
        assert_eq!(found.len(), 1);
        let text = words(&found[0].message);
        assert!(text.starts_with("9 QUIC connections were opened: WebSocket over HTTP/3 would be here"), "{text}");
        assert!(text.contains("for b.example (5), c.example (2), a.example (1) and 1 more."), "{text}");
    }

    #[test]
    fn without_any_nothing_is_said() {
        assert!(run_capture(&RULE, &Counters { flows: 3, ..Counters::default() }).is_empty());
    }
}
