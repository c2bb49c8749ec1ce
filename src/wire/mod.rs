//! Bytes to checked views. Pure functions: no state, no clock, no allocation that the input decides.

pub mod accept;
pub mod extensions;
pub mod frame_chain;
pub mod framing;
pub mod h2;
pub mod hpack;
pub mod http1;
pub mod icmp;
pub mod inside;
pub mod ip;
pub mod link;
pub mod mqtt;
pub mod polling;
pub mod proxy_protocol;
pub mod quic;
pub mod scratch;
pub mod short;
pub mod sniff;
pub mod socks;
pub mod tcp;
pub mod tls;
pub mod tunnel;
pub mod websocket;

pub use inside::{Inside, Opened};
