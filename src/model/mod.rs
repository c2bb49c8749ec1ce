//! Every data type that crosses a seam between modules. Data and what can be read off it; no I/O,
//! no decisions about faults (those are `rules`).

pub mod broken;
pub mod chain;
pub mod exchange;
pub mod fault_class;
pub mod finding;
pub mod flow;
pub mod head;
pub mod hop;
pub mod input;
pub mod limit;
pub mod proxied;
pub mod rejected;
pub mod sealed;
pub mod stream;
pub mod talk;
pub mod text;
pub mod via;
mod words;

pub use broken::{Broken, BrokenHow, HandshakeStep};
pub use chain::{Blame, Chain, Fix, Outcome, Pattern, Role, Verdict};
pub use exchange::{
    AcceptVerdict, Close, Direction, End, EndHow, Exchange, Handshake, Lost, Mechanism, Preview, Quality, Times, Tls,
    Twice, Wrapper, WrongAccept, WsCounts, WsTotals,
};
pub use fault_class::FaultClass;
pub use finding::{Confidence, Evidence, Finding, Severity, Subject};
pub use flow::{ConnectState, FlowFacts, Said, SocksAnswer, SocksRefused};
pub use head::{Field, Head, LineFaults, Mark, Names, StartLine};
pub use hop::{Attempted, Beside, Hop, HopKind, Intermediary, MatchKey, Software, Stands};
pub use input::{ClockEstimate, Damage, InputFacts, KeyLog, LinkType};
pub use limit::{KnownLimit, Lasted, LimitKind};
pub use proxied::Proxied;
pub use rejected::{IcmpWhy, Rejected};
pub use sealed::{Sealed, SealedRecord, SealedSegment, SealedSide};
pub use stream::{Entry, Place, Stream, StreamEnd, WindowStall};
pub use talk::{
    Beat, Deflate, Digest, FrameFault, FrameFaultKind, FrameRecord, LastFrame, Message, NotInflated, OpenPing, Period,
    Pings, Rare, Resent, SentClose, Silence, Spoken, Stall, Swallowed, Talk, Transport, Undelivered, Unseen,
};
pub use text::{Part, Text, packets_in_words};
pub use via::{Layer, Stack};
