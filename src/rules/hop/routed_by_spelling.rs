//! A hop whose routes depend on how Upgrade or Connection are spelt sent a handshake where no WebSocket is.

use crate::base::{Endpoint, limits};
use crate::model::{Confidence, Evidence, Exchange, Severity, Text};
use crate::rules::hop::answer::{ANSWER, refusal};
use crate::rules::hop::asked::{REQUEST, sentence};
use crate::rules::journey::HopView;
use crate::rules::seen::Attempt;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-routed-by-spelling",
    severity: Severity::Error,
    title: "a hop sent the upgrade to a server for pages, because of how it is spelt",
    about: "For the same target, the hop sends some upgrades to a server that grants them and others to one that \
        knows no such WebSocket, and what sets these apart is how Upgrade and Connection are spelt. Its \
        configuration compares them as texts. But names of protocols count in any letter case, and Connection is a \
        list: Firefox sends `Connection: keep-alive, Upgrade`.\n\n\
        Likely where at least two were sent each way; possible otherwise, since servers of a pool may differ. Where \
        any that was spelt the same way was granted, nothing is said.",
    refs: &["RFC 9110 §7.8", "RFC 9110 §7.6.1"],
    causes: &[
        "a rule compares Upgrade with one spelling: leave letter case out of it (`-i` in HAProxy, `~*` in nginx, \
         `[NC]` in Apache)",
        "a rule compares Connection as a whole with `Upgrade`: ask whether the list contains it, or ask Upgrade alone",
    ],
    fix: None,
    explains: &[Explains::Refused],
    symptom_of: &[],
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (view.near.x, view.far.x);
    let Some((head, code)) = refusal(far).filter(|_| near.is_websocket()) else { return };
    if !matches!(code, 200..=299 | 404 | 405 | 501) || near.request.target() != far.request.target() {
        return;
    }
    let mine = seen.attempt(near);
    let at_hop = |a: &&Attempt| {
        a.id != near.id
            && (a.server, a.server_port) == (near.server.ip, near.server.port)
            && a.target() == mine.target()
    };
    let beside: Vec<&Attempt> = seen.attempts().take(limits::SEEN_COMPARED).filter(at_hop).collect();
    if beside.iter().any(|a| a.granted && a.spelling() == mine.spelling()) {
        return;
    }
    let refused = beside.iter().filter(|a| !a.granted && a.spelling() == mine.spelling()).count();
    let others: Vec<(&Attempt, &Attempt)> =
        beside.iter().filter(|a| a.granted).filter_map(|a| Some((*a, behind(a, far, seen)?))).collect();
    let Some((other, granter)) = others.first() else { return };
    let sure = refused > 0 && others.len() > 1;
    let granter = Endpoint { ip: granter.server, port: granter.server_port };
    let what = format!(
        "sent this upgrade to {}, which answered {code}, and those that are spelt otherwise to {granter}, which grants them",
        far.server
    );
    out.add(sentence(view, Text::own(what)))
        .confidence(if sure { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own("upgrades go to a server that grants them, in whatever letter case and list they ask"))
        .found(spelling(near))
        .evidence(Evidence { at: other.packet, direction: Some(REQUEST), bytes: None })
        .start_line(&near.request, REQUEST)
        .start_line(&far.request, REQUEST)
        .start_line(head, ANSWER);
}

/// The leg by which the hop passed this attempt on to another server than `far` went to, which granted it.
pub(super) fn behind<'s>(asked: &Attempt, far: &Exchange, seen: &'s Seen) -> Option<&'s Attempt> {
    let passed = |a: &&Attempt| {
        a.granted
            && a.client == far.client.ip
            && a.id != asked.id
            && (a.server, a.server_port) != (far.server.ip, far.server.port)
            && (a.server, a.server_port) != (asked.server, asked.server_port)
    };
    seen.with_key(asked.key()?).take(limits::SEEN_COMPARED).find(passed)
}

/// Both fields as sent.
fn spelling(near: &Exchange) -> Text {
    ["Upgrade", "Connection"].into_iter().fold(Text::new(), |said, name| {
        let said = if said.is_empty() { said } else { said.say(", ") };
        let value = near.request.first_value(name).unwrap_or_default();
        said.say(format!("{name}: ")).field(name.as_bytes(), value)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::model::Finding;
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, behind, changed, exchange, granted, hop, run_whole};

    pub(in crate::rules::hop) const PAGE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

    /// What a rule finds of a request that another server of the hop refused, where these others were asked for, at a
    /// port so much further, and answered so.
    pub(in crate::rules::hop) fn routed(
        rule: &'static Rule,
        refused: &str,
        others: &[(&str, u16, &str)],
    ) -> Vec<Finding> {
        let near = exchange(refused, Some(PAGE));
        let mut far = behind(exchange(refused, Some(PAGE)));
        far.server.port += 1;
        let mut seen = Seen::default();
        for x in [&near, &far] {
            seen.learn(x, false);
        }
        for (number, (request, port, answer)) in (100..).zip(others) {
            let mut near = exchange(request, Some(answer));
            let mut far = behind(exchange(request, Some(answer)));
            (near.id, far.id) = (ExchangeId(2 * number), ExchangeId(2 * number + 1));
            near.server.port += port;
            if *answer == PAGE {
                far.server.port += 1;
            }
            seen.learn(&near, false);
            seen.learn(&far, false);
        }
        let hops = [hop(&near, &far)];
        run_whole(rule, &[near, far], &hops, &[], View::default(), &seen)
    }

    /// Of an upgrade that is spelt otherwise.
    fn found(others: &[(&str, &str)]) -> Vec<Finding> {
        let others: Vec<_> = others.iter().map(|(request, answer)| (*request, 0, *answer)).collect();
        routed(&RULE, &changed("Upgrade: websocket", "Upgrade: WebSocket"), &others)
    }

    #[test]
    fn upgrades_that_a_hop_sends_elsewhere_by_their_spelling_are_its_fault() {
        let granted = granted();
        let usual = (GOOD, granted.as_str());
        let odd = changed("Upgrade: websocket", "Upgrade: WebSocket");
        assert!(found(&[]).is_empty(), "nothing else is known of the hop");
        assert_eq!(found(&[usual])[0].confidence, Confidence::Possible);
        assert_eq!(found(&[usual, usual])[0].confidence, Confidence::Possible, "a pool of two may look so");
        assert_eq!(found(&[usual, usual, (&odd, PAGE)])[0].confidence, Confidence::Likely);
        assert!(found(&[usual, (&odd, &granted)]).is_empty(), "the same spelling was granted");
    }
}
