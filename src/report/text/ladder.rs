//! The legs of a journey as a ladder: who asked whom for what, what each hop did to it, and what came
//! back. Here it is put together; `wide` draws it side by side, `tall` one leg a line.

use std::collections::HashSet;
use std::io;

use crate::base::{Endpoint, ExchangeId, Timestamp};
use crate::model::{Chain, ConnectState, Direction, EndHow, Exchange, Head, HopKind, Outcome};
use crate::report::build;
use crate::report::mask;
use crate::report::passed::{self, Passed};
use crate::report::text::page::{Page, Tone};
use crate::report::text::{Context, block, facts, hops};

mod marks;
mod tall;
mod wide;

use marks::Mark;

/// Rungs of a ladder; further ones are counted.
const RUNGS: usize = 12;

/// A journey, client side first.
#[derive(Debug, Default)]
struct Ladder {
    /// Address of the client.
    client: String,
    rungs: Vec<Rung>,
    /// Rungs left out.
    more: usize,
}

/// One leg, or a connection that was tried in vain.
#[derive(Debug)]
struct Rung {
    /// From 1. `None`: tried in vain.
    leg: Option<usize>,
    /// Method, target, version: `GET`, `/chat`, `HTTP/1.1`. `SYN` alone where it was tried in vain.
    asked: [String; 3],
    /// HTTP/1.0 behind HTTP/1.1.
    downgraded: bool,
    /// What the request has, or what became of it at the hop.
    marks: Vec<Mark>,
    who: &'static str,
    /// Empty where `who` says all.
    named: String,
    address: String,
    answer: Option<String>,
    good: bool,
    /// What is worth telling of the answer, or what became of it at the hop.
    back: Vec<Mark>,
    /// Another try followed it: its answer went no farther.
    superseded: bool,
}

impl Rung {
    /// What its other end is called.
    fn name(&self) -> &str {
        if self.named.is_empty() { self.who } else { &self.named }
    }

    /// Whom it goes to.
    fn to(&self) -> String {
        format!("{} {}", self.name(), self.address).trim().to_owned()
    }
}

/// Whether a chain has anything to draw: more than one leg, or a connection that was tried in vain.
pub(super) fn has(chain: &Chain) -> bool {
    !chain.hops.is_empty() || !chain.tried.is_empty()
}

/// Draws the journey; whether its request line stands there whole.
pub(super) fn write(c: &mut Context<'_>, page: &mut Page<'_>, chain: &Chain) -> io::Result<bool> {
    let ladder = build_up(c, chain);
    match wide::fit(&ladder, page.wide()) {
        Some(fit) => wide::write(page, &ladder, fit),
        None => tall::write(page, &ladder),
    }
}

/// What stands under a leg: the next leg, or a connection in vain.
enum Below<'a> {
    Leg(ExchangeId),
    Vain(&'a crate::model::FlowFacts),
}

fn build_up(c: &mut Context<'_>, chain: &Chain) -> Ladder {
    let a = c.a;
    let leg = |id| build::leg(a, id);
    let passed: Vec<Passed<'_, '_>> = passed::all(chain, &leg).collect();
    let telling = marks::Telling::new(c, chain, &passed);
    let Some(&first) = chain.legs.first() else { return Ladder::default() };
    let client = leg(first).map(|x| x.client.to_string()).unwrap_or_default();
    let mut ladder = Ladder { client, ..Ladder::default() };
    let mut seen: HashSet<ExchangeId> = HashSet::new();
    // Depth first, in the order of time; what is superseded hands that on to what lies behind it.
    let mut stack: Vec<(Below<'_>, bool)> = vec![(Below::Leg(first), false)];
    while let Some((below, superseded)) = stack.pop() {
        if ladder.rungs.len() >= RUNGS {
            ladder.more += 1;
            continue;
        }
        let id = match below {
            Below::Vain(flow) => {
                ladder.rungs.push(vain(flow));
                continue;
            }
            Below::Leg(id) if !seen.insert(id) => continue,
            Below::Leg(id) => id,
        };
        let Some(x) = leg(id) else { continue };
        let came = passed.iter().find(|p| p.hop.between.1 == id);
        let superseded = superseded || came.is_some_and(|p| p.tried_again);
        let mut rung = rung(c, chain, x, came.copied(), &telling);
        // The answer that was passed on is that of the last try.
        let behind = passed.iter().rfind(|p| p.hop.between.0 == id);
        rung.back = telling.answer(c, x, behind.copied());
        rung.superseded = superseded;
        ladder.rungs.push(rung);
        let next = passed.iter().filter(|p| p.hop.between.0 == id);
        let mut next: Vec<(Timestamp, Below<'_>)> =
            next.map(|p| (p.far.request.first, Below::Leg(p.hop.between.1))).collect();
        let vain = chain.tried.iter().filter(|t| t.behind == id);
        let vain = vain.filter_map(|t| facts::flow_by_id(a, t.flow));
        next.extend(vain.map(|flow| (flow.syn_at, Below::Vain(flow))));
        next.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        stack.extend(next.into_iter().map(|(_, below)| (below, superseded)));
    }
    if ladder.more > 0 {
        // And all that lies behind what was left out.
        ladder.more = (chain.legs.len() + chain.tried.len()).saturating_sub(ladder.rungs.len());
    }
    ladder
}

fn rung(
    c: &mut Context<'_>,
    chain: &Chain,
    x: &Exchange,
    came: Option<Passed<'_, '_>>,
    telling: &marks::Telling,
) -> Rung {
    let request = &x.request;
    let (who, named) = node(c, chain, x);
    let version = |head: &Head| head.version().to_vec();
    let good = x.granted().is_some() && matches!(chain.outcome, Outcome::Upgraded);
    Rung {
        leg: chain.legs.iter().position(|id| *id == x.id).map(|at| at + 1),
        asked: [c.masker.bytes(request.method()), c.masker.url(request.target()), c.masker.bytes(request.version())],
        downgraded: came.is_some_and(|p| version(request) == b"HTTP/1.0" && version(&p.near.request) != b"HTTP/1.0"),
        marks: match came {
            Some(passed) => telling.passed(c, passed),
            None => telling.asked(c, request),
        },
        who,
        named,
        address: x.server.to_string(),
        answer: answer(c, x),
        good,
        back: Vec::new(),
        superseded: false,
    }
}

/// What the server of a leg is called: a word, and the name of a hop or its product where it has one.
fn node(c: &mut Context<'_>, chain: &Chain, x: &Exchange) -> (&'static str, String) {
    if let Some(hop) = chain.hops.iter().find(|hop| hop.between.0 == x.id) {
        let word = if hop.kind == HopKind::Relay { "relay" } else { "proxy" };
        return (word, hops::short_name(c, hop.name.as_deref(), hop.product.as_ref()));
    }
    let word = if chain.tried.iter().any(|t| t.behind == x.id) { "proxy" } else { "backend" };
    let known = hops::known_at(c, x.server);
    let blamed = chain.verdict.blame.as_ref().filter(|blame| block::is_at(blame, x.server));
    let product = blamed.and_then(|blame| blame.product.as_deref()).map(mask::own).unwrap_or_default();
    (word, if known.is_empty() { product } else { known })
}

/// What came back, in a few words. `None`: nothing did, and the capture ended before anybody gave up.
fn answer(c: &mut Context<'_>, x: &Exchange) -> Option<String> {
    if let Some(response) = &x.response {
        let status = response.status().map_or_else(|| "no status".to_owned(), |s| s.to_string());
        return Some(format!("{status} {}", c.masker.bytes(response.reason())).trim().to_owned());
    }
    if x.odd_response.is_some() {
        return Some("bytes that are no HTTP".to_owned());
    }
    let by = x.end.by.map_or("somebody", Direction::sender);
    match x.end.how {
        EndHow::Fin => Some(format!("nothing, FIN by the {by}")),
        EndHow::Rst => Some(format!("nothing, RST by the {by}")),
        EndHow::CloseFrame | EndHow::Silent | EndHow::Open => None,
    }
}

fn vain(flow: &crate::model::FlowFacts) -> Rung {
    let (asked, what) = match flow.state {
        ConnectState::Refused => ("SYN", "refused"),
        ConnectState::Unanswered if flow.rejected.is_some() => ("SYN", "rejected by ICMP"),
        ConnectState::Unanswered => ("SYN", "not answered"),
        ConnectState::Established => ("connection", "ended without a request"),
        ConnectState::Midstream => ("connection", "without a request"),
    };
    let server: Endpoint = flow.server;
    let times = if flow.syns > 1 { format!(" ({} SYNs)", flow.syns) } else { String::new() };
    Rung {
        leg: None,
        asked: [asked.to_owned(), String::new(), String::new()],
        downgraded: false,
        marks: Vec::new(),
        who: "",
        named: format!("{what}{times}:"),
        address: server.to_string(),
        answer: None,
        good: false,
        back: Vec::new(),
        superseded: true,
    }
}

/// How an answer is painted.
fn tone(rung: &Rung) -> Tone {
    if rung.good { Tone::Good } else { Tone::Bad }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::report::Options;
    use crate::report::text::page::length;
    use crate::store::{Analysis, testing};

    /// What the block of this rule begins with, on a terminal of so many columns.
    fn drawn(a: &Analysis, columns: usize, rule: &str) -> String {
        let options = Options { utc: true, columns: Some(columns), ..Options::default() };
        let mut out = Vec::new();
        crate::report::text::write(a, &options, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let block = text.split("\nERROR ").find(|block| block.starts_with(rule)).unwrap_or_default();
        let journey = block.split("\n\n").nth(1).unwrap_or_default();
        journey.lines().map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn on_a_wide_terminal_legs_stand_side_by_side() {
        insta::assert_snapshot!(drawn(&testing::journeys(), 120, "hop-downgraded"), @r"
        client 10.0.0.1:40000 ── GET /chat HTTP/1.1 ────► nginx 10.0.0.2:80 ── GET /chat HTTP/1.0 ────► backend 10.0.1.9:8080
                                 Upgrade: websocket                            − Upgrade
                                 Connection: Upgrade                           ~ Connection: close
                                                                               2 other fields differ
                              ◄── 426 Upgrade Required ──                   ◄── 426 Upgrade Required ──
                                  ~ Server: nginx/1.22.1                        Server: app/3
                                  ~ Connection: keep-alive                      Connection: close
                                                                                Upgrade: websocket
        ");
        insta::assert_snapshot!(drawn(&testing::journeys(), 120, "gateway-no-backend"), @r"
        client 10.0.0.1:40000 ── GET /chat HTTP/1.1 ──► nginx 10.0.0.2:80 ── SYN ──✗ refused: 10.0.1.9:8080
                                 Upgrade: websocket
                                 Connection: Upgrade
                              ◄── 502 Bad Gateway ─────
                                  Server: nginx/1.22.1
        ");
    }

    #[test]
    fn where_room_is_short_names_stand_over_addresses_and_answers_are_cut() {
        insta::assert_snapshot!(drawn(&testing::journeys(), 105, "hop-downgraded"), @r"
        client                                     nginx                                   backend
        10.0.0.1:40000 ── GET /chat HTTP/1.1 ────► 10.0.0.2:80 ── GET /chat HTTP/1.0 ────► 10.0.1.9:8080
                          Upgrade: websocket                      − Upgrade
                          Connection: Upgrade                     ~ Connection: close
                                                                  2 other fields differ
                       ◄── 426 Upgrade Required ──             ◄── 426 Upgrade Required ──
                           ~ Server: nginx/1.22.1                  Server: app/3
                           ~ Connection: keep-alive                Connection: close
                                                                   Upgrade: websocket
        ");
        let mut a = testing::journeys();
        let long = "HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n";
        a.rows[1].exchange.response = Some(testing::head(long, 16, testing::START));
        let drawn = drawn(&a, 105, "hop-downgraded");
        assert!(drawn.contains("◄── 505 HTTP Version … ──"), "{drawn}");
    }

    #[test]
    fn on_a_narrow_one_each_has_a_line() {
        insta::assert_snapshot!(drawn(&testing::journeys(), 80, "hop-downgraded"), @r"
        journey        client 10.0.0.1:40000
                     1 ── GET /chat HTTP/1.1 ────► nginx 10.0.0.2:80
                          Upgrade: websocket · Connection: Upgrade
                     2 ── GET /chat HTTP/1.0 ────► backend 10.0.1.9:8080
                          − Upgrade · ~ Connection: close · 2 other fields differ
        and back     2 ◄── 426 Upgrade Required ── backend 10.0.1.9:8080
                           Server: app/3 · Connection: close · Upgrade: websocket
                     1 ◄── 426 Upgrade Required ── nginx 10.0.0.2:80
                           ~ Server: nginx/1.22.1 · ~ Connection: keep-alive
        ");
        insta::assert_snapshot!(drawn(&testing::journeys(), 78, "gateway-no-backend"), @r"
        journey        client 10.0.0.1:40000
                     1 ── GET /chat HTTP/1.1 ──► nginx 10.0.0.2:80
                          Upgrade: websocket · Connection: Upgrade
                       ── SYN ─────────────────✗ refused: 10.0.1.9:8080
        and back     1 ◄── 502 Bad Gateway ───── nginx 10.0.0.2:80
                           Server: nginx/1.22.1
        ");
    }

    #[test]
    fn further_tries_always_have_a_line_each() {
        let wide = drawn(&testing::journeys(), 180, "refused-503");
        assert_eq!(wide.lines().count(), drawn(&testing::journeys(), 100, "refused-503").lines().count());
        insta::assert_snapshot!(wide, @r"
        journey        client 10.0.0.1:40000
                     1 ── GET /chat HTTP/1.1 ──────────► nginx 10.0.0.2:80
                          Upgrade: websocket · Connection: Upgrade
                     2 ── GET /chat HTTP/1.1 ──────────► backend 10.0.1.9:8080
                          the upgrade as it came
                     2 ◄── nothing, RST by the server ── backend 10.0.1.9:8080
                     3 ── GET /chat HTTP/1.1 ──────────► backend 10.0.1.10:8080
                          the upgrade as it came
        and back     3 ◄── 503 Service Unavailable ───── backend 10.0.1.10:8080
                           Server: app/3
                     1 ◄── 503 Service Unavailable ───── nginx 10.0.0.2:80
                           ~ Server: nginx/1.22.1
        ");
    }

    #[test]
    fn what_does_not_fit_is_cut_and_told_below() {
        let mut a = testing::journeys();
        let long = "GET /chat/rooms/of/a/very/long/name/indeed/and/longer HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        a.rows[0].exchange.request = testing::head(long, 4, testing::START);
        for columns in [60, 80, 100, 120] {
            let drawn = drawn(&a, columns, "hop-downgraded");
            assert!(drawn.contains("… HTTP/1.1") && !drawn.contains("longer HTTP/1.1"), "{drawn}");
            assert!(drawn.lines().all(|line| length(line) <= columns), "{drawn}");
        }
        a.rows[0].exchange.server = Endpoint::new([0x2001, 0xdb8, 1, 2, 3, 4, 5, 0x1111].into(), 54_321);
        let drawn = drawn(&a, 60, "hop-downgraded");
        assert!(drawn.lines().all(|line| length(line) <= 60), "{drawn}");
    }

    #[test]
    fn a_field_that_the_verdict_names_is_told() {
        let mut a = testing::journeys();
        assert!(!drawn(&a, 80, "hop-downgraded").contains("Host"));
        std::sync::Arc::make_mut(&mut a.chains[0].verdict).summary =
            crate::model::Text::own("the proxy put another name into Host");
        let told = drawn(&a, 80, "hop-downgraded");
        assert!(told.contains("Host: chat.example.org") && told.contains("~ Host: app:8080"), "{told}");
        assert!(told.contains("1 other field differs"), "{told}");
    }

    #[test]
    fn a_field_in_other_letters_is_as_it_came() {
        let mut a = testing::journeys();
        let head = "GET /chat HTTP/1.1\r\nHost: app\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n";
        a.rows[1].exchange.request = testing::head(head, 14, testing::START);
        let told = drawn(&a, 80, "hop-downgraded");
        assert!(told.contains("− Sec-WebSocket-Key") && told.contains("3 other fields differ"), "{told}");
        assert!(!told.contains("~ Upgrade") && !told.contains("~ Connection: upgrade"), "{told}");
    }

    #[test]
    fn colours_say_nothing_that_words_do_not() {
        for columns in [80, 120] {
            let [plain, coloured] = [false, true].map(|color| {
                let mut out = Vec::new();
                let options = Options { utc: true, columns: Some(columns), color, ..Options::default() };
                crate::report::text::write(&testing::journeys(), &options, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            });
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        }
    }

    #[test]
    fn edges_that_go_in_a_circle_end() {
        let mut a = testing::journeys();
        let hop = a.chains[0].hops[0].clone();
        let back = crate::model::Hop { between: (hop.between.1, hop.between.0), ..hop.clone() };
        a.chains[0].hops = [hop, back].into();
        assert!(drawn(&a, 80, "hop-downgraded").contains("and back"));
    }
}
