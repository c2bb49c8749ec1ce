//! LZ4 frames (the LZ4 frame format, version 1.6.4), one after the other. Its decompressor pulls instead of
//! being pushed, and says "no more" both at the end of a frame and where the file ends inside one.

use std::io::{self, ErrorKind, Read};

use lz4_flex::frame::{Error, FrameDecoder};

use super::Method;
use super::members::{Fault, Member, Step};
use super::packed::Packed;

pub(super) static METHOD: Method = Method {
    name: "lz4",
    magic: b"\x04\x22\x4d\x18",
    skippable: true,
    pulls: true,
    member: || Box::new(Lz4(frame())),
    command: "lz4 -dc",
};

struct Lz4(FrameDecoder<Feed>);

/// What the decompressor reads from. The bytes are lent to it for one step.
struct Feed {
    from: Packed,
    /// It asked for bytes where there were none left.
    starved: bool,
}

fn frame() -> FrameDecoder<Feed> {
    FrameDecoder::new(Feed { from: Packed::nothing(), starved: false })
}

impl Member for Lz4 {
    fn begin(&mut self) -> Result<(), Fault> {
        // Its buffers are as large as the frame's blocks: a new one, since frames may differ in that.
        self.0 = frame();
        Ok(())
    }

    fn step(&mut self, from: &mut Packed, out: &mut [u8]) -> Result<Step, Fault> {
        std::mem::swap(&mut self.0.get_mut().from, from);
        let result = self.0.read(out);
        std::mem::swap(&mut self.0.get_mut().from, from);
        match result {
            Ok(0) if self.0.get_ref().starved => Err(Fault::Cut),
            Ok(given) => Ok(Step { given, ended: given == 0 }),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && self.0.get_ref().starved => Err(Fault::Cut),
            Err(error) => Err(fault(&error)),
        }
    }
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.from.unused().is_empty() && !self.from.fill() {
            self.starved = true;
            return Ok(0);
        }
        let unused = self.from.unused();
        let count = unused.len().min(out.len());
        if let (Some(to), Some(bytes)) = (out.get_mut(..count), unused.get(..count)) {
            to.copy_from_slice(bytes);
        }
        self.from.take(count);
        Ok(count)
    }
}

#[cold]
fn fault(error: &io::Error) -> Fault {
    let words = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::DictionaryNotSupported) => {
            let why = "its lz4 data was compressed with a dictionary, which is not in it".to_owned();
            return Fault::Refused { why, to_do: "lz4 -dc -D DICTIONARY FILE | hopscope report -" };
        }
        Some(Error::HeaderChecksumError) => "the checksum of its header is wrong",
        Some(Error::BlockChecksumError) => "the checksum of a block is wrong",
        Some(Error::ContentChecksumError) => "its checksum is wrong",
        Some(Error::ContentLengthError { .. }) => "its length is not what its header says",
        Some(Error::BlockTooBig) => "a block is longer than its header allows",
        _ => "it cannot be unpacked",
    };
    Fault::Corrupt(words.to_owned())
}
