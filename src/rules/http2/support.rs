//! What several rules of this folder ask.

use crate::model::{Direction, Exchange, LineFaults, Mechanism, Stream, StreamEnd, Text};
use crate::rules::Explains;
use crate::wire::h2;

pub(super) const FROM_CLIENT: Direction = Direction::ClientToServer;
pub(super) const FROM_SERVER: Direction = Direction::ServerToClient;

/// What a fault of the request, or of what was announced for it, can explain.
pub(super) const FAILURES: &[Explains] = &[Explains::Refused, Explains::Broken, Explains::Unanswered];

/// An extended CONNECT for WebSocket, and its stream.
pub(super) fn connect(x: &Exchange) -> Option<&Stream> {
    let asks = x.mechanism == Mechanism::Http2ExtendedConnect && x.is_websocket();
    x.stream.as_deref().filter(|_| asks)
}

/// A request with the fields of HTTP/1.1's handshake, in HTTP/2, and its stream.
pub(super) fn handshake_of_http1(x: &Exchange) -> Option<&Stream> {
    let asks = x.mechanism == Mechanism::Http1Upgrade && x.is_websocket();
    x.stream.as_deref().filter(|_| asks)
}

/// Whether all fields of the request are known: only then is one that is not there missing.
pub(super) fn request_whole(x: &Exchange) -> bool {
    let cut = LineFaults(LineFaults::TOO_MANY.0 | LineFaults::TOO_LARGE.0 | LineFaults::BAD_CODING.0);
    x.request.complete && !x.quality.request_gap && !x.request.faults.has(cut)
}

/// Who refused the stream itself, by RST_STREAM, by GOAWAY or by closing the connection behind one, without an answer.
pub(in crate::rules) fn refused_by(x: &Exchange) -> Option<Direction> {
    let stream = x.stream.as_ref().filter(|_| x.response.is_none() && !x.quality.response_gap)?;
    match stream.end? {
        StreamEnd::Reset(by) | StreamEnd::GoAway(by) => Some(by),
        StreamEnd::Closed { goaway } => goaway,
        StreamEnd::Ended => None,
    }
}

/// `RST_STREAM PROTOCOL_ERROR`, `GOAWAY`, …
pub(super) fn ending(stream: &Stream) -> String {
    let frame = match stream.end {
        Some(StreamEnd::Reset(_)) => "RST_STREAM",
        Some(StreamEnd::GoAway(_) | StreamEnd::Closed { .. }) => "GOAWAY",
        Some(StreamEnd::Ended) | None => "END_STREAM",
    };
    match stream.code {
        Some(code) => match h2::error_name(code) {
            Some(name) => format!("{frame} {name}"),
            None => format!("{frame} with code {code}"),
        },
        None => frame.to_owned(),
    }
}

/// `200`, or what stands there.
pub(super) fn status(x: &Exchange) -> Text {
    match x.status() {
        Some(status) => Text::own(status.to_string()),
        None => Text::own("no readable status"),
    }
}

/// `client`, `server`.
pub(super) fn name(by: Direction) -> &'static str {
    match by {
        Direction::ClientToServer => "client",
        Direction::ServerToClient => "server",
    }
}
