//! `accept-guid-typo`.

use crate::model::{Direction, Exchange, FaultClass, Handshake, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "accept-guid-typo",
    severity: Severity::Warning,
    title: "the server's GUID is wrong",
    about: "The accept fits the key with another GUID than 258EAFA5-E914-47DA-95CA-C5AB0DC85B11: one of the wrong ones \
            that are known from public code (most share the first four groups and made up the last), or one that is a \
            single edit away, or the right one in lower case, braces or without dashes. The finding names it, so \
            that it can be searched for in the server's code.\n\n\
            It fires even where the client carried on: then both ends share the mistake, and every standard browser \
            fails.",
    refs: &["RFC 6455 §1.3"],
    causes: &[
        "the GUID was typed or generated from memory instead of copied from RFC 6455",
        "the GUID went through a type that writes it in lower case, in braces or with a line end",
    ],
    fix: Some(FaultClass::Accept),
    explains: &[],
    symptom_of: &[],
    check: Check::Handshake(check),
};

fn check(x: &Exchange, handshake: &Handshake, _: &Seen, out: &mut Findings<'_>) {
    let (Some("guid-wrong"), Some(recipe), Some(response)) =
        (handshake.accept_kind(), handshake.accept_recipe(), &x.response)
    else {
        return;
    };
    out.add(Text::own(format!("The server computes the accept with a wrong GUID: {recipe}.")))
        .expected(Text::own(crate::wire::accept::GUID))
        .found(Text::own(recipe.to_owned()))
        .field(response, "sec-websocket-accept", Direction::ServerToClient);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, find};

    #[test]
    fn a_known_wrong_guid_is_named() {
        let found = find(&super::RULE, Answer::accepts(&["oaMi3hzjas62i/BuwYpSNXwtj5s="]));
        assert_eq!(found.len(), 1);
        assert!(format!("{:?}", found[0].message).contains("258EAFA5-E914-47DA-95CA-5AB5DC085B11"));
    }

    #[test]
    fn another_mistake_is_no_typo() {
        assert!(find(&super::RULE, Answer::accepts(&["hHLtf2V1k8aDQZfNjw3Ia1hCwt0="])).is_empty());
        assert!(find(&super::RULE, Answer::right()).is_empty());
    }
}
