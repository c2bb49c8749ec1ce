//! `peer-silent`.

use super::ping_unanswered::may_be_lost;
use crate::base::{Nanos, Timestamp};
use crate::model::{Beat, Confidence, Direction, EndHow, Exchange, FaultClass, Severity, Talk, Text};
use crate::rules::frames::support::{bytes, talk};
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends};

pub(super) static RULE: Rule = Rule {
    id: "peer-silent",
    severity: Severity::Warning,
    title: "one side fell silent, and the other gave it up",
    about: "One side spoke, the other one said nothing more for a second or longer, and whoever had spoken closed the \
        WebSocket: with a reason that speaks of it (a heartbeat, a time-out), or the silent side took another second and \
        more for its own Close, or the heartbeats of both sides had come steadily, and its own stopped for about two \
        periods or more while the other's went on. Its machine still confirms what it gets, so the connection looks alive: its program does \
        not.\n\nWhoever fell silent is told, not whoever closed. Behind a hop that answers Pings itself it shows on the \
        far leg alone.",
    refs: &["RFC 6455 §5.5.1", "RFC 6455 §7.1.3"],
    causes: &[
        "its program hangs: a blocked event loop, a lock, a stopped process",
        "a service behind it does not answer, and it waits",
        "it does not know this kind of heartbeat, and leaves it unanswered",
    ],
    fix: Some(FaultClass::Read),
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-buffered",
        "hop-first-frames-lost",
        "hop-messages-differ",
        "hop-tunnel-dead",
        "lost-between",
        "mtu-black-hole",
        "one-way-loss",
        "ping-unanswered",
        "silent-drop",
    ],
    check: Check::Exchange(check),
};

/// So often must a heartbeat have come, and no more often than that.
const BEATS: u32 = 3;
const FASTEST: Nanos = Nanos::from_millis(500);

/// How long a side must have been silent.
const SILENT: Nanos = Nanos::from_secs(1);

/// How much later than the silent side the other must have spoken: what crosses on the way is no question.
const BEHIND: Nanos = Nanos::from_millis(50);

/// What reasons of this kind contain, in small letters: these, or these as words; and what others contain that speak of
/// another time-out.
const WORDS: &[&str] = &[
    "heartbeat",
    "heart beat",
    "timeout",
    "timed out",
    "time out",
    "keepalive",
    "keep-alive",
    "no response",
    "no answer",
    "respond",
    "unresponsive",
];
const BEATING: &[&str] = &["heartbeat", "heart beat"];
const PINGS: &[&str] = &["ping", "pings", "pong", "pongs"];
const OTHERS: &[&str] =
    &["idle", "inactiv", "init", "session", "auth", "token", "login", "log in", "handshake", "upgrade"];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some((talk, by)) = talk(x).zip(x.end.by).filter(|_| x.end.how == EndHow::CloseFrame) else { return };
    let silent = by.other();
    let Some(close) = talk.of(by).close().filter(|_| !may_be_lost(x, silent)) else { return };
    let [own, theirs] = [by, silent].map(|side| x.end.idle_of[usize::from(side == Direction::ServerToClient)]);
    let reason = String::from_utf8_lossy(&close.reason).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    // Not "stopping".
    let pings = reason.split(|c: char| !c.is_alphanumeric()).any(|word| PINGS.contains(&word));
    let gave_up = (pings || says(WORDS)) && !says(OTHERS);
    // Pongs come from a library; a heartbeat that is a message, from the program.
    let unanswered = || last_message(x, talk, silent).map(|last| close.ts.since(last)).filter(|_| says(BEATING));
    let Some((own, theirs)) = own.zip(theirs) else { return };
    let (theirs, did) = match unanswered().filter(|silence| *silence > theirs + BEHIND) {
        Some(silence) => (silence, "sent no message"),
        None => (theirs, "said nothing"),
    };
    if theirs < SILENT || own + BEHIND >= theirs {
        return;
    }
    let late = talk.of(silent).close().map(|answer| answer.ts.since(close.ts)).filter(|late| *late >= SILENT);
    let stopped = stopped(x, talk, silent, theirs).filter(|_| !gave_up && matches!(close.code, None | Some(1000)));
    if !gave_up && late.is_none() && stopped.is_none() {
        return;
    }
    let (asked, mute) = (by.sender(), silent.sender());
    let text = format!(
        "The {mute} {did} for {}, although the {asked} had spoken {} before, and the {asked} closed the WebSocket",
        ends::spell(theirs),
        ends::spell(own)
    );
    let mut text = Text::own(text);
    if !close.reason.is_empty() {
        text = text.say(" (its reason: ").bytes(&close.reason).say(")");
    }
    if let Some(late) = late {
        text = text.say(format!("; the {mute} answered that {} later", ends::spell(late)));
    }
    if let Some(beat) = stopped {
        let every = beat.period.mean().map(|every| format!(" every {}", ends::spell(every))).unwrap_or_default();
        text = text.say(format!("; until then the {mute} had sent a heartbeat{every}"));
    }
    out.add(text.say("."))
        .confidence(if gave_up || stopped.is_some() { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own("an answer in time"))
        .found(Text::own(format!("it {did} for {}", ends::spell(theirs))))
        .evidence(bytes(by, close.at, close.offset, close.length));
}

/// When the last message of this side came, where all of its messages are known.
fn last_message(x: &Exchange, talk: &Talk, side: Direction) -> Option<Timestamp> {
    let ws = x.ws?;
    let all = if side == Direction::ClientToServer { ws.client.messages } else { ws.server.messages };
    let known = talk.of(side).messages();
    // One that is under way is none yet, and Pings of its own are signs of life.
    let says = talk.of(side).pings().is_none() && talk.of(side).last.is_none_or(|last| last.bits & 0x80 != 0);
    known.last().filter(|_| says).filter(|_| known.len() as u64 == u64::from(all)).map(|last| last.ts)
}

/// The heartbeat of the silent side that stopped, while the other side's went on until it closed. `theirs`: how long it
/// has said nothing.
fn stopped<'a>(x: &Exchange, talk: &'a Talk, silent: Direction, theirs: Nanos) -> Option<&'a Beat> {
    let end = x.end.at?;
    let steady = |beat: &&Beat| {
        let period = &beat.period;
        period.count >= 2 && period.shortest >= FASTEST && period.longest.0 <= period.shortest.0 * 3 / 2
    };
    let of = |side: Direction| talk.of(side).beats().iter().filter(steady);
    // Of what came twice the second one alone is known: it is a heartbeat where the other side sends the same steadily.
    let same =
        |beat: &Beat| of(silent.other()).find(|other| other.content == beat.content).map(|other| other.period.longest);
    talk.of(silent).beats().iter().find(|beat| {
        let every = match beat.period.count {
            1 => same(beat),
            _ => Some(beat.period.longest).filter(|_| steady(beat)),
        };
        let Some(every) = every else { return false };
        let last = beat.period.last;
        let missed = end.since(last).0 >= every.0 * 19 / 10;
        // Nothing else came behind it.
        let mute = end.since(last) <= theirs + BEHIND;
        let goes_on = |other: &Beat| {
            // What both sides say is a heartbeat; of others it takes more.
            let known = beat.content == other.content || beat.period.count.min(other.period.count) >= BEATS;
            let later = other.period.last.since(last) >= every;
            known && later && end.since(other.period.last).0 <= other.period.longest.0 * 3 / 2
        };
        missed && mute && of(silent.other()).any(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::{CLIENT, SERVER, close, found, later, rare, talked};
    use crate::rules::testing::{With as _, words};

    /// The client closed at second 40 with this reason; before, it and the server had been silent for so many
    /// milliseconds. The server answered so many seconds later.
    fn closed(reason: &[u8], idle: [i64; 2], answered: Option<i64>) -> Exchange {
        talked().with(|x| {
            close(x, CLIENT, Some(4_000), 40);
            let sent = x.talk.as_mut().and_then(|talk| talk.client.rare.as_mut()?.close.as_mut());
            sent.into_iter().for_each(|sent| sent.reason = reason.into());
            if let Some(answered) = answered {
                close(x, SERVER, Some(4_000), 40 + answered);
            }
            (x.end.by, x.end.how, x.end.at) = (Some(CLIENT), EndHow::CloseFrame, Some(later(40)));
            x.end.idle_of = idle.map(|ms| Some(Nanos::from_millis(ms)));
        })
    }

    /// What is told, and of whom. Empty: nothing is.
    fn told(x: &Exchange) -> (String, Option<Direction>) {
        let all = found(&RULE, x);
        all.first().map(|f| (words(&f.message), crate::rules::frames::sender(f))).unwrap_or_default()
    }

    #[test]
    fn a_heartbeat_that_nobody_answered_is_the_silent_sides() {
        let (message, sender) = told(&closed(b"Heartbeat timeout", [400, 2_000], None));
        assert_eq!(
            message,
            "The server said nothing for 2.0 s, although the client had spoken 400 ms before, and the client closed the \
             WebSocket (its reason: Heartbeat timeout)."
        );
        assert_eq!(sender, Some(SERVER));
    }

    #[test]
    fn a_late_answer_to_the_close_tells_too() {
        let (message, _) = told(&closed(b"", [2_000, 2_500], Some(4)));
        assert!(message.ends_with("; the server answered that 4.0 s later."), "{message}");
        assert_eq!(told(&closed(b"", [2_000, 2_500], Some(0))).1, None);
        assert_eq!(told(&closed(b"", [2_000, 2_500], None)).1, None);
    }

    #[test]
    fn who_had_nothing_to_answer_and_other_reasons_are_not() {
        assert_eq!(told(&closed(b"heartbeat timeout", [2_500, 2_000], None)).1, None, "the server spoke last");
        assert_eq!(told(&closed(b"heartbeat timeout", [400, 900], None)).1, None);
        assert_eq!(told(&closed(b"idle timeout", [400, 2_000], None)).1, None);
        assert_eq!(told(&closed(b"bye", [400, 2_000], None)).1, None);
        assert_eq!(told(&closed(b"stopping", [400, 2_000], None)).1, None, "no ping");
        assert_eq!(told(&closed(b"no Pong!", [400, 2_000], None)).1, Some(SERVER));
        let lost = closed(b"heartbeat timeout", [400, 2_000], None).with(|x| x.quality.gap = true);
        assert_eq!(told(&lost).1, None, "its answer may be lost");
    }

    /// The client closed at second 40 with this code; client and server had each sent so many heartbeats, one a second,
    /// the last so many seconds before.
    fn beaten(code: Option<u16>, [client, server]: [(u32, i64, &str); 2]) -> Exchange {
        closed(b"", [client.1 * 1_000, server.1 * 1_000], None).with(|x| {
            for (side, (count, before, content)) in [(CLIENT, client), (SERVER, server)] {
                let mut period = crate::model::Period::default();
                (0..i64::from(count)).for_each(|n| period.add(later(40 - before - i64::from(count) + 1 + n)));
                let at = crate::base::PacketRef::new(0, 9);
                rare(x, side).beats.push(Beat { opcode: 1, content: content.as_bytes().into(), period, at });
            }
            let close = x.talk.as_mut().and_then(|talk| talk.client.rare.as_mut()?.close.as_mut());
            close.into_iter().for_each(|close| close.code = code);
        })
    }

    #[test]
    fn a_heartbeat_that_stopped_while_the_others_went_on_is_the_silent_sides() {
        let (message, sender) = told(&beaten(Some(1_000), [(9, 1, "ping"), (3, 4, "tick")]));
        assert_eq!(
            message,
            "The server said nothing for 4.0 s, although the client had spoken 1.0 s before, and the client closed the \
             WebSocket; until then the server had sent a heartbeat every 1.0 s."
        );
        assert_eq!(sender, Some(SERVER));
        assert_eq!(told(&beaten(None, [(9, 1, "ping"), (2, 4, "ping")])).1, Some(SERVER), "the same heartbeat");
        assert_eq!(told(&beaten(None, [(9, 1, "ping"), (1, 4, "ping")])).1, Some(SERVER), "the second of two");
        for (code, beats) in [
            (Some(1_000), [(9, 1, "ping"), (2, 4, "tick")]),
            (Some(1_000), [(9, 0, "ping"), (3, 1, "tick")]),
            (Some(1_000), [(9, 3, "ping"), (3, 4, "tick")]),
            (Some(1_000), [(1, 1, "ping"), (3, 4, "ping")]),
            (Some(1_000), [(9, 1, "ping"), (1, 4, "tick")]),
            (Some(4_000), [(9, 1, "ping"), (3, 4, "tick")]),
        ] {
            assert_eq!(told(&beaten(code, beats)).1, None, "{beats:?}");
        }
    }
}
