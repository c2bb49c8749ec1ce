//! `res-head-incomplete`.

use super::support::{FROM_SERVER, REQUEST_FAULTS, tcp_ended};
use crate::model::{Direction, Exchange, LineFaults, Mechanism, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "res-head-incomplete",
    severity: Severity::Error,
    title: "the response head breaks off",
    about: "The connection ended before the empty line that ends a head (RFC 9112 §2.1), and the capture lost no \
        byte. A client has to treat the message as incomplete and fail.",
    refs: &["RFC 9112 §2.1", "RFC 9112 §8"],
    causes: &[
        "the server crashed or was stopped while it answered",
        "the server forgot the empty line behind its last field",
        "a proxy cut the answer off: a limit, or a time-out",
    ],
    fix: None,
    explains: &[Explains::Unanswered, Explains::Refused, Explains::Redirected],
    symptom_of: REQUEST_FAULTS,
    check: Check::Exchange(check),
};

/// Whether the response head was cut by the end of its connection, not by the capture.
pub(in crate::rules) fn breaks_off(x: &Exchange) -> bool {
    let limit = LineFaults(LineFaults::TOO_MANY.0 | LineFaults::TOO_LARGE.0);
    let quality = x.quality;
    x.response.as_ref().is_some_and(|r| !r.complete && !r.faults.has(limit))
        && !quality.response_gap
        && !quality.snapped
        && tcp_ended(x)
}

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    let Some(head) = x.response.as_ref().filter(|_| x.mechanism != Mechanism::None && breaks_off(x)) else { return };
    let who = if x.end.tcp_by == Some(Direction::ClientToServer) { "client" } else { "server" };
    let size = head.text.len();
    out.add(Text::own(format!("The response head breaks off after {size} bytes: the {who} closed the connection.")))
        .expected(Text::own("an empty line at the end of the head"))
        .found(Text::new().bytes(head.text.get(size.saturating_sub(32)..).unwrap_or_default()))
        .head(head, FROM_SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndHow;
    use crate::rules::response::testing::*;

    const HALF: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConn";

    #[test]
    fn a_head_cut_by_the_end_of_the_connection_is_found() {
        let x = ended(exchange(ASK, Some(HALF)), Direction::ServerToClient, EndHow::Fin, 30);
        assert_eq!(slugs(&RULE, &x), ["res-head-incomplete"]);
    }

    #[test]
    fn a_head_cut_by_the_capture_or_a_whole_one_is_not() {
        assert!(slugs(&RULE, &exchange(ASK, Some(HALF))).is_empty());
        let mut x = ended(exchange(ASK, Some(HALF)), Direction::ServerToClient, EndHow::Fin, 30);
        x.quality.snapped = true;
        assert!(slugs(&RULE, &x).is_empty());
        let x = ended(exchange(ASK, Some(GRANT)), Direction::ServerToClient, EndHow::Fin, 30);
        assert!(slugs(&RULE, &x).is_empty());
    }
}
