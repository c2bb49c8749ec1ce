//! One request of the client went to backends more than once.

use crate::model::{Direction, Severity, Text};
use crate::rules::hop::answer::{capital, leg};
use crate::rules::journey::{HopView, Journey};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-retried",
    severity: Severity::Warning,
    title: "a hop sent the same request more than once",
    about: "The client asked once, and the hop asked behind it several times. A GET may be repeated, but each try \
        may open a WebSocket at a backend that nobody uses, and the client waits longer.\n\nA question about the \
        request that goes elsewhere (whether the client may, for one) is no retry.",
    refs: &["RFC 9110 §9.2.2"],
    causes: &[
        "the first backend closed, refused or was too slow, and the proxy took the next (proxy_next_upstream, retries)",
        "the proxy reused a connection that its backend had just closed",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    for (_, first) in journey.hops().filter(|(_, view)| view.tried_again) {
        let near = first.near.x.id;
        let tries: Vec<_> = journey
            .hops
            .iter()
            .filter(|hop| hop.between.0 == near)
            .filter_map(|hop| leg(journey, hop.between.1))
            .filter(|far| is_same(&first, far.x))
            .collect();
        let is_first = tries.first().is_some_and(|far| far.x.id == first.far.x.id);
        if tries.len() < 2 || !is_first {
            continue;
        }
        let mut servers: Vec<_> = tries.iter().map(|far| far.x.server).collect();
        servers.dedup();
        let shown: Vec<String> = servers.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = if servers.len() > SHOWN { ", …" } else { "" };
        let who = first.who();
        let text = format!("{} sent the request {} times, to {}{more}.", capital(&who), tries.len(), shown.join(", "));
        let mut found = out
            .add(Text::own(text))
            .expected(Text::own("one request behind the hop"))
            .found(Text::own(format!("{} requests", tries.len())));
        for far in &tries {
            found = found.start_line(&far.x.request, Direction::ClientToServer);
        }
    }
}

/// Servers named in the sentence.
const SHOWN: usize = 4;

/// Whether another try asks for the same as the first.
fn is_same(first: &HopView<'_>, far: &crate::model::Exchange) -> bool {
    let (a, b) = (&first.far.x.request, &far.request);
    a.method() == b.method() && a.target() == b.target() && a.has("upgrade") == b.has("upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::model::{Exchange, Finding, Hop};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, With as _, behind, changed, exchange, granted, hop, run_journey, words};

    /// A chain whose hop asked with the first and then with the second.
    fn found(first: &str, second: &str) -> Vec<Finding> {
        let near = exchange(GOOD, Some(&granted()));
        let one = behind(exchange(first, None));
        let two: Exchange = behind(exchange(second, Some(&granted()))).with(|x| x.id = ExchangeId(3));
        let hops: Vec<Hop> = [&one, &two].into_iter().map(|far| hop(&near, far)).collect();
        run_journey(&RULE, &[near, one, two], &hops, View::default())
    }

    #[test]
    fn a_request_that_went_out_twice_is_told_once() {
        let found = found(GOOD, GOOD);
        assert_eq!(found.len(), 1);
        assert!(words(&found[0].message).contains("sent the request 2 times"));
        assert_eq!(found[0].evidence.len(), 2);
    }

    #[test]
    fn an_inquiry_before_the_request_and_one_try_are_right() {
        assert!(found(&changed("/chat", "/auth"), GOOD).is_empty());
        assert!(found(&changed("Upgrade: websocket\r\n", ""), GOOD).is_empty());
        let (near, far) = (exchange(GOOD, None), behind(exchange(GOOD, None)));
        let hops = [hop(&near, &far)];
        assert!(run_journey(&RULE, &[near, far], &hops, View::default()).is_empty());
    }
}
