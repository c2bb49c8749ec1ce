//! gzip (RFC 1952): members one after the other, each with a checksum at its end.

use flate2::{Decompress, FlushDecompress, Status};

use super::Method;
use super::members::{Fault, Member, Pushed, Step, push};
use super::packed::Packed;

pub(super) static METHOD: Method = Method {
    name: "gzip",
    magic: b"\x1f\x8b",
    skippable: false,
    pulls: false,
    member: || Box::new(Gzip(inflate())),
    command: "gzip -dc",
};

/// The largest window of deflate, as a power of two of bytes: 32 KiB.
const WINDOW_BITS: u8 = 15;

struct Gzip(Decompress);

fn inflate() -> Decompress {
    Decompress::new_gzip(WINDOW_BITS)
}

impl Member for Gzip {
    fn begin(&mut self) -> Result<(), Fault> {
        if self.0.total_in() > 0 {
            self.0 = inflate();
        }
        Ok(())
    }

    fn step(&mut self, from: &mut Packed, out: &mut [u8]) -> Result<Step, Fault> {
        push(from, out, |packed, room| {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(packed, room, FlushDecompress::None);
            let status =
                status.map_err(|error| Fault::Corrupt(error.message().unwrap_or("it is no gzip").to_owned()))?;
            Ok(Pushed {
                taken: count(self.0.total_in() - before_in),
                given: count(self.0.total_out() - before_out),
                ended: status == Status::StreamEnd,
            })
        })
    }
}

/// A count of bytes in memory.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
