//! HTTP/2 in clear in captures that are not part of this repository, read by the machine alone: the heads are
//! those that were sent, and no requests fewer than tshark finds.
#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use hopscope::base::{Counters, PacketRef};
use hopscope::capture::{Merged, Window};
use hopscope::model::{Direction, Head};
use hopscope::proto::http2::{Block, Ended, Fault, Http2, Mark, News, Output, Stream};
use hopscope::stream::{Chunk, Context, Decoder, Handler, Interest, Side, Table, What};
use hopscope::wire::h2::PREFACE;
use serde_json::Value;

use crate::lab_truth;
use crate::shared;

/// What one connection said.
#[derive(Default)]
struct Said {
    /// By stream.
    requests: BTreeMap<u32, Head>,
    responses: BTreeMap<u32, Head>,
    ended: BTreeMap<u32, Ended>,
    content: BTreeMap<(u32, bool), Vec<u8>>,
    connect_protocol: Option<u32>,
    pushed: usize,
    faults: Vec<Fault>,
}

impl Output for Said {
    fn request(&mut self, stream: &Stream, head: &Block<'_>) {
        self.pushed += usize::from(stream.is_pushed());
        self.requests.insert(stream.id, head.head());
    }

    fn response(&mut self, stream: &Stream, head: &Block<'_>) {
        self.responses.insert(stream.id, head.head());
    }

    fn data(&mut self, stream: &Stream, from: Direction, bytes: &[u8], _: Mark) {
        let client = from == Direction::ClientToServer;
        self.content.entry((stream.id, client)).or_default().extend_from_slice(bytes);
    }

    fn ended(&mut self, stream: &Stream, ended: Ended) {
        self.ended.insert(stream.id, ended);
    }

    fn connection(&mut self, news: News, facts: &hopscope::proto::http2::Facts) {
        if let News::Settings { from: from @ Direction::ServerToClient, .. } = news {
            self.connect_protocol = facts.settings_of(from).enable_connect_protocol;
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }
}

/// A connection: not HTTP/2, not yet known, or read.
#[derive(Default)]
struct Connection {
    /// Heads of HTTP/1.1 before an upgrade.
    before: [Vec<u8>; 2],
    machine: Option<(Http2, Side)>,
    said: Said,
}

#[derive(Default)]
struct Connections(BTreeMap<u32, Connection>);

impl Handler for Connections {
    type Inline = ();

    fn opened(&mut self, _: Context<'_>, (): &mut (), _: PacketRef) {}

    fn chunk(&mut self, flow: Context<'_>, _: &mut u64, (): &mut (), chunk: Chunk<'_>) -> Interest {
        self.0.entry(flow.id().0).or_default().chunk(&chunk);
        Interest::All
    }

    fn again(&mut self, _: Context<'_>, _: &mut u64, _: &mut (), _: Side, _: (u64, &[u8])) {}

    fn conflict(&mut self, _: Context<'_>, _: &mut u64) {}
}

impl Connection {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        let mark = Mark { ts: chunk.ts, at: chunk.at, offset: chunk.offset };
        let s = chunk.side.index();
        if self.machine.is_none() {
            let What::Data(data) = chunk.what else { return };
            self.before[s].extend_from_slice(data);
            let first = chunk.offset == 0;
            if first && data.starts_with(&PREFACE[..data.len().min(PREFACE.len())]) {
                self.machine = Some((Http2::new(), chunk.side));
            } else if let Some((head, rest)) = head(&self.before[s])
                && head.starts_with(b"HTTP/1.1 101")
            {
                // An upgrade to h2c: what follows the two heads is HTTP/2.
                let Some((request, _)) = self::head(&self.before[1 - s]) else { return };
                let mut machine = Http2::upgraded(field(request, "http2-settings").as_deref(), mark);
                let rest = rest.to_vec();
                machine.push(Direction::ServerToClient, &rest, mark, &mut self.said);
                self.machine = Some((machine, chunk.side.other()));
                return;
            } else {
                return;
            }
        }
        let Some((machine, client)) = &mut self.machine else { return };
        let from = if chunk.side == *client { Direction::ClientToServer } else { Direction::ServerToClient };
        match chunk.what {
            What::Data(data) => machine.push(from, data, mark, &mut self.said),
            What::Gap { len, .. } => machine.gap(from, len, mark, &mut self.said),
            What::Close(how) => machine.close(from, how, mark, &mut self.said),
        }
    }
}

fn head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    Some(bytes.split_at(end))
}

fn field(head: &[u8], name: &str) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(head).into_owned();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().as_bytes().to_vec())
}

/// The HTTP/2 connections of a capture.
fn read(path: PathBuf) -> Vec<Said> {
    let mut merged = Merged::open(&[path], &Window::default()).expect("a capture");
    let (mut table, mut counters, mut decoder) = (Table::new(1_000), Counters::default(), Decoder::default());
    let mut connections = Connections::default();
    let mut found = table.segments();
    while let Some(batch) = merged.next_batch().expect("a readable capture") {
        decoder.begin();
        found.clear();
        for r in batch.records {
            let missing = r.wire_len.saturating_sub(r.cap_len);
            let (at, len) = (r.off as usize, r.cap_len as usize);
            let mut segment = decoder.frame(r.link.0, batch.bytes, at, len, missing, r.ts, batch.point, &mut counters);
            while let Some(one) = segment {
                found.push(&one, decoder.aside(), r.ts, batch.at(r));
                segment = decoder.next_of_frame();
            }
        }
        table.batch(batch.bytes, &found, 0..found.len(), &mut connections, &mut counters, &mut 0);
    }
    table.finish(&mut connections, &mut counters);
    connections.0.into_values().filter(|c| c.machine.is_some()).map(|c| c.said).collect()
}

#[test]
#[ignore = "needs the shared captures: HOPSCOPE_SHARED=… cargo test --test it http2 -- --ignored"]
fn heads_of_clear_http2_in_the_lab_are_those_of_its_truth() {
    let mut scored = 0;
    for scenario in lab_truth::scenarios() {
        for truth in scenario.exchanges().iter().filter(|x| x["kind"] == "h2-websocket") {
            let leg = format!("leg{}", truth["leg"]);
            let is_leg = |file: &&PathBuf| file.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&leg));
            let Some(file) = scenario.files.iter().find(is_leg) else { continue };
            for said in read(file.clone()) {
                let id = u32::try_from(truth["h2_stream"].as_u64().unwrap_or(0)).unwrap_or(0);
                compare(&said, id, truth);
                scored += 1;
            }
        }
    }
    // The others are inside TLS.
    assert_eq!(scored, 1);
}

fn compare(said: &Said, id: u32, truth: &Value) {
    let (request, response) = (&said.requests[&id], &said.responses[&id]);
    assert!(said.faults.is_empty(), "{:?}", said.faults);
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
    let value = |head: &Head, name: &str| head.first_value(name).map_or(Value::Null, text);
    assert_eq!(text(request.method()), truth["method"]);
    assert_eq!(text(request.target()), truth["target"]);
    assert_eq!(text(request.version()), truth["http_version"]);
    assert_eq!(response.status().map_or(Value::Null, Value::from), truth["status"]);
    assert_eq!(value(request, ":protocol"), truth["protocol"]);
    assert_eq!(value(request, ":authority"), truth["host"]);
    assert_eq!(value(request, "sec-websocket-key"), truth["key"]);
    assert_eq!(value(request, "sec-websocket-version"), truth["ws_version"]);
    assert_eq!(value(request, "sec-websocket-extensions"), truth["extensions"]["offered"]);
    assert_eq!(value(response, "server"), truth["server"]);
    assert_eq!(value(response, "via"), truth["via"]["response"]);
    let names = |head: &Head| Value::from(head.iter().map(|(name, _)| text(name)).collect::<Vec<_>>());
    assert_eq!(names(request), truth["request_header_names"]);
    assert_eq!(names(response), truth["response_header_names"]);
    assert_eq!(said.connect_protocol.map_or(Value::Null, Value::from), truth["enable_connect_protocol"]);
    // How it ended, in words: "RST_STREAM by server, error code 0".
    let note = truth["notes"][0].as_str().unwrap_or_default();
    let ended = format!("{:?}", said.ended[&id].how);
    let by_server = ended.contains("Reset") && ended.contains("ServerToClient") && ended.contains("Some(0)");
    assert!(by_server && note == "RST_STREAM by server, error code 0", "{ended}: {note}");
}

#[test]
#[ignore = "needs the shared captures: HOPSCOPE_SHARED=… cargo test --test it http2 -- --ignored"]
fn no_requests_fewer_than_tshark_finds_in_public_captures() {
    let folder = shared::captures("public");
    let manifest = shared::json(&folder.join("MANIFEST.json"));
    let entries = manifest.as_array().or_else(|| manifest["files"].as_array()).expect("a list of files");
    let (mut files, mut requests) = (0, 0);
    for entry in entries {
        let name = entry["file"].as_str().unwrap_or_default();
        let Some(expected) = entry["tshark"]["http2_requests"].as_u64() else { continue };
        let said = read(folder.join(name));
        if said.is_empty() {
            // Inside TLS, or without its beginning.
            continue;
        }
        let found: usize = said.iter().map(|said| said.requests.len() - said.pushed).sum();
        println!(
            "{name}: {found} requests, tshark {expected}, {} pushed",
            said.iter().map(|s| s.pushed).sum::<usize>()
        );
        for fault in said.iter().flat_map(|said| &said.faults) {
            println!("  {fault:?}");
        }
        let whole = said.iter().flat_map(|said| said.requests.values()).filter(|head| head.complete).count();
        assert!(found as u64 >= expected, "{name}: {found} of {expected}");
        assert!(whole as u64 >= expected, "{name}: {whole} whole heads of {expected}");
        files += 1;
        requests += found;
    }
    assert!(files >= 9 && requests >= 50, "{files} files, {requests} requests");
}
