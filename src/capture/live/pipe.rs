//! A pipe or file beside devices: read by a thread of its own, since reading it may wait for long.

use std::io::{PipeWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::super::error::Error;
use super::super::file::Reader;
use super::super::record::Record;
use super::super::source::Source;
use super::super::walk::offset;
use super::line::Chunk;
use crate::base::{Nanos, limits};
use crate::model::InputFacts;

/// What comes of a pipe.
pub(super) enum Piece {
    /// What is known of the input by now, but for secrets and names told of before; and packets.
    Packets(Box<InputFacts>, Chunk),
    End(Box<InputFacts>),
    /// It cannot be read.
    Failed(Error),
}

/// Begins to read. `wake` gets a byte for each piece. The thread ends with its input, or when nobody takes pieces.
pub(super) fn start(path: PathBuf, clock: Nanos, wake: PipeWriter) -> std::io::Result<Receiver<Piece>> {
    let (to, from) = sync_channel(limits::LIVE_CHUNKS);
    std::thread::Builder::new().name("input".into()).spawn(move || {
        let mut to = Sender { to, wake };
        if let Err(error) = read(&path, clock, &mut to) {
            to.send(Piece::Failed(error));
        }
    })?;
    Ok(from)
}

struct Sender {
    to: SyncSender<Piece>,
    wake: PipeWriter,
}

impl Sender {
    /// `false`: nobody wants any more.
    fn send(&mut self, piece: Piece) -> bool {
        self.to.send(piece).is_ok() && self.wake.write_all(&[0]).is_ok()
    }
}

fn read(path: &std::path::Path, clock: Nanos, to: &mut Sender) -> Result<(), Error> {
    let mut facts = InputFacts::default();
    let mut reader = Reader::open(Source::open(path)?, limits::READ_BUFFER_BYTES, &Arc::default(), &mut facts)?;
    reader.set_clock(clock, &mut facts);
    while reader.advance(&mut facts) {
        let chunk = copy(&reader);
        if !to.send(Piece::Packets(Box::new(news(&mut facts)), chunk)) {
            return Ok(());
        }
    }
    to.send(Piece::End(Box::new(news(&mut facts))));
    Ok(())
}

/// The facts, with what is large in them only once.
fn news(facts: &mut InputFacts) -> InputFacts {
    let (secrets, names) = (std::mem::take(&mut facts.secrets), std::mem::take(&mut facts.names));
    InputFacts { secrets, names, ..facts.clone() }
}

/// The batch that was read last, on its own.
fn copy(reader: &Reader) -> Chunk {
    let (section, interfaces) = reader.section();
    let mut bytes = Vec::new();
    let one = |record: &Record| {
        let off = offset(bytes.len());
        bytes.extend_from_slice(record.data(reader.window()));
        Record { off, ..*record }
    };
    let records = reader.records().iter().map(one).collect();
    Chunk { page: Arc::new(bytes), records, section, interfaces: interfaces.into() }
}
