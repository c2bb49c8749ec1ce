//! The TLS layer on captures of real proxies and of others' traffic: what is known to be inside comes out.
#![allow(clippy::use_debug, reason = "a test prints what it found")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use hopscope::base::{Counters, FlowId, PacketRef};
use hopscope::capture::{Merged, Window};
use hopscope::model::Direction::{ClientToServer, ServerToClient};
use hopscope::proto::tls::{Blind, Event, Input, Session, Tools, What};
use hopscope::stream::{self, Chunk, CloseHow, Context, Copies, Decoder, Handler, Interest, Side, Table};

use crate::shared;

/// All TLS connections of a capture.
#[derive(Default)]
struct Legs {
    tools: Tools,
    legs: HashMap<FlowId, Leg>,
}

struct Leg {
    client: Side,
    session: Session,
    plain: [Vec<u8>; 2],
    failed: usize,
    blind: Option<Blind>,
}

impl Handler for Legs {
    type Inline = ();

    fn opened(&mut self, _: Context<'_>, (): &mut (), _: PacketRef) {}

    fn chunk(&mut self, context: Context<'_>, _: &mut u64, (): &mut (), chunk: Chunk<'_>) -> Interest {
        let id = context.id();
        if let stream::What::Data([22, 3, _, _, _, 1, ..]) = chunk.what
            && !self.legs.contains_key(&id)
        {
            let session = Session::new([chunk.offset, 0]);
            let leg = Leg { client: chunk.side, session, plain: Default::default(), failed: 0, blind: None };
            self.legs.insert(id, leg);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return Interest::All };
        let from_client = chunk.side == leg.client;
        let whats: &[(bool, What<'_>)] = match chunk.what {
            stream::What::Data(bytes) => &[(from_client, What::Data(bytes))],
            stream::What::Gap { len, .. } => &[(from_client, What::Gap(len))],
            stream::What::Close(CloseHow::Fin) => &[(from_client, What::Close)],
            stream::What::Close(_) => &[(true, What::Close), (false, What::Close)],
        };
        for &(client, what) in whats {
            let dir = if client { ClientToServer } else { ServerToClient };
            let mut input = Input { dir, ts: chunk.ts, at: chunk.at, offset: chunk.offset, what };
            let mut plain = self.tools.buffer();
            while let Some(event) = leg.session.next(&mut self.tools, &mut input, &mut plain) {
                match event {
                    Event::Data(data) => {
                        leg.plain[usize::from(data.place.dir == ServerToClient)]
                            .extend_from_slice(&plain[..data.length]);
                    }
                    Event::Failed(_) => leg.failed += 1,
                    Event::Blind(why) => leg.blind = Some(why),
                    _ => {}
                }
            }
            self.tools.give_back(plain);
        }
        Interest::All
    }

    fn again(&mut self, _: Context<'_>, _: &mut u64, _: &mut (), _: Side, _: (u64, &[u8])) {}

    fn conflict(&mut self, _: Context<'_>, _: &mut u64) {}
}

/// Reads a capture with these key logs and those that it holds itself.
fn read(file: &Path, key_logs: &[PathBuf]) -> Legs {
    let open = || Merged::open(&[file.to_path_buf()], &Window::default()).expect("a capture");
    let mut legs = Legs::default();
    for log in key_logs {
        legs.tools.secrets.read(&fs::read(log).expect("a key log"));
    }
    // Secrets may stand behind the packets that need them.
    let mut inputs = open();
    while let Ok(Some(_)) = inputs.next_batch() {}
    for log in inputs.into_facts().iter().flat_map(|f| &f.secrets) {
        legs.tools.secrets.read(log.bytes());
    }
    let mut inputs = open();
    let (mut decoder, mut table, mut counters) = (Decoder::default(), Table::new(10_000), Counters::default());
    while let Ok(Some(batch)) = inputs.next_batch() {
        let mut segments = table.segments();
        let mut copies = Copies::default();
        decoder.begin();
        for r in batch.records {
            let missing = r.wire_len - r.cap_len;
            let (at, len) = (r.off as usize, r.cap_len as usize);
            let found = decoder.frame(r.link.0, batch.bytes, at, len, missing, r.ts, batch.point, &mut counters);
            if let Some(segment) = found {
                segments.push_once(&segment, decoder.aside(), r.ts, batch.at(r), &mut copies);
            }
        }
        segments.mark_copies(&mut copies);
        let range = 0..segments.len();
        table.batch(batch.bytes, &segments, range, &mut legs, &mut counters, &mut 0);
    }
    table.finish(&mut legs, &mut counters);
    legs
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    // A refusal has no accept.
    needle.is_empty() || haystack.windows(needle.len()).any(|w| w == needle.as_bytes())
}

#[test]
#[ignore = "needs HOPSCOPE_SHARED"]
fn every_encrypted_leg_of_the_lab_holds_its_request() {
    let (mut scored, mut opaque) = (0, 0);
    let mut folders: Vec<PathBuf> =
        fs::read_dir(shared::captures("lab")).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    folders.sort();
    for folder in folders.iter().filter(|f| f.join("truth.json").exists()) {
        let truth = shared::json(&folder.join("truth.json"));
        let sealed: Vec<_> = truth["exchanges"].as_array().into_iter().flatten().filter(|x| x["tls"] == true).collect();
        if sealed.is_empty() {
            continue;
        }
        let log = folder.join("keys.log");
        let logs: Vec<PathBuf> = log.exists().then_some(log).into_iter().collect();
        let files = truth["captures"].as_array().expect("captures");
        let all: Vec<Legs> =
            files.iter().map(|c| read(&folder.join(c["file"].as_str().expect("a name")), &logs)).collect();
        let name = folder.file_name().and_then(|n| n.to_str()).expect("a name");
        let legs: Vec<&Leg> = all.iter().flat_map(|l| l.legs.values()).collect();
        assert!(!legs.is_empty(), "{name}: no TLS");
        if all.iter().all(|l| l.tools.secrets.is_empty()) {
            // Nothing is told that was not said in clear; a server that speaks no TLS may answer so.
            assert!(legs.iter().all(|l| l.plain.iter().all(Vec::is_empty)), "{name}");
            opaque += 1;
            continue;
        }
        assert!(legs.iter().all(|l| l.failed == 0), "{name}: a record failed");
        for x in sealed {
            let found = match x["kind"].as_str() {
                Some("h2-websocket") => {
                    legs.iter().any(|l| l.plain[0].starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
                }
                Some("websocket") => {
                    let line =
                        format!("{} {} HTTP/1.1\r\n", x["method"].as_str().unwrap(), x["target"].as_str().unwrap());
                    let (key, accept) = (x["key"].as_str().unwrap(), x["accept"].as_str().unwrap_or_default());
                    let is = |l: &&&Leg| l.plain[0].starts_with(line.as_bytes()) && holds(&l.plain[0], key);
                    legs.iter().filter(is).any(|l| holds(&l.plain[1], accept))
                }
                // The truth knows nothing of what is inside.
                _ => continue,
            };
            assert!(found, "{name}: {} is not inside", x["id"]);
            scored += 1;
        }
    }
    println!("{scored} encrypted exchanges found inside, {opaque} scenarios without keys");
    assert!(scored >= 19 && opaque >= 1, "{scored} and {opaque}");
}

#[test]
#[ignore = "needs HOPSCOPE_SHARED"]
fn public_captures_with_keys_hold_as_many_requests_as_tshark_says() {
    let folder = shared::captures("public");
    let (mut scored, mut missed) = (0, Vec::new());
    for entry in shared::json(&folder.join("MANIFEST.json")).as_array().expect("a list") {
        let kinds = entry["kinds"].as_array().expect("kinds");
        if !kinds.iter().any(|k| k == 3) {
            continue;
        }
        let file = entry["file"].as_str().expect("a name");
        let logs: Vec<PathBuf> = entry["tshark"]["keylog"].as_str().map(|l| folder.join(l)).into_iter().collect();
        let logs: Vec<PathBuf> = logs.into_iter().filter(|l| l.exists()).collect();
        let legs = read(&folder.join(file), &logs);
        if legs.tools.secrets.is_empty() {
            continue;
        }
        let requests = |l: &Leg| {
            l.plain[0].windows(11).filter(|w| w.ends_with(b" HTTP/1.1\r\n") || w.ends_with(b" HTTP/1.0\r\n")).count()
        };
        let found: usize = legs.legs.values().map(requests).sum();
        let h2 = legs.legs.values().filter(|l| l.plain[0].starts_with(b"PRI * HTTP/2.0")).count();
        let (want, want_h2) = (&entry["tshark"]["http_requests"], &entry["tshark"]["http2_streams"]);
        let opened = legs.tools.counted.opened;
        let blind: Vec<_> = legs.legs.values().filter_map(|l| l.blind).collect();
        let failed: usize = legs.legs.values().map(|l| l.failed).sum();
        println!(
            "{file}: {opened} records, {found} of {want} requests, {h2} HTTP/2 for {want_h2} streams, {failed} failed, {blind:?}"
        );
        if found as u64 >= want.as_u64().unwrap_or(0) && (h2 > 0) == (want_h2.as_u64() > Some(0)) && failed == 0 {
            scored += 1;
        } else {
            missed.push(file.to_owned());
        }
    }
    println!("{scored} as tshark says; not: {missed:?}");
    assert!(scored >= 15, "{scored}");
}
