//! HTTP/1.x heads (RFC 9112 §2–§5). A good head is read by httparse; whatever httparse refuses, or
//! accepts in silence though it is faulty, goes through a lenient splitter that keeps every fault.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::base::{PacketRef, Timestamp, limits};
use crate::model::head::trim;
use crate::model::{Field, Head, LineFaults, Mark, StartLine};

use super::scratch::Scratch;

/// Which grammar the start line follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
}

/// A head that was read. Ranges are of the head's own bytes.
#[derive(Debug)]
pub struct Parts {
    pub start: StartLine,
    pub faults: LineFaults,
}

/// Field lines httparse may find before the lenient splitter takes over.
const FAST_FIELDS: usize = 128;

/// Where the head that starts at `bytes` ends: the index behind its empty line. `from`: bytes that
/// were looked at before. Empty lines before the start line belong to the head.
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let blank = leading_blank(bytes);
    // Two line ends may stand across the border of what was seen before.
    let mut at = from.saturating_sub(3).max(blank);
    while let Some(found) = memchr::memchr(b'\n', bytes.get(at..)?) {
        let next = at + found + 1;
        match bytes.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            Some(_) => at = next,
            None => return None,
        }
    }
    None
}

/// Bytes of empty lines before a start line (RFC 9112 §2.2).
pub fn leading_blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

/// Reads one head, `bytes` from its first byte to behind its empty line (or as far as it was seen).
/// The field lines are put into `fields`, which is cleared first. Never fails: what is not
/// understood is a fault.
pub fn parse(kind: Kind, bytes: &[u8], fields: &mut Vec<Field>) -> Parts {
    fields.clear();
    if let Some(start) = strict(kind, bytes, fields) {
        return Parts { start, faults: LineFaults::NONE };
    }
    fields.clear();
    lenient(kind, bytes, fields)
}

/// A head from its parts, seen to its empty line; where and when it was sent is still to be told.
/// `scratch`: as [`parse`] left its fields.
pub fn head(text: &[u8], parts: Parts, scratch: &mut Scratch) -> Head {
    let (names, fields) = scratch.list(text);
    Head {
        text: text.into(),
        start: parts.start,
        names,
        fields,
        faults: parts.faults,
        complete: true,
        coded: false,
        at: PacketRef::default(),
        at_last: PacketRef::default(),
        first: Timestamp::default(),
        last: Timestamp::default(),
        range: 0..text.len() as u64,
    }
}

/// What a candidate is: an `Upgrade` field, a WebSocket field, or a ws target. Never only those
/// with `Upgrade`: losing it is the commonest fault.
pub fn is_candidate(text: &[u8], start: &StartLine, fields: &[Field]) -> bool {
    let named = fields.iter().any(|f| {
        let name = text_of(text, &f.name);
        match name.len() {
            7 => name.eq_ignore_ascii_case(b"upgrade"),
            17 => name.eq_ignore_ascii_case(b"sec-websocket-key"),
            18 => name.eq_ignore_ascii_case(b"sec-websocket-key1") || name.eq_ignore_ascii_case(b"sec-websocket-key2"),
            21 => name.eq_ignore_ascii_case(b"sec-websocket-version"),
            _ => false,
        }
    });
    let target = match start {
        StartLine::Request { target, .. } => text_of(text, target),
        StartLine::Response { .. } => b"",
    };
    let scheme = |s: &[u8]| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s));
    named || scheme(b"ws://") || scheme(b"wss://")
}

/// The good case. `None`: look closer.
fn strict(kind: Kind, bytes: &[u8], fields: &mut Vec<Field>) -> Option<StartLine> {
    // httparse forgives these in silence; they are faults to show.
    if leading_blank(bytes) != 0 || has_bare_lf(bytes) {
        return None;
    }
    let mut headers = [const { MaybeUninit::uninit() }; FAST_FIELDS];
    let start;
    let parsed: &[httparse::Header<'_>];
    let mut request = httparse::Request::new(&mut []);
    let mut response = httparse::Response::new(&mut []);
    match kind {
        Kind::Request => {
            let status = request.parse_with_uninit_headers(bytes, &mut headers).ok()?;
            if status.is_partial() {
                return None;
            }
            let method = place(bytes, request.method?.as_bytes())?;
            let target = place(bytes, request.path?.as_bytes())?;
            // httparse has checked ` HTTP/1.x` and the line end behind the target.
            let version = target.end + 1..target.end + 9;
            start = StartLine::Request { method, target, version };
            parsed = request.headers;
        }
        Kind::Response => {
            let config = httparse::ParserConfig::default();
            let status = config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers).ok()?;
            if status.is_partial() {
                return None;
            }
            let line = &bytes[..memchr::memchr(b'\r', bytes)?];
            // httparse gives an empty reason where it holds bytes above 127: take it from the line.
            let reason = line.get(13..).unwrap_or_default();
            let reason = if reason.is_empty() { 0..0 } else { place(bytes, reason)? };
            start = StartLine::Response { version: 0..8, status: response.code?, reason };
            parsed = response.headers;
        }
    }
    for header in parsed {
        fields.push(Field {
            name: place(bytes, header.name.as_bytes())?,
            value: place(bytes, trim(header.value)).unwrap_or(0..0),
            faults: LineFaults::NONE,
            mark: Mark::default(),
        });
    }
    Some(start)
}

/// A sub-slice as a range of the slice it was taken from.
fn place(whole: &[u8], part: &[u8]) -> Option<Range<u32>> {
    let from = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let to = from.checked_add(part.len())?;
    (to <= whole.len()).then_some(u32::try_from(from).ok()?..u32::try_from(to).ok()?)
}

fn text_of<'a>(text: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    text.get(range.start as usize..range.end as usize).unwrap_or_default()
}

fn has_bare_lf(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|i| i == 0 || bytes[i - 1] != b'\r')
}

/// Takes a head apart line by line and notes what is wrong with it.
fn lenient(kind: Kind, bytes: &[u8], fields: &mut Vec<Field>) -> Parts {
    let mut faults = LineFaults::NONE;
    let blank = leading_blank(bytes);
    if blank != 0 {
        faults.add(LineFaults::LEADING_CRLF);
    }
    let mut lines = Lines { bytes, at: blank };
    let start = match lines.next() {
        Some(line) => {
            faults.add(line.faults);
            start_line(kind, bytes, &line, &mut faults)
        }
        None => empty_start(kind),
    };
    for line in lines {
        if line.range.is_empty() {
            faults.add(line.faults);
            break;
        }
        if fields.len() >= limits::HEAD_FIELDS {
            faults.add(LineFaults::TOO_MANY);
            break;
        }
        let text = &bytes[line.range.clone()];
        let folded = matches!(text.first(), Some(b' ' | b'\t'));
        if let (true, Some(previous)) = (folded, fields.last_mut()) {
            previous.value.end = small(line.range.start + trim_end(text));
            previous.faults.add(LineFaults::OBS_FOLD);
            faults.add(LineFaults::OBS_FOLD);
            faults.add(line.faults);
            continue;
        }
        let mut field = field_line(text, line.range.start);
        if !line.whole {
            // The rest of it is not there to be judged.
            field.faults = LineFaults::NONE;
        }
        field.faults.add(line.faults);
        if folded {
            field.faults.add(LineFaults::SPACE_BEFORE_FIELD);
        }
        faults.add(field.faults);
        fields.push(field);
    }
    Parts { start, faults }
}

fn empty_start(kind: Kind) -> StartLine {
    match kind {
        Kind::Request => StartLine::Request { method: 0..0, target: 0..0, version: 0..0 },
        Kind::Response => StartLine::Response { version: 0..0, status: 0, reason: 0..0 },
    }
}

/// RFC 9112 §3 and §4, with any white space between the words; faults noted.
fn start_line(kind: Kind, bytes: &[u8], line: &Line, faults: &mut LineFaults) -> StartLine {
    let text = &bytes[line.range.clone()];
    if text.iter().any(|&b| b < 0x20 && b != b'\t' || b == 0x7f) {
        faults.add(LineFaults::CONTROL);
    }
    let base = line.range.start;
    let at = |r: Range<usize>| small(base + r.start)..small(base + r.end);
    let words = words(text);
    match kind {
        Kind::Request => {
            let method = words.first().cloned().unwrap_or(0..0);
            // The version is the last word if it looks like one; all between is the target.
            let version = words.get(1..).and_then(<[_]>::last).filter(|r| text[r.start..r.end].starts_with(b"HTTP/"));
            let target_end = match version {
                Some(v) => trim_end(&text[..v.start]),
                None => trim_end(text),
            };
            let target_start = words.get(1).map_or(target_end, |r| r.start).min(target_end);
            let plain = words.len() == 3 && version.is_some() && single_spaces(text, &words);
            if !plain {
                faults.add(LineFaults::BAD_START);
            }
            StartLine::Request {
                method: at(method),
                target: at(target_start..target_end),
                version: version.map_or(0..0, |v| at(v.clone())),
            }
        }
        Kind::Response => {
            let version = words.first().cloned().unwrap_or(0..0);
            let code = words.get(1).map(|r| &text[r.start..r.end]).unwrap_or_default();
            let status = match code {
                [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                    u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
                }
                _ => 0,
            };
            let reason = match words.get(1) {
                Some(code) => code.end + leading_space(&text[code.end..])..trim_end(text).max(code.end),
                None => 0..0,
            };
            let reason = if reason.start >= reason.end { 0..0 } else { reason };
            let good = status != 0
                && matches!(&text[version.clone()], [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
                && words.first().zip(words.get(1)).is_some_and(|(v, c)| c.start == v.end + 1);
            if !good {
                faults.add(LineFaults::BAD_START);
            }
            StartLine::Response { version: at(version), status, reason: at(reason) }
        }
    }
}

/// `name: value`, white space around the value taken off (RFC 9112 §5.1).
fn field_line(text: &[u8], base: usize) -> Field {
    let mut faults = LineFaults::NONE;
    if text.iter().any(|&b| b < 0x20 && b != b'\t' || b == 0x7f) {
        faults.add(LineFaults::CONTROL);
    }
    let Some(colon) = memchr::memchr(b':', text) else {
        faults.add(LineFaults::BAD_FIELD);
        let lead = leading_space(text);
        let name = small(base + lead)..small(base + trim_end(text).max(lead));
        return Field { name, value: 0..0, faults, mark: Mark::default() };
    };
    let lead = leading_space(&text[..colon]);
    let name_end = trim_end(&text[..colon]).max(lead);
    if name_end < colon {
        faults.add(LineFaults::SPACE_BEFORE_COLON);
    }
    if name_end == lead || text[lead..name_end].iter().any(|&b| !is_token(b)) {
        faults.add(LineFaults::BAD_FIELD);
    }
    let value_start = colon + 1 + leading_space(&text[colon + 1..]);
    let value_end = trim_end(text).max(value_start.min(text.len()));
    Field {
        name: small(base + lead)..small(base + name_end),
        value: small(base + value_start.min(value_end))..small(base + value_end),
        faults,
        mark: Mark::default(),
    }
}

/// RFC 9110 §5.6.2.
pub fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// One line of a head, without its line end.
struct Line {
    range: Range<usize>,
    faults: LineFaults,
    /// Its line end was seen.
    whole: bool,
}

struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        let from = self.at;
        let mut faults = LineFaults::NONE;
        let found = memchr::memchr(b'\n', rest);
        let to = match found {
            Some(lf) => {
                self.at += lf + 1;
                if lf > 0 && rest[lf - 1] == b'\r' {
                    from + lf - 1
                } else {
                    faults.add(LineFaults::BARE_LF);
                    from + lf
                }
            }
            None => {
                self.at = self.bytes.len();
                self.bytes.len()
            }
        };
        Some(Line { range: from..to, faults, whole: found.is_some() })
    }
}

/// Words parted by spaces and tabs; at most the first four and the last.
fn words(text: &[u8]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::with_capacity(4);
    let mut from = None;
    for (i, &b) in text.iter().chain(std::iter::once(&b' ')).enumerate() {
        match (b == b' ' || b == b'\t', from) {
            (false, None) => from = Some(i),
            (true, Some(start)) => {
                if out.len() > 4 {
                    out.pop();
                }
                out.push(start..i);
                from = None;
            }
            _ => {}
        }
    }
    out
}

fn single_spaces(text: &[u8], words: &[Range<usize>]) -> bool {
    words.first().is_some_and(|w| w.start == 0)
        && words.last().is_some_and(|w| w.end == text.len())
        && words.windows(2).all(|w| w[1].start == w[0].end + 1)
}

fn leading_space(text: &[u8]) -> usize {
    text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

fn trim_end(text: &[u8]) -> usize {
    text.len() - text.iter().rev().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count()
}

/// A place in a head; heads are far smaller than 4 GiB.
fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// One chunk-size line (RFC 9112 §7.1), without its line end: the size, extensions passed over.
/// `None`: no hexadecimal number, or one beyond 2^60.
pub fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let after = trim(&line[digits..]);
    if digits == 0 || digits > 15 || !(after.is_empty() || after.starts_with(b";")) {
        return None;
    }
    let text = std::str::from_utf8(&line[..digits]).ok()?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: Kind, bytes: &[u8]) -> (Parts, Vec<(String, String)>) {
        let mut fields = Vec::new();
        let parts = parse(kind, bytes, &mut fields);
        let text = |r: &Range<u32>| String::from_utf8_lossy(&bytes[r.start as usize..r.end as usize]).into_owned();
        let fields = fields.iter().map(|f| (text(&f.name), text(&f.value))).collect();
        (parts, fields)
    }

    fn request_words(bytes: &[u8]) -> [String; 3] {
        let (parts, _) = head(Kind::Request, bytes);
        let StartLine::Request { method, target, version } = parts.start else { panic!("no request") };
        [method, target, version]
            .map(|r| String::from_utf8_lossy(&bytes[r.start as usize..r.end as usize]).into_owned())
    }

    #[test]
    fn a_good_request_is_read_without_faults() {
        let bytes = b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade:  websocket \r\nEmpty:\r\n\r\n";
        let (parts, fields) = head(Kind::Request, bytes);
        assert!(parts.faults.is_empty());
        assert_eq!(request_words(bytes), ["GET", "/chat", "HTTP/1.1"]);
        assert_eq!(fields[1], ("Upgrade".into(), "websocket".into()));
        assert_eq!(fields[2], ("Empty".into(), String::new()));
    }

    #[test]
    fn both_readers_agree_on_a_good_head() {
        let bytes = b"GET /chat?x=1 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\r\n";
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let start = strict(Kind::Request, bytes, &mut a);
        let parts = lenient(Kind::Request, bytes, &mut b);
        assert_eq!(start, Some(parts.start));
        assert!(parts.faults.is_empty());
        assert_eq!(a, b);
        let bytes = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let start = strict(Kind::Response, bytes, &mut a.split_off(0));
        assert_eq!(start, Some(lenient(Kind::Response, bytes, &mut b.split_off(0)).start));
    }

    #[test]
    fn faults_are_kept_and_named() {
        let bytes = b"\r\nGET  /a b HTTP/1.1\r\nUpgrade : websocket\r\nConnection: keep-alive,\r\n\tUpgrade\nX\r\n\r\n";
        let (parts, fields) = head(Kind::Request, bytes);
        for fault in [
            LineFaults::LEADING_CRLF,
            LineFaults::BAD_START,
            LineFaults::SPACE_BEFORE_COLON,
            LineFaults::OBS_FOLD,
            LineFaults::BARE_LF,
            LineFaults::BAD_FIELD,
        ] {
            assert!(parts.faults.has(fault), "{fault:?}");
        }
        assert_eq!(request_words(bytes), ["GET", "/a b", "HTTP/1.1"]);
        assert_eq!(fields[0], ("Upgrade".into(), "websocket".into()));
        assert_eq!(fields[1], ("Connection".into(), "keep-alive,\r\n\tUpgrade".into()));
    }

    #[test]
    fn status_lines_of_every_sort_are_read() {
        for (line, want, bad) in [
            ("HTTP/1.1 101 Switching Protocols", 101, false),
            ("HTTP/1.1 101", 101, false),
            ("HTTP/1.1 101 ", 101, false),
            ("HTTP/1.0 200 OK", 200, false),
            ("HTTP/2.0 200 OK", 200, false),
            ("HTTP/1.1  101 X", 101, true),
            ("HTTP/1.1 20 X", 0, true),
            ("ICY 200 OK", 200, true),
        ] {
            let bytes = format!("{line}\r\n\r\n");
            let (parts, _) = head(Kind::Response, bytes.as_bytes());
            let StartLine::Response { status, .. } = parts.start else { panic!("no response") };
            assert_eq!((status, parts.faults.has(LineFaults::BAD_START)), (want, bad), "{line}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_across_any_border() {
        let bytes = b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        let end = bytes.len() - 4;
        for from in 0..end {
            assert_eq!(head_end(bytes, from), Some(end), "{from}");
        }
        for cut in 0..end {
            assert_eq!(head_end(&bytes[..cut], 0), None, "{cut}");
        }
        assert_eq!(head_end(b"a\nb\n\nc", 0), Some(5));
    }

    #[test]
    fn chunk_sizes_have_extensions_and_limits() {
        assert_eq!(chunk_size(b"1A; x=y"), Some(26));
        assert_eq!(chunk_size(b"0x10"), None);
        assert_eq!(chunk_size(b""), None);
        assert_eq!(chunk_size(b"ffffffffffffffff"), None);
    }

    #[test]
    fn what_is_known_of_upgrade_beforehand_is_what_its_list_says() {
        let lines = ["", "websocket", "WebSocket", "h2c", "h2c, websocket", "\"websocket\"", "websocket\r\n "];
        for (one, two) in lines.into_iter().flat_map(|one| lines.map(|two| (one, two))) {
            let text =
                format!("GET / HTTP/1.1\r\nUpgrade: {one}\r\nupgrade: {two}\r\n\r\n").replace("upgrade: \r\n", "");
            let mut scratch = Scratch::default();
            let parts = parse(Kind::Request, text.as_bytes(), &mut scratch.fields);
            let head = super::head(text.as_bytes(), parts, &mut scratch);
            assert_eq!(head.upgrades_to_websocket(), head.has_token("upgrade", "websocket"), "{text}");
        }
    }
}
