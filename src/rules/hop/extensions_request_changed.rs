//! The offer of extensions did not leave the hop as it came.

use crate::model::{FaultClass, Head, Severity, Text};
use crate::rules::hop::asked::{REQUEST, applies, members, more, sentence, show, whole};
use crate::rules::journey::HopView;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "hop-extensions-request-changed",
    severity: Severity::Error,
    title: "a hop changed the offer of extensions",
    about: "`Sec-WebSocket-Extensions` left the hop without an offer that it came with, or with another. A proxy \
        that does not handle compressed frames removes the offer rightly: then nobody compresses, and all works. \
        It costs bandwidth, and explains why compression is never agreed on: a note.\n\nAn error where the client \
        then closed with 1010, since it cannot do without.",
    refs: &["RFC 6455 §9.1", "RFC 7692 §5"],
    causes: &[
        "the proxy reads the frames and does not know the extension",
        "the proxy's configuration clears the field",
    ],
    fix: Some(FaultClass::Fields),
    explains: &[Explains::Ended],
    symptom_of: &[],
    check: Check::Hop(check),
};

/// The code of a client that misses an extension (RFC 6455 §7.4.1).
const MANDATORY: u16 = 1010;

const NAME: &str = "Sec-WebSocket-Extensions";

fn check(view: &HopView<'_>, _: &Seen, out: &mut Findings<'_>) {
    let (near, far) = (&view.near.x.request, &view.far.x.request);
    if !applies(view) || !near.has(NAME) || !whole(view.near.x) || !whole(view.far.x) {
        return;
    }
    let (came, left) = (offers(near), offers(far));
    if came.is_empty() || more(&came, &left).is_empty() && more(&left, &came).is_empty() {
        return;
    }
    let what = if left.is_empty() {
        Text::own("removed the offer of extensions")
    } else {
        let value = |text: Text, head: &Head| text.field(NAME.as_bytes(), &head.combined(NAME).unwrap_or_default());
        value(value(Text::own("changed the offer of extensions from "), near).say(" to "), far)
    };
    let close = view.near.x.end.close.as_ref().and_then(|close| close.code);
    let name = |offer: &Vec<u8>| offer.split(|&b| b == b';').next().unwrap_or_default().to_vec();
    let lost = came.iter().map(name).any(|one| !left.iter().map(name).any(|other| other == one));
    let left_for_it = close == Some(MANDATORY) && view.near.x.end.by == Some(REQUEST);
    let (missed, what) = match left_for_it && lost {
        true => (Severity::Error, what.say(", and the client closed with 1010, since it needs what it had offered")),
        false => (Severity::Info, what),
    };
    out.add(sentence(view, what))
        .severity(missed)
        .expected(show(near, NAME))
        .found(show(far, NAME))
        .field(near, NAME, REQUEST)
        .field(far, NAME, REQUEST);
}

/// The offers in their order, without what does not count: white space and letter case outside quotes.
fn offers(head: &Head) -> Vec<Vec<u8>> {
    let bare = |member: Vec<u8>| -> Vec<u8> {
        let mut quoted = false;
        let mut counts = |b: &u8| {
            quoted ^= *b == b'"';
            quoted || !matches!(b, b' ' | b'\t')
        };
        member.iter().filter(|b| counts(b)).map(u8::to_ascii_lowercase).collect()
    };
    members(head, NAME).into_iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Close;
    use crate::rules::testing::{GOOD, changed, exchange, fires_hop, granted, run_hop, run_hop_of, with_line, words};

    fn offering(list: &str) -> String {
        with_line(&format!("Sec-WebSocket-Extensions: {list}"))
    }

    #[test]
    fn a_removed_and_a_changed_offer_are_notes() {
        let near = offering("permessage-deflate; client_max_window_bits");
        let found = run_hop(&RULE, (&near, None), (GOOD, None));
        assert_eq!(found[0].severity, Severity::Info);
        assert!(words(&found[0].message).contains(" removed the offer of extensions (packets"));
        let found = run_hop(&RULE, (&near, None), (&offering("permessage-deflate"), None));
        assert_eq!(words(&found[0].found), "Sec-WebSocket-Extensions: permessage-deflate");
    }

    #[test]
    fn a_client_that_cannot_do_without_makes_it_an_error() {
        let severity = |code: u16| {
            let mut near = exchange(&offering("permessage-deflate"), Some(&granted()));
            near.end.by = Some(REQUEST);
            near.end.close = Some(Close { code: Some(code), reason: Box::default() });
            run_hop_of(&RULE, near, exchange(GOOD, Some(&granted())), |_| {})[0].severity
        };
        assert_eq!([severity(1010), severity(1000)], [Severity::Error, Severity::Info]);
    }

    #[test]
    fn the_same_offers_written_otherwise_are_no_change() {
        let near = offering("permessage-deflate; client_max_window_bits, x-webkit");
        for far in [
            "Permessage-Deflate;client_max_window_bits,x-webkit",
            "permessage-deflate; client_max_window_bits\r\nSec-Websocket-Extensions: x-webkit",
        ] {
            assert!(!fires_hop(&RULE, (&near, None), (&offering(far), None)), "{far}");
        }
        assert!(fires_hop(&RULE, (&offering("a; b=\"1 2\""), None), (&offering("a; b=\"12\""), None)));
    }

    #[test]
    fn no_offer_and_a_head_that_breaks_off_are_left_alone() {
        assert!(!fires_hop(&RULE, (GOOD, None), (GOOD, None)));
        assert!(!fires_hop(&RULE, (&offering("a"), None), (&changed("\r\n\r\n", "\r\nX-"), None)));
    }
}
