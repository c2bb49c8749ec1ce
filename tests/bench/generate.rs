//! Writes the two captures of the benchmark, and knows what is in them.
//!
//! *mixed*: 50,000 connections to a gigabyte, all open at once, about 656 bytes a packet, each turn's
//! packets between those of random others. 20 % of the traffic upgrades and sends frames, 30 % is plain HTTP, 30 % TLS
//! without keys, 20 % something else, on random ports; 1 % of the connections upgrade after fifty requests.
//! *tls*, *opaque*: nothing but TLS without keys; the same packets, in which nothing can be recognised.
//! *small*: nothing but WebSocket frames of about 92 bytes a packet, each connection from its handshake.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::connection::{Connection, Counts, Pool, Speaks};
use crate::random::Random;
use crate::writer::Writer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Mixed,
    Small,
    Tls,
    Opaque,
}

impl Sort {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sort::Mixed => "mixed",
            Sort::Small => "small",
            Sort::Tls => "tls",
            Sort::Opaque => "opaque",
        }
    }

    pub(crate) fn parse(name: &str) -> Sort {
        [Sort::Mixed, Sort::Small].into_iter().find(|s| s.name() == name).expect("mixed or small")
    }

    /// Of tcpdump's time.
    pub(crate) fn goal(self) -> f64 {
        match self {
            Sort::Mixed => 0.75,
            _ => 0.85,
        }
    }
}

/// What a capture holds.
pub(crate) struct Written {
    pub packets: u64,
    pub bytes: u64,
    pub counts: Counts,
    seconds: f64,
    share: [u64; 4],
}

impl Written {
    pub(crate) fn summary(&self) -> String {
        let percent = |n: u64| n * 100 / self.bytes;
        format!(
            "{} packets of {} B, {} flows, {} requests, {} upgrades, {} frames; {} % upgrades, {} % HTTP, {} % TLS, {} % \
             other; written in {:.1} s",
            self.packets,
            self.bytes / self.packets.max(1) - 16,
            self.counts.flows,
            self.counts.requests,
            self.counts.upgrades,
            self.counts.client_frames + self.counts.server_frames,
            percent(self.share[0]),
            percent(self.share[1]),
            percent(self.share[2]),
            percent(self.share[3]),
            self.seconds
        )
    }

    fn sidecar(&self) -> serde_json::Value {
        json!({
            "packets": self.packets,
            "bytes": self.bytes,
            "flows": self.counts.flows,
            "http_requests": self.counts.requests,
            "http_responses": self.counts.responses,
            "upgrades": self.counts.upgrades,
            "client_frames": self.counts.client_frames,
            "server_frames": self.counts.server_frames,
        })
    }
}

/// Flows of a capture of a gigabyte, unless told otherwise.
pub(crate) const FLOWS_PER_GB: u64 = 50_000;

pub(crate) fn write(path: &Path, sort: Sort, size: u64, flows_per_gb: u64) -> Written {
    let started = Instant::now();
    let mut random = Random::new(0x0068_6f70_7363_6f70 ^ u64::from(sort == Sort::Small));
    let pool = Pool::new(&mut random);
    let mut counts = Counts::default();
    let mut writer = Writer::create(path, if sort == Sort::Small { 6 } else { 40 });
    let flows = (size * flows_per_gb / 1_000_000_000).max(10);
    let mut connections: Vec<Connection> =
        (0..flows).map(|number| Connection::new(speaks(sort, number), number, &mut random, &mut counts)).collect();
    // Who comes late to its upgrade has a hundred packets to send first, and so gets more turns.
    let turns: Vec<u32> = (0..flows as u32)
        .flat_map(|i| {
            std::iter::repeat_n(i, if connections[i as usize].speaks == Speaks::LateWebSocket { 8 } else { 1 })
        })
        .collect();
    let mut share = [0_u64; 4];
    let mut send = |connection: &mut Connection, writer: &mut Writer, random: &mut Random| {
        let before = writer.bytes;
        connection.send(writer, &pool, random, &mut counts);
        share[class(connection.speaks)] += writer.bytes - before;
    };
    // Every flow from its SYN, and none long after the others.
    for connection in &mut connections {
        send(connection, &mut writer, &mut random);
    }
    // Turns that are under way when the size is reached are ended: no message is cut.
    let tail = if sort == Sort::Small { 0 } else { flows * 1_500 };
    while writer.bytes + tail < size {
        let chosen = turns[random.between(0, turns.len())] as usize;
        send(&mut connections[chosen], &mut writer, &mut random);
    }
    while connections.iter().any(Connection::is_busy) {
        for connection in connections.iter_mut().filter(|c| c.is_busy()) {
            send(connection, &mut writer, &mut random);
        }
    }
    let (packets, bytes) = (writer.packets, writer.bytes);
    writer.finish();
    let written = Written { packets, bytes, counts, seconds: started.elapsed().as_secs_f64(), share };
    std::fs::write(path.with_extension("json"), written.sidecar().to_string()).expect("room on the disk");
    written
}

pub(crate) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_file(path.with_extension("json"));
}

/// What the connection with this number speaks.
fn speaks(sort: Sort, number: u64) -> Speaks {
    match number % 10 {
        _ if sort == Sort::Small => Speaks::SmallFrames,
        _ if sort == Sort::Tls => Speaks::Tls,
        _ if sort == Sort::Opaque => Speaks::Opaque,
        1 if number % 100 == 1 => Speaks::LateWebSocket,
        0 | 1 => Speaks::WebSocket,
        2..=4 => Speaks::Http,
        5..=7 => Speaks::Tls,
        _ => Speaks::Other,
    }
}

fn class(speaks: Speaks) -> usize {
    match speaks {
        Speaks::WebSocket | Speaks::SmallFrames | Speaks::LateWebSocket => 0,
        Speaks::Http => 1,
        Speaks::Tls => 2,
        Speaks::Other | Speaks::Opaque => 3,
    }
}
