//! Two ends of tungstenite that talk to each other in memory: a real peer's frames, and what the other peer read.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;

use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::frames::{self, Deflater, RSV1};
use super::script::Side;

/// One end's socket: what it writes is the other's to read.
#[derive(Clone)]
pub(crate) struct Socket {
    wire: Rc<RefCell<Wire>>,
    side: usize,
}

#[derive(Default)]
struct Wire {
    /// What waits to be read by client and server.
    waiting: [Vec<u8>; 2],
    /// What was written since it was last looked at.
    written: Vec<u8>,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let waiting = &mut self.wire.borrow_mut().waiting[self.side];
        let n = waiting.len().min(buffer.len());
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..n].copy_from_slice(&waiting[..n]);
        waiting.drain(..n);
        Ok(n)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut wire = self.wire.borrow_mut();
        wire.waiting[1 - self.side].extend_from_slice(bytes);
        wire.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) struct End {
    pub socket: WebSocket<Socket>,
    /// Data messages that it read.
    pub read: Vec<Vec<u8>>,
    pub closed: Option<(u16, String)>,
}

impl End {
    fn listen(&mut self) {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => self.read.push(text.as_bytes().to_vec()),
                Ok(Message::Binary(bytes)) => self.read.push(bytes.to_vec()),
                Ok(Message::Close(close)) => {
                    self.closed = close.map(|close| (close.code.into(), close.reason.to_string()));
                }
                Ok(_) => {}
                Err(Error::Io(why)) if why.kind() == ErrorKind::WouldBlock => break,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => break,
                Err(why) => panic!("a peer does not understand the other: {why}"),
            }
        }
        // A Pong waits until something is written.
        drop(self.socket.flush());
    }
}

/// What one end wants to say.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub text: bool,
    pub compressed: bool,
    pub content: Vec<u8>,
    /// Where it is cut into frames, in thousandths; a Ping of so many bytes stands before some of them.
    pub cuts: Vec<(usize, Option<usize>)>,
}

/// permessage-deflate: what the 101 says, and what each end compresses with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub bits: [u8; 2],
    pub used: [u8; 2],
    pub forgets: [bool; 2],
    pub level: u32,
}

impl Agreed {
    pub(crate) fn field(self) -> String {
        let mut field = "permessage-deflate".to_owned();
        for (side, name) in ["client", "server"].into_iter().enumerate() {
            if self.forgets[side] {
                field += &format!("; {name}_no_context_takeover");
            }
            if self.bits[side] < 15 {
                field += &format!("; {name}_max_window_bits={}", self.bits[side]);
            }
        }
        field
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub agreed: Option<Agreed>,
    pub words: [Vec<Words>; 2],
    /// Who sends the next frame, and whether the other end listens then.
    pub turns: Vec<(bool, bool)>,
    pub closes: usize,
    pub code: u16,
    pub reason: String,
}

/// A frame as it is handed to tungstenite, which knows no RSV1: compressed ones go as binary.
struct Piece {
    frame: Frame,
    /// What its first byte is on the wire, besides.
    flip: u8,
}

/// A session that was held.
pub(crate) struct Held {
    /// Who wrote what, in order.
    pub spoken: Vec<(Side, Vec<u8>)>,
    pub ends: [End; 2],
}

impl Session {
    fn pieces(&self, side: usize) -> Vec<Piece> {
        let mut deflater = self.agreed.map(|a| Deflater::new(a.used[side], a.forgets[side], a.level));
        let mut pings = 0_u32;
        let mut pieces = Vec::new();
        for words in &self.words[side] {
            let deflater = deflater.as_mut().filter(|_| words.compressed);
            let flip =
                deflater.as_ref().map_or(0, |_| RSV1 | if words.text { frames::TEXT ^ frames::BINARY } else { 0 });
            let opcode = if words.text && flip == 0 { Data::Text } else { Data::Binary };
            let payload = deflater.map_or_else(|| words.content.clone(), |deflater| deflater.message(&words.content));
            let mut cuts: Vec<(usize, Option<usize>)> =
                words.cuts.iter().map(|(cut, ping)| (payload.len() * cut / 1_000, *ping)).collect();
            cuts.sort_unstable();
            let mut begin = 0;
            for (n, (end, ping)) in cuts.iter().copied().chain([(payload.len(), None)]).enumerate() {
                let opcode = if n == 0 { opcode } else { Data::Continue };
                let frame = Frame::message(payload[begin..end].to_vec(), OpCode::Data(opcode), n == cuts.len());
                pieces.push(Piece { frame, flip: if n == 0 { flip } else { 0 } });
                begin = end;
                if let Some(bytes) = ping {
                    // No two are alike, so that it is plain which one a Pong answers.
                    pings += 1;
                    let payload = [&pings.to_be_bytes()[..], &vec![b'p'; bytes]].concat();
                    pieces.push(Piece { frame: Frame::ping(payload), flip: 0 });
                }
            }
        }
        pieces
    }

    /// Lets the ends talk until all is said, then one of them close.
    pub(crate) fn hold(&self) -> Held {
        let wire = Rc::new(RefCell::new(Wire::default()));
        let end = |side, role| {
            let socket = Socket { wire: Rc::clone(&wire), side };
            let config = WebSocketConfig::default().write_buffer_size(0);
            End { socket: WebSocket::from_raw_socket(socket, role, Some(config)), read: Vec::new(), closed: None }
        };
        let mut ends = [end(0, Role::Client), end(1, Role::Server)];
        let mut spoken: Vec<(Side, Vec<u8>)> = Vec::new();
        let mut note = |side: usize, flip: u8| {
            let mut bytes = std::mem::take(&mut wire.borrow_mut().written);
            if flip != 0 {
                let data = frames::frames(&bytes).into_iter().find(|frame| !frame.is_control()).expect("a data frame");
                bytes[data.at] ^= flip;
            }
            if !bytes.is_empty() {
                spoken.push(([Side::Client, Side::Server][side], bytes));
            }
        };
        let mut queues = [0, 1].map(|side| self.pieces(side).into_iter());
        let turns = self.turns.iter().copied().chain((0..).map(|n| (n % 2 == 0, n % 3 == 0)));
        for (server, listens) in turns {
            if queues.iter().all(|queue| queue.len() == 0) {
                break;
            }
            let side = usize::from(server);
            if let Some(piece) = queues[side].next() {
                ends[side].socket.send(Message::Frame(piece.frame)).expect("a socket that takes all");
                note(side, piece.flip);
            }
            if listens {
                ends[1 - side].listen();
                note(1 - side, 0);
            }
        }
        for side in [0, 1, 0, 1] {
            ends[side].listen();
            note(side, 0);
        }
        let close = CloseFrame { code: CloseCode::from(self.code), reason: self.reason.clone().into() };
        ends[self.closes].socket.close(Some(close)).expect("a socket that takes all");
        note(self.closes, 0);
        for side in [1 - self.closes, self.closes] {
            ends[side].listen();
            note(side, 0);
        }
        Held { spoken, ends }
    }
}
