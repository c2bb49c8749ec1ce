//! What the capture lacks, said before anything else: a verdict is only as good as what was seen. A
//! line for each lack (what is missing, and what that means for what follows), the worst first; then
//! one command that captures it whole. Nothing at all of a capture that lacks nothing.

use std::io;

use crate::base::{Endpoint, Nanos, escape::escape, limits};
use crate::model::{InputFacts, Quality};
use crate::report::text::page::{Page, Tone, clip, count, grouped};
use crate::report::text::{Context, LIMITS, facts};
use crate::report::time::human;
use crate::rules::LARGER_BUFFER;
use crate::store::Analysis;

/// Lines of lacks, at most.
const LINES: usize = 8;

/// Servers that a command names, at most; beyond them it captures all of TCP.
const SERVERS: usize = 3;

/// A lack: a sentence without its full stop.
struct Lack {
    text: String,
    /// Whether capturing again with the command below helps.
    again: bool,
}

pub(super) fn write(c: &Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let lacks = lacks(c.a, c.facts.tried());
    if lacks.is_empty() {
        return Ok(());
    }
    page.say(Tone::Warning, LIMITS)?;
    let beyond = lacks.len().saturating_sub(LINES);
    let lines = if beyond > 0 { LINES - 1 } else { LINES };
    for lack in lacks.iter().take(lines) {
        page.indented(2, Tone::Plain, &format!("- {}", lack.text))?;
    }
    if beyond > 0 {
        page.indented(2, Tone::Plain, &format!("- {} more of less weight: see cap-* in --format json", beyond + 1))?;
    }
    if lacks.iter().any(|lack| lack.again) {
        page.headline(Tone::Dim, "  To capture it whole: ", &command(c.a))?;
    }
    page.blank()
}

/// All lacks, the worst first; empty for a capture that lacks nothing.
fn lacks(a: &Analysis, tried: u64) -> Vec<Lack> {
    let c = &a.counters;
    let mut out = Vec::new();
    let mut add = |number: u64, again: bool, text: &dyn Fn(String) -> String| {
        if number > 0 {
            out.push(Lack { text: text(grouped(number)), again });
        }
    };
    add(c.bugs, false, &|n| format!("{n} connections were given up by a fault in hopscope: please report it"));
    for (name, i) in named(a) {
        for text in unreadable(i) {
            add(1, false, &|_| format!("{name}{text}"));
        }
    }
    let dropped = c.dropped_kernel.saturating_add(c.dropped_interface).saturating_add(c.dropped_hopscope);
    add(dropped, true, &|n| {
        let whom = [(c.dropped_kernel, "kernel"), (c.dropped_interface, "interface"), (c.dropped_hopscope, "hopscope")];
        let whom: Vec<String> =
            whom.iter().filter(|(n, _)| *n > 0).map(|(n, who)| format!("{} by the {who}", grouped(*n))).collect();
        let whom = whom.join(", ").replace("the hopscope", "hopscope");
        format!("{n} packets were dropped while capturing ({whom}): what is not seen below may have been sent")
    });
    let one_sided = |of: fn(&Quality) -> bool| a.rows.iter().filter(|row| of(&row.exchange.quality)).count() as u64;
    for (n, whose, unknown) in [
        (one_sided(|q| q.no_server_packets), "the server", "what it answered"),
        (one_sided(|q| q.no_client_packets), "the client", "what it asked"),
    ] {
        let of = share(n, tried);
        add(n, true, &|_| format!("for {of}, no packet from {whose} was captured: {unknown} is unknown"));
    }
    for (name, i) in named(a) {
        add(i.snapped, true, &|n| {
            let length = i.snaplen.map(|s| format!(" to {} bytes", grouped(u64::from(s)))).unwrap_or_default();
            let are = if i.snapped == 1 { "is" } else { "are" };
            format!("{name}{n} of {} packets {are} cut{length}: {}", grouped(i.packets), heads(a))
        });
    }
    let (places, bytes) = lost(a);
    add(places, true, &|n| {
        let places = if places == 1 { "place" } else { "places" };
        format!("{} missing at {n} {places}: {}", count(bytes, "byte is", "bytes are"), heads(a))
    });
    // What to do stands with each of them.
    add(c.flows_websocket_midstream, false, &|n| {
        let were = if c.flows_websocket_midstream == 1 { "WebSocket was" } else { "WebSockets were" };
        format!("{n} {were} open before the capture began: the opening handshake is not in it")
    });
    // Where no upgrade was seen, that is the first thing said anyway.
    add(if tried > 0 { c.flows_tls_unread() } else { 0 }, false, &|n| {
        let are = if c.flows_tls_unread() == 1 { "is" } else { "are" };
        format!(
            "{n} of {} {are} in TLS and not read: an upgrade in there is not in this report; give their secrets by \
             --keylog, or capture behind the proxy that ends TLS",
            count(c.flows, "TCP connection", "TCP connections")
        )
    });
    add(c.flows_tls_missed, false, &|_| {
        let missed = count(c.flows_tls_missed, "TLS connection is", "TLS connections are");
        format!("{missed} in none of the key logs: another program wrote these, or at another time")
    });
    add(c.tls_secrets_dropped, false, &|_| {
        let lines = count(c.tls_secrets_dropped, "line", "lines");
        format!("{lines} of the key logs cannot be read, or too many secrets are there to keep them all")
    });
    for (name, i) in named(a) {
        let ends = match (i.packed_cut, i.cut_short) {
            (true, _) => "the compressed data is cut: what was behind the cut is unknown",
            (false, Some(_)) => "the file ends inside its last packet: what came after is unknown",
            (false, None) => "",
        };
        add(u64::from(!ends.is_empty()), false, &|_| format!("{name}{ends}"));
    }
    add(c.flows_seen_twice, false, &|n| {
        let were = if c.flows_seen_twice == 1 { "connection was" } else { "connections were" };
        format!("{n} {were} captured at two places: each is told once")
    });
    beyond_reading(a, &mut add);
    for (name, i) in named(a) {
        add(i.clock_offset.0.unsigned_abs(), false, &|_| {
            let way = if i.clock_offset.0 < 0 { "earlier" } else { "later" };
            let by = human(Nanos(i.clock_offset.0.saturating_abs()));
            format!("{name}its clock differs from the other inputs': its times are told {by} {way} than it has them")
        });
    }
    for (name, i) in named(a) {
        add(i.time_backwards, false, &|n| {
            let times = if i.time_backwards == 1 { "once".to_owned() } else { format!("{n} times") };
            format!("{name}packet time goes backwards {times}: durations around there are not exact")
        });
    }
    out
}

/// Adds a lack where the number is not 0; the text is made of it.
type Add<'a> = dyn FnMut(u64, bool, &dyn Fn(String) -> String) + 'a;

/// What was captured and could not be followed.
fn beyond_reading(a: &Analysis, add: &mut Add<'_>) {
    let c = &a.counters;
    add(c.undecodable, false, &|_| {
        format!(
            "{} not be decoded",
            count(c.undecodable, "packet was passed over: it could", "packets were passed over: they could")
        )
    });
    add(c.evicted, false, &|n| {
        format!("{n} connections or exchanges were given up to stay within the memory limits: narrow it by --since")
    });
    add(c.fragments_lost, false, &|_| {
        let fragments = count(c.fragments_lost, "IP fragment is a part", "IP fragments are parts");
        format!("{fragments} of packets that never became whole")
    });
    add(c.fragment_conflicts, false, &|n| format!("{n} IP fragments contradict others: the first were believed"));
    add(c.overlap_conflicts, false, &|n| format!("{n} segments contradict others: the first were believed"));
    add(c.too_deep, false, &|n| {
        format!("{n} packets lie in more than {} tunnels and were passed over", limits::NESTING)
    });
    add(c.nested_too_deep, false, &|n| format!("{n} streams lie inside too many tunnels and were not read"));
    add(c.stacks_beyond, false, &|n| format!("{n} packets lie in tunnels too many to be told apart"));
    add(c.heads_too_large, false, &|n| format!("{n} heads were too large to keep"));
    add(c.talks_not_kept, false, &|n| {
        let upgrades = if c.talks_not_kept == 1 { "upgrade's" } else { "upgrades'" };
        format!(
            "{n} {upgrades} frames and messages were counted and judged but not kept, to stay within the memory limits"
        )
    });
    add(c.not_inflated, false, &|_| {
        let directions = count(c.not_inflated, "direction", "directions");
        format!("compressed messages of {directions} were not all read: their text was not checked, and joins nothing")
    });
    add(c.ends_not_kept, false, &|_| {
        let ends = count(c.ends_not_kept, "end of a tunnel was", "ends of tunnels were");
        format!("{ends} not remembered: what many ends have in common may be missed")
    });
    add(c.tls_given_up, false, &|_| {
        let given = count(c.tls_given_up, "TLS connection was", "TLS connections were");
        format!("{given} given up to stay within the memory limits, though there may be secrets for them")
    });
    add(c.packets_not_kept, false, &|n| format!("{n} packets were not kept by -w; they were analysed all the same"));
    add(c.joined_early, false, &|_| {
        let early = count(c.joined_early, "exchange was", "exchanges were");
        format!("{early} put into chains before all legs may have come, to stay within the memory limits")
    });
}

/// Each input, and what stands before a line about it: nothing where it is the only one.
fn named(a: &Analysis) -> impl Iterator<Item = (String, &InputFacts)> {
    let several = a.inputs.len() > 1;
    a.inputs.iter().enumerate().map(move |(n, i)| {
        let name = if several { format!("{}: ", clip(&facts::input_name(a, n), 60)) } else { String::new() };
        (name, i)
    })
}

/// Places of an input where there is nothing to read.
fn unreadable(i: &InputFacts) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(why) = i.broke_off() {
        let (packets, why) = (grouped(i.packets), clip(&escape(why.as_bytes()), 200));
        out.push(format!("the capture broke off behind packet {packets}: {why}"));
    } else if let Some(first) = i.damage.first() {
        let more = match i.damage.len() {
            1 => String::new(),
            n => format!(" and at {} more places", n - 1),
        };
        out.push(format!(
            "damaged at packet {} (byte {}{}){more}, packets are missing there: {}",
            grouped(first.packet),
            grouped(first.byte),
            i.of_what(),
            clip(&escape(first.why.as_bytes()), 200),
        ));
    }
    for (link, number) in &i.unread_links {
        let link = link.trim_start_matches("LINKTYPE_");
        out.push(format!("LINKTYPE_{link} ({}) is not read: its packets were passed over", number.0));
    }
    if i.packed_rest > 0 {
        out.push(format!("{} bytes behind the compressed data are none of it", grouped(i.packed_rest)));
    }
    out
}

/// What lost bytes mean for the verdicts.
fn heads(a: &Analysis) -> String {
    let lacking = a.rows.iter().filter(|row| !row.exchange.heads_whole()).count() as u64;
    match (lacking, a.rows.len() as u64) {
        (_, 0) => "an upgrade may have been missed".to_owned(),
        (0, _) if a.counters.starts_lost > 0 => {
            "no head of these upgrades is touched: their verdicts stand; another may have been missed".to_owned()
        }
        (0, _) => "no head of these upgrades is touched: their verdicts stand".to_owned(),
        (n, all) => format!("the heads of {} are not whole, and no field is called missing there", share(n, all)),
    }
}

/// `2 of 7 upgrades`.
fn share(n: u64, all: u64) -> String {
    match (n, all) {
        (1, 1) => "the upgrade".to_owned(),
        (n, all) if n == all => format!("all {} upgrades", grouped(all)),
        (n, all) => format!("{} of {}", grouped(n), count(all, "upgrade", "upgrades")),
    }
}

/// Holes and their bytes, but for those that cut packets left, or a direction that was never captured:
/// these have lines of their own.
fn lost(a: &Analysis) -> (u64, u64) {
    let c = &a.counters;
    let one_sided = |q: &Quality| q.no_client_packets || q.no_server_packets;
    let mut holed = a.rows.iter().map(|row| &row.exchange.quality).filter(|q| q.gap && !q.snapped);
    if holed.clone().any(one_sided) && holed.all(one_sided) {
        return (0, 0);
    }
    // Nor is what never arrived the capture's loss.
    let others = (c.gaps_cut + c.gaps_undelivered, c.gap_bytes_cut + c.gap_bytes_undelivered);
    (c.gaps.saturating_sub(others.0), c.gap_bytes.saturating_sub(others.1))
}

/// What captures the connections concerned as a whole. Addresses and ports alone are put in, so a
/// shell takes it as it is.
fn command(a: &Analysis) -> String {
    let dropped = a.counters.dropped_kernel > 0 || a.counters.dropped_interface > 0;
    let buffer = if lost(a).0 > 0 || dropped { LARGER_BUFFER } else { "" };
    let whole = Quality { midstream: true, ..Quality::default() };
    let spoilt = a.rows.iter().map(|row| &row.exchange);
    let spoilt = spoilt.filter(|x| Quality { midstream: true, ..x.quality } != whole).map(|x| x.server);
    let frames = a.flows.iter().filter(|f| f.said.as_ref().is_some_and(|said| said.ws.is_some())).map(|f| f.server);
    let mut servers: Vec<Endpoint> = spoilt.chain(frames).collect();
    if servers.is_empty() {
        servers = a.rows.iter().map(|row| row.exchange.server).collect();
    }
    servers.sort_unstable();
    servers.dedup();
    let of = |server: &Endpoint| format!("host {} and port {}", server.ip, server.port);
    let filter = match servers.as_slice() {
        [one] => of(one),
        some if (1..=SERVERS).contains(&some.len()) => {
            some.iter().map(|server| format!("({})", of(server))).collect::<Vec<_>>().join(" or ")
        }
        _ => "tcp".to_owned(),
    };
    format!("tcpdump -i any -s 0{buffer} -w again.pcap '{filter}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    fn lines(a: &Analysis) -> Vec<String> {
        lacks(a, a.rows.len() as u64).into_iter().map(|lack| lack.text).collect()
    }

    /// One upgrade that worked, in a capture that lacks nothing.
    fn whole() -> Analysis {
        let mut a = testing::sample();
        a.rows.truncate(1);
        a.chains.truncate(1);
        (a.counters.gaps, a.counters.gap_bytes) = (0, 0);
        a
    }

    #[test]
    fn a_capture_that_lacks_nothing_has_no_line() {
        assert!(lines(&whole()).is_empty());
        let mut long = whole();
        (long.inputs[0].oversized, long.counters.duplicate_packets, long.counters.reordered) = (9, 9, 99);
        assert!(lines(&long).is_empty(), "what takes nothing off a verdict is a note, no limit");
    }

    #[test]
    fn cut_packets_say_whether_a_head_is_touched() {
        let mut a = whole();
        (a.inputs[0].snapped, a.inputs[0].snaplen) = (9, Some(300));
        let said = "9 of 123 packets are cut to 300 bytes: no head of these upgrades is touched: their verdicts stand";
        assert_eq!(lines(&a), [said]);
        a.counters.starts_lost = 1;
        assert_eq!(lines(&a), [format!("{said}; another may have been missed")]);
        a.rows[0].exchange.request.complete = false;
        (a.counters.gaps, a.counters.gap_bytes) = (9, 900);
        (a.counters.gaps_cut, a.counters.gap_bytes_cut) = (9, 900);
        let said = "9 of 123 packets are cut to 300 bytes: the heads of the upgrade are not whole, and no field is \
                    called missing there";
        assert_eq!(lines(&a), [said], "the holes are those that the cuts made");
        assert_eq!(command(&a), "tcpdump -i any -s 0 -w again.pcap 'host 10.0.0.2 and port 80'");
        (a.counters.gaps, a.counters.gap_bytes) = (10, 901);
        assert!(lines(&a)[1].starts_with("1 byte is missing at 1 place: "), "and one more");
    }

    #[test]
    fn lost_packets_ask_for_a_larger_buffer() {
        let mut a = whole();
        (a.counters.dropped_kernel, a.counters.dropped_interface) = (1_234, 5);
        let said = "1239 packets were dropped while capturing (1234 by the kernel, 5 by the interface): what is not \
                    seen below may have been sent";
        assert_eq!(lines(&a), [said]);
        assert!(command(&a).contains(" -s 0 -B 32768 -w again.pcap "));
    }

    #[test]
    fn what_was_not_kept_of_the_time_after_the_101_is_told() {
        let mut a = whole();
        (a.counters.talks_not_kept, a.counters.not_inflated, a.counters.ends_not_kept) = (3, 1, 2);
        a.counters.tls_given_up = 1;
        let lines = lines(&a);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("3 upgrades' frames and messages were counted and judged but not kept"));
        assert!(lines[1].starts_with("compressed messages of 1 direction were not all read"));
        assert!(lines[2].starts_with("2 ends of tunnels were not remembered"));
        assert!(lines[3].starts_with("1 TLS connection was given up"));
    }

    #[test]
    fn one_direction_is_told_once_and_its_holes_are_not() {
        let mut a = whole();
        a.rows[0].exchange.quality.no_client_packets = true;
        a.rows[0].exchange.quality.gap = true;
        (a.counters.gaps, a.counters.gap_bytes) = (5, 313);
        let said = "for the upgrade, no packet from the client was captured: what it asked is unknown";
        assert_eq!(lines(&a), [said]);
        assert!(!command(&a).contains("-B"));
    }

    #[test]
    fn the_command_names_the_servers_concerned_while_they_are_few() {
        let mut a = testing::sample();
        for row in &mut a.rows {
            row.exchange.quality.gap = true;
        }
        let filter = "'(host 10.0.0.2 and port 80) or (host 10.0.1.9 and port 8080)'";
        assert_eq!(command(&a), format!("tcpdump -i any -s 0 -B 32768 -w again.pcap {filter}"));
        a.rows[0].exchange.server = Endpoint::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into(), 8080);
        a.rows[1].exchange.quality.gap = false;
        assert!(command(&a).ends_with("'(host 10.0.0.2 and port 80) or (host 2001:db8::9 and port 8080)'"));
        for (row, port) in a.rows.iter_mut().zip(1..) {
            row.exchange.quality.gap = true;
            row.exchange.server.port = port;
        }
        let mut fourth = testing::sample().rows.remove(0);
        fourth.exchange.quality.gap = true;
        a.rows.push(fourth);
        assert!(command(&a).ends_with(" 'tcp'"));
    }

    #[test]
    fn clocks_that_were_set_and_connections_seen_twice_are_told() {
        let mut a = whole();
        a.inputs.push(InputFacts {
            path: "leg2.pcap".to_owned(),
            clock_offset: Nanos(-12_300_000),
            ..a.inputs[0].clone()
        });
        a.counters.flows_seen_twice = 3;
        assert_eq!(
            lines(&a),
            [
                "3 connections were captured at two places: each is told once",
                "leg2.pcap: its clock differs from the other inputs': its times are told 12.3 ms earlier than it has them",
            ]
        );
        assert!(lacks(&a, 1).iter().all(|lack| !lack.again));
    }

    #[test]
    fn encrypted_connections_are_a_limit_where_upgrades_were_seen_too() {
        let mut a = whole();
        a.counters.flows_tls = 2;
        assert!(lines(&a)[0].starts_with("2 of 4 TCP connections are in TLS and not read"));
        assert!(lacks(&a, 0).is_empty(), "where none was seen, that is what the report begins with");
    }
}
