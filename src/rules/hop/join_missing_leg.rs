//! The signs of a proxy are there, and the leg on its other side is not.

use crate::model::{Confidence, Direction, Head, Outcome, Severity, Text};
use crate::rules::hop::answer::{answerer, capital};
use crate::rules::journey::Journey;
use crate::rules::{Check, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "join-missing-leg",
    severity: Severity::Info,
    title: "a proxy took part, and only one of its sides is in the captures",
    about: "The request carries what proxies add, or a product that is a proxy gave the answer, and no other leg of \
        this journey is in the captures. What happened on the other side stays open; the finding says which \
        question. It is only told where something went wrong.\n\nGive hopscope the captures of both sides: it joins \
        them by itself.",
    refs: &["RFC 9110 §7.6.3", "RFC 7239"],
    causes: &[
        "the capture was taken at one point only",
        "the other side is encrypted, or on a port or interface that was not captured",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Chain(check),
};

/// Fields that only proxies add to a request.
const MARKS: &[&str] = &["via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"];

fn check(journey: &Journey<'_>, _: &Seen, out: &mut Findings<'_>) {
    let [leg] = journey.legs else { return };
    let went_wrong = !matches!(leg.outcome, Outcome::Upgraded | Outcome::Unknown);
    let view = journey.view;
    if !went_wrong || !response::is_attempt(leg.x) || view.rivals > 0 || !journey.tried.is_empty() {
        return;
    }
    let request = &leg.x.request;
    if let Some(mark) = MARKS.iter().find(|name| request.has(name)) {
        let spelt = request.lines(mark).next().map_or(mark.as_bytes(), |field| request.name(field));
        let text = Text::own("The request has ")
            .bytes(spelt)
            .say(format!(", so a proxy at {} sent it, and its client's side is not in the captures: ", leg.x.client.ip))
            .say("whether the client asked like this, or the proxy changed it, stays open.");
        told(out, text, request, mark, "the leg before this one");
    }
    let proxy = view.responder.is_some_and(|r| r.confidence >= Confidence::Likely);
    if proxy && !view.shows_behind() && !view.own_page {
        let who = answerer(journey, leg);
        let did = match leg.x.status() {
            Some(code) => format!("answered {code}"),
            None => "gave no answer".to_owned(),
        };
        let text = format!(
            "{} {did}, and what it did behind is not in the captures: whether that is its own answer or a backend's \
             stays open.",
            capital(&who)
        );
        let found =
            out.add(Text::own(text)).expected(Text::own("the leg behind the proxy")).found(Text::own("one leg"));
        match &leg.x.response {
            Some(head) => found.start_line(head, Direction::ServerToClient),
            None => found.start_line(request, Direction::ClientToServer),
        };
    }
}

fn told(out: &mut Findings<'_>, text: Text, request: &Head, mark: &str, missing: &'static str) {
    out.add(text).expected(Text::own(missing)).found(Text::own("one leg")).field(
        request,
        mark,
        Direction::ClientToServer,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Exchange, Finding, Software};
    use crate::rules::journey::View;
    use crate::rules::testing::{GOOD, REFUSED, behind, exchange, granted, hop, run_journey, with_line, words};

    fn software() -> Software {
        let confidence = Confidence::Likely;
        Software { slug: "p".into(), name: "Proxy".into(), version: None, confidence, evidence: vec![] }
    }

    fn found(x: Exchange, view: View<'_>) -> Vec<Finding> {
        run_journey(&RULE, &[x], &[], view)
    }

    #[test]
    fn a_refusal_of_what_a_proxy_sent_or_by_a_proxy_says_what_stays_open() {
        let before = found(exchange(&with_line("X-Forwarded-For: 192.0.2.1"), Some(REFUSED)), View::default());
        assert!(words(&before[0].message).contains("has X-Forwarded-For, so a proxy at 192.0.2.10 sent it"));
        let known = software();
        let view = View { responder: Some(&known), ..View::default() };
        let behind = found(exchange(GOOD, Some(REFUSED)), view);
        assert!(words(&behind[0].message).starts_with("Proxy at 192.0.2.20 answered 400"));
    }

    #[test]
    fn where_nothing_is_open_nothing_is_said() {
        let known = software();
        let proxied = with_line("Via: 1.1 a");
        assert!(found(exchange(&proxied, Some(&granted())), View::default()).is_empty(), "it worked");
        assert!(found(exchange(GOOD, Some(REFUSED)), View::default()).is_empty(), "no sign of a proxy");
        let own = View { responder: Some(&known), own_page: true, ..View::default() };
        assert!(found(exchange(GOOD, Some(REFUSED)), own).is_empty(), "it refused by itself");
        let (near, far) = (exchange(GOOD, Some(REFUSED)), behind(exchange(&proxied, Some(REFUSED))));
        let hops = [hop(&near, &far)];
        assert!(run_journey(&RULE, &[near, far], &hops, View::default()).is_empty(), "both sides are there");
    }
}
