//! A recipe: the way in which a wrong accept was computed.

use super::guid_way::GuidWay;
use super::hash::{Hash, Sum};
use super::key_way::KeyWay;
use super::reading::{Encoding, Reading, readings};

/// How a wrong accept was probably computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// A word of the closed list in docs/rules.md.
    pub kind: &'static str,
    /// A clause about the accept, without a capital or a full stop: "it is SHA-1 of …". Our own words
    /// and GUIDs only, never bytes of the capture.
    pub words: String,
    /// `None` where the text itself told it and nothing had to be hashed.
    way: Option<Way>,
}

impl Recipe {
    /// A recipe that shows in the text itself.
    pub(super) fn shape(kind: &'static str, words: impl Into<String>) -> Self {
        Recipe { kind, words: words.into(), way: None }
    }

    /// Whether the same way explains another accept too: one hash instead of thousands.
    pub fn again(&self, key: &[u8], found: &[u8]) -> Option<Recipe> {
        let way = self.way.as_ref()?;
        let bytes = way.key.apply(key)?;
        way.matches(&bytes, &readings(found))
    }
}

/// How key and GUID were joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    KeyGuid,
    GuidKey,
    /// Key, this text, GUID.
    Between(&'static str),
    HmacKeyedByGuid,
    HmacKeyedByKey,
    /// Both as UTF-16.
    Utf16 {
        little: bool,
        guid_first: bool,
    },
}

/// One way of computing an accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) hash: Hash,
    pub(super) input: Input,
    pub(super) key: KeyWay,
    pub(super) guid: GuidWay,
}

/// The digest of the altered key and the GUID. `None` where the hash is not tried so.
pub(super) fn sum(hash: Hash, input: Input, key: &[u8], guid: &[u8]) -> Option<Sum> {
    Some(match input {
        Input::KeyGuid => hash.of(&[key, guid]),
        Input::GuidKey => hash.of(&[guid, key]),
        Input::Between(text) => hash.of(&[key, text.as_bytes(), guid]),
        Input::HmacKeyedByGuid => return hash.hmac(guid, key),
        Input::HmacKeyedByKey => return hash.hmac(key, guid),
        Input::Utf16 { little, guid_first: false } => hash.of(&[&wide(key, little), &wide(guid, little)]),
        Input::Utf16 { little, guid_first: true } => hash.of(&[&wide(guid, little), &wide(key, little)]),
    })
}

impl Way {
    /// The recipe, if one of the readings is what this way makes of the (altered) key.
    pub(super) fn matches(&self, key: &[u8], readings: &[Reading]) -> Option<Recipe> {
        let sum = sum(self.hash, self.input, key, &self.guid.bytes)?;
        let reading = readings.iter().find(|r| r.is(sum.as_slice()))?;
        let mut words = self.words();
        words.push_str(reading.encoding.words());
        let cut = reading.digest.len() < sum.as_slice().len();
        if cut {
            words.push_str(&format!(", cut to its first {} bytes", reading.digest.len()));
        }
        let kind = self.kind().unwrap_or_else(|| encoding_kind(reading.encoding, cut));
        Some(Recipe { kind, words, way: Some(self.clone()) })
    }

    /// The kind of what was hashed. `None`: all is as it should be up to the digest.
    fn kind(&self) -> Option<&'static str> {
        if let Some(kind @ "key-literal") = self.key.kind() {
            return Some(kind);
        }
        if matches!(self.input, Input::HmacKeyedByGuid | Input::HmacKeyedByKey) {
            return Some("hmac");
        }
        if self.hash != Hash::Sha1 {
            return Some("other-hash");
        }
        if matches!(self.input, Input::Utf16 { .. }) {
            return Some("utf16");
        }
        if self.guid.is_absent() {
            return Some("guid-missing");
        }
        if !self.guid.is_right() {
            return Some("guid-wrong");
        }
        match self.input {
            Input::GuidKey => Some("order-swapped"),
            Input::Between(_) => Some("key-altered"),
            _ => self.key.kind(),
        }
    }

    fn words(&self) -> String {
        let (key, guid) = (self.key.words(), self.guid.words());
        let hash = match self.hash {
            Hash::Sha1 => "SHA-1".to_owned(),
            Hash::Sha1Twice | Hash::Sha1OfHex => format!("{} (hashed twice)", self.hash.name()),
            other => format!("{}, not SHA-1,", other.name()),
        };
        match self.input {
            _ if self.guid.is_absent() => format!("it is {hash} of {key} alone, without the GUID"),
            Input::KeyGuid => format!("it is {hash} of {key} followed by {guid}"),
            Input::GuidKey => format!("it is {hash} of {guid} followed by {key}: the wrong way round"),
            Input::Between(text) => format!("it is {hash} of {key} and {guid} with {text:?} between them"),
            Input::HmacKeyedByGuid => {
                format!("it is an HMAC ({}) of {key} under {guid}, not a plain SHA-1 of both", self.hash.name())
            }
            Input::HmacKeyedByKey => {
                format!("it is an HMAC ({}) of {guid} under {key}, not a plain SHA-1 of both", self.hash.name())
            }
            Input::Utf16 { guid_first, .. } => {
                let (first, second) = if guid_first { (guid, key) } else { (key, guid) };
                format!(
                    "it is {hash} of {first} followed by {second} as UTF-16 text, two bytes a character instead of one"
                )
            }
        }
    }
}

/// The kind where the digest is right and only its writing is wrong.
pub(super) fn encoding_kind(encoding: Encoding, cut: bool) -> &'static str {
    match encoding {
        Encoding::Base64 if cut => "truncated",
        // The digest is right and the text is not: the unused bits of its last character differ.
        Encoding::Base64 => "padding",
        Encoding::UrlSafe => "url-safe",
        Encoding::Base64Twice => "double-base64",
        Encoding::Hex => "hex",
        Encoding::Base64OfHex { .. } => "base64-of-hex",
        Encoding::WordsSwapped => "byte-swapped",
    }
}

fn wide(text: &[u8], little: bool) -> Vec<u8> {
    text.iter().flat_map(|&b| if little { [b, 0] } else { [0, b] }).collect()
}
