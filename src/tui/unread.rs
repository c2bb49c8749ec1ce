//! A connection in TLS that was not read, as events: what its records show all the same, and how it ended.

use crate::base::{PacketRef, Timestamp};
use crate::model::{Direction, EndHow, FlowFacts, Sealed, SealedRecord};

use super::events::{Event, What};
use super::shared::bytes;
use super::theme::Tone;

/// Content types of records (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// Bytes of a record's header.
const HEADER: u64 = 5;

/// Its events, in no order. `lanes`: of its client and its server.
pub fn events(flow: &FlowFacts, sealed: &Sealed, lanes: (usize, usize), out: &mut Vec<Event>) {
    let mut add = |ts: Timestamp, way: Direction, label: String, at: Option<PacketRef>, tone: Tone| {
        let (from, to) = match way {
            Direction::ClientToServer => lanes,
            Direction::ServerToClient => (lanes.1, lanes.0),
        };
        out.push(Event { ts, from, to, label, tone, what: What::Tcp, at, leg: 0, findings: Vec::new() });
    };
    add(flow.syn_at, Direction::ClientToServer, "SYN … ACK".to_owned(), Some(flow.syn), Tone::Dim);
    let mut records: Vec<(Direction, SealedRecord)> = Vec::new();
    for way in [Direction::ClientToServer, Direction::ServerToClient] {
        records.extend(sealed.of(way).records.iter().map(|record| (way, *record)));
    }
    records.sort_by_key(|(_, record)| record.ts);
    let mut seen = [false; 2];
    for run in records.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((way, first)) = run.first() else { continue };
        let began = std::mem::replace(&mut seen[usize::from(*way == Direction::ServerToClient)], true);
        add(first.ts, *way, label(*way, first, run, !began), None, Tone::Info);
    }
    for way in [Direction::ClientToServer, Direction::ServerToClient] {
        let side = sealed.of(way);
        let Some(last) = side.last else { continue };
        let told: u64 = side.records.iter().map(|record| u64::from(record.bytes) + HEADER).sum();
        if side.records.last().is_some_and(|record| record.ts >= last.ts) || side.bytes <= told {
            continue;
        }
        let more = side.bytes - told;
        let words = match last.close_notify {
            Some(true) => ", then close_notify",
            _ if more > u64::from(last.bytes) => " up to here",
            _ => "",
        };
        add(last.ts, way, format!("TLS {}B{words}", bytes(more)), Some(last.at), Tone::Info);
    }
    let Some(end) = flow.said.as_ref().map(|said| &said.end) else { return };
    if let (Some(at), Some(by), EndHow::Fin | EndHow::Rst) = (end.tcp_at, end.tcp_by, end.tcp_how) {
        let (word, tone) = if end.tcp_how == EndHow::Rst { ("RST", Tone::Warning) } else { ("FIN", Tone::Dim) };
        add(at, by, word.to_owned(), end.packet.or(flow.end), tone);
    }
}

/// Records of one direction that follow each other.
fn label(way: Direction, first: &SealedRecord, run: &[(Direction, SealedRecord)], begins: bool) -> String {
    let sum: u64 = run.iter().map(|(_, record)| u64::from(record.bytes)).sum();
    let name = match (first.kind, way) {
        (ALERT, _) => "TLS alert",
        (HANDSHAKE, Direction::ClientToServer) if begins => "ClientHello",
        (HANDSHAKE, Direction::ServerToClient) if begins => "ServerHello",
        (HANDSHAKE, _) => "TLS handshake",
        _ => "TLS",
    };
    let count = if run.len() > 1 { format!(" ×{}", run.len()) } else { String::new() };
    format!("{name}{count}  {}B", bytes(sum))
}
