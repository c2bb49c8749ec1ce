//! When no upgrade was seen: what was seen instead, and what may be the reason.

use std::io;

use crate::model::Chain;
use crate::report::text::Context;
use crate::report::text::page::{Page, Tone, count, grouped};
use crate::rules;

pub(super) fn write(c: &Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let n = &c.a.counters;
    let (what, mut reasons) = match (n.packets, n.flows, n.http_requests) {
        (0, ..) => ("the capture holds no packet".to_owned(), NO_PACKET.to_vec()),
        (packets, 0, _) => (format!("{}, but no TCP connection", count(packets, "packet", "packets")), NO_TCP.to_vec()),
        (_, _, 0) => (format!("{}, but no HTTP request in clear", connections(c)), NO_HTTP.to_vec()),
        (_, _, requests) => {
            let requests = count(requests, "HTTP request", "HTTP requests");
            let shown = if n.gaps > 0 { " in what the capture shows of them" } else { "" };
            let plain = format!(
                "{requests} in {}, and no request asks for WebSocket or another protocol{shown}",
                connections(c)
            );
            (plain, NO_UPGRADE.to_vec())
        }
    };
    // What is known of this capture decides which reasons are worth a thought.
    reasons.retain(|(when, _)| when.holds(c));
    page.say(Tone::Strong, &format!("No upgrade was seen: {what}."))?;
    page.say(Tone::Plain, "Possible reasons, and what to do:")?;
    for (_, reason) in reasons {
        page.indented(2, Tone::Plain, &format!("- {reason}"))?;
    }
    Ok(())
}

/// When a reason is worth telling.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// TLS was seen whose handshake did not fail.
    Tls,
    /// TLS was seen whose handshake failed.
    Failed,
    /// Answers were seen, and not one request.
    OnlyAnswers,
    /// WebSocket frames were seen, and no handshake before them.
    Midstream,
    /// No such frames were seen.
    NoMidstream,
    /// Neither TLS nor such frames were seen.
    Foreign,
    /// Packets were cut by the snap length.
    Snapped,
    /// Bytes are missing, and not because packets were cut.
    Lost,
    /// Some packets could not be decoded.
    Undecodable,
    /// The user limited the time or the exchanges, as far as the capture tells.
    Selected,
}

impl When {
    fn holds(self, c: &Context<'_>) -> bool {
        let n = &c.a.counters;
        match self {
            When::Always => true,
            When::Tls => n.flows_tls_unread() > failed(c),
            When::Failed => failed(c) > 0,
            When::OnlyAnswers => n.http_responses > 0,
            When::Midstream => n.flows_websocket_midstream > 0,
            When::NoMidstream => n.flows_websocket_midstream == 0,
            When::Foreign => n.flows_tls_unread() == 0 && n.http_responses == 0 && n.flows_websocket_midstream == 0,
            When::Snapped => n.gaps_cut > 0,
            When::Lost => n.gaps > n.gaps_cut + n.gaps_undelivered,
            When::Undecodable => n.undecodable > 0,
            When::Selected => c.a.inputs.iter().any(|i| i.packets > n.packets),
        }
    }
}

/// Connections whose TLS handshake failed.
fn failed(c: &Context<'_>) -> u64 {
    let is = |chain: &&Chain| chain.flow.is_some() && chain.verdict.rule == rules::TLS_HANDSHAKE_FAILED;
    c.a.chains.iter().filter(is).count() as u64
}

type Reason = (When, &'static str);

const NO_PACKET: &[Reason] = &[
    (When::Selected, "every packet lies outside --since and --until: leave them out once"),
    (When::Always, "the capture filter let nothing through: capture once without one, or with \"tcp\" alone"),
    (When::Always, "the wrong interface was captured: tcpdump -i any sees them all"),
    (When::Always, "the capture was stopped before its buffer was written: tcpdump -U writes each packet at once"),
];

const NO_TCP: &[Reason] = &[
    (When::Undecodable, "packets of an unknown link type, or damaged ones, could not be read: see above"),
    (When::Always, "it holds other traffic only, such as DNS or HTTP/3 (QUIC), which runs over UDP"),
    (When::Always, "the connections are inside a tunnel that is not taken apart: capture inside of it"),
    (When::Always, "the capture filter let only other traffic through"),
];

const NO_HTTP: &[Reason] = &[
    (When::Failed, "TLS was not agreed on, so that no request could be sent: see below"),
    (
        When::OnlyAnswers,
        "only what the servers sent is in it, HTTP answers without a request: capture where both directions pass, on the client or the server itself",
    ),
    (
        When::Midstream,
        "WebSockets were open already when the capture began, see below: start the capture, then connect anew",
    ),
    (When::Tls, ENCRYPTED),
    (
        When::NoMidstream,
        "the capture began after the connections were open: the upgrade is their first request, so start the capture, then connect anew",
    ),
    (When::Always, "the capture filter left out one direction or the port of the WebSocket"),
    (When::Foreign, "these are connections of something else: any port is looked at, so HTTP would have been found"),
];

const ENCRYPTED: &str = "the upgrades are encrypted (wss://): give their secrets with --keylog FILE (docs/keys.md), or capture where they are plain again, on the machine that ends TLS (tcpdump -i any -s 0 -w plain.pcap tcp)";

const NO_UPGRADE: &[Reason] = &[
    (
        When::Snapped,
        "the snap length cut the requests, and the fields that ask for it stood behind the cut: capture whole packets",
    ),
    (When::Lost, "packets are missing from the capture, and the request with its fields was among them"),
    (When::Tls, ENCRYPTED),
    (
        When::Always,
        "the capture began after the WebSocket was open: the upgrade is its first request, so start the capture, then connect anew",
    ),
    (When::Always, "the client never tried: a script failed or was blocked, or a library fell back to polling"),
    (When::Always, "the upgrade takes another interface or another hop than the one captured"),
];

fn connections(c: &Context<'_>) -> String {
    let n = &c.a.counters;
    let all = count(n.flows, "TCP connection", "TCP connections");
    match n.flows_tls {
        0 => all,
        tls if tls == n.flows && tls == 1 => format!("{all}, which is TLS"),
        tls if tls == n.flows => format!("{all}, all of them TLS"),
        tls => format!("{all}, {} of them TLS", grouped(tls)),
    }
}
