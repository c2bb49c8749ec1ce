//! Tunnels that a proxy ended whose leg towards its client is not in view, or not read: seen from behind it, it is the
//! client.

use super::limit::{SLACK, survived};
use super::support::{FROM_CLIENT, cut_by, is_whole_for, spell};
use super::who::{self, Who};
use crate::base::Nanos;
use crate::model::{EndHow, Exchange, Software};
use crate::rules::Seen;
use crate::rules::journey::{Journey, Leg, full_name};

/// One that was silent when it was ended.
pub(super) struct LeftIdle<'a> {
    pub leg: Leg<'a>,
    /// From the last payload byte to the end.
    pub idle: Nanos,
    /// How many this proxy ended after that silence, this one among them.
    pub times: u32,
    /// It is the only one, or they were not all ended at one time.
    pub apart: bool,
    pub software: Option<&'a Software>,
}

/// The shortest silence that counts.
const LEAST: Nanos = Nanos::from_millis(1_500);

/// Whether the client's end closed or reset this tunnel without a Close frame.
pub fn left_by_client(x: &Exchange) -> bool {
    cut_by(x) == Some(FROM_CLIENT) && matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst)
}

/// For how long nothing had been sent when the client's end closed this tunnel without a Close frame. `None`: it did not,
/// or it had not been silent for long.
pub fn left_idle(x: &Exchange) -> Option<Nanos> {
    x.end.idle_before.filter(|idle| left_by_client(x) && *idle >= LEAST)
}

/// `None`: it went otherwise, or its client is not known to be a proxy.
pub(super) fn left<'a>(journey: &Journey<'a>, seen: &Seen) -> Option<LeftIdle<'a>> {
    let Some(Who::Client(leg)) = who::ended(journey) else { return None };
    let idle = left_idle(leg.x)?;
    // What it bore before is no limit of its.
    if survived(leg.x).is_some_and(|longest| longest.0 > idle.0 + idle.0 / 50 + SLACK.0) {
        return None;
    }
    // Only what proxies end is remembered.
    let (times, apart) = seen.tunnels.left_after_idle(leg.x.client.ip, idle);
    let software = journey.view.asker;
    (times > 0).then_some(LeftIdle { leg, idle, times, apart: apart || times == 1, software })
}

impl LeftIdle<'_> {
    /// Whether it looks like a time that somebody set: whole seconds, and if there were others, not all at one time.
    pub(super) fn is_set(&self) -> bool {
        self.apart && is_whole_for(self.idle, self.software)
    }

    /// `Open 5.0 s, then 4.8 s of silence; nginx at 10.0.0.2 closed the connection without a Close frame, as it did 3 times: `.
    pub(super) fn story(&self) -> String {
        let x = self.leg.x;
        let open = x.end.lifetime.map_or_else(|| "Open".to_owned(), |life| format!("Open {}", spell(life)));
        let name = self.software.map_or_else(|| "the proxy".to_owned(), full_name);
        let again = if self.times > 1 { format!(", as it did {} times", self.times) } else { String::new() };
        let idle = spell(self.idle);
        let did = if x.end.tcp_how == EndHow::Rst { "reset" } else { "closed" };
        format!(
            "{open}, then {idle} of silence; {name} at {} {did} the connection without a Close frame{again}",
            x.client.ip
        )
    }
}

/// What the leg behind a proxy cannot tell.
pub(super) const UNLESS: &str = "unless its own clients leave then, which it passes on";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Silence, Talk};
    use crate::rules::ends::testing::*;
    use crate::rules::journey::View;
    use crate::rules::testing::run_whole;

    #[test]
    fn what_lived_through_a_longer_silence_before_was_not_cut_by_this_one() {
        let told = |before: i64| {
            let mut x = cut(CLIENT, EndHow::Fin, 60_012);
            let silence = Some(Silence { from: at(0), length: Nanos::from_secs(before) });
            x.talk = Some(Box::new(Talk { silence, ..Talk::default() }));
            let mut seen = known();
            seen.tunnels.learn_left(&x);
            let software = software("acme");
            let view = View { asker: Some(&software), ..View::default() };
            run_whole(&super::super::idle_timeout_match::RULE, &[x], &[], &[], view, &seen).len()
        };
        assert_eq!([told(20), told(300)], [1, 0]);
    }
}
