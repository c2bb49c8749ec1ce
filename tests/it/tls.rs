//! The TLS layer against rustls: what was sent inside comes out, and nothing else.
#![allow(clippy::cast_possible_truncation, reason = "numbers of a test are small, or cut on purpose")]

use hopscope::base::{PacketRef, Timestamp};
use hopscope::model::Direction::{self, ClientToServer, ServerToClient};
use hopscope::proto::tls::{
    Alert, Blind, Early, Event, Failed, FailedWhy, Input, Lost, Said, Session, State, Tools, What,
};
use proptest::prelude::*;

use crate::support::cases;
use crate::support::tls::{Ends, Say, Talk, suite, suites};

/// A session, and all that it told.
pub(crate) struct Reader {
    pub tools: Tools,
    pub session: Session,
    pub plain: [Vec<u8>; 2],
    pub early: usize,
    pub lost: Vec<Lost>,
    pub alerts: Vec<Alert>,
    pub failed: Vec<Failed>,
    pub blind: Vec<Blind>,
    ends: [u64; 2],
    number: u64,
    buffer: Vec<u8>,
}

pub(crate) fn dir(client: bool) -> Direction {
    if client { ClientToServer } else { ServerToClient }
}

impl Reader {
    pub(crate) fn new(key_log: &str) -> Self {
        let mut tools = Tools::default();
        tools.secrets.read(key_log.as_bytes());
        Reader {
            tools,
            session: Session::new([0, 0]),
            plain: [Vec::new(), Vec::new()],
            early: 0,
            lost: Vec::new(),
            alerts: Vec::new(),
            failed: Vec::new(),
            blind: Vec::new(),
            ends: [0, 0],
            number: 0,
            buffer: Vec::new(),
        }
    }

    fn input(&mut self, client: bool, what: What<'_>) {
        self.number += 1;
        let offset = self.ends[usize::from(!client)];
        let (ts, at) = (Timestamp(self.number.cast_signed()), PacketRef::new(0, self.number));
        let mut input = Input { dir: dir(client), ts, at, offset, what };
        while let Some(event) = self.session.next(&mut self.tools, &mut input, &mut self.buffer) {
            match event {
                Event::Hello => {}
                Event::Data(data) => {
                    let side = usize::from(data.place.dir == ServerToClient);
                    let plain = &mut self.plain[side];
                    assert_eq!(data.offset, plain.len() as u64);
                    plain.extend_from_slice(&self.buffer[..data.length]);
                    self.early += usize::from(data.early) * data.length;
                    assert!(data.length > 0 && data.place.record.end > data.place.record.start);
                }
                Event::Lost(lost) => {
                    let side = usize::from(lost.dir == ServerToClient);
                    assert_eq!(lost.offset, self.plain[side].len() as u64);
                    let until = self.plain[side].len() + usize::try_from(lost.length).unwrap();
                    self.plain[side].resize(until, b'?');
                    self.lost.push(lost);
                }
                Event::Alert(alert) => self.alerts.push(alert),
                Event::Failed(failed) => self.failed.push(failed),
                Event::Blind(why) => self.blind.push(why),
            }
        }
    }

    pub(crate) fn push(&mut self, client: bool, bytes: &[u8]) {
        self.input(client, What::Data(bytes));
        self.ends[usize::from(!client)] += bytes.len() as u64;
    }

    pub(crate) fn gap(&mut self, client: bool, length: usize) {
        self.input(client, What::Gap(length as u64));
        self.ends[usize::from(!client)] += length as u64;
    }

    pub(crate) fn close(&mut self) {
        self.input(true, What::Close);
        self.input(false, What::Close);
    }

    fn said(&self) -> Vec<(Direction, Said)> {
        self.alerts.iter().map(|a| (a.place.dir, a.said)).collect()
    }
}

/// Reads a connection, each flight in one piece.
fn read(talk: &Talk, key_log: &str) -> Reader {
    let mut reader = Reader::new(key_log);
    for (client, bytes) in &talk.wire {
        reader.push(*client, bytes);
    }
    reader.close();
    reader
}

fn assert_whole(reader: &Reader, talk: &Talk) {
    assert!(
        reader.plain == talk.sent,
        "{:?} and not {:?}",
        reader.plain.each_ref().map(Vec::len),
        talk.sent.each_ref().map(Vec::len)
    );
    assert_eq!((&reader.lost, &reader.failed, &reader.blind), (&vec![], &vec![], &vec![]));
    assert_eq!(reader.tools.counted.failed, 0);
}

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: ends.example\r\nUpgrade: websocket\r\n\r\n";
const CLOSE_NOTIFY: Said = Said::Read { level: 1, description: 0 };

fn big(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[test]
fn every_suite_of_rustls_comes_out_as_it_was_sent() {
    let body = big(70_000);
    let steps = [
        Say::Client(REQUEST),
        Say::Server(&body),
        Say::Client(&body),
        Say::Server(b"x"),
        Say::Close(true),
        Say::Close(false),
    ];
    for suite in suites() {
        let talk = Ends::new(suite).talk(&[], &steps);
        let reader = read(&talk, &talk.key_log);
        assert_whole(&reader, &talk);
        let facts = reader.session.facts();
        // rustls spells it TLS13_…, the registry TLS_….
        let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        assert_eq!(facts.suite().unwrap().name, name);
        assert_eq!(facts.server_name.as_deref(), Some(&b"ends.example"[..]));
        assert_eq!(facts.alpn_offered, [b"h2"[..].into(), b"http/1.1"[..].into()]);
        assert_eq!(facts.alpn.as_deref(), Some(&b"http/1.1"[..]), "{name}");
        assert_eq!(facts.version, Some(u16::from(suite.version().version)));
        assert_eq!((facts.resumed, facts.hello_retry), (Some(false), false));
        assert_eq!(reader.said(), [(ClientToServer, CLOSE_NOTIFY), (ServerToClient, CLOSE_NOTIFY)], "{name}");
    }
}

#[test]
fn sessions_go_on_with_the_same_key_log() {
    for suite in suites() {
        let ends = Ends::new(suite);
        ends.talk(&[], &[Say::Client(REQUEST), Say::Server(b"one")]);
        let talk = ends.talk(&[], &[Say::Client(REQUEST), Say::Server(b"two")]);
        let reader = read(&talk, &talk.key_log);
        assert_whole(&reader, &talk);
        assert_eq!(reader.session.facts().resumed, Some(true), "{:?}", suite.suite());
    }
}

#[test]
fn a_second_hello_is_asked_for_and_all_is_read() {
    let talk = Ends::that_retry(suite("TLS13_AES_256")).talk(&[], &[Say::Client(REQUEST), Say::Server(b"ok")]);
    let reader = read(&talk, &talk.key_log);
    assert_whole(&reader, &talk);
    assert!(reader.session.facts().hello_retry);
}

#[test]
fn early_data_that_is_accepted_is_shown_once_and_named() {
    let ends = Ends::new(suite("TLS13_AES_128"));
    ends.talk(&[], &[Say::Client(REQUEST), Say::Server(b"one")]);
    let talk = ends.talk(REQUEST, &[Say::Server(b"two"), Say::Client(b"more")]);
    let reader = read(&talk, &talk.key_log);
    assert_whole(&reader, &talk);
    assert_eq!(reader.session.facts().early_data, Some(Early::Accepted));
    assert_eq!(reader.early, REQUEST.len());
}

#[test]
fn early_data_that_is_refused_is_not_shown_and_no_failure() {
    let mut ends = Ends::new(suite("TLS13_AES_128"));
    ends.talk(&[], &[Say::Client(REQUEST), Say::Server(b"one")]);
    ends.refuse_early_data();
    let mut talk = ends.talk(REQUEST, &[Say::Server(b"two"), Say::Client(b"more")]);
    // Sent twice, taken once.
    assert!(talk.sent[0].starts_with(REQUEST));
    let reader = read(&talk, &talk.key_log);
    talk.sent[0] = [REQUEST, b"more"].concat();
    assert_whole(&reader, &talk);
    assert_eq!(reader.session.facts().early_data, Some(Early::Refused));
    assert_eq!((reader.early, reader.tools.counted.passed_over), (0, 1));
}

#[test]
fn early_data_without_its_secret_is_passed_over() {
    let ends = Ends::new(suite("TLS13_AES_128"));
    ends.talk(&[], &[Say::Client(REQUEST), Say::Server(b"one")]);
    let talk = ends.talk(REQUEST, &[Say::Server(b"two"), Say::Client(b"more")]);
    let log: String = talk.key_log.lines().filter(|l| !l.contains("EARLY")).map(|l| format!("{l}\n")).collect();
    let reader = read(&talk, &log);
    assert_eq!(reader.plain, [b"more".to_vec(), b"two".to_vec()]);
    assert_eq!(reader.failed, []);
}

#[test]
fn both_directions_change_their_keys() {
    let steps = [
        Say::Client(b"a"),
        Say::Rekey(true),
        Say::Client(b"b"),
        Say::Rekey(false),
        Say::Rekey(false),
        Say::Server(b"c"),
        Say::Rekey(true),
        Say::Client(b"d"),
        Say::Server(b"e"),
    ];
    for name in ["TLS13_AES_128", "TLS13_AES_256", "TLS13_CHACHA20"] {
        let talk = Ends::new(suite(name)).talk(&[], &steps);
        let reader = read(&talk, &talk.key_log);
        assert_whole(&reader, &talk);
        assert!(reader.plain[0].ends_with(b"bd"));
    }
}

/// A connection of TLS 1.2 and of 1.3, each with early data, retry and new keys where there are any.
fn rich(which: usize) -> Talk {
    let body = big(20_000);
    let steps = [Say::Client(REQUEST), Say::Server(&body), Say::Client(b"tail"), Say::Server(b"end"), Say::Close(true)];
    match which {
        0..3 => Ends::new(suite(
            ["TLS_ECDHE_ECDSA_WITH_AES_128", "TLS_ECDHE_ECDSA_WITH_AES_256", "TLS_ECDHE_ECDSA_WITH_CHACHA20"][which],
        ))
        .talk(&[], &steps),
        3 => Ends::that_retry(suite("TLS13_CHACHA20")).talk(&[], &steps),
        _ => {
            let ends = Ends::new(suite("TLS13_AES_256"));
            ends.talk(&[], &[Say::Client(b"1"), Say::Server(b"2")]);
            let steps =
                [Say::Rekey(true), Say::Client(&body), Say::Rekey(false), Say::Server(&body), Say::Client(b"tail")];
            ends.talk(REQUEST, &steps)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(64), ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_same_bytes_gives_the_same(which in 0..5_usize, cuts in prop::collection::vec(1..3_000_usize, 1..60)) {
        let talk = rich(which);
        let mut reader = Reader::new(&talk.key_log);
        let mut cuts = cuts.iter().cycle();
        for (client, flight) in &talk.wire {
            let mut rest = flight.as_slice();
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                reader.push(*client, piece);
                rest = later;
            }
        }
        reader.close();
        prop_assert_eq!(&reader.plain[0], &talk.sent[0]);
        prop_assert_eq!(&reader.plain[1], &talk.sent[1]);
        prop_assert_eq!(reader.tools.counted.failed, 0);
    }

    /// Whatever is lost, nothing that was not sent comes out, and what comes out stands where it stood.
    #[test]
    fn a_hole_anywhere_costs_no_more_than_it_must(which in 0..5_usize, client in any::<bool>(), at in 0.0..1.0_f64, length in 1..4_000_usize) {
        let talk = rich(which);
        let mut reader = Reader::new(&talk.key_log);
        let total: usize = talk.wire.iter().filter(|(c, _)| *c == client).map(|(_, b)| b.len()).sum();
        let from = (at * total as f64) as usize;
        let until = (from + length).min(total);
        let mut offset = 0;
        for (c, flight) in &talk.wire {
            if *c != client {
                reader.push(*c, flight);
                continue;
            }
            let here = |n: usize| n.clamp(offset, offset + flight.len()) - offset;
            let (a, b) = (here(from), here(until));
            reader.push(*c, &flight[..a]);
            if b > a {
                reader.gap(*c, b - a);
            }
            reader.push(*c, &flight[b..]);
            offset += flight.len();
        }
        reader.close();
        for (side, (plain, sent)) in reader.plain.iter().zip(&talk.sent).enumerate() {
            let lost: Vec<&Lost> = reader.lost.iter().filter(|l| usize::from(l.dir == ServerToClient) == side).collect();
            prop_assert!(lost.len() <= 1);
            if let [lost] = lost[..] {
                let (before, behind) = plain.split_at(usize::try_from(lost.offset).unwrap());
                let behind = &behind[usize::try_from(lost.length).unwrap()..];
                prop_assert!(sent.starts_with(before) && sent.ends_with(behind));
                prop_assert!(before.len() + behind.len() <= sent.len() && plain.len() >= sent.len());
                prop_assert!(!lost.exact || plain.len() == sent.len(), "{} and not {}", plain.len(), sent.len());
            } else if reader.blind.is_empty() {
                prop_assert!(plain == sent, "{} and not {}", plain.len(), sent.len());
            } else {
                prop_assert!(plain.is_empty());
            }
        }
        prop_assert!(reader.failed.is_empty());
    }
}

/// The records of one direction of a connection, as ranges of that direction's bytes.
fn records(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let n = 5 + usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]));
        found.push(at..at + n);
        at += n;
    }
    found
}

/// A connection on which the server sends ten letters, each in a record of its own, in its last flights.
fn letters(name: &str) -> Talk {
    let letters: Vec<Vec<u8>> = (b'a'..=b'j').map(|l| vec![l; 100]).collect();
    let steps: Vec<Say<'_>> = letters.iter().map(|l| Say::Server(l)).collect();
    Ends::new(suite(name)).talk(&[], &steps)
}

const NAMES: [&str; 4] =
    ["TLS_ECDHE_ECDSA_WITH_AES_128", "TLS_ECDHE_ECDSA_WITH_CHACHA20", "TLS13_AES_128", "TLS13_CHACHA20"];

#[test]
fn a_flipped_bit_costs_that_record_and_no_other() {
    for name in NAMES {
        let clean = letters(name);
        let last = clean.wire.iter().filter(|(c, _)| !c).count() - 1;
        // In the tag, and in the text.
        for (nth, from_end) in [(5, 1), (3, 30)] {
            let mut talk = clean.clone();
            let hit = last - nth;
            let flight = &mut talk.wire.iter_mut().filter(|(c, _)| !c).nth(hit).unwrap().1;
            let at = flight.len() - from_end;
            flight[at] ^= 0x10;
            let reader = read(&talk, &talk.key_log);
            assert_eq!(reader.failed.iter().map(|f| f.why).collect::<Vec<_>>(), [FailedWhy::Tag], "{name}");
            assert_eq!(reader.tools.counted.failed, 1);
            let mut expected = talk.sent[1].clone();
            expected[(9 - nth) * 100..(10 - nth) * 100].fill(b'?');
            assert_eq!(String::from_utf8(reader.plain[1].clone()), String::from_utf8(expected), "{name}");
            assert!(reader.lost.iter().all(|l| l.exact && l.length == 100));
        }
    }
}

#[test]
fn a_hole_over_several_records_is_told_to_the_byte() {
    for name in NAMES {
        let talk = letters(name);
        let server: Vec<u8> = talk.wire.iter().filter(|(c, _)| !c).flat_map(|(_, b)| b.clone()).collect();
        let data = records(&server).split_off(records(&server).len() - 10);
        // From the middle of b to the middle of e; then the rest comes in small pieces.
        let hole = data[1].start + 50..data[4].start + 20;
        let mut reader = Reader::new(&talk.key_log);
        let (mut offset, mut cut) = (0, false);
        for (client, flight) in &talk.wire {
            if *client {
                reader.push(true, flight);
                continue;
            }
            for byte in flight.chunks(1) {
                if !hole.contains(&offset) {
                    reader.push(false, byte);
                } else if !cut {
                    reader.gap(false, hole.len());
                    cut = true;
                }
                offset += 1;
            }
        }
        reader.close();
        let mut expected = talk.sent[1].clone();
        expected[100..500].fill(b'?');
        assert_eq!(String::from_utf8(reader.plain[1].clone()), String::from_utf8(expected), "{name}");
        assert_eq!(reader.lost.iter().map(|l| (l.length, l.exact)).collect::<Vec<_>>(), [(400, true)], "{name}");
        assert_eq!(reader.tools.counted.resynchronised, 1);
    }
}

#[test]
fn lost_key_updates_and_a_lost_end_of_the_handshake_are_got_over() {
    let steps = [Say::Server(b"before"), Say::Rekey(false), Say::Server(b"middle"), Say::Server(b"after")];
    let talk = Ends::new(suite("TLS13_AES_128")).talk(&[], &steps);
    let flights = talk.wire.iter().filter(|(c, _)| !c).count();
    for lost in [flights - 2, flights - 3, 0] {
        let mut reader = Reader::new(&talk.key_log);
        let mut seen = 0;
        for (client, flight) in &talk.wire {
            if !*client && seen == lost && lost > 0 {
                reader.gap(false, flight.len());
            } else if !*client && seen == 0 && lost == 0 {
                // All behind the ServerHello.
                let keep = records(flight)[0].end;
                reader.push(false, &flight[..keep]);
                reader.gap(false, flight.len() - keep);
            } else {
                reader.push(*client, flight);
            }
            seen += usize::from(!*client);
        }
        reader.close();
        assert!(reader.plain[1].ends_with(b"after"), "flight {lost}: {:?}", String::from_utf8_lossy(&reader.plain[1]));
    }
}

#[test]
fn a_lost_change_of_cipher_is_got_over() {
    let talk =
        Ends::new(suite("TLS_ECDHE_ECDSA_WITH_AES_128")).talk(&[], &[Say::Client(REQUEST), Say::Server(b"answer")]);
    let mut reader = Reader::new(&talk.key_log);
    for (n, (client, flight)) in talk.wire.iter().enumerate() {
        // The client's second flight has ClientKeyExchange, ChangeCipherSpec and Finished.
        if n == 2 {
            reader.gap(*client, flight.len());
        } else {
            reader.push(*client, flight);
        }
    }
    reader.close();
    assert!(reader.plain[0].ends_with(REQUEST) && reader.plain[1] == b"answer");
}

#[test]
fn wrong_secrets_show_nothing() {
    for suite in suites() {
        let talk = Ends::new(suite).talk(&[], &[Say::Client(REQUEST), Say::Server(b"answer")]);
        // Another secret of the same length.
        let wrong: String = talk
            .key_log
            .lines()
            .map(|l| {
                let (front, secret) = l.rsplit_once(' ').unwrap();
                let turned: String = secret.chars().rev().collect();
                format!("{front} {turned}\n")
            })
            .collect();
        let reader = read(&talk, &wrong);
        assert!(reader.plain.iter().flatten().all(|&b| b == b'?'), "{:?}", suite.suite());
        assert!(!reader.failed.is_empty() && reader.tools.counted.opened == 0);
        // The right secrets under labels that are none.
        let reader = read(&talk, &talk.key_log.replace("CLIENT_", "KLIENT_").replace("SERVER_", "SERVANT_"));
        assert_eq!((reader.plain, reader.blind), ([vec![], vec![]], vec![Blind::NoSecrets]));
    }
}

#[test]
fn a_log_of_other_connections_is_a_miss_and_records_are_timed_all_the_same() {
    for name in NAMES {
        let talk = letters(name);
        let other = Ends::new(suite(name)).talk(&[], &[Say::Client(REQUEST)]);
        let reader = read(&talk, &other.key_log);
        assert_eq!(
            (&reader.blind, reader.session.state()),
            (&vec![Blind::SecretsMiss], State::Blind(Blind::SecretsMiss))
        );
        assert_eq!(reader.plain, [b"", b""]);
        let server: Vec<u8> = talk.wire.iter().filter(|(c, _)| !c).flat_map(|(_, b)| b.clone()).collect();
        let lengths: Vec<usize> = records(&server).iter().map(|r| r.len() - 5).take(16).collect();
        let seen = reader.session.seen(ServerToClient);
        assert_eq!(seen.first.iter().map(|r| usize::from(r.length)).collect::<Vec<_>>(), lengths, "{name}");
        assert!(seen.first.is_sorted_by_key(|r| r.ts));
        let last = talk.wire.iter().rfind(|(c, _)| !c).unwrap().1.len() as u64;
        assert_eq!(seen.last_segment.unwrap().0, last);
    }
}

#[test]
fn without_keys_a_close_is_still_likely() {
    for (name, said) in [("TLS13_AES_128", Said::BySize), ("TLS_ECDHE_ECDSA_WITH_AES_128", Said::Sealed)] {
        let talk = Ends::new(suite(name)).talk(&[], &[Say::Client(REQUEST), Say::Server(b"ok"), Say::Close(false)]);
        let reader = read(&talk, "");
        assert_eq!(reader.said(), [(ServerToClient, said)], "{name}");
        assert_eq!(reader.blind, [Blind::NoSecrets]);
    }
}

#[test]
fn a_record_that_is_cut_off_is_told_and_not_shown() {
    for name in NAMES {
        let mut talk = letters(name);
        let last = talk.wire.iter_mut().rfind(|(c, _)| !c).unwrap();
        last.1.pop();
        let reader = read(&talk, &talk.key_log);
        assert_eq!(reader.failed.iter().map(|f| f.why).collect::<Vec<_>>(), [FailedWhy::Cut]);
        assert_eq!(reader.plain[1][..900], talk.sent[1][..900]);
        assert!(reader.plain[1][900..].iter().all(|&b| b == b'?'), "{name}");
    }
}

#[test]
fn secrets_that_come_late_read_what_was_held() {
    for suite in suites() {
        let talk = Ends::new(suite).talk(&[], &[Say::Client(REQUEST), Say::Server(b"answer"), Say::Client(b"more")]);
        for late in 0..=talk.wire.len() {
            let mut reader = Reader::new("");
            reader.tools.secrets.may_grow = true;
            for (n, (client, flight)) in talk.wire.iter().enumerate() {
                if n == late {
                    for line in talk.key_log.lines() {
                        // The log may be looked at between any two of its lines.
                        reader.tools.secrets.read(line.as_bytes());
                        reader.session.retry(&mut reader.tools);
                        reader.push(true, &[]);
                    }
                }
                reader.push(*client, flight);
            }
            if late == talk.wire.len() {
                assert_eq!(reader.session.state(), State::Waiting);
                reader.tools.secrets.read(talk.key_log.as_bytes());
                reader.session.retry(&mut reader.tools);
                reader.push(true, &[]);
            }
            reader.close();
            assert_whole(&reader, &talk);
        }
    }
}

#[test]
fn more_than_may_be_held_is_given_up_and_counted_and_the_rest_is_read() {
    let body = big(200_000);
    for name in NAMES {
        let steps = [Say::Client(REQUEST), Say::Server(&body), Say::Server(b"after")];
        let talk = Ends::new(suite(name)).talk(&[], &steps);
        let mut reader = Reader::new("");
        reader.tools.secrets.may_grow = true;
        let (last, before) = talk.wire.split_last().unwrap();
        for (client, flight) in before {
            reader.push(*client, flight);
        }
        assert!(reader.tools.counted.not_held > 0);
        reader.tools.secrets.read(talk.key_log.as_bytes());
        reader.session.retry(&mut reader.tools);
        reader.push(last.0, &last.1);
        reader.close();
        assert!(reader.plain[1].ends_with(b"after"), "{name}");
        assert!(reader.failed.is_empty(), "{name}: {:?}", reader.failed);
    }
}

#[test]
fn what_is_not_tls_is_said_to_be_none() {
    let mut reader = Reader::new("");
    reader.push(true, b"GET / HTTP/1.1\r\n\r\n");
    reader.push(false, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    reader.close();
    assert_eq!(reader.blind, [Blind::NotTls]);
    // In the middle of a connection.
    let talk = letters("TLS13_AES_128");
    let mut reader = Reader::new(&talk.key_log);
    for (client, flight) in talk.wire.iter().skip(2) {
        reader.push(*client, flight);
    }
    assert_eq!(reader.blind, [Blind::NoHello]);
}

#[test]
fn without_a_hello_that_can_be_read_nothing_is_waited_for() {
    // The first of a long record of data: what it belongs to will not be told.
    let mut reader = Reader::new("");
    reader.push(false, &[23, 3, 3, 0x40, 0, 1, 2, 3]);
    assert_eq!(reader.blind, [Blind::NoHello]);
    // A ClientHello whose random is cut off by the length that its message says it has.
    let mut reader = Reader::new("");
    reader.push(true, &[22, 3, 1, 0, 9, 1, 0, 0, 5, 3, 3, 7, 7, 7]);
    assert_eq!(reader.blind, [Blind::NoHello]);
    assert_eq!(reader.session.facts().client_random, None);
}

/// Of `openssl speed -evp aes-128-gcm -bytes 1400` in the same minute, for TLS 1.3 with the same cipher.
const SPEED: f64 = if cfg!(feature = "fast-crypto") { 0.6 } else { 0.3 };

#[test]
#[ignore = "a measurement: needs openssl and an optimised build: .ci/run"]
fn records_are_opened_at_a_fair_part_of_the_speed_of_openssl() {
    let piece = big(1_400 - 22);
    let count = 4_000;
    let steps: Vec<Say<'_>> = (0..count).map(|_| Say::Server(&piece)).collect();
    let openssl = openssl_speed();
    for name in ["TLS13_AES_128", "TLS13_AES_256", "TLS13_CHACHA20", "TLS_ECDHE_ECDSA_WITH_AES_128"] {
        let talk = Ends::new(suite(name)).talk(&[], &steps);
        let bytes: usize = talk.wire.iter().map(|(_, b)| b.len()).sum();
        // The processor's time is counted in ticks: many rounds go before the last one is looked at.
        let (mut rounds, mut spent) = (0, 0.0);
        while spent < 0.5 {
            let (mut tools, mut session) = (Tools::default(), Session::new([0, 0]));
            tools.secrets.read(talk.key_log.as_bytes());
            let (mut plain, mut ends, mut sum) = (Vec::new(), [0, 0], 0);
            let started = cpu_seconds();
            for (client, flight) in &talk.wire {
                let offset = ends[usize::from(!client)];
                let mut input = Input {
                    dir: dir(*client),
                    ts: Timestamp(0),
                    at: PacketRef::new(0, 1),
                    offset,
                    what: What::Data(flight),
                };
                while let Some(event) = session.next(&mut tools, &mut input, &mut plain) {
                    if let Event::Data(data) = event {
                        sum += data.length;
                    }
                }
                ends[usize::from(!client)] += flight.len() as u64;
            }
            spent += cpu_seconds() - started;
            rounds += 1;
            assert_eq!(sum, piece.len() * count);
        }
        let rate = bytes as f64 * f64::from(rounds) / spent / 1e9;
        println!("{name}: {rate:.2} GB/s, openssl aes-128-gcm {openssl:.2} GB/s, ratio {:.2}", rate / openssl);
        if name == "TLS13_AES_128" {
            assert!(rate / openssl >= SPEED, "{:.2} of openssl's speed, {SPEED} wanted", rate / openssl);
        }
    }
}

/// What this thread has used of a processor, as `openssl speed` counts it too: others may be at work here.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

fn openssl_speed() -> f64 {
    let output = std::process::Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "1", "-bytes", "1400", "-evp", "aes-128-gcm"])
        .output()
        .expect("openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|l| l.starts_with("+F:")).unwrap_or_else(|| panic!("{text}"));
    line.rsplit(':').next().and_then(|n| n.parse::<f64>().ok()).expect("a number") / 1e9
}
