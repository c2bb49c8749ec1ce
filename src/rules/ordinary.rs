//! Exchanges whose two heads are as those of nearly all upgrades that work. Most rules about heads have nothing to find
//! there, so that looking once saves dozens of questions: only the rules that a folder names as `OF_ORDINARY` are asked.
//! In builds with debug assertions all others are asked too, and must have found nothing.

use crate::model::{AcceptVerdict, Exchange, Handshake, Head, Mechanism, Quality};

/// Fields of a request that say nothing of its upgrade, as far as rules about one exchange ask. In lower case.
const BESIDE: [&str; 22] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "cookie",
    "dnt",
    "pragma",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-gpc",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// Whether this is such an exchange: a WebSocket of HTTP/1.1 that was asked for and granted without anything to remark.
pub(super) fn is_ordinary(x: &Exchange, handshake: &Handshake) -> bool {
    let Some(response) = &x.response else { return false };
    x.mechanism == Mechanism::Http1Upgrade
        && handshake.accept_verdict == AcceptVerdict::Valid
        && x.quality == Quality::default()
        && x.stream.is_none()
        && x.interim.is_empty()
        && x.odd_response.is_none()
        && x.before_response.is_none()
        && x.early.is_none()
        && is_whole(&x.request)
        && is_whole(response)
        && response.status() == Some(101)
        && x.request.method() == b"GET"
        && x.request.target().starts_with(b"/")
        && asks(&x.request)
        && grants(response)
}

/// Nothing is missing or wrong in its form.
fn is_whole(head: &Head) -> bool {
    head.complete && !head.coded && head.faults.is_empty() && head.version() == b"HTTP/1.1"
}

/// What has to be there once, and has a value that nobody remarks on.
#[derive(Default)]
struct Once {
    host: u32,
    upgrade: u32,
    connection: u32,
    key: u32,
    version: u32,
    accept: u32,
    origin: u32,
}

fn asks(request: &Head) -> bool {
    let mut once = Once::default();
    let host = request.first_value("host").unwrap_or_default();
    for (name, value) in request.iter() {
        let (count, good) = match name.len() {
            4 if eq(name, "host") => (&mut once.host, !value.is_empty()),
            6 if eq(name, "origin") => (&mut once.origin, names(value, host)),
            7 if eq(name, "upgrade") => (&mut once.upgrade, eq(value, "websocket")),
            10 if eq(name, "connection") => (&mut once.connection, eq(value, "upgrade")),
            17 if eq(name, "sec-websocket-key") => (&mut once.key, is_plain_key(value)),
            21 if eq(name, "sec-websocket-version") => (&mut once.version, value == b"13"),
            22 if eq(name, "sec-websocket-protocol") => continue,
            24 if eq(name, "sec-websocket-extensions") => continue,
            _ if BESIDE.iter().any(|known| known.len() == name.len() && eq(name, known)) => continue,
            _ => return false,
        };
        *count += 1;
        if !good {
            return false;
        }
    }
    [once.host, once.upgrade, once.connection, once.key, once.version] == [1; 5] && once.origin <= 1
}

fn grants(response: &Head) -> bool {
    let mut once = Once::default();
    for (name, value) in response.iter() {
        let (count, good) = match name.len() {
            4 if eq(name, "date") => continue,
            6 if eq(name, "server") => continue,
            7 if eq(name, "upgrade") => (&mut once.upgrade, eq(value, "websocket")),
            10 if eq(name, "connection") => (&mut once.connection, eq(value, "upgrade")),
            20 if eq(name, "sec-websocket-accept") => (&mut once.accept, true),
            22 if eq(name, "sec-websocket-protocol") => continue,
            24 if eq(name, "sec-websocket-extensions") => continue,
            _ => return false,
        };
        *count += 1;
        if !good {
            return false;
        }
    }
    [once.upgrade, once.connection, once.accept] == [1; 3]
}

fn eq(bytes: &[u8], word: &str) -> bool {
    bytes.eq_ignore_ascii_case(word.as_bytes())
}

/// Whether an origin is this very host, and no more than that.
fn names(origin: &[u8], host: &[u8]) -> bool {
    let rest = origin.strip_prefix(b"http").unwrap_or_default();
    rest.strip_prefix(b"s")
        .unwrap_or(rest)
        .strip_prefix(b"://")
        .is_some_and(|named| named == host && !host.contains(&b'/'))
}

/// Base64 of 16 octets. The last character before the padding has four bits to spare.
fn is_plain_key(key: &[u8]) -> bool {
    let Some((body, b"==")) = key.split_at_checked(22) else { return false };
    let plain = body.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    plain && body.last().is_some_and(|last| b"AQgw".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::accept::compare;
    use crate::rules::testing::{GOOD, changed, exchange, granted, with_line};
    use crate::wire::accept::{KeyForm, key_form};
    use proptest::prelude::*;

    fn ordinary(request: &str, response: &str) -> bool {
        let x = exchange(request, Some(response));
        is_ordinary(&x, &compare(&x))
    }

    #[test]
    fn what_browsers_and_hops_add_is_ordinary_and_what_is_amiss_is_not() {
        assert!(ordinary(GOOD, &granted()));
        for beside in ["Cookie: a=1", "X-Forwarded-For: 10.0.0.1", "Sec-WebSocket-Extensions: permessage-deflate"] {
            assert!(ordinary(&with_line(beside), &granted()), "{beside}");
        }
        for line in ["Via: 1.0 x", "Upgrade: websocket", "X-Original-URI: /x", "Content-Length: 3", "Host: y", "A : b"]
        {
            assert!(!ordinary(&with_line(line), &granted()), "{line}");
        }
        for (from, to) in
            [("Upgrade: websocket", "Upgrade: h2c"), ("13", "8"), ("/chat", "http://x/chat"), ("/1.1", "/1.0")]
        {
            assert!(!ordinary(&changed(from, to), &granted()), "{to}");
        }
        // Another rule takes what stands before the slash for the origin's host.
        let odd = GOOD.replace("example.com", "example.com/chat");
        assert!(!ordinary(&odd, &granted()));
        for (from, to) in [("Connection", "X"), ("Accept: ", "Accept: x"), ("Upgrade: websocket", "Upgrade: h2c")] {
            assert!(!ordinary(GOOD, &granted().replacen(from, to, 1)), "{to}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_key_is_a_good_one(key in "[A-Za-z0-9+/=_-]{20,22}(AQ|A=|==|=)?") {
            if is_plain_key(key.as_bytes()) {
                prop_assert_eq!(key_form(key.as_bytes()), KeyForm::Good);
            }
        }
    }
}
