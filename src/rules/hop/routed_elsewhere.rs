//! A hop that has a server for this upgrade sent it to another one, by the name or port that was asked.

use crate::base::{Endpoint, limits};
use crate::model::{Confidence, Evidence, Severity, Text};
use crate::rules::hop::answer::{ANSWER, refusal};
use crate::rules::hop::asked::{REQUEST, sentence};
use crate::rules::hop::routed_by_spelling::behind;
use crate::rules::journey::HopView;
use crate::rules::seen::Attempt;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-routed-elsewhere",
    severity: Severity::Error,
    title: "a hop sent the upgrade to a server for pages, although it knows one that grants it",
    about: "For the same target, the hop sends some upgrades to a server that grants them and others to one that \
        knows no such WebSocket, and what sets these apart is the Host, or the port of the hop, that was asked. The \
        server that refuses is none of its own for WebSockets: the route is wrong, or the client asks for a name that \
        was never meant for it.\n\n\
        Likely where at least two were sent to the wrong server; possible otherwise. Where any with the same Host and \
        port was granted, nothing is said: servers of a pool may differ (refused-404).",
    refs: &["RFC 9110 §7.2", "RFC 9110 §7.4"],
    causes: &[
        "a route of the proxy that fits all paths comes before the one for the WebSocket, or the one for the WebSocket \
         stands under another name or port only",
        "the client asks for a name, or a port, at which no WebSocket is meant to be",
    ],
    fix: None,
    explains: &[Explains::Refused],
    symptom_of: &["hop-routed-by-spelling", "hop-host-rewritten"],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    let Some((head, code)) = refusal(far).filter(|_| near.is_websocket()) else { return };
    if !matches!(code, 200..=299 | 404 | 405 | 501) || near.request.target() != far.request.target() {
        return;
    }
    // One that grants others takes upgrades, and knows why not this one.
    if seen.granted_at(far.server).next().is_some() {
        return;
    }
    let mine = seen.attempt(near);
    let at_hop = |a: &&Attempt| a.id != near.id && a.server == near.server.ip && a.target() == mine.target();
    let alike = |a: &Attempt| a.host == mine.host && a.server_port == mine.server_port;
    let (mut refused, mut granted) = (0, None);
    for other in seen.attempts().take(limits::SEEN_COMPARED).filter(at_hop) {
        match (alike(other), other.granted) {
            (true, true) => return,
            (true, false) => refused += 1,
            (false, true) => granted = granted.or_else(|| Some((other, behind(other, far, seen)?))),
            (false, false) => {}
        }
    }
    let Some((other, granter)) = granted else { return };
    let granter = Endpoint { ip: granter.server, port: granter.server_port };
    let apart = if other.server_port == mine.server_port {
        "for another Host".to_owned()
    } else {
        format!("to its port {}", other.server_port)
    };
    let what = format!(
        "sent this upgrade to {}, which answered {code}, and those {apart} to {granter}, which grants them",
        far.server
    );
    out.add(sentence(view, Text::own(what)))
        .confidence(if refused > 0 { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own(format!("upgrades of this path go to {granter}")))
        .found(Text::own(far.server.to_string()))
        .evidence(Evidence { at: other.packet, direction: Some(REQUEST), bytes: None })
        .start_line(&near.request, REQUEST)
        .start_line(&far.request, REQUEST)
        .start_line(head, ANSWER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Finding;
    use crate::rules::hop::routed_by_spelling::tests::{PAGE, routed};
    use crate::rules::testing::{GOOD, granted};

    /// Of an upgrade for another name; the others by name, port and answer.
    fn found(others: &[(&str, u16, &str)]) -> Vec<Finding> {
        let named = |host: &str| GOOD.replacen("Host: ", &format!("Host: {host}."), 1);
        let requests: Vec<_> = others.iter().map(|(host, ..)| named(host)).collect();
        let others = requests.iter().zip(others).map(|(request, (_, port, answer))| (request.as_str(), *port, *answer));
        routed(&RULE, &named("www"), &others.collect::<Vec<_>>())
    }

    #[test]
    fn upgrades_that_a_hop_sends_elsewhere_by_name_or_port_are_its_fault() {
        let granted = granted();
        let ok = granted.as_str();
        assert!(found(&[]).is_empty(), "nothing else is known of the hop");
        assert_eq!(found(&[("ws", 0, ok)])[0].confidence, Confidence::Possible);
        let sure = found(&[("ws", 0, ok), ("www", 0, PAGE)]);
        assert_eq!(sure[0].confidence, Confidence::Likely);
        assert!(crate::rules::testing::words(&sure[0].message).contains("those for another Host to "));
        let by_port = found(&[("www", 8000, ok), ("www", 0, PAGE)]);
        assert!(crate::rules::testing::words(&by_port[0].message).contains("those to its port 8"));
        assert!(found(&[("ws", 0, ok), ("www", 0, ok)]).is_empty(), "a pool whose servers differ");
    }
}
