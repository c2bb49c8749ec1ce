//! For the tests of this folder: tunnels that ended in one way or another.

use std::net::{IpAddr, Ipv4Addr};

use super::support::{FROM_CLIENT, FROM_SERVER};
use crate::base::{Endpoint, ExchangeId, FlowId, Nanos, PacketRef};
use crate::model::{
    Close, Direction, EndHow, Exchange, Finding, Handshake, Hop, KnownLimit, LimitKind, Outcome, Period, Silence,
    Software, Spoken, Talk,
};
use crate::rules::journey::{Journey, Leg, View};
use crate::rules::response::testing::{ASK, GRANT, ended, exchange, with_frames};
use crate::rules::testing::{hop as between, run_whole};
use crate::rules::{Rule, Seen};

pub(super) use crate::rules::response::testing::{at, run};
pub(super) use crate::rules::testing::words;

/// A tunnel with one message each way at 12 ms, still open.
pub(super) fn open() -> Exchange {
    let mut x = with_frames(exchange(ASK, Some(GRANT)), 1, 1);
    x.talk = Some(Box::default());
    x
}

/// As [`open`], ended so long after its request without a Close.
pub(in crate::rules) fn cut(by: Direction, how: EndHow, ms: i64) -> Exchange {
    let mut x = ended(open(), by, how, ms);
    x.end.lifetime = Some(Nanos::from_millis(ms));
    x.end.idle_before = Some(Nanos::from_millis((ms - 12).max(0)));
    x
}

/// As [`open`], closed by the server with this code, and by TCP.
pub(super) fn goodbye(code: u16) -> Exchange {
    let mut x = ended(open(), FROM_SERVER, EndHow::CloseFrame, 40);
    x.ws.iter_mut().for_each(|ws| (ws.client.close, ws.server.close) = (1, 1));
    x.end.close = Some(Close { code: Some(code), reason: Box::default() });
    x.end.tcp_how = EndHow::Fin;
    x
}

/// A connection that was switched to something else and closed.
pub(super) fn other_protocol() -> Exchange {
    let asks = "POST /x HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n";
    ended(exchange(asks, Some(&GRANT.replace("websocket", "tcp"))), FROM_SERVER, EndHow::Fin, 3_000)
}

pub(super) fn fires(rule: &'static Rule, x: &Exchange) -> bool {
    !run(rule, x).is_empty()
}

/// Makes a tunnel the leg behind a hop.
pub(super) fn behind(mut far: Exchange) -> Exchange {
    far.id = ExchangeId(far.id.0 + 1);
    far.flow = FlowId(far.flow.0 + 1);
    let end = |last, port| Endpoint::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last)), port);
    (far.client, far.server) = (end(2, 50_000), end(9, 8080));
    far.end.packet = far.end.packet.map(|_| PacketRef::new(0, 8));
    far
}

/// What a rule finds about a chain of a near and a far leg, over a hop that is this product.
pub(super) fn over(
    rule: &'static Rule,
    near: Exchange,
    far: Exchange,
    product: Option<&str>,
    seen: &Seen,
) -> Vec<Finding> {
    let far = behind(far);
    let hop = Hop { product: product.map(software), ..between(&near, &far) };
    run_whole(rule, &[near, far], &[hop], &[], View::default(), seen)
}

/// What a rule finds about a chain of one leg.
pub(super) fn alone(rule: &'static Rule, x: Exchange, product: Option<&str>, seen: &Seen) -> Vec<Finding> {
    let software = product.map(software);
    let view = View { responder: software.as_ref(), ..View::default() };
    run_whole(rule, &[x], &[], &[], view, seen)
}

/// What a rule finds about a chain of one leg that this proxy asked for and closed, one of so many that it left after that
/// time, each so long after the one before.
pub(super) fn asked(rule: &'static Rule, product: &str, ms: i64, times: i64, later: i64) -> Vec<Finding> {
    let mut seen = known();
    let left = |n: i64| {
        let mut x = cut(CLIENT, EndHow::Fin, ms);
        x.end.at = x.end.at.map(|at| at + Nanos::from_millis(n * later));
        x
    };
    (0..times).for_each(|n| seen.tunnels.learn_left(&left(n)));
    let software = software(product);
    let view = View { asker: Some(&software), ..View::default() };
    run_whole(rule, &[left(0)], &[], &[], view, &seen)
}

pub(in crate::rules) fn software(slug: &str) -> Software {
    let confidence = crate::model::Confidence::Certain;
    Software { slug: slug.to_owned(), name: slug.to_owned(), version: None, confidence, evidence: Vec::new() }
}

/// What is known: `acme` ends what is idle for 60 s and what is two hours old, `other` what is idle for 5 minutes.
pub(in crate::rules) fn known() -> Seen {
    let limit = |slug: &str, kind, s, setting: &str| KnownLimit {
        slug: slug.into(),
        kind_of: None,
        product: slug.into(),
        kind,
        length: Nanos::from_secs(s),
        setting: setting.into(),
        guess: false,
    };
    let limits = vec![
        limit("acme", LimitKind::Idle, 60, "quiet_limit"),
        limit("acme", LimitKind::Lifetime, 7_200, "age_limit"),
        limit("other", LimitKind::Idle, 300, "patience"),
    ];
    let mut seen = Seen::default();
    seen.limits = limits;
    seen
}

/// A tunnel in which something comes again every so many seconds, and nothing else.
pub(super) fn beating(every_s: i64) -> Exchange {
    let mut x = open();
    let mut period = Period::default();
    (1..5).for_each(|n| period.add(at(n * every_s * 1_000)));
    let rare = crate::model::Rare {
        pings: Some(Box::new(crate::model::Pings { period, ..Default::default() })),
        ..Default::default()
    };
    let client = Spoken { rare: Some(Box::new(rare)), ..Spoken::default() };
    let silence = Some(Silence { from: at(0), length: Nanos::from_secs(every_s) });
    x.talk = Some(Box::new(Talk { client, silence, ..Talk::default() }));
    x
}

pub(super) const CLIENT: Direction = FROM_CLIENT;
pub(super) const SERVER: Direction = FROM_SERVER;

/// A chain of a near leg and one behind a hop, as rules see it.
pub(super) fn journey<T>(near: Exchange, far: Exchange, look: impl FnOnce(&Journey<'_>) -> T) -> T {
    let far = behind(far);
    let hops = [between(&near, &far)];
    let handshake = Handshake::default();
    let leg = |x| Leg { x, handshake: &handshake, outcome: Outcome::Upgraded, findings: &[] };
    let (legs, view) = ([leg(&near), leg(&far)], View::default());
    look(&Journey { legs: &legs, hops: &hops, tried: &[], view: &view })
}
