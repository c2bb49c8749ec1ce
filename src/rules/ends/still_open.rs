//! `still-open`.

use std::borrow::Cow;

use super::support::tunnel;
use crate::base::limits;
use crate::model::{EndHow, Exchange, Part, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "still-open",
    severity: Severity::Info,
    title: "the WebSocket was open when the capture ended",
    about: "Nothing in the capture ends this WebSocket. How long it would have lasted is not known.",
    refs: &[],
    causes: &["the capture ended first"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

static OPEN: &[Part] = &[Part::Own(Cow::Borrowed("The WebSocket was still open when the capture ended."))];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // Of very many it is told in numbers alone.
    let noted = x.id.0 <= limits::NOTED;
    if noted && tunnel(x).is_some() && x.end.how == EndHow::Open && x.end.tcp_how == EndHow::Open {
        out.add(Text::fixed(OPEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::support::FROM_CLIENT;
    use crate::rules::ends::testing::*;

    #[test]
    fn a_tunnel_without_an_end_is_open() {
        assert!(fires(&RULE, &open()));
        assert!(!fires(&RULE, &cut(FROM_CLIENT, EndHow::Fin, 20)));
        assert!(!fires(&RULE, &goodbye(1000)));
    }
}
