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

#[cfg(test)]
mod tests {
    use super::super::made::{Pcap, T0, read};

    /// Twenty packets of a hundred bytes, a second apart.
    fn twenty() -> Pcap {
        (0..20).fold(Pcap::usual(), |file, n| file.packet(T0 + n, 0, &[0xee; 100]))
    }

    const RECORD: usize = 116;

    #[test]
    fn an_impossible_length_costs_its_packet_alone() {
        let mut bytes = twenty().bytes;
        let at = 24 + 5 * RECORD;
        bytes[at + 8..at + 12].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        let (seen, facts) = read(&bytes);
        assert_eq!(seen.len(), 19);
        let [damage] = &facts.damage[..] else { panic!("{:?}", facts.damage) };
        assert_eq!((damage.packet, damage.byte, damage.lost_bytes), (6, at as u64, RECORD as u64));
        assert!(damage.why.contains("2147483647"), "{}", damage.why);
        assert_eq!(seen[5].ns, i64::from(T0 + 6) * 1_000_000_000);
        assert_eq!(seen[5].no, 6);
    }

    #[test]
    fn missing_inserted_and_zeroed_bytes_are_stepped_over() {
        let at = 24 + 5 * RECORD + 50;
        let mut missing = twenty().bytes;
        missing.drain(at..at + 333);
        let mut inserted = twenty().bytes;
        inserted.splice(at..at, [0x41; 777]);
        let mut zeroed = twenty().bytes;
        zeroed[at..at + 500].fill(0);
        for (bytes, least) in [(missing, 16), (inserted, 19), (zeroed, 15)] {
            let (seen, facts) = read(&bytes);
            assert!(seen.len() >= least, "{} {:?}", seen.len(), facts.damage);
            assert_eq!(facts.damage.len(), 1);
            assert!(facts.cut_short.is_none());
            assert_eq!(seen.last().map(|p| p.ns), Some(i64::from(T0 + 19) * 1_000_000_000));
        }
    }

    #[test]
    fn a_length_that_hides_the_rest_of_the_file_is_damage_and_not_a_cut() {
        let mut bytes = twenty().bytes;
        let at = 24 + 15 * RECORD;
        bytes[at + 8..at + 16].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);
        let (seen, facts) = read(&bytes);
        assert_eq!((seen.len(), facts.cut_short, facts.damage.len()), (19, None, 1));
    }

    #[test]
    fn damage_without_a_plausible_record_behind_it_loses_the_rest() {
        let mut bytes = twenty().bytes;
        let at = 24 + 5 * RECORD;
        bytes[at..].fill(0xff);
        let (seen, facts) = read(&bytes);
        assert_eq!(seen.len(), 5);
        assert_eq!(facts.damage[0].lost_bytes, (bytes.len() - at) as u64);
        assert!(facts.cut_short.is_none());
    }

    #[test]
    fn records_of_another_time_are_found_behind_damage() {
        let mut file = twenty();
        file.bytes.extend([0xff; 99]);
        let file = (0..5).fold(file, |f, n| f.packet(5_000 + n, 0, &[1; 60]));
        let (seen, facts) = read(&file.bytes);
        assert_eq!((seen.len(), facts.damage.len(), facts.damage[0].lost_bytes), (25, 1, 99));
    }

    #[test]
    fn damage_is_told_in_bounded_detail() {
        let mut file = Pcap::usual();
        for n in 0..500 {
            file = file.packet(T0, n, b"12345678").packet(T0, n, b"12345678");
            file.bytes.extend([0xff; 40]);
        }
        let (seen, facts) = read(&file.bytes);
        assert_eq!(seen.len(), 1_000);
        assert_eq!(facts.damage.len() as u64 + facts.more_damage, 500);
        assert_eq!(facts.damage.len(), crate::base::limits::DAMAGES);
        assert_eq!(facts.more_lost_bytes, facts.more_damage * 40);
    }
}
