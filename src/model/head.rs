//! A message head as it was sent (RFC 9112 §2.1): wire order, letter case and faults kept.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::base::{PacketRef, Timestamp};

/// One request or response head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The head's bytes as sent, start line first. What a capture gap or the size limit took is absent.
    /// Where it is `coded`: `HTTP/2`, then the decoded fields as lines of `name: value`, pseudo-fields
    /// (RFC 9113 §8.3) where they were sent.
    pub text: Box<[u8]>,
    pub start: StartLine,
    /// Field lines in wire order, never merged.
    /// Heads that have theirs at the same places may share them.
    pub fields: Arc<[Field]>,
    /// Which names may be among `fields`: most questions are about a field that is not there.
    pub names: Names,
    /// Faults of form that were seen while reading it.
    pub faults: LineFaults,
    /// Seen to its empty line. If not, it was cut by the end of the stream, a gap or a limit.
    pub complete: bool,
    /// It stood in the stream under HPACK (RFC 7541): `range` is that of its frames, and no field has a
    /// place of its own.
    pub coded: bool,
    /// The packet that first carried its first byte.
    pub at: PacketRef,
    /// The packet that first carried its last byte.
    pub at_last: PacketRef,
    /// When its first byte arrived.
    pub first: Timestamp,
    /// When its last byte arrived.
    pub last: Timestamp,
    /// Where it stands in its direction's stream, in bytes from the first payload byte.
    pub range: Range<u64>,
}

/// The start line, as ranges of the head's text. An absent part is an empty range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// RFC 9112 §3.
    Request { method: Range<u32>, target: Range<u32>, version: Range<u32> },
    /// RFC 9112 §4. `status` is 0 where it is no number of three digits.
    Response { version: Range<u32>, status: u16, reason: Range<u32> },
}

/// One field line: ranges of the head's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Range<u32>,
    /// Without the white space around it. A folded value holds its line breaks.
    pub value: Range<u32>,
    pub faults: LineFaults,
    pub mark: Mark,
}

impl Field {
    /// Equal, and its mark too.
    #[inline]
    pub(crate) fn is_same(&self, other: &Field) -> bool {
        self == other && self.mark.0 == other.mark.0
    }
}

/// A part of a name's hash, so that most fields need no look at the text. What is not known may be any name's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark(u8);

impl Mark {
    #[inline]
    const fn of(name: &[u8]) -> Mark {
        // Never 0, which means that it is not known.
        Mark((hash(name) >> 16).to_le_bytes()[0] | 1)
    }

    #[inline]
    fn may_be(self, other: Mark) -> bool {
        self.0 == other.0 || self.0 == 0
    }
}

/// It says nothing that the name does not.
impl PartialEq for Mark {
    fn eq(&self, _: &Mark) -> bool {
        true
    }
}

impl Eq for Mark {}

/// Of a name's length, first and last letter; letter case counts nothing.
#[inline]
const fn hash(name: &[u8]) -> u32 {
    let [first, .., last] = name else { return 1 };
    // 0x20 makes letters small; a product with an odd number spreads the rest over all bits.
    let length = name.len().to_le_bytes()[0];
    u32::from_be_bytes([0, length, *first | 0x20, *last | 0x20]).wrapping_mul(0x9e37_79b1)
}

/// A set that a field name surely is not in, or may be in: one bit for names of the same length, first
/// and last letter. Letter case counts nothing. The default: nothing is known, any name may be in it.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    bits: u64,
    /// Whether Sec-WebSocket-Key or -Version is among them, which nearly every rule asks first.
    websocket: Option<bool>,
    /// Whether one of [`HIXIE`] is, which many ask next.
    hixie: Option<bool>,
    /// Whether Upgrade names websocket, where one line says that and nothing else, or there is none.
    upgrades: Option<bool>,
}

/// The fields without which no request asks for WebSocket (RFC 6455 §4.1).
const WEBSOCKET: [&str; 2] = ["sec-websocket-key", "sec-websocket-version"];
/// Those of the protocol before it (draft-hixie-thewebsocketprotocol-76).
const HIXIE: [&str; 2] = ["sec-websocket-key1", "sec-websocket-key2"];

impl Names {
    /// The names of these field lines of a head's text, which get their marks.
    pub fn of(text: &[u8], fields: &mut [Field]) -> Names {
        let name = |f: &Field| text.get(f.name.start as usize..f.name.end as usize).unwrap_or_default();
        let mut bits = 0;
        for field in &mut *fields {
            bits |= Names::bit(name(field));
            field.mark = Mark::of(name(field));
        }
        let is = |f: &Field, known: [&str; 2]| known.iter().any(|k| name(f).eq_ignore_ascii_case(k.as_bytes()));
        let any = |known| Some(fields.iter().any(|f| is(f, known)));
        let value = |f: &Field| text.get(f.value.start as usize..f.value.end as usize).unwrap_or_default();
        let mut upgrades = Some(false);
        for line in fields.iter().filter(|f| name(f).eq_ignore_ascii_case(b"upgrade")) {
            let alone = upgrades == Some(false) && value(line).eq_ignore_ascii_case(b"websocket");
            upgrades = alone.then_some(true);
        }
        Names { bits, websocket: any(WEBSOCKET), hixie: any(HIXIE), upgrades }
    }

    /// `false`: no field has this name.
    #[inline]
    pub fn may_have(self, name: &[u8]) -> bool {
        self.bits & Names::bit(name) != 0
    }

    #[inline]
    const fn bit(name: &[u8]) -> u64 {
        1 << (hash(name) >> 26)
    }
}

impl Default for Names {
    fn default() -> Self {
        Names { bits: u64::MAX, websocket: None, hixie: None, upgrades: None }
    }
}

/// What may be is no part of what is: heads with equal fields are equal.
impl PartialEq for Names {
    fn eq(&self, _: &Names) -> bool {
        true
    }
}

impl Eq for Names {}

/// Faults of form in a head or a line (RFC 9112 §2.2, §5), as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineFaults(pub u16);

impl LineFaults {
    pub const NONE: LineFaults = LineFaults(0);
    /// A line ends in LF without CR.
    pub const BARE_LF: LineFaults = LineFaults(1);
    /// A value goes on in the next line (obs-fold).
    pub const OBS_FOLD: LineFaults = LineFaults(1 << 1);
    /// An empty line before the start line.
    pub const LEADING_CRLF: LineFaults = LineFaults(1 << 2);
    /// White space between a field's name and its colon.
    pub const SPACE_BEFORE_COLON: LineFaults = LineFaults(1 << 3);
    /// A NUL or another control character.
    pub const CONTROL: LineFaults = LineFaults(1 << 4);
    /// A field line without a colon, or with an impossible name.
    pub const BAD_FIELD: LineFaults = LineFaults(1 << 5);
    /// A start line that does not follow the grammar (several spaces, no version, two-digit status).
    pub const BAD_START: LineFaults = LineFaults(1 << 6);
    /// White space before the first field line.
    pub const SPACE_BEFORE_FIELD: LineFaults = LineFaults(1 << 7);
    /// More field lines than `limits::HEAD_FIELDS`; the rest was left out.
    pub const TOO_MANY: LineFaults = LineFaults(1 << 8);
    /// Larger than `limits::HEAD_BYTES` (`limits::HPACK_LIST_BYTES`); the rest was left out.
    pub const TOO_LARGE: LineFaults = LineFaults(1 << 9);
    /// Name or value (the empty one; both: both) was sent in a head that the capture does not have, and
    /// only referred to here (RFC 7541 §2.3.3), or is too long to be kept.
    pub const UNKNOWN: LineFaults = LineFaults(1 << 10);
    /// A head before this one was lost to the capture: what is referred to here may be another field.
    pub const POSSIBLE: LineFaults = LineFaults(1 << 11);
    /// Coded as RFC 7541 forbids; of a field, its name or value (the empty one) could not be decoded.
    pub const BAD_CODING: LineFaults = LineFaults(1 << 12);

    pub fn has(self, other: LineFaults) -> bool {
        self.0 & other.0 != 0
    }

    pub fn add(&mut self, other: LineFaults) {
        self.0 |= other.0;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Head {
    /// The bytes of a range of this head; empty where the range is not inside it.
    pub fn bytes(&self, range: &Range<u32>) -> &[u8] {
        self.text.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// The request's method; empty in a response.
    pub fn method(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { method, .. } => self.bytes(method),
            StartLine::Response { .. } => b"",
        }
    }

    /// The request target as sent (RFC 9112 §3.2); empty in a response.
    pub fn target(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { target, .. } => self.bytes(target),
            StartLine::Response { .. } => b"",
        }
    }

    /// `HTTP/1.1` as sent; empty where the line has none (HTTP/0.9).
    pub fn version(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { version, .. } | StartLine::Response { version, .. } => self.bytes(version),
        }
    }

    /// Status code of a response; `None` in a request or where it is no three-digit number.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Response { status, .. } if status != 0 => Some(status),
            _ => None,
        }
    }

    /// Reason phrase of a response, often empty.
    pub fn reason(&self) -> &[u8] {
        match &self.start {
            StartLine::Response { reason, .. } => self.bytes(reason),
            StartLine::Request { .. } => b"",
        }
    }

    /// The field that names the host: `:authority` in HTTP/2 (RFC 9113 §8.3.1), `host` in HTTP/1.x and where that
    /// is missing.
    pub fn host_field(&self) -> &'static str {
        if self.coded && self.has(":authority") { ":authority" } else { "host" }
    }

    /// The host (and port) that the request is for, as its first such field says.
    pub fn host(&self) -> Option<&[u8]> {
        self.first_value(self.host_field())
    }

    pub fn name(&self, field: &Field) -> &[u8] {
        self.bytes(&field.name)
    }

    pub fn value(&self, field: &Field) -> &[u8] {
        self.bytes(&field.value)
    }

    /// Names and values of all field lines, in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|f| (self.name(f), self.value(f)))
    }

    /// The field lines with this name, ignoring letter case (RFC 9110 §5.1).
    #[inline]
    pub fn lines<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Field> {
        let fields = if self.names.may_have(name.as_bytes()) { &*self.fields } else { &[] };
        let mark = Mark::of(name.as_bytes());
        fields.iter().filter(move |f| f.mark.may_be(mark) && self.name(f).eq_ignore_ascii_case(name.as_bytes()))
    }

    /// How many field lines have this name.
    #[inline]
    pub fn count(&self, name: &str) -> usize {
        self.lines(name).count()
    }

    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.names.may_have(name.as_bytes()) && self.find(name).is_some()
    }

    /// The value of the first field line with this name.
    #[inline]
    pub fn first_value(&self, name: &str) -> Option<&[u8]> {
        if self.names.may_have(name.as_bytes()) { self.find(name).map(|f| self.value(f)) } else { None }
    }

    /// As [`Head::first_value`]; `None` also where the capture cut it.
    pub fn whole_value(&self, name: &str) -> Option<&[u8]> {
        self.lines(name).next().filter(|f| !self.is_cut(f)).map(|f| self.value(f))
    }

    /// Whether the head breaks off in this field's value, so that more of it may have been sent.
    pub fn is_cut(&self, field: &Field) -> bool {
        !self.complete && usize::try_from(field.value.end) == Ok(self.text.len())
    }

    /// Whether Sec-WebSocket-Key or Sec-WebSocket-Version is there.
    #[inline]
    pub fn has_websocket(&self) -> bool {
        self.names.websocket.unwrap_or_else(|| WEBSOCKET.iter().any(|name| self.has(name)))
    }

    /// Whether Sec-WebSocket-Key1 or -Key2 is there, of draft-hixie-thewebsocketprotocol-76.
    #[inline]
    pub fn has_hixie(&self) -> bool {
        self.names.hixie.unwrap_or_else(|| HIXIE.iter().any(|name| self.has(name)))
    }

    /// Whether Upgrade has the token `websocket` (RFC 6455 §4.1), or the head breaks off inside that token.
    #[inline]
    pub fn upgrades_to_websocket(&self) -> bool {
        self.names.upgrades.unwrap_or_else(|| self.has_token("upgrade", "websocket"))
            || !self.complete && self.breaks_off_in("upgrade", b"websocket")
    }

    /// Whether this head ends inside the last member of this list field, and what is there of it begins the token.
    fn breaks_off_in(&self, name: &str, token: &[u8]) -> bool {
        let Some(last) = self.lines(name).last().filter(|f| self.is_cut(f)) else { return false };
        let part = trim(self.value(last).rsplit(|&b| b == b',').next().unwrap_or_default());
        !part.is_empty() && token.get(..part.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(part))
    }

    /// All lines of this name joined with `, ` (RFC 9110 §5.3), folds made spaces. `None` if absent.
    #[inline]
    pub fn combined(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if self.names.may_have(name.as_bytes()) { self.join(name) } else { None }
    }

    /// Members of a comma-separated list over all lines of this name, white space trimmed, empty ones
    /// dropped, ASCII letters made lower case, quoted strings respected (RFC 9110 §5.6.1).
    pub fn tokens(&self, name: &str) -> Vec<Vec<u8>> {
        let Some(all) = self.combined(name) else { return Vec::new() };
        list_members(&all).map(<[u8]>::to_ascii_lowercase).collect()
    }

    /// As [`Head::tokens`], letter case kept.
    pub fn members(&self, name: &str) -> Vec<Vec<u8>> {
        let Some(all) = self.combined(name) else { return Vec::new() };
        split_list(&all)
    }

    /// How many members a list field of this name has; 0 where it is absent.
    pub fn count_members(&self, name: &str) -> usize {
        self.combined(name).map_or(0, |all| list_members(&all).count())
    }

    /// How often a list field of this name has this token, ignoring letter case.
    pub fn count_token(&self, name: &str, token: &str) -> usize {
        let is = |member: &&[u8]| member.eq_ignore_ascii_case(token.as_bytes());
        self.combined(name).map_or(0, |all| list_members(&all).filter(is).count())
    }

    /// Whether a list field of this name has this token, ignoring letter case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        // Most often it stands alone.
        let alone = self.first_value(name).is_some_and(|value| value.eq_ignore_ascii_case(token.as_bytes()));
        alone || self.any_member(name, |member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether a list field of this name has a member of which this is true. Letter case is kept.
    pub fn any_member(&self, name: &str, is: impl FnMut(&[u8]) -> bool) -> bool {
        self.combined(name).is_some_and(|all| list_members(&all).any(is))
    }

    fn find<'a>(&'a self, name: &str) -> Option<&'a Field> {
        self.lines(name).next()
    }

    fn join(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut lines = self.lines(name);
        let mut out = unfold(self.value(lines.next()?));
        for field in lines {
            let joined = out.to_mut();
            if !joined.is_empty() {
                joined.extend_from_slice(b", ");
            }
            joined.extend_from_slice(&unfold(self.value(field)));
        }
        Some(out)
    }

    /// Where a field line stands in its direction's stream, name to end of value, in bytes. Where the head
    /// is `coded`, that of the head.
    pub fn field_range(&self, field: &Field) -> Range<u64> {
        if self.coded {
            return self.range.clone();
        }
        self.range.start + u64::from(field.name.start)..self.range.start + u64::from(field.value.end)
    }

    /// Where the start line stands in the stream, in bytes. Where the head is `coded`, that of the head.
    pub fn start_range(&self) -> Range<u64> {
        if self.coded {
            return self.range.clone();
        }
        let (from, to) = match &self.start {
            StartLine::Request { method, version, target } => (method.start, version.end.max(target.end)),
            StartLine::Response { version, reason, .. } => (version.start, reason.end.max(version.end)),
        };
        self.range.start + u64::from(from)..self.range.start + u64::from(to)
    }
}

/// Splits a list at commas outside quoted strings; trims, drops empty members.
pub fn split_list(list: &[u8]) -> Vec<Vec<u8>> {
    list_members(list).map(<[u8]>::to_vec).collect()
}

/// As [`split_list`], one after the other.
pub fn list_members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let members = list.split(move |&b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    });
    members.map(trim).filter(|m| !m.is_empty())
}

/// Without optional white space (and line breaks of a fold) around it.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A folded value as one line: each fold becomes one space (RFC 9112 §5.2).
fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    for line in value.split(|&b| b == b'\n') {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(trim(line));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_at_commas_outside_quotes() {
        assert_eq!(split_list(b"a, \"b, c\" ,,d"), [b"a".to_vec(), b"\"b, c\"".to_vec(), b"d".to_vec()]);
        assert_eq!(split_list(b"\"a\\\", b\", \\, c"), [b"\"a\\\", b\"".to_vec(), b"\\".to_vec(), b"c".to_vec()]);
        assert!(split_list(b" , ,").is_empty());
    }

    #[test]
    fn names_are_found_in_any_letter_case_and_most_others_are_ruled_out_at_once() {
        let text = b"Host: a\r\nsec-websocket-KEY: b\r\n";
        let field = |name: Range<u32>| Field { name, value: 0..0, faults: LineFaults::NONE, mark: Mark::default() };
        let names = Names::of(text, &mut [field(0..4), field(9..26)]);
        assert!(names.may_have(b"hOST") && names.may_have(b"Sec-WebSocket-Key"));
        assert_eq!(names.websocket, Some(true));
        let others = ["origin", "via", "cookie", "upgrade", "connection", "location", "content-length", "age"];
        assert!(others.iter().filter(|name| names.may_have(name.as_bytes())).count() <= 2);
        assert!(Names::default().may_have(b"via"));
        assert_eq!(Names::of(text, &mut [field(0..4)]).websocket, Some(false));
    }

    #[test]
    fn a_head_that_breaks_off_inside_the_token_asks_for_websocket_too() {
        let asks = |value: &str, complete| {
            let text = format!("Upgrade: {value}");
            let end = u32::try_from(text.len()).unwrap_or_default();
            let mut fields = vec![Field { name: 0..7, value: 9..end, faults: LineFaults::NONE, mark: Mark::default() }];
            let names = Names::of(text.as_bytes(), &mut fields);
            let head = Head {
                text: text.into_bytes().into(),
                start: StartLine::Request { method: 0..0, target: 0..0, version: 0..0 },
                fields: fields.into(),
                names,
                faults: LineFaults::NONE,
                complete,
                coded: false,
                at: PacketRef::default(),
                at_last: PacketRef::default(),
                first: Timestamp::default(),
                last: Timestamp::default(),
                range: 0..0,
            };
            head.upgrades_to_websocket()
        };
        assert!(asks("websocket", false) && asks("WebSock", false) && asks("h2c, web", false));
        assert!(!asks("WebSock", true), "what is whole is what was sent");
        assert!(!asks("h2c", false) && !asks("websocks", false) && !asks("h2c, ", false));
    }
}
