//! An exchange: one request and its responses, on one leg.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use crate::base::{Endpoint, ExchangeId, FlowId, Nanos, PacketRef, Timestamp};
use crate::model::head::trim;
use crate::model::{Head, Proxied, Stream, Talk, Transport};

/// Who sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    #[default]
    ClientToServer,
    ServerToClient,
}

/// How the request asks for another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `Upgrade` in HTTP/1.x (RFC 9110 §7.8), or a request with WebSocket fields that lost it. Also such a request
    /// in HTTP/2, where it can only fail.
    Http1Upgrade,
    /// A CONNECT with `:protocol` (RFC 8441 §4).
    Http2ExtendedConnect,
    /// A CONNECT that was refused (RFC 9110 §9.3.6).
    Connect,
    /// A plain request.
    None,
}

/// What stands around the exchange's stream, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// Inside a CONNECT tunnel to this authority.
    Connect(Box<[u8]>),
    /// Behind a PROXY protocol header of this version, 1 or 2.
    ProxyProtocol(u8),
    /// Inside a connection that a SOCKS proxy of this version (4 or 5) opened to `host:port`.
    Socks(u8, Box<[u8]>),
    /// A VLAN, tunnel or other link layer worth telling.
    Link(Box<str>),
    /// Inside TLS, which was read with its secrets.
    Tls(Box<Tls>),
}

/// What the hellos of a TLS connection told (RFC 8446, RFC 5246).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `1.3`, `1.2`. `None`: not known.
    pub version: Option<&'static str>,
    /// The name that the client asked for (SNI, RFC 6066 §3). `None`: none.
    pub server_name: Option<Box<[u8]>>,
    /// The protocol chosen (ALPN, RFC 7301). `None`: none, or not known.
    pub alpn: Option<Box<[u8]>>,
    /// The suite chosen, as the registry spells it. `None`: not known.
    pub cipher: Option<&'static str>,
    /// An earlier session went on.
    pub resumed: bool,
    /// The random of the ClientHello, by which key logs name the connection. `None`: not known.
    pub client_random: Option<Box<[u8; 32]>>,
}

/// One upgrade candidate (or plain request that is a leg of one) and all that is known of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub id: ExchangeId,
    pub flow: FlowId,
    /// Of this leg.
    pub client: Endpoint,
    pub server: Endpoint,
    pub via: Vec<Wrapper>,
    /// The PROXY protocol header around it; of several, the innermost.
    pub proxied: Option<Box<Proxied>>,
    pub mechanism: Mechanism,
    pub request: Head,
    /// What HTTP/2 tells beside the heads. `None` in HTTP/1.x.
    pub stream: Option<Box<Stream>>,
    /// 1xx heads before the final one, 101 apart (RFC 9110 §15.2). At most `limits::INTERIM_HEADS`.
    pub interim: Vec<Head>,
    /// The final response, or the 101. `None` where none was seen.
    pub response: Option<Head>,
    /// First bytes of the response's content (RFC 9110 §6.4); at most `limits::BODY_PREVIEW_BYTES`.
    pub body: Box<[u8]>,
    /// Bytes where a response head should have been and none was.
    pub odd_response: Option<Box<Preview>>,
    /// Server bytes that came before the response head although no request could have asked for them.
    pub before_response: Option<Box<Preview>>,
    /// Client bytes behind the request head and before the 101, where the head announced no content.
    pub early: Option<Box<Preview>>,
    /// First bytes after a 101 (or what grants an extended CONNECT), from the client and from the server.
    pub after_101: [Option<Box<Preview>>; 2],
    /// Server bytes after the 101 that came in the packet of its last byte.
    pub frames_with_101: bool,
    pub times: Times,
    /// Frames after an upgrade to WebSocket. `None` where no frame was seen.
    pub ws: Option<WsTotals>,
    /// What was said in them. `None` where there was no upgrade to WebSocket.
    pub talk: Option<Box<Talk>>,
    pub end: End,
    pub quality: Quality,
    /// Which request of its connection this is, from 0.
    pub index_in_flow: u32,
    /// TCP sequence numbers of the first bytes that client and server sent on this connection: two
    /// captures of one connection share them. `None` where a side's start is not known.
    pub seq: [Option<u32>; 2],
    /// The timestamp of the connection's SYN (RFC 7323 §3.2), which address translation leaves alone. 0: none
    /// was seen.
    pub syn_stamp: u32,
    /// A plain request, kept only in case that it is a leg of an upgrade which lost all of its marks.
    pub tentative: bool,
    /// What TCP tells of the time in which no answer came. `None`: nothing of note, or there was an answer.
    pub transport: Option<Box<Transport>>,
    /// What another copy of this leg tells, where it was captured at two places. `None`: nothing.
    pub twice: Option<Box<Twice>>,
}

/// What the copies of a leg that was captured several times tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Twice {
    /// Client and server addresses of copies on the other side of address translation.
    pub names: Vec<(Endpoint, Endpoint)>,
    /// What passed one place and did not come to the other. `None`: nothing is known to be lost.
    pub lost: Option<Lost>,
}

/// Bytes that were captured where they were sent and not where they should have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub from: Direction,
    /// Frames that never came; 0: the request, or the answer, itself.
    pub frames: u32,
    /// The last packet of them at the place that saw them.
    pub at: PacketRef,
    /// How long nothing was sent before; 0 before an answer.
    pub quiet: Nanos,
    /// A reset that the receiver never sent told the sender that it is gone.
    pub forged: bool,
}

/// Of a connection that is still to be told.
const NOWHERE: Endpoint = Endpoint { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };

/// Captured bytes kept to be shown or recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// At most `limits::ODD_PREVIEW_BYTES`.
    pub bytes: Box<[u8]>,
    pub at: PacketRef,
    pub ts: Timestamp,
    /// Where the first byte stands in its direction's stream.
    pub offset: u64,
}

/// When things happened. `None` where it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub syn: Option<Timestamp>,
    /// SYN to the handshake's last ACK; what a round trip takes, roughly.
    pub rtt: Option<Nanos>,
    /// The last packet of the flow up to the exchange's end.
    pub last: Option<Timestamp>,
}

/// Frames of one direction (RFC 6455 §5). Counts stop at their largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WsCounts {
    pub frames: u32,
    /// Data messages that ended (FIN).
    pub messages: u32,
    pub payload_bytes: u64,
    pub text: u32,
    pub binary: u32,
    pub ping: u32,
    pub pong: u32,
    pub close: u32,
    /// A frame had (had not) the mask bit (RFC 6455 §5.3).
    pub masked: bool,
    pub unmasked: bool,
    /// Bytes that did not read as a frame header ended the counting.
    pub broken: bool,
    /// Bytes are missing behind the last frame, and frames may have been among them.
    pub lost: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WsTotals {
    pub client: WsCounts,
    pub server: WsCounts,
    /// A frame had RSV1 set (RFC 7692 §6).
    pub compressed: bool,
}

/// How something ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndHow {
    /// A Close frame (RFC 6455 §5.5.1).
    CloseFrame,
    Fin,
    Rst,
    /// Went silent without an end in view.
    Silent,
    /// Still open when the capture ended.
    #[default]
    Open,
}

/// The end of an exchange: what came first, and how TCP ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    pub by: Option<Direction>,
    pub how: EndHow,
    pub close: Option<Close>,
    pub at: Option<Timestamp>,
    pub packet: Option<PacketRef>,
    /// From the last payload byte in either direction to the end.
    pub idle_before: Option<Nanos>,
    /// The same for what the client (server) sent alone. `None`: it sent nothing.
    pub idle_of: [Option<Nanos>; 2],
    /// From the request's first byte to the end.
    pub lifetime: Option<Nanos>,
    pub tcp_by: Option<Direction>,
    pub tcp_how: EndHow,
    pub tcp_at: Option<Timestamp>,
}

/// The first Close frame's content (RFC 6455 §7.1.5, §7.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// `None`: a Close without a code (1005 to the application).
    pub code: Option<u16>,
    /// Unmasked.
    pub reason: Box<[u8]>,
}

/// What the capture shows of this exchange, and what it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// No SYN was seen: the flow was joined while it ran.
    pub midstream: bool,
    /// No packet at all from the client (server).
    pub no_client_packets: bool,
    pub no_server_packets: bool,
    /// The request came while an earlier one of its connection waited for its answer (RFC 9112 §9.3.2).
    pub queued: bool,
    /// Bytes lost inside or before the request (response) head.
    pub request_gap: bool,
    pub response_gap: bool,
    /// Bytes lost to the snap length in this flow.
    pub snapped: bool,
    /// Segments of this flow disagreed about a byte (first kept).
    pub overlap_conflict: bool,
    /// Bytes missing anywhere in this flow.
    pub gap: bool,
    /// All of these never came to their receiver either, so that they are not the capture's loss.
    pub undelivered: bool,
}

/// The judgement on `Sec-WebSocket-Accept` (RFC 6455 §4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AcceptVerdict {
    Valid,
    Invalid,
    /// A 101 to a WebSocket request without the field.
    Missing,
    /// The request head was not seen whole, or has no key.
    Unverifiable,
    /// Nothing to judge: no 101, or not WebSocket.
    #[default]
    NotApplicable,
}

/// What was judged of the opening handshake (RFC 6455 §4). There is one for each exchange: what its heads say is not
/// repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    pub accept_verdict: AcceptVerdict,
    /// `None` where the accept is not invalid.
    pub wrong: Option<Box<WrongAccept>>,
}

/// Why an accept is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongAccept {
    /// A word of the closed list in docs/rules.md.
    pub kind: &'static str,
    /// How it was computed, in words.
    pub recipe: String,
}

impl Handshake {
    /// As in [`WrongAccept`].
    pub fn accept_kind(&self) -> Option<&'static str> {
        self.wrong.as_ref().map(|wrong| wrong.kind)
    }

    /// As in [`WrongAccept`].
    pub fn accept_recipe(&self) -> Option<&str> {
        self.wrong.as_ref().map(|wrong| &*wrong.recipe)
    }

    /// The first `Sec-WebSocket-Accept` of this exchange. `None` where there is none, or not all of it was seen: a part
    /// of one would be taken for a wrong one.
    pub fn accept<'x>(&self, x: &'x Exchange) -> Option<&'x [u8]> {
        let response = x.response.as_ref()?;
        let whole =
            self.accept_verdict == AcceptVerdict::Valid || response.whole_value("sec-websocket-accept").is_some();
        response.first_value("sec-websocket-accept").filter(|_| whole).map(trim)
    }
}

impl Exchange {
    /// The first `Sec-WebSocket-Key`. `None` where there is none, or not all of it was seen.
    pub fn key(&self) -> Option<&[u8]> {
        self.request.whole_value("sec-websocket-key").map(trim)
    }

    /// Around this request, of which nothing else is known yet, not even its connection.
    pub fn of(request: Head) -> Exchange {
        let upgrade =
            request.has("upgrade") || request.has("sec-websocket-key") || request.has("sec-websocket-version");
        let mechanism = if request.method() == b"CONNECT" {
            Mechanism::Connect
        } else if upgrade {
            Mechanism::Http1Upgrade
        } else {
            Mechanism::None
        };
        Exchange {
            id: ExchangeId::default(),
            flow: FlowId::default(),
            client: NOWHERE,
            server: NOWHERE,
            via: Vec::new(),
            proxied: None,
            mechanism,
            request,
            stream: None,
            interim: Vec::new(),
            response: None,
            body: Box::default(),
            odd_response: None,
            before_response: None,
            early: None,
            after_101: [None, None],
            frames_with_101: false,
            times: Times::default(),
            ws: None,
            talk: None,
            end: End::default(),
            quality: Quality::default(),
            index_in_flow: 0,
            seq: [None; 2],
            syn_stamp: 0,
            tentative: false,
            transport: None,
            twice: None,
        }
    }

    /// Lower-case first token of `Upgrade` (`:protocol` of an extended CONNECT), or `websocket` where only WebSocket
    /// fields are left. `None` for a plain request.
    pub fn protocol(&self) -> Option<Cow<'static, str>> {
        if self.is_websocket() {
            return Some(Cow::Borrowed("websocket"));
        }
        if self.mechanism == Mechanism::Http2ExtendedConnect {
            let protocol = self.request.first_value(":protocol")?.to_ascii_lowercase();
            return Some(Cow::Owned(String::from_utf8_lossy(&protocol).into_owned()));
        }
        let tokens = self.request.tokens("upgrade");
        tokens.first().map(|t| Cow::Owned(String::from_utf8_lossy(t).into_owned()))
    }

    /// Whether it was sent inside TLS whose content was read.
    pub fn is_inside_tls(&self) -> bool {
        self.via.iter().any(|wrapper| matches!(wrapper, Wrapper::Tls(_)))
    }

    /// Whether the rules of RFC 6455 apply: `websocket` was asked for, or the request carries the
    /// WebSocket fields.
    pub fn is_websocket(&self) -> bool {
        if self.mechanism == Mechanism::Http2ExtendedConnect {
            let protocol = self.request.first_value(":protocol");
            return protocol.is_some_and(|p| p.eq_ignore_ascii_case(b"websocket"));
        }
        self.has_websocket_fields()
            || self.request.upgrades_to_websocket()
            || self.begins_with_websocket()
            || self.is_answered_only()
    }

    /// Whether nothing that the client sent was captured.
    pub fn is_request_unseen(&self) -> bool {
        self.quality.no_client_packets && self.request.text.is_empty()
    }

    /// Whether nothing of the request is in view, and the answer says that it was for a WebSocket.
    fn is_answered_only(&self) -> bool {
        self.is_request_unseen() && self.granted().is_some_and(|head| head.upgrades_to_websocket())
    }

    /// Whether the head breaks off in `Upgrade: webs`: no other protocol of IANA's registry of upgrade
    /// tokens begins like that.
    fn begins_with_websocket(&self) -> bool {
        let head = &self.request;
        let Some(last) = head.lines("upgrade").last().filter(|f| head.is_cut(f)) else { return false };
        let token = head.value(last);
        let begins = b"websocket".get(..token.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(token));
        !token.is_empty() && begins
    }

    /// Key or Version in the request, also when `Upgrade` is lost.
    pub fn has_websocket_fields(&self) -> bool {
        self.request.has_websocket()
    }

    /// The target of another request, where this one only asks a service whether that may pass, as proxies do that
    /// leave authorization to one (`auth_request` of nginx, ForwardAuth of Traefik, `forward_auth` of Caddy): its own
    /// target is another, and it does not ask for the upgrade itself, or the proxy copied all fields. `None`: nothing says so.
    pub fn asks_permission(&self) -> Option<&[u8]> {
        let head = &self.request;
        let with = |name, beside: &[&str]| head.first_value(name).filter(|_| beside.iter().all(|name| head.has(name)));
        let nginx = with("x-original-uri", &[])
            .or_else(|| with("x-original-url", &["x-original-method"]))
            .or_else(|| with("x-original-url", &["x-auth-request-redirect"]));
        let original = nginx.or_else(|| with("x-forwarded-uri", &["x-forwarded-method"]))?;
        let path = match memchr::memmem::find(original, b"://") {
            Some(at) => original.get(at + 3..)?.split_at_checked(memchr::memchr(b'/', original.get(at + 3..)?)?)?.1,
            None => original,
        };
        let last = path.split(|&b| b == b'?').next()?.rsplit(|&b| b == b'/').next()?;
        // A path of which nothing is left was not rewritten.
        let foreign = || memchr::memmem::find(head.target(), last).is_none();
        let may_pass = match self.status() {
            None | Some(200..=299 | 401 | 403 | 500..=599) => true,
            Some(404 | 405) => nginx.is_some() && foreign(),
            _ => false,
        };
        let other = path.starts_with(b"/") && path != head.target();
        // Caddy copies all fields, Upgrade too. Other proxies send such fields with every request, whose path may be rewritten.
        let answered = matches!(self.status(), Some(200..=299 | 401 | 403));
        let asks_itself = head.upgrades_to_websocket() && (nginx.is_some() || !answered || !foreign());
        (other && may_pass && !asks_itself).then_some(path)
    }

    /// The head that grants what was asked for: a 101 in HTTP/1.x, a 2xx to an extended CONNECT (RFC 8441 §5).
    pub fn granted(&self) -> Option<&Head> {
        self.response.as_ref().filter(|head| match (self.mechanism, head.status()) {
            (Mechanism::Http2ExtendedConnect, Some(200..=299)) => true,
            (_, Some(101)) => self.stream.is_none(),
            _ => false,
        })
    }

    /// Whether it is a stream of HTTP/2: no `Connection`, `Upgrade`, key or accept is to be expected there.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The server as it is named behind an address translation, where that was captured too; else as this leg names
    /// it. Of several names it is not known which is the last: then this leg's too.
    pub fn server_behind(&self) -> Endpoint {
        let mut names = self.twice.iter().flat_map(|twice| twice.names.iter()).map(|(_, server)| *server);
        let mut names = names.by_ref().filter(|server| *server != self.server);
        match names.next() {
            Some(first) if names.all(|other| other == first) => first,
            _ => self.server,
        }
    }

    /// The status of the final response (or 101).
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().and_then(Head::status)
    }

    /// From the request's first byte to the first byte of the response. `None` where one of them is not in view.
    pub fn latency(&self) -> Option<Nanos> {
        let asked = !self.quality.no_client_packets && !self.request.method().is_empty();
        let response = self.response.as_ref().filter(|_| asked);
        response.map(|r| r.first.since(self.request.first))
    }

    /// Whether the request looks like it was sent by a browser: has `Origin`, and a User-Agent of
    /// the `Mozilla/` family.
    pub fn from_browser(&self) -> bool {
        self.request.has("origin")
            && self.request.first_value("user-agent").is_some_and(|ua| ua.starts_with(b"Mozilla/"))
    }

    /// Moves all of its times: another clock is believed.
    pub fn shift(&mut self, by: Nanos) {
        let heads = [&mut self.request].into_iter().chain(&mut self.interim).chain(&mut self.response);
        for head in heads {
            head.first = head.first + by;
            head.last = head.last + by;
        }
        let [client, server] = &mut self.after_101;
        let boxed = [&mut self.odd_response, &mut self.before_response, &mut self.early, client, server];
        let previews = boxed.into_iter().flatten().map(|preview| &mut **preview);
        previews.for_each(|preview| preview.ts = preview.ts + by);
        if let Some(proxied) = &mut self.proxied {
            proxied.ts = proxied.ts + by;
        }
        if let Some(talk) = &mut self.talk {
            talk.shift(by);
        }
        if let Some(transport) = &mut self.transport {
            transport.shift(by);
        }
        for time in [&mut self.times.syn, &mut self.times.last, &mut self.end.at, &mut self.end.tcp_at] {
            *time = time.map(|at| at + by);
        }
    }

    /// Whether both heads were seen whole, without a lost byte in or before them.
    pub fn heads_whole(&self) -> bool {
        self.request.complete
            && !self.quality.request_gap
            && !self.quality.response_gap
            && self.response.as_ref().is_none_or(|r| r.complete)
    }
}
