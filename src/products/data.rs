//! What a product file may say. Every claim carries where it is known from and when that was checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::model::{Confidence, FaultClass};

/// One product: how it is recognised, what mends it, what it does by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Version of the file format: 1.
    pub format: u32,
    /// The file's name without `.toml`: small letters, digits and `-`.
    pub slug: String,
    /// As its makers write it.
    pub name: String,
    /// Slug of the product it is built on. Where both are recognised, this one is meant.
    #[serde(default)]
    pub kind_of: Option<String>,
    /// Slug of the product whose fixes hold for it, because its configuration is the same.
    #[serde(default)]
    pub fixes_of: Option<String>,
    /// Other software bears the same signs of shape: seen again and again they make nothing surer than `likely`.
    #[serde(default)]
    pub has_doubles: bool,
    /// Anything worth knowing, in a sentence or two.
    #[serde(default)]
    pub note: Option<String>,
    /// Whether it ends WebSocket itself. `None`: not known.
    #[serde(default)]
    pub ends_websocket: Option<EndsWebSocket>,
    #[serde(default)]
    pub fingerprint: Vec<Fingerprint>,
    #[serde(default)]
    pub fix: Vec<FixEntry>,
    #[serde(default)]
    pub timeout: Vec<Timeout>,
    #[serde(default)]
    pub error_page: Vec<ErrorPage>,
}

/// Whether key, accept, extensions and frames may rightly differ between its two sides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndsWebSocket {
    pub how: Ends,
    #[serde(default)]
    pub note: Option<String>,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// Relays handshake and frames.
    Never,
    /// Only where it joins two HTTP versions: the handshake is its own, the frames are relayed.
    Bridge,
    /// As its configuration says.
    Sometimes,
    /// Speaks WebSocket to each side by itself.
    Always,
}

/// Which head a fingerprint is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What the product sends to the backend.
    Request,
    /// What the product sends to the client.
    Response,
}

/// Letter case of all field names of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// No capital in any of at least two names.
    Lower,
}

/// A sign by which a product is known. All conditions that are given must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    #[serde(rename = "in")]
    pub side: Side,
    /// How sure the sign makes us when it stands alone.
    #[serde(deserialize_with = "confidence")]
    pub strength: Confidence,
    /// A field that is there, spelt as the product writes it. Found in lower case instead, it was
    /// relayed by a hop that lowers names, and counts as `possible` only.
    #[serde(default)]
    pub field: Option<String>,
    /// Pattern of that field's value: `*` stands for anything, `|` parts alternatives. Of `Via` only the
    /// last member counts: it names the nearest hop (RFC 9110 §7.6.3).
    #[serde(default)]
    pub value: Option<String>,
    /// The version stands behind these characters of the value.
    #[serde(default)]
    pub version_after: Option<String>,
    /// The product writes the name in any letter case, or it is not known which.
    #[serde(default)]
    pub any_case: bool,
    /// How the name of a cookie begins (Cookie in a request, Set-Cookie in a response).
    #[serde(default)]
    pub cookie: Option<String>,
    /// One of these statuses.
    #[serde(default)]
    pub status: Vec<u16>,
    /// The version in the start line.
    #[serde(default)]
    pub http: Option<String>,
    /// Fields that are there too, in any letter case.
    #[serde(default)]
    pub also: Vec<String>,
    /// Fields that are not there.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Other fields' values: name to pattern.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// Fields that do not have such a value, where they are there: name to pattern.
    #[serde(default)]
    pub without: BTreeMap<String, String>,
    /// The first field names, in order.
    #[serde(default)]
    pub first: Vec<String>,
    /// The last field names, in order.
    #[serde(default)]
    pub last: Vec<String>,
    /// Field names that follow one another somewhere.
    #[serde(default)]
    pub run: Vec<String>,
    /// Field names that stand in this order, whatever is between them.
    #[serde(default)]
    pub before: Vec<String>,
    #[serde(default)]
    pub case: Option<Case>,
    /// Names spelt exactly so.
    #[serde(default)]
    pub exact: Vec<String>,
    /// A part of the content.
    #[serde(default)]
    pub body: Option<String>,
    /// The response has no content.
    #[serde(default)]
    pub empty_body: bool,
    /// The product wrote this answer by itself: nothing behind it was asked, or what that said was not
    /// passed on.
    #[serde(default)]
    pub own: bool,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

impl Fingerprint {
    /// Whether it looks at the shape of the head. Order, letter case and version are made by the hop that
    /// sent it; a field can have been relayed from a hop farther away.
    pub(super) fn is_shape(&self) -> bool {
        self.case.is_some()
            || self.http.is_some()
            || [&self.first, &self.last, &self.run, &self.before, &self.exact].iter().any(|names| !names.is_empty())
    }
}

/// A change of configuration, or one part of it. Entries of one class and the same `versions` belong
/// together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixEntry {
    #[serde(deserialize_with = "fault_class")]
    pub class: FaultClass,
    /// The versions it is right for, as a person writes it; empty: all.
    #[serde(default)]
    pub versions: String,
    /// Where the text belongs: a block of the product's configuration (`location`, `backend`). A test
    /// that runs the product's own check wraps the text in it. `None`: the text is no configuration file.
    #[serde(default)]
    pub context: Option<String>,
    /// In the product's own configuration language, comments included, so that the product accepts it.
    pub text: String,
    pub source: String,
    pub checked: String,
    /// Always false: what is only guessed is never advised. Read so that the refusal can say so.
    #[serde(default)]
    pub guess: bool,
}

/// What a time-out counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeoutKind {
    /// Waiting for the response head.
    Head,
    /// Silence on an open connection or tunnel.
    Idle,
    /// Life of a connection, busy or not.
    Lifetime,
    /// How long old workers live after a reload.
    Shutdown,
}

/// A time-out that is there unless somebody changed it, or that many configurations have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    pub seconds: u32,
    pub kind: TimeoutKind,
    /// The name of the setting, or what it is called where it cannot be set.
    pub setting: String,
    #[serde(default)]
    pub versions: String,
    /// Whether it counts for tunnels. `false`: only between two requests, or for something else.
    #[serde(default = "yes")]
    pub tunnels: bool,
    #[serde(default)]
    pub note: Option<String>,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

impl Timeout {
    /// The most that a match with it can make us believe, as far as the source goes.
    pub fn ceiling(&self) -> Confidence {
        if self.guess { Confidence::Possible } else { Confidence::Certain }
    }
}

/// An answer that the product itself writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorPage {
    /// Statuses that it comes with; empty: any.
    #[serde(default)]
    pub status: Vec<u16>,
    /// A part of the content, byte for byte.
    pub fragment: String,
    /// What it says about the fault, in one sentence without a full stop.
    pub means: String,
    /// Which kind of change mends it. `None`: the page does not tell, the status may.
    #[serde(default, deserialize_with = "optional_fault_class")]
    pub class: Option<FaultClass>,
    #[serde(deserialize_with = "confidence")]
    pub strength: Confidence,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

/// What is known of backends: `backends.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backends {
    pub(super) format: u32,
    pub(super) body: Vec<BackendBody>,
    pub(super) server: Vec<ServerSoftware>,
}

/// An error body that a backend writes, whoever forwards it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendBody {
    /// Statuses that it comes with; empty: any.
    #[serde(default)]
    pub status: Vec<u16>,
    /// A part of the content, byte for byte.
    pub fragment: String,
    /// The server software that writes it.
    pub stack: String,
    /// What it says about the fault, in one sentence without a full stop.
    pub means: String,
    /// Which kind of change mends it. `None`: it depends.
    #[serde(default, deserialize_with = "optional_fault_class")]
    pub class: Option<FaultClass>,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

/// Server software that is a backend, by its `Server` or `X-Powered-By` field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSoftware {
    pub field: String,
    /// As [`Fingerprint::value`].
    pub value: String,
    pub stack: String,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

/// `guids.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guids {
    pub(super) format: u32,
    pub(super) guid: Vec<WrongGuid>,
}

/// A GUID that programs hash in place of RFC 6455's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongGuid {
    /// Whole, as it is hashed.
    pub guid: String,
    /// Where it comes from or what is wrong with it, in a few words.
    pub note: String,
    /// The accept it gives for the key `dGhlIHNhbXBsZSBub25jZQ==` of RFC 6455 §1.3.
    #[serde(default)]
    pub sample_accept: Option<String>,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

/// `heartbeats.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeats {
    pub(super) format: u32,
    pub(super) heartbeat: Vec<Heartbeat>,
}

/// A small message with which a protocol above WebSocket keeps a connection alive.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Which protocol's, as its makers write it.
    pub protocol: String,
    /// What it is there, with its article.
    pub what: String,
    /// Content of a text message: a pattern as of a field's value. `None`: it is a binary one.
    #[serde(default)]
    pub text: Option<String>,
    /// Content of a binary message in hexadecimal. `None`: it is a text.
    #[serde(default)]
    pub hex: Option<String>,
    /// Only where this subprotocol was agreed on. `None`: whatever was.
    #[serde(default)]
    pub subprotocol: Option<String>,
    pub source: String,
    pub checked: String,
}

/// `answers.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answers {
    pub(super) format: u32,
    pub(super) says: Vec<Says>,
}

/// Words of an answer that refuses, or of a Close frame's reason, and what they mean, whoever wrote them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Says {
    /// Any of them, in small letters.
    pub words: Vec<String>,
    /// A field that the request must have. `None`: none.
    #[serde(default)]
    pub needs: Option<String>,
    /// They tell as much on a page of HTML.
    #[serde(default)]
    pub pages: bool,
    /// What is said about the fault, without a full stop.
    pub means: String,
    /// Which kind of change mends it. `None`: it depends.
    #[serde(default, deserialize_with = "optional_fault_class")]
    pub class: Option<FaultClass>,
    pub source: String,
    pub checked: String,
}

/// `closes.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closes {
    pub(super) format: u32,
    pub(super) close: Vec<SaysClose>,
}

/// What codes of Close frames mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaysClose {
    pub codes: Vec<u16>,
    /// Only where this subprotocol was agreed on. `None`: whatever was.
    #[serde(default)]
    pub subprotocol: Option<String>,
    /// What it says about the fault, without a full stop.
    pub means: String,
    /// The other side than the one that closed did what it may not.
    #[serde(default, rename = "fault", deserialize_with = "of_peer")]
    pub of_peer: bool,
    pub source: String,
    pub checked: String,
}

/// `refusals.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusals {
    pub(super) format: u32,
    pub(super) refusal: Vec<SaysNo>,
}

/// A message with which a protocol above WebSocket refuses its client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaysNo {
    /// Which protocol's, as its makers write it.
    pub protocol: String,
    /// The beginning of a text message: a pattern as of a field's value. `None`: it is a binary one.
    #[serde(default)]
    pub text: Option<String>,
    /// The beginning of a binary message in hexadecimal, `..` for any byte. `None`: it is a text.
    #[serde(default)]
    pub hex: Option<String>,
    /// What begins so is none.
    #[serde(default)]
    pub not_hex: Option<String>,
    /// Only where this subprotocol was agreed on. `None`: whatever was.
    #[serde(default)]
    pub subprotocol: Option<String>,
    /// What the server does, behind its name, without a full stop.
    pub means: String,
    /// The client can do nothing about it.
    #[serde(default, rename = "fault", deserialize_with = "of_server")]
    pub of_server: bool,
    pub source: String,
    pub checked: String,
}

/// `classes.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Classes {
    pub(super) format: u32,
    pub(super) class: Vec<ClassEntry>,
}

/// What to do about a class of faults where the product is not known.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassEntry {
    #[serde(deserialize_with = "fault_class")]
    pub class: FaultClass,
    /// In words, for any product.
    pub text: String,
    /// Slugs of the commonest products that have a fix, at most three.
    #[serde(default)]
    pub products: Vec<String>,
    pub source: String,
    pub checked: String,
    #[serde(default)]
    pub guess: bool,
}

fn yes() -> bool {
    true
}

fn confidence<'de, D: Deserializer<'de>>(from: D) -> Result<Confidence, D::Error> {
    match String::deserialize(from)?.as_str() {
        "certain" => Ok(Confidence::Certain),
        "likely" => Ok(Confidence::Likely),
        "possible" => Ok(Confidence::Possible),
        other => Err(serde::de::Error::unknown_variant(other, &["certain", "likely", "possible"])),
    }
}

fn fault_class<'de, D: Deserializer<'de>>(from: D) -> Result<FaultClass, D::Error> {
    let word = String::deserialize(from)?;
    FaultClass::ALL.into_iter().find(|class| class.word() == word).ok_or_else(|| {
        let words: Vec<&str> = FaultClass::ALL.iter().map(|class| class.word()).collect();
        serde::de::Error::custom(format_args!("unknown class `{word}`, expected one of {}", words.join(", ")))
    })
}

/// `peer`, and nothing else.
fn of_peer<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let word = String::deserialize(from)?;
    if word == "peer" { Ok(true) } else { Err(serde::de::Error::custom("fault is peer, or left out")) }
}

/// `server`, and nothing else.
fn of_server<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let word = String::deserialize(from)?;
    if word == "server" { Ok(true) } else { Err(serde::de::Error::custom("fault is server, or left out")) }
}

fn optional_fault_class<'de, D: Deserializer<'de>>(from: D) -> Result<Option<FaultClass>, D::Error> {
    fault_class(from).map(Some)
}
