//! The one way from captured bytes to a report: secrets become `[redacted #N]`, all else is escaped.
//!
//! Numbers count secrets by first appearance in the report; the same value has the same number, so a
//! reader still sees whether two requests carried the same cookie. Bounded by
//! `limits::MASKED_SECRETS`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::base::escape::{escape, escape_into};
use crate::base::limits;
use crate::model::{InputFacts, Part, Text, packets_in_words};
use crate::report::secrets::{self, Kind};

/// Masks and escapes for one report.
#[derive(Debug, Default)]
pub struct Masker {
    show: bool,
    /// Digests, not the secrets: nothing that prints this can leak them.
    numbers: HashMap<[u8; 16], usize>,
    /// What the inputs are called in sentences, by their places. Empty where there is one alone.
    inputs: Vec<String>,
}

impl Masker {
    /// `show`: secrets are shown (`--show-secrets`); everything is still escaped.
    pub fn new(show: bool) -> Self {
        Masker { show, ..Masker::default() }
    }

    /// The same, for sentences about packets of these inputs.
    pub fn naming(mut self, inputs: &[InputFacts]) -> Self {
        self.name(inputs);
        self
    }

    /// From here on these are the inputs of which sentences speak: by file name, or as given where two files have
    /// the same one.
    pub fn name(&mut self, inputs: &[InputFacts]) {
        let file = |facts: &InputFacts| facts.path.rsplit('/').next().unwrap_or_default().to_owned();
        let files: Vec<String> = inputs.iter().map(file).collect();
        let alone = |name: &String| files.iter().filter(|other| *other == name).count() == 1;
        let name = |(facts, file): (&InputFacts, &String)| match facts.path.as_str() {
            "-" => "standard input".to_owned(),
            path => escape(if alone(file) { file } else { path }.as_bytes()),
        };
        self.inputs = if inputs.len() > 1 { inputs.iter().zip(&files).map(name).collect() } else { Vec::new() };
    }

    /// Whether anything was masked so far.
    pub fn masked(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// The value of a field, whose name decides whether it is a secret.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> String {
        self.cut(value, &secrets_of_field(name, value))
    }

    /// A request target, URL or authority.
    pub fn url(&mut self, url: &[u8]) -> String {
        let ranges = secrets::in_url(url);
        self.cut(url, &ranges)
    }

    /// Captured bytes that are no secret by their place; masked where they look like one.
    pub fn bytes(&mut self, bytes: &[u8]) -> String {
        let ranges = secrets::in_content(bytes);
        self.cut(bytes, &ranges)
    }

    /// The members of a `Sec-WebSocket-Protocol` list, in order. The whole list at once: a token is
    /// sometimes known only by its neighbour (`access_token, abc`).
    pub fn protocols(&mut self, list: &[u8]) -> Vec<String> {
        let list = self.field(b"sec-websocket-protocol", list);
        list.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect()
    }

    /// A sentence.
    pub fn text(&mut self, text: &Text) -> String {
        let mut out = String::new();
        for part in &*text.0 {
            match part {
                Part::Own(words) => own_into(&mut out, words),
                Part::Bytes(bytes) => out.push_str(&self.bytes(bytes)),
                Part::Field { name, value } => out.push_str(&self.field(name, value)),
                Part::Url(url) => out.push_str(&self.url(url)),
                Part::Packets(all) => {
                    let name = |input| self.inputs.get(usize::from(input)).map(String::as_str);
                    out.push_str(&packets_in_words(all, name));
                }
            }
        }
        out
    }

    fn cut(&mut self, bytes: &[u8], ranges: &[Range<usize>]) -> String {
        let mut out = String::with_capacity(bytes.len());
        let mut from = 0;
        let secrets = if self.show { &[] } else { ranges };
        for range in secrets.iter().filter(|r| r.start < r.end) {
            escape_into(&mut out, bytes.get(from..range.start).unwrap_or_default());
            self.redact(&mut out, bytes.get(range.clone()).unwrap_or_default());
            from = range.end;
        }
        escape_into(&mut out, bytes.get(from..).unwrap_or_default());
        out
    }

    fn redact(&mut self, out: &mut String, secret: &[u8]) {
        let mut digest = [0; 16];
        for (to, from) in digest.iter_mut().zip(Sha256::digest(secret)) {
            *to = from;
        }
        let next = self.numbers.len() + 1;
        let number = match self.numbers.get(&digest) {
            Some(&number) => number,
            None if next > limits::MASKED_SECRETS => {
                out.push_str("[redacted]");
                return;
            }
            None => *self.numbers.entry(digest).or_insert(next),
        };
        let _ = write!(out, "[redacted #{number}]");
    }
}

/// Where secrets stand in a field's value; its name decides.
pub(super) fn secrets_of_field(name: &[u8], value: &[u8]) -> Vec<Range<usize>> {
    match secrets::kind_of_field(name) {
        Kind::Whole => std::iter::once(0..value.len()).collect(),
        Kind::Credentials => vec![secrets::credentials(value)],
        Kind::Protocols => secrets::protocols(value),
        Kind::Content => secrets::in_url(value),
        Kind::Plain => Vec::new(),
    }
}

/// Where secrets stand in a request target or URL.
pub(super) fn secrets_of_url(url: &[u8]) -> Vec<Range<usize>> {
    secrets::in_url(url)
}

/// Whether a request target or URL holds what would be masked.
pub fn has_secret(url: &[u8]) -> bool {
    secrets::in_url(url).iter().any(|range| range.start < range.end)
}

/// Our own words, safe in any case: line breaks and backslashes stay (configuration has both), other
/// controls are spelt out.
pub fn own(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    own_into(&mut out, words);
    out
}

fn own_into(out: &mut String, words: &str) {
    for piece in words.split_inclusive(['\\', '\n']) {
        let (text, end) = match piece.chars().next_back() {
            Some(end @ ('\\' | '\n')) => (&piece[..piece.len() - 1], Some(end)),
            _ => (piece, None),
        };
        escape_into(out, text.as_bytes());
        out.extend(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_secret_has_the_same_number_wherever_it_stands() {
        let mut m = Masker::new(false);
        assert_eq!(m.field(b"Cookie", b"a=1"), "[redacted #1]");
        assert_eq!(m.field(b"Authorization", b"Bearer xyz"), "Bearer [redacted #2]");
        assert_eq!(m.url(b"/ws?token=xyz&x=1"), "/ws?token=[redacted #2]&x=1");
        assert_eq!(m.field(b"COOKIE", b"a=1"), "[redacted #1]");
        assert_eq!(m.field(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(m.field(b"Sec-WebSocket-Protocol", b"chat, bearer, xyz"), "chat, bearer, [redacted #2]");
        assert_eq!(m.field(b"Location", b"https://u:p@h/?code=9"), "https://[redacted #3]@h/?code=[redacted #4]");
    }

    #[test]
    fn shown_secrets_are_still_escaped() {
        let mut m = Masker::new(true);
        assert_eq!(m.field(b"Cookie", b"a=\x1b"), "a=\\x1b");
    }

    #[test]
    fn own_words_keep_their_lines() {
        assert_eq!(own("a\\d {\n  x;\n}\x1b"), "a\\d {\n  x;\n}\\x1b");
    }

    proptest! {
        #[test]
        fn planted_secrets_never_appear(
            secret in "[A-Za-z0-9]{14,30}[0-9]{4}",
            before in "[ -~]{0,20}",
            after in "[ -~]{0,20}",
        ) {
            let mut m = Masker::new(false);
            let s = secret.as_bytes();
            let mut out = Vec::new();
            for name in ["Cookie", "Set-Cookie", "Authorization", "Proxy-Authorization", "X-Api-Key", "X-Auth-Token",
                         "X-Session-Token", "Sec-WebSocket-Protocol"] {
                out.push(m.field(name.as_bytes(), s));
            }
            out.push(m.field(b"Cookie", format!("{before}{secret}{after}").as_bytes()));
            out.push(m.field(b"Authorization", format!("Bearer {secret}").as_bytes()));
            out.push(m.field(
                b"Sec-WebSocket-Protocol",
                format!("v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.{secret}").as_bytes(),
            ));
            for name in ["token", "access_token", "sid", "jwt", "key", "code", "signature", "X-Amz-Signature"] {
                let query = format!("/{before}?{name}={secret}&x={after}");
                out.push(m.url(query.as_bytes()));
                out.push(m.field(b"Referer", query.as_bytes()));
                out.push(m.field(b"Location", format!("https://host{query}").as_bytes()));
                out.push(m.bytes(query.as_bytes()));
                out.push(m.text(&Text::own("see ").url(query.as_bytes())));
            }
            out.push(m.url(format!("wss://user:{secret}@host/").as_bytes()));
            out.push(m.bytes(format!("{before}eyJ{secret}.{secret}.{secret}").as_bytes()));
            for text in out {
                prop_assert!(!text.contains(&secret), "{text}");
            }
        }

        #[test]
        fn any_bytes_are_masked_without_a_panic(name in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
            let mut m = Masker::new(false);
            m.field(&name, &value);
            m.field(b"sec-websocket-protocol", &value);
            m.field(b"authorization", &value);
            m.url(&value);
            m.bytes(&value);
        }
    }

    #[test]
    fn packets_are_told_with_the_name_of_their_file_where_there_are_several() {
        use crate::base::PacketRef;
        let inputs = |paths: &[&str]| -> Vec<InputFacts> {
            paths.iter().map(|path| InputFacts { path: (*path).to_owned(), ..InputFacts::default() }).collect()
        };
        let text = Text::own("(").packets([PacketRef::new(0, 4), PacketRef::new(1, 9)]).say(")");
        let told = |paths: &[&str]| Masker::new(false).naming(&inputs(paths)).text(&text);
        assert_eq!(told(&["a/edge.pcap", "b/app.pcap"]), "(packets 4 of edge.pcap → 9 of app.pcap)");
        assert_eq!(told(&["a/x.pcap", "b/x.pcap"]), "(packets 4 of a/x.pcap → 9 of b/x.pcap)");
        assert_eq!(told(&["-", "x\u{1b}.pcap"]), "(packets 4 of standard input → 9 of x\\x1b.pcap)");
        let one = Text::own("").packets([PacketRef::new(0, 4)]);
        assert_eq!(Masker::new(false).naming(&inputs(&["edge.pcap"])).text(&one), "packet 4");
    }
}
