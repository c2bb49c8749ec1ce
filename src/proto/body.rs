//! Where chunked content ends (RFC 9112 §7.1).

use crate::model::head::trim;
use crate::wire::http1::chunk_size;

/// Longest chunk-size line looked at; the digits stand at its start.
const LINE: usize = 64;

/// Walks through chunked content (RFC 9112 §7.1) without keeping it.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    phase: Phase,
    line: Vec<u8>,
    /// Bytes of the current chunk, and its line end, still to come.
    pub left: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Size,
    Data,
    Trailer,
}

/// Where content stands after a piece of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of it was content.
    More,
    /// The content ended; so many bytes of the piece belonged to it.
    Done(usize),
    /// This is not chunked content.
    Broken,
}

impl Chunks {
    /// Takes the next bytes; `each` gets the content in them.
    pub fn push(&mut self, data: &[u8], each: &mut dyn FnMut(&[u8])) -> Progress {
        let mut at = 0;
        while at < data.len() {
            if self.phase == Phase::Data && self.left > 0 {
                let n = usize::try_from(self.left).map_or(data.len() - at, |l| l.min(data.len() - at));
                // The last two bytes of `left` are the chunk's line end.
                let content = usize::try_from(self.left.saturating_sub(2)).map_or(n, |c| c.min(n));
                each(&data[at..at + content]);
                self.left -= n as u64;
                at += n;
                if self.left == 0 {
                    self.phase = Phase::Size;
                }
                continue;
            }
            let Some(lf) = memchr::memchr(b'\n', &data[at..]) else {
                let room = LINE.saturating_sub(self.line.len());
                self.line.extend_from_slice(&data[at..at + room.min(data.len() - at)]);
                return unfinished(&self.line, self.phase);
            };
            let room = LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&data[at..at + lf.min(room)]);
            at += lf + 1;
            let line = std::mem::take(&mut self.line);
            let line = trim(&line);
            match self.phase {
                Phase::Trailer if line.is_empty() => return Progress::Done(at),
                Phase::Trailer => {}
                Phase::Size | Phase::Data => match chunk_size(line) {
                    Some(0) => self.phase = Phase::Trailer,
                    Some(size) => {
                        self.phase = Phase::Data;
                        self.left = size + 2;
                    }
                    None => return Progress::Broken,
                },
            }
        }
        Progress::More
    }

    /// Bytes that are not there: fine inside a chunk, else nothing is certain any more.
    pub fn gap(&mut self, len: u64) -> bool {
        let inside = self.phase == Phase::Data && len <= self.left;
        if inside {
            self.left -= len;
            if self.left == 0 {
                self.phase = Phase::Size;
            }
        }
        inside
    }
}

/// A size line that cannot become one any more is found before its end comes.
fn unfinished(line: &[u8], phase: Phase) -> Progress {
    let hopeless = phase == Phase::Size && trim(line).first().is_some_and(|b| !b.is_ascii_hexdigit());
    if hopeless { Progress::Broken } else { Progress::More }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_of_chunked_content_ends_at_the_same_byte() {
        let all = b"4\r\nwiki\r\n6;x=y\r\npedia \r\n0\r\nTrailer: x\r\n\r\nNEXT";
        let end = all.len() - 4;
        for cut in 0..all.len() {
            let mut chunks = Chunks::default();
            let mut content = Vec::new();
            let mut each = |b: &[u8]| content.extend_from_slice(b);
            let done = match chunks.push(&all[..cut], &mut each) {
                Progress::Done(n) => n,
                Progress::More => match chunks.push(&all[cut..], &mut each) {
                    Progress::Done(n) => cut + n,
                    other => panic!("{other:?} at {cut}"),
                },
                Progress::Broken => panic!("broken at {cut}"),
            };
            assert_eq!(done, end, "{cut}");
            assert_eq!(content, b"wikipedia ");
        }
    }

    #[test]
    fn what_is_not_chunked_is_broken() {
        assert_eq!(Chunks::default().push(b"hello", &mut |_| {}), Progress::Broken);
        assert_eq!(Chunks::default().push(b"zz", &mut |_| {}), Progress::Broken);
    }
}
