//! `lost-between`.

use super::mtu_black_hole;
use super::support::{name, spell};
use crate::base::Nanos;
use crate::model::{Confidence, Direction, Evidence, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "lost-between",
    severity: Severity::Error,
    title: "what one side sent was lost between the two places that were captured",
    about: "This leg was captured at two places. What one side sent passed the place nearer to it, again and again, and \
        never came to the other, which went on capturing: a firewall, a router or an address translation between the \
        two drops it. Neither end is at fault.\n\nWhere large packets alone are lost, it is their size: a link with \
        a smaller MTU, and no ICMP that says so. Where all is lost from some time on, a box has forgotten the \
        connection. Where a reset in the receiver's name came to the sender, the box ended it on purpose.",
    refs: &["RFC 5382 §5", "RFC 2923 §2.1"],
    causes: &[
        "a firewall or address translation between the two places forgot the connection: idle, restarted, failed over",
        "packets are too large for a link between the two places, and no ICMP says so (MTU black hole)",
        "a filter between the two places drops what it does not like",
    ],
    fix: None,
    explains: &[Explains::Ended, Explains::Unanswered, Explains::Refused, Explains::Broken],
    symptom_of: &["rst-injected"],
    check: Check::Exchange(check),
};

/// A silence worth a word.
const LONG: Nanos = Nanos::from_millis(1_500);

const TOO_LARGE: &str = RULE.causes[1];
const FILTER: &str = RULE.causes[2];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(lost) = x.twice.as_ref().and_then(|twice| twice.lost) else { return };
    let (sender, receiver) = match lost.from {
        Direction::ClientToServer => (name(lost.from), name(Direction::ServerToClient)),
        Direction::ServerToClient => (name(lost.from), name(Direction::ClientToServer)),
    };
    let (what, found) = match lost.frames {
        0 if lost.from == Direction::ClientToServer => ("the request was".to_owned(), "no request".to_owned()),
        0 => ("the answer was".to_owned(), "no answer".to_owned()),
        1 => (format!("the last frame of the {sender} was"), "1 frame less".to_owned()),
        frames => (format!("the last {frames} frames of the {sender} were"), format!("{frames} frames less")),
    };
    let what = match lost.quiet {
        quiet if quiet >= LONG => format!("After {} of silence {what}", spell(quiet)),
        _ => what.replacen('t', "T", 1),
    };
    let reset = match lost.forged {
        true => format!(", and the {sender} got a reset that the {receiver} never sent"),
        false => String::new(),
    };
    let text = format!(
        "{what} captured near the {sender} and never came to the other place of capture, near the {receiver}{reset}: \
         something between {} and {} drops what the {sender} sends.",
        x.client.ip, x.server.ip,
    );
    let told = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("the same bytes at both places"))
        .found(Text::own(found))
        .evidence(Evidence { at: lost.at, direction: Some(lost.from), bytes: None });
    if lost.forged {
        told.cause(FILTER);
    } else if lost.frames == 0 && lost.from == Direction::ClientToServer {
        let length = x.request.range.end.saturating_sub(x.request.range.start);
        told.cause(if length >= u64::from(mtu_black_hole::LARGE) { TOO_LARGE } else { FILTER });
    } else if mtu_black_hole::is_seen(x, lost.from) {
        told.cause(TOO_LARGE);
    } else if lost.frames == 0 {
        // Answers that grant an upgrade are short.
        told.cause(FILTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::model::{Lost, Twice};
    use crate::rules::testing::{GOOD, With as _, exchange, fires, granted, run, words};

    fn told(from: Direction, frames: u32, quiet: Nanos) -> String {
        let x = exchange(GOOD, Some(&granted())).with(|x| {
            let lost =
                Some(Lost { from, frames, at: PacketRef::new(1, 9), quiet, forged: quiet > Nanos::from_secs(9) });
            x.twice = Some(Box::new(Twice { names: Vec::new(), lost }));
        });
        words(&run(&RULE, &x)[0].message)
    }

    #[test]
    fn what_was_lost_and_where_is_told() {
        assert!(
            told(Direction::ClientToServer, 3, Nanos::ZERO)
                .starts_with("The last 3 frames of the client were captured near")
        );
        assert!(
            told(Direction::ServerToClient, 0, Nanos::ZERO)
                .starts_with("The answer was captured near the server and never came")
        );
    }

    #[test]
    fn a_silence_before_it_is_told_since_boxes_forget_in_it() {
        let said = told(Direction::ServerToClient, 1, Nanos::from_secs(4));
        assert!(said.starts_with("After 4.0 s of silence the last frame of the server was captured near"), "{said}");
        let forged = told(Direction::ServerToClient, 1, Nanos::from_secs(10));
        assert!(
            forged.contains("near the client, and the server got a reset that the client never sent: "),
            "{forged}"
        );
    }

    #[test]
    fn a_leg_whose_copies_are_alike_is_not() {
        assert!(!fires(&RULE, &exchange(GOOD, Some(&granted()))));
        let names = exchange(GOOD, None).with(|x| x.twice = Some(Box::default()));
        assert!(!fires(&RULE, &names));
    }
}
