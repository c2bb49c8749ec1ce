//! The bytes of a stream, read again: what an exchange says of its bytes stands in them, at the offsets that it says,
//! however they were sent and whatever stands around them.
#![allow(clippy::use_debug, clippy::cast_possible_truncation, reason = "a failing test prints what it found")]

use std::path::PathBuf;

use hopscope::base::limits;
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::stretch::{Error, From, Part, Stretch, Way, stretch};
use hopscope::engine::{Collected, Engine, read};
use hopscope::model::{Direction, Exchange};
use hopscope::proto::tls::Secrets;
use hopscope::stream::{CloseHow, GapWhy};
use proptest::prelude::*;

use crate::shared::Tally;
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::script::{Script, Segment, Side};
use crate::support::shape;
use crate::{engine, lab_truth, prelude, secured};

const UP: Direction = Direction::ClientToServer;
const DOWN: Direction = Direction::ServerToClient;
const BEGIN: From = From::Position(0);
const WINDOW: u64 = limits::STRETCH_BYTES as u64;

fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

fn inputs(capture: &[u8]) -> Merged {
    let source = Source::from_bytes("test", capture.to_vec());
    Merged::from_sources(vec![source], &Window::default()).expect("a capture")
}

fn look(capture: &[u8], x: &Exchange, way: Way, from: From) -> Stretch {
    let found = stretch(&mut inputs(capture), Secrets::default(), x, (way, from), &mut |_| true);
    found.expect("the same capture").expect("nobody stopped it")
}

/// All bytes of a direction in it, without what is missing.
fn said(stretch: &Stretch, way: Direction) -> Vec<u8> {
    let of = stretch.pieces.iter().filter(|piece| piece.from == way);
    of.flat_map(|piece| stretch.of(&piece.what).to_vec()).collect()
}

/// The bytes at these offsets of a direction. `None`: some are not there.
fn at(stretch: &Stretch, way: Direction, from: u64, len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for piece in stretch.pieces.iter().filter(|piece| piece.from == way) {
        let next = from + out.len() as u64;
        let bytes = stretch.of(&piece.what);
        if piece.offset <= next && next < piece.offset + bytes.len() as u64 {
            out.extend_from_slice(&bytes[(next - piece.offset) as usize..]);
        }
    }
    out.truncate(len);
    (out.len() == len).then_some(out)
}

/// What an exchange says of its bytes and the stream does not: empty where all is there. How much was looked at.
fn differences(x: &Exchange, of: &mut dyn FnMut(Way) -> Stretch) -> (Vec<String>, usize) {
    let (up, down, both) = (of(Way::One(UP)), of(Way::One(DOWN)), of(Way::Both));
    let mut wrong = Vec::new();
    let mut looked = 0;
    let mut check = |what: &str, way: Direction, offset: u64, bytes: &[u8]| {
        looked += 1;
        for (stretch, name) in [(if way == UP { &up } else { &down }, "alone"), (&both, "both")] {
            let found = at(stretch, way, offset, bytes.len());
            // What lies behind a full stretch was not asked for.
            if found.as_deref() != Some(bytes) && !(found.is_none() && stretch.more) {
                let found = found.map(|found| found.escape_ascii().to_string());
                wrong.push(format!("{what} at {offset}, {name}: {found:?}, not {}", bytes.escape_ascii()));
            }
        }
    };
    let heads = [(UP, Some(&x.request)), (DOWN, x.response.as_ref())];
    let heads = heads.into_iter().chain(x.interim.iter().map(|head| (DOWN, Some(head))));
    for (way, head) in heads.filter_map(|(way, head)| Some((way, head?))) {
        if !head.coded && head.range.end - head.range.start == head.text.len() as u64 {
            check("head", way, head.range.start, &head.text);
        }
    }
    let [first_up, first_down] = &x.after_101;
    let previews = [(UP, &x.early), (DOWN, &x.before_response), (DOWN, &x.odd_response), (UP, first_up)];
    for (way, preview) in previews.into_iter().chain([(DOWN, first_down)]) {
        if let Some(preview) = preview.as_ref().filter(|_| x.stream.is_none() && !x.quality.gap) {
            check("preview", way, preview.offset, &preview.bytes);
        }
    }
    for frame in x.talk.iter().flat_map(|talk| &talk.frames) {
        check("frame", frame.from, frame.offset, &[frame.bits]);
    }
    (wrong, looked)
}

fn all_hold(name: &str, capture: &[u8]) -> usize {
    let (collected, _) = engine::run(capture.to_vec());
    let mut looked = 0;
    for x in &collected.exchanges {
        let (wrong, some) = differences(x, &mut |way| look(capture, x, way, BEGIN));
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        looked += some;
    }
    looked
}

#[test]
fn what_an_exchange_says_of_its_bytes_stands_in_its_stream() {
    let plain = engine::conversations().into_iter();
    let all = plain.chain(prelude::conversations().into_iter().map(|(name, segments, _)| (name, segments)));
    let mut looked = 0;
    for (name, segments) in all {
        for sizes in [&[100_000][..], &[1], &[7, 1448]] {
            looked += all_hold(name, &capture(&shape::split(segments.clone(), sizes)));
        }
    }
    assert!(looked > 500, "{looked}");
}

#[test]
fn frames_behind_a_prelude_count_from_where_the_stream_begins() {
    let frames = |script: Script| {
        (0..40).fold(script, |script, n| script.frame(Side::Client, 1, &[n; 50]).frame(Side::Server, 2, &[n; 90]))
    };
    let talk = |script: Script| frames(script.upgrade("q83vASNFZ4mrze8BI0VniQ==")).goodbye().segments();
    let of = |segments: &[Segment]| {
        let (collected, _) = engine::run(capture(segments));
        let talk = collected.exchanges[0].talk.clone().expect("frames");
        talk.frames.iter().map(|frame| (frame.from, frame.offset)).collect::<Vec<_>>()
    };
    let prelude = "PROXY TCP4 192.0.2.44 198.51.100.2 51234 443\r\n";
    let behind = talk(Script::flow().client(prelude));
    assert_eq!(of(&behind), of(&talk(Script::flow())));
    assert!(all_hold("frames behind a PROXY header", &capture(&behind)) >= 20);
}

#[test]
fn inside_tls_it_is_what_was_sent_inside() {
    inside_tls(secured::sealed_talk("TLS13_AES_128_GCM_SHA256"));
}

/// What is said in a protocol that is left alone: behind an upgrade to it, and in a tunnel that is first refused.
fn foreign() -> [Script; 2] {
    let upgrade = "Upgrade: tcp\nConnection: Upgrade";
    let asked = Script::flow().head(Side::Client, &format!("POST /attach HTTP/1.1\nHost: a\n{upgrade}"));
    let granted = asked.head(Side::Server, &format!("HTTP/1.1 101 Switching Protocols\n{upgrade}"));
    let connect = |script: Script, answer| {
        let asked = script.head(Side::Client, "CONNECT b:22 HTTP/1.1\nHost: b:22");
        asked.head(Side::Server, answer)
    };
    let refused = connect(Script::flow(), "HTTP/1.1 407 No\nContent-Length: 0");
    let tunnel = connect(refused, "HTTP/1.1 200 OK");
    let say = |script| (0..200).fold(script, |script: Script, n: u8| script.client([n; 100]).server([255 - n; 300]));
    [say(granted), say(tunnel)]
}

#[test]
fn what_nobody_reads_any_more_is_there_all_the_same() {
    for script in foreign() {
        let (_, sealed, key_log) = secured::sealed_as("TLS13_AES_128_GCM_SHA256", script.clone());
        let segments = script.segments();
        inside_tls((spoken(&segments), sealed, key_log));
        let capture = capture(&segments);
        let x = &engine::run(capture.clone()).0.exchanges[0];
        for (way, client) in [(UP, true), (DOWN, false)] {
            let spoken = spoken(&segments).into_iter().filter(|(by, _)| *by == client).flat_map(|(_, bytes)| bytes);
            assert_eq!(said(&look(&capture, x, Way::One(way), BEGIN), way), spoken.collect::<Vec<u8>>());
        }
    }
}

/// Whether the client says it, and what.
fn spoken(segments: &[Segment]) -> secured::Said {
    let spoken = segments.iter().filter(|s| !s.payload.is_empty());
    spoken.map(|s| (s.from == Side::Client, s.payload.clone())).collect()
}

fn inside_tls((inside, capture, key_log): (secured::Said, Vec<u8>, String)) {
    let mut secrets = Secrets::default();
    secrets.read(key_log.as_bytes());
    let mut engine = Engine::new(Collected::default());
    engine.secrets(secrets.clone());
    read(&mut inputs(&capture), &mut engine, &mut |_| true).expect("a capture");
    let x = &engine.finish().0.exchanges[0];
    for (way, client) in [(UP, true), (DOWN, false)] {
        let found = stretch(&mut inputs(&capture), secrets.clone(), x, (Way::One(way), BEGIN), &mut |_| true);
        let expected: Vec<u8> = inside.iter().filter(|(by, _)| *by == client).flat_map(|(_, b)| b.clone()).collect();
        assert_eq!(said(&found.expect("a capture").expect("all of it"), way), expected);
    }
    let blind = stretch(&mut inputs(&capture), Secrets::default(), x, (Way::Both, BEGIN), &mut |_| true);
    assert!(matches!(blind, Err(Error::Changed)), "without secrets the request does not come again: {blind:?}");
}

#[test]
fn holes_have_their_lengths_and_ends_their_packets() {
    let script = Script::flow().upgrade("q83vASNFZ4mrze8BI0VniQ==");
    let before = script.len();
    let segments = script.frame(Side::Server, 2, &[5; 4_000]).frame(Side::Server, 2, &[6; 40]).goodbye().segments();
    // Of the three segments of the first frame, the second is lost.
    let capture = capture(&shape::lose(segments, &[before + 1]));
    let x = &engine::run(capture.clone()).0.exchanges[0];
    let found = look(&capture, x, Way::One(DOWN), BEGIN);
    let holes: Vec<_> = found.pieces.iter().filter(|piece| matches!(piece.what, Part::Hole(..))).collect();
    let begins = x.response.as_ref().map_or(0, |head| head.range.end) + 1448;
    assert_eq!(holes.len(), 1, "{holes:?}");
    assert_eq!((holes[0].offset, &holes[0].what), (begins, &Part::Hole(Some(1448), GapWhy::Lost)));
    let over = found.pieces.last().expect("an end");
    assert_eq!((&over.what, over.from), (&Part::Over(CloseHow::Fin), DOWN));
    assert!(!found.more && found.begins == 0);
}

/// A tunnel with more bytes than one stretch has, from both sides.
fn long(segment_bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let mut script = Script::flow().acknowledge(false).segment_bytes(segment_bytes).upgrade("q83vASNFZ4mrze8BI0VniQ==");
    let mut down = crate::support::script::head(&crate::support::script::upgrade_response("q83vASNFZ4mrze8BI0VniQ=="));
    for n in 0..30_u8 {
        let frame = crate::support::script::frame(2, &vec![n; 60_000], false);
        script = script.frame(Side::Client, 2, &[n; 1_000]).server(&frame);
        down.extend(frame);
    }
    (capture(&script.goodbye().segments()), down)
}

#[test]
fn stretches_follow_each_other_without_loss() {
    let (capture, mut down) = long(60_000);
    down.extend(crate::support::script::frame(8, &1000_u16.to_be_bytes(), false));
    let x = &engine::run(capture.clone()).0.exchanges[0];
    let mut whole: Vec<u8> = Vec::new();
    let mut stretches = 0;
    loop {
        let from = whole.len() as u64;
        let found = look(&capture, x, Way::One(DOWN), From::Position(from));
        assert!(found.begins <= from && found.bytes.len() as u64 <= WINDOW + 64_000, "{from}: {}", found.begins);
        assert_eq!(found.ends - found.begins, found.bytes.len() as u64);
        whole.extend_from_slice(&found.bytes[(from - found.begins) as usize..]);
        stretches += 1;
        if !found.more {
            break;
        }
    }
    assert!(whole == down && stretches == 4, "{stretches} stretches, {} of {} B", whole.len(), down.len());

    let end = look(&capture, x, Way::One(DOWN), From::End);
    let len = end.bytes.len() as u64;
    assert!((WINDOW - 64_000..=WINDOW).contains(&len) && !end.more, "{len}");
    assert_eq!((end.begins, end.ends), (down.len() as u64 - len, down.len() as u64));
    assert!(down.ends_with(&end.bytes) && said(&end, DOWN) == end.bytes);

    let both = look(&capture, x, Way::Both, From::Position(WINDOW));
    assert!(both.begins <= WINDOW && !said(&both, UP).is_empty() && both.more);
    assert_eq!(both.ends - both.begins, both.bytes.len() as u64);
}

#[test]
fn a_capture_without_the_exchange_has_changed_and_who_stops_gets_nothing() {
    let (capture, _) = long(1_000);
    let mut x = engine::run(capture.clone()).0.exchanges.remove(0);
    let stopped = stretch(&mut inputs(&capture), Secrets::default(), &x, (Way::Both, From::End), &mut |_| false);
    assert!(matches!(stopped, Ok(None)));
    x.request.range.start += 1;
    let changed = stretch(&mut inputs(&capture), Secrets::default(), &x, (Way::Both, BEGIN), &mut |_| true);
    assert!(matches!(changed, Err(Error::Changed)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repeating_gives_the_same_bytes(
        which in 0_usize..10,
        sizes in prop::collection::vec(1_usize..120, 1..10),
        twice in prop::collection::vec(any::<bool>(), 0..40),
        swaps in prop::collection::vec(0_u8..4, 0..60),
    ) {
        let (name, segments, _) = prelude::conversations().swap_remove(which);
        let whole = capture(&segments);
        let x = &engine::run(whole.clone()).0.exchanges;
        let shaped = shape::reorder(shape::duplicate(shape::split(segments, &sizes), &twice), &swaps);
        let shaped = capture(&shaped);
        let y = &engine::run(shaped.clone()).0.exchanges;
        prop_assert_eq!(x.len(), y.len(), "{}", name);
        for (x, y) in x.iter().zip(y) {
            for way in [UP, DOWN] {
                let [of_x, of_y] =
                    [(&whole, x), (&shaped, y)].map(|(capture, x)| said(&look(capture, x, Way::One(way), BEGIN), way));
                prop_assert_eq!(of_x, of_y, "{}", name);
            }
        }
    }
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_streams_of_real_captures_hold_what_their_exchanges_say() {
    let mut tally = Tally::default();
    let mut looked = 0;
    for scenario in lab_truth::scenarios() {
        let open = |files: &[PathBuf]| Merged::open(files, &Window::default()).expect("captures");
        let mut first = open(&scenario.files);
        let mut secrets = Secrets::default();
        if let Some(log) = &scenario.keylog {
            secrets.read(&std::fs::read(log).expect("a key log"));
        }
        let mut looker = Engine::new(Collected::default());
        let mut count = |secrets: &Secrets, inputs: &mut Merged| {
            let mut engine = std::mem::replace(&mut looker, Engine::new(Collected::default()));
            engine.secrets(secrets.clone());
            read(inputs, &mut engine, &mut |_| true).expect("captures");
            engine.finish().0
        };
        let mut collected = count(&secrets, &mut first);
        let logs: Vec<_> = first.into_facts().into_iter().flat_map(|facts| facts.secrets).collect();
        if !logs.is_empty() {
            logs.iter().for_each(|log| secrets.read(log.bytes()));
            collected = count(&secrets, &mut open(&scenario.files));
        }
        for x in &collected.exchanges {
            let (wrong, some) = differences(x, &mut |way| {
                let found = stretch(&mut open(&scenario.files), secrets.clone(), x, (way, BEGIN), &mut |_| true);
                found.unwrap_or_else(|err| panic!("{}: {err}", scenario.name)).expect("all of it")
            });
            looked += some;
            tally.check(&format!("{} #{}", scenario.name, x.id.0), &wrong.join("; "));
        }
    }
    println!("looked at {looked} heads, previews and frames");
    tally.judge("streams read again", 900);
    assert!(looked > 5_000, "{looked}");
}
