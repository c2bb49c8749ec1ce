//! `h2-bridge`.

use super::support::FROM_CLIENT;
use crate::model::{Severity, Text};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-bridge",
    severity: Severity::Info,
    title: "the hop is a bridge between HTTP/2 and HTTP/1.1",
    about: "On one side a WebSocket is opened by an extended CONNECT, on the other by GET with Upgrade. The hop ends \
        the handshake: Connection, Upgrade, key and accept exist on the HTTP/1.1 side alone, the key is the hop's own, \
        and the client's 200 is the backend's 101.",
    refs: &["RFC 8441 §5"],
    causes: &["the proxy takes HTTP/2 and speaks HTTP/1.1 behind it, or the other way round"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    if near.is_stream() == far.is_stream() || !near.is_websocket() || !view.writes_http() {
        return;
    }
    let (from, to) = if near.is_stream() { ("HTTP/2", "HTTP/1.1") } else { ("HTTP/1.1", "HTTP/2") };
    let who = view.who();
    let who = who.strip_prefix("the ").map_or_else(|| who.clone(), |rest| format!("The {rest}"));
    out.add(Text::own(who).say(format!(" is a bridge from {from} to {to} ")).join(view.packets()).say("."))
        .expected(Text::own("another handshake on each side"))
        .found(Text::own(format!("{from}, then {to}")))
        .head(&near.request, FROM_CLIENT)
        .head(&far.request, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::rules::testing::{GOOD, exchange, granted as plain, run_hop_of};

    #[test]
    fn a_hop_with_http2_on_one_side_is_noted() {
        let http1 = || exchange(GOOD, Some(&plain()));
        let found = run_hop_of(&RULE, granted(), http1(), |_| {});
        assert!(words(&found[0].message).contains(" is a bridge from HTTP/2 to HTTP/1.1 (packets"));
        assert_eq!(run_hop_of(&RULE, http1(), granted(), |_| {}).len(), 1);
        assert!(run_hop_of(&RULE, http1(), http1(), |_| {}).is_empty());
        assert!(run_hop_of(&RULE, granted(), granted(), |_| {}).is_empty());
    }
}
