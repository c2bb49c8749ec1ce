//! The thread that unpacks, and the reader that takes from it.
//!
//! `limits::UNPACK_CHUNKS` buffers go round: empty ones to the thread, full ones back. Both channels have
//! room for all of them, so that only a lack of work ever waits. Dropping the reader closes both channels and
//! raises a flag that is looked at before every read: the thread ends within one chunk. One that waits for a
//! silent pipe ends when the pipe says anything, or with the process: no one waits for it.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Watch;
use super::members::Members;
use crate::base::limits;

/// The capture inside a compressed input.
pub(crate) struct Unpacked {
    from: From,
    watch: Watch,
}

enum From {
    /// Unpacks when it is asked.
    Here(Box<Members>),
    /// A thread unpacks ahead.
    Thread(Ahead),
}

struct Ahead {
    /// `None` when all was read, or is no longer wanted.
    channels: Option<Channels>,
    chunk: Chunk,
    /// Bytes of `chunk` handed out.
    taken: usize,
    /// `None` where nobody may wait for its end.
    thread: Option<JoinHandle<()>>,
}

struct Channels {
    full: Receiver<Message>,
    free: SyncSender<Vec<u8>>,
}

enum Message {
    Chunk(Chunk),
    /// The last message: the error that ended it, if any.
    End(Option<io::Error>),
}

/// The first `length` of `bytes` are unpacked ones.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    length: usize,
}

impl Unpacked {
    /// `live`: the compressed bytes may come slowly. `ahead`: on a thread.
    pub(super) fn new(members: Members, live: bool, ahead: bool, watch: Watch) -> Self {
        let from = if ahead { From::Thread(Ahead::start(members, live)) } else { From::Here(Box::new(members)) };
        Unpacked { from, watch }
    }
}

impl Read for Unpacked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.from {
            From::Here(members) => members.read(out),
            From::Thread(ahead) => ahead.read(out),
        }
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        self.watch.0.stop.store(true, Ordering::Relaxed);
        if let From::Thread(ahead) = &mut self.from {
            ahead.channels = None;
            if let Some(thread) = ahead.thread.take() {
                // Its panics were caught; there is nothing to learn from it.
                let _ = thread.join();
            }
        }
    }
}

impl Ahead {
    fn start(members: Members, live: bool) -> Self {
        let (give_full, full) = sync_channel(limits::UNPACK_CHUNKS + 1);
        let (free, take_free) = sync_channel(limits::UNPACK_CHUNKS);
        for _ in 0..limits::UNPACK_CHUNKS {
            // There is room for all of them, and the other end is held here.
            let _ = free.send(Vec::new());
        }
        let unpack = move || unpack(members, live, &take_free, &give_full);
        let builder = std::thread::Builder::new().name("unpack".to_owned());
        let (channels, thread) = match builder.spawn(unpack) {
            Ok(thread) => (Channels { full, free }, (!live).then_some(thread)),
            Err(error) => (Channels { full: only(Message::End(Some(error))), free }, None),
        };
        Ahead { channels: Some(channels), chunk: Chunk::default(), taken: 0, thread }
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut given = 0;
        loop {
            let bytes = self.chunk.bytes.get(self.taken..self.chunk.length).unwrap_or_default();
            let count = bytes.len().min(out.len() - given);
            if let (Some(to), Some(bytes)) = (out.get_mut(given..given + count), bytes.get(..count)) {
                to.copy_from_slice(bytes);
            }
            self.taken += count;
            given += count;
            if given == out.len() {
                return Ok(given);
            }
            let Some(channels) = &self.channels else { return Ok(given) };
            // Waits only where there is nothing to give.
            let message = match given {
                0 => channels.full.recv().unwrap_or_else(|_| Message::End(Some(io::Error::other("its thread ended")))),
                _ => match channels.full.try_recv() {
                    Ok(message) => message,
                    Err(_) => return Ok(given),
                },
            };
            match message {
                Message::Chunk(chunk) => {
                    let used = std::mem::replace(&mut self.chunk, chunk);
                    self.taken = 0;
                    if !used.bytes.is_empty() {
                        // A thread that has ended needs none.
                        let _ = channels.free.send(used.bytes);
                    }
                }
                Message::End(None) => self.channels = None,
                Message::End(Some(error)) if given == 0 => {
                    self.channels = None;
                    return Err(error);
                }
                Message::End(error) => {
                    // Told by the next call.
                    let free = channels.free.clone();
                    self.channels = Some(Channels { full: only(Message::End(error)), free });
                    return Ok(given);
                }
            }
        }
    }
}

/// A channel that holds one message and no more.
fn only(message: Message) -> Receiver<Message> {
    let (send, receive) = sync_channel(1);
    let _ = send.send(message);
    receive
}

/// What the thread does. Ends when all is unpacked or nobody takes it any more.
fn unpack(mut members: Members, live: bool, free: &Receiver<Vec<u8>>, full: &SyncSender<Message>) {
    while let Ok(mut bytes) = free.recv() {
        bytes.resize(limits::UNPACK_CHUNK_BYTES, 0);
        let mut length = 0;
        let end = loop {
            match members.read(bytes.get_mut(length..).unwrap_or_default()) {
                Ok(0) => break Some(None),
                Err(error) => break Some(Some(error)),
                Ok(count) => length += count,
            }
            if length >= bytes.len() || live && !members.can_go_on() {
                break None;
            }
        };
        if length > 0 && full.send(Message::Chunk(Chunk { bytes, length })).is_err() {
            return;
        }
        if let Some(error) = end {
            let _ = full.send(Message::End(error));
            return;
        }
    }
}
