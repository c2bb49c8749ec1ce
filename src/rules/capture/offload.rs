//! Packets longer than the wire carries.

use crate::base::limits;
use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-offload",
    severity: Severity::Info,
    title: "packets are longer than an Ethernet carries",
    about: "The capture was taken where the network card has not yet cut what the machine sends, or has already \
        joined what it received (TSO, GSO, GRO, LRO); or the link has jumbo frames. Nothing is missing for it, \
        and no verdict suffers. On the wire these packets were several. In such a capture the sender's checksums \
        are often wrong as well, since the card fills them in last: hopscope never drops a segment for that.",
    refs: &[],
    causes: &[
        "segmentation offload of the machine that captured (`ethtool -k` shows it)",
        "an MTU above 1500 (loopback, jumbo frames)",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    let (few, longest) = (input.oversized, input.longest);
    if few == 0 {
        return;
    }
    let which = if few == 1 { "1 packet is".to_owned() } else { format!("{few} packets are") };
    out.add(Text::own(format!(
        "{which} longer than an Ethernet carries (up to {longest} bytes): captured before the network card cut them, \
         or after it joined them. Nothing is missing for it."
    )))
    .expected(Text::own(format!("at most {} bytes", limits::WIRE_BYTES)))
    .found(Text::own(format!("{longest} bytes")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_input, words};

    #[test]
    fn long_packets_are_told_once_for_an_input() {
        let found = run_input(&RULE, &InputFacts { oversized: 7, longest: 65_226, ..InputFacts::default() });
        assert_eq!(found.len(), 1);
        assert!(
            words(&found[0].message).starts_with("7 packets are longer than an Ethernet carries (up to 65226 bytes)")
        );
        let found = run_input(&RULE, &InputFacts { oversized: 1, longest: 9_014, ..InputFacts::default() });
        assert!(words(&found[0].message).starts_with("1 packet is longer"));
    }

    #[test]
    fn packets_that_fit_raise_nothing() {
        assert!(run_input(&RULE, &InputFacts { longest: 1_514, ..InputFacts::default() }).is_empty());
    }
}
