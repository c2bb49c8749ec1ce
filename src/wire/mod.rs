//! Bytes to checked views. Pure functions: no state, no clock, no allocation that the input decides.

pub mod accept;
pub mod http1;
pub mod link;
pub mod sniff;
pub mod tcp;
pub mod websocket;
