//! Bytes to checked views. Pure functions: no state, no clock, no allocation that the input decides.

pub mod accept;
