//! Host left the hop with another value than it came with.

use crate::model::{Confidence, FaultClass, Severity, Text};
use crate::rules::Explains;
use crate::rules::hop::asked::{
    HARD, REQUEST, answered, applies, far_whole, host, rewrites, same_host, sentence, serves_others, target, value,
};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen, response};

pub(super) static RULE: Rule = Rule {
    id: "hop-host-rewritten",
    severity: Severity::Error,
    title: "a hop replaced Host",
    about: "The request came for one host and left the hop for another: proxies often write the name or address of \
        their backend into `Host`. A backend that serves several names then does not find its own (404, 421), one \
        with a list of allowed names refuses (400, 403), and one that compares `Origin` with `Host` refuses every \
        browser (403).\n\n\
        An error where the answer is one of those, or sends the client back to the host that was replaced; certain with 421, and with 400 or 403 where `Origin` still \
        names the host that was replaced. A note where the upgrade was granted: most backends do not mind.",
    refs: &["RFC 9110 §7.2", "RFC 9112 §3.2", "RFC 6455 §10.2"],
    causes: &[
        "the proxy writes its backend's name into Host unless told otherwise, and the backend minds",
        "the proxy's configuration sets Host to a name that the backend does not know",
    ],
    fix: Some(FaultClass::Host),
    explains: &[Explains::Refused, Explains::Redirected],
    symptom_of: HARD,
    check: Check::Hop(check),
};

fn check(view: &HopView<'_>, seen: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let Some(came) = host(near).filter(|_| applies(view)) else { return };
    let left = host(far);
    match left {
        Some(left) if same_host(came, left) => return,
        // Beside the one that came, another one is hop-duplicated-field.
        Some(_) if far.lines("host").any(|field| same_host(came, far.value(field))) => return,
        None if !far_whole(view) => return,
        _ => {}
    }
    let minded = answered(view, &[400, 403, 404, 421]);
    let sent_back = sent_back(view, came);
    let mut severity = rewrites(view, minded.is_some() || sent_back);
    let compared = origin_compared(view, came);
    // What else was rewritten explains these answers better.
    let better = match minded {
        Some(400 | 403) => compared == Compared::OriginTouched,
        Some(404) => target(near).map(|t| t.path) != target(far).map(|t| t.path) || serves_others(view, seen),
        _ => false,
    };
    if better {
        severity = severity.min(Severity::Warning);
    }
    let confidence = match minded {
        Some(421) => Confidence::Certain,
        Some(400 | 403) if compared == Compared::NamesTheOld => Confidence::Certain,
        Some(_) => Confidence::Possible,
        None => Confidence::Certain,
    };
    // The hop takes away what the answer asks for.
    if sent_back {
        severity = severity.max(Severity::Error);
    }
    let mut what = match left {
        Some(left) => Text::own("replaced Host ").field(b"Host", came).say(" by ").field(b"Host", left),
        None => Text::own("removed Host ").field(b"Host", came),
    };
    if let (Some(status), true) = (minded, severity == Severity::Error) {
        let by = if confidence == Confidence::Certain { ", which was refused with " } else { ", and the answer was " };
        what = what.say(format!("{by}{status}"));
    }
    if sent_back {
        what = what.say(", and the answer sends the client back to that host");
    }
    let found = match left {
        Some(left) => Text::own("Host: ").field(b"Host", left),
        None => Text::own("no Host field"),
    };
    out.add(sentence(view, what))
        .severity(severity)
        .confidence(confidence)
        .expected(Text::own("Host: ").field(b"Host", came))
        .found(found)
        .field(near, "host", REQUEST)
        .field(far, "host", REQUEST);
}

/// Whether the answer redirects to the host that the hop took away.
fn sent_back(view: &HopView<'_>, came: &[u8]) -> bool {
    let answer =
        view.far.x.response.as_ref().filter(|head| head.status().is_some_and(|code| (300..400).contains(&code)));
    let location = answer.and_then(|head| head.first_value("location"));
    location.and_then(response::location_host).is_some_and(|host| same_host(host, came))
}

/// What a check of Origin against Host behind the hop comes to.
#[derive(PartialEq, Eq)]
enum Compared {
    /// Origin names the host that the hop replaced.
    NamesTheOld,
    /// The hop changed Origin as well, or removed it.
    OriginTouched,
    /// There is none, or it names another host anyway.
    Nothing,
}

fn origin_compared(view: &HopView<'_>, host: &[u8]) -> Compared {
    let (near, far) = (value(&view.near.x.request, "origin"), value(&view.far.x.request, "origin"));
    let Some(origin) = near else { return Compared::Nothing };
    if far != near {
        return Compared::OriginTouched;
    }
    let named = origin.windows(3).position(|w| w == b"://").and_then(|at| origin.get(at + 3..));
    if named.is_some_and(|named| same_host(named, host)) { Compared::NamesTheOld } else { Compared::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndHow, Finding};
    use crate::rules::testing::{GOOD, With as _, changed, exchange, fires_hop, granted, run_hop, run_hop_of, words};

    fn backend() -> String {
        changed("Host: example.com", "Host: 10.0.0.1:8080")
    }

    fn answer(status: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
    }

    fn found(near: &str, far: &str, status: &str) -> Finding {
        let answer = answer(status);
        run_hop(&RULE, (near, Some(&answer)), (far, Some(&answer))).remove(0)
    }

    #[test]
    fn a_host_that_was_refused_is_an_error_and_otherwise_a_warning() {
        let f = found(GOOD, &backend(), "421 Misdirected Request");
        assert_eq!((f.severity, f.confidence), (Severity::Error, Confidence::Certain));
        assert_eq!(
            words(&f.message),
            "The proxy at 192.0.2.20 replaced Host example.com by 10.0.0.1:8080, which was refused with 421 \
             (packets 4 → 5)."
        );
        let f = found(GOOD, &backend(), "404 Not Found");
        assert_eq!((f.severity, f.confidence), (Severity::Error, Confidence::Possible));
        assert_eq!(found(GOOD, &backend(), "503 No").severity, Severity::Warning);
    }

    #[test]
    fn an_origin_that_names_the_old_host_makes_a_403_sure() {
        assert_eq!(found(GOOD, &backend(), "403 Forbidden").confidence, Confidence::Certain);
        let foreign = changed("Origin: http://example.com", "Origin: http://evil.example");
        let f = found(&foreign, &foreign.replace("Host: example.com", "Host: b"), "403 Forbidden");
        assert_eq!((f.severity, f.confidence), (Severity::Error, Confidence::Possible));
    }

    #[test]
    fn a_changed_origin_or_path_explains_the_answer_better() {
        let no_origin = backend().replace("Origin: http://example.com\r\n", "");
        assert_eq!(found(GOOD, &no_origin, "403 Forbidden").severity, Severity::Warning);
        assert_eq!(found(GOOD, &backend().replace("/chat", "/"), "404 Not Found").severity, Severity::Warning);
    }

    #[test]
    fn what_was_upgraded_is_a_note_unless_the_client_left_at_once() {
        let f = run_hop(&RULE, (GOOD, Some(&granted())), (&backend(), Some(&granted())));
        assert_eq!(f[0].severity, Severity::Info);
        let near = exchange(GOOD, Some(&granted())).with(|x| {
            x.end.tcp_by = Some(REQUEST);
            x.end.tcp_how = EndHow::Fin;
            x.end.tcp_at = x.response.as_ref().map(|r| r.last);
        });
        let f = run_hop_of(&RULE, near, exchange(&backend(), Some(&granted())), |_| {});
        assert_eq!(f[0].severity, Severity::Warning);
    }

    #[test]
    fn a_lost_host_is_found_where_the_head_was_seen_whole() {
        let far = changed("Host: example.com\r\n", "");
        assert_eq!(words(&run_hop(&RULE, (GOOD, None), (&far, None))[0].found), "no Host field");
        assert!(!fires_hop(&RULE, (GOOD, None), ("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n", None)));
        let cut = "GET /chat HTTP/1.1\r\nHost: exam";
        assert!(!fires_hop(&RULE, (GOOD, None), (cut, None)));
    }

    #[test]
    fn an_answer_that_sends_the_client_back_to_the_host_that_was_replaced_is_the_hops_doing() {
        let told = |location: &str| {
            let moved = format!("HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let found = run_hop(&RULE, (GOOD, Some(&moved)), (&backend(), Some(&moved)));
            found.first().map(|f| (f.severity, words(&f.message).contains("sends the client back")))
        };
        assert_eq!(told("http://example.com/chat"), Some((Severity::Error, true)));
        assert_eq!(told("http://other.example/chat").map(|told| told.1), Some(false));
        assert_eq!(told("/chat/").map(|told| told.1), Some(false));
    }

    #[test]
    fn the_same_host_written_otherwise_is_right() {
        for far in ["Host: EXAMPLE.com", "host: example.com:80"] {
            assert!(!fires_hop(&RULE, (GOOD, None), (&changed("Host: example.com", far), None)), "{far}");
        }
        let absolute = changed("/chat", "http://other.example/chat");
        let right = changed("Host: example.com", "Host: other.example");
        assert!(!fires_hop(&RULE, (&absolute, None), (&right, None)));
        assert!(fires_hop(&RULE, (&absolute, None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (&changed("Host: example.com\r\n", ""), None), (GOOD, None)), "none came");
        let both = changed("Host: example.com", "Host: b\r\nHost: example.com");
        assert!(!fires_hop(&RULE, (GOOD, None), (&both, None)), "it is there too");
    }
}
