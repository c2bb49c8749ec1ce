//! What a filter can ask for, and where the answers stand.

use crate::base::{Endpoint, PacketRef};
use crate::model::{Chain, Exchange, Finding, FlowFacts, Hop, Intermediary, Software, Wrapper};
use crate::store::Row;

/// One key of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Accept,
    Blame,
    Bytes,
    Client,
    Close,
    Confidence,
    Duration,
    End,
    File,
    Flow,
    Frames,
    Hop,
    Host,
    Id,
    Input,
    Ip,
    /// `Sec-WebSocket-Key`.
    Nonce,
    Kind,
    Latency,
    Method,
    Origin,
    Outcome,
    Packet,
    Path,
    Port,
    Product,
    Protocol,
    Rule,
    Server,
    Severity,
    Status,
    Subprotocol,
    UserAgent,
    Verdict,
    Via,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    /// Bytes.
    Size,
    /// Nanoseconds.
    Time,
}

/// Names, and second names, in the order in which help tells them.
const NAMES: &[(&str, Key)] = &[
    ("id", Key::Id),
    ("flow", Key::Flow),
    ("status", Key::Status),
    ("method", Key::Method),
    ("host", Key::Host),
    ("path", Key::Path),
    ("target", Key::Path),
    ("client", Key::Client),
    ("server", Key::Server),
    ("ip", Key::Ip),
    ("port", Key::Port),
    ("origin", Key::Origin),
    ("ua", Key::UserAgent),
    ("protocol", Key::Protocol),
    ("sub", Key::Subprotocol),
    ("key", Key::Nonce),
    ("accept", Key::Accept),
    ("kind", Key::Kind),
    ("rule", Key::Rule),
    ("finding", Key::Rule),
    ("verdict", Key::Verdict),
    ("outcome", Key::Outcome),
    ("severity", Key::Severity),
    ("confidence", Key::Confidence),
    ("blame", Key::Blame),
    ("product", Key::Product),
    ("frames", Key::Frames),
    ("bytes", Key::Bytes),
    ("dur", Key::Duration),
    ("lifetime", Key::Duration),
    ("latency", Key::Latency),
    ("end", Key::End),
    ("close", Key::Close),
    ("via", Key::Via),
    ("hop", Key::Hop),
    ("input", Key::Input),
    ("file", Key::File),
    ("packet", Key::Packet),
];

impl Key {
    /// Where a word alone is looked for.
    pub(super) const ANYWHERE: [Key; 7] =
        [Key::Path, Key::Host, Key::Client, Key::Server, Key::Hop, Key::Rule, Key::Verdict];

    /// Those whose answers are made ready. `ip` is client and server together.
    pub(super) const COLUMNS: [Key; 34] = [
        Key::Accept,
        Key::Blame,
        Key::Bytes,
        Key::Client,
        Key::Close,
        Key::Confidence,
        Key::Duration,
        Key::End,
        Key::File,
        Key::Flow,
        Key::Frames,
        Key::Hop,
        Key::Host,
        Key::Id,
        Key::Input,
        Key::Kind,
        Key::Latency,
        Key::Method,
        Key::Nonce,
        Key::Origin,
        Key::Outcome,
        Key::Packet,
        Key::Path,
        Key::Port,
        Key::Product,
        Key::Protocol,
        Key::Rule,
        Key::Server,
        Key::Severity,
        Key::Status,
        Key::Subprotocol,
        Key::UserAgent,
        Key::Verdict,
        Key::Via,
    ];

    /// Whether the case of its letters counts.
    pub(super) fn is_exact(self) -> bool {
        matches!(self, Key::Nonce | Key::Accept)
    }

    /// Whether its values are addresses, so that a network may be asked for.
    pub(super) fn is_address(self) -> bool {
        matches!(self, Key::Client | Key::Server | Key::Ip | Key::Hop | Key::Blame)
    }

    pub(super) fn find(name: &str) -> Option<Key> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, key)| key)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// `None`: a text, without an order.
    pub(super) fn unit(self) -> Option<Unit> {
        match self {
            Key::Id | Key::Flow | Key::Status | Key::Port | Key::Frames | Key::Close | Key::Input | Key::Packet => {
                Some(Unit::Count)
            }
            Key::Bytes => Some(Unit::Size),
            Key::Duration | Key::Latency => Some(Unit::Time),
            _ => None,
        }
    }
}

/// What a filter is asked about.
pub(super) struct Subject<'a> {
    pub(super) row: Option<&'a Row>,
    pub(super) flow: Option<&'a FlowFacts>,
    pub(super) chain: Option<&'a Chain>,
    /// All findings of the analysis.
    pub(super) findings: &'a [Finding],
    pub(super) inputs: &'a [String],
    /// All proxies of the analysis.
    pub(super) proxies: &'a [Intermediary],
}

impl Subject<'_> {
    /// Whether any value of this key passes.
    pub(super) fn any_text(&self, key: Key, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let x = self.row.map(|row| &*row.exchange);
        match key {
            Key::Accept => self.row.and_then(|row| row.handshake.accept(&row.exchange)).is_some_and(test),
            Key::Nonce => self.row.and_then(|row| row.exchange.key()).is_some_and(test),
            Key::Kind => self.row.and_then(|row| row.handshake.accept_kind()).is_some_and(|kind| test(kind.as_bytes())),
            Key::Blame => self.chain.and_then(|c| c.verdict.blame.as_ref()).is_some_and(|b| {
                test(b.role.word().as_bytes()) || b.address.as_deref().is_some_and(|a| test(a.as_bytes()))
            }),
            Key::Product => {
                let blame = self.chain.and_then(|c| c.verdict.blame.as_ref());
                blame.and_then(|b| b.product.as_deref()).is_some_and(|p| test(p.as_bytes()))
                    || self.hops().filter_map(|hop| hop.product.as_ref()).any(|p| of_software(p, test))
                    || self.proxies().filter_map(|proxy| proxy.product.as_ref()).any(|p| of_software(p, test))
            }
            Key::Hop => {
                let named = |name: &Option<String>, test: &mut dyn FnMut(&[u8]) -> bool| {
                    name.as_deref().is_some_and(|name| test(name.as_bytes()))
                };
                self.hops()
                    .any(|hop| named(&hop.name, test) || hop.addresses.iter().any(|ip| test(ip.to_string().as_bytes())))
                    || self.proxies().any(|proxy| {
                        named(&proxy.name, test) || proxy.addresses.iter().any(|ip| test(ip.to_string().as_bytes()))
                    })
            }
            Key::Client => self.ends().is_some_and(|(client, _)| of_end(client, test)),
            Key::Server => self.ends().is_some_and(|(_, server)| of_end(server, test)),
            Key::Ip => self.ends().is_some_and(|(client, server)| of_end(client, test) || of_end(server, test)),
            Key::Confidence => self.chain.is_some_and(|c| test(c.verdict.confidence.word().as_bytes())),
            Key::Verdict => {
                self.chain.is_some_and(|c| test(c.verdict.rule.as_bytes()) || test(c.verdict.told_by().as_bytes()))
            }
            Key::Rule => self.findings().any(|f| test(f.rule.as_bytes())),
            Key::Severity => self.findings().any(|f| test(f.severity.word().as_bytes())),
            Key::Outcome => {
                let outcome = self.row.map(|row| row.outcome).or_else(|| self.chain.map(|c| c.outcome));
                outcome.is_some_and(|o| test(o.word().as_bytes()))
            }
            Key::End => x.is_some_and(|x| test(x.end.how.word().as_bytes())),
            Key::File => {
                let mut inputs = self.packets().map(|p| usize::from(p.input()));
                inputs.any(|i| self.inputs.get(i).is_some_and(|name| test(name.as_bytes())))
            }
            Key::Method => x.is_some_and(|x| test(x.request.method())),
            Key::Path => x.is_some_and(|x| test(x.request.target())),
            Key::Host => x.is_some_and(|asked| field(x, asked.request.host_field(), test)),
            Key::Origin => field(x, "origin", test),
            Key::UserAgent => field(x, "user-agent", test),
            Key::Protocol => x.and_then(Exchange::protocol).is_some_and(|p| test(p.as_bytes())),
            Key::Subprotocol => x.is_some_and(|x| {
                let heads = [Some(&x.request), x.response.as_ref()];
                heads.into_iter().flatten().flat_map(|head| head.members("sec-websocket-protocol")).any(|m| test(&m))
            }),
            Key::Via => x.is_some_and(|x| {
                x.via.iter().any(|wrapper| match wrapper {
                    Wrapper::Connect(authority) => test(b"connect") || test(authority),
                    Wrapper::ProxyProtocol(_) => test(b"proxy-protocol"),
                    Wrapper::Socks(_, target) => test(b"socks") || test(target),
                    Wrapper::Link(name) => test(name.as_bytes()),
                    Wrapper::Tls(tls) => {
                        let texts = [tls.version.map(str::as_bytes), tls.server_name.as_deref(), tls.alpn.as_deref()];
                        test(b"tls") || texts.into_iter().flatten().any(&mut *test)
                    }
                })
            }),
            // Numbers as they are written, for `status:4*`.
            _ => self.any_number(key, &mut |number| test(number.to_string().as_bytes())),
        }
    }

    /// Whether any value of this key passes; false for a text.
    pub(super) fn any_number(&self, key: Key, test: &mut dyn FnMut(f64) -> bool) -> bool {
        let x = self.row.map(|row| &*row.exchange);
        match key {
            Key::Id => x.is_some_and(|x| test(x.id.0 as f64)),
            Key::Flow => x.map(|x| x.flow).or_else(|| self.flow.map(|f| f.id)).is_some_and(|f| test(f64::from(f.0))),
            Key::Status => x.and_then(Exchange::status).is_some_and(|s| test(f64::from(s))),
            Key::Port => self.ends().is_some_and(|(c, s)| test(f64::from(c.port)) || test(f64::from(s.port))),
            Key::Frames => {
                x.and_then(|x| x.ws).is_some_and(|ws| test(ws.client.frames.saturating_add(ws.server.frames) as f64))
            }
            Key::Bytes => x
                .and_then(|x| x.ws)
                .is_some_and(|ws| test(ws.client.payload_bytes.saturating_add(ws.server.payload_bytes) as f64)),
            Key::Duration => x.and_then(|x| x.end.lifetime).is_some_and(|l| test(l.0 as f64)),
            Key::Latency => x.and_then(Exchange::latency).is_some_and(|l| test(l.0 as f64)),
            Key::Close => {
                let code = x.and_then(|x| x.end.close.as_ref()).and_then(|close| close.code);
                code.is_some_and(|code| test(f64::from(code)))
            }
            Key::Input => self.packets().any(|p| test(f64::from(p.input()))),
            Key::Packet => self.packets().any(|p| test(p.number() as f64)),
            _ => false,
        }
    }

    fn ends(&self) -> Option<(Endpoint, Endpoint)> {
        let row = self.row.map(|row| (row.exchange.client, row.exchange.server));
        row.or_else(|| self.flow.map(|f| (f.client, f.server)))
    }

    fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.chain.into_iter().flat_map(|chain| &chain.hops)
    }

    /// The proxy that answers here, where other journeys show that it is one.
    fn proxies(&self) -> impl Iterator<Item = &Intermediary> {
        let server = self.ends().map(|(_, server)| server.ip);
        self.proxies.iter().filter(move |proxy| server.is_some_and(|ip| proxy.addresses.contains(&ip)))
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        let of_row = self.row.map(|row| row.findings.as_slice()).unwrap_or_default();
        let of_chain = self.chain.map(|chain| chain.findings.as_slice()).unwrap_or_default();
        of_row.iter().chain(of_chain).filter_map(|&i| self.findings.get(i))
    }

    /// Where the heads, the SYN and the evidence of the findings stand.
    fn packets(&self) -> impl Iterator<Item = PacketRef> {
        let x = self.row.map(|row| &*row.exchange);
        let heads =
            [x.map(|x| x.request.at), x.and_then(|x| x.response.as_ref()).map(|r| r.at), self.flow.map(|f| f.syn)];
        heads.into_iter().flatten().chain(self.findings().flat_map(|f| &f.evidence).map(|e| e.at))
    }
}

/// An end is found by its address, with and without the port.
fn of_end(end: Endpoint, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    test(end.ip.to_string().as_bytes()) || test(end.to_string().as_bytes())
}

/// Software is found by its name, with and without its version, and by its slug.
fn of_software(software: &Software, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let full = software.version.as_ref().map(|version| format!("{} {version}", software.name));
    test(software.name.as_bytes()) || test(software.slug.as_bytes()) || full.is_some_and(|full| test(full.as_bytes()))
}

/// Every line of a request's field.
fn field(x: Option<&Exchange>, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    x.is_some_and(|x| x.request.lines(name).any(|line| test(x.request.value(line))))
}
