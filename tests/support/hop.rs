//! What the proxies of this world do to the heads that they pass on.

use std::net::SocketAddr;

use sha1::{Digest as _, Sha1};

use super::accept;

/// A message head: its first line, and its fields in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub start: String,
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// From lines as `script::head` takes them.
    pub(crate) fn of(lines: &str) -> Head {
        let mut lines = lines.lines();
        let start = lines.next().expect("a first line").to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a name, a colon, a space and a value");
            (name.to_owned(), value.to_owned())
        };
        Head { start, fields: lines.map(field).collect() }
    }

    pub(crate) fn lines(&self) -> String {
        let fields: String = self.fields.iter().map(|(name, value)| format!("\n{name}: {value}")).collect();
        format!("{}{fields}", self.start)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str, word: &str) -> bool {
        self.value(name).is_some_and(|v| v.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Replaces the value where it stands, else appends the field.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.fields.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(field) => value.clone_into(&mut field.1),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Head {
        self.set(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Head {
        self.remove(name);
        self
    }

    /// The second word of a request line, and of a status line.
    pub(crate) fn second(&self) -> &str {
        self.start.split(' ').nth(1).expect("three words")
    }

    pub(crate) fn status(&self) -> u16 {
        self.second().parse().expect("a status")
    }
}

/// A change that a hop makes to each request that it passes on.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Takes away Upgrade and Connection, which end at each hop (RFC 9110 §7.6.1), and puts nothing there.
    StripUpgrade,
    /// That, and speaks HTTP/1.0 with `Connection: close`.
    Downgrade,
    /// Takes away all that makes it an upgrade: a plain request is left.
    StripWebSocket,
    Remove(&'static str),
    Set(&'static str, &'static str),
    /// Writes the names of fields as Go does: `Sec-Websocket-Key`.
    Recase,
    /// Host and Connection first, the others in reverse.
    Reorder,
    /// Appends the sender's address to X-Forwarded-For.
    ForwardedFor,
    /// Says the sender's address and port in Forwarded (RFC 7239 §4).
    Forwarded,
    /// Says them in a PROXY protocol header before the request, and in no field.
    ProxyHeader,
    /// Another head altogether takes its place.
    Instead(&'static str),
    /// A prefix of the path becomes another.
    Prefix(&'static str, &'static str),
    /// Speaks WebSocket on its own behalf: a key of its own upstream, the right accept for each side.
    NewKey,
}

impl Edit {
    /// `serial`: another number for each request, for what must never repeat.
    pub(crate) fn apply(&self, head: &mut Head, from: SocketAddr, serial: usize) {
        match self {
            Edit::StripUpgrade => ["Upgrade", "Connection"].iter().for_each(|name| head.remove(name)),
            Edit::Downgrade => {
                head.remove("Upgrade");
                head.set("Connection", "close");
                head.start = head.start.replace("HTTP/1.1", "HTTP/1.0");
            }
            Edit::StripWebSocket => head.fields.retain(|(name, _)| {
                let name = name.to_ascii_lowercase();
                !name.starts_with("sec-websocket-") && name != "upgrade" && name != "connection"
            }),
            Edit::Remove(name) => head.remove(name),
            Edit::Set(name, value) => head.set(name, value),
            Edit::Recase => {
                for (name, _) in &mut head.fields {
                    let words = name.split('-').map(|w| w[..1].to_ascii_uppercase() + &w[1..].to_ascii_lowercase());
                    *name = words.collect::<Vec<_>>().join("-");
                }
            }
            Edit::Reorder => {
                let first = |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("connection");
                head.fields.reverse();
                head.fields.sort_by_key(|(name, _)| !first(name));
            }
            Edit::ForwardedFor => {
                let before = head.value("X-Forwarded-For").map(|v| format!("{v}, ")).unwrap_or_default();
                head.set("X-Forwarded-For", &format!("{before}{}", from.ip()));
            }
            Edit::Forwarded => head.set("Forwarded", &format!("for=\"{from}\"")),
            // It stands before the head.
            Edit::ProxyHeader => {}
            Edit::Instead(lines) => *head = Head::of(lines),
            Edit::Prefix(old, new) => head.start = head.start.replacen(&format!(" {old}"), &format!(" {new}"), 1),
            Edit::NewKey => head.set("Sec-WebSocket-Key", &key(&format!("hop {serial}"))),
        }
    }
}

/// A key that belongs to these words alone.
pub(crate) fn key(words: &str) -> String {
    let digest = Sha1::digest(words.as_bytes());
    accept::key(digest[..16].try_into().expect("20 bytes have 16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "GET /api/chat HTTP/1.1\nHost: a\nupgrade: websocket\nConnection: keep-alive, Upgrade\n\
                         Sec-WebSocket-Key: k\nCookie: c=1";

    fn edited(edits: &[Edit]) -> Head {
        let mut head = Head::of(ASKED);
        edits.iter().for_each(|edit| edit.apply(&mut head, "192.0.2.7:4000".parse().unwrap(), 5));
        head
    }

    #[test]
    fn a_head_is_read_as_it_is_written() {
        assert_eq!(Head::of(ASKED).lines(), ASKED);
        assert!(Head::of(ASKED).has("connection", "upgrade") && !Head::of(ASKED).has("connection", "close"));
    }

    #[test]
    fn each_edit_changes_what_it_names_and_no_more() {
        assert_eq!(
            edited(&[Edit::StripUpgrade]).lines(),
            "GET /api/chat HTTP/1.1\nHost: a\nSec-WebSocket-Key: k\nCookie: c=1"
        );
        assert_eq!(
            edited(&[Edit::Downgrade]).lines(),
            "GET /api/chat HTTP/1.0\nHost: a\nConnection: close\nSec-WebSocket-Key: k\nCookie: c=1"
        );
        assert_eq!(
            edited(&[Edit::StripWebSocket, Edit::Prefix("/api/", "/")]).lines(),
            "GET /chat HTTP/1.1\nHost: a\nCookie: c=1"
        );
        assert_eq!(
            edited(&[Edit::Reorder, Edit::Recase]).lines(),
            "GET /api/chat HTTP/1.1\nConnection: keep-alive, Upgrade\nHost: a\nCookie: c=1\n\
             Sec-Websocket-Key: k\nUpgrade: websocket"
        );
        assert_eq!(
            edited(&[Edit::ForwardedFor, Edit::ForwardedFor]).value("x-forwarded-for"),
            Some("192.0.2.7, 192.0.2.7")
        );
        assert_eq!(edited(&[Edit::Forwarded]).value("forwarded"), Some("for=\"192.0.2.7:4000\""));
        assert_eq!(edited(&[Edit::Instead("GET / HTTP/1.1\nA: b")]).lines(), "GET / HTTP/1.1\nA: b");
        let own = edited(&[Edit::NewKey, Edit::Set("Host", "b"), Edit::Remove("cookie")]);
        assert_eq!(own.value("sec-websocket-key"), Some(&*key("hop 5")));
        assert_eq!((own.value("host"), own.value("cookie"), own.fields.len()), (Some("b"), None, 4));
    }
}
