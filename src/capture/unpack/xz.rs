//! xz (the .xz file format, version 1.2.1): streams one after the other, zero padding between them.

use liblzma::stream::{Action, Error, Status, Stream};

use super::Method;
use super::members::{Fault, Member, Pushed, Step, push};
use super::packed::Packed;
use crate::base::limits;

pub(super) static METHOD: Method = Method {
    name: "xz",
    magic: b"\xfd7zXZ\0",
    skippable: false,
    pulls: false,
    member: || Box::new(Xz(None)),
    command: "xz -dc",
};

struct Xz(Option<Stream>);

impl Member for Xz {
    fn begin(&mut self) -> Result<(), Fault> {
        self.0 = Some(Stream::new_stream_decoder(1 << limits::UNPACK_WINDOW_LOG, 0).map_err(fault)?);
        Ok(())
    }

    fn step(&mut self, from: &mut Packed, out: &mut [u8]) -> Result<Step, Fault> {
        let Some(stream) = &mut self.0 else { return Ok(Step { given: 0, ended: true }) };
        push(from, out, |packed, room| {
            let (before_in, before_out) = (stream.total_in(), stream.total_out());
            let status = stream.process(packed, room, Action::Run).map_err(fault)?;
            Ok(Pushed {
                taken: count(stream.total_in() - before_in),
                given: count(stream.total_out() - before_out),
                ended: status == Status::StreamEnd,
            })
        })
    }
}

#[cold]
fn fault(error: Error) -> Fault {
    let words = match error {
        Error::MemLimit | Error::Mem => {
            let why = format!(
                "unpacking its xz data takes more than {} MiB of memory",
                (1_u64 << limits::UNPACK_WINDOW_LOG) >> 20
            );
            return Fault::Refused { why, to_do: "xz -dc FILE | hopscope report -" };
        }
        Error::Data => "its checksum or its data is wrong",
        Error::Format => "it is no xz stream",
        Error::Options => "it has options that no version of xz knows",
        Error::UnsupportedCheck => "it has a checksum of an unknown sort",
        _ => "it cannot be unpacked",
    };
    Fault::Corrupt(words.to_owned())
}

/// A count of bytes in memory.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
