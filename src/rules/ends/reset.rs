//! `end-reset`.

use super::support::{closed, is_probe, last_packet, name, spans, tunnel};
use super::without_close;
use crate::base::Nanos;
use crate::model::{Confidence, Direction, EndHow, Exchange, FaultClass, Severity, Text};
use crate::rules::rule::both;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

const OWN: &[&str] = &["client-abandoned", "hop-close-changed", "peer-vanished", "receiver-stuck"];

pub(super) static RULE: Rule = Rule {
    id: "end-reset",
    severity: Severity::Warning,
    title: "the connection was reset",
    about: "One side reset the TCP connection of a WebSocket (RST). What was on its way is lost, and the other side \
        learns no reason. Hops seldom pass a reset on: the leg behind one shows a FIN.\n\nBehind a Close frame it is a \
        note: browsers leave a page like that; and so it is where nothing of the client is in view.",
    refs: &["RFC 6455 §7.1.1", "RFC 9293 §3.10.7"],
    causes: &[
        "the program crashed or was killed",
        "it closed the socket with bytes that it had not read",
        "a proxy or firewall resets what it gave up",
    ],
    fix: Some(FaultClass::Server),
    explains: &[Explains::Ended],
    symptom_of: &both::<{ without_close::CAUSES.len() + OWN.len() }>(without_close::CAUSES, OWN),
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(by) = x.end.tcp_by.filter(|_| tunnel(x).is_some() && x.end.tcp_how == EndHow::Rst) else { return };
    let (closed, note) = (closed(x), is_probe(x, by));
    let behind = if closed { "after a Close frame" } else { "without a Close frame" };
    let text = format!("The {} reset the connection (RST) {behind}{}.", name(by), spans(x));
    // A Close or a FIN may be among what is missing.
    let lost = x.ws.is_some_and(|ws| ws.client.lost || ws.server.lost);
    let mut found = out
        .add(Text::own(text))
        .confidence(if lost { Confidence::Possible } else { Confidence::Certain })
        // What a client did that is not in view, nobody knows: it may be the answer.
        .severity(if closed || note || x.quality.no_client_packets { Severity::Info } else { Severity::Warning })
        .expected(Text::own("Close frames and FIN"))
        .found(Text::own("RST"));
    if !closed && forgot(x, by) {
        found = found.cause(FORGOT);
    }
    if let Some(packet) = last_packet(x, by) {
        found.evidence(packet);
    }
}

const FORGOT: &str = "it was restarted, or a firewall there forgot the connection, while nothing was sent; or it crashed over what \
    came then";

/// A silence in which a system may be restarted, or a box forget a connection; and how soon behind what ends it the reset must
/// come to be the answer.
const SILENT: Nanos = Nanos::from_secs(2);
const AT_ONCE: Nanos = Nanos::from_millis(100);

/// Whether the reset of this side answers what the other said after a silence, or asked by a keep-alive.
fn forgot(x: &Exchange, by: Direction) -> bool {
    let Some(talk) = x.talk.as_ref() else { return false };
    let last = |side| talk.of(side).last.map(|last| last.ts);
    let answers = last(by.other()).is_some_and(|other| last(by).is_none_or(|own| own < other));
    let silent = talk.before_last.is_some_and(|silence| silence.length >= SILENT);
    answers && silent && x.end.idle_before.is_some_and(|idle| idle <= AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::support::{FROM_CLIENT, FROM_SERVER};
    use crate::rules::ends::testing::*;

    #[test]
    fn a_reset_without_a_close_is_found_with_its_sender() {
        let found = run(&RULE, &cut(FROM_SERVER, EndHow::Rst, 31));
        assert!(words(&found[0].message).starts_with("The server reset the connection (RST) without a Close frame"));
        assert_eq!(found[0].severity, Severity::Warning);
    }

    #[test]
    fn a_browser_that_closes_its_tab_is_noted_only() {
        let mut tab = goodbye(1001);
        (tab.end.by, tab.end.tcp_by, tab.end.tcp_how) = (Some(FROM_CLIENT), Some(FROM_CLIENT), EndHow::Rst);
        assert_eq!(run(&RULE, &tab)[0].severity, Severity::Info);
        let mut probe = cut(FROM_CLIENT, EndHow::Rst, 31);
        probe.ws = None;
        assert_eq!(run(&RULE, &probe)[0].severity, Severity::Info);
    }

    #[test]
    fn where_nothing_of_the_client_is_in_view_it_is_noted_only() {
        let mut x = cut(FROM_SERVER, EndHow::Rst, 31);
        x.quality.no_client_packets = true;
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Info);
    }

    #[test]
    fn a_fin_is_no_reset() {
        assert!(!fires(&RULE, &cut(FROM_SERVER, EndHow::Fin, 31)) && !fires(&RULE, &goodbye(1000)));
    }
}
