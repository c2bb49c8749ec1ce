//! What joining compares of an exchange: times, addresses, and fingerprints of the fields that survive a
//! hop. Made only for exchanges that may have a partner.

use std::hash::BuildHasher as _;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::base::{Endpoint, FlowId, Timestamp, limits};
use crate::model::head::list_members;
use crate::model::{Direction, Exchange, Head, Mechanism, Preview};
use crate::wire::websocket;

use super::said::Said;

/// One exchange as joining sees it. Fingerprints are equal where the values are; those of different
/// values differ but for an accident of 64 bits.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub flow: FlowId,
    pub client: Endpoint,
    pub server: Endpoint,
    pub input: u16,
    /// The request's first byte, by the common clock.
    pub from: Timestamp,
    /// The first byte of the final response or 101. `None`: there was none.
    pub answered: Option<Timestamp>,
    /// When nothing more can belong to it: answered, or its connection ended. `None`: neither was seen.
    pub over: Option<Timestamp>,
    /// 101 also where a 2xx granted an extended CONNECT.
    pub status: Option<u16>,
    /// GET also for an extended CONNECT (RFC 8441 §5), which a bridge makes of one or the other.
    pub method: u64,
    /// A stream of HTTP/2, where a key has no meaning.
    pub stream: bool,
    pub key: Option<u64>,
    pub accept: Option<u64>,
    /// Values of request and trace ids; empty for most.
    pub ids: Box<[u64]>,
    /// Target without its query, its last segment, and its query.
    pub path: u64,
    pub last_segment: u64,
    pub query: Option<u64>,
    pub host: Option<u64>,
    pub origin: Option<u64>,
    pub cookie: Option<u64>,
    pub authorization: Option<u64>,
    pub agent: Option<u64>,
    pub subprotocols: Option<u64>,
    pub forwarded: Forwarded,
    /// The protocol versions by which its hops say that they received it, the last of them, and how many do
    /// (RFC 9110 §7.6.3); and its own.
    pub via: (Option<u8>, usize),
    pub version: Option<u8>,
    /// Whose connection the PROXY header passes on.
    pub proxied: Option<Endpoint>,
    /// The whole request head, and the whole response head.
    pub request: u64,
    pub response: Option<u64>,
    /// The beginnings of the first messages of client and server, without their masks.
    pub first: [Option<First>; 2],
    /// The first messages of client and server, as far as they are kept whole.
    pub said: [Said; 2],
    /// Messages and payload bytes of both sides, where the tunnel was seen to its end.
    pub messages: Option<[(u32, u64); 2]>,
}

/// Whom a request was forwarded for.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwarded {
    /// The last address of X-Forwarded-For or Forwarded, else X-Real-IP: who the sender's client was.
    pub last: Option<IpAddr>,
    /// With its port, where the field tells.
    pub last_port: Option<u16>,
    /// All of them but the last, to see whether the near leg was forwarded for somebody itself.
    pub others: Vec<IpAddr>,
}

/// The beginning of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    opcode: u8,
    compressed: bool,
    len: u64,
    bytes: [u8; limits::AFTER_101_BYTES],
    kept: usize,
}

impl First {
    /// Whether both can be the same message. `None` where too little of it is kept to tell.
    pub(super) fn same(&self, other: &First) -> Option<bool> {
        if self.opcode != other.opcode {
            return Some(false);
        }
        let common = self.kept.min(other.kept);
        if self.compressed != other.compressed || common == 0 {
            return None;
        }
        Some(self.len == other.len && self.bytes.get(..common) == other.bytes.get(..common))
    }
}

/// Fields whose values name one request all the way.
const IDS: [&str; 9] = [
    "x-request-id",
    "traceparent",
    "x-amzn-trace-id",
    "cf-ray",
    "x-cloud-trace-context",
    "x-amz-cf-id",
    "x-correlation-id",
    "x-b3-traceid",
    "x-azure-ref",
];

/// Fields that name the client of the leg before.
pub(super) const FORWARDED: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// Whether the request has any id.
pub(super) fn has_ids(request: &Head) -> bool {
    IDS.iter().any(|name| request.has(name))
}

pub(super) fn is_forwarded(request: &Head) -> bool {
    FORWARDED.iter().any(|name| request.has(name))
}

/// Makes fingerprints; all of one run must come from the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Fingerprints(RandomState);

impl Fingerprints {
    pub(super) fn of(&self, bytes: &[u8]) -> u64 {
        self.0.hash_one(bytes)
    }

    fn field(&self, head: &Head, name: &str) -> Option<u64> {
        head.combined(name).map(|value| self.of(&value))
    }

    /// HTTP/2 may send a field line for each pair (RFC 9113 §8.2.3).
    fn cookie(&self, head: &Head) -> Option<u64> {
        if !head.coded || head.count("cookie") < 2 {
            return self.field(head, "cookie");
        }
        let pairs: Vec<&[u8]> = head.lines("cookie").map(|line| head.value(line)).collect();
        Some(self.of(&pairs.join(&b"; "[..])))
    }

    /// A head as it was sent. Equal fields under HPACK are equal bytes only where they stand in the same place.
    fn whole(&self, head: &Head) -> u64 {
        if head.coded { self.0.hash_one((&*head.text, &head.range)) } else { self.of(&head.text) }
    }

    /// Which stream of which connection this is, where its sequence numbers tell: two captures of it share that.
    pub(super) fn stream(&self, x: &Exchange) -> Option<u64> {
        let stream = x.stream.as_ref()?;
        x.seq.iter().any(Option::is_some).then(|| self.0.hash_one((stream.id, x.seq)))
    }

    /// The key of an exchange, if it was seen whole.
    pub(super) fn key(&self, x: &Exchange) -> Option<u64> {
        x.request.whole_value("sec-websocket-key").filter(|key| !key.is_empty()).map(|key| self.of(key))
    }

    /// All ids that the request carries.
    pub(super) fn ids(&self, request: &Head) -> Box<[u64]> {
        let ids = IDS.iter().filter_map(|&name| {
            let value = request.whole_value(name)?;
            // Of a trace only the trace itself: each hop writes a span of its own (W3C Trace Context §3.2).
            let id = match name {
                "traceparent" => value.split(|&b| b == b'-').nth(1)?,
                "x-amzn-trace-id" => value.split(|&b| b == b';').find_map(|p| p.trim_ascii().strip_prefix(b"Root="))?,
                "x-cloud-trace-context" => value.split(|&b| b == b'/').next()?,
                "cf-ray" => value.split(|&b| b == b'-').next()?,
                _ => value,
            };
            (id.len() >= 8).then(|| self.0.hash_one((name, id)))
        });
        ids.collect()
    }

    /// `shift`: what is added to the times of this exchange's input.
    pub(super) fn card(&self, x: &Exchange, shift: crate::base::Nanos) -> Card {
        let request = &x.request;
        let (path, query) = split_target(request.target());
        // What came when its client had gone was heard by nobody.
        let gone = x.end.tcp_at.filter(|_| x.end.tcp_by == Some(Direction::ClientToServer));
        let response = x.response.as_ref().filter(|r| gone.is_none_or(|gone| gone >= r.first));
        let answered = response.map(|r| r.first + shift);
        let ended = x.end.at.or(x.end.tcp_at).map(|at| at + shift);
        Card {
            flow: x.flow,
            client: x.client,
            server: x.server,
            input: request.at.input(),
            from: request.first + shift,
            answered,
            over: x.response.as_ref().map(|r| r.first + shift).or(ended),
            status: response.and(if x.granted().is_some() { Some(101) } else { x.status() }),
            method: self.of(if x.mechanism == Mechanism::Http2ExtendedConnect { b"GET" } else { request.method() }),
            stream: x.is_stream(),
            key: self.key(x),
            accept: response.and_then(|r| r.first_value("sec-websocket-accept")).map(|a| self.of(a)),
            ids: self.ids(request),
            path: self.of(path),
            last_segment: self.of(last_segment(path)),
            query: query.map(|q| self.of(q)),
            host: self.field(request, request.host_field()),
            origin: self.field(request, "origin"),
            cookie: self.cookie(request),
            authorization: self.field(request, "authorization"),
            agent: self.field(request, "user-agent"),
            subprotocols: self.field(request, "sec-websocket-protocol"),
            forwarded: forwarded(request),
            via: via(request),
            version: request.version().strip_prefix(b"HTTP/").and_then(|v| v.first().copied()),
            proxied: x.proxied.as_ref().and_then(|p| p.source),
            request: self.whole(request),
            response: response.map(|r| self.whole(r)),
            first: [0, 1].map(|side| x.after_101.get(side).and_then(Option::as_deref).and_then(first)),
            said: said(x),
            messages: messages(x),
        }
    }
}

/// Path and query of a target; of an absolute one without scheme and authority (RFC 9112 §3.2.2).
pub(super) fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let scheme = target.windows(3).position(|w| w == b"://").filter(|&at| !target[..at].contains(&b'/'));
    let rest = match scheme {
        Some(at) => {
            let rest = target.get(at + 3..).unwrap_or_default();
            let path = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
            rest.get(path..).unwrap_or_default()
        }
        None => target,
    };
    match rest.iter().position(|&b| b == b'?') {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    }
}

/// What stands behind the last slash that something stands behind.
pub(super) fn last_segment(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.rsplit(|&b| b == b'/').next().unwrap_or_default()
}

/// Whom the request was forwarded for, as its fields say.
pub(super) fn forwarded(request: &Head) -> Forwarded {
    let mut out = Forwarded::default();
    let mut all: Vec<(IpAddr, Option<u16>)> = Vec::new();
    if let Some(list) = request.combined("x-forwarded-for") {
        all.extend(list_members(&list).filter_map(node));
    } else if let Some(list) = request.combined("forwarded") {
        all.extend(list_members(&list).filter_map(|member| {
            // RFC 7239 §4: pairs parted by semicolons.
            let pair = member.split(|&b| b == b';').map(<[u8]>::trim_ascii);
            let mut value = pair.filter_map(|p| p.get(..4).filter(|n| n.eq_ignore_ascii_case(b"for=")).and(p.get(4..)));
            node(value.next()?)
        }));
    } else if let Some(value) = request.first_value("x-real-ip") {
        all.extend(node(value));
    }
    if let Some((ip, port)) = all.pop() {
        (out.last, out.last_port) = (Some(ip), port);
    }
    out.others = all.into_iter().map(|(ip, _)| ip).take(limits::FORWARDED_FOR).collect();
    out
}

/// Whether whoever asked on the far leg did so for somebody else than the near leg's client, whom the request names too: then
/// it is not what answers the near leg, and a leg between the two is not in view. A foreign address alone does not tell: an
/// address translation may stand before the near server.
pub(super) fn leg_is_missing(near: &Exchange, far: &Exchange) -> bool {
    let now = forwarded(&far.request);
    let Some(asked_for) = now.last else { return false };
    let proxied = near.proxied.as_ref().and_then(|proxied| proxied.source).map(|source| source.ip.to_canonical());
    let client = near.client.ip.to_canonical();
    let is_client = |ip: IpAddr| ip == client || Some(ip) == proxied;
    let apart = near.server.ip != far.client.ip && near.client.ip != far.client.ip && near.server != far.server;
    let real = far.request.first_value("x-real-ip").and_then(node).map(|(ip, _)| ip);
    let names_client = now.others.iter().copied().chain(real).any(is_client);
    // What stood in the near request was taken over from there.
    let before = forwarded(&near.request);
    let taken_over = before.last == Some(asked_for) || before.others.contains(&asked_for);
    // Some write their own address behind their client's, as Google's load balancers do.
    let own = [near.server.ip, far.client.ip].map(|ip| ip.to_canonical()).contains(&asked_for);
    apart && names_client && !is_client(asked_for) && !taken_over && !own
}

/// Whether a request names more than one that it was forwarded for: it passed several proxies.
pub fn was_forwarded_twice(request: &Head) -> bool {
    !forwarded(request).others.is_empty() || via(request).1 > 1
}

/// The major version that the last member of `Via` names, and how many members there are.
fn via(request: &Head) -> (Option<u8>, usize) {
    let Some(list) = request.combined("via") else { return (None, 0) };
    // Commas stand in comments too.
    let versions = list_members(&list).filter_map(|member| {
        let version = member.strip_prefix(b"HTTP/").unwrap_or(member);
        version.first().copied().filter(u8::is_ascii_digit)
    });
    versions.fold((None, 0), |(_, count), digit| (Some(digit), count + 1))
}

/// `192.0.2.1`, `192.0.2.1:80`, `"[2001:db8::1]:80"`, `2001:db8::1` (RFC 7239 §6).
fn node(bytes: &[u8]) -> Option<(IpAddr, Option<u16>)> {
    let text = std::str::from_utf8(bytes).ok()?.trim().trim_matches('"');
    // Programs that listen on `::` write `::ffff:192.0.2.1`.
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_canonical(), None));
    }
    if let Ok(both) = text.parse::<std::net::SocketAddr>() {
        return Some((both.ip().to_canonical(), Some(both.port())));
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse().ok().map(|ip: IpAddr| (ip.to_canonical(), None))
}

/// The first message in these bytes, as far as they go.
fn first(preview: &Preview) -> Option<First> {
    let header = websocket::header(&preview.bytes)?;
    let payload = preview.bytes.get(usize::from(header.length)..)?;
    let most = usize::try_from(header.payload).unwrap_or(usize::MAX);
    let payload = payload.get(..most).unwrap_or(payload);
    let mut bytes = [0; limits::AFTER_101_BYTES];
    let kept = bytes.get_mut(..payload.len())?;
    kept.copy_from_slice(payload);
    websocket::unmask(kept, header.mask.unwrap_or_default(), 0);
    let kept = payload.len();
    Some(First { opcode: header.opcode, compressed: header.rsv1(), len: header.payload, bytes, kept })
}

/// The first messages of both sides.
fn said(x: &Exchange) -> [Said; 2] {
    x.talk.as_ref().map_or_else(Default::default, |talk| [&talk.client, &talk.server].map(|s| Said::new(s.messages())))
}

/// What went through the tunnel in all. `None` where it was not seen whole.
fn messages(x: &Exchange) -> Option<[(u32, u64); 2]> {
    let ws = x.ws.filter(|ws| !ws.client.broken && !ws.server.broken && !ws.compressed)?;
    let whole = !x.quality.gap && !x.quality.snapped && !x.quality.midstream && x.end.at.is_some();
    whole.then_some([(ws.client.messages, ws.client.payload_bytes), (ws.server.messages, ws.server.payload_bytes)])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::hops::testing::head;

    #[test]
    fn a_target_is_split_in_either_form() {
        assert_eq!(split_target(b"/a/b?c=d"), (&b"/a/b"[..], Some(&b"c=d"[..])));
        assert_eq!(split_target(b"ws://x:80/a?b"), (&b"/a"[..], Some(&b"b"[..])));
        assert_eq!(split_target(b"http://x"), (&b""[..], None));
        assert_eq!(split_target(b"/r?to=http://x/y"), (&b"/r"[..], Some(&b"to=http://x/y"[..])));
        assert_eq!(last_segment(b"/a/b/"), b"b");
        assert_eq!(last_segment(b"/"), b"");
    }

    #[test]
    fn the_nearest_client_is_the_last_one_named() {
        let last = |line: &str| {
            let f = forwarded(&head(&format!("GET / HTTP/1.1\r\n{line}\r\n\r\n")));
            (f.last.map(|ip| ip.to_string()), f.last_port, f.others.len())
        };
        assert_eq!(last("X-Forwarded-For: 192.0.2.1, 192.0.2.9"), (Some("192.0.2.9".into()), None, 1));
        assert_eq!(
            last("Forwarded: for=192.0.2.1;proto=https, for=\"[2001:db8::1]:4711\""),
            (Some("2001:db8::1".into()), Some(4711), 1)
        );
        assert_eq!(last("X-Real-IP: 192.0.2.3"), (Some("192.0.2.3".into()), None, 0));
        assert_eq!(last("X-Forwarded-For: unknown, _hidden"), (None, None, 0));
    }

    #[test]
    fn who_asks_for_somebody_else_than_the_near_client_is_another_program_than_the_near_server() {
        let asked = |client: [u8; 4], fields: &str| {
            let x = |text: &str| Exchange::of(head(&text.replace('%', fields)));
            let mut near = x("GET /ws HTTP/1.1\r\n\r\n");
            let mut far = x("GET /ws HTTP/1.1\r\n%\r\n\r\n");
            (near.client.ip, near.server.ip) = (client.into(), [10, 1, 1, 1].into());
            (far.client.ip, far.server.ip) = ([10, 1, 3, 1].into(), [10, 1, 3, 9].into());
            leg_is_missing(&near, &far)
        };
        let inside = [10, 1, 1, 10];
        assert!(asked(inside, "X-Forwarded-For: 10.1.1.10, 10.1.2.1"));
        assert!(asked(inside, "X-Forwarded-For: 10.1.2.1\r\nX-Real-IP: ::ffff:10.1.1.10"));
        assert!(!asked(inside, "X-Forwarded-For: 10.1.1.10"), "the near client itself");
        assert!(!asked(inside, "X-Forwarded-For: ::ffff:10.1.1.10"), "the same");
        assert!(!asked(inside, "X-Forwarded-For: 10.1.1.10, 10.1.1.1"), "its own address behind its client's");
        assert!(!asked(inside, "X-Forwarded-For: 10.1.1.10, 10.1.3.1"), "the same");
        assert!(!asked([203, 0, 113, 9], "X-Forwarded-For: 10.244.0.1"), "an address translation");
        assert!(!asked(inside, "Accept: x"));
    }

    #[test]
    fn the_last_hop_says_by_which_version_it_received_the_request() {
        let told = |line: &str| via(&head(&format!("GET / HTTP/1.1\r\n{line}\r\n\r\n")));
        assert_eq!(told("Via: 1.1 a, 2 b"), (Some(b'2'), 2));
        assert_eq!(told("Via: HTTP/1.1 a (x, y)").0, Some(b'1'));
        assert_eq!(told("X: 1"), (None, 0));
    }

    #[test]
    fn of_a_trace_the_span_does_not_count() {
        let prints = Fingerprints::default();
        let ids = |v: &str| prints.ids(&head(&format!("GET / HTTP/1.1\r\ntraceparent: {v}\r\n\r\n")));
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(ids(&format!("{trace}-00f067aa0ba902b7-01")), ids(&format!("{trace}-aaaaaaaaaaaaaaaa-01")));
        assert_eq!(ids(&format!("{trace}-00f067aa0ba902b7-01")).len(), 1);
        assert_ne!(prints.of(b"a"), prints.of(b"b"));
    }
}
