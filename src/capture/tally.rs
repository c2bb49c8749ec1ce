//! What is counted of the packets of an input, wherever they come from.

use super::record::Record;
use crate::base::{Timestamp, limits};
use crate::model::InputFacts;

/// Counts these packets, which follow each other. `last`: the time of the packet before, `None` before the first;
/// times of 0 are no times.
pub(super) fn tally(records: &[Record], last: &mut Option<Timestamp>, facts: &mut InputFacts) {
    let none = Timestamp(0);
    let (mut first, mut latest) = (facts.first.unwrap_or(none), facts.last.unwrap_or(none));
    let mut before = last.unwrap_or(none);
    for record in records {
        facts.captured_bytes += u64::from(record.cap_len);
        facts.longest = facts.longest.max(record.wire_len);
        if record.cap_len < record.wire_len {
            facts.snapped += 1;
            facts.snaplen = facts.snaplen.max(Some(record.cap_len));
        }
        // Nearly always time goes on.
        if record.ts >= latest && before == latest && latest > none {
            (before, latest) = (record.ts, record.ts);
        } else if record.ts != none {
            facts.time_backwards += u64::from(record.ts < before);
            before = record.ts;
            if first == none || record.ts < first {
                first = record.ts;
            }
            if latest == none || record.ts > latest {
                latest = record.ts;
            }
        }
    }
    if facts.longest > limits::WIRE_BYTES {
        facts.oversized += records.iter().filter(|record| record.wire_len > limits::WIRE_BYTES).count() as u64;
    }
    facts.packets += records.len() as u64;
    *last = Some(before);
    facts.first = Some(first).filter(|t| *t != none);
    facts.last = Some(latest).filter(|t| *t != none);
}
