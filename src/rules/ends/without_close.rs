//! `end-without-close`.

use super::support::{FROM_CLIENT, FROM_SERVER, cut_by, is_probe, last_packet, name, spans};
use crate::base::Nanos;
use crate::model::{EndHow, Exchange, FaultClass, Finding, Severity, Text};
use crate::rules::rule::both;
use crate::rules::verdict::sent_by_proxy;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

/// What ends a tunnel, and leaves a FIN or RST without a Close on one leg or another.
pub(in crate::rules) const CAUSES: &[&str] = &[
    "backend-closed-early",
    "end-by-policy",
    "hop-101-fabricated",
    "hop-101-swallowed",
    "hop-ended-it",
    "hop-extensions-split",
    "hop-first-frames-lost",
    "hop-half-open",
    "hop-tunnel-dead",
    "idle-timeout",
    "idle-timeout-match",
    "lifetime-limit-match",
    "mqtt-keep-alive",
    "mtu-black-hole",
    "one-way-loss",
    "not-websocket-after-101",
    "res-101-then-http",
    "res-101-then-tls",
    "rst-injected",
    "silent-drop",
    "tunnel-rejected",
];

const OWN: &[&str] = &[
    "app-refused",
    "client-abandoned",
    "end-half-closed",
    "end-reset",
    "hop-close-changed",
    "peer-vanished",
    "receiver-stuck",
];

pub(super) static RULE: Rule = Rule {
    id: "end-without-close",
    severity: Severity::Warning,
    title: "the connection was closed without a Close frame",
    about: "One side closed the TCP connection of a WebSocket (FIN), and nobody had sent a Close frame. The program on \
        the other side learns no reason; a browser reports code 1006.\n\nIt is a note where the client leaves without \
        ever having sent a frame: probes and command-line tools do; and where nothing of the client is in view, who may \
        have closed first.",
    refs: &["RFC 6455 §7.1.5", "RFC 6455 §7.1.7"],
    causes: &[
        "the program ended, crashed, or was restarted",
        "its library closes the socket without the closing handshake",
        "a proxy gave up",
    ],
    fix: Some(FaultClass::Server),
    explains: &[Explains::Ended],
    symptom_of: &both::<{ CAUSES.len() + OWN.len() }>(CAUSES, OWN),
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(by) = cut_by(x).filter(|_| x.end.tcp_how == EndHow::Fin) else { return };
    let text = format!("The {} closed the connection (FIN) without a Close frame{}.", name(by), spans(x));
    let mut found = out
        .add(Text::own(text))
        // A client that is not in view may have closed first.
        .severity(if is_probe(x, by) || x.quality.no_client_packets { Severity::Info } else { Severity::Warning })
        .expected(Text::own("a Close frame before the end"))
        .found(Text::own("none from either side"));
    if by == FROM_CLIENT && sent_by_proxy(&x.request) {
        found = found.cause(PASSED_ON);
    }
    if by == FROM_SERVER && x.end.idle_before.is_some_and(|idle| idle >= QUIET) {
        found = found.cause(IDLE);
    }
    if let Some(packet) = last_packet(x, by) {
        found.evidence(packet);
    }
}

/// A silence before the end that may be why.
pub(in crate::rules) const QUIET: Nanos = Nanos::from_millis(1_500);

const IDLE: &str = "an idle limit of its own, or of what stands behind it: nothing had been sent for a while";

const PASSED_ON: &str = "its own client left without a Close frame, which it passed on, or a limit of its own struck";

/// Which kind of mending the likeliest cause of a finding of this rule calls for. `None`: what the rule itself says.
pub(in crate::rules) fn quiet_fix_class(finding: &Finding) -> Option<FaultClass> {
    let quiet = finding.rule == RULE.id && finding.causes.first().is_some_and(|cause| cause == IDLE);
    quiet.then_some(FaultClass::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    #[test]
    fn a_fin_without_a_close_is_found_with_its_sender() {
        let found = run(&RULE, &cut(FROM_SERVER, EndHow::Fin, 3_000));
        assert!(
            words(&found[0].message)
                .starts_with("The server closed the connection (FIN) without a Close frame; open 3.0 s")
        );
        assert_eq!(found[0].severity, Severity::Warning);
    }

    #[test]
    fn of_a_direction_that_is_not_in_view_no_close_is_missed() {
        let one_sided = |by| {
            let mut x = cut(by, EndHow::Fin, 3_000);
            x.quality.no_client_packets = true;
            x.ws.iter_mut().for_each(|ws| ws.client.lost = true);
            run(&RULE, &x)
                .first()
                .map(|found| (found.severity, found.causes.first().is_some_and(|cause| cause == IDLE)))
        };
        assert_eq!(one_sided(FROM_SERVER), Some((Severity::Info, true)), "the server would have answered a Close");
        assert_eq!(one_sided(FROM_CLIENT), None);
    }

    #[test]
    fn a_client_that_never_spoke_is_noted_only() {
        let mut x = cut(FROM_CLIENT, EndHow::Fin, 3_000);
        x.ws = None;
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Info);
    }

    #[test]
    fn a_close_frame_a_reset_and_other_protocols_are_no_case_of_it() {
        assert!(!fires(&RULE, &goodbye(1000)) && !fires(&RULE, &cut(FROM_SERVER, EndHow::Rst, 3_000)));
        assert!(!fires(&RULE, &open()));
        let mut half = cut(FROM_CLIENT, EndHow::Fin, 20);
        half.ws.iter_mut().for_each(|ws| ws.server.close = 1);
        assert!(!fires(&RULE, &half));
        assert!(!fires(&RULE, &other_protocol()));
    }
}
