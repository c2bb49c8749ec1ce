//! Every fuzz target in one binary. The first byte of an input picks the target, by its letter where
//! it has one, so that seeds can be written by hand. A target fails by panicking, by taking too long
//! or too much memory (`tests/run` sets both bounds). With `HOPSCOPE_FUZZ=e` in the environment only
//! that target runs, whatever the first byte.
//!
//! A new parser or machine gets a function here and a line in [`TARGETS`].
#![no_main]

use std::sync::LazyLock;

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

/// The only target to run. `None`: each input picks its own.
static ONLY: LazyLock<Option<u8>> =
    LazyLock::new(|| std::env::var("HOPSCOPE_FUZZ").ok().and_then(|only| only.bytes().next()));

fuzz_target!(|input: &[u8]| {
    let Some((&pick, rest)) = input.split_first() else { return };
    let pick = ONLY.unwrap_or(pick);
    let target =
        TARGETS.iter().find(|(letter, _)| *letter == pick).unwrap_or(&TARGETS[usize::from(pick) % TARGETS.len()]);
    (target.1)(rest);
});

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
        assert!(segment.cut <= missing.max(0xffff), "no more is cut than a packet holds");
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
        // The user's own words are told as they are.
        Err(err) => assert!(!err.why.is_empty() && err.at <= text.chars().count() + 1, "{err}"),
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
        // A FIN takes one number (RFC 9293 §3.4), and so does another that is only acknowledged.
        assert!((*next..=*next + 2).contains(&chunk.offset), "{next} then {}", chunk.offset);
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
