//! What the first bytes of a direction look like.

use crate::base::limits;

use super::{proxy_protocol, socks};

/// A guess from the first bytes, or that more are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// An HTTP/1.x request (RFC 9112 §3).
    Request,
    /// An HTTP/1.x response (RFC 9112 §4).
    Response,
    /// The HTTP/2 connection preface (RFC 9113 §3.4).
    Http2,
    /// A TLS record (RFC 8446 §5.1).
    Tls,
    /// A PROXY protocol header, of either version; only by [`opening`].
    Proxy,
    /// A SOCKS greeting or request; only by [`opening`].
    Socks,
    /// Nothing that is read.
    Other,
    /// At most `limits::SNIFF_BYTES` are asked for.
    NeedMore,
}

/// Methods that are taken at their word; any other needs `HTTP/` in its line.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"REPORT",
    b"SEARCH",
];

/// How the version of a request line begins.
const VERSION: &[u8] = b" HTTP/";

/// Looks at the first bytes of one direction. Empty lines before a request are passed over
/// (RFC 9112 §2.2).
pub fn guess(bytes: &[u8]) -> Guess {
    let blank = bytes.iter().take(8).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let bytes = bytes.get(blank..).unwrap_or_default();
    match bytes {
        [] => return Guess::NeedMore,
        [0x14..=0x17, rest @ ..] => {
            return match rest {
                [] | [3] => Guess::NeedMore,
                [3, 0..=4, ..] => Guess::Tls,
                _ => Guess::Other,
            };
        }
        _ => {}
    }
    if let Some(guess) =
        literal(bytes, b"HTTP/1.", Guess::Response).or_else(|| literal(bytes, b"PRI * HTTP/2.0", Guess::Http2))
    {
        return guess;
    }
    request(bytes)
}

/// As [`guess`], for the very first bytes of a direction, where something may precede what it speaks.
pub fn opening(bytes: &[u8]) -> Guess {
    let precedes = match bytes {
        [b'\r' | b'P', ..] => proxy_protocol::begins(bytes).map(|yes| yes.then_some(Guess::Proxy)),
        [4 | 5, ..] => socks::begins(bytes).map(|yes| yes.then_some(Guess::Socks)),
        _ => return guess(bytes),
    };
    match precedes {
        Some(Some(found)) => found,
        Some(None) => guess(bytes),
        None => Guess::NeedMore,
    }
}

/// Whether these bytes could be the start of a response line.
pub fn is_response(bytes: &[u8]) -> Guess {
    literal(bytes, b"HTTP/", Guess::Response).unwrap_or(Guess::Other)
}

/// Whether these bytes could be the start of a request line.
pub fn is_request(bytes: &[u8]) -> bool {
    matches!(guess(bytes), Guess::Request)
}

fn literal(bytes: &[u8], literal: &[u8], guess: Guess) -> Option<Guess> {
    let n = bytes.len().min(literal.len());
    if bytes[..n] != literal[..n] {
        None
    } else if n == literal.len() {
        Some(guess)
    } else {
        Some(Guess::NeedMore)
    }
}

fn request(bytes: &[u8]) -> Guess {
    let window = &bytes[..bytes.len().min(limits::SNIFF_BYTES)];
    let method = window.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count();
    if method == 0 || method > 24 {
        return Guess::Other;
    }
    let full = bytes.len() >= limits::SNIFF_BYTES;
    let (Some(b' '), Some(&target)) = (window.get(method), window.get(method + 1)) else {
        // The method may go on, or its space is still to come.
        let ended = window.len() > method && window[method] != b' ';
        return if ended || full { Guess::Other } else { Guess::NeedMore };
    };
    if !target.is_ascii_graphic() && target != b' ' {
        return Guess::Other;
    }
    let line = window.split(|&b| b == b'\n').next().unwrap_or_default();
    let whole_line = line.len() < window.len();
    if METHODS.iter().any(|m| *m == &window[..method]) {
        // SIP and RTSP share methods with HTTP; their targets and versions tell them apart.
        let rest = &line[method + 1..];
        if rest.starts_with(b"sip:") || rest.starts_with(b"sips:") || rest.starts_with(b"rtsp:") {
            return Guess::Other;
        }
        let others = |at: usize| [b"RTSP/".as_slice(), b"SIP/", b"ICAP/"].iter().any(|v| line[at + 1..].starts_with(v));
        let other = memchr::memchr_iter(b' ', line).any(others);
        return if other { Guess::Other } else { Guess::Request };
    }
    // Without a target between them this is the end of a request line whose beginning is not in view.
    if memchr::memmem::find(line, VERSION).is_some_and(|at| at > method) {
        Guess::Request
    } else if full && !whole_line && looks_like_a_request(&window[..method], &line[method + 1..]) {
        // The version stands behind what is looked at.
        Guess::Request
    } else if whole_line || full {
        Guess::Other
    } else {
        Guess::NeedMore
    }
}

/// Whether a method that nobody knows and the beginning of a long target are those of a request: methods
/// are in capitals by convention (RFC 9110 §9.1), and behind the target nothing but a version can begin.
fn looks_like_a_request(method: &[u8], target: &[u8]) -> bool {
    let end = target.iter().take_while(|b| b.is_ascii_graphic()).count();
    let http = target.starts_with(b"/") || target.starts_with(b"http://") || target.starts_with(b"https://");
    http && method.len() >= 3
        && method.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'))
        && VERSION.starts_with(target.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_responses_tls_and_the_h2_preface_are_told_apart() {
        assert_eq!(guess(b"GET /chat HTTP/1.1\r\n"), Guess::Request);
        assert_eq!(guess(b"\r\nBREW /pot HTTP/1.1\r\n"), Guess::Request);
        assert_eq!(guess(b"HTTP/1.1 101 "), Guess::Response);
        assert_eq!(guess(&[0x16, 3, 1, 0, 5]), Guess::Tls);
        assert_eq!(guess(b"PRI * HTTP/2.0\r\n\r\nSM"), Guess::Http2);
    }

    #[test]
    fn what_precedes_http_is_told_at_the_opening_alone() {
        assert_eq!(opening(b"PROXY TCP4 192.0.2.1"), Guess::Proxy);
        assert_eq!(opening(b"\r\n\r\n\0\r\nQUIT\n"), Guess::Proxy);
        assert_eq!(opening(&[5, 1, 0]), Guess::Socks);
        assert_eq!(opening(b"\r\n\r\n\0"), Guess::NeedMore);
        assert_eq!(opening(b"\r\nGET / HTTP/1.1\r\n"), Guess::Request);
        assert_eq!(opening(b"POST / HTTP/1.1\r\n"), Guess::Request);
        assert_eq!(opening(b"PRI * HTTP/2.0\r\n\r\nSM"), Guess::Http2);
        assert_eq!(guess(&[5, 1, 0]), Guess::Other);
    }

    #[test]
    fn other_text_protocols_are_not_http() {
        for line in [
            "SSH-2.0-OpenSSH\r\n",
            "EHLO mail\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\n",
            "GNUTELLA CONNECT/0.6\r\n",
            "220 ready\r\n",
            "at HTTP/1.1\r\n",
        ] {
            assert_eq!(guess(line.as_bytes()), Guess::Other, "{line}");
        }
    }

    #[test]
    fn an_unknown_method_with_a_long_target_is_a_request() {
        let target = "x".repeat(limits::SNIFF_BYTES);
        assert_eq!(guess(format!("RPC_IN_DATA /{target} HTTP/1.1\r\n").as_bytes()), Guess::Request);
        assert_eq!(guess(format!("BREW http://{target} HTTP/1.1\r\n").as_bytes()), Guess::Request);
        for cut in 0..12 {
            let line = format!("BREW /{} HTTP/1.1\r\n", "x".repeat(limits::SNIFF_BYTES - 6 - cut));
            assert_eq!(guess(line.as_bytes()), Guess::Request, "{line}");
        }
        for other in ["DESCRIBE rtsp://", "REQMOD icap://", "brew /", "BREW a b", "IT /", "USER "] {
            assert_eq!(guess(format!("{other}{target}\r\n").as_bytes()), Guess::Other, "{other}");
        }
    }

    #[test]
    fn every_prefix_of_a_request_needs_more_or_is_one() {
        let line = b"PROPPATCH /x HTTP/1.1\r\n";
        for n in 0..line.len() {
            assert!(matches!(guess(&line[..n]), Guess::NeedMore | Guess::Request), "{n}");
        }
    }
}
