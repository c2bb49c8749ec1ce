//! What several rules of this folder ask of a tunnel's end, and how they word it.

use crate::base::Nanos;
use crate::model::{Direction, EndHow, Evidence, Exchange, Head, Period, Software};

pub(super) const FROM_SERVER: Direction = Direction::ServerToClient;
pub(super) const FROM_CLIENT: Direction = Direction::ClientToServer;

/// The 101 (2xx to an extended CONNECT) of a granted WebSocket. `None`: it is something else, and nothing here applies.
pub(in crate::rules) fn tunnel(x: &Exchange) -> Option<&Head> {
    x.granted().filter(|r| x.is_websocket() && (x.is_stream() || is_websocket(r)))
}

/// Other protocols have no Close frame. A 101 without the field is judged by other rules, and where a head breaks off in it
/// the rest may name WebSocket.
fn is_websocket(response: &Head) -> bool {
    let cut = || response.lines("upgrade").any(|field| response.is_cut(field));
    !response.has("upgrade") || response.upgrades_to_websocket() || cut()
}

/// Whether this side (any side) sent a Close frame.
pub(super) fn sent_close(x: &Exchange, by: Direction) -> bool {
    let counted = x.ws.is_some_and(|ws| if by == FROM_CLIENT { ws.client.close > 0 } else { ws.server.close > 0 });
    counted || x.end.how == EndHow::CloseFrame && x.end.by == Some(by)
}

pub(in crate::rules) fn closed(x: &Exchange) -> bool {
    x.end.how == EndHow::CloseFrame || sent_close(x, FROM_CLIENT) || sent_close(x, FROM_SERVER)
}

/// Who ended the TCP connection of a WebSocket without any Close frame before. `None`: it was not ended like that, or a
/// Close may have been among what is missing.
pub(in crate::rules) fn cut_by(x: &Exchange) -> Option<Direction> {
    // Whoever answers a Close that is not in view sends one itself; an RST may be the answer to anything.
    let fin = x.end.tcp_by == Some(FROM_SERVER) && x.end.tcp_how == EndHow::Fin;
    let unseen = x.quality.no_client_packets;
    if unseen && !fin {
        return None;
    }
    if x.ws.is_some_and(|ws| ws.client.lost && !unseen || ws.server.lost) {
        return None;
    }
    let ended = tunnel(x).is_some() && matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst);
    x.end.tcp_by.filter(|_| ended && !closed(x))
}

/// Frames that this side sent.
pub(super) fn frames(x: &Exchange, by: Direction) -> u32 {
    x.ws.map_or(0, |ws| if by == FROM_CLIENT { ws.client.frames } else { ws.server.frames })
}

/// Whether the client never used the tunnel: probes and command-line tools leave like that.
pub(in crate::rules) fn is_probe(x: &Exchange, by: Direction) -> bool {
    by == FROM_CLIENT && frames(x, FROM_CLIENT) == 0
}

/// What comes again and again on this leg, three times at least: Pings and small messages.
pub(in crate::rules) fn beats(x: &Exchange) -> impl Iterator<Item = &Period> {
    let talk = x.talk.as_deref();
    let sides = talk.into_iter().flat_map(|talk| [&talk.client, &talk.server]);
    let all = sides
        .flat_map(|side| side.pings().map(|p| &p.period).into_iter().chain(side.beats().iter().map(|b| &b.period)));
    all.filter(|period| period.count >= 3)
}

/// The packet that ended it.
pub(super) fn last_packet(x: &Exchange, by: Direction) -> Option<Evidence> {
    x.end.packet.map(|at| Evidence { at, direction: Some(by), bytes: None })
}

pub(super) fn name(by: Direction) -> &'static str {
    if by == FROM_CLIENT { "client" } else { "server" }
}

/// How far a timer may be off the second.
const OFF: i64 = Nanos::from_millis(50).0;

/// Whether a time is one that somebody set: whole seconds.
pub(in crate::rules) fn is_whole(time: Nanos) -> bool {
    let second = Nanos::from_secs(1).0;
    let rest = time.0.rem_euclid(second);
    rest <= OFF || rest >= second - OFF
}

/// As [`is_whole`], for the silence of a tunnel whose server is this software: nginx sets a timer that runs anew only
/// where that moves it by more than 300 ms (NGX_TIMER_LAZY_DELAY), so its limits strike as much too soon.
pub(super) fn is_whole_for(time: Nanos, software: Option<&Software>) -> bool {
    const LAZY: [&str; 4] = ["nginx", "openresty", "tengine", "ingress-nginx"];
    let second = Nanos::from_secs(1).0;
    let lazy = software.is_some_and(|software| LAZY.contains(&&*software.slug));
    is_whole(time) || lazy && time.0.rem_euclid(second) >= second - Nanos::from_millis(300).0
}

/// A length of time as a person says it: `31 ms`, `3.0 s`, `60 s`, `5 min`, `2 h`.
pub(in crate::rules) fn spell(length: Nanos) -> String {
    let ms = length.0 / 1_000_000;
    let tenths = length.0.saturating_add(50_000_000) / 100_000_000;
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..20_000 => format!("{}.{} s", tenths / 10, tenths % 10),
        20_000..120_000 => format!("{} s", (ms + 500) / 1_000),
        _ => {
            let s = (ms + 500) / 1_000;
            match (s / 3_600, s / 60 % 60, s % 60) {
                (0, min, 0) => format!("{min} min"),
                (0, min, s) => format!("{min} min {s} s"),
                (h, 0, 0) => format!("{h} h"),
                (h, min, _) => format!("{h} h {min} min"),
            }
        }
    }
}

/// `; open 3.0 s, the last byte 2.9 s before`, as far as it is known.
pub(in crate::rules) fn spans(x: &Exchange) -> String {
    let open = x.end.lifetime.map(|life| format!("open {}", spell(life)));
    let long = x.end.idle_before.filter(|idle| *idle >= Nanos::from_secs(1));
    let idle = long.map(|idle| format!("the last byte {} before", spell(idle)));
    let parts: Vec<String> = open.into_iter().chain(idle).collect();
    if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_a_person_says_them() {
        let said = |ms| spell(Nanos::from_millis(ms));
        let all = [31, 3_004, 9_960, 60_020, 300_000, 301_000, 3_600_000, 7_260_000].map(said);
        assert_eq!(all, ["31 ms", "3.0 s", "10.0 s", "60 s", "5 min", "5 min 1 s", "1 h", "2 h 1 min"]);
    }
}
