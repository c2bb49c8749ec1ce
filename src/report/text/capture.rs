//! What the capture itself lacks, in words: a verdict is only as good as what was seen.

use crate::base::{escape::escape, limits};
use crate::model::InputFacts;
use crate::report::text::facts;
use crate::report::text::page::{clip, count, grouped};
use crate::store::Analysis;

/// One phrase for each lack, the worst first; empty for a perfect capture.
pub(super) fn lacks(a: &Analysis) -> Vec<String> {
    let several = a.inputs.len() > 1;
    let mut out: Vec<String> =
        a.inputs.iter().enumerate().flat_map(|(n, i)| of_input(i, several.then(|| facts::input_name(a, n)))).collect();
    let c = &a.counters;
    let mut add = |number: u64, text: &dyn Fn(String) -> String| {
        if number > 0 {
            out.push(text(grouped(number)));
        }
    };
    add(c.dropped_kernel, &|n| format!("{n} packets were dropped by the kernel while capturing"));
    add(c.dropped_interface, &|n| format!("{n} packets were dropped by the interface while capturing"));
    add(c.dropped_hopscope, &|n| format!("{n} packets were dropped by hopscope, which could not keep up"));
    add(c.gaps, &|n| {
        let places = if c.gaps == 1 { "place" } else { "places" };
        format!("{} missing at {n} {places} of the connections looked at", count(c.gap_bytes, "byte is", "bytes are"))
    });
    add(c.undecodable, &|n| format!("{n} packets could not be decoded"));
    add(c.fragments_lost, &|n| format!("{n} fragments of IP packets are parts of packets that never became whole"));
    add(c.fragment_conflicts, &|n| format!("{n} fragments of IP packets contradict others (the first were believed)"));
    add(c.too_deep, &|n| format!("{n} packets lie in more than {} tunnels and were not looked at", limits::NESTING));
    add(c.stacks_beyond, &|n| format!("{n} packets lie in tunnels too many to be told apart"));
    add(c.overlap_conflicts, &|n| format!("{n} segments contradict others (the first were believed)"));
    add(c.heads_too_large, &|n| format!("{n} heads were too large to keep"));
    add(c.flows_websocket_midstream, &|n| {
        let were = if c.flows_websocket_midstream == 1 { "WebSocket was" } else { "WebSockets were" };
        format!("{n} {were} open before the capture began: the opening handshake is not in it")
    });
    add(c.socks_refused, &|n| format!("{n} SOCKS requests were refused by their proxy"));
    add(c.nested_too_deep, &|n| format!("{n} streams lie inside too many tunnels and were not read"));
    add(c.evicted, &|n| format!("{n} connections or exchanges were given up to stay within the memory limits"));
    add(c.bugs, &|n| format!("{n} connections were given up because of a fault in hopscope; please report it"));
    out
}

fn of_input(i: &InputFacts, name: Option<String>) -> Vec<String> {
    let name = name.map(|name| format!("{}: ", clip(&name, 60))).unwrap_or_default();
    let mut out = Vec::new();
    if let Some(first) = i.damage.first() {
        let more = match i.damage.len() {
            1 => String::new(),
            n => format!(", and {} more damaged places", n - 1),
        };
        out.push(format!(
            "{name}damaged at packet {} (byte {}{}): {}{more}",
            grouped(first.packet),
            grouped(first.byte),
            i.of_what(),
            clip(&escape(first.why.as_bytes()), 200),
        ));
    }
    for (link, number) in &i.unread_links {
        let link = link.trim_start_matches("LINKTYPE_");
        out.push(format!("{name}LINKTYPE_{link} ({}) is not read", number.0));
    }
    if i.packed_rest > 0 {
        out.push(format!("{name}{} bytes behind the compressed data are none of it", grouped(i.packed_rest)));
    }
    if i.packed_cut {
        out.push(format!("{name}the compressed data is cut, and what was behind the cut is unknown"));
    } else if i.cut_short.is_some() {
        out.push(format!("{name}the file ends inside its last packet"));
    }
    if i.snapped > 0 {
        let length = i.snaplen.map(|s| format!(" to {} bytes", grouped(u64::from(s)))).unwrap_or_default();
        let packets = if i.snapped == 1 { "packet was" } else { "packets were" };
        out.push(format!("{name}{} {packets} cut{length} (capture with -s 0)", grouped(i.snapped)));
    }
    if i.time_backwards > 0 {
        out.push(format!("{name}time goes backwards {} times", grouped(i.time_backwards)));
    }
    out
}
