//! Who ended a leg behind a proxy whose other leg is in TLS and was not read: which of its two ends came first is in view
//! all the same.

use std::net::IpAddr;

use crate::base::{Nanos, limits};
use crate::model::{Blame, Direction, End, EndHow, Exchange, FaultClass, FlowFacts, Role, Severity, Text, Verdict};
use crate::rules::ends;
use crate::rules::sentence::CAUSE;

/// What the leg in TLS says of the end of the one behind it.
#[derive(Debug)]
pub struct Told {
    pub blame: Blame,
    pub summary: Text,
    /// What it comes of, most likely.
    pub cause: String,
    /// Which kind of mending that calls for. `None`: none that is known.
    pub class: Option<FaultClass>,
    /// The rule that tells it now. `None`: the one that did.
    pub rule: Option<&'static str>,
}

/// Whether what a leg in TLS says of its own end is why the one behind it, this one, ended, too.
pub fn is_why(of_tls: &Verdict, flow: &FlowFacts, behind: &Verdict, x: &Exchange) -> bool {
    let by_network = matches!(&*of_tls.rule, "peer-vanished" | "rst-injected") && of_tls.severity >= Severity::Warning;
    let symptoms = ["ok", "end-reset", "end-without-close", "idle-timeout", "lifetime-limit-match", "ping-unanswered"];
    // What had come to its end before, or in order, did not end by it.
    let clean = x.end.close.as_ref().is_some_and(|close| matches!(close.code, None | Some(1000 | 1001)));
    let transport = flow.sealed().and_then(|sealed| sealed.transport.as_ref());
    let asked = transport.and_then(|transport| transport.resent.or(transport.probed)).map(|asked| asked.first);
    let began = if of_tls.rule == "peer-vanished" { asked } else { flow.said.as_ref().and_then(|said| said.end.at) };
    let before = x.end.at.zip(began).is_some_and(|(end, began)| end + AT_ONCE < began);
    by_network && !clean && !before && symptoms.contains(&behind.told_by())
}

/// Lays it at the path that neither end reached the other: captures at both show it.
pub fn between(verdict: &mut Verdict) {
    verdict.blame = Some(Blame::nobody());
    let what = "Neither end of a TLS connection, which was not read, reached the other any more: what both sent was sent again in \
                vain, as captures at both places show";
    verdict.summary =
        sentence(what.to_owned(), "the path between the two places broke, or a firewall there drops its packets");
}

/// How far apart a hop may end its two legs.
const TOGETHER: Nanos = Nanos::from_secs(2);
/// A box that resets both ends of a connection does so at once.
const AT_ONCE: Nanos = Nanos::from_millis(100);
/// A silence before the end that may be why. What a client said sooner may be its goodbye.
const QUIET: Nanos = ends::QUIET;

/// What the leg in TLS that is possibly before this one says of its end, which was laid at its client. `None`: nothing.
pub fn told(x: &Exchange, verdict: &Verdict, before: &FlowFacts) -> Option<Told> {
    let ended = Ended::of(x, verdict, before, Direction::ClientToServer)?;
    let Ended { end, apart, how, .. } = ended;
    let (hop, product) = (before.server, verdict.blame.as_ref().and_then(|blame| blame.product.clone()));
    // Its client may have said goodbye in TLS, whose server then closes first (RFC 6455 §7.1.1).
    let goodbye = end.idle_before.is_some_and(|idle| idle < QUIET);
    match end.by? {
        Direction::ServerToClient if goodbye => None,
        Direction::ServerToClient => {
            Some(ended.by_hop(hop.ip, product, "before it, in TLS, of the client", before.client.ip))
        }
        Direction::ClientToServer if apart.0 >= -limits::JOIN_SLACK_MS * 1_000_000 => {
            let text = format!(
                "The client {} ended its connection in TLS to the proxy at {}, and the proxy then this one ({how}), and no \
                 Close frame came through",
                before.client.ip, hop.ip
            );
            let cause = "the client's program ended without a Close frame, or its network did".to_owned();
            let blame = at(Role::Client, before.client.ip, None);
            // What was told by the length of a silence is no limit of the hop.
            let rule = (verdict.rule == "idle-timeout").then_some(match x.end.tcp_how {
                EndHow::Rst => "end-reset",
                _ => "end-without-close",
            });
            Some(Told { blame, summary: sentence(text, &cause), cause, class: None, rule })
        }
        Direction::ClientToServer => None,
    }
}

/// The same of the leg in TLS that is possibly behind this one, whose end was laid at its server.
pub fn told_behind(x: &Exchange, verdict: &Verdict, behind: &FlowFacts) -> Option<Told> {
    let ended = Ended::of(x, verdict, behind, Direction::ServerToClient)?;
    let Ended { end, apart, how, idle } = ended;
    let (hop, product) = (x.server_behind(), verdict.blame.as_ref().and_then(|blame| blame.product.clone()));
    match end.by? {
        Direction::ServerToClient if apart.0 >= -limits::JOIN_SLACK_MS * 1_000_000 => {
            let text = format!(
                "The server {} ended its connection in TLS with the proxy at {}{}, and the proxy then this one ({how}), and no \
                 Close frame came through",
                behind.server,
                hop.ip,
                silence(idle)
            );
            let cause = match idle {
                Some(idle) => format!(
                    "an idle limit of that server, or of what stands behind it: nothing had been sent for {}",
                    ends::spell(idle)
                ),
                None => "that server's program ended, or a hop behind it did".to_owned(),
            };
            let blame = at(Role::Server, behind.server.ip, None);
            let class = idle.map(|_| FaultClass::Idle);
            Some(Told { blame, summary: sentence(text, &cause), cause, class, rule: None })
        }
        Direction::ServerToClient => None,
        Direction::ClientToServer => {
            Some(ended.by_hop(hop.ip, product, "behind it, in TLS, to the server", behind.server.ip))
        }
    }
}

/// How two legs ended together.
#[derive(Clone, Copy)]
struct Ended<'a> {
    /// Of the leg in TLS.
    end: &'a End,
    /// From its end to that of the other.
    apart: Nanos,
    how: &'static str,
    /// The silence before it, where that may be why.
    idle: Option<Nanos>,
}

impl Ended<'_> {
    /// `by`: which side of the leg in clear, the hop's, ended it. `None`: it was told otherwise, or they did not end together.
    fn of<'a>(x: &Exchange, verdict: &Verdict, other: &'a FlowFacts, by: Direction) -> Option<Ended<'a>> {
        let (role, ip) = match by {
            Direction::ClientToServer => (Role::Client, x.client.ip),
            Direction::ServerToClient => (Role::Server, x.server_behind().ip),
        };
        let of_end = matches!(verdict.told_by(), "end-without-close" | "end-reset" | "idle-timeout");
        let blame = verdict.blame.as_ref()?;
        let its = blame.role == role || blame.address.as_deref() == Some(ip.to_string().as_str());
        let cut = matches!(x.end.tcp_how, EndHow::Fin | EndHow::Rst) && x.end.how != EndHow::CloseFrame;
        let end = &other.said.as_ref()?.end;
        let (here, there) = (x.end.tcp_at?, end.at.or(end.tcp_at)?);
        let apart = here.since(there);
        if !of_end || !its || !cut || x.end.tcp_by != Some(by) || apart.0.abs() > TOGETHER.0 {
            return None;
        }
        let idle = x.end.idle_before.zip(end.idle_before).map(|(here, there)| here.min(there));
        let idle = idle.or(x.end.idle_before).filter(|idle| *idle >= QUIET);
        let how = if x.end.tcp_how == EndHow::Rst { "RST" } else { "FIN" };
        Some(Ended { end, apart, how, idle })
    }

    /// The hop ended both. `one`: where the other leg stands, and whose it is.
    fn by_hop(self, hop: IpAddr, product: Option<String>, one: &str, whose: IpAddr) -> Told {
        let (idle, how) = (self.idle, self.how);
        let text = format!(
            "The proxy at {hop} ended both of its connections without a Close frame{}: this one ({how}), and the one \
             {one} {whose}, and neither the client nor the server had ended it",
            silence(idle)
        );
        let cause = match idle {
            Some(idle) => format!("an idle limit of the proxy: nothing had been sent for {}", ends::spell(idle)),
            None => {
                "the proxy was reloaded or stopped, a limit on the life of tunnels ran out, or it failed".to_owned()
            }
        };
        let class = idle.map(|_| FaultClass::Idle);
        Told { blame: at(Role::Hop, hop, product), summary: sentence(text, &cause), cause, class, rule: None }
    }
}

fn silence(idle: Option<Nanos>) -> String {
    idle.map(|idle| format!(", after {} without a byte", ends::spell(idle))).unwrap_or_default()
}

fn at(role: Role, ip: IpAddr, product: Option<String>) -> Blame {
    Blame { role, address: Some(ip.to_string()), product }
}

fn sentence(text: String, cause: &str) -> Text {
    Text::own(text + CAUSE + cause + ".")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::model::Said;
    use crate::model::{Close, Confidence, ConnectState};
    use crate::rules::ends::testing::cut;
    use crate::rules::testing::{flow, words};

    const FROM_CLIENT: Direction = Direction::ClientToServer;
    const FROM_SERVER: Direction = Direction::ServerToClient;

    fn verdict(rule: &'static str) -> Verdict {
        Verdict {
            rule: rule.into(),
            because: None,
            severity: Severity::Warning,
            confidence: Confidence::Certain,
            blame: Some(Blame { role: Role::Client, address: None, product: None }),
            summary: Text::default(),
            fix: Vec::new(),
        }
    }

    fn before(by: Direction, x: &Exchange, ms: i64) -> FlowFacts {
        let at = x.end.tcp_at.map(|at| at + Nanos::from_millis(ms));
        let end = End { by: Some(by), how: EndHow::Fin, at, tcp_by: Some(by), tcp_at: at, ..End::default() };
        FlowFacts { said: Some(Box::new(Said { end, ..Said::default() })), ..flow(ConnectState::Established, 1) }
    }

    #[test]
    fn a_proxy_that_ended_both_legs_after_a_silence_is_at_fault() {
        let x = cut(FROM_CLIENT, EndHow::Fin, 3_000);
        let told = told(&x, &verdict("end-without-close"), &before(FROM_SERVER, &x, 3)).unwrap();
        assert_eq!((told.blame.role, told.class), (Role::Hop, Some(FaultClass::Idle)));
        assert!(
            words(&told.summary).contains("ended both of its connections without a Close frame, after 3.0 s without")
        );
    }

    #[test]
    fn a_client_that_left_first_is_told_by_its_own_address() {
        let x = cut(FROM_CLIENT, EndHow::Fin, 3_000);
        let told = |by, ms| told(&x, &verdict("end-reset"), &before(by, &x, ms));
        let before = before(FROM_CLIENT, &x, -3);
        let blame = told(FROM_CLIENT, -3).unwrap().blame;
        assert_eq!((blame.role, blame.address), (Role::Client, Some(before.client.ip.to_string())));
        assert!(told(FROM_CLIENT, 300).is_none(), "the proxy was first, or the clocks differ");
        assert!(told(FROM_SERVER, 9_000).is_none(), "an end of its own");
    }

    #[test]
    fn a_hop_that_is_known_by_its_software_is_asked_like_any_client_and_a_limit_by_a_silence_too() {
        let x = cut(FROM_CLIENT, EndHow::Rst, 5_000);
        let hop = Blame { role: Role::Hop, address: Some(x.client.ip.to_string()), product: Some("nginx".into()) };
        let idle = Verdict { blame: Some(hop), ..verdict("idle-timeout") };
        let before = before(FROM_CLIENT, &x, -1);
        let left = told(&x, &idle, &before).unwrap();
        assert_eq!((left.blame.role, left.rule, left.class), (Role::Client, Some("end-reset"), None));
        let of_another = Blame { role: Role::Hop, address: Some("192.0.2.77".into()), product: None };
        assert!(told(&x, &Verdict { blame: Some(of_another), ..idle }, &before).is_none());
    }

    #[test]
    fn of_the_leg_behind_it_is_told_which_end_came_first() {
        let x = cut(FROM_SERVER, EndHow::Fin, 4_000);
        let by_server = Blame { role: Role::Server, address: Some(x.server.ip.to_string()), product: None };
        let of = |by, ms| {
            let verdict = Verdict { blame: Some(by_server.clone()), ..verdict("end-without-close") };
            told_behind(&x, &verdict, &before(by, &x, ms))
        };
        let behind = of(FROM_SERVER, -1).unwrap();
        let server = before(FROM_SERVER, &x, -1).server.ip.to_string();
        assert_eq!(
            (behind.blame.role, behind.blame.address, behind.class),
            (Role::Server, Some(server), Some(FaultClass::Idle))
        );
        assert_eq!(of(FROM_CLIENT, 1).unwrap().blame.role, Role::Hop);
        assert!(of(FROM_SERVER, 300).is_none(), "the proxy was first, or the clocks differ");
        let left = cut(FROM_CLIENT, EndHow::Fin, 4_000);
        let verdict = Verdict { blame: Some(by_server.clone()), ..verdict("end-without-close") };
        assert!(told_behind(&left, &verdict, &before(FROM_SERVER, &left, -1)).is_none());
    }

    #[test]
    fn what_the_network_did_to_the_leg_in_tls_explains_what_became_of_the_other() {
        let of = |rule: &'static str, severity| Verdict { severity, ..verdict(rule) };
        let gone = of("peer-vanished", Severity::Warning);
        let mut x = cut(FROM_CLIENT, EndHow::Fin, 3_000);
        let flow = before(FROM_SERVER, &x, 3);
        let why = |tls: &Verdict, rule, x: &Exchange| is_why(tls, &flow, &verdict(rule), x);
        assert!(why(&gone, "ok", &x) && why(&gone, "ping-unanswered", &x));
        assert!(!why(&gone, "accept-mismatch", &x), "a fault of its own");
        assert!(!why(&of("peer-vanished", Severity::Info), "ok", &x), "perhaps no WebSocket");
        assert!(!why(&of("idle-timeout-encrypted", Severity::Warning), "ok", &x));
        let reset = of("rst-injected", Severity::Warning);
        assert!(why(&reset, "ok", &x));
        let late = before(FROM_SERVER, &x, 300);
        assert!(!is_why(&reset, &late, &verdict("ok"), &x), "it had ended before");
        x.end.close = Some(Close { code: Some(1000), ..Close::default() });
        assert!(!why(&gone, "ok", &x), "it ended in order");
    }

    #[test]
    fn what_is_no_end_by_the_client_is_left_alone() {
        let x = cut(FROM_SERVER, EndHow::Fin, 3_000);
        assert!(told(&x, &verdict("end-without-close"), &before(FROM_SERVER, &x, 3)).is_none());
        let x = cut(FROM_CLIENT, EndHow::Fin, 3_000);
        assert!(told(&x, &verdict("accept-mismatch"), &before(FROM_SERVER, &x, 3)).is_none());
    }
}
