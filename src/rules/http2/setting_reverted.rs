//! `h2-setting-reverted`.

use super::support::FAILURES;
use crate::model::{Exchange, FaultClass, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-setting-reverted",
    severity: Severity::Error,
    title: "the server took back that it takes extended CONNECT",
    about: "SETTINGS_ENABLE_CONNECT_PROTOCOL was 1 and then 0 on the same connection, which the standard forbids: a \
        client that has seen the 1 goes on sending extended CONNECTs.",
    refs: &["RFC 8441 §3"],
    causes: &["a server or proxy that was configured anew while the connection stood"],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let reverted = x.stream.as_ref().and_then(|stream| stream.reverted);
    let Some(place) = reverted.filter(|_| x.is_websocket()) else { return };
    out.add(Text::own("The server set SETTINGS_ENABLE_CONNECT_PROTOCOL to 0 after it had been 1."))
        .expected(Text::own("1 for as long as the connection stands"))
        .found(Text::own("0"))
        .evidence(place.evidence());
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_setting_taken_back_is_found() {
        let mut x = stream(ASK, Some("400"));
        assert!(!fires(&RULE, &x));
        facts(&mut x).reverted = facts(&mut x).settings;
        assert_eq!(run(&RULE, &x)[0].severity, Severity::Error);
    }
}
