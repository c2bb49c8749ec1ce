//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929, OpenSSH's PROTOCOL of SOCKS 4): the messages by which a
//! client asks a proxy for a connection. Names and passwords are stepped over and never kept.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A message at the start of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// More bytes are needed.
    More,
    /// It is read; so many bytes belong to it.
    Whole(T, usize),
    /// This is no SOCKS.
    Wrong,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// 1 is CONNECT; others (BIND, UDP) carry no stream of the client's.
    pub command: u8,
    /// `host:port`, an IPv6 address in brackets. Captured bytes.
    pub target: Vec<u8>,
}

/// SOCKS 5: no acceptable method (RFC 1928 §3).
pub const NO_METHOD: u8 = 0xff;
/// SOCKS 4: request granted.
pub const GRANTED_4: u8 = 0x5a;
pub const CONNECT: u8 = 1;

/// Authentication methods a greeting may offer and still be believed.
const METHODS: u8 = 16;
/// Longest user id or name of a SOCKS 4 request, in bytes.
const NAME_BYTES: usize = 255;

/// Whether a connection begins with SOCKS. `None`: more bytes are needed.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [] | [4 | 5] => None,
        // RFC 1928 §3: 0 to 9 are assigned, 0x80 to 0xfe are private.
        [5, count @ 1..=METHODS, methods @ ..] => {
            let known = |m: &u8| matches!(m, 0..=9 | 0x80..=0xfe);
            let methods = methods.get(..usize::from(*count)).unwrap_or(methods);
            if !methods.iter().all(known) {
                Some(false)
            } else {
                (methods.len() == usize::from(*count)).then_some(true)
            }
        }
        [4, 1 | 2, rest @ ..] => match rest {
            [0, 0, ..] => Some(false),
            [_, _, _, _, _, _, name, ..] => Some(*name == 0 || name.is_ascii_graphic()),
            _ => None,
        },
        _ => Some(false),
    }
}

/// SOCKS 5: the client's greeting (RFC 1928 §3).
pub fn greeting(bytes: &[u8]) -> Read<()> {
    match bytes {
        [5, count, methods @ ..] if methods.len() >= usize::from(*count) => Read::Whole((), 2 + usize::from(*count)),
        [] | [5, ..] => Read::More,
        _ => Read::Wrong,
    }
}

/// SOCKS 5: the method that the server chose (RFC 1928 §3).
pub fn method(bytes: &[u8]) -> Read<u8> {
    match bytes {
        [5, method, ..] => Read::Whole(*method, 2),
        [] | [5] => Read::More,
        _ => Read::Wrong,
    }
}

/// User name and password (RFC 1929 §2): only their lengths are looked at.
pub fn credentials(bytes: &[u8]) -> Read<()> {
    let [1, rest @ ..] = bytes else { return if bytes.is_empty() { Read::More } else { Read::Wrong } };
    let length = || {
        let name = usize::from(*rest.first()?);
        let password = usize::from(*rest.get(1 + name)?);
        Some(3 + name + password)
    };
    length().filter(|&n| n <= bytes.len()).map_or(Read::More, |n| Read::Whole((), n))
}

/// The answer to them: 0 is success (RFC 1929 §2).
pub fn credentials_answer(bytes: &[u8]) -> Read<u8> {
    match bytes {
        // Some servers repeat version 5 here.
        [1 | 5, status, ..] => Read::Whole(*status, 2),
        [] | [1 | 5] => Read::More,
        _ => Read::Wrong,
    }
}

/// SOCKS 5: what the client asks for (RFC 1928 §4).
pub fn request(bytes: &[u8]) -> Read<Request> {
    message(bytes).map(|(command, target)| Request { command, target })
}

/// SOCKS 5: the answer, 0 is success (RFC 1928 §6).
pub fn reply(bytes: &[u8]) -> Read<u8> {
    message(bytes).map(|(code, _)| code)
}

/// What a reply of SOCKS 5 says (RFC 1928 §6).
pub fn reply_name(code: u8) -> &'static str {
    match code {
        0 => "succeeded",
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unassigned",
    }
}

/// What a reply of SOCKS 4 says.
pub fn reply_4_name(code: u8) -> &'static str {
    match code {
        GRANTED_4 => "request granted",
        0x5b => "request rejected or failed",
        0x5c => "no identd at the client",
        0x5d => "identd reports another user",
        _ => "unassigned",
    }
}

/// SOCKS 4 and 4a: what the client asks for.
pub fn request_4(bytes: &[u8]) -> Read<Request> {
    let [4, command, p, q, a, b, c, d, rest @ ..] = bytes else {
        return if matches!(bytes, [] | [4, ..]) { Read::More } else { Read::Wrong };
    };
    let Some((_, behind)) = name(rest) else {
        return if rest.len() > NAME_BYTES { Read::Wrong } else { Read::More };
    };
    let port = u16::from_be_bytes([*p, *q]);
    // 4a: an address that cannot be tells that a name follows.
    if (*a, *b, *c) == (0, 0, 0) && *d != 0 {
        let Some((host, behind)) = name(behind) else {
            return if behind.len() > NAME_BYTES { Read::Wrong } else { Read::More };
        };
        let request = Request { command: *command, target: target(host, port) };
        return Read::Whole(request, bytes.len() - behind.len());
    }
    let host = Ipv4Addr::new(*a, *b, *c, *d).to_string();
    let request = Request { command: *command, target: target(host.as_bytes(), port) };
    Read::Whole(request, bytes.len() - behind.len())
}

/// SOCKS 4: the answer.
pub fn reply_4(bytes: &[u8]) -> Read<u8> {
    match bytes {
        [0, code, _, _, _, _, _, _, ..] => Read::Whole(*code, 8),
        [] | [0, ..] => Read::More,
        _ => Read::Wrong,
    }
}

impl<T> Read<T> {
    /// The same of something made from it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Read<U> {
        match self {
            Read::More => Read::More,
            Read::Whole(value, n) => Read::Whole(f(value), n),
            Read::Wrong => Read::Wrong,
        }
    }
}

/// `5 code 0 type address port`: requests and answers have one shape.
fn message(bytes: &[u8]) -> Read<(u8, Vec<u8>)> {
    let [5, code, _, kind, rest @ ..] = bytes else {
        return if matches!(bytes, [] | [5] | [5, _] | [5, _, _]) { Read::More } else { Read::Wrong };
    };
    let (host, behind): (Vec<u8>, &[u8]) = match kind {
        1 => match rest.split_first_chunk::<4>() {
            Some((ip, behind)) => (Ipv4Addr::from(*ip).to_string().into_bytes(), behind),
            None => return Read::More,
        },
        3 => {
            let Some((&len, behind)) = rest.split_first() else { return Read::More };
            match behind.split_at_checked(usize::from(len)) {
                Some((host, behind)) => (host.to_vec(), behind),
                None => return Read::More,
            }
        }
        4 => match rest.split_first_chunk::<16>() {
            Some((ip, behind)) => (format!("[{}]", Ipv6Addr::from(*ip)).into_bytes(), behind),
            None => return Read::More,
        },
        _ => return Read::Wrong,
    };
    let Some((port, behind)) = behind.split_first_chunk::<2>() else { return Read::More };
    let target = target(&host, u16::from_be_bytes(*port));
    Read::Whole((*code, target), bytes.len() - behind.len())
}

/// Bytes up to a NUL, and what stands behind it.
fn name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes).filter(|&end| end <= NAME_BYTES)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn target(host: &[u8], port: u16) -> Vec<u8> {
    let mut target = host.to_vec();
    target.extend_from_slice(format!(":{port}").as_bytes());
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_of_both_versions_are_recognised_and_other_protocols_are_not() {
        for bytes in
            [&[5, 1, 0][..], &[5, 3, 0, 1, 2], &[4, 1, 0, 80, 192, 0, 2, 1, 0], &[4, 1, 0, 80, 0, 0, 0, 1, b'u']]
        {
            assert_eq!(begins(bytes), Some(true), "{bytes:?}");
            for n in 0..bytes.len() {
                assert_eq!(begins(&bytes[..n]), None, "{bytes:?} cut at {n}");
            }
        }
        for bytes in [&b"GET /"[..], &[5, 0], &[5, 1, 0x20], &[4, 3], &[4, 1, 0, 0], &[0x16, 3, 1], &[5, 200]] {
            assert_eq!(begins(bytes), Some(false), "{bytes:?}");
        }
    }

    #[test]
    fn requests_tell_host_and_port_in_all_three_forms() {
        let asked = |bytes: &[u8]| match request(bytes) {
            Read::Whole(r, n) => (r.command, String::from_utf8_lossy(&r.target).into_owned(), n),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked(&[5, 1, 0, 1, 192, 0, 2, 1, 0, 80, 9]), (1, "192.0.2.1:80".to_owned(), 10));
        assert_eq!(asked(&[&[5, 1, 0, 3, 3][..], b"a.b", &[1, 187]].concat()), (1, "a.b:443".to_owned(), 10));
        assert_eq!(asked(&[&[5, 2, 0, 4][..], &[0; 15], &[1, 0, 1]].concat()), (2, "[::1]:1".to_owned(), 22));
        assert_eq!(request(&[5, 1, 0, 9]), Read::Wrong);
        assert_eq!(reply(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]), Read::Whole(5, 10));
    }

    #[test]
    fn socks_4_and_4a_tell_host_and_port() {
        let asked = |bytes: &[u8]| match request_4(bytes) {
            Read::Whole(r, n) => (String::from_utf8_lossy(&r.target).into_owned(), n),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked(&[4, 1, 0, 80, 192, 0, 2, 1, b'u', 0, b'G']), ("192.0.2.1:80".to_owned(), 10));
        let with_name = [&[4, 1, 0, 80, 0, 0, 0, 7, 0][..], b"a.b\0"].concat();
        assert_eq!(asked(&with_name), ("a.b:80".to_owned(), 13));
        for n in 0..with_name.len() {
            assert_eq!(request_4(&with_name[..n]), Read::More, "{n}");
        }
        assert_eq!(request_4(&[&[4, 1, 0, 80, 1, 2, 3, 4][..], &[b'x'; 300]].concat()), Read::Wrong);
        assert_eq!(reply_4(&[0, 0x5b, 0, 0, 0, 0, 0, 0]), Read::Whole(0x5b, 8));
    }

    #[test]
    fn credentials_are_measured_and_not_read() {
        let bytes = [&[1, 2][..], b"me", &[6], b"secret"].concat();
        assert_eq!(credentials(&bytes), Read::Whole((), bytes.len()));
        for n in 0..bytes.len() {
            assert_eq!(credentials(&bytes[..n]), Read::More, "{n}");
        }
        assert_eq!(credentials_answer(&[1, 0]), Read::Whole(0, 2));
        assert_eq!(method(&[5, 2]), Read::Whole(2, 2));
        assert_eq!(greeting(&[5, 2, 0, 2, 5]), Read::Whole((), 4));
    }
}
