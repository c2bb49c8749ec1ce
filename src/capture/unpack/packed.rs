//! The compressed side: bytes as they are read from the file, and what stands between members.

use std::io::{ErrorKind, Read};
use std::sync::atomic::Ordering;

use super::{Input, Watch};

/// Compressed bytes of one input, of which a window is in memory.
pub(super) struct Packed {
    from: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the file of `bytes[0]`.
    base: u64,
    ended: bool,
    fault: Option<std::io::Error>,
    watch: Watch,
}

/// Magic numbers of frames to be skipped: these and the fifteen above (RFC 8878 §3.1.2).
const SKIPPABLE: u32 = 0x184d_2a50;
/// Bytes of such a frame before its content: magic number and length.
const SKIPPABLE_HEAD: usize = 8;

/// The length in bytes of a frame to be skipped that `bytes` begin with.
pub(super) fn skippable(bytes: &[u8]) -> Option<usize> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk::<4>()?)).ok()?;
    (u32::from_le_bytes(*magic) & !0xf == SKIPPABLE).then(|| length.saturating_add(SKIPPABLE_HEAD))
}

impl Packed {
    pub(super) fn new(input: Input, watch: Watch) -> Self {
        let Input { from, bytes, start, end, .. } = input;
        watch.0.read.store(end as u64, Ordering::Relaxed);
        Packed { from, bytes, start, end, base: 0, ended: false, fault: None, watch }
    }

    /// No bytes: stands where the real ones are lent away.
    pub(super) fn nothing() -> Self {
        Packed {
            from: Box::new(std::io::empty()),
            bytes: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            ended: true,
            fault: None,
            watch: Watch::default(),
        }
    }

    /// What is in memory and not used yet.
    pub(super) fn unused(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn take(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Offset in the file of the first unused byte.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// It was not the end of the file that made the bytes end.
    pub(super) fn failed(&self) -> bool {
        self.fault.is_some()
    }

    /// What did, once.
    pub(super) fn take_fault(&mut self) -> Option<std::io::Error> {
        self.fault.take()
    }

    /// Reads once. False: there are no more bytes.
    pub(super) fn fill(&mut self) -> bool {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        while !self.ended && self.end < self.bytes.len() {
            if self.watch.0.stop.load(Ordering::Relaxed) {
                self.ended = true;
                break;
            }
            match self.from.read(self.bytes.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.end = self.end.saturating_add(count).min(self.bytes.len());
                    self.watch.0.read.store(self.base + self.end as u64, Ordering::Relaxed);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.fault = Some(error);
                }
            }
        }
        false
    }

    /// Reads until at least `need` bytes are unused. False where there are fewer.
    pub(super) fn want(&mut self, need: usize) -> bool {
        while self.unused().len() < need {
            if !self.fill() {
                return false;
            }
        }
        true
    }

    /// Takes the next `count` bytes. False where there are fewer.
    pub(super) fn skip(&mut self, mut count: usize) -> bool {
        while count > 0 {
            if self.unused().is_empty() && !self.fill() {
                return false;
            }
            let now = count.min(self.unused().len());
            self.take(now);
            count -= now;
        }
        true
    }

    /// Takes zero bytes until another comes; how many there were.
    pub(super) fn skip_zeros(&mut self) -> u64 {
        let mut zeros = 0;
        loop {
            let run = self.unused().iter().take_while(|byte| **byte == 0).count();
            self.take(run);
            zeros += run as u64;
            if !self.unused().is_empty() || !self.fill() {
                return zeros;
            }
        }
    }

    /// Takes all that is left; how many bytes it was.
    pub(super) fn skip_all(&mut self) -> u64 {
        let mut all = 0;
        loop {
            all += self.unused().len() as u64;
            self.take(usize::MAX);
            if !self.fill() {
                return all;
            }
        }
    }
}
