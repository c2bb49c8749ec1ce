//! When no upgrade was seen: what was seen instead, and what may be the reason.

use std::io;

use crate::report::text::Context;
use crate::report::text::page::{Page, Tone, count};

pub(super) fn write(c: &Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let n = &c.a.counters;
    let requests = count(n.http_requests, "HTTP request", "HTTP requests");
    let (what, reasons): (String, &[&str]) = match (n.packets, n.flows, n.http_requests) {
        (0, ..) => (
            "there is no packet in it".to_owned(),
            &[
                "the capture filter let nothing through, or the wrong interface was captured",
                "every packet lies outside --since and --until",
            ],
        ),
        (packets, 0, _) => (
            format!("{}, but no TCP connection", count(packets, "packet", "packets")),
            &[
                "the traffic is inside a tunnel that is not taken apart, or of an unknown link type",
                "the capture filter let only other traffic through",
            ],
        ),
        (_, flows, 0) => (
            format!("{}, but no HTTP request in any of them", count(flows, "TCP connection", "TCP connections")),
            &[
                "the traffic is encrypted (wss://, HTTPS): capture where it is plain, behind the TLS terminator",
                "the capture began after the connections were open: the upgrade is their first request",
                "the capture filter left the requests out, or one direction",
                "the port is not the reason: every port is looked at",
            ],
        ),
        _ => (
            format!("{requests}, none of which asks for another protocol or carries a Sec-WebSocket field"),
            &[
                "the upgrades are encrypted (wss://): capture where they are plain, behind the TLS terminator",
                "the capture began after the connections were open: the upgrade is their first request",
                "the client never tried: a blocked script, a library that fell back to polling",
                "what matters passes another interface or hop",
            ],
        ),
    };
    page.say(Tone::Strong, &format!("No upgrade was seen: {what}."))?;
    page.say(Tone::Plain, "Possible reasons:")?;
    for reason in reasons {
        page.indented(2, Tone::Plain, &format!("- {reason}"))?;
    }
    Ok(())
}
