//! What a capture lacks is no fault of anybody: a faulty answer that was not captured, or only in part,
//! gives `unknown` with what is missing and a command, never another verdict.

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run;
use crate::support::script::{Script, Segment, Side, upgrade_request};
use crate::support::shape;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A wrong accept; the client drops the connection.
fn segments() -> Vec<Segment> {
    let answer = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
                  Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let script = Script::between("[2001:db8::7]:40000", "[2001:db8::9]:8080").handshake();
    script.head(Side::Client, &upgrade_request(KEY)).head(Side::Server, answer).fin(Side::Client).segments()
}

/// Rule and summary of the only verdict.
fn verdict(segments: &[Segment], snaplen: usize) -> (String, String) {
    let mut packets = link::packets(segments, Link::Ethernet);
    if snaplen > 0 {
        link::snap(&mut packets, snaplen);
    }
    let report = run::report_on_bytes(&Format::pcap(Link::Ethernet).write(&packets));
    let verdict = &report["chains"][0]["verdict"];
    let word = |name: &str| verdict[name].as_str().unwrap_or_default().to_owned();
    (word("rule"), word("summary"))
}

#[test]
fn a_wrong_accept_is_found_in_a_whole_capture() {
    assert_eq!(verdict(&segments(), 0).0, "accept-mismatch");
}

#[test]
fn one_direction_alone_is_captured_again_at_the_other_end() {
    for (seen, missing, command) in [
        (
            Side::Client,
            "no packet from the server",
            "on 2001:db8::9: tcpdump -i any -s 0 -w again.pcap 'host 2001:db8::7 and port 8080'",
        ),
        (
            Side::Server,
            "no packet from the client",
            "on 2001:db8::7: tcpdump -i any -s 0 -w again.pcap 'host 2001:db8::9 and port 8080'",
        ),
    ] {
        let (rule, summary) = verdict(&shape::one_way(segments(), seen), 0);
        assert_eq!(rule, "unknown", "{summary}");
        assert!(summary.contains(missing) && summary.ends_with(command), "{summary}");
    }
}

#[test]
fn heads_cut_by_the_snap_length_give_no_verdict() {
    for snaplen in [90, 150, 200, 230] {
        let (rule, summary) = verdict(&segments(), snaplen);
        assert!(rule == "unknown" || rule.is_empty(), "{snaplen}: {rule}: {summary}");
        assert!(rule.is_empty() || summary.contains("the snap length cut the head"), "{snaplen}: {summary}");
    }
}

#[test]
fn no_single_lost_packet_makes_another_fault_of_it() {
    let all = segments();
    for place in 0..all.len() {
        let (rule, summary) = verdict(&shape::lose(all.clone(), &[place]), 0);
        assert!(["accept-mismatch", "unknown"].contains(&&*rule), "without packet {place}: {rule}: {summary}");
    }
}

#[test]
fn a_lost_answer_is_no_silence_even_without_the_syn_ack() {
    let all = segments();
    let answer = all.iter().rposition(|s| s.from == Side::Server && !s.payload.is_empty()).expect("an answer");
    let syn_ack = all.iter().position(|s| s.from == Side::Server && s.flags.syn).expect("a SYN-ACK");
    let (rule, summary) = verdict(&shape::lose(all, &[syn_ack, answer]), 0);
    assert_eq!(rule, "unknown", "{summary}");
}
