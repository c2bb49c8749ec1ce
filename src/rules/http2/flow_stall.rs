//! `h2-flow-stall`.

use super::support::{connect, name};
use crate::base::{Nanos, limits};
use crate::model::{Confidence, Direction, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-flow-stall",
    severity: Severity::Warning,
    title: "flow control held a WebSocket up for more than a second",
    about: "HTTP/2 lets a receiver bound what it is sent, for each stream and for the whole connection. A window was \
        used up for more than a second, and its sender went on as soon as it was opened: it had data to send and \
        might not. Or it was used up to the last byte and never opened again. Where it was the connection's window, one stream whose reader is slow starves all others on it.",
    refs: &["RFC 9113 §5.2", "RFC 9113 §6.9"],
    causes: &[
        "the receiving program does not read",
        "a proxy that opens windows only when its other leg takes the data, and that one is slow",
        "one busy stream uses up the window of the connection",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(stall) = connect(x).and_then(|stream| stream.stall) else { return };
    let to_the_end = || x.end.at.map(|end| end.since(stall.from)).filter(|length| *length >= LONG);
    let (length, for_good) = match stall.length {
        Some(length) if stall.waited => (length, false),
        Some(_) => return,
        None => match to_the_end() {
            Some(length) => (length, true),
            None => return,
        },
    };
    let whose = if stall.connection { "The connection's" } else { "The stream's" };
    let receiver = match stall.sender {
        Direction::ClientToServer => Direction::ServerToClient,
        Direction::ServerToClient => Direction::ClientToServer,
    };
    let seconds = format!("{:.1} s", length.as_secs_f64());
    let (sender, receiver_name) = (name(stall.sender), name(receiver));
    let text = match for_good {
        false => format!(
            "{whose} window was used up for {seconds}: the {sender} had data and the {receiver_name} took none."
        ),
        true => format!(
            "{whose} window was used up {seconds} before the end, and the {receiver_name} never opened it again: the {sender} \
             might send nothing more."
        ),
    };
    let found = out
        .add(Text::own(text))
        .confidence(if for_good { Confidence::Likely } else { Confidence::Certain })
        .expected(Text::own("WINDOW_UPDATE before the window is used up"))
        .found(Text::own(seconds));
    // Whoever is to read has the first piece of evidence.
    match (receiver, &x.response) {
        (Direction::ServerToClient, Some(head)) => found.start_line(head, receiver),
        _ => found.start_line(&x.request, Direction::ClientToServer),
    };
}

/// For so long a window must have been used up when all ended.
const LONG: Nanos = Nanos::from_millis(limits::H2_STALL_MS);

#[cfg(test)]
mod tests {
    use super::super::support::FROM_SERVER;
    use super::super::testing::*;
    use super::*;
    use crate::model::WindowStall;

    #[test]
    fn a_sender_that_had_to_wait_is_found_and_one_that_had_nothing_to_say_is_not() {
        let stalled = |waited| {
            granted().with(|x| {
                let (from, length) = (x.request.first, Some(Nanos::from_millis(2_500)));
                facts(x).stall = Some(WindowStall { sender: FROM_SERVER, connection: true, from, length, waited });
            })
        };
        let found = run(&RULE, &stalled(true));
        assert_eq!(
            words(&found[0].message),
            "The connection's window was used up for 2.5 s: the server had data and the client took none."
        );
        assert!(!fires(&RULE, &stalled(false)) && !fires(&RULE, &granted()));
    }

    #[test]
    fn a_window_that_is_never_opened_again_is_its_receivers_fault() {
        let ended = |ms| {
            granted().with(|x| {
                let from = x.request.first;
                x.end.at = Some(from + Nanos::from_millis(ms));
                facts(x).stall =
                    Some(WindowStall { sender: FROM_SERVER, connection: false, from, length: None, waited: false });
            })
        };
        let found = run(&RULE, &ended(4_700));
        assert_eq!(
            words(&found[0].message),
            "The stream's window was used up 4.7 s before the end, and the client never opened it again: the server might \
             send nothing more."
        );
        assert_eq!(found[0].evidence[0].direction, Some(Direction::ClientToServer));
        assert!(!fires(&RULE, &ended(900)));
    }
}
