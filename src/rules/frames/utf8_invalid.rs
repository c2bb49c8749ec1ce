//! `utf8-invalid`.

use crate::model::{Direction, Exchange, FrameFaultKind, SentClose, Severity, Text};
use crate::rules::frames::support::{BOTH, SENDER, bytes, each, size, talk};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "utf8-invalid",
    severity: Severity::Error,
    title: "text is not UTF-8",
    about: "A text message is UTF-8 as a whole, whatever its fragments, and so is the reason in a Close frame. Who gets \
        other bytes must fail the connection, usually with 1007; browsers say `Could not decode a text frame as UTF-8`.",
    refs: &["RFC 6455 §8.1", "RFC 6455 §5.6", "RFC 6455 §5.5.1"],
    causes: &[
        "the sender puts bytes (an image, a compressed text) into a text message",
        "the sender writes text in another encoding, Latin-1 or Windows-1252",
        "a text was cut by its number of bytes, inside a letter",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: &[
        "deflate-error",
        "hop-extensions-split",
        "hop-first-frames-lost",
        "not-websocket-after-101",
        "rsv1-without-extension",
    ],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::Utf8Invalid) {
        let place = match it.fault.detail {
            0 => "at its first byte".to_owned(),
            good => format!("behind {}", size(good)),
        };
        it.tell(out, &format!("sent a text message that is not UTF-8 {place}"))
            .expected(Text::own("UTF-8"))
            .found(Text::own(format!("other bytes {place}")));
    }
    for from in BOTH {
        if let Some(close) = talk(x).and_then(|talk| talk.of(from).close()) {
            reason(from, close, out);
        }
    }
}

fn reason(from: Direction, close: &SentClose, out: &mut Findings<'_>) {
    let Err(wrong) = std::str::from_utf8(&close.reason) else { return };
    // A letter that breaks off with what was captured may go on in what was not.
    let whole = usize::try_from(close.payload).is_ok_and(|payload| payload <= close.reason.len().saturating_add(2));
    if wrong.error_len().is_none() && !whole {
        return;
    }
    let text = format!("The {} sent a Close whose reason is not UTF-8.", from.sender());
    out.add(Text::own(text)).expected(Text::own("UTF-8")).found(Text::new().bytes(&close.reason)).evidence(bytes(
        from,
        close.at,
        close.offset,
        close.length,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    fn reasons(reason: &[u8], payload: u32) -> usize {
        let mut x = talked();
        let close = SentClose { payload, code: Some(1000), reason: reason.into(), ..SentClose::default() };
        rare(&mut x, SERVER).close = Some(Box::new(close));
        found(&RULE, &x).len()
    }

    #[test]
    fn the_place_in_the_message_is_told() {
        let told = |good| words(&found(&RULE, &spoken(CLIENT, FrameFaultKind::Utf8Invalid, good))[0].message);
        assert_eq!(told(0), "The client sent a text message that is not UTF-8 at its first byte.");
        assert_eq!(told(7), "The client sent a text message that is not UTF-8 behind 7 bytes.");
    }

    #[test]
    fn a_reason_is_text_too() {
        assert_eq!(reasons(b"bye", 5), 0);
        assert_eq!(reasons("adiós".as_bytes(), 8), 0);
        assert_eq!(reasons(b"adi\xf3s", 7), 1);
    }

    #[test]
    fn a_reason_that_breaks_off_inside_a_letter_is_wrong_only_where_all_of_it_is_there() {
        assert_eq!(reasons(b"adi\xc3", 6), 1);
        assert_eq!(reasons(b"adi\xc3", 8), 0);
    }
}
