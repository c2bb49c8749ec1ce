//! The header of a record (RFC 8446 §5.1, RFC 5246 §6.2.1).

use crate::base::limits;

/// Bytes of a record's header.
pub const HEADER_BYTES: usize = 5;

/// Content types.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;
pub const HEARTBEAT: u8 = 24;

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Content type, 20 to 24. In TLS 1.3, 23 for everything that is encrypted.
    pub kind: u8,
    /// Legacy version: 0x0300 to 0x0304.
    pub version: u16,
    /// Bytes of the body: at most `limits::TLS_RECORD_BYTES`.
    pub length: u16,
}

impl Header {
    /// As it stands on the wire.
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let ([a, b], [c, d]) = (self.version.to_be_bytes(), self.length.to_be_bytes());
        [self.kind, a, b, c, d]
    }

    /// Bytes of the record with its header.
    pub fn whole(&self) -> usize {
        HEADER_BYTES + usize::from(self.length)
    }
}

/// What the first bytes of a record say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Header(Header),
    /// What is there could become a header.
    More,
    /// No record begins like this.
    Wrong,
}

/// Reads a record's header.
pub fn header(bytes: &[u8]) -> Read {
    let fits = |at: usize, low: u8, high: u8| bytes.get(at).is_none_or(|b| (low..=high).contains(b));
    if !(fits(0, CHANGE_CIPHER_SPEC, HEARTBEAT) && fits(1, 3, 3) && fits(2, 0, 4)) {
        return Read::Wrong;
    }
    let &[kind, major, minor, high, low, ..] = bytes else { return Read::More };
    let length = u16::from_be_bytes([high, low]);
    if usize::from(length) > limits::TLS_RECORD_BYTES {
        return Read::Wrong;
    }
    Read::Header(Header { kind, version: u16::from_be_bytes([major, minor]), length })
}

/// Whether these bytes end with a record of TLS 1.3 that is as long as an alert is (RFC 8446 §6): two bytes,
/// the content type and a tag of 16. Anything else of two bytes looks the same.
pub fn ends_like_alert_1_3(bytes: &[u8]) -> bool {
    const BODY: u8 = 2 + 1 + 16;
    let tail = bytes.len().checked_sub(HEADER_BYTES + usize::from(BODY)).and_then(|from| bytes.get(from..));
    matches!(tail, Some([APPLICATION_DATA, 3, 3, 0, BODY, ..]))
}

/// Bytes of the bodies that encrypted alerts have, by the suites that can be read: two for level and description, and
/// what protects them (RFC 8446 §5.2, RFC 5246 §6.2.3, RFC 7366 §3). In TLS 1.3: 19 and 11.
pub const ALERT_BODIES: [u8; 8] = [19, 26, 18, 11, 48, 64, 52, 80];

/// Bytes of the body of an encrypted alert that these bytes end with, by its length in the last header. 0: they end
/// with nothing that is as long as an alert is.
#[inline]
pub fn alert_at_end(bytes: &[u8]) -> u8 {
    let ends_with = |body: &u8| {
        let from = bytes.len().checked_sub(HEADER_BYTES + usize::from(*body));
        let header = from.and_then(|from| bytes.get(from..from + HEADER_BYTES));
        matches!(header, Some([ALERT | APPLICATION_DATA, 3, 3, 0, length]) if length == body)
    };
    ALERT_BODIES.into_iter().find(ends_with).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_and_written_alike() {
        let bytes = [22, 3, 1, 2, 0];
        let Read::Header(h) = header(&bytes) else { panic!("a header") };
        assert_eq!((h.kind, h.version, h.length, h.whole()), (22, 0x0301, 512, 517));
        assert_eq!(h.bytes(), bytes);
        for n in 0..5 {
            assert_eq!(header(&bytes[..n]), Read::More, "{n} bytes");
        }
    }

    #[test]
    fn what_no_record_begins_with_is_told_at_its_first_wrong_byte() {
        for wrong in [&[19][..], &[25], &[23, 2], &[23, 3, 5], &[23, 3, 3, 0x48, 1]] {
            assert_eq!(header(wrong), Read::Wrong, "{wrong:?}");
        }
        assert!(matches!(header(&[23, 3, 3, 0x48, 0]), Read::Header(_)), "the largest");
    }

    #[test]
    fn only_nineteen_bytes_look_like_an_alert() {
        let mut bytes = vec![9; 7];
        bytes.extend([23, 3, 3, 0, 19]);
        bytes.extend([0; 19]);
        assert!(ends_like_alert_1_3(&bytes));
        bytes.push(0);
        assert!(!ends_like_alert_1_3(&bytes));
        assert!(!ends_like_alert_1_3(&bytes[..10]));
    }
}
