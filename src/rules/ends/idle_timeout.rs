//! `idle-timeout`.

use super::asker::{LeftIdle, UNLESS, left};
use super::idle_timeout_match;
use super::limit::{CutOff, cut_off, limits_of, matching, next, or};
use super::support::{FROM_CLIENT, FROM_SERVER, is_whole, is_whole_for, last_packet, spell};
use crate::base::Nanos;
use crate::model::{Confidence, EndHow, Evidence, FaultClass, FlowFacts, LimitKind, Severity, Software, Text};
use crate::rules::journey::Journey;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "idle-timeout",
    severity: Severity::Error,
    title: "a tunnel was cut after a silence that is no known limit",
    about: "A hop, or the server end of the last leg in view, ended the connection by itself, without a Close frame, \
        after a silence that fits no idle limit which products are known to have by themselves: somebody set it. The \
        measured time is the limit.\n\nIt is a warning, and an error where the same host did it again after the same \
        silence. A short silence counts only where it is a whole number of seconds, as limits are, or came again.\n\n\
        On the leg behind a hop alone it is a warning where the hop ended what it had asked for after whole seconds, once where its \
        product is known, or again at other times: its own clients may leave then.",
    refs: &["RFC 6455 §5.5.2"],
    causes: &["an idle limit that was set on the hop, and no Ping or message within it"],
    fix: Some(FaultClass::Idle),
    explains: &[Explains::Ended],
    symptom_of: &[
        "hop-first-frames-lost",
        "hop-half-open",
        "hop-tunnel-dead",
        "idle-timeout-match",
        "mtu-black-hole",
        "one-way-loss",
        "peer-vanished",
        "rst-injected",
        "silent-drop",
    ],
    check: Check::Several { exchange: None, flow: Some(check_flow), chain: Some(check) },
};

/// The shortest silence that counts where a hop ended both of its legs, and where one leg is all that is in view.
const LEAST: [Nanos; 2] = [Nanos::from_millis(1_500), Nanos::from_secs(5)];

/// From here on a silence is long enough by itself.
const LONG: Nanos = Nanos::from_secs(20);

fn check(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some(cut) = cut_off(journey) else { return of_asker(journey, seen, out) };
    if cut.bore {
        return;
    }
    if idle_timeout_match::found(journey, seen).is_some() {
        return;
    }
    let times = seen.tunnels.cut_after_idle(cut.host(), cut.idle);
    if seen.tunnels.silences_differ(cut.host(), cut.idle) {
        return;
    }
    let Some(sure) = sure(&cut, times) else { return };
    let setting = setting(seen, cut.software);
    let text = format!(
        "{}, then {} of silence; {} {} without a Close frame: {setting}.{}",
        cut.story(),
        spell(cut.idle),
        cut.name(),
        cut.did(),
        next(journey, seen, &cut),
    );
    let found = out
        .add(Text::own(text))
        .severity(if times >= 2 { Severity::Error } else { Severity::Warning })
        .confidence(sure)
        .expected(Text::own(format!("payload more often than every {}", spell(cut.idle))))
        .found(Text::own(match times {
            0 | 1 => "none".to_owned(),
            times => format!("none, {times} times at this host"),
        }));
    if let Some(packet) = last_packet(cut.who.leg().x, FROM_SERVER) {
        found.evidence(packet);
    }
}

/// In words, what cuts idle tunnels in this software.
fn setting(seen: &Seen, software: Option<&Software>) -> String {
    let mut names: Vec<String> = Vec::new();
    for limit in limits_of(seen, software, LimitKind::Idle) {
        if !names.contains(&limit.setting.to_string()) {
            names.push(limit.setting.to_string());
        }
    }
    if names.is_empty() { "an idle limit of its own".to_owned() } else { format!("its {}", or(&names)) }
}

/// Seen from behind the hop alone: it ended what it had asked for, each time after the same whole seconds of silence.
fn of_asker(journey: &Journey<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let Some(left) = left(journey, seen).filter(LeftIdle::is_set) else { return };
    // A single one says something where it is a known proxy's.
    if left.times < 2 && (left.software.is_none() || left.idle.0 < SET.0 - OFF.0) {
        return;
    }
    if matching(seen, LimitKind::Idle, left.idle, left.software, false).is_some() {
        return;
    }
    let found = out
        .add(Text::own(format!("{}: {}, {UNLESS}.", left.story(), setting(seen, left.software))))
        .severity(Severity::Warning)
        .confidence(if left.times >= OFTEN { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own(format!("payload more often than every {}", spell(left.idle))))
        .found(Text::own(match left.times {
            0 | 1 => "none".to_owned(),
            times => format!("none, {times} times at this hop"),
        }));
    if let Some(packet) = last_packet(left.leg.x, FROM_CLIENT) {
        found.evidence(packet);
    }
}

/// A timer may strike as much too soon.
const OFF: Nanos = Nanos::from_millis(300);

/// As often as this it is hardly what clients do.
const OFTEN: u32 = 3;

/// Whole seconds from here on are hardly by chance.
const SET: Nanos = Nanos::from_secs(3);

/// The silence after which its server ended a WebSocket whose handshake is not in view. `None`: it went otherwise.
pub fn cut_midstream(flow: &FlowFacts) -> Option<Nanos> {
    let said = flow.said.as_ref().filter(|said| said.ws.is_some() && !said.gap)?;
    let by_server = said.end.by == Some(FROM_SERVER) && said.end.how == EndHow::Fin;
    said.end.idle_before.filter(|idle| by_server && *idle >= LEAST[0])
}

/// A WebSocket whose handshake is not in view: those who complain of cuts capture while they wait for the next.
fn check_flow(flow: &FlowFacts, seen: &Seen, out: &mut Findings<'_>) {
    let (Some(idle), Some(said)) = (cut_midstream(flow), &flow.said) else { return };
    let times = seen.tunnels.cut_after_idle(flow.server.ip, idle);
    let set = is_whole(idle) && idle >= SET;
    if times < 2 && idle < LEAST[1] && !set {
        return;
    }
    let mut text = Text::own(format!(
        "The server {} closed this WebSocket without a Close frame after {} of silence: an idle limit of its own, or of what \
         stands behind it.",
        flow.server,
        spell(idle)
    ));
    if let Some(limit) = matching(seen, LimitKind::Idle, idle, None, true) {
        text = text.say(format!(" As long is {}.", limit.words()));
    }
    let found = out
        .add(text)
        .severity(if times >= 2 { Severity::Error } else { Severity::Warning })
        .confidence(if times >= 2 { Confidence::Likely } else { Confidence::Possible })
        .expected(Text::own(format!("payload more often than every {}", spell(idle))))
        .found(Text::own(match times {
            0 | 1 => "none".to_owned(),
            times => format!("none, {times} times at this host"),
        }));
    if let Some(at) = said.end.packet {
        found.evidence(Evidence { at, direction: Some(FROM_SERVER), bytes: None });
    }
}

/// `None`: it is no limit.
fn sure(cut: &CutOff<'_>, times: u32) -> Option<Confidence> {
    let [least, alone] = LEAST;
    let whole = is_whole_for(cut.idle, cut.software);
    // Servers that die take all with them after the same silence, but hardly after whole seconds of it.
    let told = cut.by_hop() && cut.both || times >= 2 && whole;
    match (cut.by_hop(), times >= 2) {
        _ if cut.idle < if told { least } else { alone } => None,
        (true, true) => Some(Confidence::Certain),
        (false, true) => Some(Confidence::Likely),
        // A hop that crashes or gives up resets; one that waited in vain closes.
        _ if cut.reset => None,
        (true, false) if whole => Some(Confidence::Likely),
        _ if whole || cut.idle >= LONG => Some(Confidence::Possible),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::model::{ConnectState, End, Said};
    use crate::rules::ends::testing::*;
    use crate::rules::testing::{flow, run_flow_seen};

    #[test]
    fn a_websocket_without_its_handshake_that_is_cut_after_the_same_silence_again_has_a_limit() {
        let flow = |ms: i64, how| {
            let end = End {
                by: Some(SERVER),
                how,
                tcp_by: Some(SERVER),
                idle_before: Some(Nanos::from_millis(ms)),
                ..End::default()
            };
            let said = Said { ws: Some(Default::default()), end, ..Said::default() };
            FlowFacts { said: Some(Box::new(said)), ..flow(ConnectState::Midstream, 0) }
        };
        let mut seen = Seen::default();
        let told = |seen: &Seen, f: &FlowFacts| {
            run_flow_seen(&RULE, f, seen).first().map(|found| (found.severity, found.confidence))
        };
        let cut = flow(5_010, EndHow::Fin);
        assert_eq!(told(&seen, &cut), Some((Severity::Warning, Confidence::Possible)));
        assert_eq!(told(&seen, &flow(4_900, EndHow::Fin)), None, "short, and once");
        let set = told(&seen, &flow(4_010, EndHow::Fin));
        assert_eq!(set, Some((Severity::Warning, Confidence::Possible)), "whole seconds");
        assert_eq!(told(&seen, &flow(2_010, EndHow::Fin)), None, "too short even so");
        assert_eq!(told(&seen, &flow(60_000, EndHow::Rst)), None, "no limit resets");
        [&cut, &cut].into_iter().for_each(|f| seen.tunnels.learn_midstream(f));
        assert_eq!(told(&seen, &cut), Some((Severity::Error, Confidence::Likely)));
        let other = FlowFacts { server: crate::base::Endpoint::new([192, 0, 2, 99].into(), 80), ..cut.clone() };
        assert_eq!(told(&seen, &other), Some((Severity::Warning, Confidence::Possible)), "of another host");
    }

    #[test]
    fn a_hop_that_closes_both_legs_after_whole_seconds_has_a_limit() {
        let near = || cut(SERVER, EndHow::Fin, 3_012);
        let found = over(&RULE, near(), cut(CLIENT, EndHow::Rst, 3_013), Some("acme"), &known());
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Warning, Confidence::Likely));
        let said = words(&found[0].message);
        assert!(
            said.contains(
                "then 3.0 s of silence; acme at 198.51.100.2 closed both legs without a Close frame: its quiet_limit."
            ),
            "{said}"
        );
        let unknown = over(&RULE, near(), cut(CLIENT, EndHow::Fin, 3_013), None, &known());
        assert!(words(&unknown[0].message).contains("an idle limit of its"));
    }

    #[test]
    fn the_shorter_of_both_silences_counts() {
        let near = cut(SERVER, EndHow::Fin, 4_012);
        let found = over(&RULE, near, cut(CLIENT, EndHow::Fin, 3_012), None, &known());
        assert!(words(&found[0].message).contains("then 3.0 s of silence"));
    }

    #[test]
    fn resets_odd_times_and_short_ones_are_no_limit() {
        let over = |how, ms| over(&RULE, cut(SERVER, how, ms), cut(CLIENT, how, ms), None, &known());
        assert!(over(EndHow::Rst, 2_012).is_empty() && over(EndHow::Fin, 2_400).is_empty());
        assert!(over(EndHow::Fin, 1_012).is_empty() && !over(EndHow::Fin, 2_012).is_empty());
        assert!(over(EndHow::Fin, 60_012).is_empty(), "it is a known one");
    }

    #[test]
    fn the_same_silence_again_is_an_error_with_one_leg_too() {
        let x = || cut(SERVER, EndHow::Fin, 7_412);
        let mut seen = known();
        assert!(alone(&RULE, x(), None, &seen).is_empty());
        seen.tunnels.learn(&x());
        seen.tunnels.learn(&x());
        let found = alone(&RULE, x(), None, &seen);
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Likely));
    }

    #[test]
    fn what_a_proxy_left_after_the_same_whole_seconds_at_several_times_was_idle_too_long() {
        let told = |ms: i64, times: i64, later: i64| {
            let found = asked(&RULE, "acme", ms, times, later);
            found.first().map(|found| (found.severity, found.confidence, words(&found.message)))
        };
        let (severity, sure, said) =
            told(5_012, 3, 700).unwrap_or((Severity::Error, Confidence::Possible, String::new()));
        assert_eq!((severity, sure), (Severity::Warning, Confidence::Likely));
        assert!(said.starts_with("Open 5.0 s, then 5.0 s of silence; acme at "), "{said}");
        assert!(said.contains(", as it did 3 times: its quiet_limit, unless its own clients"), "{said}");
        assert_eq!(told(5_012, 2, 700).map(|found| found.1), Some(Confidence::Possible));
        assert_eq!(told(5_012, 1, 700).map(|found| found.1), Some(Confidence::Possible));
        assert_eq!(told(2_012, 1, 700), None, "once, and soon");
        assert_eq!(told(5_412, 3, 700), None, "no whole seconds");
        assert_eq!(told(5_012, 3, 10), None, "all at one time");
        assert_eq!(told(60_012, 3, 700), None, "a known limit");
        assert_eq!(told(1_012, 3, 700), None, "short");
    }
}
