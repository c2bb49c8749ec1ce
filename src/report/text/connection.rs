//! A connection without a request, and what precedes one: PROXY headers, first words, frames without
//! their handshake.

use std::io;

use crate::model::{Chain, ConnectState, FlowFacts, Proxied, Said, WsTotals};
use crate::report::build;
use crate::report::text::Context;
use crate::report::text::block::{VALUE, cause, how_it_ended, who};
use crate::report::text::page::{Page, Tone, clip, count};
use crate::report::text::sealed;
use crate::report::time::human;
use crate::wire::proxy_protocol;

/// What a PROXY header tells: whose connection this is.
pub(super) fn preceded(c: &mut Context<'_>, proxied: Option<&Proxied>) -> String {
    let Some(header) = proxied else { return String::new() };
    let mut text = format!("PROXY v{}", header.version);
    match (header.source, header.destination) {
        (Some(from), Some(to)) => text.push_str(&format!(": client {from} → {to}")),
        _ if header.local => text.push_str(": the proxy's own connection"),
        _ => text.push_str(": addresses not told"),
    }
    for (kind, name) in TLVS {
        if let Some(value) = header.tlv(*kind) {
            text.push_str(&format!(" · {name} {}", c.masker.bytes(value)));
        }
    }
    if let Some(fault) = header.fault {
        text.push_str(&format!(" (faulty: {fault})"));
    }
    text
}

/// TLVs that are told.
const TLVS: &[(u8, &str)] = &[
    (proxy_protocol::AUTHORITY, "host"),
    (proxy_protocol::ALPN, "ALPN"),
    (proxy_protocol::SSL_VERSION, "TLS"),
    (proxy_protocol::SSL_CN, "certificate"),
    (proxy_protocol::UNIQUE_ID, "id"),
];

/// A connection that never carried a request.
pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain, flow: &FlowFacts) -> io::Result<()> {
    who(page, chain, flow.client, flow.server)?;
    let after = flow.end_at.map(|end| format!(" {} later", human(end.since(flow.syn_at)))).unwrap_or_default();
    if let Some(said) = &flow.said {
        let via: Vec<String> = said.via.iter().map(|w| build::via_at_length(w, &mut c.masker)).collect();
        page.row("inside", Tone::Plain, &clip(&via.join(", "), VALUE))?;
        page.row("behind", Tone::Plain, &clip(&preceded(c, said.proxied.as_deref()), VALUE))?;
        if said.broken.is_some() {
            cause(c, page, chain)?;
            page.row("asked", Tone::Plain, "with a TLS ClientHello")?;
            return page.row(
                "ended",
                Tone::Plain,
                &format!("{}{after}, without a request", how_it_ended(c, &said.end)),
            );
        }
        if let Some(socks) = &said.socks {
            cause(c, page, chain)?;
            let target = socks.target.as_ref().map(|target| format!(", to {}", c.masker.url(target)));
            let asked = format!("SOCKS {}{}", socks.version, target.unwrap_or_default());
            return page.row("asked", Tone::Plain, &clip(&asked, VALUE));
        }
        if let Some(sealed) = &said.sealed {
            return sealed::shows(c, page, flow, sealed);
        }
        return match &said.ws {
            Some(ws) => frames(c, page, said, ws),
            None => words(c, page, said, &after),
        };
    }
    if flow.rejected.is_some() {
        cause(c, page, chain)?;
    }
    page.row("asked", Tone::Plain, &format!("for a connection, with {}", count(u64::from(flow.syns), "SYN", "SYNs")))?;
    let answer = match flow.state {
        ConnectState::Established => format!("with a connection, which ended{after} without a request"),
        ConnectState::Refused => format!("with RST{after}: nothing listens there, or a firewall refuses"),
        ConnectState::Unanswered if let Some(told) = &flow.rejected => {
            format!("with ICMP {} from {}{after}", told.why.name(), told.by)
        }
        ConnectState::Unanswered => "not at all: the address is wrong or down, or a firewall drops".to_owned(),
        ConnectState::Midstream => format!("before the capture began; it ended{after} without a request"),
    };
    page.row("answered", Tone::Plain, &answer)
}

/// First words on a connection without a request.
fn words(c: &mut Context<'_>, page: &mut Page<'_>, said: &Said, after: &str) -> io::Result<()> {
    let [client, server] = &said.first;
    let asked = match client {
        Some(word) if word.bytes.starts_with(&[0x16, 3]) => "with a TLS ClientHello".to_owned(),
        Some(word) => c.masker.bytes(&word.bytes),
        None => "nothing more than a connection".to_owned(),
    };
    page.row("asked", Tone::Plain, &clip(&asked, VALUE))?;
    let answer = match server {
        Some(word) => c.masker.bytes(word.bytes.trim_ascii_end()),
        None => format!("nothing; {}{after}", how_it_ended(c, &said.end)),
    };
    page.row("answered", Tone::Plain, &clip(&answer, VALUE))
}

/// What was seen of a WebSocket without its handshake.
fn frames(c: &mut Context<'_>, page: &mut Page<'_>, said: &Said, ws: &WsTotals) -> io::Result<()> {
    let side = |n: u32| count(n.into(), "frame", "frames");
    let text = format!("client {}, server {}", side(ws.client.frames), side(ws.server.frames));
    page.row("carried", Tone::Plain, &text)?;
    let idle = said.end.idle_before.map(|idle| format!(", {} after the last byte", human(idle))).unwrap_or_default();
    page.row("ended", Tone::Plain, &format!("{}{idle}", how_it_ended(c, &said.end)))?;
    page.row("not seen", Tone::Warning, "the opening handshake")
}
