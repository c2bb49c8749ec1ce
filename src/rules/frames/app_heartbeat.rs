//! `app-heartbeat`.

use crate::base::Nanos;
use crate::model::{Beat, Direction, Evidence, Exchange, Period, Severity, Text};
use crate::products;
use crate::rules::frames::support::{BOTH, talk};
use crate::rules::{Check, Findings, Rule, Seen};
use crate::wire::websocket;

pub(super) static RULE: Rule = Rule {
    id: "app-heartbeat",
    severity: Severity::Info,
    title: "the application sends a heartbeat",
    about: "The same small message comes again and again, as libraries above WebSocket send it to keep a connection \
        alive and to see that the other side lives. What it is is told where it is known. Its period counts: a hop whose \
        idle limit is shorter cuts the connection between two.",
    refs: &["RFC 6455 §5.5.2", "RFC 6455 §5.6"],
    causes: &["a library above WebSocket, which has no Ping of its own in browsers, keeps the connection alive"],
    fix: None,
    explains: &[],
    symptom_of: &[],
    check: Check::Exchange(check),
};

/// How often a message that is not known must have come, and how regularly: the longest time between two at most
/// this part longer than the shortest, or this much.
const TIMES: u32 = 4;
const UNEVEN: i64 = 5;
const SLACK: Nanos = Nanos::from_secs(1);

/// How often a known one must have come.
const TIMES_KNOWN: u32 = 2;

/// What comes more often is no heartbeat but what the application is for.
const SHORTEST: Nanos = Nanos::from_secs(1);

fn check(x: &Exchange, _: &Seen, out: &mut Findings<'_>) {
    for from in BOTH {
        for beat in talk(x).map(|talk| talk.of(from).beats()).unwrap_or_default() {
            judge(x, from, beat, out);
        }
    }
}

fn judge(x: &Exchange, from: Direction, beat: &Beat, out: &mut Findings<'_>) {
    let Some(period) = beat.period.mean().filter(|mean| *mean >= SHORTEST) else { return };
    let agreed = x.response.as_ref().and_then(|head| head.first_value("sec-websocket-protocol"));
    let known = products::heartbeat(beat.opcode == websocket::TEXT, &beat.content, agreed);
    let often = if known.is_some() { TIMES_KNOWN } else { TIMES };
    if beat.period.count < often || known.is_none() && !is_even(&beat.period) {
        return;
    }
    let who = from.sender();
    let every = format!("every {:.1} s", period.as_secs_f64());
    let text = match known {
        Some(known) => format!("The {who} sends {} ({}) {every}.", known.what, known.protocol),
        None => format!("The {who} sends an equal message {every}."),
    };
    out.add(Text::own(text))
        .found(Text::new().bytes(&beat.content).say(format!(", {} times", beat.period.count)))
        .evidence(Evidence { at: beat.at, direction: Some(from), bytes: None });
}

/// Whether it came by a clock.
fn is_even(period: &Period) -> bool {
    let uneven = period.longest.0.saturating_sub(period.shortest.0);
    uneven <= (period.shortest.0 / UNEVEN).max(SLACK.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PacketRef;
    use crate::rules::frames::testing::*;
    use crate::rules::testing::{exchange, granted, words};

    /// The server says this at these seconds.
    fn said(opcode: u8, content: &[u8], seconds: &[i64]) -> Exchange {
        let mut period = Period::default();
        seconds.iter().for_each(|s| period.add(later(*s)));
        let mut x = talked();
        rare(&mut x, SERVER).beats.push(Beat { opcode, content: content.into(), period, at: PacketRef::new(0, 40) });
        x
    }

    fn told(x: &Exchange) -> String {
        found(&RULE, x).first().map(|f| words(&f.message)).unwrap_or_default()
    }

    #[test]
    fn known_ones_are_named_with_their_period() {
        assert_eq!(told(&said(1, b"2", &[0, 25, 50])), "The server sends a ping (Engine.IO) every 25.0 s.");
        assert_eq!(told(&said(1, b"{\"type\":6}\x1e", &[0, 15])), "The server sends a ping (SignalR) every 15.0 s.");
        assert_eq!(told(&said(2, &[0xd0, 0], &[0, 60])), "The server sends a PINGRESP (MQTT) every 60.0 s.");
    }

    #[test]
    fn others_must_come_by_a_clock() {
        assert_eq!(told(&said(1, b"tick", &[0, 10, 20, 30])), "The server sends an equal message every 10.0 s.");
        for seconds in [&[0, 10, 20][..], &[0, 10, 12, 30], &[0, 0, 1, 1]] {
            assert_eq!(told(&said(1, b"tick", seconds)), "", "{seconds:?}");
        }
    }

    #[test]
    fn text_and_bytes_are_not_the_same() {
        assert_eq!(told(&said(2, b"2", &[0, 25, 50])), "");
    }

    #[test]
    fn what_belongs_to_an_agreed_protocol_is_named_by_it() {
        let mut x = said(1, b"{\"type\":\"ping\"}", &[0, 12, 24]);
        assert_eq!(told(&x), "", "anybody may say so");
        let answer = granted().replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n");
        x.response = exchange(crate::rules::testing::GOOD, Some(&answer)).response;
        assert_eq!(told(&x), "The server sends a ping (GraphQL over WebSocket) every 12.0 s.");
    }
}
