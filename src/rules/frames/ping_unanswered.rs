//! `ping-unanswered`.

use crate::base::{Nanos, Timestamp};
use crate::model::{Direction, EndHow, Exchange, FaultClass, OpenPing, Pings, Severity, Talk, Text};
use crate::rules::frames::support::{BOTH, bytes, talk};
use crate::rules::response::length;
use crate::rules::rule::Builder;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "ping-unanswered",
    severity: Severity::Warning,
    title: "a Ping gets no Pong",
    about: "A Ping is answered by a Pong with the same payload, soon; a later Pong may answer several. None came \
        within 30 s, before the next Ping, or before the one who asked gave the connection up. Programs that ping take \
        the other side for dead then and close, often with 1011 or without a Close.\n\nIt is not told where bytes that \
        may have been the Pong are missing in the capture, nor of Pings behind a Close.",
    refs: &["RFC 6455 §5.5.2", "RFC 6455 §5.5.3"],
    causes: &[
        GONE,
        "its program is busy and does not read: a blocked event loop, a handler that waits",
        "a hop between them does not pass Pings or Pongs on",
        "its frames are written by hand, and Pings are not answered",
    ],
    fix: Some(FaultClass::Read),
    explains: &[Explains::Ended],
    symptom_of: &["hop-first-frames-lost", "hop-tunnel-dead", "mtu-black-hole", "one-way-loss", "silent-drop"],
    check: Check::Exchange(check),
};

const GONE: &str = "the other side is gone: its machine slept or lost its network";

/// Where its TCP took the Ping, so that nothing was sent again.
const SILENT: [&str; 2] = [
    "its program does not answer Pings, though its machine took them: a blocked event loop, a handler that waits, frames \
     written by hand",
    "a hop between them does not pass Pings or Pongs on",
];

/// After which a Ping counts as unanswered.
const PATIENCE: Nanos = Nanos::from_secs(30);

/// How long one who gives the connection up must have waited for the Ping to be the reason.
const GIVEN_UP: Nanos = Nanos::from_secs(5);

/// The same, where the other side answered no Ping at all, and said nothing else since.
const GIVEN_UP_ON_MUTE: Nanos = Nanos::from_secs(1);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for from in BOTH {
        let Some(pings) = talk(x).and_then(|talk| talk.of(from).pings()) else { continue };
        if pings.open.is_empty() || may_be_lost(x, from.other()) {
            continue;
        }
        let Some(until) = until(x, from) else { continue };
        let given_up = gave_up(x, from);
        let late = |(at, ping): (usize, &OpenPing)| {
            let next = pings.open.get(at + 1).map(|next| next.ts);
            let wait = patience(ping, next);
            let waited = until.since(ping.ts);
            // Who never answers any, and said nothing since, is why even sooner.
            let mute = pings.answered == 0 && talk(x).is_some_and(|talk| is_mute(talk, from.other(), ping));
            let enough = match (says_so(x, from), mute) {
                (true, _) => Nanos::ZERO,
                (_, true) => GIVEN_UP_ON_MUTE,
                _ => GIVEN_UP,
            };
            (waited >= wait || given_up && waited >= enough).then_some(*ping)
        };
        let late: Vec<OpenPing> = pings.open.iter().enumerate().filter_map(late).collect();
        let Some(first) = late.first() else { continue };
        let mut found = tell(from, pings, first, late.len(), until, given_up, out);
        if answers_otherwise(x, from, pings) {
            found.cause(OTHERWISE);
        } else if !sent_again(x, from) && !x.is_stream() {
            for cause in SILENT {
                found = found.cause(cause);
            }
        }
    }
}

/// Whether the other side sent a Pong for each Ping of this one, and none answers one.
fn answers_otherwise(x: &Exchange, from: Direction, pings: &Pings) -> bool {
    let pongs = x.ws.map(|ws| if from == Direction::ClientToServer { ws.server.pong } else { ws.client.pong });
    // Who answers some as it should sends the others by itself.
    pings.answered == 0
        && pongs.is_some_and(|pongs| usize::try_from(pongs).is_ok_and(|pongs| pongs >= pings.open.len()))
}

const OTHERWISE: &str =
    "its Pongs do not carry the payload of the Pings, so that they count as no answer (RFC 6455 §5.5.3)";

/// Whether this side's bytes were sent again, since nobody acknowledged them.
fn sent_again(x: &Exchange, from: Direction) -> bool {
    let transport = talk(x).and_then(|talk| talk.transport.as_ref());
    transport.is_some_and(|t| [t.resent, t.overcome].into_iter().flatten().any(|resent| resent.by == from))
}

fn tell<'o>(
    from: Direction,
    pings: &Pings,
    first: &OpenPing,
    late: usize,
    until: Timestamp,
    given_up: bool,
    out: &'o mut Findings<'_>,
) -> Builder<'o> {
    let (asked, silent) = (from.sender(), from.other().sender());
    let many = late.saturating_add(usize::try_from(pings.open_more).unwrap_or(usize::MAX));
    let what = if many > 1 { format!("{many} Pings") } else { "a Ping".to_owned() };
    let waited = length(first.ts, until);
    let end = if given_up { format!(", and the {asked} gave the connection up") } else { String::new() };
    let before = match pings.answered {
        0 => String::new(),
        1 => "; one was answered before".to_owned(),
        answered => format!("; {answered} were answered before"),
    };
    out.add(Text::own(format!("The {silent} did not answer {what} of the {asked} within {waited}{end}{before}.")))
        .expected(Text::own("a Pong with the payload of the Ping"))
        .found(Text::own(format!("none in {waited}")))
        .evidence(bytes(from, first.at, first.offset, first.length))
}

/// Whether this side said nothing behind the Ping.
fn is_mute(talk: &Talk, side: Direction, ping: &OpenPing) -> bool {
    talk.of(side).last.is_none_or(|last| last.ts <= ping.ts)
}

/// How long this Ping may wait: at most until the next one.
fn patience(ping: &OpenPing, next: Option<Timestamp>) -> Nanos {
    next.map_or(PATIENCE, |next| next.since(ping.ts).min(PATIENCE))
}

/// Until when an answer could have come. `None`: it is not known.
fn until(x: &Exchange, from: Direction) -> Option<Timestamp> {
    let talk = x.talk.as_deref()?;
    let seen = [x.times.last, x.end.at, x.end.tcp_at].into_iter().flatten().max()?;
    // Behind a Close nobody need answer.
    let closed = [from, from.other()].into_iter().filter_map(|side| talk.of(side).close()).map(|close| close.ts).min();
    Some(closed.map_or(seen, |closed| closed.min(seen)))
}

/// Whether the one who asked ended the connection, and not as if all were well.
fn gave_up(x: &Exchange, from: Direction) -> bool {
    let own = x.talk.as_deref().and_then(|talk| talk.of(from).close());
    match own {
        Some(close) => {
            let first = x.end.by.is_none_or(|by| by == from);
            first && close.code.is_some_and(|code| !matches!(code, 1000 | 1001))
        }
        None => x.end.tcp_by == Some(from) && matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst),
    }
}

/// Whether it says with its Close that it was for want of a Pong: `keepalive ping timeout` of websockets, and others.
fn says_so(x: &Exchange, from: Direction) -> bool {
    let reason =
        x.talk.as_deref().and_then(|talk| talk.of(from).close()).map(|close| close.reason.to_ascii_lowercase());
    reason.is_some_and(|reason| {
        ["ping timeout", "pong timeout", "no pong"]
            .iter()
            .any(|words| memchr::memmem::find(&reason, words.as_bytes()).is_some())
    })
}

/// Whether both legs carried a Ping of this side that nobody answered: what asks in vain behind a hop was passed on.
pub(in crate::rules) fn asked_in_vain(near: &Exchange, far: &Exchange, from: Direction) -> bool {
    let open = |x: &Exchange| -> Vec<u32> {
        let pings = x.talk.as_deref().and_then(|talk| talk.of(from).pings());
        pings.map(|pings| pings.open.iter().map(|ping| ping.crc).collect()).unwrap_or_default()
    };
    let (near, far) = (open(near), open(far));
    near.iter().any(|crc| far.contains(crc))
}

/// What a hop did with the Pings of this side of its far leg `at`, by its other leg. `None`: that does not tell.
pub(in crate::rules) fn swallowed_by_hop(at: &Exchange, other: &Exchange, from: Direction) -> Option<&'static str> {
    let pings = |x: &Exchange| {
        x.ws.map_or(0, |ws| if from == Direction::ClientToServer { ws.client.ping } else { ws.server.ping })
    };
    if may_be_lost(other, from) || may_be_lost(other, from.other()) || other.talk.is_none() {
        return None;
    }
    let answered = talk(other).and_then(|talk| talk.of(from).pings()).map_or(0, |pings| pings.answered);
    match (pings(other), answered) {
        (0, _) => Some(KEPT),
        (passed, answered) if answered > 0 && passed >= pings(at) => Some(SWALLOWED),
        _ => None,
    }
}

const KEPT: &str = "the hop passes Pings on to nobody, and does not answer them either: it must do one of the two";
const SWALLOWED: &str =
    "the hop passed the Pings on, and keeps the Pongs that answer them to itself: it must pass them back";

/// Whether the capture may lack the answer, which would have come in this direction.
pub(super) fn may_be_lost(x: &Exchange, direction: Direction) -> bool {
    let q = &x.quality;
    let (unseen, broken) = match direction {
        Direction::ClientToServer => (q.no_client_packets, x.ws.is_some_and(|ws| ws.client.broken)),
        Direction::ServerToClient => (q.no_server_packets, x.ws.is_some_and(|ws| ws.server.broken)),
    };
    q.gap || q.snapped || unseen || broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::{With as _, words};

    fn told(x: &Exchange) -> String {
        found(&RULE, x).first().map(|f| words(&f.message)).unwrap_or_default()
    }

    fn ends(x: &mut Exchange, by: Direction, seconds: i64) {
        x.times.last = Some(later(seconds));
        (x.end.by, x.end.tcp_by, x.end.tcp_how) = (Some(by), Some(by), EndHow::Fin);
        x.end.tcp_at = Some(later(seconds));
    }

    #[test]
    fn a_ping_waits_for_30_s_or_until_the_next() {
        assert_eq!(
            told(&pinged(SERVER, &[29])),
            "The client did not answer a Ping of the server within 31.0 s; 2 were answered before."
        );
        assert_eq!(told(&pinged(SERVER, &[31])), "");
        assert!(
            told(&pinged(CLIENT, &[50, 55])).starts_with("The server did not answer a Ping of the client within 10")
        );
        assert!(told(&pinged(CLIENT, &[10, 20, 59])).starts_with("The server did not answer 2 Pings of the client"));
    }

    #[test]
    fn a_close_that_says_so_needs_no_long_wait() {
        let closed = |reason: &[u8]| {
            let x = pinged(SERVER, &[40]).with(|x| {
                ends(x, SERVER, 42);
                close(x, SERVER, Some(1011), 42);
                let sent = x.talk.as_mut().and_then(|talk| talk.server.rare.as_mut()?.close.as_mut());
                sent.into_iter().for_each(|sent| sent.reason = reason.into());
            });
            told(&x)
        };
        assert!(closed(b"keepalive Ping timeout").starts_with("The client did not answer a Ping"));
        assert_eq!(closed(b"overloaded"), "");
    }

    #[test]
    fn one_who_gives_up_does_so_for_want_of_an_answer() {
        let given_up = pinged(SERVER, &[40]).with(|x| {
            ends(x, SERVER, 60);
            close(x, SERVER, Some(1011), 60);
        });
        assert!(
            told(&given_up).contains("within 20.0 s, and the server gave the connection up"),
            "{}",
            told(&given_up)
        );
        let cut = pinged(SERVER, &[40]).with(|x| ends(x, SERVER, 60));
        assert!(told(&cut).contains("gave the connection up"));
        for x in [
            pinged(SERVER, &[40]).with(|x| ends(x, CLIENT, 60)),
            pinged(SERVER, &[58]).with(|x| ends(x, SERVER, 60)),
            pinged(SERVER, &[40]).with(|x| {
                ends(x, SERVER, 60);
                close(x, SERVER, Some(1000), 60);
            }),
        ] {
            assert_eq!(told(&x), "");
        }
    }

    #[test]
    fn pongs_without_the_payload_of_the_pings_are_told_as_that() {
        let cause = |answered: u32, pongs: u32| {
            let x = pinged(SERVER, &[40]).with(|x| {
                ends(x, SERVER, 60);
                close(x, SERVER, Some(1011), 60);
                x.ws.get_or_insert_default().client.pong = pongs;
                let rare = x.talk.as_mut().and_then(|talk| talk.server.rare.as_mut());
                rare.into_iter().flat_map(|rare| &mut rare.pings).for_each(|pings| pings.answered = answered);
            });
            found(&RULE, &x).first().and_then(|found| Some(found.causes.first()?.to_string())).unwrap_or_default()
        };
        assert_eq!(cause(0, 1), OTHERWISE);
        assert_eq!(cause(0, 0), SILENT[0], "it sent none");
        assert_eq!(cause(2, 3), SILENT[0], "who answers some sends the others by itself");
    }

    #[test]
    fn nobody_need_answer_behind_a_close() {
        assert_eq!(told(&pinged(SERVER, &[5]).with(|x| close(x, CLIENT, Some(1000), 10))), "");
        assert_ne!(told(&pinged(SERVER, &[5]).with(|x| close(x, CLIENT, Some(1000), 50))), "");
    }

    #[test]
    fn where_the_answer_may_be_missing_nothing_is_told() {
        let spoils: [fn(&mut Exchange); 4] = [
            |x| x.quality.gap = true,
            |x| x.quality.snapped = true,
            |x| x.quality.no_client_packets = true,
            |x| x.ws.get_or_insert_default().client.broken = true,
        ];
        for spoil in spoils {
            assert_eq!(told(&pinged(SERVER, &[5]).with(spoil)), "");
        }
        assert_ne!(told(&pinged(SERVER, &[5]).with(|x| x.quality.no_server_packets = true)), "");
    }
}
