//! `h2-stream-ended-no-close`.

use super::support::{connect, ending, name};
use crate::model::{EndHow, Evidence, Exchange, Severity, StreamEnd, Text};
use crate::rules::ends::{CAUSES, cut_by, is_probe, spans};
use crate::rules::rule::both;
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "h2-stream-ended-no-close",
    severity: Severity::Warning,
    title: "the stream of a WebSocket ended without a Close frame",
    about: "One side ended the stream (END_STREAM), reset it (RST_STREAM, as TCP's RST), or ended the connection under \
        it, and nobody had sent a Close frame. The program on the other side learns no reason; a browser reports code \
        1006.\n\nIt is a note where the client leaves without ever having sent a frame.",
    refs: &["RFC 8441 §5", "RFC 6455 §7.1.1", "RFC 9113 §6.4"],
    causes: &[
        "the program ended, crashed, or was restarted",
        "a proxy gave up, or passes the end of its other leg on",
        "its library closes the stream without the closing handshake",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &both::<{ CAUSES.len() + OWN.len() }>(CAUSES, OWN),
    check: Check::Exchange(check),
};

const OWN: &[&str] = &["client-abandoned", "end-half-closed", "h2-end-stream-early", "h2-flow-stall"];

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let (Some(stream), Some(by)) = (connect(x), cut_by(x)) else { return };
    let how = match (stream.end, x.end.tcp_how) {
        (Some(StreamEnd::Closed { .. }), EndHow::Rst) => "reset the connection".to_owned(),
        (Some(StreamEnd::Closed { .. }), _) if stream.side_ended.iter().all(Option::is_none) => {
            "closed the connection".to_owned()
        }
        (_, EndHow::Rst) => format!("ended the stream ({})", ending(stream)),
        _ => "ended the stream (END_STREAM)".to_owned(),
    };
    let found = out
        .add(Text::own(format!("The {} {how} without a Close frame{}.", name(by), spans(x))))
        .severity(if is_probe(x, by) { Severity::Info } else { Severity::Warning })
        .expected(Text::own("a Close frame before the end"))
        .found(Text::own("none from either side"));
    if let Some(at) = x.end.packet {
        found.evidence(Evidence { at, direction: Some(by), bytes: None });
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{FROM_CLIENT, FROM_SERVER};
    use super::super::testing::*;
    use super::*;

    #[test]
    fn an_end_of_the_stream_and_a_reset_are_found_with_their_sender() {
        let found = run(&RULE, &cut(FROM_SERVER, EndHow::Fin));
        assert!(words(&found[0].message).starts_with("The server ended the stream (END_STREAM) without a Close frame"));
        let reset = cut(FROM_CLIENT, EndHow::Rst).with(|x| {
            facts(x).end = Some(StreamEnd::Reset(FROM_CLIENT));
            facts(x).code = Some(8);
        });
        assert!(words(&run(&RULE, &reset)[0].message).starts_with("The client ended the stream (RST_STREAM CANCEL)"));
    }

    #[test]
    fn a_close_an_open_stream_and_a_refusal_are_no_case_of_it() {
        let closed = cut(FROM_SERVER, EndHow::Fin).with(|x| x.ws.iter_mut().for_each(|ws| ws.server.close = 1));
        assert!(!fires(&RULE, &closed) && !fires(&RULE, &granted()));
        assert!(!fires(&RULE, &stream(ASK, Some("403"))));
    }
}
