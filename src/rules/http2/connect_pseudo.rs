//! `h2-connect-pseudo`.

use super::support::{FAILURES, FROM_CLIENT, request_whole};
use crate::model::{Exchange, FaultClass, Mechanism, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-connect-pseudo",
    severity: Severity::Error,
    title: "a CONNECT has the wrong pseudo-fields",
    about: "With `:protocol`, a CONNECT needs `:scheme`, `:path` and `:authority` as any other request, each once. \
        Without it, it is the CONNECT of proxies, which must have `:authority` alone. Mixing the two makes the request \
        malformed. One with the fields of a WebSocket and without `:protocol` asks for a tunnel to the host that it names, \
        which servers refuse.",
    refs: &["RFC 8441 §4", "RFC 9113 §8.5", "RFC 9113 §8.3"],
    causes: &[
        "a client library that builds an extended CONNECT from the rules of the plain one",
        "a proxy that lost :protocol on the way",
    ],
    fix: Some(FaultClass::H2),
    explains: FAILURES,
    symptom_of: &[],
    check: Check::Exchange(check),
};

const NEEDED: [&str; 3] = [":scheme", ":path", ":authority"];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    if !x.is_stream() || !request_whole(x) {
        return;
    }
    let head = &x.request;
    let (wrong, how): (Vec<&'static str>, &str) = match x.mechanism {
        Mechanism::Http2ExtendedConnect => {
            let missing: Vec<_> = NEEDED.into_iter().filter(|name| !head.has(name)).collect();
            match missing.is_empty() {
                true => (NEEDED.into_iter().filter(|name| head.count(name) > 1).collect(), "several times "),
                false => (missing, "no "),
            }
        }
        Mechanism::Connect => {
            match [":scheme", ":path"].into_iter().filter(|name| head.has(name)).collect::<Vec<_>>() {
                both if both.is_empty() && x.has_websocket_fields() => (vec!["Sec-WebSocket fields"], ""),
                both => (both, ""),
            }
        }
        Mechanism::Http1Upgrade | Mechanism::None => return,
    };
    if wrong.is_empty() {
        return;
    }
    let protocol = if x.mechanism == Mechanism::Connect { "without" } else { "with" };
    let text = format!("The CONNECT {protocol} :protocol has {how}{}.", wrong.join(" and "));
    out.add(Text::own(text))
        .expected(Text::own(match x.mechanism {
            Mechanism::Connect => ":authority alone",
            _ => ":scheme, :path and :authority, each once",
        }))
        .found(Text::own(format!("{how}{}", wrong.join(" and "))))
        .head(head, FROM_CLIENT);
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn a_plain_connect_with_the_fields_of_a_websocket_is_found() {
        let asked =
            |field: (&str, &str)| stream(&[(":method", "CONNECT"), (":authority", "a:443"), field], Some("403"));
        let found = run(&RULE, &asked(("sec-websocket-version", "13")));
        assert_eq!(words(&found[0].message), "The CONNECT without :protocol has Sec-WebSocket fields.");
        assert!(!fires(&RULE, &asked(("user-agent", "x"))));
    }

    #[test]
    fn what_is_missing_and_what_stands_there_twice_is_found() {
        let found = run(&RULE, &stream(&ask_without(":path"), Some("400")));
        assert_eq!(words(&found[0].message), "The CONNECT with :protocol has no :path.");
        let found = run(&RULE, &stream(&ask_with(":authority", "other.example"), Some("400")));
        assert_eq!(words(&found[0].message), "The CONNECT with :protocol has several times :authority.");
        let found = run(&RULE, &stream(&ask_without(":protocol"), Some("400")));
        assert_eq!(words(&found[0].message), "The CONNECT without :protocol has :scheme and :path.");
    }

    #[test]
    fn a_whole_one_and_one_that_was_not_seen_whole_are_left_alone() {
        assert!(!fires(&RULE, &granted()));
        let holed = stream(&ask_without(":path"), Some("400")).with(|x| x.quality.request_gap = true);
        assert!(!fires(&RULE, &holed));
    }
}
