//! Connections in TLS that were not read: what they show all the same, and beside which chain they may stand.

use std::io;

use crate::model::{Beside, Chain, Direction, FlowFacts, Sealed, SealedSide};
use crate::report::build;
use crate::report::text::Context;
use crate::report::text::block::{VALUE, how_it_ended};
use crate::report::text::page::{Page, Tone, clip, count};
use crate::report::time::human;

/// Records of a direction that are told.
const RECORDS: usize = 8;

/// What a connection shows that is the chain's own.
pub(super) fn shows(c: &mut Context<'_>, page: &mut Page<'_>, flow: &FlowFacts, sealed: &Sealed) -> io::Result<()> {
    let offered: Vec<String> = sealed.alpn_offered.iter().map(|name| c.masker.bytes(name)).collect();
    page.row("offered", Tone::Plain, &clip(&offered.join(", "), VALUE))?;
    for (name, from) in [("client sent", Direction::ClientToServer), ("server sent", Direction::ServerToClient)] {
        page.row(name, Tone::Plain, &sent(flow, sealed.of(from)))?;
    }
    let Some(said) = &flow.said else { return Ok(()) };
    let idle = said.end.idle_before.map(|idle| format!(", {} after the last byte", human(idle))).unwrap_or_default();
    page.row("ended", Tone::Plain, &format!("{}{idle}", how_it_ended(c, &said.end)))
}

/// `4,321 bytes in records of 517, 64, 92 …; the last 24 bytes at +3.0 s, close_notify`.
fn sent(flow: &FlowFacts, side: &SealedSide) -> String {
    let mut text = count(side.bytes, "byte", "bytes");
    let records: Vec<String> = side.records.iter().take(RECORDS).map(|record| record.bytes.to_string()).collect();
    if !records.is_empty() {
        let more = if side.records.len() > RECORDS { " …" } else { "" };
        text.push_str(&format!(", in records of {}{more}", records.join(", ")));
    }
    if let Some(last) = side.last {
        let after = human(last.ts.since(flow.syn_at));
        text.push_str(&format!("; the last {} at +{after}", count(u64::from(last.bytes), "byte", "bytes")));
        match last.close_notify {
            Some(true) => text.push_str(", with close_notify"),
            Some(false) => text.push_str(", without close_notify"),
            None => {}
        }
    }
    text
}

/// Connections that may be legs of this chain.
pub(super) fn beside(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    for Beside { flow, stands, joined_by, .. } in chain.beside() {
        let by: Vec<&str> = joined_by.iter().map(|key| key.word()).collect();
        let via = flow.said.iter().flat_map(|said| said.via.last());
        let via: Vec<String> = via.map(|wrapper| build::via_at_length(wrapper, &mut c.masker)).collect();
        let text = format!(
            "possibly {} it: {} → {}, {}, not read (by {})",
            stands.word(),
            flow.client,
            flow.server,
            via.join(", "),
            by.join(", ")
        );
        page.row("encrypted", Tone::Plain, &clip(&text, VALUE * 2))?;
    }
    Ok(())
}
