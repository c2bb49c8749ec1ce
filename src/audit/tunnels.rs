//! What the intermediary does once the upgrade is granted, and with HTTP/2.

use crate::model::Outcome;

use super::line::{Maker, Status};
use super::scope::Scope;

pub(super) fn lines(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let spoken = scope.hops.iter().filter(|(_, p)| p.near.ws.is_some() && p.far.ws.is_some()).count() as u64;
    let slugs = [
        "hop-tunnel-dead",
        "hop-first-frames-lost",
        "hop-bytes-altered",
        "hop-messages-differ",
        "hop-buffered",
        "hop-remasked",
        "hop-half-open",
    ];
    m.found("tunnel", "Messages", &slugs, spoken, "messages leave it as they came");
    let ended = scope.hops.iter().filter(|(_, p)| p.near.granted().is_some() && p.near.end.at.is_some()).count() as u64;
    let slugs = ["hop-ended-it", "hop-close-changed", "mass-end", "end-by-policy"];
    m.found("endings", "Endings", &slugs, ended, "ends no tunnel by itself, and passes Close frames on");
    compression(scope, m);
    http2(scope, m);
}

fn compression(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let (id, title) = ("compression", "Compression");
    let slugs = [
        "hop-extensions-split",
        "hop-extensions-request-changed",
        "hop-extensions-response-changed",
        "hop-recompressed",
    ];
    let agreed = |p: &crate::report::passed::Passed<'_, '_>| {
        let deflate = |x: &crate::model::Exchange| x.talk.as_ref().is_some_and(|talk| talk.deflate.is_some());
        (deflate(p.near), deflate(p.far))
    };
    let offered = scope.hops.iter().filter(|(_, p)| p.near.request.has("sec-websocket-extensions")).count() as u64;
    let through = scope.hops.iter().filter(|(_, p)| agreed(p) == (true, true)).count();
    let words = match through {
        0 => format!("offered by clients ({offered}), agreed on by no backend"),
        n => format!("permessage-deflate is the same on both sides ({n} of {offered} that offered it)"),
    };
    m.found(id, title, &slugs, offered, &words);
}

fn http2(scope: &Scope<'_>, m: &mut Maker<'_, '_>) {
    let (id, title) = ("http2", "HTTP/2 (RFC 8441)");
    let faults = scope.findings(&["h2-*"]);
    let streams: Vec<_> = scope.fronts.iter().filter(|(_, x)| x.is_stream()).collect();
    if !faults.is_empty() {
        m.from(id, title, &faults);
        return;
    }
    if streams.is_empty() {
        m.plain(id, title, Status::NotObserved, "nobody asked it for an upgrade in HTTP/2".to_owned());
        return;
    }
    let up = streams.iter().filter(|(chain, _)| chain.outcome == Outcome::Upgraded).count();
    let text = match streams.len() {
        1 => format!("1 upgrade was asked for in HTTP/2, {up} came up"),
        n => format!("{n} upgrades were asked for in HTTP/2, {up} came up"),
    };
    m.plain(id, title, if up > 0 { Status::Pass } else { Status::Warn }, text);
}
