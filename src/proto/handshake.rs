//! Whether a TLS handshake came to its end, by the kinds and sizes of its first records: nothing of it has to be read.

use crate::base::{Nanos, PacketRef, Timestamp, limits};
use crate::model::{Broken, BrokenHow, Direction, EndHow, HandshakeStep, SealedRecord};
use crate::wire::tls::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};
use crate::wire::tls::{TLS_1_3, alert};

use super::sealed::alert_header;
use super::tls::Facts;

/// What of the hellos tells how the rest is to be read.
#[derive(Clone, Copy)]
pub(super) struct Hellos {
    /// The version chosen, as on the wire. `None`: no ServerHello was seen.
    version: Option<u16>,
    /// Bytes of a record that is an encrypted alert, where these are known for this cipher.
    alert: Option<u16>,
    /// The client sent data with its ClientHello (RFC 8446 §2.3).
    early: bool,
}

impl Hellos {
    pub(super) fn new(facts: &Facts) -> Hellos {
        let alert = alert_header(facts).map(|header| u16::from(header[4]));
        Hellos { version: facts.version, alert, early: facts.early_data.is_some() }
    }
}

/// What was seen of a handshake.
pub(super) struct Seen<'a> {
    pub hellos: Hellos,
    /// Protocols that the client offered (ALPN), in its order.
    pub alpn_offered: &'a [Box<[u8]>],
    /// The first records of client and server.
    pub sides: [&'a [SealedRecord]; 2],
    /// The first alert that was read and ends a connection.
    pub alert: Option<Fatal>,
    /// Who ended the connection first. `None`: nobody did.
    pub ended: Option<(Direction, EndHow, Timestamp, PacketRef)>,
}

/// An alert that ends a connection.
#[derive(Clone, Copy)]
pub(super) struct Fatal {
    pub by: Direction,
    pub description: u8,
    pub ts: Timestamp,
    pub at: PacketRef,
}

impl Fatal {
    /// `None`: with this level and description the connection may go on, or was closed in order.
    pub(super) fn new(by: Direction, said: [u8; 2], ts: Timestamp, at: PacketRef) -> Option<Fatal> {
        let (level, description) = alert::read(&said)?;
        (level == alert::FATAL && description != alert::CLOSE_NOTIFY).then_some(Fatal { by, description, ts, at })
    }
}

/// A server's alert this long behind the client's last word may be its end of an idle connection.
const ANSWERED: Nanos = Nanos::from_millis(limits::TLS_REFUSED_MS);

/// Body of a record with a Certificate message and none in it, in clear (RFC 5246 §7.4.2, §7.4.6).
const EMPTY_IN_CLEAR: u16 = 7;
/// The message that is encrypted in TLS 1.3 (RFC 8446 §4.4.2), with the byte of its content type.
const EMPTY_1_3: u16 = 8 + 1;

/// How the handshake was broken off. `None`: it was not, as far as can be seen.
pub(super) fn broken(seen: &Seen<'_>) -> Option<Broken> {
    let [client, server] = seen.sides;
    let Hellos { version, alert, early } = seen.hellos;
    let is_1_3 = version == Some(TLS_1_3);
    let data = |record: &&SealedRecord| record.kind == APPLICATION_DATA;
    let changed = |side: &[SealedRecord]| side.iter().any(|record| record.kind == CHANGE_CIPHER_SPEC);
    // The client's Finished is the first that it encrypts, unless it says an alert.
    let finished = match is_1_3 {
        true => client.iter().find(data).filter(|record| Some(record.bytes) != alert).map(|record| record.ts),
        false => client.iter().find(|record| record.kind == CHANGE_CIPHER_SPEC).map(|record| record.ts),
    };
    let after = match (version, finished) {
        (None, _) => HandshakeStep::ClientHello,
        (Some(_), None) => HandshakeStep::ServerHello,
        (Some(_), Some(_)) => HandshakeStep::ClientFinished,
    };
    let found = |by, how, ts, at| {
        let tag = alert.map_or(0, |alert| alert.saturating_sub(3));
        let empty = |record: &&SealedRecord| match is_1_3 {
            true => record.kind == APPLICATION_DATA && record.bytes == EMPTY_1_3 + tag,
            false => record.kind == HANDSHAKE && record.bytes == EMPTY_IN_CLEAR,
        };
        Broken {
            no_certificate: after > HandshakeStep::ClientHello && client.iter().find(empty).is_some(),
            alpn_offered: seen.alpn_offered.into(),
            ..Broken::new(by, how, after, (at, ts))
        }
    };
    if let Some(Fatal { by, description, ts, at }) = seen.alert {
        return Some(found(by, BrokenHow::Alert(description), ts, at));
    }
    let (by, how, ts, at) = seen.ended?;
    // What comes early is sent before all this (RFC 8446 §2.3).
    if version.is_none() || early {
        return None;
    }
    // It had gone before there was a certificate to look at.
    if by == Direction::ClientToServer && server.first().is_some_and(|record| record.ts > ts) {
        return None;
    }
    let how = if how == EndHow::Rst { BrokenHow::Rst } else { BrokenHow::Fin };
    // Who said first that nothing more comes ended it, whoever sent the first FIN.
    let goodbye = |record: &SealedRecord| if is_1_3 { Some(record.bytes) == alert } else { record.kind == ALERT };
    let left = |side: &[SealedRecord]| {
        let after = |record: &&SealedRecord| finished.is_some_and(|finished| record.ts > finished);
        side.last().filter(|record| goodbye(record)).filter(after).map(|record| record.ts)
    };
    let said = [(left(client), Direction::ClientToServer), (left(server), Direction::ServerToClient)];
    let first =
        said.into_iter().filter_map(|(said, by)| Some((said.filter(|said| *said <= ts)?, by))).min_by_key(|s| s.0);
    let (ts, by) = first.unwrap_or((ts, by));
    let by_client = by == Direction::ClientToServer;
    // A client that is content asks something, sooner or later.
    let soon = || finished.is_some_and(|finished| ts.since(finished) <= ANSWERED);
    let unused = || Broken { after: HandshakeStep::Complete, ..found(by, how, ts, at) };
    if !is_1_3 {
        // Of what was lost, data tell that both were done.
        let spoken = client.iter().chain(server).any(|record| data(&record));
        if !(spoken || changed(client) && changed(server)) {
            return Some(found(by, how, ts, at));
        }
        return (by_client && soon() && !client.iter().any(|record| data(&record))).then(unused);
    }
    let Some(finished) = finished else {
        // What it encrypts before its Finished is an alert; the server may be the first to close then.
        return Some(match client.iter().find(data) {
            Some(said) => found(Direction::ClientToServer, BrokenHow::SealedAlert, said.ts, at),
            None => found(by, how, ts, at),
        });
    };
    if by_client {
        // Its certificate, where it shows one, Finished, and close_notify are all that it encrypts.
        let own = |record: &&SealedRecord| data(record) && record.ts > finished && Some(record.bytes) != alert;
        return (soon() && client.iter().find(own).is_none()).then(unused);
    }
    // Behind Finished a server that grants sends tickets or an answer: one that refuses, an alert and nothing else.
    let mut behind = server.iter().filter(data).filter(|record| record.ts > finished);
    let (first, second) = (behind.next(), behind.next());
    let refused = |record: &&SealedRecord| alert == Some(record.bytes) && record.ts.since(finished) <= ANSWERED;
    let how = match first {
        None if soon() => how,
        Some(record) if refused(&record) && second.is_none() => BrokenHow::SealedAlert,
        _ => return None,
    };
    let empty = found(by, how, ts, at);
    // A connection that is given up before it was used ends so as well.
    empty.no_certificate.then_some(empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ClientToServer, ServerToClient};

    /// Records of kind and length, a millisecond apart.
    fn records(from: i64, all: &[(u8, u16)]) -> Vec<SealedRecord> {
        let at = |n: usize| Timestamp((from + n as i64) * 1_000_000);
        all.iter().enumerate().map(|(n, &(kind, bytes))| SealedRecord { ts: at(n), bytes, kind }).collect()
    }

    fn hellos(version: Option<u16>) -> Hellos {
        let suite = version.map(|version| if version == TLS_1_3 { 0x1301 } else { 0xc02f });
        Hellos::new(&Facts { version, suite, ..Facts::default() })
    }

    fn told(version: u16, client: &[(u8, u16)], server: &[(u8, u16)], by: Direction) -> Option<(BrokenHow, bool)> {
        let (client, server) = (records(10, client), records(20, server));
        let ended = Some((by, EndHow::Fin, Timestamp(90_000_000), PacketRef::new(0, 9)));
        let seen =
            Seen { hellos: hellos(Some(version)), alpn_offered: &[], sides: [&client, &server], alert: None, ended };
        broken(&seen).map(|broken| (broken.how, broken.no_certificate))
    }

    const SERVERS_1_3: &[(u8, u16)] = &[(22, 122), (20, 1), (23, 23), (23, 800), (23, 281), (23, 53)];

    #[test]
    fn a_handshake_that_both_sides_finished_is_not_broken() {
        let client = [(22, 200), (22, 37), (20, 1), (22, 40), (23, 300)];
        assert_eq!(told(0x0303, &client, &[(22, 80), (22, 900), (20, 1), (22, 40)], ClientToServer), None);
        let client = [(22, 200), (20, 1), (23, 53), (23, 300), (23, 19)];
        assert_eq!(told(TLS_1_3, &client, SERVERS_1_3, ClientToServer), None);
    }

    #[test]
    fn a_client_that_says_nothing_inside_and_leaves_at_once_may_not_like_the_certificate() {
        let client = records(10, &[(22, 200), (20, 1), (23, 53), (23, 19)]);
        let server = records(5, SERVERS_1_3);
        let after = |ms: i64, client: &[SealedRecord]| {
            let mut client = client.to_vec();
            client.iter_mut().last().into_iter().for_each(|last| last.ts = Timestamp(ms * 1_000_000));
            let ended = Some((ClientToServer, EndHow::Fin, Timestamp(ms * 1_000_000), PacketRef::new(0, 9)));
            let seen = Seen {
                hellos: hellos(Some(TLS_1_3)),
                alpn_offered: &[],
                sides: [&client, &server],
                alert: None,
                ended,
            };
            broken(&seen).map(|broken| broken.after)
        };
        assert_eq!(after(90, &client), Some(HandshakeStep::Complete));
        assert_eq!(after(9_000, &client), None, "it was kept open, not to be used in the end");
        let server_1_2 = [(22, 80), (22, 900), (20, 1), (22, 40)];
        let told_1_2 = |client: &[(u8, u16)]| told(0x0303, client, &server_1_2, ClientToServer);
        assert!(told_1_2(&[(22, 200), (22, 37), (20, 1), (22, 40), (21, 26)]).is_some());
    }

    #[test]
    fn a_client_that_leaves_upon_the_certificate_broke_it_off() {
        let server = [(22, 80), (22, 900), (22, 4)];
        assert_eq!(told(0x0303, &[(22, 200)], &server, ClientToServer), Some((BrokenHow::Fin, false)));
        assert_eq!(told(TLS_1_3, &[(22, 200), (20, 1)], SERVERS_1_3, ClientToServer), Some((BrokenHow::Fin, false)));
        let alert = [(22, 200), (20, 1), (23, 19)];
        assert_eq!(told(TLS_1_3, &alert, SERVERS_1_3, ClientToServer), Some((BrokenHow::SealedAlert, false)));
    }

    #[test]
    fn a_client_that_had_left_before_the_server_answered_saw_no_certificate() {
        let (client, server) = (records(1, &[(22, 200)]), records(600, SERVERS_1_3));
        let left = |ms: i64| {
            let ended = Some((ClientToServer, EndHow::Fin, Timestamp(ms * 1_000_000), PacketRef::new(0, 9)));
            let sides = [&*client, &*server];
            broken(&Seen { hellos: hellos(Some(TLS_1_3)), alpn_offered: &[], sides, alert: None, ended }).is_some()
        };
        assert!(left(900_000) && !left(500));
    }

    #[test]
    fn a_server_that_says_but_an_alert_to_an_empty_certificate_refused_it() {
        let client = [(22, 200), (20, 1), (23, 25), (23, 53)];
        let mut server = SERVERS_1_3.to_vec();
        let told_at = |server: &[(u8, u16)], client: &[(u8, u16)]| {
            let (client, mut server) = (records(10, client), records(5, server));
            if let Some(last) = server.last_mut() {
                last.ts = Timestamp(40_000_000);
            }
            let ended = Some((ServerToClient, EndHow::Fin, Timestamp(90_000_000), PacketRef::new(0, 9)));
            broken(&Seen {
                hellos: hellos(Some(TLS_1_3)),
                alpn_offered: &[],
                sides: [&client, &server],
                alert: None,
                ended,
            })
            .map(|broken| (broken.how, broken.after, broken.no_certificate))
        };
        server.push((23, 19));
        let refused = Some((BrokenHow::SealedAlert, HandshakeStep::ClientFinished, true));
        assert_eq!(told_at(&server, &client), refused);
        assert_eq!(told_at(&server, &[(22, 200), (20, 1), (23, 53)]), None, "it had none to show");
        server.insert(6, (23, 250));
        server.iter_mut().last().into_iter().for_each(|last| last.1 = 250);
        assert_eq!(told_at(&server, &client), None, "tickets");
    }

    #[test]
    fn an_alert_that_was_read_says_all() {
        let alert = Fatal::new(ServerToClient, [2, 70], Timestamp(5), PacketRef::new(0, 5));
        let none = [&[][..], &[][..]];
        let seen = Seen { hellos: hellos(None), alpn_offered: &[], sides: none, alert, ended: None };
        let told = broken(&seen).map(|broken| (broken.by, broken.how, broken.after));
        assert_eq!(told, Some((ServerToClient, BrokenHow::Alert(70), HandshakeStep::ClientHello)));
        assert!(broken(&Seen { alert: None, ..seen }).is_none(), "an alert of nobody");
        assert!(Fatal::new(ServerToClient, [1, 112], Timestamp(5), PacketRef::new(0, 5)).is_none(), "a warning");
        assert!(Fatal::new(ServerToClient, [2, 0], Timestamp(5), PacketRef::new(0, 5)).is_none(), "close_notify");
    }
}
