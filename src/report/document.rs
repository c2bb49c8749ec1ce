//! The JSON report as types, exactly as readers get it; the schema is generated from them.
//!
//! Words of open lists (an outcome, a rule) are strings: readers accept values that they do not know.
//! A field added later must not be required by the schema (`#[schemars(default)]`): a report of today
//! validates against every later schema of version 1.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// A word of an open list.
pub type Word = Cow<'static, str>;

/// The name of this format and its version.
pub const SCHEMA: &str = "hopscope-report/1";

/// One analysis.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "hopscope report, version 1")]
pub struct Report {
    /// `hopscope-report/1`.
    pub schema: Word,
    pub tool: Tool,
    pub inputs: Vec<Input>,
    pub counters: Counters,
    /// Every request that asked for another protocol, and each plain request that is a leg of one.
    pub exchanges: Vec<Exchange>,
    /// Every exchange is in exactly one chain.
    pub chains: Vec<Chain>,
    pub findings: Vec<Finding>,
    pub intermediaries: Vec<Intermediary>,
    pub patterns: Vec<Pattern>,
}

/// What wrote the report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tool {
    pub name: Word,
    pub version: Word,
}

/// A file (or other source of packets).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Input {
    /// Index in the order given; `input` elsewhere refers to it.
    pub id: usize,
    /// As the user gave it.
    pub path: String,
    #[schemars(extend("examples" = ["pcap", "pcapng"]))]
    pub format: Word,
    /// `gzip`, `zstd`, `lz4` or `xz`; null where the input is not compressed.
    pub compression: Option<Word>,
    /// LINKTYPE_ names without the prefix.
    #[schemars(extend("examples" = [["EN10MB"]]))]
    pub link_types: Vec<String>,
    pub packets: u64,
    pub captured_bytes: u64,
    /// Earliest packet time, RFC 3339 in UTC with nine digits; null without packets.
    pub first: Option<String>,
    /// Latest packet time.
    pub last: Option<String>,
    /// Added to the times of this input.
    pub clock_offset_ns: i64,
    /// The first place where the input is faulty; null where it is whole.
    pub damage: Option<Damage>,
}

/// A place where an input is faulty.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Damage {
    /// The packet that could not be read, 1-based.
    pub packet: u64,
    /// Offset in the (decompressed) input.
    pub byte: u64,
    pub why: String,
    pub lost_bytes: u64,
}

/// What was counted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Counters {
    pub packets: u64,
    pub undecodable: u64,
    pub flows: u64,
    pub http_requests: u64,
    pub http_responses: u64,
    pub gaps: u64,
    pub gap_bytes: u64,
    pub duplicate_packets: u64,
    pub evicted: u64,
    pub dropped_kernel: u64,
    pub dropped_interface: u64,
    pub dropped_hopscope: u64,
    /// WebSockets of which only frames are in the capture. Left out where there is none, as the next two.
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_websocket_midstream: u64,
    /// SOCKS requests that their proxy refused.
    #[serde(skip_serializing_if = "is_zero")]
    pub socks_refused: u64,
    /// Streams left alone because too many others stand around them.
    #[serde(skip_serializing_if = "is_zero")]
    pub nested_too_deep: u64,
    /// Connections in TLS, and of these the ones that were read with their secrets, and those that no key log
    /// has anything for. Left out where there is none, as the next ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_tls: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_tls_read: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_tls_missed: u64,
    /// Connections with secrets, in a version of TLS or with a cipher that is not read.
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_tls_unknown: u64,
    /// Records of TLS that do not fit their tag or MAC.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_records_failed: u64,
    /// What was given up of TLS connections because a limit was reached.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_given_up: u64,
    /// Packets of a live capture that `-w` had not kept when this was written: they were analysed all the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub packets_not_kept: u64,
    /// Exchanges of a stream that were put into chains before all of their legs may have come.
    #[serde(skip_serializing_if = "is_zero")]
    pub joined_early: u64,
    /// Upgrades whose frames and messages were counted and judged, but not kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub talks_not_kept: u64,
    /// Directions of upgrades whose compressed messages were not all read.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_inflated: u64,
    /// Ends of tunnels that are not remembered: what many have in common may be missed.
    #[serde(skip_serializing_if = "is_zero")]
    pub ends_not_kept: u64,
    /// Lines of key logs that are malformed or too long, and secrets beyond the limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub tls_secrets_dropped: u64,
    /// QUIC connections that clients opened; none is read. Left out where there is none.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub quic_connections: u64,
    /// Packets of QUIC that were not looked at because a limit was reached; left out where there is none.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub quic_not_looked_at: u64,
    /// Connections that were captured at two places and are told once; left out where there is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub flows_seen_twice: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What the hellos of a TLS connection told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tls {
    /// Null where it is not known.
    #[schemars(extend("examples" = ["1.3", "1.2"]))]
    pub version: Option<String>,
    /// SNI; null where the client sent none.
    pub server_name: Option<String>,
    /// ALPN; null where none was agreed on, or it is not known.
    pub alpn: Option<String>,
    pub cipher: Option<String>,
    /// An earlier session went on.
    pub resumed: bool,
}

/// One request and its responses on one leg.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Exchange {
    /// Counts all requests of the capture, listed or not.
    pub id: u64,
    pub flow: u32,
    /// The HTTP/2 stream; null in HTTP/1.x.
    pub stream: Option<u32>,
    /// Of this leg: a proxy is the client of the next.
    pub client: Endpoint,
    pub server: Endpoint,
    /// What stands around the stream, outermost first.
    #[schemars(extend("examples" = [["vxlan 42", "tls 1.3", "connect chat.example.org:443"]]))]
    pub via: Vec<String>,
    /// Of each `tls` in `via`, in the same order; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<Tls>,
    /// What the PROXY protocol header around it says; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<Proxied>,
    #[schemars(extend("examples" = ["http1-upgrade", "http2-extended-connect", "connect", "none"]))]
    pub mechanism: Word,
    /// The token asked for, in lower case; null when none.
    #[schemars(extend("examples" = ["websocket", "h2c"]))]
    pub protocol: Option<String>,
    pub request: Request,
    /// Statuses of the responses before the final one.
    pub interim: Vec<u16>,
    pub response: Option<Response>,
    pub handshake: Handshake,
    #[schemars(extend("examples" = ["upgraded", "broken", "refused", "redirected", "unanswered", "unknown"]))]
    pub outcome: Word,
    /// Request's first byte to response's first byte; null without a response.
    pub latency_ns: Option<i64>,
    /// Null where no frame was seen.
    pub websocket: Option<WebSocket>,
    /// Null only in ndjson, in an exchange that is not final.
    pub end: Option<End>,
    /// Ids of findings.
    pub findings: Vec<u64>,
}

/// A PROXY protocol header: whose connection a proxy passes on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Proxied {
    /// 1 or 2.
    pub version: u8,
    /// Who opened the connection that is passed on; null where the header does not say.
    pub client: Option<Endpoint>,
    /// To where.
    pub server: Option<Endpoint>,
    /// The TLV's type as a number, and its value.
    pub tlvs: Vec<(u8, String)>,
    /// What is wrong with the header; null where nothing is.
    pub fault: Option<Word>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Endpoint {
    pub ip: String,
    pub port: u16,
}

/// A request head.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Request {
    pub input: u16,
    /// 1-based in its input: Wireshark's frame.number.
    pub packet: u64,
    /// First byte's time, RFC 3339 in UTC with nine digits.
    pub at: String,
    pub method: String,
    pub target: String,
    #[schemars(extend("examples" = ["HTTP/1.1", "HTTP/1.0", "HTTP/2"]))]
    pub version: String,
    /// Name and value, in wire order, never merged.
    pub fields: Vec<(String, String)>,
}

/// The final response's head, or the 101.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Response {
    pub input: u16,
    pub packet: u64,
    pub at: String,
    /// Null where the status line holds no number of three digits.
    pub status: Option<u16>,
    pub reason: String,
    pub version: String,
    pub fields: Vec<(String, String)>,
}

/// The opening handshake (RFC 6455 §4).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Handshake {
    pub key: Option<String>,
    pub accept: Option<String>,
    /// Null where there is no key.
    pub expected_accept: Option<String>,
    #[schemars(extend("examples" = ["valid", "invalid", "missing", "unverifiable", "not-applicable"]))]
    pub accept_verdict: Word,
    /// How a wrong accept came about; null where it is not wrong.
    #[schemars(extend("examples" = ["guid-missing", "other-exchange", "unexplained"]))]
    pub accept_kind: Option<Word>,
    pub version: Option<String>,
    pub subprotocols_offered: Vec<String>,
    pub subprotocol: Option<String>,
    pub extensions_offered: Option<String>,
    pub extensions: Option<String>,
}

/// Frames of an upgraded connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WebSocket {
    pub client: Frames,
    pub server: Frames,
    pub compressed: bool,
}

/// Frames of one direction.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Frames {
    pub frames: u64,
    pub messages: u64,
    pub payload_bytes: u64,
    pub text: u64,
    pub binary: u64,
    pub ping: u64,
    pub pong: u64,
    pub close: u64,
}

/// How an exchange ended: what came first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct End {
    /// Of this leg; null where nobody ended it.
    #[schemars(extend("examples" = ["client", "server", null]))]
    pub by: Option<Word>,
    #[schemars(extend("examples" = ["close-frame", "fin", "rst", "silent", "open"]))]
    pub how: Word,
    pub close_code: Option<u16>,
    pub close_reason: Option<String>,
    pub at: Option<String>,
    /// From the last payload byte to the end.
    pub idle_before_ns: Option<i64>,
    /// From the request's first byte to the end.
    pub lifetime_ns: Option<i64>,
    pub tcp: TcpEnd,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TcpEnd {
    pub by: Option<Word>,
    pub how: Word,
    pub at: Option<String>,
}

/// One request's journey.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Chain {
    /// The first leg's id; the negative flow for a connection without a request.
    pub id: i64,
    /// Ids of exchanges, client side first.
    pub legs: Vec<u64>,
    /// Set where there is no leg.
    pub flow: Option<u32>,
    /// The edges of the journey, nearest to the client first; a proxy that tried again has several.
    pub hops: Vec<Hop>,
    /// Connections that a proxy opened for this journey and that carried no request; left out where there is
    /// none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// Connections in TLS that were not read: the chain's own, or those that may be its legs; left out where there
    /// is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub encrypted: Vec<Encrypted>,
    /// As the client saw it.
    pub outcome: Word,
    pub verdict: Verdict,
    /// Ids of findings.
    pub findings: Vec<u64>,
}

/// A connection in TLS that was not read: what it shows without its secrets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Encrypted {
    pub flow: u32,
    /// `itself`: it is what the chain is about. `before` (`behind`): it may be the leg before the first (behind the
    /// last) one in view.
    #[schemars(extend("examples" = ["itself", "before", "behind"]))]
    pub stands: Word,
    /// Why it may be a leg, which is never more than possible; empty for `itself`.
    #[schemars(extend("examples" = [["time", "size", "topology"]]))]
    pub joined_by: Vec<Word>,
    pub client: Endpoint,
    pub server: Endpoint,
    pub tls: Option<Tls>,
    /// Protocols that the client offered (ALPN), in its order.
    pub alpn_offered: Vec<String>,
    pub from_client: EncryptedSide,
    pub from_server: EncryptedSide,
    pub end: End,
}

/// One direction of it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct EncryptedSide {
    /// Bytes with the headers of their records.
    pub sent_bytes: u64,
    /// The first records, 16 at most.
    pub records: Vec<EncryptedRecord>,
    /// The last segment with payload; null without any.
    pub last: Option<EncryptedLast>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EncryptedRecord {
    /// Content type as on the wire; in TLS 1.3, 23 for all that is encrypted.
    pub content_type: u8,
    pub body_bytes: u16,
    /// When its last byte came.
    pub at: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EncryptedLast {
    pub payload_bytes: u32,
    pub at: String,
    pub packet: u64,
    /// Whether it ends with a record as long as an alert is, which is close_notify most likely; null where this is
    /// not known.
    pub close_notify: Option<bool>,
}

/// A connection that a proxy opened in vain.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tried {
    /// As in `exchanges[].flow`.
    pub flow: u32,
    /// Id of the exchange whose server opened it.
    pub behind: u64,
    #[schemars(extend("examples" = ["certain", "likely", "possible"]))]
    pub confidence: Word,
}

/// What stands between two legs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Hop {
    /// Ids of the exchanges on its two sides, the one nearer the client first.
    pub between: (u64, u64),
    /// `http`: reads HTTP and writes it anew. `relay`: passes on the bytes as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["http", "relay"]))]
    pub kind: Option<Word>,
    /// The address that its clients connect to first, then those from which it connects onward.
    pub addresses: Vec<String>,
    pub name: Option<String>,
    pub product: Option<Product>,
    #[schemars(extend("examples" = [["key", "time", "topology"]]))]
    pub joined_by: Vec<Word>,
    pub confidence: Word,
    /// Whether it passed on what `Upgrade` asks for. Null where there is nothing to pass on (HTTP/2, a
    /// request without the field) or the capture lacks a part of the head, as the next two.
    pub upgrade_kept: Option<bool>,
    /// Whether `upgrade` stands in `Connection` behind it too.
    pub connection_kept: Option<bool>,
    /// Whether `Sec-WebSocket-Key` is the same behind it.
    pub key_kept: Option<bool>,
    /// Of the request, before and behind it.
    pub versions: (String, String),
    /// From the client's side to the backend's.
    pub request: Changes,
    /// From the backend's side to the client's; empty where an answer is missing or was not passed on.
    pub response: Changes,
    /// First byte of the request to first byte of what was passed on; null where that cannot be told.
    pub forward_ns: Option<i64>,
    /// First byte of the answer to first byte of what was passed back.
    pub return_ns: Option<i64>,
}

/// What a hop did to a head.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Changes {
    /// Name and value.
    pub removed: Vec<(String, String)>,
    pub added: Vec<(String, String)>,
    /// Name, value before, value behind.
    pub changed: Vec<(String, String, String)>,
    /// Names of fields that stand elsewhere among the others; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<String>,
    /// Names that are spelt with other capitals, before and behind; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recased: Vec<(String, String)>,
}

/// Software, and how it was recognised.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Product {
    pub name: String,
    pub version: Option<String>,
    pub confidence: Word,
    pub evidence: Vec<String>,
}

/// The answer to "what went wrong?".
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verdict {
    /// A rule, `ok`, or `unknown` (the summary says what is missing).
    #[schemars(extend("examples" = ["ok", "unknown", "accept-mismatch"]))]
    pub rule: Word,
    /// The rule that says why a hop did what `rule` says; left out where `rule` says it all.
    #[schemars(extend("examples" = ["idle-timeout-match"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Word>,
    #[schemars(extend("examples" = ["error", "warning", "info"]))]
    pub severity: Word,
    #[schemars(extend("examples" = ["certain", "likely", "possible"]))]
    pub confidence: Word,
    /// Null when ok.
    pub blame: Option<Blame>,
    /// One sentence a person can act on.
    pub summary: String,
    pub fix: Vec<Fix>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Blame {
    #[schemars(extend("examples" = ["client", "hop", "server", "unknown"]))]
    pub role: Word,
    pub address: Option<String>,
    pub product: Option<String>,
}

/// A change that mends it, in a product's own configuration language.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fix {
    pub product: String,
    /// Empty: all versions.
    pub versions: String,
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Finding {
    pub id: u64,
    pub rule: String,
    #[schemars(extend("examples" = ["error", "warning", "info"]))]
    pub severity: Word,
    #[schemars(extend("examples" = ["certain", "likely", "possible"]))]
    pub confidence: Word,
    /// Known to the user and allowed.
    pub allowed: bool,
    pub subject: Subject,
    pub message: String,
    /// Empty where it has no meaning.
    pub expected: String,
    /// Empty where it has no meaning.
    pub found: String,
    pub references: Vec<String>,
    pub evidence: Vec<Evidence>,
    /// Likeliest first.
    pub causes: Vec<String>,
    pub fixes: Vec<Fix>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Subject {
    #[schemars(extend("examples" = ["exchange", "chain", "flow", "input", "capture", "intermediary"]))]
    pub kind: Word,
    pub id: i64,
}

/// A place in the capture that proves a claim.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Evidence {
    pub input: u16,
    /// The packet that carried the first of these bytes first.
    pub packet: u64,
    #[schemars(extend("examples" = ["client-to-server", "server-to-client", null]))]
    pub direction: Option<Word>,
    /// `[a, b)` in the innermost stream of that direction; null where the packet itself is the
    /// evidence.
    pub bytes: Option<(u64, u64)>,
}

/// A proxy, over all chains that went through it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Intermediary {
    pub addresses: Vec<String>,
    pub name: Option<String>,
    pub product: Option<Product>,
    /// Chains that went through it, and those that ended upgraded.
    pub chains: u64,
    pub upgraded: u64,
    /// Chains whose `Upgrade` it passed on, of those with a leg behind it.
    pub kept_upgrade: u64,
    /// Of these chains, `ok` left out.
    pub verdicts: BTreeMap<String, u64>,
    /// Silences of its WebSockets: the longest that one bore, and the shortest after which it cut one.
    pub idle: Span,
    /// Their lives, alike.
    pub lifetime: Span,
}

/// The longest that was not cut, and the shortest that was; null where there is none.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Span {
    pub survived_ns: Option<i64>,
    pub cut_at_ns: Option<i64>,
    pub samples: u64,
}

/// What the failures share.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Pattern {
    pub chains: u64,
    #[schemars(extend("examples" = ["server", "client", "host", "path", "user-agent"]))]
    pub field: Word,
    pub value: String,
    /// Failed chains with this value, of all with it: 0 to 1.
    pub failed_share: f64,
    /// The same of all chains without it.
    pub others_failed_share: f64,
    /// When the first of them failed.
    pub since: String,
}
