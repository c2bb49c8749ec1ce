//! What to make of a pcap record header that is out of the ordinary, and where the next good one is
//! behind damage. pcap has no marks between records: a header is believed when what it says fits the
//! records around it. Work is linear in the bytes; look-ahead is bounded by `limits`.

use super::pcap::{FILE_HEAD, Header, NEAR_S, Pcap, WIRE_MAX};
use super::walk::{Search, index, offset};
use crate::base::limits;

/// What a header out of the ordinary is.
pub(super) enum Verdict {
    /// Odd but true; the lengths put right.
    Take(Header),
    /// This many bytes from the header on decide.
    More(usize),
    /// The header of another pcap file: files were joined by `cat`.
    NewFile(Box<Pcap>),
    Fault(String),
}

/// Looks twice at the header at the start of `bytes`, and at the one that would follow.
pub(super) fn judge(pcap: &Pcap, bytes: &[u8], ended: bool) -> Verdict {
    let Some(mut head) = pcap.header(bytes, 0) else { return Verdict::More(pcap.head_len) };
    if Pcap::claims(bytes) {
        match bytes.get(..FILE_HEAD) {
            Some(file_head) => {
                if let Ok(new) = Pcap::open(file_head) {
                    return Verdict::NewFile(Box::new(new));
                }
            }
            None if !ended => return Verdict::More(FILE_HEAD),
            None => {}
        }
    }
    if is_zero(head) {
        return Verdict::Fault("a record header of zero bytes".to_owned());
    }
    if head.cap > head.wire && pcap.minor < 4 {
        // Writers of version 2.3 and before put the lengths in the other order (pcap §4).
        (head.cap, head.wire) = (head.wire, head.cap);
    }
    if head.cap > pcap.max {
        return Verdict::Fault(format!("a captured length of {} bytes, where {} is the most", head.cap, pcap.max));
    }
    let near = pcap.last_s.is_none_or(|last| is_near(head.sec, last));
    let end = pcap.head_len + index(head.cap);
    if bytes.len() < end {
        return match (ended, near) {
            (true, false) => nonsense(head),
            (true, true) => Verdict::Take(mended(head)),
            (false, _) => Verdict::More(end + pcap.head_len),
        };
    }
    let supported = match pcap.header(bytes, end) {
        Some(next) => {
            !is_zero(next) && (is_strict(pcap, next) || (is_near(next.sec, head.sec) && next.cap <= pcap.max))
        }
        None if !ended => return Verdict::More(end + pcap.head_len),
        None => true,
    };
    // One doubt needs a good successor; a doubtful time and a doubtful length at once are too much.
    if supported && (near || is_strict(pcap, head)) { Verdict::Take(mended(head)) } else { nonsense(head) }
}

/// The first header in `bytes` that is plausible, and whose successors are: one successor for a time
/// near the packet before the damage, three for any other time.
pub(super) fn search(pcap: &Pcap, bytes: &[u8], ended: bool) -> Search {
    let mut at = 0;
    while let Some(head) = pcap.header(bytes, at) {
        if is_strict(pcap, head) {
            let near = pcap.last_s.is_some_and(|last| is_near(head.sec, last));
            match chain(pcap, bytes, at, if near { 2 } else { 4 }, ended) {
                Chain::Holds => return Search::Found(at),
                Chain::Breaks => {}
                Chain::More(end) => return Search::More { from: at, need: end - at },
            }
        }
        at += 1;
    }
    Search::More { from: at.min(bytes.len()), need: pcap.head_len }
}

enum Chain {
    Holds,
    Breaks,
    /// Bytes up to this place are needed.
    More(usize),
}

/// Whether `links` plausible records follow each other from `at` on, or as many as the file has.
fn chain(pcap: &Pcap, bytes: &[u8], at: usize, links: usize, ended: bool) -> Chain {
    let mut place = at;
    let mut before: Option<Header> = None;
    for link in 0..links {
        let Some(head) = pcap.header(bytes, place) else {
            return match ended {
                false => Chain::More(place + pcap.head_len),
                // The file ends where a record ends. For a strange time one record is not enough.
                true if place == bytes.len() && (links < 3 || link >= 2) => Chain::Holds,
                true => Chain::Breaks,
            };
        };
        if !is_strict(pcap, head) || before.is_some_and(|b| !is_near(head.sec, b.sec)) {
            return Chain::Breaks;
        }
        place += pcap.head_len + index(head.cap);
        before = Some(head);
    }
    Chain::Holds
}

/// The header by itself makes sense in every word.
fn is_strict(pcap: &Pcap, head: Header) -> bool {
    // Behind damage only usual packets are believed, so that the look-ahead stays small.
    let max = pcap.max.min(offset(limits::PCAP_PACKET_BYTES));
    head.cap.wrapping_sub(1) < max && head.wire >= head.cap && head.wire <= WIRE_MAX && head.frac < pcap.per_second()
}

fn is_near(a: u32, b: u32) -> bool {
    a.abs_diff(b) <= NEAR_S
}

fn is_zero(head: Header) -> bool {
    head.sec | head.frac | head.cap | head.wire == 0
}

/// Some writers put 0 for the length on the wire: it is at least what was captured.
fn mended(head: Header) -> Header {
    Header { wire: head.wire.max(head.cap), ..head }
}

fn nonsense(head: Header) -> Verdict {
    Verdict::Fault(format!(
        "a record header that makes no sense (captured length {}, original length {}, time {} s)",
        head.cap, head.wire, head.sec
    ))
}
