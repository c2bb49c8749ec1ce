//! The verdict where the capture cannot carry one: what is missing from it, and the command that
//! would capture it. Commands hold addresses and ports alone, never captured bytes, so that they can
//! be pasted into a shell as they are.

use std::net::IpAddr;

use crate::model::{Confidence, Exchange, Finding, FlowFacts, Text, Verdict};
use crate::rules::response;

/// What the capture lacks, and which command makes up for it.
struct Lack {
    /// Behind "The capture cannot tell what came of this: ".
    missing: &'static str,
    /// Behind that, before "run".
    so: &'static str,
    /// Which end to capture on.
    on: End,
    /// Packets were lost: ask for a larger buffer.
    lost: bool,
}

#[derive(Clone, Copy)]
enum End {
    Client,
    Server,
}

/// On an exchange whose outcome the capture does not show.
pub(super) fn exchange(x: &Exchange) -> Verdict {
    let lack = lack(x);
    let (at, peer) = match lack.on {
        End::Client => (x.client.ip, x.server.ip),
        End::Server => (x.server.ip, x.client.ip),
    };
    let Lack { missing, so, .. } = lack;
    let command = command(peer, x.server.port, lack.lost);
    said(format!("The capture cannot tell what came of this: {missing}; {so} on {at}: {command}"))
}

/// On a WebSocket of which only frames are in view.
pub(super) fn without_handshake(flow: &FlowFacts) -> Verdict {
    let (at, command) = (flow.server.ip, command(flow.client.ip, flow.server.port, false));
    said(format!(
        "The capture cannot tell how this WebSocket was opened: its handshake came before the capture began; to see \
         it, connect anew while this runs on {at}: {command}"
    ))
}

/// On TLS that was not read.
pub(super) fn inside_tls(flow: &FlowFacts, findings: &[Finding]) -> Verdict {
    if let Some(found) = findings.first() {
        let summary = found.message.clone().say("; to know, give its secrets by --keylog");
        return Verdict { summary, confidence: found.confidence, ..said(String::new()) };
    }
    let said = said(format!(
        "The capture cannot tell what ran inside this TLS connection to {}: give its secrets by --keylog, or capture \
         where the same traffic is plain",
        flow.server
    ));
    Verdict { confidence: Confidence::Possible, ..said }
}

/// What captures the packets of one end, to be run on the other. Quoted for a shell: nothing but an
/// address and a number is put in.
fn command(peer: IpAddr, port: u16, larger_buffer: bool) -> String {
    let buffer = if larger_buffer { LARGER_BUFFER } else { "" };
    format!("tcpdump -i any -s 0{buffer} -w again.pcap 'host {peer} and port {port}'")
}

/// 32 MiB for packets that wait to be written (`tcpdump -B`, in KiB), sixteen times the default.
pub const LARGER_BUFFER: &str = " -B 32768";

/// The first that holds: what hides most comes first.
fn lack(x: &Exchange) -> Lack {
    let q = &x.quality;
    let cut_answer = x.response.as_ref().is_some_and(|r| !r.complete);
    let again = |missing| Lack { missing, so: "to see it, run", on: End::Server, lost: false };
    if q.no_server_packets {
        return again("no packet from the server is in it, so the answer may well have come");
    }
    if q.no_client_packets {
        return Lack { on: End::Client, ..again("no packet from the client is in it") };
    }
    if q.snapped && !x.request.complete {
        return again("the snap length cut the head of the request");
    }
    if q.snapped && (cut_answer || x.response.is_none()) {
        return again("the snap length cut the head of the answer");
    }
    let anew = |missing| Lack { so: "to see it, connect anew while this runs", ..again(missing) };
    if q.midstream && !x.request.complete {
        let inside = !x.request.text.is_empty();
        return anew(if inside { "it began in the middle of the request" } else { "it began behind the request" });
    }
    if q.response_gap {
        return Lack { lost: true, ..again("packets with the head of the answer are missing from it") };
    }
    if q.request_gap {
        return Lack { lost: true, ..again("packets with the head of the request are missing from it") };
    }
    if q.gap && x.response.is_none() {
        return Lack { lost: true, ..again("packets are missing from it, and the answer may be among them") };
    }
    match &x.response {
        _ if !x.request.complete => anew("it ends inside the request"),
        Some(_) if cut_answer => anew("it ends inside the answer"),
        None if q.midstream => anew("it began after the connection was opened, and no answer to this is in it"),
        None if response::tcp_ended(x) => anew("the connection ends in it before the answer"),
        _ => anew("it ends before the answer came"),
    }
}

fn said(summary: String) -> Verdict {
    super::verdict::plain("unknown", Confidence::Possible, Text::own(summary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Endpoint;
    use crate::model::Quality;
    use crate::rules::response::testing::{ASK, exchange as made};
    use crate::rules::testing::words;

    fn told(x: &Exchange) -> String {
        words(&exchange(x).summary)
    }

    fn with(request: &str, response: Option<&str>, quality: Quality) -> String {
        let mut x = made(request, response);
        x.quality = quality;
        told(&x)
    }

    const WHOLE: Quality = Quality {
        queued: false,
        midstream: false,
        no_client_packets: false,
        no_server_packets: false,
        request_gap: false,
        response_gap: false,
        snapped: false,
        overlap_conflict: false,
        gap: false,
        undelivered: false,
    };
    const ON_SERVER: &str = "on 198.51.100.2: tcpdump -i any -s 0 -w again.pcap 'host 192.0.2.1 and port 80'";
    const CUT_ASK: &str = "GET /chat HTTP/1.1\r\nHost: ws";
    const CUT_ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpg";

    #[test]
    fn without_the_servers_packets_it_is_captured_on_the_server() {
        let told = with(ASK, None, Quality { no_server_packets: true, ..WHOLE });
        assert_eq!(
            told,
            format!(
                "The capture cannot tell what came of this: no packet from the server is in it, so the answer may \
                 well have come; to see it, run {ON_SERVER}"
            )
        );
    }

    #[test]
    fn without_the_clients_packets_it_is_captured_on_the_client() {
        let told = with(CUT_ASK, Some(CUT_ANSWER), Quality { no_client_packets: true, ..WHOLE });
        assert!(told.contains("no packet from the client is in it"), "{told}");
        let command = "on 192.0.2.1: tcpdump -i any -s 0 -w again.pcap 'host 198.51.100.2 and port 80'";
        assert!(told.ends_with(command), "{told}");
    }

    #[test]
    fn a_head_cut_by_the_snap_length_asks_for_whole_packets() {
        let snapped = Quality { snapped: true, gap: true, request_gap: true, response_gap: true, ..WHOLE };
        let told = with(CUT_ASK, None, snapped);
        assert!(told.contains("the snap length cut the head of the request; to see it, run on"), "{told}");
        let told = with(ASK, Some(CUT_ANSWER), snapped);
        assert!(told.contains("the snap length cut the head of the answer; to see it, run on"), "{told}");
        assert!(told.contains("-s 0") && !told.contains("-B"), "{told}");
    }

    #[test]
    fn lost_packets_inside_a_head_ask_for_a_larger_buffer() {
        let told = with(ASK, Some(CUT_ANSWER), Quality { gap: true, response_gap: true, ..WHOLE });
        assert!(told.contains("the head of the answer are missing from it; to see it, run on"), "{told}");
        assert!(told.contains("tcpdump -i any -s 0 -B 32768 -w"), "{told}");
        let told = with(CUT_ASK, None, Quality { gap: true, request_gap: true, ..WHOLE });
        assert!(
            with(ASK, None, Quality { gap: true, ..WHOLE }).contains("the answer may be among them; to see it, run")
        );
        assert!(told.contains("the head of the request are missing") && told.contains("-B 32768"), "{told}");
    }

    #[test]
    fn what_lies_before_or_behind_the_capture_asks_to_connect_anew() {
        let anew = format!("; to see it, connect anew while this runs {ON_SERVER}");
        for (request, response, quality, missing) in [
            (CUT_ASK, None, Quality { midstream: true, ..WHOLE }, "it began in the middle of the request"),
            (CUT_ASK, None, WHOLE, "it ends inside the request"),
            (ASK, Some(CUT_ANSWER), WHOLE, "it ends inside the answer"),
            (ASK, None, WHOLE, "it ends before the answer came"),
            (
                ASK,
                None,
                Quality { midstream: true, ..WHOLE },
                "it began after the connection was opened, and no answer to this is in it",
            ),
        ] {
            let told = with(request, response, quality);
            assert_eq!(told, format!("The capture cannot tell what came of this: {missing}{anew}"));
        }
    }

    #[test]
    fn an_answer_without_its_request_says_that_the_capture_began_too_late() {
        let mut x = made(CUT_ASK, Some(CUT_ANSWER));
        x.request.text = Box::default();
        x.quality = Quality { midstream: true, gap: true, request_gap: true, ..WHOLE };
        assert!(told(&x).contains("it began behind the request; to see it, connect anew while this runs on"));
    }

    #[test]
    fn what_a_cut_head_breaks_off_in_is_not_taken_for_a_value() {
        let cut = |text: &str| made(&format!("GET /chat HTTP/1.1\r\nHost: ws\r\n{text}"), None);
        assert_eq!(cut("Upgrade: webs").protocol().as_deref(), Some("websocket"));
        assert_eq!(cut("Upgrade: h2").protocol().as_deref(), Some("h2"));
        assert!(!cut("Upgrade: websoft\r\n").is_websocket() && !cut("Upgrade: ").is_websocket());
        let key = cut("Upgrade: websocket\r\nSec-WebSocket-Key: w+p8mG");
        assert_eq!(key.key(), None);
        assert!(key.is_websocket(), "its name is there all the same");
    }

    #[test]
    fn addresses_of_ipv6_stand_as_a_capture_filter_wants_them() {
        let mut x = made(ASK, None);
        x.client = Endpoint::new("2001:db8::7".parse().unwrap_or(x.client.ip), 40_000);
        x.server = Endpoint::new("2001:db8::9".parse().unwrap_or(x.server.ip), 8080);
        let told = told(&x);
        let command = "on 2001:db8::9: tcpdump -i any -s 0 -w again.pcap 'host 2001:db8::7 and port 8080'";
        assert!(told.ends_with(command), "{told}");
    }
}
