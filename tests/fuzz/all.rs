//! Every fuzz target in one binary. The first byte of an input picks the target, by its letter where
//! it has one, so that seeds can be written by hand. A target fails by panicking, by taking too long
//! or too much memory (`tests/run` sets both bounds).
//!
//! A new parser or machine gets a function here and a line in [`TARGETS`].
#![no_main]

mod packets;

use hopscope::base::limits;
use hopscope::base::{Counters, escape};
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{self, Collected, Engine, judge};
use hopscope::products::Products;
use hopscope::report::{self, Options};
use hopscope::store::{Analysis, Filter};
use hopscope::wire::{accept, http1, link, sniff, tcp, websocket};
use libfuzzer_sys::fuzz_target;

const TARGETS: &[(u8, fn(&[u8]))] = &[
    (b'a', accepts),
    (b'c', capture_files),
    (b'd', packet_headers),
    (b'e', escaping),
    (b'f', filters),
    (b'h', heads),
    (b'n', sniffing),
    (b'p', pipeline),
    (b't', conversations),
    (b'w', frames),
];

fuzz_target!(|input: &[u8]| {
    let Some((&pick, rest)) = input.split_first() else { return };
    let named = TARGETS.iter().find(|(letter, _)| *letter == pick);
    let (_, target) = named.unwrap_or(&TARGETS[usize::from(pick) % TARGETS.len()]);
    target(rest);
});

/// Key and accept, parted by a line feed.
fn accepts(input: &[u8]) {
    let (key, found) = in_two(input);
    assert_eq!(accept::expected(key).len(), 28);
    accept::key_form(key);
    accept::what_it_is(found);
    let mut tries = 2_000;
    let wrong = [("258EAFA5-E914-47DA-95CA-5AB5DC085B11", "known")];
    if let Some(recipe) = accept::explain_within(key, found, &wrong, &mut tries)
        && let Some(again) = recipe.again(key, found)
    {
        assert_eq!(again.kind, recipe.kind, "the same way explains the same accept alike");
    }
    assert!(tries <= 2_000, "no more tries than were given");
}

/// pcap and pcapng, alone and twice as two inputs.
fn capture_files(input: &[u8]) {
    for copies in 1..=2 {
        let sources = (0..copies).map(|i| Source::from_bytes(format!("{i}"), input.to_vec())).collect();
        let Ok(mut merged) = Merged::from_sources(sources, &Window::default()) else { return };
        let mut bytes = 0;
        let mut last = 0;
        while let Ok(Some(batch)) = merged.next_batch() {
            assert!(!batch.records.is_empty(), "a batch has records");
            for record in batch.records {
                bytes += batch_data(record.data(batch.bytes).len(), record.cap_len);
                if copies == 1 {
                    let number = batch.at(record).number();
                    assert!(number > last, "packet numbers rise");
                    last = number;
                }
            }
        }
        assert!(bytes <= copies * input.len(), "no more packet bytes than the file has");
    }
}

fn batch_data(len: usize, cap_len: u32) -> usize {
    assert_eq!(len, cap_len as usize);
    len
}

/// Two bytes of link type, then a frame.
fn packet_headers(input: &[u8]) {
    let [low, high, frame @ ..] = input else { return };
    for number in [u16::from_le_bytes([*low, *high]), 0, 1, 101, 108, 113, 276] {
        let Some(link) = link::find(number) else { continue };
        let tcp = match (link.strip)(frame) {
            link::Stripped::Ipv4(packet) => match tcp::ipv4(packet, 0) {
                tcp::Network::Tcp(_, _, tcp) => Some(tcp),
                _ => None,
            },
            link::Stripped::Ipv6(packet) => match tcp::ipv6(packet, 0) {
                tcp::Network::Tcp(_, _, tcp) => Some(tcp),
                _ => None,
            },
            _ => None,
        };
        assert!(tcp.is_none_or(|tcp| tcp.payload.len() <= frame.len()));
    }
}

/// Nothing that could act on a terminal is left.
fn escaping(input: &[u8]) {
    let text = escape::escape(input);
    assert!(text.chars().all(|c| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c)), "{text:?}");
    assert!(text.len() <= input.len() * 8 + 8);
}

fn filters(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Err(why) = Filter::parse(text)
    {
        assert!(why.at >= 1 && why.at <= text.chars().count() + 1, "{why}");
    }
}

fn heads(input: &[u8]) {
    let end = http1::head_end(input, 0);
    assert!(end.is_none_or(|end| end <= input.len()));
    // Where it ends does not depend on how much was seen before.
    for seen in [1, input.len() / 2] {
        let before = http1::head_end(&input[..seen.min(input.len())], 0);
        if before.is_none() {
            assert_eq!(http1::head_end(input, seen.min(input.len())), end, "after {seen} bytes");
        }
    }
    let head = &input[..end.unwrap_or(input.len()).min(limits::HEAD_BYTES)];
    let mut fields = Vec::new();
    for kind in [http1::Kind::Request, http1::Kind::Response] {
        http1::parse(kind, head, &mut fields);
        for field in &fields {
            for range in [&field.name, &field.value] {
                assert!(head.get(range.start as usize..range.end as usize).is_some(), "a field lies in its head");
            }
        }
    }
    http1::chunk_size(input);
}

fn sniffing(input: &[u8]) {
    let first = &input[..input.len().min(limits::SNIFF_BYTES)];
    sniff::guess(first);
    sniff::is_response(first);
    sniff::is_request(first);
}

fn frames(input: &[u8]) {
    if let Some(header) = websocket::header(input) {
        assert!(usize::from(header.length) <= websocket::HEADER_BYTES && usize::from(header.length) <= input.len());
    }
    for masked in [false, true] {
        websocket::looks_like_frames(input, masked, 3);
    }
    let mut twice = input.to_vec();
    websocket::unmask(&mut twice, [1, 2, 3, 4], 5);
    websocket::unmask(&mut twice, [1, 2, 3, 4], 5);
    assert_eq!(twice, input, "unmasking twice changes nothing");
}

/// A capture file through everything, into every report.
fn pipeline(input: &[u8]) {
    analyse(input.to_vec());
}

/// What two ends of connections say, as [`packets::capture`] reads it: this reaches the machines without
/// having to guess a capture file.
fn conversations(input: &[u8]) {
    analyse(packets::capture(input));
}

fn analyse(capture: Vec<u8>) {
    let source = Source::from_bytes("fuzz", capture);
    let Ok(mut inputs) = Merged::from_sources(vec![source], &Window::default()) else { return };
    let mut engine = Engine::new(Collected::default());
    let read = engine::read(&mut inputs, &mut engine, &mut |_| true);
    let (collected, counters) = engine.finish();
    assert_eq!(counters.bugs, 0, "a flow was given up for a fault of the program");
    if read.is_ok() {
        write(collected, counters, inputs);
    }
}

fn write(collected: Collected, counters: Counters, inputs: Merged) {
    let analysis: Analysis = judge::whole(collected, counters, inputs.into_facts(), Products::builtin(), &|_, _| false);
    let options = Options { utc: true, ..Options::default() };
    for format in report::FORMATS {
        let mut out = Vec::new();
        (format.write)(&analysis, &options, &mut out).expect("a vector takes everything");
        let text = String::from_utf8(out).expect("reports are UTF-8");
        assert!(!text.contains('\u{1b}'), "no escape sequence reaches a report");
    }
}

fn in_two(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    (&input[..at], input.get(at + 1..).unwrap_or_default())
}
