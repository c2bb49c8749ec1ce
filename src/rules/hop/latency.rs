//! The hop holds the request or the answer back.

use crate::base::Nanos;
use crate::model::{Direction, Head, Outcome, Severity, Text};
use crate::rules::hop::answer::{ANSWER, capital};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-latency",
    severity: Severity::Warning,
    title: "a hop takes long to pass the request or the answer on",
    about: "From the last byte of the request's head on one leg to its first byte on the next, or of the answer's on its way \
        back, more than a quarter of a second goes by; more than one second is a warning. The time is the hop's \
        own: it does not count how long the backend takes. Where the client gave up meanwhile, and most of what it \
        waited went by in the hop, it is why nothing came: an error.\n\nWhere the legs come from captures whose clocks cannot \
        be compared that finely, nothing is said.",
    refs: &["RFC 9110 §3.7"],
    causes: &[
        "the proxy asks another service first: credentials, a filter, name resolution",
        "the proxy tried another backend before, or waits for a free connection",
        "the proxy is overloaded, or has as many connections as it may have (maxconn, worker_connections)",
    ],
    fix: None,
    explains: &[Explains::Unanswered],
    symptom_of: &[],
    check: Check::Hop(check),
};

/// What is worth a word, and what a warning.
const NOTED: Nanos = Nanos::from_millis(250);
const SLOW: Nanos = Nanos::from_secs(1);

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    // What was written slowly was not held back; what was asked behind another request waits for that one's answer.
    let asked = view.hop.forward.filter(|_| !view.near.x.quality.queued).unwrap_or_default();
    let forward = own(asked, Some(&view.near.x.request));
    // What a hop answered after another try is not this leg's answer.
    let answered = view.hop.back.filter(|_| !view.tried_again && !view.near.x.quality.queued).unwrap_or_default();
    let back = own(answered, view.far.x.response.as_ref());
    let slowest = forward.max(back);
    if slowest <= NOTED {
        return;
    }
    let words = |what: &str, took: Nanos| {
        (took > NOTED).then(|| format!("took {:.2} s to pass the {what} on", took.as_secs_f64()))
    };
    let took: Vec<String> = [words("request", forward), words("answer", back)].into_iter().flatten().collect();
    let who = view.who();
    let text = Text::own(format!("{} {} ", capital(&who), took.join(" and ")));
    let text = text.join(view.packets()).say(".");
    let found = out
        .add(text)
        .severity(severity(view, slowest))
        .expected(Text::own("less than 0.25 s"))
        .found(Text::own(format!("{:.2} s", slowest.as_secs_f64())))
        .start_line(&view.near.x.request, Direction::ClientToServer)
        .start_line(&view.far.x.request, Direction::ClientToServer);
    if let (true, Some(head)) = (back > NOTED, &view.near.x.response) {
        found.start_line(head, ANSWER);
    }
}

/// Of the time from a head's first byte on one leg to that on the next, what went by when it had come whole.
fn own(took: Nanos, came: Option<&Head>) -> Nanos {
    let coming = came.map_or(Nanos::ZERO, |head| head.last.since(head.first));
    Nanos(took.0.saturating_sub(coming.0.max(0)))
}

fn severity(view: &HopView<'_>, slowest: Nanos) -> Severity {
    let near = view.near.x;
    let by_client = near.end.tcp_by == Some(Direction::ClientToServer);
    let gave_up = near.end.tcp_at.filter(|_| view.near.outcome == Outcome::Unanswered && by_client);
    match gave_up.map(|at| at.since(near.request.last)) {
        Some(waited) if slowest > SLOW && slowest.0 >= waited.0 / 2 => Severity::Error,
        // Something else took longer.
        Some(_) => Severity::Info,
        None if slowest > SLOW => Severity::Warning,
        None => Severity::Info,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::rules::testing::{GOOD, exchange, granted, run_hop_of, words};

    fn found(forward: Option<i64>, back: Option<i64>) -> Option<(Severity, String)> {
        let leg = || exchange(GOOD, Some(&granted()));
        let all = run_hop_of(&RULE, leg(), leg(), |hop| {
            hop.forward = forward.map(Nanos::from_millis);
            hop.back = back.map(Nanos::from_millis);
        });
        all.first().map(|f| (f.severity, words(&f.message)))
    }

    #[test]
    fn time_in_the_hop_is_told_and_more_than_a_second_is_a_warning() {
        let (severity, text) = found(Some(2_100), Some(300)).unwrap();
        assert_eq!(severity, Severity::Warning);
        assert!(text.contains("took 2.10 s to pass the request on and took 0.30 s to pass the answer on"), "{text}");
        assert_eq!(found(Some(1), Some(400)).unwrap().0, Severity::Info);
    }

    #[test]
    fn a_head_that_came_slowly_or_behind_another_request_was_not_held_back() {
        let told = |slow: i64, queued: bool| {
            let mut near = exchange(GOOD, Some(&granted()));
            near.request.last = near.request.first + Nanos::from_millis(slow);
            near.quality.queued = queued;
            let far = exchange(GOOD, Some(&granted()));
            run_hop_of(&RULE, near, far, |hop| hop.forward = Some(Nanos::from_millis(3_490))).len()
        };
        assert_eq!([told(3_485, false), told(0, true), told(0, false)], [0, 0, 1]);
        let mut far = exchange(GOOD, Some(&granted()));
        let answer = far.response.as_mut().unwrap();
        answer.last = answer.first + Nanos::from_millis(3_490);
        let near = exchange(GOOD, Some(&granted()));
        assert!(run_hop_of(&RULE, near, far, |hop| hop.back = Some(Nanos::from_millis(3_500))).is_empty());
    }

    #[test]
    fn a_quick_hop_and_clocks_that_cannot_be_compared_are_not() {
        assert!(found(Some(2), Some(3)).is_none());
        assert!(found(None, None).is_none());
    }
}
