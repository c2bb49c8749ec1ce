//! What happens to segments on their way into a capture: cut, swapped, repeated, overlapping, lost,
//! seen one way only. None of it changes what was said.

use super::script::{Segment, Side};

/// Cuts each segment's payload into pieces of these sizes in turn (0 counts as 1).
pub(crate) fn split(segments: Vec<Segment>, sizes: &[usize]) -> Vec<Segment> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut out = Vec::new();
    for segment in segments {
        let mut rest = segment;
        while let Some(size) = sizes.next().map(|s| s.max(1)).filter(|&s| s < rest.payload.len()) {
            let mut first = rest.clone();
            first.payload.truncate(size);
            // Only the last piece ends the stream.
            first.flags.fin = false;
            rest.payload.drain(..size);
            rest.seq = rest.seq.wrapping_add(size as u32);
            out.push(first);
        }
        out.push(rest);
    }
    out
}

/// Swaps neighbours as `swaps` says, each packet by few places; the TCP handshake keeps its place.
/// Times stay those of the places, so that the capture's clock runs forward.
pub(crate) fn reorder(mut segments: Vec<Segment>, swaps: &[u8]) -> Vec<Segment> {
    let times: Vec<u64> = segments.iter().map(|s| s.at_ns).collect();
    let start = segments.iter().rposition(|s| s.flags.syn).map_or(0, |i| i + 2);
    for (i, &distance) in swaps.iter().enumerate() {
        let (from, to) = (start + i, start + i + usize::from(distance % 4));
        if to < segments.len() {
            segments.swap(from, to);
        }
    }
    for (segment, at_ns) in segments.iter_mut().zip(times) {
        segment.at_ns = at_ns;
    }
    segments
}

/// Sends the chosen segments again, right behind themselves.
pub(crate) fn duplicate(segments: Vec<Segment>, which: &[bool]) -> Vec<Segment> {
    let mut chosen = which.iter().copied().chain(std::iter::repeat(false));
    segments
        .into_iter()
        .flat_map(|segment| {
            let copies = if chosen.next() == Some(true) { 2 } else { 1 };
            std::iter::repeat_n(segment, copies)
        })
        .collect()
}

/// Lets the chosen payload segments start earlier, with the bytes that were sent just before.
pub(crate) fn overlap(segments: Vec<Segment>, back: &[u8]) -> Vec<Segment> {
    let mut back = back.iter().copied().cycle();
    // All that each side sent so far, per flow: (client, server, side) → bytes.
    let mut said: Vec<(Segment, Vec<u8>)> = Vec::new();
    let mut out = Vec::new();
    for mut segment in segments {
        let same = |s: &Segment| s.client == segment.client && s.server == segment.server && s.from == segment.from;
        let index = said.iter().position(|(s, _)| same(s)).unwrap_or_else(|| {
            said.push((segment.clone(), Vec::new()));
            said.len() - 1
        });
        let sent = &mut said[index].1;
        if segment.payload.is_empty() {
            out.push(segment);
            continue;
        }
        let extra = usize::from(back.next().unwrap_or(0)).min(sent.len());
        let earlier = sent[sent.len() - extra..].to_vec();
        sent.extend_from_slice(&segment.payload);
        segment.seq = segment.seq.wrapping_sub(extra as u32);
        segment.payload.splice(..0, earlier);
        out.push(segment);
    }
    out
}

/// Keeps what one side sent.
pub(crate) fn one_way(segments: Vec<Segment>, from: Side) -> Vec<Segment> {
    segments.into_iter().filter(|s| s.from == from).collect()
}

/// Takes out the segments with these places, counted from 0.
pub(crate) fn lose(segments: Vec<Segment>, places: &[usize]) -> Vec<Segment> {
    segments.into_iter().enumerate().filter(|(i, _)| !places.contains(i)).map(|(_, s)| s).collect()
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    /// What a receiver that puts everything in its place would read from one side.
    fn read(segments: &[Segment], from: Side) -> Vec<u8> {
        let first = segments.iter().find(|s| s.from == from && s.flags.syn).expect("a SYN").seq.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut pieces: Vec<&Segment> = segments.iter().filter(|s| s.from == from && !s.flags.syn).collect();
        pieces.sort_by_key(|s| s.seq.wrapping_sub(first));
        for piece in pieces {
            let at = piece.seq.wrapping_sub(first) as usize;
            assert!(at <= bytes.len(), "a hole at {}", bytes.len());
            let known = (bytes.len() - at).min(piece.payload.len());
            assert_eq!(bytes[at..at + known], piece.payload[..known], "overlaps agree");
            bytes.extend_from_slice(&piece.payload[known..]);
        }
        bytes
    }

    #[test]
    fn no_shape_changes_what_was_said() {
        let whole = Script::flow().client("hello, server").server("hello, client").client("bye").segments();
        let shaped = split(whole.clone(), &[1, 3, 0, 2]);
        let shaped = overlap(shaped, &[0, 4, 1]);
        let shaped = duplicate(shaped, &[true, false, false, true, true]);
        let shaped = reorder(shaped, &[3, 1, 0, 2, 3, 1]);
        assert_ne!(shaped, whole);
        assert!(shaped.is_sorted_by_key(|s| s.at_ns));
        for side in [Side::Client, Side::Server] {
            assert_eq!(read(&shaped, side), read(&whole, side));
        }
    }

    #[test]
    fn lost_segments_and_the_other_side_are_gone() {
        let whole = Script::flow().client("a").segments();
        assert_eq!(lose(whole.clone(), &[0, 1]).len(), whole.len() - 2);
        assert!(one_way(whole, Side::Client).iter().all(|s| s.from == Side::Client));
    }
}
