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

use hopscope::base::{Counters, PacketRef, Timestamp};
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{Collected, Engine, judge, read};
use hopscope::model::Head;
use hopscope::products::Products;
use hopscope::proto::body::{Chunks, Progress};
use hopscope::proto::websocket::Frames;
use hopscope::report::mask::Masker;
use hopscope::report::{FORMATS, Options};
use hopscope::rules::accept::command;
use hopscope::store::{Analysis, Filter, select};
use hopscope::stream::{Chunk, Context, Decoder, Handler, Interest, Side, Table, What};
use hopscope::wire::http1::{Kind, Parts, head_end, parse};
use hopscope::wire::link::LINKS;
use hopscope::wire::{accept, sniff, websocket};
use libfuzzer_sys::fuzz_target;

mod segments;

const TARGETS: &[(u8, fn(&[u8]))] = &[
    (b'a', an_accept),
    (b'b', a_body),
    (b'c', a_capture),
    (b'd', a_frame),
    (b'e', an_engine),
    (b'f', a_filter),
    (b'h', a_head),
    (b'm', a_mask),
    (b'p', products),
    (b's', a_sniff),
    (b't', a_table),
    (b'w', websocket_frames),
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

/// A key and an accept, parted by a line break: judged, explained, told.
fn an_accept(input: &[u8]) {
    let mut lines = input.splitn(2, |&b| b == b'\n');
    let (key, found) = (lines.next().unwrap_or_default(), lines.next());
    assert_eq!(accept::expected(key).len(), 28);
    accept::key_form(key);
    if let Some(found) = found {
        let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B12";
        let mut tries = 300;
        if let Some(recipe) = accept::explain_within(key, found, &[(guid, "a typo")], &mut tries) {
            recipe.again(key, found);
        }
        assert!(tries <= 300);
        accept::what_it_is(found);
    } else {
        harmless(command::check(key, Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), &[]).text().as_bytes());
    }
}

/// Chunked content ends at the same byte and has the same content however it is cut.
fn a_body(input: &[u8]) {
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

/// Any bytes as a capture file, through the whole program.
fn a_capture(input: &[u8]) {
    if let Some(analysis) = analyse(input.to_vec()) {
        reports(analysis);
    }
}

/// A link type and a frame of it.
fn a_frame(input: &[u8]) {
    let Some((&[link, missing], frame)) = input.split_first_chunk() else { return };
    let link = LINKS[usize::from(link) % LINKS.len()];
    let mut counters = Counters::default();
    let missing = u32::from(missing) * 7;
    let at = usize::from(missing as u8) % (frame.len() + 1);
    let found = Decoder::default().frame(link.number, frame, at, frame.len() - at, missing, 3, &mut counters);
    if let Some(segment) = found {
        let (at, len) = (segment.payload_at as usize, segment.payload_len as usize);
        assert!(at + len <= frame.len(), "the payload is in the frame");
        assert!(segment.cut <= missing, "no more is cut than is missing");
    }
}

/// Segments of a few connections, written down in a small language, through the whole program.
fn an_engine(input: &[u8]) {
    if let Some(analysis) = analyse(segments::capture(input)) {
        reports(analysis);
    }
}

/// A filter, asked about an analysis.
fn a_filter(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Filter::parse(text) {
        Ok(filter) => select::select(&mut Analysis::default(), &filter),
        Err(err) => harmless(err.to_string().as_bytes()),
    }
}

/// The end of a head is the same wherever reading paused, and all ranges lie in the head.
fn a_head(input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let end = head_end(bytes, 0);
    let cut = usize::from(cut).min(bytes.len());
    if head_end(&bytes[..cut], 0).is_none() {
        assert_eq!(end, head_end(bytes, cut));
    }
    let text = &bytes[..end.unwrap_or(bytes.len())];
    for kind in [Kind::Request, Kind::Response] {
        let head = head(kind, text);
        for field in &head.fields {
            assert!(field.name.end as usize <= text.len() && field.value.end as usize <= text.len());
            assert!(field.name.start <= field.name.end && field.value.start <= field.value.end);
        }
        head.tokens("connection");
        head.has_token("upgrade", "websocket");
        head.status();
        head.method();
    }
}

/// What is masked is still harmless text.
fn a_mask(input: &[u8]) {
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
    let end = head_end(input, 0).unwrap_or(input.len());
    let (text, body) = input.split_at(end);
    let products = Products::builtin();
    let response = head(Kind::Response, text);
    let status = response.status().unwrap_or(0);
    products.responder_of(&response, body);
    products.request_hop(&head(Kind::Request, text));
    products.error_page(status, body);
    products.backend_body(status, body);
    products.server_software(&response);
}

/// More bytes never take a guess back to "more are needed".
fn a_sniff(input: &[u8]) {
    let mut decided = false;
    for n in 0..=input.len().min(80) {
        let found = sniff::guess(&input[..n]);
        decided |= found != sniff::Guess::NeedMore;
        assert!(!decided || found != sniff::Guess::NeedMore, "{n}");
        sniff::is_response(&input[..n]);
        assert_eq!(sniff::is_request(&input[..n]), found == sniff::Guess::Request);
    }
    assert!(input.len() < 80 || decided);
}

/// Segments into the flow table: each direction's offsets go on without a break.
fn a_table(input: &[u8]) {
    let Ok(mut inputs) =
        Merged::from_sources(vec![Source::from_bytes("-", segments::capture(input))], &Window::default())
    else {
        return;
    };
    let limit = usize::from(input.first().copied().unwrap_or(0) % 8) + 1;
    let (mut decoder, mut counters, mut table) = (Decoder::default(), Counters::default(), Table::new(limit));
    while let Ok(Some(batch)) = inputs.next_batch() {
        let mut entries = Vec::new();
        for r in batch.records {
            let missing = r.wire_len.saturating_sub(r.cap_len);
            let (at, len) = (r.off as usize, r.cap_len as usize);
            if let Some(segment) = decoder.frame(r.link.0, batch.bytes, at, len, missing, batch.point, &mut counters) {
                entries.push(hopscope::stream::table::Entry { segment, ts: r.ts, at: batch.at(r) });
            }
        }
        table.batch(batch.bytes, &entries, &mut Offsets, &mut counters, &mut 0);
        assert!(table.len() <= limit);
    }
    table.finish(&mut Offsets, &mut counters);
}

/// Frames are counted alike however their bytes are cut.
fn websocket_frames(input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let client = cut & 1 == 1;
    let (a, b) = bytes.split_at(usize::from(cut / 2).min(bytes.len()));
    let count = |pieces: &[&[u8]]| {
        let (mut frames, mut close) = (Frames::default(), Vec::new());
        for piece in pieces {
            frames.push(piece, client, &mut |_, bytes| close.extend_from_slice(bytes));
        }
        (frames.counts(), close)
    };
    let whole = count(&[bytes]);
    // Behind what is no frame, counting may start again at the edge of a segment.
    if !whole.0.broken {
        assert_eq!(whole, count(&[a, b]));
    }
    let mut frames = Frames::default();
    frames.push(a, client, &mut |_, _| {});
    frames.gap(u64::from(cut));
    frames.push(b, client, &mut |_, _| {});
    websocket::header(bytes);
    websocket::looks_like_frames(bytes, client, 3);
}

/// Checks that offsets go on without a break.
struct Offsets;

impl Handler for Offsets {
    type Inline = [u64; 2];

    fn opened(&mut self, _: Context<'_>, next: &mut [u64; 2], _: PacketRef) {
        assert_eq!(*next, [0, 0]);
    }

    fn chunk(&mut self, _: Context<'_>, _: &mut u64, next: &mut [u64; 2], chunk: Chunk<'_>) -> Interest {
        let next = &mut next[chunk.side.index()];
        let len = match chunk.what {
            What::Data(data) => data.len() as u64,
            What::Gap { len, .. } => {
                assert!(len > 0 && len < 1 << 31, "a gap of {len}");
                len
            }
            What::Close(_) => return Interest::All,
        };
        // A FIN takes one number (RFC 9293 §3.4).
        assert!(*next == chunk.offset || *next + 1 == chunk.offset, "{next} then {}", chunk.offset);
        *next = chunk.offset + len;
        Interest::All
    }

    fn again(&mut self, _: Context<'_>, _: &mut u64, _: Side, _: u64, _: &[u8]) {}

    fn conflict(&mut self, _: Context<'_>, _: &mut u64) {}
}

/// Bytes of a capture file to a judged analysis. `None`: it is no capture file.
fn analyse(bytes: Vec<u8>) -> Option<Analysis> {
    let mut inputs = Merged::from_sources(vec![Source::from_bytes("-", bytes)], &Window::default()).ok()?;
    let mut engine = Engine::new(Collected::default());
    read(&mut inputs, &mut engine, &mut |_| true).ok()?;
    let (collected, counters) = engine.finish();
    assert_eq!(counters.bugs, 0);
    Some(judge::whole(collected, counters, inputs.into_facts(), Products::builtin(), &|_, _| false))
}

/// Writes every report; none may hold what a terminal or a parser trips over.
fn reports(mut analysis: Analysis) {
    let mut write = |format: &hopscope::report::Format, options: &Options| {
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

fn head(kind: Kind, text: &[u8]) -> Head {
    let mut fields = Vec::new();
    let Parts { start, faults } = parse(kind, text, &mut fields);
    Head {
        text: text.into(),
        start,
        fields: fields.into(),
        faults,
        complete: true,
        at: PacketRef::default(),
        at_last: PacketRef::default(),
        first: Timestamp::default(),
        last: Timestamp::default(),
        range: 0..text.len() as u64,
    }
}
