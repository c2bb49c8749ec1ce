//! Secrets from key logs (RFC 9850), by the client's random. In memory only, wiped when dropped; nothing
//! here can print them.

use std::collections::VecDeque;
use std::fmt;

use hashbrown::HashMap;
use zeroize::{Zeroize as _, Zeroizing};

use crate::base::limits;

/// What a secret is for: the labels of RFC 9850 that are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The master secret of TLS 1.2 and before.
    Master,
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientApplication,
    ServerApplication,
}

/// Labels as they stand in a log. All others, EXPORTER_SECRET among them, are passed over.
const LABELS: [(&[u8], Label); 6] = [
    (b"CLIENT_RANDOM", Label::Master),
    (b"CLIENT_EARLY_TRAFFIC_SECRET", Label::ClientEarly),
    (b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", Label::ClientHandshake),
    (b"SERVER_HANDSHAKE_TRAFFIC_SECRET", Label::ServerHandshake),
    (b"CLIENT_TRAFFIC_SECRET_0", Label::ClientApplication),
    (b"SERVER_TRAFFIC_SECRET_0", Label::ServerApplication),
];

/// Longest line with a meaning, its end included.
const LINE_BYTES: usize = 31 + 1 + 64 + 1 + 96 + 1;

/// Longest secret: SHA-384's output, and a master secret (RFC 5246 §8.1).
const SECRET_BYTES: usize = 48;

type Random = [u8; 32];

/// A secret's bytes. Stays where it was made until it is wiped: a copy left behind by a move would not be.
pub struct Secret(Box<Kept>);

struct Kept {
    length: u8,
    bytes: [u8; SECRET_BYTES],
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Secret {
    /// `None`: longer than any secret is.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut kept = Box::new(Kept { length: u8::try_from(bytes.len()).ok()?, bytes: [0; SECRET_BYTES] });
        kept.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Secret(kept))
    }

    /// 32 or 48 bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes.get(..usize::from(self.0.length)).unwrap_or_default()
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        let mut kept = Box::new(Kept { length: self.0.length, bytes: [0; SECRET_BYTES] });
        kept.bytes.copy_from_slice(&self.0.bytes);
        Secret(kept)
    }
}

/// The secrets of one client random.
#[derive(Clone, Default)]
struct Entry([Option<Secret>; LABELS.len()]);

/// What was counted while reading key logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Secrets read, those known already left out.
    pub secrets: u64,
    /// Lines with a label that is known and a random or secret that is none.
    pub malformed: u64,
    /// Lines longer than `limits::TLS_KEY_LINE_BYTES`.
    pub too_long: u64,
    /// Secrets that replaced others of the same label and random.
    pub replaced: u64,
    /// Randoms forgotten because of `limits::TLS_SECRETS` or `limits::TLS_SECRET_BYTES`.
    pub evicted: u64,
}

/// The secrets of all key logs of an analysis.
#[derive(Clone, Default)]
pub struct Secrets {
    entries: HashMap<Random, Entry, foldhash::fast::RandomState>,
    /// In the order in which they were learnt.
    order: VecDeque<Random>,
    bytes: usize,
    /// Set while a log may still grow: sessions whose secrets are missing then hold what they cannot read, up
    /// to `limits::TLS_HELD_BYTES`, and are to be asked again by `Session::retry`.
    pub may_grow: bool,
    pub counted: Counted,
}

/// Their number, nothing else.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.len())
    }
}

/// Reads one key log that comes in pieces: a line waits until its end has come.
#[derive(Default)]
pub struct KeyLog {
    /// The last line as far as it was seen.
    line: Zeroizing<Vec<u8>>,
    /// The rest of this line is passed over.
    too_long: bool,
}

impl Secrets {
    /// Reads a whole key log, such as a decryption secrets block of pcapng.
    pub fn read(&mut self, log: &[u8]) {
        let mut reader = KeyLog::default();
        reader.push(log, self);
        reader.end(self);
    }

    /// Client randoms with secrets.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is any secret of this client random.
    pub fn knows(&self, random: &Random) -> bool {
        self.entries.contains_key(random)
    }

    /// One secret of a client random.
    pub fn find(&self, random: &Random, label: Label) -> Option<&Secret> {
        self.entries.get(random)?.0.get(label as usize)?.as_ref()
    }

    /// Adds the lines of a key log that hold the secrets of this client random.
    pub fn write(&self, random: &Random, log: &mut Zeroizing<Vec<u8>>) {
        let Some(Entry(secrets)) = self.entries.get(random) else { return };
        let digits = |bytes: &[u8], log: &mut Vec<u8>| {
            for byte in bytes {
                log.extend([byte >> 4, byte & 15].map(|n| b"0123456789abcdef"[usize::from(n)]));
            }
        };
        // All at once: growing would leave copies behind.
        let room = log.len() + LABELS.len() * LINE_BYTES;
        let mut longer = Zeroizing::new(Vec::with_capacity(room));
        longer.extend_from_slice(log);
        for (label, secret) in
            LABELS.iter().filter_map(|(name, label)| Some((name, secrets[*label as usize].as_ref()?)))
        {
            longer.extend_from_slice(label);
            longer.push(b' ');
            digits(random, &mut longer);
            longer.push(b' ');
            digits(secret.bytes(), &mut longer);
            longer.push(b'\n');
        }
        *log = longer;
    }

    fn line(&mut self, line: &[u8]) {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
        let Some(word) = words.next() else { return };
        let Some(&(_, label)) = LABELS.iter().find(|(name, _)| *name == word) else { return };
        let (random, secret) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut key = Random::default();
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        let length = hex(secret, bytes.as_mut_slice());
        let right = match label {
            Label::Master => length == Some(48),
            _ => matches!(length, Some(32 | 48)),
        };
        let secret = length.and_then(|n| bytes.get(..n)).and_then(Secret::of);
        match secret {
            Some(secret) if right && hex(random, &mut key) == Some(key.len()) => self.keep(key, label, secret),
            _ => self.counted.malformed += 1,
        }
    }

    fn keep(&mut self, random: Random, label: Label, secret: Secret) {
        let entry = self.entries.entry(random).or_insert_with(|| {
            self.order.push_back(random);
            Entry::default()
        });
        let Some(place) = entry.0.get_mut(label as usize) else { return };
        if let Some(before) = place {
            if before.bytes() == secret.bytes() {
                return;
            }
            self.counted.replaced += 1;
            self.bytes -= before.bytes().len();
        }
        self.bytes += secret.bytes().len();
        self.counted.secrets += 1;
        *place = Some(secret);
        while self.entries.len() > limits::TLS_SECRETS || self.bytes > limits::TLS_SECRET_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.entries.remove(&oldest) {
                self.bytes -= gone.0.iter().flatten().map(|s| s.bytes().len()).sum::<usize>();
                self.counted.evicted += 1;
            }
        }
    }
}

impl KeyLog {
    /// The next bytes of the log. Lines end with LF or CRLF; empty ones and those that begin with `#` say
    /// nothing. A file that is read again from its start may be pushed again: what is known stays known.
    pub fn push(&mut self, mut bytes: &[u8], secrets: &mut Secrets) {
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = bytes.split_at(end);
            self.add(line, secrets);
            self.end(secrets);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.add(bytes, secrets);
    }

    /// The log is over: its last line needs no line end.
    pub fn end(&mut self, secrets: &mut Secrets) {
        if !self.too_long {
            secrets.line(&self.line);
        }
        self.too_long = false;
        self.line.zeroize();
    }

    fn add(&mut self, part: &[u8], secrets: &mut Secrets) {
        if self.too_long || part.is_empty() {
            return;
        }
        if self.line.len() + part.len() > limits::TLS_KEY_LINE_BYTES {
            secrets.counted.too_long += 1;
            self.too_long = true;
            self.line.zeroize();
            return;
        }
        if self.line.capacity() == 0 {
            // All at once: growing would leave copies behind.
            self.line.reserve_exact(limits::TLS_KEY_LINE_BYTES);
        }
        self.line.extend_from_slice(part);
    }
}

/// Reads hexadecimal digits of either case. Bytes written; `None`: not such digits, or too many.
fn hex(digits: &[u8], out: &mut [u8]) -> Option<usize> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let room = out.get_mut(..pairs.len())?;
    for (byte, [high, low]) in room.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(pairs.len())
}

fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "for tests")]
mod tests {
    use super::*;

    fn line(label: &str, random: u8, secret: u8, bytes: usize) -> String {
        format!("{label} {} {}", format!("{random:02x}").repeat(32), format!("{secret:02X}").repeat(bytes))
    }

    #[test]
    fn the_labels_of_the_rfc_are_read_and_others_passed_over() {
        let log = [
            "# a comment".to_owned(),
            String::new(),
            line("CLIENT_RANDOM", 1, 0xa1, 48),
            line("SERVER_TRAFFIC_SECRET_0", 2, 0xa2, 32) + "\r",
            line("CLIENT_EARLY_TRAFFIC_SECRET", 2, 0xa3, 48),
            line("EXPORTER_SECRET", 3, 0xa4, 32),
            line("CLIENT_TRAFFIC_SECRET_1", 3, 0xa4, 32),
            "RSA 0011223344556677 00".to_owned(),
        ]
        .join("\n");
        let mut s = Secrets::default();
        s.read(log.as_bytes());
        assert_eq!(s.len(), 2);
        assert_eq!(s.find(&[1; 32], Label::Master).unwrap().bytes(), [0xa1; 48]);
        assert_eq!(s.find(&[2; 32], Label::ServerApplication).unwrap().bytes(), [0xa2; 32]);
        assert_eq!(s.find(&[2; 32], Label::ClientEarly).unwrap().bytes(), [0xa3; 48]);
        assert!(s.find(&[2; 32], Label::Master).is_none() && !s.knows(&[3; 32]));
        assert_eq!(s.counted, Counted { secrets: 3, ..Counted::default() });
    }

    #[test]
    fn the_secrets_of_one_random_are_written_as_they_were_read_and_no_others() {
        let own = [line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 2, 1, 48), line("SERVER_TRAFFIC_SECRET_0", 2, 2, 32)];
        let mut s = Secrets::default();
        s.read((own.join("\n") + "\n" + &line("CLIENT_RANDOM", 1, 0xa1, 48)).as_bytes());
        let mut log = Zeroizing::new(Vec::new());
        s.write(&[3; 32], &mut log);
        assert!(log.is_empty());
        s.write(&[2; 32], &mut log);
        assert_eq!(String::from_utf8_lossy(&log), own.join("\n") + "\n");
        assert_eq!(log.capacity(), LABELS.len() * LINE_BYTES);
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let log = line("CLIENT_RANDOM", 1, 5, 48) + "\r\n" + &line("CLIENT_RANDOM", 2, 6, 48);
        for cut in 0..log.len() {
            let (mut s, mut reader) = (Secrets::default(), KeyLog::default());
            reader.push(&log.as_bytes()[..cut], &mut s);
            let before = s.len();
            reader.push(&log.as_bytes()[cut..], &mut s);
            assert!(before <= 1 && s.len() == 1, "cut at {cut}");
            reader.end(&mut s);
            assert_eq!((s.len(), s.counted.malformed), (2, 0), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_malformed_is_counted_and_nothing_of_it_kept() {
        let mut s = Secrets::default();
        for bad in [
            "CLIENT_RANDOM".to_owned(),
            line("CLIENT_RANDOM", 1, 1, 47),
            line("CLIENT_RANDOM", 1, 1, 49),
            line("CLIENT_RANDOM", 1, 1, 48).replace("01", "0g"),
            line("SERVER_TRAFFIC_SECRET_0", 1, 1, 31),
            line("CLIENT_RANDOM", 1, 1, 48) + "0",
        ] {
            s.read(bad.as_bytes());
        }
        s.read(&vec![b'C'; limits::TLS_KEY_LINE_BYTES + 1]);
        assert_eq!(s.counted, Counted { malformed: 6, too_long: 1, ..Counted::default() });
        assert!(s.is_empty());
    }

    #[test]
    fn the_same_log_twice_changes_nothing_and_a_later_secret_counts() {
        let mut s = Secrets::default();
        s.read(line("CLIENT_RANDOM", 1, 1, 48).as_bytes());
        s.read(line("CLIENT_RANDOM", 1, 1, 48).as_bytes());
        assert_eq!(s.counted, Counted { secrets: 1, ..Counted::default() });
        s.read(line("CLIENT_RANDOM", 1, 2, 48).as_bytes());
        assert_eq!(s.find(&[1; 32], Label::Master).unwrap().bytes(), [2; 48]);
        assert_eq!((s.counted.replaced, s.bytes), (1, 48));
    }

    #[test]
    fn beyond_the_limit_the_oldest_random_goes() {
        let mut s = Secrets::default();
        for n in 0..=u32::try_from(limits::TLS_SECRETS).unwrap() {
            let mut random = [0; 32];
            random[..4].copy_from_slice(&n.to_be_bytes());
            s.keep(random, Label::Master, Secret::of(&[1; 48]).unwrap());
        }
        assert_eq!((s.len(), s.counted.evicted), (limits::TLS_SECRETS, 1));
        assert!(!s.knows(&[0; 32]));
        assert_eq!(s.bytes, limits::TLS_SECRETS * 48);
    }
}
