//! `mask-missing`.

use crate::model::{Exchange, FaultClass, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "mask-missing",
    severity: Severity::Error,
    title: "the client sends frames without a mask",
    about: "A client masks every frame it sends, so that what it says can never be taken for HTTP by an old proxy on \
        the way (RFC 6455 §10.3). A server must close the connection when it gets one that is not masked, usually with \
        1002.",
    refs: &["RFC 6455 §5.1", "RFC 6455 §5.3", "RFC 6455 §10.3"],
    causes: &[
        "the client writes its frames by hand, or with a library in its server mode",
        "a proxy takes the frames apart and writes them anew without a mask",
        "something other than the client speaks on its connection",
    ],
    fix: Some(FaultClass::Client),
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::MaskMissing) {
        let close = x.talk.as_deref().and_then(|talk| talk.of(it.from).close());
        // A proxy that ends a tunnel writes its own Close, and some forget that they are a client here. The other side
        // closes as it would have anyway.
        let is_last = close.is_some_and(|close| close.offset == it.fault.offset) && it.fault.count <= 1;
        it.tell(out, if is_last { "sent its Close without a mask" } else { "sent a frame without a mask" })
            .severity(if is_last { Severity::Info } else { Severity::Error })
            .expected(Text::own("the mask bit and a key of 4 bytes"))
            .found(Text::own("a frame whose mask bit is 0"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn only_the_client_must_mask() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::MaskMissing, 0));
        assert_eq!(words(&found[0].message), "The client sent a frame without a mask.");
        assert_eq!(found[0].evidence[0].bytes, Some(900..906));
        assert!(super::super::testing::found(&RULE, &talked()).is_empty());
    }

    #[test]
    fn a_close_without_a_mask_ends_what_was_at_its_end_anyway() {
        let x = spoken(CLIENT, FrameFaultKind::MaskMissing, 0);
        let closed = |moved: u64| {
            let mut x = x.clone();
            let offset =
                x.talk.as_deref().and_then(|talk| talk.of(CLIENT).fault(FrameFaultKind::MaskMissing)).map(|f| f.offset);
            close(&mut x, CLIENT, Some(1001), 9);
            let sent = x.talk.as_mut().and_then(|talk| talk.client.rare.as_mut()?.close.as_mut());
            sent.into_iter().for_each(|sent| sent.offset = offset.unwrap_or_default() + moved);
            found(&RULE, &x)[0].severity
        };
        assert_eq!((closed(0), closed(1)), (Severity::Info, Severity::Error));
    }
}
