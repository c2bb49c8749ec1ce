//! The query, or a part of it, did not leave the hop, or not as it came.

use percent_encoding::percent_decode;

use crate::model::{Confidence, FaultClass, Severity, Text};
use crate::rules::Explains;
use crate::rules::hop::asked::{HARD, REQUEST, answered, applies, loses, sentence, target};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-query-lost",
    severity: Severity::Error,
    title: "a hop forwarded the request without its query, or with another",
    about: "The target had a query when it reached the hop and left it without, or without some of its \
        parameters. Applications carry tokens, rooms and session ids there, because browsers let a page set no \
        field on a WebSocket: the backend then refuses, answers 404, or serves somebody it does not know.\n\n\
        A value that means something else behind the hop counts as well, by percent-encoding and `+` for a space: a \
        hop that decodes the query makes `+` of `%2B`, and the backend a space of that. That is likely the reason at \
        most, since hops also write values of their own on purpose. So does another order of parameters of which one \
        is a signature over the others.\n\n\
        A note where the upgrade was granted all the same.",
    refs: &["RFC 3986 §3.4", "RFC 9110 §7.6"],
    causes: &[
        "the proxy's configuration builds the target from variables and leaves the query out",
        "a rewrite rule replaces the target as a whole, or writes it decoded",
        SORTS,
    ],
    fix: Some(FaultClass::Path),
    explains: &[Explains::Refused],
    symptom_of: HARD,
    check: Check::Hop(check),
};

/// Whether one of its parameters is a signature over the others, by its name.
fn is_signed(query: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"sig", b"signature", b"hmac", b"x-amz-signature", b"hash"];
    names(query).any(|name| NAMES.contains(&&*name.to_ascii_lowercase()))
}

/// Answers that a server gives where a parameter is missing; not those of a proxy without a backend.
const MINDED: &[u16] = &[200, 400, 401, 403, 404, 410, 422, 500];

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let (Some(came), Some(left)) = (target(near), target(far)) else { return };
    let Some(query) = came.query.filter(|_| applies(view)) else { return };
    // Names may be written in another encoding too, which nobody does.
    let kept: Vec<&[u8]> = names(left.query.unwrap_or_default()).collect();
    let lost: Vec<&[u8]> = names(query).filter(|name| !kept.contains(name)).collect();
    let what = match (lost.as_slice(), left.query.is_none_or(<[u8]>::is_empty)) {
        ([], _) => match changed(query, left.query.unwrap_or_default()) {
            Some(name) => Text::own("changed the value of the parameter ").bytes(name).say(" of the query"),
            // Whoever signed the query signed its order too.
            None if !names(query).eq(kept.iter().copied()) && is_signed(query) => {
                Text::own("changed the order of the query's parameters, which are signed")
            }
            None => return,
        },
        (_, true) => Text::own("forwarded the request without its query"),
        ([one], _) => Text::own("forwarded the request without the parameter ").bytes(one).say(" of its query"),
        ([first, ..], _) => {
            let more = lost.len();
            Text::own(format!("forwarded the request without {more} parameters of its query, such as ")).bytes(first)
        }
    };
    let minded = answered(view, MINDED).is_some();
    let sorted = lost.is_empty() && changed(query, left.query.unwrap_or_default()).is_none();
    let found = out
        .add(sentence(view, what))
        .severity(loses(view, minded))
        .confidence(if lost.is_empty() { Confidence::Likely } else { Confidence::Certain })
        .expected(Text::new().url(near.target()))
        .found(Text::new().url(far.target()))
        .start_line(near, REQUEST)
        .start_line(far, REQUEST);
    if sorted {
        found.cause(SORTS);
    }
}

const SORTS: &str = "the proxy sorts the parameters, so that its cache finds equal ones";

/// The names of a query's parameters.
fn names(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    parameters(query).map(|(name, _)| name)
}

/// Names and values, as sent.
fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = query.split(|b| matches!(b, b'&' | b';')).filter(|pair| !pair.is_empty());
    pairs.map(|pair| match memchr::memchr(b'=', pair) {
        Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
        None => (pair, &[][..]),
    })
}

/// The first parameter that came with a value that it did not leave with, in whatever spelling.
fn changed<'q>(came: &'q [u8], left: &[u8]) -> Option<&'q [u8]> {
    let is_kept = |name: &[u8], value: &[u8]| {
        parameters(left).any(|(other, kept)| other == name && (kept == value || meaning(kept) == meaning(value)))
    };
    parameters(came).find(|(name, value)| !is_kept(name, value)).map(|(name, _)| name)
}

/// What a value says in a query of a form: `%` with two digits for a byte, `+` for a space.
fn meaning(value: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = value.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Part;
    use crate::rules::testing::{GOOD, REFUSED, changed, fires_hop, granted, run_hop, words};

    fn asking(target: &str) -> String {
        changed("/chat", target)
    }

    #[test]
    fn a_lost_query_and_a_lost_parameter_are_found() {
        let near = asking("/chat?token=abc&room=1");
        let found = run_hop(&RULE, (&near, Some(REFUSED)), (GOOD, Some(REFUSED)));
        assert_eq!(found[0].severity, Severity::Error);
        assert!(words(&found[0].message).contains(" forwarded the request without its query (packets"));
        let found = run_hop(&RULE, (&near, Some(REFUSED)), (&asking("/chat?room=1"), Some(REFUSED)));
        assert!(words(&found[0].message).contains(" without the parameter token of its query (packets"));
        assert!(!words(&found[0].message).contains("abc"));
        assert!(matches!(&*found[0].expected.0, [Part::Url(_)]), "reports mask secrets in it");
    }

    #[test]
    fn an_upgrade_without_it_is_a_note_and_a_backend_that_is_away_does_not_mind() {
        let near = asking("/chat?room=1");
        let granted = granted();
        assert_eq!(run_hop(&RULE, (&near, Some(&granted)), (GOOD, Some(&granted)))[0].severity, Severity::Info);
        let away = "HTTP/1.1 503 No\r\n\r\n";
        assert_eq!(run_hop(&RULE, (&near, Some(away)), (GOOD, Some(away)))[0].severity, Severity::Info);
    }

    #[test]
    fn a_value_that_means_something_else_is_found() {
        let near = asking("/chat?room=1&token=a%2Bb%2F");
        let found = |far: &str| run_hop(&RULE, (&near, Some(REFUSED)), (&asking(far), Some(REFUSED)));
        for far in ["/chat?room=1&token=a+b/", "/chat?room=1&token=a", "/chat?room=1&token=a%252Bb%252F"] {
            let found = found(far);
            assert!(
                words(&found[0].message).contains(" changed the value of the parameter token of the query (packets")
            );
            assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Likely));
        }
        for far in ["/chat?room=1&token=a%2bb/", "/chat?token=a%2Bb%2F&room=%31"] {
            assert!(found(far).is_empty(), "{far}");
        }
        assert_eq!(meaning(b"a%2"), b"a%2");
    }

    #[test]
    fn another_order_of_a_signed_query_is_found() {
        let with = |query: &str| GOOD.replacen(" HTTP/1.1", &format!("?{query} HTTP/1.1"), 1);
        let no = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let found = run_hop(&RULE, (&with("user=1&exp=2&sig=3"), Some(no)), (&with("exp=2&sig=3&user=1"), Some(no)));
        assert!(words(&found[0].message).contains("changed the order of the query's parameters, which are signed"));
        assert_eq!(found[0].severity, Severity::Error);
        assert!(
            run_hop(&RULE, (&with("b=1&a=2"), Some(no)), (&with("a=2&b=1"), Some(no))).is_empty(),
            "nobody signed it"
        );
    }

    #[test]
    fn parameters_in_another_order_encoding_or_company_are_right() {
        let near = asking("/chat?a=%7e1&b");
        for far in ["/chat?b&a=~1", "/api/chat?x=1&a=%7E1&b=", "http://example.com/chat?a=%7e1&b"] {
            assert!(!fires_hop(&RULE, (&near, None), (&asking(far), None)), "{far}");
        }
        assert!(!fires_hop(&RULE, (&asking("/chat?"), None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (&near, None), ("GET /chat", None)));
    }
}
