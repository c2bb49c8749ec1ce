//! The one test binary. `tests/run` runs it; what needs more than this repository and Rust is
//! ignored here and run by `.ci/run`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why by printing"
)]

mod audit;
mod bounds;
mod bounds_frames;
mod bridged;
#[cfg(target_os = "linux")]
mod churn;
mod cli;
mod damaged;
mod engine;
mod extract;
mod extract_report;

mod field;
mod fixes;
mod fixes_program;
mod fixes_upgrade;
mod fixes_versions;
mod formats;
mod fragments;
mod frame_cases;
mod frame_faults;
mod golden;
mod html_page;
mod http2;
mod http2_streams;
mod icmp;
mod joins;
mod joins_clocks;
mod joins_copies;
mod joins_scale;
mod joins_traps;
mod joins_ways;
mod lab;
mod lab_derived;
mod lab_ends;
mod lab_healthy;
mod lab_hops;
mod lab_joins;
mod lab_judge;
mod lab_lacking;
mod lab_metamorphic;
mod lab_setting;
mod lab_truth;
mod lab_verdicts;
mod lab_weaker;
mod lacks;
mod layers;
mod layout;
#[cfg(all(feature = "live", unix))]
mod live;
#[cfg(all(feature = "live", unix))]
mod live_ends;
#[cfg(all(feature = "live", unix))]
mod live_keep;
#[cfg(all(feature = "live", unix))]
mod live_keys;
#[cfg(all(feature = "live", target_os = "linux"))]
mod live_rights;
#[cfg(all(feature = "live", unix))]
mod live_screen;
#[cfg(all(feature = "live", target_os = "linux"))]
mod load;
mod lossy;
mod lost;
mod midstream;
mod mutate;
#[cfg(all(feature = "live", target_os = "linux"))]
mod namespaces;
#[cfg(all(feature = "live", target_os = "linux"))]
mod namespaces_watch;
mod networks;
mod oracle;
mod packed;
mod prelude;
mod public;
mod public_frames;
mod quic;
mod readme;
mod reassembly;
mod redact;
mod resets;
mod scenes;
mod sealed;
mod secured;
mod shared;
mod silence;
mod sources;
mod split;
mod stretch;
#[path = "../support/mod.rs"]
mod support;
mod talk;
mod tcp;
mod terminal;
mod threads;
mod tls;
mod tls_captures;
mod tls_openssl;
mod traps;
mod traps_around;
mod traps_askers;
mod tried;
mod tshark;
mod tunnels;
mod watched;
