//! Every fuzz target in one binary. The first byte of an input picks the target, by its letter where
//! it has one, so that seeds can be written by hand. A target fails by panicking, by taking too long
//! or too much memory (`tests/run` sets both bounds).
//!
//! A new parser or machine gets a function here and a line in [`TARGETS`].
#![no_main]

mod http2;
mod packets;
mod segments;
mod table;
mod tls;
mod tunnels;

use std::net::IpAddr;

use hopscope::base::limits;
use hopscope::base::{Counters, PacketRef, Timestamp, escape};
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{self, Collected, Engine, judge};
use hopscope::model::{Head, Stack};
use hopscope::products::Products;
use hopscope::proto::body::{Chunks, Progress};
use hopscope::report::mask::Masker;
use hopscope::report::{FORMATS, Options};
use hopscope::store::{Analysis, Filter, select};
use hopscope::stream::Packets;
use hopscope::stream::defrag::{Defrag, Key, Piece};
use hopscope::stream::{Decoder, Place};
use hopscope::wire::ip::Fragment;
use hopscope::wire::tunnel::{self, Outer};
use hopscope::wire::{accept, frame_chain, http1, icmp, link, proxy_protocol, quic, sniff, socks, websocket};
use libfuzzer_sys::fuzz_target;

const TARGETS: &[(u8, fn(&[u8]))] = &[
    (b'2', http2::connections),
    (b'7', http2::field_blocks),
    (b'9', http2::frames),
    (b'a', accepts),
    (b'b', bodies),
    (b'c', capture_files),
    (b'd', packet_headers),
    (b'e', escaping),
    (b'f', filters),
    (b'g', segment_programs),
    (b'h', heads),
    (b'i', fragments),
    (b'l', tls::connections),
    (b'm', masking),
    (b'n', sniffing),
    (b'p', pipeline),
    (b'q', quic_packets),
    (b'r', products),
    (b's', table::offsets),
    (b't', conversations),
    (b'u', tunnelled),
    (b'w', frames),
    (b'x', proxy_headers),
    (b'y', socks_messages),
    (b'z', frame_chains),
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
            }
            if copies == 1 {
                // Within a batch the times decide.
                let mut numbers: Vec<u64> = batch.records.iter().map(|record| batch.at(record).number()).collect();
                numbers.sort_unstable();
                for number in numbers {
                    assert!(number > last, "packet numbers rise from batch to batch, each once");
                    last = number;
                }
            }
        }
        // What is compressed (gzip, zstd, xz, lz4 with its skippable frames) holds more than it takes.
        let begins = |magic: &[u8]| input.starts_with(magic);
        let packed = begins(b"\x1f\x8b") || begins(b"\xfd7zXZ") || begins(b"\x28\xb5\x2f\xfd");
        let packed = packed || matches!(input, [_, 0x21 | 0x22 | 0x2a, 0x4c | 0x4d, 0x18, ..]);
        assert!(packed || bytes <= copies * input.len(), "no more packet bytes than the file has");
    }
}

fn batch_data(len: usize, cap_len: u32) -> usize {
    assert_eq!(len, cap_len as usize);
    len
}

/// Two bytes of link type, then a frame: as that type, and as every other; then every wrapper alone.
fn packet_headers(input: &[u8]) {
    let [low, high, frame @ ..] = input else { return };
    let mut decoder = Decoder::default();
    let mut counters = Counters::default();
    let own = u16::from_le_bytes([*low, *high]);
    for number in std::iter::once(own).chain(link::LINKS.iter().map(|l| l.number)) {
        decoder.begin();
        let mut segment = decoder.frame(number, frame, 0, frame.len(), 0, Timestamp(0), 0, &mut counters);
        while let Some(found) = segment {
            let buffer = match found.place {
                Place::Read | Place::Note => frame,
                Place::Spare => decoder.aside().spare,
            };
            assert!((found.payload_at + found.payload_len) as usize <= buffer.len());
            segment = decoder.next_of_frame();
        }
    }
    let nobody = IpAddr::from([0, 0, 0, 0]);
    for tunnel in tunnel::TUNNELS {
        for &by in tunnel.by {
            let mut stack = Stack::default();
            if let Some((_, rest)) = (tunnel.open)(&Outer { by, from: nobody, to: nobody }, frame, &mut stack) {
                assert!(rest.len() <= frame.len() && stack.layers().len() <= limits::LAYERS);
            }
        }
    }
}

/// Fragments, each of a byte that says whose it is, what follows and when, one of place, one of length,
/// and so many bytes.
fn fragments(mut input: &[u8]) {
    let (mut defrag, mut counters) = (Defrag::default(), Counters::default());
    let (mut now, mut sent) = (0_i64, 0_u64);
    while let [control, place, length, rest @ ..] = input {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        input = rest;
        now += if control & 0x80 == 0 { 1 } else { 20_000_000_000 };
        let from = IpAddr::from([0, 0, 0, control & 3]);
        let key = Key { from, to: from, id: 1, protocol: 6, point: 0, via: 0 };
        let place = Fragment { id: 1, at: u32::from(*place) * 8, more: control & 4 != 0 };
        let (missing, packets) = (u32::from(control >> 3 & 3), &Packets::default());
        let piece = Piece { place, protocol: 6, bytes, missing, packets };
        sent += 1;
        if let Some(whole) = defrag.add(key, &piece, Timestamp(now), &mut counters) {
            assert!(whole.bytes.len() + whole.missing as usize <= limits::DATAGRAM_BYTES as usize);
        }
        assert!(counters.fragments_lost + defrag.waiting() <= sent);
    }
    assert_eq!(counters.fragments, sent);
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
    icmp::told(input);
    sniff::guess(first);
    sniff::opening(first);
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

/// A PROXY header is read alike however much of what follows it is there.
fn proxy_headers(input: &[u8]) {
    let proxy_protocol::Parsed::Header(whole) = proxy_protocol::parse(input) else { return };
    assert_eq!(proxy_protocol::begins(input), Some(true));
    assert!(whole.length >= 7 && whole.tlvs.len() <= limits::PROXY_TLVS);
    let kept = whole.length.min(limits::PROXY_HEADER_BYTES);
    assert_eq!(proxy_protocol::parse(&input[..kept]), proxy_protocol::Parsed::Header(whole));
    for n in 0..kept {
        assert_eq!(proxy_protocol::parse(&input[..n]), proxy_protocol::Parsed::More, "{n} bytes");
    }
}

/// Messages of SOCKS: none is read beyond its bytes, and a whole one is whole whatever follows.
fn socks_messages(input: &[u8]) {
    socks::begins(input);
    let lengths = [
        used(&socks::greeting(input)),
        used(&socks::method(input)),
        used(&socks::credentials(input)),
        used(&socks::credentials_answer(input)),
        used(&socks::request(input)),
        used(&socks::reply(input)),
        used(&socks::request_4(input)),
        used(&socks::reply_4(input)),
    ];
    assert!(lengths.iter().flatten().all(|&n| n > 0 && n <= input.len() && n <= limits::SOCKS_BYTES));
    if let Some(n) = lengths[4] {
        assert_eq!(socks::request(&input[..n]), socks::request(input));
        assert_eq!(socks::request(&input[..n - 1]), socks::Read::More);
    }
    if let Some(n) = lengths[6] {
        assert_eq!(socks::request_4(&input[..n]), socks::request_4(input));
    }
}

fn used<T>(read: &socks::Read<T>) -> Option<usize> {
    match read {
        socks::Read::Whole(_, n) => Some(*n),
        socks::Read::More | socks::Read::Wrong => None,
    }
}

/// A chain of frames is the same one however its bytes are cut; only where segments end adds to it.
fn frame_chains(input: &[u8]) {
    let Some((&cut, rest)) = input.split_first() else { return };
    let (a, b) = rest.split_at(usize::from(cut).min(rest.len()));
    let (mut whole, mut cut) = (frame_chain::Chain::default(), frame_chain::Chain::default());
    let fits = whole.segment(rest);
    assert_eq!(fits, cut.segment(a) && cut.segment(b));
    if fits {
        assert_eq!((whole.frames(), whole.masked()), (cut.frames(), cut.masked()));
        assert!(whole.bits() <= cut.bits());
    }
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

/// Segments of a few connections, written down in a small language, through the whole program.
fn segment_programs(input: &[u8]) {
    analyse(segments::capture(input));
}

/// What is said in a WebSocket, compressed or not, as [`tunnels::capture`] reads it.
fn tunnelled(input: &[u8]) {
    analyse(tunnels::capture(input));
}

/// Chunked content ends at the same byte and has the same content however it is cut.
fn bodies(input: &[u8]) {
    let Some((&cut, rest)) = input.split_first() else { return };
    let walk = |pieces: &[&[u8]]| {
        let (mut chunks, mut content, mut before) = (Chunks::default(), Vec::new(), 0);
        for piece in pieces {
            match chunks.push(piece, &mut |bytes| content.extend_from_slice(bytes)) {
                Progress::More => before += piece.len(),
                Progress::Done(n) => return (Some(before + n), content),
                Progress::Broken => return (None, content),
            }
        }
        (Some(usize::MAX), content)
    };
    let (a, b) = rest.split_at(usize::from(cut).min(rest.len()));
    assert_eq!(walk(&[rest]), walk(&[a, b]));
    let mut chunks = Chunks::default();
    chunks.push(a, &mut |_| {});
    chunks.gap(u64::from(cut));
    chunks.push(b, &mut |_| {});
}

/// What is masked is still harmless text.
fn masking(input: &[u8]) {
    let mut parts = input.splitn(2, |&b| b == b':');
    let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for show in [false, true] {
        let mut masker = Masker::new(show);
        harmless(masker.field(name, value).as_bytes());
        harmless(masker.url(value).as_bytes());
        harmless(masker.bytes(value).as_bytes());
        for member in masker.protocols(value) {
            harmless(member.as_bytes());
        }
        assert!(!(show && masker.masked()));
    }
}

/// A head and the content behind it, shown to all that is known of products.
fn products(input: &[u8]) {
    let end = http1::head_end(input, 0).unwrap_or(input.len());
    let (text, body) = input.split_at(end);
    let products = Products::builtin();
    let response = head(http1::Kind::Response, text);
    let status = response.status().unwrap_or(0);
    products.responder_of(&response, body);
    products.request_hop(&head(http1::Kind::Request, text));
    products.error_page(status, body);
    products.backend_body(status, body);
    products.server_software(&response);
}

fn analyse(capture: Vec<u8>) {
    let source = Source::from_bytes("fuzz", capture);
    let Ok(mut inputs) = Merged::from_sources(vec![source], &Window::default()) else { return };
    let mut engine = Engine::new(Collected::default());
    let read = engine::read(&mut inputs, &mut engine, &mut |_| true);
    let (collected, counters) = engine.finish();
    assert_eq!(counters.bugs, 0, "a flow was given up for a fault of the program");
    if read.is_ok() {
        reports(judge::whole(collected, counters, inputs.into_facts(), Products::builtin(), &|_, _| false));
    }
}

/// Writes every report; none may hold what a terminal or a parser trips over.
fn reports(mut analysis: Analysis) {
    let write = |format: &hopscope::report::Format, options: &Options| {
        let mut out = Vec::new();
        (format.write)(&analysis, options, &mut out).expect("memory takes every byte");
        harmless(&out);
        match format.name {
            "json" => drop(serde_json::from_slice::<serde_json::Value>(&out).expect("JSON")),
            "ndjson" => {
                for line in out.split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
                    serde_json::from_slice::<serde_json::Value>(line).expect("JSON");
                }
            }
            _ => {}
        }
    };
    for format in FORMATS {
        write(format, &Options { utc: true, ..Options::default() });
    }
    write(FORMATS[0], &Options { utc: true, show_secrets: true, max_healthy: 0, ..Options::default() });
    if let Ok(filter) = Filter::parse("status:101 or -host:a* dur>1s") {
        select::select(&mut analysis, &filter);
    }
}

/// UTF-8 without control characters but line breaks, and without such as reorder or hide.
fn harmless(out: &[u8]) {
    let text = std::str::from_utf8(out).expect("UTF-8");
    let bad = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\r')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if let Some(c) = text.chars().find(|&c| bad(c)) {
        panic!("{c:?} in {text}");
    }
}

fn in_two(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    (&input[..at], input.get(at + 1..).unwrap_or_default())
}

fn head(kind: http1::Kind, text: &[u8]) -> Head {
    let mut fields = Vec::new();
    let http1::Parts { start, faults } = http1::parse(kind, text, &mut fields);
    Head {
        text: text.into(),
        start,
        fields: fields.into(),
        faults,
        complete: true,
        coded: false,
        at: PacketRef::default(),
        at_last: PacketRef::default(),
        first: Timestamp::default(),
        last: Timestamp::default(),
        range: 0..text.len() as u64,
        names: Default::default(),
    }
}

/// A datagram as a client's first of QUIC: no more comes out than went in.
fn quic_packets(data: &[u8]) {
    if let Some(initial) = quic::client_initial(data) {
        let bytes: usize = initial.crypto.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(quic::looks_initial(data) && bytes <= data.len() && initial.connection.len() <= 20);
    }
}
