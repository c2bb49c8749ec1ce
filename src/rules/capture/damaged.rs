//! A file that could not be read in places.

use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-damaged",
    severity: Severity::Warning,
    title: "the capture file is damaged",
    about: "Part of the file is no packet. Reading went on at the next place that looks like one, so \
        packets in between are missing, and what they would have shown is unknown.",
    refs: &[],
    causes: &["the file was damaged in transfer (text mode, a broken disk)", "two programs wrote into the same file"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    let Some(first) = input.damage.first() else { return };
    if let Some(why) = input.broke_off() {
        let place = format!("behind packet {}", input.packets);
        out.add(Text::own(format!("The capture broke off {place}: ")).bytes(why.as_bytes()).say("."))
            .found(Text::own(place));
        return;
    }
    let lost = input.damage.iter().fold(0_u64, |sum, d| sum.saturating_add(d.lost_bytes));
    let place = format!("packet {} at byte {}{}", first.packet, first.byte, input.of_what());
    let more = match input.damage.len() - 1 {
        0 => String::new(),
        1 => ", and one more place".to_owned(),
        more => format!(", and {more} more places"),
    };
    out.add(
        Text::own(format!("The file is damaged at {place} ("))
            .bytes(first.why.as_bytes())
            .say(format!("){more}; {lost} bytes were passed over.")),
    )
    .found(Text::own(place));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Damage;
    use crate::rules::testing::{run_input, words};

    #[test]
    fn damage_is_told_with_its_first_place() {
        let damage = Damage { packet: 7, byte: 900, why: "length 3 is impossible".to_owned(), lost_bytes: 40 };
        let input = InputFacts { damage: vec![damage.clone(), damage], format: "pcap", ..InputFacts::default() };
        let found = run_input(&RULE, &input);
        assert_eq!(found.len(), 1);
        let message = words(&found[0].message);
        assert!(
            message.contains("packet 7 at byte 900") && message.contains("one more") && message.contains("80 bytes")
        );
    }

    #[test]
    fn a_device_that_went_away_is_no_damaged_file() {
        let damage = Damage { packet: 8, byte: 0, why: "it went away".to_owned(), lost_bytes: 0 };
        let input = InputFacts { damage: vec![damage], format: "live", packets: 7, ..InputFacts::default() };
        let message = words(&run_input(&RULE, &input)[0].message);
        assert_eq!(message, "The capture broke off behind packet 7: it went away.");
    }

    #[test]
    fn a_sound_file_raises_nothing() {
        assert!(run_input(&RULE, &InputFacts::default()).is_empty());
    }
}
