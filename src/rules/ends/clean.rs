//! `end-clean`.

use super::support::{FROM_CLIENT, FROM_SERVER, sent_close, tunnel};
use crate::base::limits;
use crate::model::{EndHow, Exchange, Severity, Text};
use crate::rules::{Check, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "end-clean",
    severity: Severity::Info,
    title: "the WebSocket was closed as it should be",
    about: "Both sides sent a Close frame, and then the TCP connection was closed: nobody cut it.",
    refs: &["RFC 6455 §7.1.2", "RFC 6455 §7.1.4"],
    causes: &["one of the programs was done"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    // Of very many it is told in numbers alone.
    if x.id.0 > limits::NOTED {
        return;
    }
    let both = sent_close(x, FROM_CLIENT) && sent_close(x, FROM_SERVER);
    if tunnel(x).is_some() && both && x.end.tcp_how == EndHow::Fin {
        out.add(Text::own("Both sides sent a Close frame, and the connection was closed."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ends::testing::*;

    #[test]
    fn both_close_frames_and_a_fin_are_clean() {
        assert!(fires(&RULE, &goodbye(1000)));
    }

    #[test]
    fn one_close_frame_a_reset_or_none_are_not() {
        assert!(!fires(&RULE, &cut(FROM_SERVER, EndHow::Fin, 3_000)));
        let mut one = goodbye(1000);
        one.ws.iter_mut().for_each(|ws| ws.client.close = 0);
        assert!(!fires(&RULE, &one));
        let mut reset = goodbye(1000);
        reset.end.tcp_how = EndHow::Rst;
        assert!(!fires(&RULE, &reset));
    }
}
