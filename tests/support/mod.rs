//! Makes captures for tests: a script of what two ends say becomes packets, and these a file. It
//! uses no parser of the program under test, so that a mistake there cannot hide here.
//!
//! [`script`] says who sends what · [`shape`] cuts, swaps, repeats and loses segments · [`link`] puts
//! them into packets · [`wrap`] puts these into tunnels and fragments · [`file`] into a capture file ·
//! [`pack`] compresses it · [`scene`] reads all that from TOML · [`run`] starts the program ·
//! [`journey`] carries requests through proxies, [`hop`] does to their heads what proxies do, and
//! [`vantage`] captures that and knows which leg is whose, and [`joined`] holds a report against it. The other
//! way round, [`read`] takes a capture file apart, [`dissect`] a frame, [`streams`] puts payload together, and
//! [`rewrite`] renames what they show; [`frames`] writes and reads what is said behind a 101,
//! and [`peers`] lets two ends say it. [`h2`] writes HTTP/2. [`netns`] makes hosts for real proxies, and [`apply`] puts a
//! printed fix into their configuration.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking, and not every user needs every helper"
)]

pub(crate) mod accept;
#[cfg(all(feature = "live", target_os = "linux"))]
pub(crate) mod apply;
pub(crate) mod browser;
pub(crate) mod dissect;
pub(crate) mod file;
pub(crate) mod frames;
pub(crate) mod h2;
pub(crate) mod hop;
pub(crate) mod hostile;
pub(crate) mod joined;
pub(crate) mod journey;
pub(crate) mod link;
#[cfg(all(feature = "live", target_os = "linux"))]
pub(crate) mod netns;
pub(crate) mod pack;
pub(crate) mod peers;
pub(crate) mod read;
pub(crate) mod rewrite;
pub(crate) mod run;
pub(crate) mod scene;
mod scene_h2;
pub(crate) mod script;
pub(crate) mod shape;
pub(crate) mod streams;
pub(crate) mod tls;
pub(crate) mod vantage;
pub(crate) mod wrap;

/// Cases of a property: as many as PROPTEST_CASES says, else this many.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}
