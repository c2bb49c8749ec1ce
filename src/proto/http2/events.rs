//! What a connection tells its owner.

use crate::model::Direction;
use crate::stream::CloseHow;

use super::{Block, Facts, Mark, Stall, Stream};

/// Takes what is found. All methods may be left as they are. They are called in the order of the streams'
/// bytes; what is lent is lent for the call.
pub trait Output {
    /// A request's head, or (where [`Stream::is_pushed`]) that of a promised one. The first of its stream.
    fn request(&mut self, _stream: &Stream, _head: &Block<'_>) {}

    /// A head with a 1xx status other than 101.
    fn interim(&mut self, _stream: &Stream, _head: &Block<'_>) {}

    /// The final response, or a 101 although RFC 9113 §8.6 forbids it. Its request may not have been seen.
    fn response(&mut self, _stream: &Stream, _head: &Block<'_>) {}

    /// Fields behind the content.
    fn trailers(&mut self, _stream: &Stream, _from: Direction, _fields: &Block<'_>) {}

    /// Content of DATA frames, without padding, in order: a frame comes in as many pieces as the stream did.
    fn data(&mut self, _stream: &Stream, _from: Direction, _bytes: &[u8], _mark: Mark) {}

    /// So many bytes of content are missing here; what follows is in its place.
    fn data_lost(&mut self, _stream: &Stream, _from: Direction, _bytes: u64, _mark: Mark) {}

    /// One side sent END_STREAM: it will send no more. Where both have, [`Output::ended`] follows.
    fn side_ended(&mut self, _stream: &Stream, _from: Direction, _mark: Mark) {}

    /// The stream is over; nothing more will be told of it.
    fn ended(&mut self, _stream: &Stream, _ended: Ended) {}

    /// Something about the connection as a whole.
    fn connection(&mut self, _news: News, _facts: &Facts) {}

    /// Something that RFC 9113 or RFC 7541 forbids, or that could not be read. Told at most
    /// `limits::H2_FAULTS` times of one connection.
    fn fault(&mut self, _fault: Fault) {}
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub how: How,
    pub mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Both sides sent END_STREAM. The last one did it.
    EndStream { by: Direction },
    /// RST_STREAM (RFC 9113 §6.4). `code`: [`error_name`](crate::wire::h2::error_name) names it; `None`: lost
    /// to the capture.
    Reset { by: Direction, code: Option<u32> },
    /// GOAWAY said that it was not looked at.
    GoAway { by: Direction, code: Option<u32> },
    /// The connection was closed under it. `by`: which side's FIN was the last; `None` where it is not known.
    Closed { by: Option<Direction>, how: CloseHow },
    /// Given up because of `limits::H2_STREAMS`; how it ended is not known.
    Evicted,
}

/// News of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// SETTINGS were read: [`Facts::settings_of`].
    Settings { from: Direction, mark: Mark },
    /// The peer's SETTINGS were acknowledged.
    SettingsAcked { from: Direction, mark: Mark },
    /// [`Facts::goaway`].
    GoAway { from: Direction, mark: Mark },
    /// A window was used up for long. `stream`: 0 is the connection.
    Stalled { stream: u32, sender: Direction, stall: Stall },
    /// Bytes were lost over a frame's header: what follows is not read until frames are found again.
    Lost { from: Direction, mark: Mark },
    /// Frames were found again, or for the first time midstream.
    Found { from: Direction, mark: Mark },
}

/// A fault, where it is, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: What,
    pub from: Direction,
    /// 0: the connection.
    pub stream: u32,
    pub mark: Mark,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A field block that breaks RFC 7541, or uses a table larger than was allowed.
    Coding,
    /// Another frame where a field block had to go on (RFC 9113 §6.10).
    Interleaved,
    /// CONTINUATION without a field block to go on with.
    LoneContinuation,
    /// More than `limits::H2_CONTINUATIONS` of them for one block.
    Flood,
    /// A frame's length does not fit its kind.
    Length,
    /// A frame on stream 0 that belongs to a stream, or the reverse; a stream of the wrong side.
    Stream,
    /// Longer than the receiver's SETTINGS_MAX_FRAME_SIZE.
    FrameTooLarge,
    /// As much padding as payload, or more.
    Padding,
    /// The client's first bytes are not what RFC 9113 §3.4 says.
    Preface,
    /// The first frame is not SETTINGS (RFC 9113 §3.4).
    FirstFrame,
    /// A field block was lost to the capture, at least in part: the stream's head is unknown, and later fields
    /// of this direction may be.
    BlockLost,
    /// A field block of more than `limits::H2_BLOCK_BYTES`, with the same consequences.
    BlockTooLarge,
    /// A 101 (RFC 9113 §8.6).
    SwitchingProtocols,
    /// Beyond `limits::H2_RESYNCS`: the direction is not read any further.
    GivenUp,
}
