//! The streams of a connection that are under way (RFC 9113 §5.1).

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::base::{Timestamp, limits};
use crate::model::Direction;

use super::window::Window;
use super::{Mark, at};

/// One stream: what an exchange needs to know beside its heads. Arrays by sender: client, server.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Odd: the client opened it. Even: pushed.
    pub id: u32,
    /// Its first frame that was seen.
    pub opened: Mark,
    /// The last one.
    pub last: Mark,
    pub request: Seen,
    pub response: Seen,
    /// The request is an extended CONNECT: it has `:protocol` (RFC 8441 §4).
    pub extended_connect: bool,
    /// What the server had said of extended CONNECT when the request came: [`Facts::connect_protocol`].
    ///
    /// [`Facts::connect_protocol`]: super::Facts::connect_protocol
    pub connect_protocol: Option<bool>,
    /// END_STREAM stood on the request's (final response's) HEADERS.
    pub ends_with_request: bool,
    pub ends_with_response: bool,
    /// Status of the final response. `None`: not seen, or no number.
    pub status: Option<u16>,
    /// Bytes of content, without padding, lost ones included.
    pub data_bytes: [u64; 2],
    /// When each side ended it with END_STREAM.
    pub side_ended: [Option<Timestamp>; 2],
    pub(super) windows: [Window; 2],
}

/// What became of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Not yet, or before the capture began.
    #[default]
    No,
    /// It came, and was lost or too large.
    Lost,
    Yes,
}

impl Stream {
    fn new(id: u32, mark: Mark) -> Self {
        Stream {
            id,
            opened: mark,
            last: mark,
            request: Seen::No,
            response: Seen::No,
            extended_connect: false,
            connect_protocol: None,
            ends_with_request: false,
            ends_with_response: false,
            status: None,
            data_bytes: [0; 2],
            side_ended: [None; 2],
            windows: [Window::default(); 2],
        }
    }

    /// Opened by the server (RFC 9113 §8.4).
    pub fn is_pushed(&self) -> bool {
        self.id.is_multiple_of(2)
    }

    pub(super) fn window(&mut self, sender: Direction) -> &mut Window {
        let [client, server] = &mut self.windows;
        if sender == Direction::ClientToServer { client } else { server }
    }
}

#[derive(Default)]
pub(super) struct Streams {
    map: HashMap<u32, Stream, foldhash::fast::RandomState>,
    /// The highest id that was seen of client and server.
    highest: [u32; 2],
    closed: VecDeque<u32>,
}

/// What a frame's stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Open,
    /// Not seen before.
    New,
    /// Over, given up, or from before the capture.
    Past,
}

impl Streams {
    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        self.map.get_mut(&id)
    }

    /// `lossy`: streams may run that were never seen.
    pub(super) fn known(&self, id: u32, lossy: bool) -> Known {
        if self.map.contains_key(&id) {
            Known::Open
        } else if id > self.highest_of(id) || lossy && !self.closed.contains(&id) {
            Known::New
        } else {
            Known::Past
        }
    }

    /// Makes it; to be asked for only where it is new.
    pub(super) fn open(&mut self, id: u32, mark: Mark) -> &mut Stream {
        let opener = usize::from(id.is_multiple_of(2));
        if let Some(highest) = self.highest.get_mut(opener) {
            *highest = id.max(*highest);
        }
        self.map.entry(id).or_insert_with(|| Stream::new(id, mark))
    }

    pub(super) fn is_full(&self) -> bool {
        self.map.len() >= limits::H2_STREAMS
    }

    /// The eighth of all that was idle longest. Called seldom enough to pay for looking at all.
    pub(super) fn idle(&self) -> Vec<u32> {
        let mut all: Vec<(Timestamp, u32)> = self.map.values().map(|s| (s.last.ts, s.id)).collect();
        let n = (all.len() / 8).max(1);
        if all.len() > n {
            all.select_nth_unstable(n);
            all.truncate(n);
        }
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// It is over.
    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let stream = self.map.remove(&id)?;
        if self.closed.len() >= limits::H2_CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
        Some(stream)
    }

    /// Those of which this is true, in the order of their ids.
    pub(super) fn ids(&self, is: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut ids: Vec<u32> = self.map.keys().copied().filter(|id| is(*id)).collect();
        ids.sort_unstable();
        ids
    }

    fn highest_of(&self, id: u32) -> u32 {
        let opener = if id.is_multiple_of(2) { Direction::ServerToClient } else { Direction::ClientToServer };
        self.highest.get(at(opener)).copied().unwrap_or(0)
    }
}
