//! hopscope: from packets to a verdict on every WebSocket upgrade.
//!
//! The modules stand in layers, lowest first: **a module may use only modules listed above it.**
//! A test reads this list and holds it. The library exists for the binary, the tests and the
//! fuzz targets; no semantic-versioning promise covers it (docs/ARCHITECTURE.md).

/// Times, addresses, ids, every limit, counters, and the one escaping function. `std` only.
#[doc(hidden)]
pub mod base;

/// Every data type that crosses a seam between modules: to read this folder is to read the contract.
#[doc(hidden)]
pub mod model;

/// Bytes to checked views: pure functions, no state, no allocation that the input decides.
#[doc(hidden)]
pub mod wire;

/// Where packets come from: capture files, pipes, several of them as one timeline.
#[doc(hidden)]
pub mod capture;

/// Packets to flows to ordered chunks: decode, flow table, reassembly.
#[doc(hidden)]
pub mod stream;

/// Chunks to exchanges and frames: sans-IO push machines.
#[doc(hidden)]
pub mod proto;

/// Exchanges to chains: which legs belong to one journey.
#[doc(hidden)]
pub mod hops;

/// What is known of nginx, HAProxy and the others: one data file each, and the loader.
#[doc(hidden)]
pub mod products;

/// Chains to findings to a verdict: one check per file.
#[doc(hidden)]
pub mod rules;

/// What is kept of an analysis, and the filter language over it.
#[doc(hidden)]
pub mod store;

/// Runs it all: packets in, a finished analysis out.
#[doc(hidden)]
pub mod engine;

/// One report format per file.
#[doc(hidden)]
pub mod report;

/// Score cards: one for each intermediary, from an analysis, and their formats.
#[doc(hidden)]
pub mod audit;

/// The terminal UI: screens over an analysis.
#[doc(hidden)]
pub mod tui;

/// The command line: what the user asked for.
#[doc(hidden)]
pub mod cli;

/// Joins them all; the only place that knows every other module.
#[doc(hidden)]
pub mod app;
