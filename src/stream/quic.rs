//! Clients that open QUIC, and the name that each asks for. QUIC itself is not read.
//!
//! What comes in: datagrams of UDP. What goes out: counters. A ClientHello that lies in several datagrams is put
//! together, for `limits::QUIC_OPENING` connections at once.

use std::collections::VecDeque;

use crate::base::{Counters, limits};
use crate::wire::quic::{self, Initial};
use crate::wire::tls::{handshake, hello};

/// What is remembered of connections.
#[derive(Default)]
pub(super) struct Quic {
    /// The latest, by the connection id that their clients made up; named already or not.
    opening: VecDeque<Opening>,
    /// Packets that were decrypted, or tried.
    tried: u64,
}

struct Opening {
    connection: Box<[u8]>,
    hello: Vec<u8>,
    /// Pieces that came before what stands in front of them.
    ahead: Vec<(u64, Box<[u8]>)>,
    named: bool,
}

impl Quic {
    /// Looks at a datagram.
    #[inline]
    pub(super) fn datagram(&mut self, bytes: &[u8], counters: &mut Counters) {
        if quic::looks_initial(bytes) {
            self.initial(bytes, counters);
        }
    }

    #[cold]
    fn initial(&mut self, bytes: &[u8], counters: &mut Counters) {
        if self.tried >= limits::QUIC_TRIES {
            counters.quic_not_looked_at += 1;
            return;
        }
        self.tried += 1;
        let Some(initial) = quic::client_initial(bytes) else { return };
        let Initial { connection, crypto, .. } = initial;
        let known = self.opening.iter().position(|opening| opening.connection == connection);
        let at = known.unwrap_or_else(|| {
            counters.quic_connections += 1;
            if self.opening.len() >= limits::QUIC_OPENING {
                self.opening.pop_front();
            }
            self.opening.push_back(Opening { connection, hello: Vec::new(), ahead: Vec::new(), named: false });
            self.opening.len() - 1
        });
        if let Some(opening) = self.opening.get_mut(at).filter(|opening| !opening.named) {
            opening.add(crypto);
            opening.name(counters);
        }
    }
}

impl Opening {
    /// Puts pieces where they belong.
    fn add(&mut self, pieces: Vec<(u64, Box<[u8]>)>) {
        let held: usize = self.ahead.iter().map(|(_, bytes)| bytes.len()).sum();
        let coming: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        if held + coming + self.hello.len() > limits::QUIC_HELLO_BYTES || self.ahead.len() > limits::QUIC_HELLO_PIECES {
            return;
        }
        self.ahead.extend(pieces);
        self.ahead.sort_by_key(|(offset, _)| *offset);
        let mut later = Vec::new();
        for (offset, bytes) in std::mem::take(&mut self.ahead) {
            let end = self.hello.len();
            match usize::try_from(offset).ok().and_then(|offset| end.checked_sub(offset)) {
                Some(known) => self.hello.extend_from_slice(bytes.get(known..).unwrap_or_default()),
                None => later.push((offset, bytes)),
            }
        }
        self.ahead = later;
    }

    /// Counts the name, once the ClientHello is whole.
    fn name(&mut self, counters: &mut Counters) {
        let Some(header) = handshake::header(&self.hello).filter(|h| h.kind == handshake::CLIENT_HELLO) else { return };
        let whole = handshake::HEADER_BYTES.saturating_add(usize::try_from(header.length).unwrap_or(usize::MAX));
        let Some(hello) = self.hello.get(handshake::HEADER_BYTES..whole).and_then(hello::client) else { return };
        counters.quic_name(hello.server_name().unwrap_or_default());
        (self.named, self.hello, self.ahead) = (true, Vec::new(), Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::quic::Version;
    use crate::wire::quic::tests::sealed;

    /// A ClientHello (RFC 8446 §4.1.2) that asks for this name (RFC 6066 §3).
    fn hello(name: &[u8]) -> Vec<u8> {
        let len = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        let entry = [&[0][..], &len(name), name].concat();
        let list = [&len(&entry)[..], &entry].concat();
        let extension = [&[0, 0][..], &len(&list), &list].concat();
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &len(&extension), &extension].concat();
        let [high, low] = len(&body);
        [&[1, 0, high, low][..], &body].concat()
    }

    fn crypto(offset: u8, bytes: &[u8]) -> Vec<u8> {
        let [high, low] = (u16::try_from(bytes.len()).unwrap_or(0) | 0x4000).to_be_bytes();
        [&[6, offset, high, low][..], bytes].concat()
    }

    fn counted(datagrams: &[Vec<u8>]) -> (u64, Vec<(String, u64)>) {
        let (mut quic, mut counters) = (Quic::default(), Counters::default());
        datagrams.iter().for_each(|bytes| quic.datagram(bytes, &mut counters));
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        (counters.quic_connections, counters.quic_names.iter().map(|n| (text(&n.name), n.flows)).collect())
    }

    #[test]
    fn a_connection_is_counted_once_with_its_name_whatever_the_pieces() {
        let hello = hello(b"chat.example");
        let whole = sealed(Version::One, b"aaaaaaaa", &crypto(0, &hello));
        let named = vec![("chat.example".to_owned(), 1)];
        assert_eq!(counted(&[whole.clone(), whole]), (1, named.clone()));
        let (front, back) = hello.split_at(40);
        let (front, back) = (crypto(0, front), crypto(40, back));
        let both = sealed(Version::Two, b"bbbbbbbb", &[back.clone(), front.clone()].concat());
        assert_eq!(counted(&[both]), (1, named.clone()), "out of order in one packet");
        let apart = [back, front].map(|frame| sealed(Version::One, b"cccccccc", &frame));
        assert_eq!(counted(&apart), (1, named), "in two packets");
        let open = sealed(Version::One, b"dddddddd", &crypto(0, &hello[..40]));
        assert_eq!(counted(&[open]), (1, Vec::new()), "the name is not there");
    }

    #[test]
    fn what_is_held_and_tried_is_bounded() {
        let (mut quic, mut counters) = (Quic::default(), Counters::default());
        let far = sealed(Version::One, b"eeeeeeee", &crypto(60, &[9; 1_000]));
        for _ in 0..100 {
            quic.datagram(&far, &mut counters);
        }
        let held: usize = quic.opening.iter().flat_map(|o| &o.ahead).map(|(_, bytes)| bytes.len()).sum();
        assert!(held <= limits::QUIC_HELLO_BYTES, "{held}");
        quic.tried = limits::QUIC_TRIES;
        quic.datagram(&sealed(Version::One, b"ffffffff", &[]), &mut counters);
        assert_eq!((counters.quic_connections, counters.quic_not_looked_at), (1, 1));
    }
}
