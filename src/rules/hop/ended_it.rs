//! The hop ended a tunnel on both sides, and nobody had asked it to.

use crate::base::{Nanos, Timestamp};
use crate::model::{Confidence, Direction, EndHow, Evidence, FaultClass, Finding, Severity, Text};
use crate::rules::hop::answer::capital;
use crate::rules::hop::side::{self, Side, one_clock, sides};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen, ends, response};

pub(super) static RULE: Rule = Rule {
    id: "hop-ended-it",
    severity: Severity::Error,
    title: "a hop ended a tunnel that neither the client nor the backend had ended",
    about: "On both of its connections the first FIN or RST came from the hop itself, at the same time or within \
        five seconds, and neither the client nor the backend had sent a FIN, a RST or a Close before. Whoever is at the two ends sees a \
        connection that was lost for no reason of theirs; a browser reports 1006 unless the hop sent a Close.\n\n\
        Where a limit explains it, idle-timeout, idle-timeout-match or lifetime-limit-match says which, and the verdict \
        tells its story and its fix; mass-end stands for itself. Otherwise the log of the hop at that second says why.",
    refs: &["RFC 9110 §7.8", "RFC 6455 §7.1.5"],
    causes: &[
        "a limit of the proxy on idle or long connections ran out",
        RELOADED,
        "the proxy failed over something in the stream",
        "somebody or something closed the connection at the proxy on purpose",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-bytes-altered",
        "hop-extensions-split",
        "hop-first-frames-lost",
        "hop-tunnel-dead",
        "idle-timeout",
        "idle-timeout-match",
        "lifetime-limit-match",
        "mass-end",
        "not-websocket-after-101",
        "peer-vanished",
        "res-101-then-http",
        "res-101-then-tls",
        "rst-injected",
    ],
    check: Check::Hop(check),
};

const RELOADED: &str = "the proxy was reloaded, restarted or stopped";

/// How far apart the two ends of one decision may be, and at most where the hop gives one side time to close by itself.
const TOGETHER: Nanos = Nanos::from_millis(200);
const GRACE: Nanos = Nanos::from_secs(5);

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some((near, far)) = sides(view) else { return };
    let (Some(near_at), Some(far_at)) = (near.x.end.tcp_at, far.x.end.tcp_at) else { return };
    // Where something is missing at the end, the end of an endpoint may be.
    let ended_by_hop = |side: &Side<'_>| side.ended_by_hop() || side.x.end.by == Some(side.hop);
    if [near, far].iter().any(|side| !ended_by_hop(side) || side.left() || side.lost_end()) {
        return;
    }
    let between = side::apart(view, (&near, near_at), (&far, far_at));
    let apart = between.by.0.abs().saturating_sub(between.slack.0);
    if apart > GRACE.0 {
        return;
    }
    // A Close could have gone by where frames were not followed, a FIN where packets are missing.
    let mut confidence = Confidence::Certain;
    if !one_clock(view) || apart > TOGETHER.0 {
        confidence = confidence.lower();
    }
    if [near, far].iter().any(|side| side.holed() || side.lost_track()) {
        confidence = confidence.lower();
    }
    let far_first = between.by.0 < 0;
    let (first, first_at) = if far_first { (&far, far_at) } else { (&near, near_at) };
    let sides = match apart > TOGETHER.0 {
        true => format!(
            "towards its {}, and {} later towards its {},",
            if far_first { "backend" } else { "client" },
            length(Nanos(between.by.0.abs())),
            if far_first { "client" } else { "backend" },
        ),
        false => "on both sides".to_owned(),
    };
    let who = view.who();
    let idle = first.x.end.idle_before.filter(|_| first.x.end.how != EndHow::CloseFrame);
    let idle = idle.map(|idle| format!(" and {} after the last payload", length(idle))).unwrap_or_default();
    let text = format!(
        "{} ended the tunnel {sides} {} after the 101{idle}; neither the client nor the backend had ended it",
        capital(&who),
        response::length(first.head.last, first_at),
    );
    let mut text = Text::own(text);
    let ends = [near, far].map(|side| side.x.end.packet);
    if ends.iter().any(Option::is_some) {
        text = text.say(" (").packets(ends.into_iter().flatten()).say(")");
    }
    let found = Text::own(format!("{} to the client, {} to the backend", how(&near), how(&far)));
    let mut found = out
        .add(text.say("."))
        .confidence(confidence)
        .expected(Text::own("a Close, FIN or RST of the client or the backend first"))
        .found(found);
    let goodbye =
        [near, far].iter().any(|side| side.x.end.close.as_ref().is_some_and(|c| matches!(c.code, Some(1001 | 1012))));
    let life = near.x.end.lifetime.unwrap_or_default();
    let (ip, at) = (near.x.server.ip, near.x.end.at.unwrap_or(near_at));
    // By a Close of its own, again and again; or this one alone, though it was busy and nobody said that it goes away.
    let closed = near.x.end.by == Some(near.hop) && near.x.end.how == EndHow::CloseFrame;
    let aged = if closed { seen.tunnels.closed_after_life(ip, life) } else { 0 };
    // Where all is on one host others may be other programs'.
    let elsewhere = near.x.client.ip != ip && far.x.server.ip != ip;
    let alone = !goodbye && elsewhere && is_busy(first);
    let minded =
        [near, far].iter().filter_map(what_it_minded).max_by_key(|(bytes, _)| *bytes).map(|(_, minded)| minded);
    let silence = one_way(&near, near_at, "client").or_else(|| one_way(&far, far_at, "backend"));
    let silence = silence.filter(|_| is_busy(first));
    if let Some(minded) = minded {
        found = found.cause(minded);
    } else if let Some(mass) = seen.tunnels.mass_end_at(ip, at) {
        let (ended, open) = (mass.ended, mass.open);
        found = found.cause(format!("{RELOADED}: {ended} of the {open} tunnels open there ended within a second"));
    } else if aged >= 2 && ends::is_whole(life) {
        found = found.cause(format!("{AGED}: it closed {aged} at the age of {}", ends::spell(life)));
    } else if let Some((code, to)) = [(&near, "client"), (&far, "backend")].into_iter().find_map(policy) {
        found = found.cause(format!("{ON_PURPOSE}: its Close to the {to} says {code}"));
    } else if alone && let others @ 1.. = seen.tunnels.outlived(ip, at) {
        let others = if others == 1 { "another one".to_owned() } else { format!("{others} others") };
        found = found.cause(format!("{ALONE}, while {others} through it went on"));
    } else if goodbye {
        found = found.cause(format!("{RELOADED}, as its Close says: going away"));
    } else if let Some(silence) = silence {
        found = found.cause(silence);
    } else if is_busy(first) {
        found = found.cause(format!("{RELOADED}, or it failed: payload had just passed, so the tunnel was not idle"));
    }
    for (at, side) in ends.into_iter().zip([near, far]) {
        let Some(at) = at else { continue };
        found = found.evidence(Evidence { at, direction: Some(side.hop), bytes: None });
    }
}

const AGED: &str = "a limit of the proxy on the life of tunnels";
const ALONE: &str = "the proxy ended this one on purpose: an operator, a rule or a limit for a single session";

const ON_PURPOSE: &str = "the proxy ended it on purpose, by a rule or a limit of its own";
const ONE_WAY: &str = "an idle limit of the proxy that runs for each direction alone";

/// The code of the hop's own Close to this side, where it says that something was not to its liking.
fn policy<'a>((side, to): (&Side<'_>, &'a str)) -> Option<(u16, &'a str)> {
    let ours = side.x.end.how == EndHow::CloseFrame && side.x.end.by == Some(side.hop);
    let code = side.x.end.close.as_ref().filter(|_| ours)?.code?;
    matches!(code, 1008 | 3000..=4999).then_some((code, to))
}

/// The cause, where this end of the tunnel had been silent for a whole number of seconds: what a limit on one direction
/// looks at. Control frames count too, since a proxy counts bytes. Of an end that spoke at the beginning at the most, the
/// silence is as long as the tunnel: with clients, who often only listen, that says nothing; with a backend both are named.
fn one_way(side: &Side<'_>, ended: Timestamp, end: &str) -> Option<String> {
    let sender = side.hop.other();
    let last = side.x.talk.as_ref()?.of(sender).last.map_or(side.head.last, |last| last.ts);
    let silent = ended.since(last);
    if side.holed() || silent < BUSY || !ends::is_whole(silent) {
        return None;
    }
    let length = ends::spell(silent);
    match (sender, side.after(last) >= BUSY) {
        (_, true) => Some(format!(
            "{ONE_WAY}: nothing had come from the {end} for {length}, though the other side went on to send"
        )),
        (Direction::ServerToClient, false) => Some(format!(
            "{ONE_WAY}, or one on the life of tunnels: nothing had come from the {end} for {length}, nearly all of its life"
        )),
        (Direction::ClientToServer, false) => None,
    }
}

/// What the hop's own Close says that it would not take of a side, and the bytes of the largest message of that side. `None`:
/// it says nothing of that, or that side had said nothing for a while.
fn what_it_minded(side: &Side<'_>) -> Option<(u32, String)> {
    let ours = side.x.end.how == EndHow::CloseFrame && side.x.end.by == Some(side.hop);
    let code = side.x.end.close.as_ref().filter(|_| ours)?.code?;
    let other = side.hop.other();
    let spoken = side.x.talk.as_ref()?.of(other);
    let last = spoken.last.filter(|last| side.x.end.at.is_some_and(|at| at.since(last.ts) < BUSY));
    let (sender, bytes) = (other.sender(), spoken.largest_text.max(spoken.largest_binary));
    let minded = match code {
        // One that had not ended yet does not count.
        1009 if bytes >= SHORT => {
            format!("{LARGE}: the largest that the {sender} sent has {bytes} bytes as on the wire")
        }
        1009 => LARGE.to_owned(),
        1002 | 1003 | 1007 => format!("the proxy would not take what the {sender} sent: its Close says {code}"),
        _ => return None,
    };
    last.map(|_| (bytes, minded))
}

/// No limit is as small.
const SHORT: u32 = 1_000;
const LARGE: &str = "a message is larger than the proxy takes (1009)";

/// Whether payload had just passed.
fn is_busy(side: &Side<'_>) -> bool {
    side.x.end.idle_before.is_some_and(|idle| idle < BUSY)
}

/// No idle limit is as short.
const BUSY: Nanos = Nanos::from_secs(1);

/// Which kind of mending the likeliest cause of a finding of this rule calls for. `None`: it is not known.
pub(in crate::rules) fn fix_class(finding: &Finding) -> Option<FaultClass> {
    let cause = finding.causes.first().filter(|_| finding.rule == RULE.id)?;
    match () {
        () if cause.starts_with(RELOADED) => Some(FaultClass::Reload),
        () if cause.starts_with(AGED) => Some(FaultClass::Life),
        () if cause.starts_with(ONE_WAY) => Some(FaultClass::Idle),
        () => None,
    }
}

/// `FIN`, `Close 1001 and FIN`.
fn how(side: &Side<'_>) -> String {
    let tcp = side.tcp_word().unwrap_or("an end");
    match &side.x.end.close {
        Some(close) => match close.code {
            Some(code) => format!("Close {code} and {tcp}"),
            None => format!("Close and {tcp}"),
        },
        None => tcp.to_owned(),
    }
}

/// As long as it was.
fn length(time: Nanos) -> String {
    let start = Timestamp::default();
    response::length(start, start + time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Close, Direction, Exchange};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, With as _, exchange, granted, run_hop_of, run_whole, words};

    const CLIENT: Direction = Direction::ClientToServer;
    const SERVER: Direction = Direction::ServerToClient;

    /// A granted leg that this side ended so long after its 101.
    fn ended(by: Direction, how: EndHow, ms: i64) -> Exchange {
        exchange(GOOD, Some(&granted())).with(|x| {
            let at = x.response.as_ref().unwrap().last + Nanos::from_millis(ms);
            (x.end.tcp_by, x.end.by) = (Some(by), Some(by));
            (x.end.tcp_how, x.end.how) = (how, how);
            (x.end.tcp_at, x.end.at) = (Some(at), Some(at));
            x.end.packet = Some(PacketRef::new(0, 20));
            x.end.idle_before = Some(Nanos::from_millis(ms - 50));
        })
    }

    fn found(near: Exchange, far: Exchange) -> Vec<Finding> {
        run_hop_of(&RULE, near, far, |_| {})
    }

    #[test]
    fn what_the_hops_own_close_minded_is_the_cause() {
        use crate::model::{LastFrame, Spoken, Talk};
        let cause = |code: u16, bytes: u32, before_ms: i64| {
            let said = |by| {
                ended(by, EndHow::CloseFrame, 3_000).with(|x| {
                    x.end.close = Some(Close { code: Some(code), reason: Box::default() });
                    let ts = x.end.at.unwrap_or_default() + Nanos::from_millis(-before_ms);
                    let last = Some(LastFrame { ts, at: PacketRef::new(0, 19), bits: 0x81 });
                    let client = Spoken { last, largest_text: bytes, ..Spoken::default() };
                    x.talk = Some(Box::new(Talk { client, ..Talk::default() }));
                })
            };
            found(said(SERVER), said(CLIENT))[0].causes.first().map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(
            cause(1009, 90_000, 2),
            format!("{LARGE}: the largest that the client sent has 90000 bytes as on the wire")
        );
        assert_eq!(cause(1009, 2, 2), LARGE, "the large one had not ended");
        assert_eq!(cause(1002, 2, 2), "the proxy would not take what the client sent: its Close says 1002");
        for (code, before_ms) in [(1002, 2_500), (1008, 2), (1001, 2)] {
            let cause = cause(code, 2, before_ms);
            assert!(!cause.contains("would not take"), "{code}: {cause}");
        }
    }

    #[test]
    fn a_silent_side_and_a_policy_are_told_from_a_restart() {
        use crate::model::{LastFrame, Spoken, Talk};
        // The client has just sent, the backend said nothing for so long.
        let cause = |silent_ms: Option<i64>, code: Option<u16>| {
            let said = |by: Direction| {
                ended(by, EndHow::Fin, 3_000).with(|x| {
                    x.end.idle_before = Some(Nanos::from_millis(5));
                    let frame = |before_ms: i64| {
                        let ts = x.end.tcp_at.unwrap_or_default() + Nanos::from_millis(-before_ms);
                        let last = Some(LastFrame { ts, at: PacketRef::new(0, 19), bits: 0x81 });
                        Spoken { last, ..Spoken::default() }
                    };
                    let talk =
                        Talk { client: frame(5), server: silent_ms.map(frame).unwrap_or_default(), ..Talk::default() };
                    x.talk = Some(Box::new(talk));
                    if let (Some(code), SERVER) = (code, by) {
                        (x.end.how, x.end.by) = (EndHow::CloseFrame, Some(by));
                        x.end.close = Some(Close { code: Some(code), reason: Box::default() });
                    }
                })
            };
            let found = found(said(SERVER), said(CLIENT));
            (found[0].causes[0].to_string(), fix_class(&found[0]))
        };
        let (told, class) = cause(Some(1_000), None);
        assert_eq!(class, Some(FaultClass::Idle));
        assert!(told.contains("nothing had come from the backend for 1.0 s, though"), "{told}");
        let (told, class) = cause(None, None);
        assert_eq!(class, Some(FaultClass::Idle));
        assert!(told.contains("or one on the life of tunnels") && told.contains("for 3.0 s, nearly all"), "{told}");
        assert!(cause(Some(1_500), None).0.starts_with(RELOADED), "no time that somebody set");
        assert!(cause(Some(5), None).0.starts_with(RELOADED), "both sides had just sent");
        let (told, class) = cause(Some(1_000), Some(1008));
        assert_eq!(told, format!("{ON_PURPOSE}: its Close to the client says 1008"));
        assert_eq!(class, None);
        assert!(cause(Some(5), Some(1001)).0.starts_with(RELOADED));

        // Clients often only listen.
        let listens = |by: Direction| {
            ended(by, EndHow::Fin, 3_000).with(|x| {
                x.end.idle_before = Some(Nanos::from_millis(5));
                x.talk = Some(Box::new(Talk::default()));
            })
        };
        let near_alone = found(listens(SERVER), ended(CLIENT, EndHow::Fin, 3_000));
        assert!(near_alone[0].causes[0].starts_with(RELOADED));
    }

    #[test]
    fn one_that_is_ended_while_others_go_on_or_each_at_the_same_age_was_not_a_restart() {
        let cause = |others: &[Exchange], close: bool, idle: i64| {
            let said = |by| {
                ended(by, EndHow::Fin, 3_000).with(|x| {
                    x.end.lifetime = Some(Nanos::from_secs(3));
                    x.end.idle_before = Some(Nanos::from_millis(idle));
                    if close {
                        x.end.how = EndHow::CloseFrame;
                        x.end.close = Some(Close { code: Some(1001), reason: Box::default() });
                    }
                })
            };
            let (near, far) = (said(SERVER), crate::rules::testing::behind(said(CLIENT)));
            let hop = crate::rules::testing::hop(&near, &far);
            let mut seen = Seen::default();
            others.iter().chain([&near]).for_each(|x| seen.tunnels.learn(x));
            let found = run_whole(&RULE, &[near, far], &[hop], &[], View::default(), &seen);
            (found[0].causes.first().map(ToString::to_string), fix_class(&found[0]))
        };
        let other = |began: i64, life: i64| {
            ended(SERVER, EndHow::CloseFrame, began + life).with(|x| {
                x.response.iter_mut().for_each(|head| head.last = head.last + Nanos::from_millis(began));
                x.end.lifetime = Some(Nanos::from_millis(life));
                x.end.close = Some(Close { code: Some(1001), reason: Box::default() });
            })
        };
        assert_eq!(cause(&[other(-900, 8_000)], true, 400).1, Some(FaultClass::Reload), "it says that it goes away");
        let (alone, class) = cause(&[other(-900, 8_000)], false, 400);
        assert_eq!(
            alone.as_deref(),
            Some(
                "the proxy ended this one on purpose: an operator, a rule or a limit for a single session, while another one through it went on"
            )
        );
        assert_eq!(class, None);
        let (aged, class) = cause(&[other(2_000, 3_000)], true, 400);
        assert_eq!(
            aged.as_deref(),
            Some("a limit of the proxy on the life of tunnels: it closed 2 at the age of 3.0 s")
        );
        assert_eq!(class, Some(FaultClass::Life));
        assert_eq!(cause(&[], true, 400).1, Some(FaultClass::Reload));
        assert_eq!(cause(&[], false, 2_900), (None, None), "it was silent before");
    }

    #[test]
    fn a_hop_that_ends_both_legs_at_once_is_found() {
        for how in [EndHow::Fin, EndHow::Rst] {
            let found = found(ended(SERVER, EndHow::Fin, 3_000), ended(CLIENT, how, 3_002));
            assert_eq!((found.len(), found[0].confidence), (1, Confidence::Certain));
            let message = words(&found[0].message);
            assert!(message.contains("3.0 s after the 101 and 3.0 s after the last payload"), "{message}");
            assert!(message.ends_with("(packets 20 → 20)."), "{message}");
        }
        assert_eq!(
            words(&found(ended(SERVER, EndHow::Fin, 9), ended(CLIENT, EndHow::Rst, 9))[0].found),
            "FIN to the client, RST to the backend"
        );
    }

    #[test]
    fn an_end_that_came_from_an_endpoint_on_either_leg_is_not() {
        let near = || ended(SERVER, EndHow::Fin, 3_000);
        let far = || ended(CLIENT, EndHow::Fin, 3_000);
        assert_eq!(found(near(), far()).len(), 1);
        assert!(found(near(), ended(SERVER, EndHow::Rst, 2_999)).is_empty(), "the backend reset it");
        assert!(found(ended(CLIENT, EndHow::Fin, 2_999), far()).is_empty(), "the client left");
        let said_goodbye = |x: Exchange, by| x.with(|x| (x.end.how, x.end.by) = (EndHow::CloseFrame, Some(by)));
        assert!(found(near(), said_goodbye(far(), SERVER)).is_empty(), "the backend's Close came before");
        assert!(found(said_goodbye(near(), CLIENT), far()).is_empty(), "the client's Close came before");
    }

    #[test]
    fn a_close_that_the_hop_itself_sends_both_sides_is_its_own_end() {
        let close = |x: Exchange, by| {
            x.with(|x| {
                (x.end.how, x.end.by) = (EndHow::CloseFrame, Some(by));
                x.end.close = Some(Close { code: Some(1001), reason: Box::default() });
            })
        };
        let near = close(ended(SERVER, EndHow::Fin, 3_000), SERVER);
        let found = found(near, close(ended(CLIENT, EndHow::Fin, 3_000), CLIENT));
        assert_eq!(words(&found[0].found), "Close 1001 and FIN to the client, Close 1001 and FIN to the backend");
    }

    #[test]
    fn a_hop_that_gives_one_side_time_is_found_too() {
        let late = found(ended(SERVER, EndHow::Fin, 4_000), ended(CLIENT, EndHow::Fin, 3_000));
        assert_eq!(late[0].confidence, Confidence::Likely);
        let message = words(&late[0].message);
        let order = "ended the tunnel towards its backend, and 1.0 s later towards its client, 3.0 s after the 101";
        assert!(message.contains(order), "{message}");
    }

    #[test]
    fn ends_that_are_far_apart_and_legs_still_open_are_not() {
        assert!(found(ended(SERVER, EndHow::Fin, 3_000), ended(CLIENT, EndHow::Fin, 8_300)).is_empty());
        let open = exchange(GOOD, Some(&granted()));
        assert!(found(ended(SERVER, EndHow::Fin, 3_000), open).is_empty());
    }

    #[test]
    fn by_other_clocks_and_with_holes_it_is_less_sure() {
        let near = || ended(SERVER, EndHow::Fin, 3_000);
        let far = || {
            ended(CLIENT, EndHow::Fin, 3_000).with(|x| {
                let by = Nanos::from_secs(90);
                x.shift(by);
            })
        };
        let other = run_hop_of(&RULE, near(), far(), |hop| hop.forward = None);
        assert_eq!(other[0].confidence, Confidence::Likely);
        assert!(found(near(), far()).is_empty(), "by one clock they are 90 s apart");
        let holed = ended(CLIENT, EndHow::Fin, 3_000).with(|x| x.quality.gap = true);
        assert_eq!(found(near(), holed)[0].confidence, Confidence::Likely);
    }

    #[test]
    fn a_relay_of_bytes_ends_tunnels_too() {
        let kind = |hop: &mut crate::model::Hop| hop.kind = crate::model::HopKind::Relay;
        let found = run_hop_of(&RULE, ended(SERVER, EndHow::Fin, 3_000), ended(CLIENT, EndHow::Fin, 3_000), kind);
        assert_eq!(found.len(), 1);
    }
}
