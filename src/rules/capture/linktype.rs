//! A capture whose kind of frames is not read.

use crate::model::{InputFacts, Severity, Text};
use crate::rules::{Check, Findings, Rule};

pub(super) static RULE: Rule = Rule {
    id: "cap-linktype",
    severity: Severity::Warning,
    title: "the capture holds frames of a kind that is not read",
    about: "A capture file names the kind of its frames by a number, the link type. hopscope reads those that \
        IP is carried in; packets of any other are passed over, and what they would have shown is unknown.",
    refs: &[],
    causes: &[
        "the capture was taken on a bus or a radio, such as USB or Bluetooth",
        "the wrong interface was captured: tcpdump -i any sees them all",
    ],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Input(check),
};

fn check(input: &InputFacts, out: &mut Findings<'_>) {
    for (name, number) in &input.unread_links {
        let link = in_words(name, number.0);
        out.add(Text::own(format!("{link} is not read: its packets were passed over."))).found(Text::own(link));
    }
}

/// `LINKTYPE_USB_LINUX (189)`.
fn in_words(name: &str, number: u16) -> String {
    format!("LINKTYPE_{} ({number})", name.trim_start_matches("LINKTYPE_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LinkType;
    use crate::rules::testing::{run_input, words};

    #[test]
    fn each_link_type_that_is_not_read_is_named() {
        let unread_links = vec![("USB_LINUX".to_owned(), LinkType(189)), ("LINKTYPE_999".to_owned(), LinkType(999))];
        let found = run_input(&RULE, &InputFacts { unread_links, ..InputFacts::default() });
        let messages: Vec<String> = found.iter().map(|f| words(&f.message)).collect();
        assert_eq!(
            messages,
            [
                "LINKTYPE_USB_LINUX (189) is not read: its packets were passed over.",
                "LINKTYPE_999 (999) is not read: its packets were passed over.",
            ]
        );
    }

    #[test]
    fn what_is_read_raises_nothing() {
        assert!(run_input(&RULE, &InputFacts::default()).is_empty());
    }
}
