//! The hop holds the request or the answer back.

use crate::base::Nanos;
use crate::model::{Direction, Outcome, Severity, Text};
use crate::rules::hop::answer::{ANSWER, capital};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-latency",
    severity: Severity::Warning,
    title: "a hop takes long to pass the request or the answer on",
    about: "From the first byte of the request on one leg to its first byte on the next, or of the answer on its way \
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
    let forward = view.hop.forward.unwrap_or_default();
    // What a hop answered after another try is not this leg's answer.
    let back = view.hop.back.filter(|_| !view.tried_again).unwrap_or_default();
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
    fn a_quick_hop_and_clocks_that_cannot_be_compared_are_not() {
        assert!(found(Some(2), Some(3)).is_none());
        assert!(found(None, None).is_none());
    }
}
