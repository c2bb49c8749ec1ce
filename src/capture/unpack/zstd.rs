//! zstd (RFC 8878): frames one after the other.

use ::zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::Method;
use super::members::{Fault, Member, Pushed, Step, push};
use super::packed::Packed;
use crate::base::limits;

pub(super) static METHOD: Method = Method {
    name: "zstd",
    magic: b"\x28\xb5\x2f\xfd",
    skippable: true,
    pulls: false,
    member: || Box::new(Zstd(None)),
    command: "zstd -dc",
};

struct Zstd(Option<Decoder<'static>>);

impl Member for Zstd {
    fn begin(&mut self) -> Result<(), Fault> {
        match &mut self.0 {
            Some(decoder) => decoder.reinit().map_err(fault),
            None => {
                let mut decoder = Decoder::new().map_err(fault)?;
                decoder.set_parameter(DParameter::WindowLogMax(limits::UNPACK_WINDOW_LOG)).map_err(fault)?;
                self.0 = Some(decoder);
                Ok(())
            }
        }
    }

    fn step(&mut self, from: &mut Packed, out: &mut [u8]) -> Result<Step, Fault> {
        let Some(decoder) = &mut self.0 else { return Ok(Step { given: 0, ended: true }) };
        push(from, out, |packed, room| {
            let status = decoder.run_on_buffers(packed, room).map_err(fault)?;
            // The hint of 0 also comes for no work at all.
            let worked = status.bytes_read > 0 || status.bytes_written > 0;
            Ok(Pushed { taken: status.bytes_read, given: status.bytes_written, ended: status.remaining == 0 && worked })
        })
    }
}

#[cold]
fn fault(error: std::io::Error) -> Fault {
    let words = error.to_string();
    if words.contains("too much memory") {
        let why = format!(
            "unpacking its zstd data takes more than {} MiB of memory",
            (1_u64 << limits::UNPACK_WINDOW_LOG) >> 20
        );
        return Fault::Refused { why, to_do: "zstd -dc --long=31 FILE | hopscope report -" };
    }
    if words.contains("Dictionary") {
        let why = "its zstd data was compressed with a dictionary, which is not in it".to_owned();
        return Fault::Refused { why, to_do: "zstd -dc -D DICTIONARY FILE | hopscope report -" };
    }
    Fault::Corrupt(words.to_ascii_lowercase())
}
