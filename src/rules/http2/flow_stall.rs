//! `h2-flow-stall`.

use super::support::{connect, name};
use crate::model::{Direction, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-flow-stall",
    severity: Severity::Warning,
    title: "flow control held a WebSocket up for more than a second",
    about: "HTTP/2 lets a receiver bound what it is sent, for each stream and for the whole connection. A window was \
        used up for more than a second, and its sender went on as soon as it was opened: it had data to send and \
        might not. Where it was the connection's window, one stream whose reader is slow starves all others on it.",
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
    let stall = connect(x).and_then(|stream| stream.stall).filter(|stall| stall.waited);
    let Some((stall, length)) = stall.and_then(|stall| Some((stall, stall.length?))) else { return };
    let whose = if stall.connection { "The connection's" } else { "The stream's" };
    let receiver = match stall.sender {
        Direction::ClientToServer => Direction::ServerToClient,
        Direction::ServerToClient => Direction::ClientToServer,
    };
    let seconds = format!("{:.1} s", length.as_secs_f64());
    out.add(Text::own(format!(
        "{whose} window was used up for {seconds}: the {} had data and the {} took none.",
        name(stall.sender),
        name(receiver)
    )))
    .expected(Text::own("WINDOW_UPDATE before the window is used up"))
    .found(Text::own(seconds));
}

#[cfg(test)]
mod tests {
    use super::super::support::FROM_SERVER;
    use super::super::testing::*;
    use super::*;
    use crate::base::Nanos;
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
}
