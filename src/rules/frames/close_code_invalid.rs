//! `close-code-invalid`.

use crate::model::{Direction, Exchange, SentClose, Severity, Text};
use crate::rules::frames::support::{BOTH, NO_FRAMES, SENDER, bytes, talk};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "close-code-invalid",
    severity: Severity::Error,
    title: "a Close has a code that must not be sent",
    about: "A Close carries nothing, or a code of two bytes and a reason. On the wire a code is one of 1000 to 1003 and \
        1007 to 1014, or of 3000 to 4999; 1005, 1006 and 1015 are what programs are told where there was none, and never \
        sent. Who gets another one, or a Close of one byte, fails the connection with 1002.\n\nA Close without a code is \
        right: programs are told 1005.",
    refs: &["RFC 6455 §7.4.1", "RFC 6455 §7.4.2", "RFC 6455 §5.5.1"],
    causes: &[
        "the application closes with the code that it was told by the other side, 1005 or 1006",
        "the code is a number of the application's own below 3000, a status of HTTP for example",
        "the code is written in the wrong byte order, or as one byte",
    ],
    fix: SENDER,
    explains: &[Explains::Ended],
    symptom_of: NO_FRAMES,
    check: Check::Exchange(check),
};

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for from in BOTH {
        if let Some(close) = talk(x).and_then(|talk| talk.of(from).close()) {
            judge(from, close, out);
        }
    }
}

/// `HTTP/1.` read as a frame: a Close, by its first byte, whose code is `TP`.
const HTTP_AS_CODE: u16 = u16::from_be_bytes(*b"TP");

fn judge(from: Direction, close: &SentClose, out: &mut Findings<'_>) {
    let who = from.sender();
    if close.code == Some(HTTP_AS_CODE) && close.reason.starts_with(b"/1.") {
        let line = close.reason.split(|&b| b == b'\r').next().unwrap_or_default();
        out.add(Text::own(format!("The {who} wrote an answer of HTTP into the WebSocket: HTTP")).bytes(line).say("."))
            .expected(Text::own("frames"))
            .found(Text::own("HTTP"))
            .evidence(bytes(from, close.at, close.offset, close.length))
            .cause("its program failed behind the 101, and the server it runs in answered with an error page")
            .cause("the server that it runs in does not know that the connection was upgraded, and timed it out");
        return;
    }
    let (text, found) = match close.code {
        None if close.payload == 1 => {
            (format!("The {who} sent a Close of one byte, which is no code."), "1 byte".to_owned())
        }
        Some(code) if !may_be_sent(code) => {
            (format!("The {who} closed with {code}, which must not be sent{}.", why(code)), code.to_string())
        }
        _ => return,
    };
    out.add(Text::own(text))
        .expected(Text::own("no code, or one of 1000 to 1003, 1007 to 1014, 3000 to 4999"))
        .found(Text::own(found))
        .evidence(bytes(from, close.at, close.offset, close.length));
}

/// RFC 6455 §7.4, with what IANA's registry has assigned since.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn why(code: u16) -> &'static str {
    match code {
        1005 => ": it stands for a Close without a code",
        1006 => ": it stands for an end without a Close",
        1015 => ": it stands for a failed TLS handshake",
        0..1000 => ": codes begin at 1000",
        5000.. => ": codes end at 4999",
        _ => ": it is reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::words;

    fn told(from: Direction, code: Option<u16>, payload: u32) -> String {
        let mut x = talked();
        rare(&mut x, from).close =
            Some(Box::new(SentClose { code, payload, length: payload + 2, ..SentClose::default() }));
        found(&RULE, &x).first().map(|f| words(&f.message)).unwrap_or_default()
    }

    #[test]
    fn codes_that_must_not_be_sent_are_told() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
            assert!(!told(SERVER, Some(code), 2).is_empty(), "{code}");
        }
        let all = "The client closed with 1006, which must not be sent: it stands for an end without a Close.";
        assert_eq!(told(CLIENT, Some(1006), 2), all);
    }

    #[test]
    fn all_others_no_code_and_a_lost_one_are_right() {
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert_eq!(told(SERVER, Some(code), 2), "");
        }
        assert_eq!(told(SERVER, None, 0), "");
        assert_eq!(told(SERVER, None, 2), "", "it was not captured");
    }

    #[test]
    fn an_answer_of_http_in_the_tunnel_is_told_as_what_it_is() {
        let mut x = talked();
        let reason = b"/1.1 500 Internal Server Error".as_slice().into();
        rare(&mut x, SERVER).close =
            Some(Box::new(SentClose { code: Some(HTTP_AS_CODE), reason, ..SentClose::default() }));
        let found = found(&RULE, &x);
        assert!(
            words(&found[0].message).starts_with("The server wrote an answer of HTTP into the WebSocket: HTTP/1.1 500")
        );
    }

    #[test]
    fn one_byte_is_no_code() {
        assert_eq!(told(SERVER, None, 1), "The server sent a Close of one byte, which is no code.");
    }
}
