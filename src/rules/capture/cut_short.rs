//! A file that ends inside its last packet.

use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-cut-short",
    severity: Severity::Warning,
    title: "the capture file ends inside a packet",
    about: "The last packet is not whole: the capture was copied while it was being written, or the \
        capturing program was killed; or it is compressed, and its compressed data is cut anywhere. All packets \
        before it were read; connections that were open then have no end in view.",
    refs: &[],
    causes: &[
        "the file was copied while it was being written",
        "the capturing program was killed or the disk was full",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    let Some(missing) = input.cut_short else { return };
    if let (true, Some(compression)) = (input.packed_cut, input.compression) {
        let packets = input.packets;
        let message = format!("The {compression} data of the file is cut: {packets} packets before the cut were read.");
        out.add(Text::own(message));
        return;
    }
    let message = format!("The file ends inside a packet, behind {} whole ones", input.packets);
    let message = if missing == 0 { format!("{message}.") } else { format!("{message}; {missing} bytes are missing.") };
    out.add(Text::own(message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{run_input, words};

    #[test]
    fn a_cut_is_told() {
        assert_eq!(run_input(&RULE, &InputFacts { cut_short: Some(12), ..InputFacts::default() }).len(), 1);
        assert_eq!(run_input(&RULE, &InputFacts { cut_short: Some(0), ..InputFacts::default() }).len(), 1);
    }

    #[test]
    fn a_cut_of_the_compressed_data_is_told_as_such() {
        let facts =
            InputFacts { compression: Some("xz"), packed_cut: true, cut_short: Some(0), ..InputFacts::default() };
        assert!(words(&run_input(&RULE, &facts)[0].message).contains("The xz data of the file is cut"));
    }

    #[test]
    fn a_whole_file_raises_nothing() {
        assert!(run_input(&RULE, &InputFacts::default()).is_empty());
    }
}
