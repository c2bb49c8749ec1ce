//! Where packets come from: capture files and pipes, several of them as one timeline.
//!
//! Bytes of pcap and pcapng files come in; batches of packets go out, in time order over all inputs,
//! each packet with its input and its number in it. Nothing here looks inside a packet. Compressed inputs are unpacked
//! below the read buffer. A faulty file
//! is data: what is wrong with it stands in `InputFacts`, and reading goes on behind it where it can.
//! `limits` bounds what is buffered of an input and what is kept of its side blocks.

mod ahead;
mod buffer;
#[cfg(feature = "live")]
pub mod devices;
mod error;
mod file;
mod key_log;
mod link_names;
#[cfg(feature = "live")]
pub mod live;
mod looks_like;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "for tests")]
mod made;
mod merge;
mod pcap;
mod pcap_resync;
mod pcapng;
mod pcapng_blocks;
mod pcapng_resync;
mod points;
mod record;
mod source;
mod tally;
mod unpack;
mod walk;
mod window;
pub mod write;

pub use ahead::Ahead;
pub use buffer::Page;
pub use error::Error;
pub use key_log::{KeyLogFile, News};
pub use link_names::link_name;
pub use merge::{Merged, Progress};
pub use record::{Batch, Interface, Record};
pub use source::Source;
pub use window::{Moment, Window};
