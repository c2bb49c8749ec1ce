//! One broken chain: what is wrong in one sentence, who asked whom for what, what came back, where to
//! see it, where to look it up, how to mend it.

use std::io;

use crate::base::{Endpoint, Nanos, PacketRef, Timestamp};
use crate::model::{Blame, Chain, Confidence, End, EndHow, Exchange, Head, Outcome, Role, Severity};
use crate::report::build;
use crate::report::mask;
use crate::report::text::Context;
use crate::report::text::fields::{ANSWERED, ASKED, REQUEST_IDS, in_ladder, told};
use crate::report::text::page::{Page, Tone, clip};
use crate::report::text::{body, connection, facts, fix, hops, ladder, legs, sealed};
use crate::report::time::human;
use crate::rules::sentence::CAUSE;
use crate::store::Analysis;

/// Characters of a captured value that are shown.
pub(super) const VALUE: usize = 160;
/// Packets named as evidence.
const PACKETS: usize = 20;

/// `fix_told`: the block before this one tells the same fix.
pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain, fix_told: bool) -> io::Result<()> {
    head(c, page, chain)?;
    match (facts::first_leg(c.a, chain).map(|row| &row.exchange), facts::flow(c.a, chain)) {
        (Some(x), _) => exchange(c, page, chain, x)?,
        (None, Some(flow)) => connection::write(c, page, chain, flow)?,
        (None, None) => {}
    }
    legs::write(c, page, chain)?;
    sealed::beside(c, page, chain)?;
    evidence(c, page, chain)?;
    if let Some(x) = facts::first_leg(c.a, chain).map(|row| &row.exchange) {
        logs(c, page, chain, x)?;
        legs::other_side(page, chain, x)?;
    } else if let Some(flow) = facts::flow(c.a, chain) {
        page.items("in the logs", &[seen_at(c, flow.client, flow.syn_at)])?;
    }
    fix::write(page, chain, fix_told)?;
    also(c, page, chain)
}

/// The packets of the two heads (or of the connection's opening), and those that prove the verdict.
pub(super) fn packets(a: &Analysis, chain: &Chain) -> Vec<PacketRef> {
    let found = facts::behind_verdict(a, chain).into_iter().flat_map(|f| &f.evidence).map(|e| e.at);
    let mut all: Vec<PacketRef> = found.collect();
    for x in chain.legs.iter().filter_map(|&leg| build::row(a, leg)).map(|row| &row.exchange) {
        all.push(x.request.at);
        all.extend(x.response.as_ref().map(|r| r.at));
    }
    let tried = chain.tried.iter().filter_map(|t| facts::flow_by_id(a, t.flow));
    for flow in facts::flow(a, chain).into_iter().chain(tried) {
        all.push(flow.syn);
        all.extend(flow.end);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// For each input, its name (empty where there is only one) and a display filter of Wireshark.
pub(super) fn filters(a: &Analysis, packets: &[PacketRef]) -> Vec<(String, String)> {
    let mut sorted = packets.to_vec();
    sorted.sort_unstable();
    let mut out = Vec::new();
    for of_input in sorted.chunk_by(|a, b| a.input() == b.input()) {
        let Some(input) = of_input.first().map(|p| usize::from(p.input())) else { continue };
        let name = match a.inputs.len() {
            1 => String::new(),
            _ => format!("{}: ", facts::input_name(a, input)),
        };
        let numbers: Vec<String> = of_input.iter().map(|p| p.number().to_string()).collect();
        out.push((name, format!("frame.number in {{{}}}", numbers.join(","))));
    }
    out
}

/// The rule, the time, the one sentence, and who is to blame.
fn head(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    let v = &chain.verdict;
    let unknown = v.rule == "unknown" || v.rule == "ok";
    let (tone, word) = match v.severity {
        _ if unknown => (Tone::Warning, "UNKNOWN"),
        Severity::Error => (Tone::Bad, "ERROR"),
        Severity::Warning => (Tone::Warning, "WARNING"),
        Severity::Info => (Tone::Plain, "NOTE"),
    };
    let because = v.because.as_ref().map(|slug| format!(" ({})", mask::own(slug))).unwrap_or_default();
    let rule = if unknown { String::new() } else { format!(" {}{because}", mask::own(&v.rule)) };
    let at = facts::began(c.a, chain).map(|ts| format!(" at {}", c.clock.time(ts))).unwrap_or_default();
    let id = if chain.id < 0 { format!("connection {}", chain.id.unsigned_abs()) } else { format!("#{}", chain.id) };
    page.headline(tone, &format!("{word}{rule}"), &format!("  {id}{at}"))?;
    let mut sentence = c.masker.text(&v.summary);
    // The likeliest cause has a line of its own.
    if let Some((what, _)) = sentence.rsplit_once(CAUSE) {
        sentence.truncate(what.len());
    }
    if sentence.is_empty() {
        let found = facts::behind_verdict(c.a, chain);
        sentence = found.first().map(|f| c.masker.text(&f.message)).unwrap_or_default();
    }
    // A command stands on a line of its own, to be pasted.
    let command = sentence.find("tcpdump ").map(|at| sentence.split_off(at));
    if !sentence.is_empty() {
        let sentence = clip(&sentence, 1_000);
        let sentence = sentence.trim_end();
        let stop = if sentence.ends_with(['.', '!', '?', ':']) { "" } else { "." };
        page.paragraph(2, Tone::Strong, &format!("{sentence}{stop}"))?;
    }
    if let Some(command) = command {
        page.verbatim("", &command)?;
    }
    page.blank()
}

/// What is behind it, likeliest first: one line.
pub(super) fn cause(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    let summary = c.masker.text(&chain.verdict.summary);
    let Some((_, cause)) = summary.rsplit_once(CAUSE) else { return Ok(()) };
    page.row("likely cause", Tone::Plain, &clip(cause.trim_end_matches('.'), 400))
}

fn exchange(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain, x: &Exchange) -> io::Result<()> {
    let mut drawn = Drawn::Nothing;
    if ladder::has(chain) {
        drawn = if ladder::write(c, page, chain)? { Drawn::Whole } else { Drawn::Cut };
        page.blank()?;
        at_fault(page, chain)?;
        hops::write(c, page, chain)?;
    } else {
        who(page, chain, x.client, x.server)?;
    }
    cause(c, page, chain)?;
    let via: Vec<String> = x.via.iter().map(|w| build::via_at_length(w, &mut c.masker)).collect();
    page.row("inside", Tone::Plain, &clip(&via.join(", "), VALUE))?;
    page.row("behind", Tone::Plain, &clip(&connection::preceded(c, x.proxied.as_deref()), VALUE))?;
    let request = &x.request;
    let line = format!(
        "{} {} {}",
        c.masker.bytes(request.method()),
        c.masker.url(request.target()),
        c.masker.bytes(request.version())
    );
    let mut fields = told(c, request, &ASKED);
    if drawn == Drawn::Whole {
        // The ladder has the rest.
        fields.retain(|field| !in_ladder(field));
        page.items("asked", &fields)?;
        fields.clear();
    } else {
        page.row("asked", Tone::Plain, &clip(line.trim(), VALUE))?;
    }
    if drawn != Drawn::Nothing {
        fields.retain(|field| !in_ladder(field));
    } else if x.is_websocket() && request.complete && !x.quality.request_gap {
        let needed: &[&str] = if request.coded { &[":protocol"] } else { &["Upgrade", "Connection", "Host"] };
        for name in needed.iter().filter(|name| !request.has(name)) {
            fields.push(format!("(no {name})"));
        }
    }
    page.items("", &fields)?;
    answer(c, page, x, drawn)?;
    for found in facts::behind_verdict(c.a, chain).into_iter().take(1) {
        let of_accept = found.rule == "accept-mismatch";
        let kind = facts::first_leg(c.a, chain).and_then(|row| row.handshake.accept_kind()).filter(|_| of_accept);
        for (label, text) in [("expected", &found.expected), ("found", &found.found)] {
            let text = c.masker.text(text);
            // The rows above say it already.
            if label == "found" && found.rule.starts_with("refused-") || text == "101 Switching Protocols" {
                continue;
            }
            let kind = match kind {
                Some(kind) if label == "found" => format!(" (kind: {kind})"),
                _ => String::new(),
            };
            let legs = facts::legs_of(c.a, chain, found);
            let told = label == "found" && !text.is_empty() && !legs.is_empty();
            let leg = if told { format!(" ({legs})") } else { String::new() };
            page.row(label, Tone::Plain, &format!("{}{kind}{leg}", clip(&text, VALUE)))?;
        }
    }
    if chain.outcome == Outcome::Upgraded {
        page.row("ended", Tone::Plain, &ending(c, x))?;
    }
    page.row("not seen", Tone::Warning, &unseen(x).join(", "))
}

/// How much of the request the ladder has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// There is none: one leg is all that was seen.
    Nothing,
    /// Its target is cut.
    Cut,
    Whole,
}

/// What the capture lacks of this connection.
fn unseen(x: &Exchange) -> Vec<&'static str> {
    let q = x.quality;
    let lacks = [
        (q.no_client_packets, "any packet of the client"),
        (q.no_server_packets, "any packet of the server"),
        (q.midstream, "the opening of the connection"),
        (q.request_gap, "a part of the request"),
        (q.response_gap, "a part of the response"),
        (q.snapped, "the ends of packets that were cut"),
        (q.undelivered, "bytes that were lost on their way"),
        (q.gap && !q.request_gap && !q.response_gap && !q.snapped && !q.undelivered, "some bytes of the connection"),
    ];
    lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what).collect()
}

pub(super) fn who(page: &mut Page<'_>, chain: &Chain, client: Endpoint, server: Endpoint) -> io::Result<()> {
    let blame = chain.verdict.blame.as_ref();
    let product = |at: Endpoint| {
        let product = blame.filter(|b| is_at(b, at)).and_then(|b| b.product.as_deref());
        product.map(|p| format!(" ({})", mask::own(p))).unwrap_or_default()
    };
    page.row("who", Tone::Plain, &format!("{client}{} → {server}{}", product(client), product(server)))?;
    at_fault(page, chain)
}

fn at_fault(page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    let Some(blame) = &chain.verdict.blame else { return Ok(()) };
    let name = match (blame.product.as_deref(), blame.address.as_deref()) {
        (Some(product), Some(address)) => format!("{} at {}", mask::own(product), mask::own(address)),
        (Some(name), None) | (None, Some(name)) => mask::own(name),
        (None, None) => String::new(),
    };
    let name = match (blame.role, &blame.product) {
        (Role::Client, _) => format!("the client {name}"),
        (Role::Hop, _) => format!("the proxy {name}"),
        // A known product passes on what the server behind it says.
        (Role::Server, Some(_)) => format!("{name}, or the server behind it"),
        (Role::Server, None) => format!("the server {name}"),
        (Role::Unknown, _) if !name.is_empty() => format!("the router or firewall {name}"),
        (Role::Unknown, _) => return Ok(()),
    };
    let sure = match chain.verdict.confidence {
        Confidence::Certain => String::new(),
        less => format!(" ({})", less.word()),
    };
    page.row("at fault", Tone::Plain, &format!("{}{sure}", name.trim_end()))
}

/// Whether the blamed address is this end's, with or without its port.
pub(super) fn is_at(blame: &Blame, end: Endpoint) -> bool {
    blame.address.as_deref().is_some_and(|a| a == end.to_string() || a == end.ip.to_string())
}

fn answer(c: &mut Context<'_>, page: &mut Page<'_>, x: &Exchange, drawn: Drawn) -> io::Result<()> {
    for interim in &x.interim {
        let line = format!("{} {}", status(interim), c.masker.bytes(interim.reason()));
        page.row("first", Tone::Plain, &clip(line.trim(), VALUE))?;
    }
    let Some(response) = &x.response else {
        let what = match &x.odd_response {
            Some(odd) => format!("no HTTP, but: {}", clip(&c.masker.bytes(&odd.bytes), VALUE)),
            None if x.quality.no_server_packets => format!("what is not in view; {}", ending(c, x)),
            None => format!("nothing; {}", ending(c, x)),
        };
        return page.row("answered", Tone::Plain, &what);
    };
    let after = x.latency().map(|l| format!(", {} after the request", human(l))).unwrap_or_default();
    let reason = c.masker.bytes(response.reason());
    page.row(
        "answered",
        Tone::Plain,
        &format!("{}{after}", clip(format!("{} {reason}", status(response)).trim(), VALUE)),
    )?;
    let mut fields = told(c, response, &ANSWERED);
    fields.retain(|field| drawn == Drawn::Nothing || !in_ladder(field));
    page.items("", &fields)?;
    if !x.body.is_empty() && x.granted().is_none() {
        let body = c.masker.bytes(&body::readable(&x.body));
        page.row("body", Tone::Plain, &clip(&body, VALUE))?;
    }
    Ok(())
}

fn status(head: &Head) -> String {
    head.status().map_or_else(|| "a status that is no number".to_owned(), |s| s.to_string())
}

fn ending(c: &mut Context<'_>, x: &Exchange) -> String {
    let mut text = how_it_ended(c, &x.end);
    if x.end.how != EndHow::Open {
        if let Some(lifetime) = x.end.lifetime {
            let since = if x.quality.no_client_packets { "answer" } else { "request" };
            let (length, word) =
                if lifetime.0 < 0 { (Nanos(lifetime.0.saturating_neg()), "before") } else { (lifetime, "after") };
            text.push_str(&format!(" {} {word} the {since}", human(length)));
        }
        if let Some(idle) = x.end.idle_before.filter(|idle| idle.0 > 1_000_000_000) {
            text.push_str(&format!(", after {} without a byte", human(idle)));
        }
    }
    text
}

/// What came first of an end, and by whom.
pub(super) fn how_it_ended(c: &mut Context<'_>, end: &End) -> String {
    let by = end.by.map_or("somebody", |d| d.sender());
    match end.how {
        EndHow::CloseFrame => {
            let close = end.close.clone().unwrap_or_default();
            let code = close.code.map_or_else(|| "without a code".to_owned(), |code| format!("with code {code}"));
            let reason = clip(&c.masker.bytes(&close.reason), VALUE);
            let reason = if reason.is_empty() { String::new() } else { format!(" \"{reason}\"") };
            format!("the {by} sent a Close frame {code}{reason}")
        }
        EndHow::Fin => format!("the {by} closed the connection (FIN)"),
        EndHow::Rst => format!("the {by} reset the connection (RST)"),
        EndHow::Silent => "the connection went silent".to_owned(),
        EndHow::Open => "the connection was still open when the capture ended".to_owned(),
    }
}

fn evidence(c: &Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    let mut all = packets(c.a, chain);
    let left = all.len().saturating_sub(PACKETS);
    all.truncate(PACKETS);
    let mut label = "evidence";
    for (name, filter) in filters(c.a, &all) {
        page.verbatim(label, &format!("{name}{filter}"))?;
        label = "";
    }
    if left > 0 { page.row("", Tone::Dim, &format!("and {left} more packets")) } else { Ok(()) }
}

/// What to look for in the log of a proxy.
fn logs(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain, x: &Exchange) -> io::Result<()> {
    let mut parts = vec![seen_at(c, x.client, x.request.first)];
    parts.extend(told(c, &x.request, &REQUEST_IDS));
    // A proxy gives requests a name that the next one knows them by.
    let last = chain.legs.last().and_then(|&leg| build::leg(c.a, leg)).filter(|last| last.id != x.id);
    let heads = [last.map(|last| &last.request), last.and_then(|x| x.response.as_ref()), x.response.as_ref()];
    for text in heads.into_iter().flatten().flat_map(|head| told(c, head, &REQUEST_IDS)).collect::<Vec<_>>() {
        if !parts.contains(&text) {
            parts.push(text);
        }
    }
    page.items("in the logs", &parts)?;
    match last {
        Some(last) => page.items("", &[format!("at {}: {}", last.server, seen_at(c, last.client, last.request.first))]),
        None => Ok(()),
    }
}

fn seen_at(c: &Context<'_>, client: Endpoint, at: Timestamp) -> String {
    format!("client {client} at {} {}", c.clock.time(at), c.clock.zone(at))
}

/// What else was found in this chain, by its slug.
fn also(c: &Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<()> {
    // Notes are told only where there is nothing better.
    let explained = !matches!(&*chain.verdict.rule, "unknown" | "ok");
    let mut others: Vec<String> = Vec::new();
    for found in facts::findings(c.a, chain).into_iter().filter_map(|i| c.a.findings.get(i)) {
        // The row of the answer has the status.
        if explained && (found.severity == Severity::Info || found.rule.starts_with("refused-")) {
            continue;
        }
        let leg = facts::legs_of(c.a, chain, found);
        let leg = if leg.is_empty() { leg } else { format!(", {leg}") };
        let text = format!("{} ({}{leg})", mask::own(&found.rule), found.severity.word());
        if found.rule != chain.verdict.rule && found.rule != chain.verdict.told_by() && !others.contains(&text) {
            others.push(text);
        }
    }
    page.row("also", Tone::Dim, &others.join(", "))
}
