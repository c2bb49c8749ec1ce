//! What a file that is no capture looks like instead, from its first bytes: for the one sentence that
//! refuses it.

/// What it is, and what to do about it; both fit into `cannot read: WHY (TO DO)`. `bytes`: the first
/// bytes of the file, all of them where it is short.
pub(super) fn looks_like(bytes: &[u8]) -> (String, String) {
    if bytes.is_empty() {
        return ("the file is empty".into(), "capture again, a capture has at least a header of 24 bytes".into());
    }
    for (magic, what, to_do) in MAGICS {
        if bytes.starts_with(magic) {
            return ((*what).to_owned(), (*to_do).to_owned());
        }
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return ("it is a tar archive".into(), UNPACK.into());
    }
    if let Some(answer) = text(bytes) {
        return answer;
    }
    if bytes.iter().all(|b| *b == 0) {
        return ("it holds only zero bytes".into(), "copy it again, or capture again".into());
    }
    let first: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    (format!("it is neither pcap nor pcapng: it begins with {}", first.join(" ")), CAPTURE.into())
}

const UNPACK: &str = "unpack it, and give the capture inside";
const CAPTURE: &str = "give a capture made by tcpdump, dumpcap or Wireshark";
const CONVERT: &str = "convert it: editcap -F pcapng OLD NEW";

/// First bytes, what they mean, what to do.
static MAGICS: &[(&[u8], &str, &str)] = &[
    (b"BZh", "it is compressed by bzip2", "bzip2 -dc FILE | hopscope report -"),
    (b"\x1f\x9d", "it is compressed by compress", "gzip -dc FILE | hopscope report -"),
    (b"\x02\x21\x4c\x18", "it is compressed by lz4 in its old format", "lz4 -dc FILE | hopscope report -"),
    (b"PK\x03\x04", "it is a zip archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7-Zip archive", UNPACK),
    (b"Rar!", "it is a RAR archive", UNPACK),
    (b"snoop\0\0\0", "it is a snoop capture of Solaris", CONVERT),
    (b"GMBU\0", "it is a Microsoft Network Monitor capture", CONVERT),
    (b"RTSS", "it is a Microsoft Network Monitor 1 capture", CONVERT),
    (b"TRSNIFF data", "it is a capture of the Sniffer", CONVERT),
    (b"XCP\0", "it is a capture of NetXRay or Sniffer", CONVERT),
    (b"\x7fver", "it is a capture of a WildPackets analyser", CONVERT),
    (b"\x1c\0\x01\xac", "it is a pcap variant of IXIA hardware", CONVERT),
    (b"\x1c\0\x01\xab", "it is a pcap variant of IXIA hardware", CONVERT),
    (b"btsnoop\0", "it is a Bluetooth snoop log", CAPTURE),
    (b"\x7fELF", "it is an ELF program", CAPTURE),
    (b"MZ", "it is a Windows program", CAPTURE),
    (b"%PDF", "it is a PDF document", CAPTURE),
    (b"\x89PNG", "it is a PNG picture", CAPTURE),
    (b"\xff\xd8\xff", "it is a JPEG picture", CAPTURE),
    (b"SQLite format 3\0", "it is an SQLite database", CAPTURE),
    // A pcapng file whose line ends were "corrected": its first word 0a0d0d0a is there to show just that.
    (b"\r\n\r\r\n", "it is a pcapng file damaged by a transfer in text mode", "copy it again in binary mode"),
    (b"\r\n\r\n", "it is a pcapng file damaged by a transfer in text mode", "copy it again in binary mode"),
];

fn text(bytes: &[u8]) -> Option<(String, String)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let odd = bytes.iter().any(|b| matches!(b, 0..=8 | 14..=26 | 28..=31 | 127));
    let cut_utf8 = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    if odd || !cut_utf8 {
        return None;
    }
    let trimmed = bytes.trim_ascii_start();
    let lower: Vec<u8> = trimmed.iter().take(16).map(u8::to_ascii_lowercase).collect();
    let (what, to_do) = if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        ("it is an HTML page", "a download that needed a log-in? fetch the capture itself")
    } else if lower.starts_with(b"<?xml") {
        ("it is XML text", CAPTURE)
    } else if lower.starts_with(b"{") || lower.starts_with(b"[{") || lower.starts_with(b"[\n") {
        ("it is JSON text", CAPTURE)
    } else if lower.starts_with(b"version https://") && trimmed.starts_with(b"version https://git-lfs") {
        ("it is a Git LFS pointer, not the file itself", "git lfs pull")
    } else if key_log(trimmed) {
        ("it is a TLS key log", "give it as --keylog FILE, and beside it the capture that belongs to it")
    } else if printed_packets(trimmed) {
        ("it is text that tcpdump printed", "capture with: tcpdump -w FILE")
    } else {
        ("it is text", CAPTURE)
    };
    Some((what.to_owned(), to_do.to_owned()))
}

fn key_log(text: &[u8]) -> bool {
    [&b"CLIENT_RANDOM "[..], b"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", b"SERVER_HANDSHAKE_TRAFFIC_SECRET "]
        .iter()
        .any(|label| text.starts_with(label))
}

/// `12:34:56.789012 IP 10.0.0.1…`
fn printed_packets(text: &[u8]) -> bool {
    text.get(2) == Some(&b':') && text.get(5) == Some(&b':') && text.get(8) == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_mistakes_are_named() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"BZh91AY", "bzip2"),
            (b"\x02\x21\x4c\x18\x64", "lz4 in its old format"),
            (b"PK\x03\x04\x14\0", "zip"),
            (b"snoop\0\0\0\0\0\0\x02", "snoop"),
            (b"\x7fELF\x02\x01\x01", "ELF"),
            (b"\n<!DOCTYPE HTML>\n", "HTML"),
            (b"{\"a\": 1}\n", "JSON"),
            (b"CLIENT_RANDOM 00ff 11\n", "key log"),
            (b"12:34:56.789012 IP 10.0.0.1.1 > 10.0.0.2.2: tcp 0\n", "tcpdump printed"),
            ("grüße, a file of text".as_bytes(), "text"),
            (b"\0\0\0\0\0\0", "zero"),
            (b"\x01\xfe\x02\x80zzzz", "01 fe 02 80"),
        ] {
            let (what, to_do) = looks_like(bytes);
            assert!(what.contains(word), "{what}");
            assert!(!to_do.is_empty());
        }
    }
}
