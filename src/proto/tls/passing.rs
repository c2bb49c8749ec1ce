//! A direction that cannot be read: sizes and times of its first records, and alerts among them.

use super::session::Session;
use super::{Alert, Event, Input, Place, Said};
use crate::model::Direction;
use crate::wire::tls::alert;
use crate::wire::tls::record::{self, HEADER_BYTES};

impl Session {
    /// A direction that cannot be read: only what its headers say, and of these the first ones.
    pub(super) fn pass(&mut self, input: &Input<'_>, mut bytes: &[u8]) {
        let [client, server] = &mut self.halves;
        let half = if input.dir == Direction::ClientToServer { client } else { server };
        half.end += bytes.len() as u64;
        while !bytes.is_empty() && (half.skip > 0 || !half.seen.is_full()) {
            if half.skip > 0 {
                let n = usize::try_from(half.skip).unwrap_or(usize::MAX).min(bytes.len());
                let (body, rest) = bytes.split_at(n);
                half.skip -= n as u64;
                bytes = rest;
                if half.skip == 0
                    && let Some(header) = half.passing.take()
                {
                    half.seen.record(input.ts, header.kind, header.length);
                    if header.kind == record::ALERT {
                        let end = half.end - bytes.len() as u64;
                        let record = end.saturating_sub(header.whole() as u64)..end;
                        let place = Place { dir: input.dir, ts: input.ts, at: input.at, record };
                        let clear = alert::read(body).filter(|_| header.length == 2);
                        let said = clear.map_or(Said::Sealed, |(level, description)| Said::Read { level, description });
                        self.events.push_back(Event::Alert(Alert { place, said }));
                    }
                }
                continue;
            }
            let n = bytes.len().min(HEADER_BYTES - half.buffer.len());
            let (front, rest) = bytes.split_at(n);
            half.buffer.extend_from_slice(front);
            bytes = rest;
            match record::header(&half.buffer) {
                record::Read::More => break,
                record::Read::Header(header) => {
                    half.skip = u64::from(header.length);
                    half.buffer = Vec::new();
                    if half.skip > 0 {
                        half.passing = Some(header);
                    } else {
                        half.seen.record(input.ts, header.kind, 0);
                    }
                }
                record::Read::Wrong => {
                    // Out of step: the next segment may begin with a record.
                    half.buffer = Vec::new();
                    break;
                }
            }
        }
    }
}
