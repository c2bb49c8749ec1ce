//! `mqtt-keep-alive`.

use super::ping_unanswered::may_be_lost;
use crate::base::Nanos;
use crate::model::{Beat, Confidence, Direction, Evidence, Exchange, Severity, Text};
use crate::rules::frames::support::talk;
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};
use crate::wire::mqtt;
use crate::wire::websocket::BINARY;

pub(super) static RULE: Rule = Rule {
    id: "mqtt-keep-alive",
    severity: Severity::Warning,
    title: "an MQTT client let its own keep-alive pass",
    about: "In its CONNECT an MQTT client says how often the broker will hear of it at least: its keep-alive, in seconds. \
        When nothing comes for one and a half times that long, the broker has to end the connection, and did. What \
        looks like an idle limit of the broker or a proxy is a client that sent no PINGREQ in time.\n\nMobile systems \
        and browsers slow down or stop the timers of programs in the background, and a library that is blocked sends \
        none either.",
    refs: &["MQTT 3.1.1 §3.1.2.10", "MQTT 5.0 §3.1.2.10"],
    causes: &[
        "the client's program was suspended: a tab in the background, a phone asleep, a debugger",
        "its library does not run its loop, or the program blocks it, so no PINGREQ is sent",
        "the network held up what the client sent: then the client's side shows packets that never came here",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-buffered",
        "hop-ended-it",
        "hop-first-frames-lost",
        "hop-half-open",
        "hop-messages-differ",
        "hop-tunnel-dead",
        "idle-timeout",
        "idle-timeout-match",
        "lifetime-limit-match",
        "lost-between",
        "mtu-black-hole",
        "one-way-loss",
        "peer-vanished",
        "rst-injected",
        "silent-drop",
    ],
    check: Check::Exchange(check),
};

/// How long a broker may take beyond what it must wait: some look only now and then.
const LATE: Nanos = Nanos::from_secs(10);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(Broken { asked, promised, silent }) = broken(x) else { return };
    let Some(at) = x.end.packet else { return };
    let text = format!(
        "The client promised something every {} (the keep-alive of its MQTT CONNECT) and sent nothing for {}; then the \
         connection was ended, as MQTT asks of a broker.",
        ends::spell(promised),
        ends::spell(silent)
    );
    // A broker of MQTT 5 may have set another one.
    let sure = if mqtt::version(&asked.content) < Some(5) { Confidence::Likely } else { Confidence::Possible };
    out.add(Text::own(text))
        .confidence(sure)
        .expected(Text::own(format!("a packet every {}", ends::spell(promised))))
        .found(Text::own(format!("nothing for {}", ends::spell(silent))))
        .evidence(Evidence { at, direction: Some(Direction::ServerToClient), bytes: None })
        .evidence(Evidence { at: asked.at, direction: Some(Direction::ClientToServer), bytes: None });
}

/// A promise that was not kept.
struct Broken<'a> {
    asked: &'a Beat,
    promised: Nanos,
    silent: Nanos,
}

/// Whether a client of MQTT let its keep-alive pass, and its server ended the connection.
pub(in crate::rules) fn is_broken(x: &Exchange) -> bool {
    broken(x).is_some()
}

fn broken(x: &Exchange) -> Option<Broken<'_>> {
    let (asked, promised) = promised(x)?;
    let ended = x.end.by.or(x.end.tcp_by) == Some(Direction::ServerToClient);
    let silent = x.end.idle_of[0].filter(|_| ended && !may_be_lost(x, Direction::ClientToServer))?;
    // One and a half times, but a timer may strike a little early.
    let in_time = Nanos(promised.0 / 100 * 148)..=Nanos(promised.0 * 2) + LATE;
    in_time.contains(&silent).then_some(Broken { asked, promised, silent })
}

/// The client's CONNECT, and how often it promised to send something.
fn promised(x: &Exchange) -> Option<(&Beat, Nanos)> {
    let said = talk(x)?.of(Direction::ClientToServer).beats().iter().filter(|beat| beat.opcode == BINARY);
    let keep_alive = |beat: &Beat| mqtt::keep_alive(&beat.content).filter(|seconds| *seconds != 0);
    said.filter_map(|beat| Some((beat, Nanos::from_secs(keep_alive(beat)?.into())))).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{EndHow, Period};
    use crate::rules::frames::testing::{CLIENT, SERVER, found, later, rare, talked};
    use crate::rules::testing::{With as _, words};

    /// A tunnel that this side ended after so many milliseconds of the client's silence.
    fn ended(by: Direction, silent_ms: i64) -> Exchange {
        talked().with(|x| {
            let content = b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd";
            let at = PacketRef::new(0, 9);
            let beat = Beat { opcode: BINARY, content: content[..].into(), period: Period::default(), at };
            rare(x, CLIENT).beats.push(beat);
            (x.end.by, x.end.how, x.end.at) = (Some(by), EndHow::Fin, Some(later(120)));
            (x.end.tcp_by, x.end.packet) = (Some(by), Some(PacketRef::new(0, 20)));
            x.end.idle_of[0] = Some(Nanos::from_millis(silent_ms));
        })
    }

    #[test]
    fn a_client_that_was_silent_for_longer_than_it_promised_is_told() {
        let x = ended(SERVER, 90_020);
        let all = found(&RULE, &x);
        assert_eq!(
            words(&all[0].message),
            "The client promised something every 60 s (the keep-alive of its MQTT CONNECT) and sent nothing for 90 s; then \
             the connection was ended, as MQTT asks of a broker."
        );
        assert_eq!(crate::rules::frames::sender(&all[0]), Some(CLIENT));
        assert_eq!(all[0].confidence, Confidence::Likely);
        assert!(!found(&RULE, &ended(SERVER, 120_000)).is_empty(), "it looks now and then");
        let newer = x.with(|x| rare(x, CLIENT).beats[0].content[8] = 5);
        assert_eq!(found(&RULE, &newer)[0].confidence, Confidence::Possible, "its broker may have said another");
    }

    #[test]
    fn an_end_at_another_time_or_by_the_client_and_what_may_be_lost_are_not() {
        for x in [ended(SERVER, 60_000), ended(SERVER, 80_000), ended(SERVER, 300_000), ended(CLIENT, 90_000)] {
            assert!(found(&RULE, &x).is_empty());
        }
        assert!(found(&RULE, &ended(SERVER, 90_000).with(|x| x.quality.gap = true)).is_empty());
        let none = ended(SERVER, 90_000).with(|x| rare(x, CLIENT).beats[0].content = b"\x10\x02\0\0"[..].into());
        assert!(found(&RULE, &none).is_empty());
    }
}
