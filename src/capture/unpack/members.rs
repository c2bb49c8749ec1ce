//! Members and frames one after the other, whatever the method; and what may stand between and behind them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::packed::{self, Packed};
use super::{Method, Spoilt, Watch};

/// Unpacks one member after the other.
pub(super) trait Member: Send {
    /// The next member begins.
    fn begin(&mut self) -> Result<(), Fault>;

    /// Unpacks some bytes of the member into `out`: at least one, unless the member ends. Waits for
    /// compressed bytes only where there is nothing to give without them.
    fn step(&mut self, from: &mut Packed, out: &mut [u8]) -> Result<Step, Fault>;
}

/// What a step did.
pub(super) struct Step {
    /// Bytes written.
    pub(super) given: usize,
    /// The member has ended behind them.
    pub(super) ended: bool,
}

/// Why a member goes no further.
#[derive(Debug)]
pub(super) enum Fault {
    /// There are no more compressed bytes.
    Cut,
    /// The bytes are wrong. In words, for `the gzip data is corrupt …: WHY`.
    Corrupt(String),
    /// The bytes are right, and this program does not unpack them: a whole sentence without its full stop,
    /// and what to do.
    Refused { why: String, to_do: &'static str },
}

/// What one call of a decompressor did.
pub(super) struct Pushed {
    pub(super) taken: usize,
    pub(super) given: usize,
    pub(super) ended: bool,
}

/// One step of a decompressor that is pushed: `work` gets compressed bytes and room.
pub(super) fn push(
    from: &mut Packed,
    out: &mut [u8],
    mut work: impl FnMut(&[u8], &mut [u8]) -> Result<Pushed, Fault>,
) -> Result<Step, Fault> {
    loop {
        let had = from.unused().len();
        let Pushed { taken, given, ended } = work(from.unused(), out)?;
        from.take(taken);
        if ended || given > 0 {
            return Ok(Step { given, ended });
        }
        if taken == 0 && had > 0 {
            return Err(Fault::Corrupt("it does not go on".to_owned()));
        }
        if from.unused().is_empty() && !from.fill() {
            return Err(Fault::Cut);
        }
    }
}

/// All members of one stream.
pub(super) struct Members {
    method: &'static Method,
    member: Box<dyn Member>,
    from: Packed,
    /// Inside a member.
    inside: bool,
    watch: Watch,
    /// Length of the compressed file in bytes; `None` for pipes.
    size: Option<u64>,
}

impl Members {
    pub(super) fn new(method: &'static Method, from: Packed, watch: Watch, size: Option<u64>) -> Self {
        Members { method, member: (method.member)(), from, inside: false, watch, size }
    }

    /// Unpacks some bytes; 0 at the end, also at one that comes too early. A fault of the decompressor
    /// itself is an error of this input and of no other.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let result = match catch_unwind(AssertUnwindSafe(|| self.step(out))) {
            Ok(result) => result,
            Err(_) => Err(Fault::Corrupt("a fault of the decompressor; please report it".to_owned())),
        };
        let fault = match result {
            Ok(count) => return Ok(count),
            Err(fault) => fault,
        };
        if let Some(error) = self.from.take_fault() {
            return Err(error);
        }
        let name = self.method.name;
        let spoilt = match fault {
            Fault::Cut => {
                self.watch.0.cut.store(true, Ordering::Relaxed);
                return Ok(0);
            }
            Fault::Corrupt(why) => {
                let at = self.from.offset();
                let behind = match self.size.map(|size| size.saturating_sub(at)) {
                    Some(left) => format!("; the {left} bytes of the file behind it were not unpacked"),
                    None => String::new(),
                };
                let why = format!("the {name} data is corrupt near byte {at} of the compressed file ({why}){behind}");
                Spoilt { why, to_do: "copy it again, or capture again".to_owned() }
            }
            Fault::Refused { why, to_do } => Spoilt { why, to_do: to_do.to_owned() },
        };
        Err(io::Error::other(spoilt))
    }

    /// The next step does not wait for the file.
    pub(super) fn can_go_on(&self) -> bool {
        !self.method.pulls && !self.from.unused().is_empty()
    }

    fn step(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            if !self.inside {
                if !self.next_member()? {
                    return Ok(0);
                }
                self.member.begin()?;
                self.inside = true;
            }
            let Step { given, ended } = self.member.step(&mut self.from, out)?;
            self.inside = !ended;
            if given > 0 {
                return Ok(given);
            }
        }
    }

    /// Goes to the next member. False: there is none, and what else is there was passed over.
    fn next_member(&mut self) -> Result<bool, Fault> {
        // gzip files are padded by tapes, xz files by definition (stream padding).
        let mut rest = 0;
        loop {
            let whole = self.from.want(self.method.magic.len().max(8));
            let next = self.from.unused();
            if next.starts_with(self.method.magic) {
                return Ok(true);
            }
            if self.method.skippable
                && let Some(length) = packed::skippable(next)
            {
                if !self.from.skip(length) {
                    return Err(Fault::Cut);
                }
                continue;
            }
            if !whole && !next.is_empty() && self.method.magic.starts_with(next) {
                return Err(Fault::Cut);
            }
            let zeros = self.from.skip_zeros();
            rest += zeros;
            if zeros == 0 || self.from.unused().is_empty() {
                break;
            }
        }
        rest += self.from.skip_all();
        self.watch.0.rest.store(rest, Ordering::Relaxed);
        // A file that could not be read to its end is told as such by `read`.
        if self.from.failed() { Err(Fault::Cut) } else { Ok(false) }
    }
}
