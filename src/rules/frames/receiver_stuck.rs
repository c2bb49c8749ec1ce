//! `receiver-stuck`.

use crate::base::Nanos;
use crate::model::{Close, Confidence, Direction, EndHow, Evidence, Exchange, FaultClass, Severity, Text};
use crate::rules::frames::support::{BOTH, talk};
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};

pub(super) static RULE: Rule = Rule {
    id: "receiver-stuck",
    severity: Severity::Warning,
    title: "one side did not read until the end",
    about: "A receiver's TCP window was zero for more than a second while the other side had something to send, and then \
        the sender ended the WebSocket, without a Close or with a code that is no goodbye. Servers that push to many \
        clients do that: what waits for a client that does not read would fill their memory. Or the receiver reset the \
        connection itself, with what it had not read.\n\nWhoever did not read is told, not whoever ended it.",
    refs: &["RFC 9293 §3.8.6.1", "RFC 6455 §7.1.5"],
    causes: &[
        "its program is busy or hangs, and does not read",
        "messages come faster than it can handle them",
        "a hop holds back, because the side behind it does not read",
    ],
    fix: Some(FaultClass::Read),
    explains: &[Explains::Ended],
    symptom_of: &["hop-ended-it", "hop-tunnel-dead", "lost-between", "mtu-black-hole", "one-way-loss", "silent-drop"],
    check: Check::Exchange(check),
};

/// Shorter stalls are daily bread.
const LEAST: Nanos = Nanos::from_secs(1);

/// How long before the end the stall must have lasted until.
const BEHIND: Nanos = Nanos::from_secs(2);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let (Some(talk), Some(by), Some(end)) = (talk(x), x.end.by, x.end.at) else { return };
    let goodbye = matches!(x.end.close, Some(Close { code: Some(1000 | 1001), .. }));
    if goodbye || matches!(x.end.how, EndHow::Open | EndHow::Silent) {
        return;
    }
    let stalls = talk.transport.iter().flat_map(|transport| transport.stalls.iter().zip(BOTH));
    for (stall, sender) in stalls {
        let Some(stall) = stall else { continue };
        // It may have been closed for longer than anything in view shows.
        let length = if stall.lasts { end.since(stall.from) } else { stall.length };
        let reset = stall.lasts && x.end.how == EndHow::Rst;
        let over = sender == by || reset;
        if !over || length <= LEAST || end.since(stall.from + length) > BEHIND || end < stall.from {
            continue;
        }
        let receiver = sender.other();
        let ended = if sender == by { "ended the WebSocket" } else { "reset the connection with what it had not read" };
        let text = format!(
            "The {} took nothing for {} while the {} had something to send, and the {} {ended}.",
            receiver.sender(),
            ends::spell(length),
            sender.sender(),
            by.sender()
        );
        out.add(Text::own(text))
            .confidence(if x.quality.gap { Confidence::Possible } else { Confidence::Likely })
            .expected(Text::own("a receiver that reads"))
            .found(Text::own(format!("a window of zero for {}", ends::spell(length))))
            .evidence(Evidence { at: stall.at, direction: Some(receiver), bytes: None });
    }
}

/// Whether the same side of another leg, behind a hop, had stopped to read before this one did: then the hop only holds back
/// what that one does not take. Times are compared from each leg's own 101.
pub(in crate::rules) fn stuck_before(behind: &Exchange, here: &Exchange, receiver: Direction) -> bool {
    let stall = |x: &Exchange| {
        let stall = talk(x)?.transport.as_ref()?.stall_of(receiver.other())?;
        let from = stall.from.since(x.response.as_ref()?.last);
        let until = if stall.lasts { i64::MAX } else { from.0.saturating_add(stall.length.0) };
        Some((from, until))
    };
    stall(behind).zip(stall(here)).is_some_and(|(behind, here)| behind.0 <= here.0 && behind.1 >= here.0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Stall, Transport};
    use crate::rules::frames::testing::{CLIENT, SERVER, found, later, talked};
    use crate::rules::testing::{With as _, words};

    /// The client's window was closed from second 10 on for so many seconds; this side ended the WebSocket at second 20.
    fn ended(seconds: i64, by: Direction, how: EndHow, close: Option<u16>) -> Exchange {
        talked().with(|x| {
            let stall = Stall {
                at: PacketRef::new(0, 30),
                from: later(10),
                length: Nanos::from_secs(seconds),
                times: 1,
                lasts: false,
            };
            let transport = Transport { stalls: [None, Some(stall)], ..Transport::default() };
            x.talk.iter_mut().for_each(|talk| talk.transport = Some(Box::new(transport.clone())));
            (x.end.by, x.end.how, x.end.at) = (Some(by), how, Some(later(20)));
            x.end.close = close.map(|code| Close { code: Some(code), reason: Box::default() });
        })
    }

    #[test]
    fn a_client_that_does_not_read_is_told_where_its_server_gave_it_up() {
        let all = found(&RULE, &ended(9, SERVER, EndHow::Fin, None));
        assert_eq!(
            words(&all[0].message),
            "The client took nothing for 9.0 s while the server had something to send, and the server ended the WebSocket."
        );
        assert_eq!(crate::rules::frames::sender(&all[0]), Some(CLIENT));
        assert_eq!(found(&RULE, &ended(9, SERVER, EndHow::CloseFrame, Some(1008))).len(), 1);
    }

    #[test]
    fn whoever_resets_the_connection_without_having_read_is_told() {
        let reset = |lasts: bool, how: EndHow| {
            let mut x = ended(2, CLIENT, how, None);
            let stalls = x.talk.iter_mut().flat_map(|talk| talk.transport.iter_mut());
            stalls.flat_map(|transport| transport.stalls.iter_mut().flatten()).for_each(|stall| stall.lasts = lasts);
            found(&RULE, &x)
        };
        assert_eq!(
            words(&reset(true, EndHow::Rst)[0].message),
            "The client took nothing for 10.0 s while the server had something to send, and the client reset the \
             connection with what it had not read."
        );
        assert!(reset(false, EndHow::Rst).is_empty() && reset(true, EndHow::Fin).is_empty());
    }

    #[test]
    fn a_hop_that_holds_back_what_is_not_read_behind_it_was_not_the_first() {
        let leg = |from: i64, length: i64| {
            ended(9, SERVER, EndHow::Fin, None).with(|x| {
                let stalls = x.talk.iter_mut().flat_map(|talk| talk.transport.iter_mut());
                for stall in stalls.flat_map(|transport| transport.stalls.iter_mut().flatten()) {
                    (stall.from, stall.length) = (later(from), Nanos::from_secs(length));
                }
            })
        };
        assert!(stuck_before(&leg(9, 9), &leg(10, 9), CLIENT));
        assert!(!stuck_before(&leg(11, 9), &leg(10, 9), CLIENT));
        assert!(!stuck_before(&leg(2, 5), &leg(10, 9), CLIENT), "it read again");
        assert!(!stuck_before(&leg(9, 9), &leg(10, 9), SERVER));
    }

    #[test]
    fn a_stall_long_before_a_goodbye_and_another_end_are_not() {
        assert!(found(&RULE, &ended(2, SERVER, EndHow::Fin, None)).is_empty());
        assert!(found(&RULE, &ended(9, SERVER, EndHow::CloseFrame, Some(1000))).is_empty());
        assert!(found(&RULE, &ended(9, CLIENT, EndHow::Fin, None)).is_empty());
    }
}
