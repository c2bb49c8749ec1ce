//! Handshake messages out of records: several in one, or one in several (RFC 8446 §5.1). Only those that tell
//! something are kept, up to `limits::TLS_HELLO_BYTES`; the others are passed over by their length.

use crate::base::limits;
use crate::wire::tls::handshake::{
    self, CLIENT_HELLO, ENCRYPTED_EXTENSIONS, END_OF_EARLY_DATA, FINISHED, HEADER_BYTES, KEY_UPDATE, SERVER_HELLO,
};

/// The messages of one direction.
#[derive(Default)]
pub(super) struct Messages {
    /// What is there of a header that is cut.
    header: Vec<u8>,
    /// Type of the message that has begun, and its bytes still to come.
    begun: Option<(u8, usize)>,
    body: Vec<u8>,
}

/// A message that tells something.
pub(super) struct Message {
    pub(super) kind: u8,
    /// Empty where only its type matters, and where it is too long.
    pub(super) body: Vec<u8>,
    /// Its body was left out because of `limits::TLS_HELLO_BYTES`.
    pub(super) too_long: bool,
}

fn wants_body(kind: u8) -> bool {
    matches!(kind, CLIENT_HELLO | SERVER_HELLO | ENCRYPTED_EXTENSIONS)
}

impl Messages {
    /// The next message that tells something and ends in these bytes, which are taken as far as they are used.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Message> {
        loop {
            if self.begun.is_none() {
                let (front, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES - self.header.len()));
                self.header.extend_from_slice(front);
                *bytes = rest;
                let header = handshake::header(&self.header)?;
                self.header.clear();
                self.begun = Some((header.kind, header.length as usize));
            }
            let (kind, left) = self.begun?;
            let (part, rest) = bytes.split_at(bytes.len().min(left));
            *bytes = rest;
            if wants_body(kind) && self.body.len() + left <= limits::TLS_HELLO_BYTES {
                self.body.extend_from_slice(part);
            }
            let left = left - part.len();
            self.begun = (left > 0).then_some((kind, left));
            if left > 0 {
                return None;
            }
            let body = std::mem::take(&mut self.body);
            if wants_body(kind) || matches!(kind, END_OF_EARLY_DATA | FINISHED | KEY_UPDATE) {
                // The shortest hello has 38 bytes, and EncryptedExtensions two.
                let too_long = wants_body(kind) && body.is_empty();
                return Some(Message { kind, body, too_long });
            }
        }
    }

    /// Bytes are missing, or the keys changed: what comes next begins a message.
    pub(super) fn restart(&mut self) {
        *self = Messages::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        [vec![kind, a, b, c], vec![kind; length]].concat()
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let all = [message(11, 300), message(2, 40), message(20, 12), message(4, 9), message(24, 1)].concat();
        for cut in 0..all.len() {
            let (mut messages, mut found) = (Messages::default(), Vec::new());
            for mut piece in [&all[..cut], &all[cut..]] {
                while let Some(m) = messages.next(&mut piece) {
                    found.push((m.kind, m.body.len()));
                }
                assert!(piece.is_empty());
            }
            assert_eq!(found, [(2, 40), (20, 0), (24, 0)], "cut at {cut}");
        }
    }

    #[test]
    fn a_giant_hello_is_passed_over() {
        let all = [message(1, limits::TLS_HELLO_BYTES + 1), message(1, 50)].concat();
        let (mut messages, mut piece) = (Messages::default(), all.as_slice());
        let giant = messages.next(&mut piece);
        assert!(giant.is_some_and(|m| m.too_long && m.body.is_empty()));
        assert!(messages.next(&mut piece).is_some_and(|m| m.body.len() == 50 && !m.too_long));
    }
}
