//! `lifetime-limit-match`.

use super::limit::{CutOff, cut_off, matching};
use super::support::{FROM_CLIENT, FROM_SERVER, cut_by, is_whole, last_packet, spell};
use super::who::{self, Who};
use crate::base::Nanos;
use crate::model::{Confidence, Evidence, FaultClass, LimitKind, Severity, Text};
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "lifetime-limit-match",
    severity: Severity::Error,
    title: "a busy tunnel was cut at the age of a known limit",
    about: "Nobody sent a Close frame, payload passed in the last quarter of the tunnel's life, and the whole life is as \
        long as a limit that a product puts on connections, busy or not. Pings do not help against it: the client must \
        come back, or the limit be raised.\n\n\
        On the leg behind a hop alone, the same whole seconds at three times tell as much: the hop ends what it asked for, \
        or passes on what a box in front of it did.\n\nOne such end is a warning, since the age may be chance; the same age again \
        at the same host is an error.",
    refs: &[],
    causes: &["a limit on the life of connections"],
    fix: Some(FaultClass::Life),
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-first-frames-lost",
        "hop-tunnel-dead",
        "mtu-black-hole",
        "one-way-loss",
        "rst-injected",
        "silent-drop",
    ],
    check: Check::Chain(check),
};

fn check(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some(cut) = cut_off(journey) else { return of_asker(journey, seen, out) };
    let Some(life) = cut.life.filter(|life| cut.idle.0 <= life.0 / 4) else { return };
    let times = seen.tunnels.cut_after_life(cut.host(), life);
    let Some(limit) = matching(seen, LimitKind::Lifetime, life, cut.software, !cut.by_hop()) else {
        return unknown(&cut, life, times, seen, out);
    };
    let sure = match (times >= 2, limit.is_own()) {
        _ if limit.guess() => Confidence::Possible,
        (true, true) => Confidence::Certain,
        (true, false) => Confidence::Likely,
        (false, true) if cut.by_hop() => Confidence::Likely,
        (false, _) => Confidence::Possible,
    };
    let whose = if limit.is_own() { "its" } else { "as long as" };
    let text = format!(
        "{}, busy until {} before the end; {} {} without a Close frame at the age of {}: {whose} {}.",
        cut.story(),
        spell(cut.idle),
        cut.name(),
        cut.did(),
        spell(life),
        limit.words(),
    );
    let found = out
        .add(Text::own(text))
        .severity(if times >= 2 && !limit.guess() { Severity::Error } else { Severity::Warning })
        .confidence(sure)
        .expected(Text::own("a tunnel that lasts while it is used"))
        .found(Text::own(match times {
            0 | 1 => format!("its end after {}", spell(life)),
            times => format!("its end after {}, {times} times at this host", spell(life)),
        }));
    if let Some(packet) = last_packet(cut.who.leg().x, FROM_SERVER) {
        found.evidence(packet);
    }
}

/// The shortest life that counts where no limit is known to be as long.
const LEAST: Nanos = Nanos::from_secs(2);

/// As `check`, of an age that no product has by itself: somebody set it.
fn unknown(cut: &CutOff<'_>, life: Nanos, times: u32, seen: &Seen, out: &mut Findings<'_>) {
    // What goes at the same time went for the same reason, whatever its age.
    if life < LEAST || !is_whole(life) || times < 2 || !seen.tunnels.lives_apart(cut.host(), life) {
        return;
    }
    let text = format!(
        "{}, busy until {} before the end; {} {} without a Close frame at the age of {}, as it did {times} times: a limit \
         on the life of connections.",
        cut.story(),
        spell(cut.idle),
        cut.name(),
        cut.did(),
        spell(life),
    );
    let found = format!("its end after {}, {times} times at this host", spell(life));
    tell(text, found, last_packet(cut.who.leg().x, FROM_SERVER), out);
}

/// A limit of which no product is known.
fn tell(text: String, found: String, last: Option<Evidence>, out: &mut Findings<'_>) {
    let finding = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("a tunnel that lasts while it is used"))
        .found(Text::own(found));
    if let Some(packet) = last {
        finding.evidence(packet);
    }
}

/// How often a hop must have done it where only the leg behind it is in view.
const OFTEN: u32 = 3;

/// As `unknown`, where the client's end of the tunnel is a proxy's, whose other side is not in view or not read.
fn of_asker(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some(Who::Client(leg)) = who::ended(journey) else { return };
    let x = leg.x;
    let (Some(life), Some(idle)) = (x.end.lifetime, x.end.idle_before) else { return };
    let busy = idle.0 <= life.0 / 4;
    if cut_by(x) != Some(FROM_CLIENT) || !busy || life < LEAST || !is_whole(life) {
        return;
    }
    // Only what proxies end is remembered.
    let times = seen.tunnels.left_after_life(x.client.ip, life);
    if times < OFTEN {
        return;
    }
    let text = format!(
        "Open {}, busy until {} before the end; the client closed the connection without a Close frame at the age of {}, \
         as it did {times} times: a limit on the life of connections, its own or of what stands before it.",
        spell(life),
        spell(idle),
        spell(life),
    );
    let found = format!("its end after {}, {times} times by this proxy", spell(life));
    tell(text, found, last_packet(x, FROM_CLIENT), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndHow, Exchange};
    use crate::rules::ends::testing::*;

    fn busy(ms: i64) -> Exchange {
        let mut x = cut(SERVER, EndHow::Fin, ms);
        x.end.idle_before = Some(Nanos::from_secs(4));
        x
    }

    #[test]
    fn a_busy_tunnel_cut_at_a_known_age_is_found() {
        let mut seen = known();
        let once = alone(&RULE, busy(7_200_400), Some("acme"), &seen);
        assert_eq!((once[0].severity, once[0].confidence), (Severity::Warning, Confidence::Possible));
        assert!(words(&once[0].message).contains("at the age of 2 h: its age_limit (2 h unless set)"));
        seen.tunnels.learn(&busy(7_200_400));
        seen.tunnels.learn(&busy(7_200_900));
        assert_eq!(alone(&RULE, busy(7_200_400), Some("acme"), &seen)[0].severity, Severity::Error);
    }

    #[test]
    fn the_same_whole_seconds_at_different_times_are_a_limit_that_somebody_set() {
        let at = |ms: i64, later: i64| {
            let mut x = busy(ms);
            x.end.at = x.end.at.map(|at| at + Nanos::from_millis(later));
            x
        };
        let told = |ms: i64, later: i64| {
            let mut seen = known();
            let all = [at(ms, 0), at(ms + 10, later)];
            all.iter().for_each(|x| seen.tunnels.learn(x));
            alone(&RULE, all[0].clone(), Some("acme"), &seen).len()
        };
        assert_eq!((told(17_000, 800), told(17_000, 10), told(17_400, 800)), (1, 0, 0));
    }

    #[test]
    fn a_proxy_that_ends_what_it_asked_for_at_the_same_age_three_times_has_such_a_limit() {
        let left = |ms: i64, later: i64, forwarded: bool| {
            let mut x = busy(ms);
            (x.end.by, x.end.tcp_by) = (Some(CLIENT), Some(CLIENT));
            x.end.at = x.end.at.map(|at| at + Nanos::from_millis(later));
            if forwarded {
                let request = crate::rules::testing::with_line("X-Forwarded-For: 192.0.2.7");
                x.request = crate::rules::testing::exchange(&request, None).request;
            }
            x
        };
        let told = |ms: i64, tunnels: i64, forwarded: bool| {
            let mut seen = known();
            let all = (0..tunnels).map(|n| left(ms + n, n * 700, forwarded));
            all.filter(|_| forwarded).for_each(|x| seen.tunnels.learn_left(&x));
            alone(&RULE, left(ms, 0, forwarded), None, &seen).len()
        };
        assert_eq!((told(17_000, 3, true), told(17_000, 2, true)), (1, 0));
        assert_eq!((told(17_400, 3, true), told(17_000, 3, false)), (0, 0), "no whole seconds; a client's own choice");
    }

    #[test]
    fn an_idle_one_another_age_and_a_goodbye_are_not() {
        let idle = cut(SERVER, EndHow::Fin, 7_200_400);
        assert!(alone(&RULE, idle, Some("acme"), &known()).is_empty());
        assert!(alone(&RULE, busy(7_000_000), Some("acme"), &known()).is_empty());
        let mut left = busy(7_200_400);
        (left.end.by, left.end.tcp_by) = (Some(CLIENT), Some(CLIENT));
        assert!(alone(&RULE, left, Some("acme"), &known()).is_empty());
    }
}
