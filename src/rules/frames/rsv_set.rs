//! `rsv-set`.

use crate::model::{Exchange, FrameFaultKind, Severity, Text};
use crate::rules::frames::support::{NO_FRAMES, SENDER, each};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "rsv-set",
    severity: Severity::Error,
    title: "a reserved bit is set that no extension gave a meaning",
    about: "RSV1 to RSV3 are 0 unless an extension was agreed on that uses them. No common extension uses RSV2 and \
        RSV3. Who gets such a frame must fail the connection, usually with 1002.",
    refs: &["RFC 6455 §5.2", "RFC 6455 §9.1"],
    causes: &[
        "the sender writes its frames by hand, or has lost its place in them: what stands here is no header",
        "an extension is used that was not agreed on",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for it in each(x, FrameFaultKind::RsvSet) {
        it.tell(out, &format!("sent a frame with {} set", bits(it.fault.detail)))
            .expected(Text::own("RSV2 and RSV3 are 0"))
            .found(Text::own(format!("{} set", bits(it.fault.detail))));
    }
}

/// Names of these bits, of RSV1 to RSV3 as bits 2 to 0.
fn bits(rsv: u64) -> String {
    let names = [(0b100, "RSV1"), (0b010, "RSV2"), (0b001, "RSV3")];
    let set: Vec<&str> = names.into_iter().filter(|(bit, _)| rsv & bit != 0).map(|(_, name)| name).collect();
    match set.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => set.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    #[test]
    fn the_bits_are_named() {
        let found = found(&RULE, &spoken(SERVER, FrameFaultKind::RsvSet, 0b111));
        assert_eq!(words(&found[0].message), "The server sent a frame with RSV1, RSV2 and RSV3 set.");
    }

    #[test]
    fn one_bit_is_named() {
        let found = found(&RULE, &spoken(CLIENT, FrameFaultKind::RsvSet, 0b001));
        assert_eq!(words(&found[0].message), "The client sent a frame with RSV3 set.");
    }
}
