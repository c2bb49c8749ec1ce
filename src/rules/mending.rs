//! What mends what a verdict names: the kind of mending, for whom it is, and the fixes with their names filled in.

use std::borrow::Cow;

use crate::model::{Blame, Direction, Exchange, FaultClass, Finding, Fix, Part, Role};
use crate::rules::verdict::{Page, Writer, sender};
use crate::rules::{find, frames, hop, request, response};

/// Which kind of mending a verdict calls for, with what the page says. `None` where there is none.
pub(super) fn class_of(x: &Exchange, finding: &Finding, page: Option<&Page>) -> Option<FaultClass> {
    match page {
        // This leg's request has what the backend missed, so it is not the client that must be mended.
        Some(Page { by: Writer::Backend(_), class: Some(FaultClass::Client), .. }) => None,
        Some(Page { class: Some(FaultClass::Host), .. }) if request::origin_agrees(x) => Some(FaultClass::Origin),
        Some(Page { class: Some(class), .. }) => Some(*class),
        // What a proxy itself forbids is not mended by what it passes on.
        Some(Page { by: Writer::Proxy(_), .. }) if x.status() == Some(403) => None,
        _ => {
            let class = hop::large_fix_class(finding).or_else(|| frames::fix_class(finding));
            let class = class.or_else(|| fix_class(x, &finding.rule));
            let by_client = || find(&finding.rule).is_some_and(|r| sender(r, finding) == Direction::ClientToServer);
            if class == Some(FaultClass::Backend) && by_client() { Some(FaultClass::Client) } else { class }
        }
    }
}

/// Which kind of mending a finding of this exchange calls for. `None` where there is none.
pub fn fix_class(x: &Exchange, slug: &str) -> Option<FaultClass> {
    let code = match slug {
        // A hop that refuses by itself has a rule of its own for it, or else it depends on the status like any refusal.
        "hop-answered-locally" => match x.status() {
            Some(401 | 407) => return Some(FaultClass::Limit),
            // Nobody behind it compared Origin and Host.
            Some(403) if response::refused_fix_class(x, 403) != Some(FaultClass::Fwd) => {
                return Some(FaultClass::Limit);
            }
            status => status,
        },
        _ => slug.strip_prefix("refused-").and_then(|code| code.parse().ok()),
    };
    code.map_or_else(|| find(slug)?.fix, |code| response::refused_fix_class(x, code))
}

/// The kinds of mending that the rule of this slug may call for, by what it finds.
pub fn fix_classes(slug: &str) -> Vec<FaultClass> {
    use FaultClass::{Fwd, Head, Host, Idle, Life, Limit, Path, Reload};
    let code = slug.strip_prefix("refused-").and_then(|code| code.parse().ok());
    match (find(slug).and_then(|rule| rule.fix), slug, code) {
        (_, "hop-101-swallowed", _) => vec![Fwd, Head],
        (Some(class), ..) => vec![class],
        (None, "hop-answered-locally" | "refused-<code>", _) => vec![Fwd, Host, Path, Head, Limit],
        (None, "hop-ended-it", _) => vec![Idle, Life, Reload],
        (None, _, Some(code)) => response::refused_fix_classes(code),
        _ => Vec::new(),
    }
}

/// Whether this kind of mending is for who is to blame: a client has no log of a server.
pub(super) fn may_mend(class: FaultClass, blame: &Blame) -> bool {
    class != FaultClass::Server || blame.role != Role::Client
}

/// Fields that rules of hops are about, and what rules about each have in their names.
const NAMED: [(&str, &str); 12] = [
    ("X-Forwarded-Proto", "xfp"),
    ("Sec-WebSocket-Protocol", "subprotocol"),
    ("Sec-WebSocket-Extensions", "extension"),
    ("Sec-WebSocket-Accept", "accept"),
    ("Sec-WebSocket-Version", "version"),
    ("Sec-WebSocket-Key", "key"),
    ("Origin", "origin"),
    ("Authorization", "auth"),
    ("Cookie", "cookie"),
    ("X-Api-Key", "api-key"),
    ("X-Auth-Token", "auth-token"),
    ("Connection", "connection"),
];

/// The fixes with the name of the field that the finding is about in the place of `NAME`.
pub(super) fn with_name(mut fixes: Vec<Fix>, class: FaultClass, finding: &Finding) -> Vec<Fix> {
    if class != FaultClass::Fields {
        return fixes;
    }
    let own = finding.message.0.iter().filter_map(|part| match part {
        Part::Own(words) => Some(&**words),
        _ => None,
    });
    let said: String = own.collect::<Vec<&str>>().join(" ");
    let spoken = NAMED.iter().filter_map(|(name, _)| Some((said.find(name)?, *name))).min();
    let by_rule = || NAMED.iter().find(|(_, word)| finding.rule.contains(word)).map(|(name, _)| *name);
    if let Some(name) = spoken.map(|(_, name)| name).or_else(by_rule) {
        for fix in &mut fixes {
            fix.text = Cow::Owned(fix.text.replace("NAME", name));
        }
    }
    fixes
}

/// Nothing was said that would show a product: where no proxy asked, none is to be set up otherwise.
pub(super) fn in_words(mut fixes: Vec<Fix>, class: FaultClass, role: Role) -> Vec<Fix> {
    if role != Role::Hop && matches!(class, FaultClass::Reach | FaultClass::Scheme) {
        fixes.retain(|fix| fix.product == "any");
    }
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ExchangeId;
    use crate::model::{Confidence, Severity, Subject, Text};
    use crate::rules::response::testing::*;

    #[test]
    fn a_fix_about_a_field_names_it() {
        let fix = || vec![Fix { product: "any".into(), versions: "".into(), text: "look for NAME".into() }];
        let named = |rule: &'static str, says: &'static str, class| {
            let found = Finding {
                rule: Cow::Borrowed(rule),
                severity: Severity::Error,
                confidence: Confidence::Certain,
                subject: Subject::Exchange(ExchangeId(1)),
                message: Text::own(says),
                expected: Text::new(),
                found: Text::new(),
                evidence: Vec::new(),
                causes: Vec::new(),
                allowed: false,
            };
            with_name(fix(), class, &found)[0].text.to_string()
        };
        let fields = FaultClass::Fields;
        assert_eq!(
            named("hop-stripped-sec", "Sec-WebSocket-Key and Sec-WebSocket-Version", fields),
            "look for Sec-WebSocket-Key"
        );
        assert_eq!(named("hop-origin-changed", "It was changed", fields), "look for Origin");
        assert_eq!(named("hop-stripped-sec", "a field", fields), "look for NAME");
        assert_eq!(named("hop-origin-changed", "It was changed", FaultClass::Host), "look for NAME");
    }

    #[test]
    fn what_a_hop_forbids_by_itself_is_mended_where_it_forbids_it() {
        let local = |answer: &str| fix_class(&exchange(ASK, Some(answer)), "hop-answered-locally");
        assert_eq!(local("HTTP/1.1 401 Unauthorized\r\n\r\n"), Some(FaultClass::Limit));
        assert_eq!(local("HTTP/1.1 403 Forbidden\r\n\r\n"), Some(FaultClass::Limit));
        let envoy = "HTTP/1.1 403 Forbidden\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(local(envoy), Some(FaultClass::Fwd));
        assert_eq!(local("HTTP/1.1 404 Not Found\r\n\r\n"), Some(FaultClass::Path));
    }
}
