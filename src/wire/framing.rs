//! How much of what follows a head is content (RFC 9112 §6).

use crate::model::Field;
use crate::model::head::{split_list, trim};

/// How the content of a message is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    /// To the end of the connection; responses only.
    UntilClose,
}

/// The framing that a head's fields announce. `value`: a field's bytes.
pub fn announced<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Framing> {
    let mut length = None;
    let mut chunked = None;
    for (name, value) in fields {
        if name.eq_ignore_ascii_case(b"content-length") {
            // Several equal lengths are one (RFC 9112 §6.3 item 5); of different ones the first counts.
            let number = value.split(|&b| b == b',').next().map(trim).and_then(number);
            length = length.or(number);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = split_list(value).pop().unwrap_or_default();
            chunked = Some(last.eq_ignore_ascii_case(b"chunked"));
        }
    }
    match (chunked, length) {
        // Transfer-Encoding goes before Content-Length (RFC 9112 §6.3 item 3).
        (Some(true), _) => Some(Framing::Chunked),
        (Some(false), _) => Some(Framing::UntilClose),
        (None, Some(length)) => Some(Framing::Length(length)),
        (None, None) => None,
    }
}

/// As [`announced`], for fields that were just read from `head`.
pub fn announced_in(head: &[u8], fields: &[Field]) -> Option<Framing> {
    let bytes = |r: &std::ops::Range<u32>| head.get(r.start as usize..r.end as usize).unwrap_or_default();
    announced(fields.iter().map(|f| (bytes(&f.name), bytes(&f.value))))
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_encoding_goes_before_content_length() {
        let fields: [(&[u8], &[u8]); 2] = [(b"Content-Length", b"5"), (b"transfer-encoding", b"gzip, Chunked")];
        assert_eq!(announced(fields.into_iter()), Some(Framing::Chunked));
        assert_eq!(announced([(&b"Content-Length"[..], &b"7, 7"[..])].into_iter()), Some(Framing::Length(7)));
    }
}
