//! WebSockets in captures that other projects published: as many frames as tshark finds, and all that is kept of
//! their talk as a reader of the tests' own finds it, what is compressed in them included. Ignored by default:
//! `.ci/run` runs it.
#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use std::net::SocketAddr;
use std::path::Path;

use hopscope::model::{Direction, Exchange, FrameFaultKind, Spoken, Wrapper};

use crate::engine::run;
use crate::lab_truth::scenarios;
use crate::public::{frames as counted, manifest};
use crate::shared::{self, Tally};
use crate::support::frames::{self, RSV1};
use crate::support::read::{self, Captured};
use crate::support::streams::{self, Stream};
use crate::talk::{Said, counts, differences};

/// How many must be scored at least; raise it when there are more.
const FRAME_FILES: usize = 23;
const TALKS: usize = 20;
const COMPRESSED: usize = 8;
const LAB_TALKS: usize = 439;
const LAB_COMPRESSED: usize = 662;

/// How many of the lab's must be right: may rise, never fall. The goal is all of them.
const LAB_RIGHT: usize = 438;

/// Where the count is another than tshark's: the file, ours, and why.
const OTHERWISE: &[(&str, u64, &str)] = &[(
    "eririmba__socket.io-sample/websocket.pcap",
    0,
    "packet 10 is all there is of its connection, without a handshake: tshark was told that its port speaks \
     WebSocket, and one frame proves nothing",
)];

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn as_many_frames_as_tshark_finds() {
    let folder = shared::captures("public");
    let mut tally = Tally::default();
    for entry in manifest(&folder) {
        let name = entry["file"].as_str().expect("a name");
        let theirs = entry["tshark"]["websocket_frames"].as_u64().unwrap_or(0);
        let (report, _) = match shared::report(&[folder.join(name)], std::time::Duration::from_secs(20)) {
            Ok(found) => found,
            Err(why) => {
                tally.fail(name, &why);
                continue;
            }
        };
        let own = counted(&report);
        if theirs == 0 && own == 0 {
            continue;
        }
        let excuse = OTHERWISE.iter().find(|(file, ..)| *file == name);
        if let Some((_, expected, why)) = excuse {
            println!("{name}: {expected} frames, {theirs} of tshark: {why}");
        }
        let expected = excuse.map_or(theirs, |(_, expected, _)| *expected);
        tally.score(name, &[format!("{expected} frames")], &format!("{own} frames"));
    }
    tally.judge("public frame counts", FRAME_FILES);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_talk_of_published_captures_is_read_as_it_was_said() {
    let folder = shared::captures("public");
    let (mut tally, mut compressed) = (Tally::default(), Tally::default());
    for entry in manifest(&folder).iter().filter(|e| e["tshark"]["websocket_frames"].as_u64() > Some(0)) {
        let name = entry["file"].as_str().expect("a name");
        compare(name, &folder.join(name), &mut tally, &mut compressed);
    }
    compressed.judge("compressed directions of published captures", COMPRESSED);
    tally.judge("talk of published captures", TALKS);
}

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn the_talk_of_the_lab_is_read_as_it_was_said() {
    let (mut tally, mut compressed) = (Tally::default(), Tally::default());
    for scenario in scenarios() {
        if let Some(why) = scenario.needs().or_else(|| scenario.cuts_evidence()) {
            tally.leave_out(&scenario.name, why);
            continue;
        }
        for file in &scenario.files {
            let name = format!("{} {}", scenario.name, file.file_name().unwrap_or_default().display());
            compare(&name, file, &mut tally, &mut compressed);
        }
    }
    compressed.judge("compressed directions of the lab", LAB_COMPRESSED);
    tally.hold("talk of the lab", LAB_TALKS, LAB_RIGHT).unwrap();
}

/// Every WebSocket of a file beside what the tests' own reader finds in it.
fn compare(name: &str, file: &Path, tally: &mut Tally, compressed: &mut Tally) {
    let bytes = std::fs::read(file).expect("a capture");
    let captured = read::captured(&bytes);
    if captured.links.iter().any(|link| !READ.contains(&link.number())) {
        tally.leave_out(name, "its link type is not read here");
        return;
    }
    let streams = streams::all(&captured);
    let (found, _) = run(bytes);
    for x in found.exchanges.iter().filter(|x| x.ws.is_some() && x.status() == Some(101)) {
        let what = format!("{name} packet {}", x.request.at.number());
        if !x.via.iter().all(|around| matches!(around, Wrapper::Link(_))) {
            tally.leave_out(what, "offsets count from behind the PROXY header or CONNECT around it");
            continue;
        }
        let [client, server] = match sides(x, &streams, &captured) {
            Ok(said) => said,
            Err(why) => {
                tally.leave_out(what, why);
                continue;
            }
        };
        let wrong = match x.talk {
            Some(_) => differences(x, [&client, &server]),
            None => [counts(x, [&client, &server]), vec!["there is no talk".to_owned()]].concat(),
        };
        tally.check(&what, &wrong.join("; "));
        for (side, said) in [(Direction::ClientToServer, &client), (Direction::ServerToClient, &server)] {
            let messages = said.messages.iter().filter(|m| m.compressed).count();
            if messages > 0 {
                let spoken = x.talk.as_ref().map(|talk| talk.of(side));
                compressed.check(&format!("{what} {side:?}"), &not_inflated(spoken, messages));
            }
        }
    }
}

/// Link types of which `tests/support/dissect.rs` finds the headers.
const READ: [u16; 4] = [1, 101, 113, 276];

fn not_inflated(spoken: Option<&Spoken>, messages: usize) -> String {
    use FrameFaultKind::{DeflateContext, DeflateData, DeflateTrailer, DeflateTruncated, DeflateWindow};
    let Some(spoken) = spoken else { return "there is no talk".to_owned() };
    let inflated = spoken.rare.as_ref().map_or(0, |rare| rare.inflated_messages as usize);
    let kinds = [DeflateWindow, DeflateContext, DeflateTruncated, DeflateTrailer, DeflateData];
    let faults: Vec<FrameFaultKind> = kinds.into_iter().filter(|kind| spoken.fault(*kind).is_some()).collect();
    match inflated == messages && faults.is_empty() {
        true => String::new(),
        false => format!("{inflated} of {messages} inflated, {faults:?}"),
    }
}

/// What client and server said behind their heads, or why that is not known.
fn sides(x: &Exchange, streams: &[Stream], captured: &Captured) -> Result<[Said; 2], String> {
    let end = |endpoint: &hopscope::base::Endpoint| SocketAddr::new(endpoint.ip, endpoint.port);
    let (client, server) = (end(&x.client), end(&x.server));
    let word = |head: &hopscope::model::Head, name: &str| {
        head.first_value(name).map(|value| String::from_utf8_lossy(value).into_owned()).ok_or("no key or no accept")
    };
    let response = x.response.as_ref().ok_or("no response")?;
    let key = word(&x.request, "sec-websocket-key")?;
    let accept = word(response, "sec-websocket-accept")?;
    let agreed = word(response, "sec-websocket-extensions").ok().filter(|e| e.contains("permessage-deflate"));
    let said = |from, to, word: &str, forgets: &str| -> Result<Said, String> {
        let of_ends = streams.iter().filter(|s| (s.from, s.to) == (from, to));
        let found = of_ends.filter_map(|s| s.whole_head(word).map(|head| (s, head))).next();
        let (stream, head) = found.ok_or("its heads are not found by the tests' reader")?;
        let held = stream.held[head.end..].iter().all(|held| *held);
        let cut = captured.packets.iter().any(|p| p.data.len() < p.wire_len as usize);
        if !held || cut {
            return Err("bytes behind the 101 are missing".to_owned());
        }
        let frames = frames::frames(&stream.bytes[head.end..]);
        if agreed.is_none() && frames.iter().any(|frame| frame.first & RSV1 != 0) {
            return Err("RSV1, and nothing was agreed on: it is no message".to_owned());
        }
        let forgets = agreed.as_ref().map(|field| field.contains(forgets));
        let said = Said::behind(head.end, &stream.bytes, forgets);
        let read: usize = said.frames.iter().map(|frame| frame.length).sum();
        if head.end + read != stream.bytes.len() {
            return Err("it ends inside a frame, or in what is none".to_owned());
        }
        Ok(said)
    };
    Ok([
        said(client, server, &key, "client_no_context_takeover")?,
        said(server, client, &accept, "server_no_context_takeover")?,
    ])
}
