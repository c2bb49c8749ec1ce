//! Credentials did not leave the hop, or others than came.

use crate::model::{Confidence, FaultClass, Head, Severity, Text};
use crate::rules::Explains;
use crate::rules::hop::asked::{HARD, REQUEST, answered, applies, far_whole, listed, loses, members, sentence, show};
use crate::rules::journey::HopView;
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-auth-stripped",
    severity: Severity::Error,
    title: "a hop removed or replaced credentials of the request",
    about: "`Authorization`, `Cookie`, an API key or a token among the subprotocols reached the hop and did not \
        leave it, or left it with another value. The backend does not know who asks, and answers 401 or 403. Other \
        values are told only with one of those answers: likely `Authorization`, possible for cookies, since proxies \
        keep cookies of their own to themselves. So is any field with an underscore in its name, which some proxies \
        leave out: it may have been the API key.\n\n\
        A proxy that checks the credentials itself may keep them to itself: where the upgrade was granted, this is \
        a note. `Proxy-Authorization` is meant for the proxy and not looked at.",
    refs: &["RFC 9110 §11.6.2", "RFC 6265 §5.4", "RFC 9110 §7.6"],
    causes: &[
        "the proxy passes on only fields of an allow-list, or clears this one",
        "the proxy checks the credentials itself and does not hand them on",
        REPLACED,
        UNDERSCORE,
    ],
    fix: Some(FaultClass::Fields),
    explains: &[Explains::Refused],
    symptom_of: HARD,
    check: Check::Hop(check),
};

const UNDERSCORE: &str = "the proxy leaves out fields with an underscore in their names, as nginx does unless \
    underscores_in_headers is on";

const REPLACED: &str = "the proxy writes credentials of its own, or renames cookies";

/// Fields that hold nothing else.
const FIELDS: [&str; 4] = ["Authorization", "Cookie", "X-Api-Key", "X-Auth-Token"];

const PROTOCOL: &str = "Sec-WebSocket-Protocol";

/// How Kubernetes names a subprotocol that carries a bearer token.
const KUBERNETES: &[u8] = b"base64url.bearer.authorization.k8s.io.";

/// What a JSON web token begins with: `{"` in base64.
const JWT: &[u8] = b"eyJ";

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    if !applies(view) || !far_whole(view) {
        return;
    }
    let fields = FIELDS.into_iter().filter(|name| near.has(name) && !far.has(name));
    let mut lost: Vec<&'static str> = fields.collect();
    let token = loses_token(near, far);
    let mut words = lost.clone();
    if token {
        lost.push(PROTOCOL);
        words.push("the token among the subprotocols");
    }
    let Some(&first) = lost.first() else {
        if !underscored(view, out) {
            replaced(view, out);
        }
        return;
    };
    let minded = answered(view, &[401, 403]);
    let severity = loses(view, minded.is_some());
    let mut what = Text::own(format!("removed {} from the request", listed(&words)));
    if let (Some(status), Severity::Error) = (minded, severity) {
        what = what.say(format!(", and the answer was {status}"));
    }
    let mut found =
        out.add(sentence(view, what)).severity(severity).expected(show(near, first)).found(show(far, first));
    for name in lost {
        found = found.field(near, name, REQUEST);
    }
    found.head(far, REQUEST);
}

/// A field with `_` in its name did not leave the hop, and the backend did not know who asks. `false`: nothing of the
/// kind.
fn underscored(view: &HopView<'_>, out: &mut Findings<'_>) -> bool {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let Some(status) = answered(view, &[400, 401, 403]) else { return false };
    let is_lost = |name: &[u8]| name.contains(&b'_') && std::str::from_utf8(name).is_ok_and(|name| !far.has(name));
    let Some((name, value)) = near.iter().find(|(name, _)| is_lost(name)) else { return false };
    let what = Text::own("removed ").bytes(name).say(format!(" from the request, and the answer was {status}"));
    let found = out
        .add(sentence(view, what))
        .severity(loses(view, true))
        .confidence(Confidence::Likely)
        .expected(Text::new().bytes(name).say(": ").field(name, value))
        .found(Text::own("no such field"))
        .cause(UNDERSCORE);
    found.field(near, &String::from_utf8_lossy(name), REQUEST).head(far, REQUEST);
    true
}

/// Another value left than came, and the backend did not know who asks.
fn replaced(view: &HopView<'_>, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    let Some(status) = answered(view, &[401, 403]) else { return };
    let another = |name: &&'static str| match *name {
        "Cookie" => !cookies(near).iter().all(|cookie| cookies(far).contains(cookie)),
        name => near.combined(name) != far.combined(name),
    };
    let kept = |name: &&'static str| near.has(name) && far.has(name);
    let Some(name) = FIELDS.into_iter().filter(kept).find(another) else { return };
    let severity = loses(view, true);
    let what = Text::own(format!("replaced {name} by another value, and the answer was {status}"));
    let confidence = if name == "Cookie" { Confidence::Possible } else { Confidence::Likely };
    out.add(sentence(view, what))
        .severity(severity)
        .confidence(confidence)
        .expected(show(near, name))
        .found(show(far, name))
        .cause(REPLACED)
        .field(near, name, REQUEST)
        .field(far, name, REQUEST);
}

/// The cookies of a request, as `name=value` (RFC 6265 §4.2.1).
fn cookies(head: &Head) -> Vec<Vec<u8>> {
    let all = head.combined("Cookie").unwrap_or_default();
    all.split(|&b| b == b';' || b == b',').map(|cookie| cookie.trim_ascii().to_vec()).collect()
}

/// Whether a subprotocol that is a token came and did not leave.
fn loses_token(near: &Head, far: &Head) -> bool {
    let left = members(far, PROTOCOL);
    let is_token = |member: &[u8]| {
        let dots = member.iter().filter(|&&b| b == b'.').count();
        member.starts_with(KUBERNETES) || member.starts_with(JWT) && dots == 2
    };
    members(near, PROTOCOL).iter().any(|member| is_token(member) && !left.contains(member))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Part;
    use crate::rules::testing::{GOOD, changed, fires_hop, granted, run_hop, with_line, words};

    const DENIED: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn lost_credentials_are_an_error_once_denied_and_their_value_is_masked() {
        for line in ["Authorization: Bearer s3cret", "Cookie: sid=s3cret", "X-Api-Key: s3cret"] {
            let found = run_hop(&RULE, (&with_line(line), Some(DENIED)), (GOOD, Some(DENIED)));
            assert_eq!(found[0].severity, Severity::Error, "{line}");
            let name = line.split(':').next().unwrap_or_default();
            let said = format!(" removed {name} from the request, and the answer was 401 (packets");
            assert!(words(&found[0].message).contains(&said), "{line}");
            let masked = found[0].expected.0.iter().any(|part| matches!(part, Part::Field { .. }));
            assert!(masked && !words(&found[0].message).contains("s3cret"));
        }
    }

    #[test]
    fn a_token_among_the_subprotocols_counts_too() {
        let near = with_line("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.c2VjcmV0, v4.k8s.io");
        let far = with_line("Sec-WebSocket-Protocol: v4.k8s.io");
        assert!(fires_hop(&RULE, (&near, Some(DENIED)), (&far, Some(DENIED))));
        assert!(!fires_hop(&RULE, (&far, Some(DENIED)), (GOOD, Some(DENIED))), "a name is no secret");
    }

    #[test]
    fn credentials_that_were_replaced_are_told_once_denied() {
        for (came, left, confidence) in [
            ("Authorization: Bearer s3cret", "Authorization: Basic eDp5", Confidence::Likely),
            ("Cookie: a=1; sid=s3cret", "Cookie: a=1; app_sid=s3cret", Confidence::Possible),
        ] {
            let found = run_hop(&RULE, (&with_line(came), Some(DENIED)), (&with_line(left), Some(DENIED)));
            assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, confidence), "{came}");
            assert!(words(&found[0].message).contains("by another value, and the answer was 401 (packets"));
            let other = "HTTP/1.1 404 No\r\n\r\n";
            assert!(!fires_hop(&RULE, (&with_line(came), Some(other)), (&with_line(left), Some(other))));
        }
        let more = with_line("Cookie: b=2; a=1; route=x");
        assert!(!fires_hop(&RULE, (&with_line("Cookie: a=1; b=2"), Some(DENIED)), (&more, Some(DENIED))));
    }

    #[test]
    fn a_field_with_an_underscore_may_have_been_the_key() {
        let near = with_line("api_key: s3cret");
        let found = run_hop(&RULE, (&near, Some(DENIED)), (GOOD, Some(DENIED)));
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Error, Confidence::Likely));
        let said = words(&found[0].message);
        assert!(said.contains(" removed api_key from the request, and the answer was 401 (packets"), "{said}");
        assert!(matches!(found[0].expected.0.last(), Some(Part::Field { .. })), "reports mask secrets in it");
        let granted = granted();
        assert!(!fires_hop(&RULE, (&near, Some(&granted)), (GOOD, Some(&granted))));
        assert!(!fires_hop(&RULE, (&with_line("Api-Key: s3cret"), Some(DENIED)), (GOOD, Some(DENIED))));
    }

    #[test]
    fn a_proxy_that_checks_them_itself_is_a_note_and_so_is_another_failure() {
        let near = with_line("Authorization: Basic eDp5");
        let granted = granted();
        assert_eq!(run_hop(&RULE, (&near, Some(&granted)), (GOOD, Some(&granted)))[0].severity, Severity::Info);
        let other = "HTTP/1.1 503 No\r\n\r\n";
        assert_eq!(run_hop(&RULE, (&near, Some(other)), (GOOD, Some(other)))[0].severity, Severity::Info);
    }

    #[test]
    fn credentials_for_the_proxy_and_those_that_are_kept_are_left_alone() {
        assert!(!fires_hop(&RULE, (&with_line("Proxy-Authorization: Basic eDp5"), None), (GOOD, None)));
        let near = with_line("Cookie: a=1; b=2");
        assert!(!fires_hop(&RULE, (&near, None), (&near.replace("; b=2", "").to_lowercase(), None)));
        assert!(!fires_hop(&RULE, (&near, None), (&changed("\r\n\r\n", "\r\nX-"), None)), "the rest was not seen");
    }
}
