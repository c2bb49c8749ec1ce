//! What flows after an upgrade to WebSocket (RFC 6455 §5 to §7, RFC 7692). What comes in: each direction's
//! in-order bytes and gaps. What goes out: [`crate::model::WsTotals`] and [`crate::model::Talk`] when it is over.
//!
//! [`Frames`] counts one direction; [`Tunnel`] knows both and hears what the frames bring. Ordinary messages are noted
//! in a [`Lane`], which stands beside the flow's record, without the tunnel. Whoever owns a stream that may become a
//! WebSocket keeps [`Lanes`] and one `Tunnel`, calls [`Tunnel::opened`] behind the 101, then [`Tunnel::push`] and
//! [`Tunnel::gap`], and [`Tunnel::tell`] when it ends. Payloads are looked at in place and never kept; no frame allocates. What all
//! tunnels of an analysis share, limits above all, is [`Common`].

mod control;
mod faults;
mod frames;
mod inflate;
mod lane;
mod listener;
mod live;
mod messages;
mod ordinary;
mod signs;
mod tunnel;
mod utf8;
mod window;

pub use frames::{Ear, Frames};
pub use lane::{Lane, Lanes};
pub use signs::Watched;
pub use tunnel::{Beside, Closed, Common, Tunnel};
