//! Where secrets stand in captured bytes: by the name of the field, by the name of a query value, or
//! by their shape. What comes in is bytes; what goes out is ranges of them. Masking too much costs a
//! reader a moment, masking too little costs somebody a credential: in doubt it is a secret.

use std::ops::Range;

/// How a field's value is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The whole value is the secret.
    Whole,
    /// An authentication scheme, then the secret (RFC 9110 §11.4).
    Credentials,
    /// A list in which members may be tokens (`Sec-WebSocket-Protocol`).
    Protocols,
    /// No secret by its name; its content may hold some.
    Content,
    /// Random-looking by design and no secret (`Sec-WebSocket-Key`, RFC 6455 §10.3 gives it no such use).
    Plain,
}

/// Judges a field by its name, ignoring letter case.
pub(super) fn kind_of_field(name: &[u8]) -> Kind {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    if is(b"authorization") || is(b"proxy-authorization") {
        Kind::Credentials
    } else if is(b"sec-websocket-protocol") {
        Kind::Protocols
    } else if is(b"sec-websocket-key") || is(b"sec-websocket-accept") {
        Kind::Plain
    } else if stands_at(name, 0, b"access-control-") {
        // `Access-Control-Allow-Credentials` and its like talk about secrets and hold none.
        Kind::Content
    } else if is(b"x-auth") || SECRET_FIELD_PARTS.are_in(name) {
        Kind::Whole
    } else {
        Kind::Content
    }
}

/// The secret in `Bearer abc`: all behind a known scheme; the whole value where the first word is none.
pub(super) fn credentials(value: &[u8]) -> Range<usize> {
    let word = value.iter().take_while(|b| !b.is_ascii_whitespace()).count();
    let scheme = value.get(..word).unwrap_or_default();
    if SCHEMES.iter().any(|s| scheme.eq_ignore_ascii_case(s)) {
        let blank = value.iter().skip(word).take_while(|b| b.is_ascii_whitespace()).count();
        word + blank..value.len()
    } else {
        0..value.len()
    }
}

/// The members of a `Sec-WebSocket-Protocol` list that are tokens and not names of protocols.
pub(super) fn protocols(value: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut announced = false;
    for member in value.split(|&b| b == b',') {
        let blank = member.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let text = member.trim_ascii();
        let start = at + blank;
        if text.starts_with(KUBERNETES) {
            found.push(start + KUBERNETES.len()..start + text.len());
        } else if !text.is_empty() && (announced || looks_like_token(text)) {
            found.push(start..start + text.len());
        }
        // `["access_token", "<the token>"]`: the name is no secret, its neighbour is.
        announced = !announced && text.len() < 24 && is_secret_name(text) && !looks_like_token(text);
        at += member.len() + 1;
    }
    found
}

/// Secrets inside any text: JSON web tokens, `user:password@` of URLs, values of queries whose name
/// tells. Sorted, without overlap.
pub(super) fn in_content(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let signs = signs(bytes);
    if signs & WEB_TOKEN != 0 {
        web_tokens(bytes, &mut found);
    }
    if signs & USERINFO != 0 {
        userinfo(bytes, &mut found);
    }
    if signs & QUERY != 0 {
        query_values(bytes, &mut found);
    }
    merge(found)
}

/// What a text may hold, going by characters without which there is none: the `J` of `eyJ`, the `@`
/// behind a password, the `=` before a query's value, the last two perhaps percent-encoded. Most texts
/// have none of them and need no closer look.
const WEB_TOKEN: u8 = 1;
const USERINFO: u8 = 1 << 1;
const QUERY: u8 = 1 << 2;

fn signs(bytes: &[u8]) -> u8 {
    const SIGNS: [u8; 256] = {
        let mut signs = [0; 256];
        signs[b'J' as usize] = WEB_TOKEN;
        signs[b'@' as usize] = USERINFO;
        signs[b'=' as usize] = QUERY;
        signs[b'%' as usize] = USERINFO | QUERY;
        signs
    };
    bytes.iter().fold(0, |all, &b| all | SIGNS[usize::from(b)])
}

/// As [`in_content`], for bytes that are a request target or URL: they may begin with an authority
/// (RFC 9112 §3.2.3).
pub(super) fn in_url(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = in_content(bytes);
    if !bytes.starts_with(b"/") {
        found.extend(before_at(bytes, 0));
    }
    merge(found)
}

/// Kubernetes puts a bearer token into a subprotocol behind this.
const KUBERNETES: &[u8] = b"base64url.bearer.authorization.k8s.io.";

/// Schemes of `Authorization` that may be shown (the IANA registry, and AWS).
const SCHEMES: [&[u8]; 13] = [
    b"AWS4-HMAC-SHA256",
    b"Basic",
    b"Bearer",
    b"Concealed",
    b"DPoP",
    b"Digest",
    b"GNAP",
    b"Hawk",
    b"HOBA",
    b"NTLM",
    b"Negotiate",
    b"OAuth",
    b"SharedKey",
];

/// A field whose name holds one of these carries a secret.
static SECRET_FIELD_PARTS: Parts = Parts::new(&[
    b"access-key",
    b"accesskey",
    b"api-key",
    b"api_key",
    b"apikey",
    b"assertion",
    b"auth-key",
    b"authorization",
    b"cookie",
    b"credential",
    b"functions-key",
    b"jwt",
    b"oidc-data",
    b"passw",
    b"secret",
    b"session",
    b"signature",
    b"subscription-key",
    b"ticket",
    b"token",
    b"x-key",
]);

/// A query value whose name holds one of these is a secret.
static SECRET_NAME_PARTS: Parts = Parts::new(&[
    b"apikey",
    b"assertion",
    b"auth",
    b"bearer",
    b"credential",
    b"jwt",
    b"passw",
    b"secret",
    b"sess",
    b"signature",
    b"ticket",
    b"token",
]);

/// A query value with exactly this name is a secret.
const SECRET_NAMES: [&[u8]; 8] = [b"code", b"hmac", b"key", b"otp", b"pass", b"pwd", b"sid", b"sig"];

fn is_secret_name(name: &[u8]) -> bool {
    let ends = |end: &[u8]| name.len().checked_sub(end.len()).is_some_and(|at| stands_at(name, at, end));
    SECRET_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        || [&b"_key"[..], b"-key", b"%5fkey", b"%2dkey"].into_iter().any(ends)
        || SECRET_NAME_PARTS.are_in(name)
}

/// Parts of names, in lower case.
struct Parts {
    list: &'static [&'static [u8]],
    /// Whether a part begins with this byte or its capital.
    begins: [bool; 256],
}

impl Parts {
    const fn new(list: &'static [&'static [u8]]) -> Parts {
        let mut begins = [false; 256];
        let mut i = 0;
        while i < list.len() {
            if let [first, ..] = list[i] {
                begins[*first as usize] = true;
                begins[first.to_ascii_uppercase() as usize] = true;
            }
            i += 1;
        }
        Parts { list, begins }
    }

    /// Whether any of them is in the name, ignoring letter case.
    fn are_in(&self, name: &[u8]) -> bool {
        let mut starts = name.iter().enumerate().filter(|&(_, &b)| self.begins[usize::from(b)]);
        starts.any(|(at, b)| {
            let first = b.to_ascii_lowercase();
            self.list.iter().any(|part| part.first() == Some(&first) && stands_at(name, at, part))
        })
    }
}

/// Whether `part` stands at this place, ignoring letter case.
fn stands_at(text: &[u8], at: usize, part: &[u8]) -> bool {
    text.get(at..at + part.len()).is_some_and(|found| found.eq_ignore_ascii_case(part))
}

/// Long, and mixed as no name of a protocol is.
fn looks_like_token(text: &[u8]) -> bool {
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    let longest = text.split(|b| matches!(b, b'-' | b'.' | b'_')).map(<[u8]>::len).max().unwrap_or(0);
    let foreign = text.iter().any(|b| matches!(b, b'=' | b'/' | b'+' | b'|' | b':' | b'~'));
    (text.len() >= 16 && foreign)
        || longest >= 24
        || (longest >= 12 && digits >= 2)
        || (text.len() >= 24 && digits >= 6)
        || (text.starts_with(b"eyJ") && text.len() >= 12)
}

/// `eyJ….….…`: base64url of JSON (RFC 7519 §3). A cut one counts too.
fn web_tokens(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(bytes.get(from..).unwrap_or_default(), b"eyJ") {
        let start = from + at;
        let length = bytes
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'='))
            .count();
        let run = bytes.get(start..start + length).unwrap_or_default();
        if length >= 20 || (length >= 12 && run.contains(&b'.')) {
            found.push(start..start + length);
        }
        from = start + length.max(3);
    }
}

/// `//user:password@`, also percent-encoded (`%2F%2F`).
fn userinfo(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    for mark in [&b"//"[..], b"%2F%2F", b"%2f%2f", b"%252F%252F", b"%252f%252f"] {
        for at in memchr::memmem::find_iter(bytes, mark) {
            found.extend(before_at(bytes, at + mark.len()));
        }
    }
}

/// What stands before the last `@` of the authority that begins at `from`.
fn before_at(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = bytes.get(from..)?;
    let mut i = 0;
    let mut last = None;
    while let Some(&b) = rest.get(i) {
        match b {
            b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' => break,
            b if b.is_ascii_whitespace() => break,
            b'@' => last = Some(i),
            b'%' if percent(rest, i).is_some_and(|(c, _)| c == b'@') => last = Some(i),
            b'%' if percent(rest, i).is_some_and(|(c, _)| matches!(c, b'/' | b'?' | b'#')) => break,
            _ => {}
        }
        i += 1;
    }
    last.filter(|&end| end > 0).map(|end| from..from + end)
}

/// `name=value` where the name tells that the value is a secret. Also inside a percent-encoded URL
/// (`%3Ftoken%3D`), which redirects to a login carry.
fn query_values(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let mut name_from = 0;
    let mut i = 0;
    while i < bytes.len() {
        let (c, depth, len) = unit(bytes, i);
        if c == b'=' {
            if is_secret_name(bytes.get(name_from..i).unwrap_or_default()) {
                let start = i + len;
                let end = value_end(bytes, start, depth);
                // The padding of some base64 is no value.
                if bytes.get(start..end).unwrap_or_default().iter().any(|&b| b != b'=') {
                    found.push(start..end);
                }
                i = end.max(start);
                name_from = i;
                continue;
            }
            name_from = i + len;
        } else if ends_name(c) {
            name_from = i + len;
        }
        i += len;
    }
}

/// A value ends at a separator that is encoded no deeper than its `=`.
fn value_end(bytes: &[u8], start: usize, depth: usize) -> usize {
    let mut i = start;
    while i < bytes.len() {
        let (c, d, len) = unit(bytes, i);
        if d <= depth && (matches!(c, b'&' | b';' | b'#' | b'"' | b'\'' | b',') || c.is_ascii_whitespace()) {
            return i;
        }
        i += len;
    }
    bytes.len()
}

fn ends_name(c: u8) -> bool {
    matches!(c, b'?' | b'&' | b';' | b'#' | b'/' | b'"' | b'\'' | b',' | b'{' | b'(') || c.is_ascii_whitespace()
}

/// The character at `i`, how often it is percent-encoded, and its length in bytes.
#[inline]
fn unit(bytes: &[u8], i: usize) -> (u8, usize, usize) {
    match bytes.get(i) {
        Some(b'%') => percent(bytes, i).map_or((b'%', 0, 1), |(c, len)| (c, len / 2, len)),
        other => (other.copied().unwrap_or_default(), 0, 1),
    }
}

/// `%3D` is `=`, and so is `%253D`. The character and the length of its code.
fn percent(bytes: &[u8], i: usize) -> Option<(u8, usize)> {
    if bytes.get(i) != Some(&b'%') {
        return None;
    }
    let mut at = i + 1;
    while bytes.get(at..at + 2) == Some(b"25") && at < i + 7 {
        at += 2;
    }
    let hex = |k: usize| bytes.get(k).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    Some((hex(at)? << 4 | hex(at + 1)?, at + 2 - i))
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if ranges.is_empty() {
        return ranges;
    }
    ranges.retain(|r| r.start < r.end);
    ranges.sort_by_key(|r| (r.start, r.end));
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ranges: Vec<Range<usize>>, bytes: &[u8]) -> Vec<String> {
        ranges.into_iter().map(|r| String::from_utf8_lossy(&bytes[r]).into_owned()).collect()
    }

    #[test]
    fn names_of_fields_tell() {
        for name in
            ["Cookie", "set-cookie", "X-API-Key", "X-Auth-Token", "X-Amz-Security-Token", "Cf-Access-Jwt-Assertion"]
        {
            assert_eq!(kind_of_field(name.as_bytes()), Kind::Whole, "{name}");
        }
        for name in ["Host", "Access-Control-Allow-Credentials", "Via"] {
            assert_eq!(kind_of_field(name.as_bytes()), Kind::Content, "{name}");
        }
        assert_eq!(kind_of_field(b"Sec-WebSocket-Key"), Kind::Plain);
    }

    #[test]
    fn a_query_names_its_secrets() {
        let url = b"/ws?room=7&access_token=abc&EIO=4&sid=x%26y;jsessionid=q#k";
        assert_eq!(found(in_url(url), url), ["abc", "x%26y", "q"]);
    }

    #[test]
    fn a_url_inside_a_query_is_looked_into() {
        let url = b"https://login/?next=https%3A%2F%2Fu%3Ap%40h%2F%3Ftoken%3Dabc%26x%3D1&y=2";
        assert_eq!(found(in_url(url), url), ["u%3Ap", "abc"]);
        let twice = b"/?u=%253Ftoken%253Dabc%2526x";
        assert_eq!(found(in_url(twice), twice), ["abc"]);
    }

    #[test]
    fn userinfo_is_a_secret_with_and_without_a_scheme() {
        let url = b"http://user:pa@ss@host/x@y";
        assert_eq!(found(in_url(url), url), ["user:pa@ss"]);
        let authority = b"user:pass@host:443";
        assert_eq!(found(in_url(authority), authority), ["user:pass"]);
        assert!(in_url(b"/a@b").is_empty());
    }

    #[test]
    fn web_tokens_are_known_by_their_shape() {
        let text = b"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln, sorry; eyJ is short";
        assert_eq!(found(in_content(text), text), ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"]);
    }

    #[test]
    fn names_of_protocols_stay_and_tokens_among_them_go() {
        let names = b"graphql-transport-ws, v12.stomp, v4.channel.k8s.io, actioncable-v1-json, ocpp1.6, wamp.2.json";
        assert_eq!(found(protocols(names), names), Vec::<String>::new());
        let kube = b"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.QUJD";
        assert_eq!(found(protocols(kube), kube), ["QUJD"]);
        let announced = b"access_token, hunter2, chat";
        assert_eq!(found(protocols(announced), announced), ["hunter2"]);
        let uuid = b"chat, 550e8400-e29b-41d4-a716-446655440000";
        assert_eq!(found(protocols(uuid), uuid), ["550e8400-e29b-41d4-a716-446655440000"]);
    }

    #[test]
    fn only_a_known_scheme_is_shown() {
        assert_eq!(credentials(b"Bearer  abc"), 8..11);
        assert_eq!(credentials(b"abc def"), 0..7);
        assert_eq!(credentials(b""), 0..0);
    }
}
