//! Read with RFC 6455 §9.1 and RFC 7692 §7.1 open. The form of a `Sec-WebSocket-Extensions` offer.

use crate::model::head::{split_list, trim};
use crate::rules::request::facts::is_token;

/// What is wrong with an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The extension (or the piece of text) it is in, as sent.
    pub(super) part: Vec<u8>,
    /// In words that go on "the offer".
    pub(super) why: &'static str,
}

/// The first fault of an offer; `None` where it is well formed.
pub(super) fn fault(offer: &[u8]) -> Option<Fault> {
    let members = split_list(offer);
    if members.is_empty() {
        return Some(Fault { part: offer.to_vec(), why: "is empty" });
    }
    members.into_iter().find_map(|member| extension_fault(&member).map(|why| Fault { part: member, why }))
}

/// `token *( ";" token [ "=" ( token | quoted-string ) ] )`
fn extension_fault(member: &[u8]) -> Option<&'static str> {
    let mut parts = member.split(|&b| b == b';').map(trim);
    let name = parts.next().unwrap_or_default();
    if !is_token(name) {
        return Some("names an extension that is no token");
    }
    let deflate = name.eq_ignore_ascii_case(b"permessage-deflate");
    let mut seen: Vec<&[u8]> = Vec::new();
    for part in parts {
        let (key, value) = match part.iter().position(|&b| b == b'=') {
            Some(at) => (trim(&part[..at]), Some(trim(&part[at + 1..]))),
            None => (part, None),
        };
        if !is_token(key) {
            return Some("has a parameter whose name is no token");
        }
        // The quotes may only hold what would be a token without them.
        let value = match value {
            Some([b'"', inner @ .., b'"']) => Some(inner),
            other => other,
        };
        if value.is_some_and(|v| !is_token(v)) {
            return Some("has a parameter whose value is no token, or is quoted wrongly");
        }
        if deflate {
            if seen.iter().any(|s| s.eq_ignore_ascii_case(key)) {
                return Some("names a parameter twice in one extension");
            }
            if let Some(why) = deflate_fault(key, value) {
                return Some(why);
            }
            // Four parameters exist; more are kept only until a repeated one is found among them.
            if seen.len() < 8 {
                seen.push(key);
            }
        }
    }
    None
}

fn deflate_fault(key: &[u8], value: Option<&[u8]>) -> Option<&'static str> {
    match key.to_ascii_lowercase().as_slice() {
        b"server_no_context_takeover" | b"client_no_context_takeover" if value.is_some() => {
            Some("gives a value to a no_context_takeover parameter, which has none")
        }
        b"server_max_window_bits" if value.is_none() => Some("leaves out the value of server_max_window_bits"),
        b"server_max_window_bits" | b"client_max_window_bits" if value.is_some_and(|v| !is_window(v)) => {
            Some("asks for a window outside 8 to 15 bits")
        }
        _ => None,
    }
}

/// 8 to 15, without leading zeros (RFC 7692 §7.1.2.1).
fn is_window(value: &[u8]) -> bool {
    matches!(value, [b'8' | b'9'] | [b'1', b'0'..=b'5'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_of_browsers_and_libraries_are_well_formed() {
        for offer in [
            &b"permessage-deflate"[..],
            b"permessage-deflate; client_max_window_bits",
            b"permessage-deflate; client_max_window_bits=\"15\"",
            b"permessage-deflate;server_max_window_bits=10;client_no_context_takeover, permessage-deflate",
            b"x-webkit-deflate-frame",
            b"foo; bar=baz; bar=2",
            b"permessage-deflate, , foo",
        ] {
            assert_eq!(fault(offer), None, "{}", String::from_utf8_lossy(offer));
        }
    }

    #[test]
    fn faults_of_form_are_found() {
        for offer in [
            &b""[..],
            b",",
            b"permessage-deflate;",
            b"permessage deflate",
            b"permessage-deflate; client_max_window_bits=\"15",
            b"permessage-deflate; client_max_window_bits=16",
            b"permessage-deflate; client_max_window_bits=7",
            b"permessage-deflate; client_max_window_bits=08",
            b"permessage-deflate; server_max_window_bits",
            b"permessage-deflate; client_no_context_takeover=1",
            b"permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            b"; x",
            b"\"permessage-deflate\"",
        ] {
            assert!(fault(offer).is_some(), "{}", String::from_utf8_lossy(offer));
        }
    }
}
