//! The whole `report` process (its default report, text) beside `tcpdump -r FILE -w /dev/null` on captures that this program
//! writes first: what they read is the same file, in turn, and the medians are compared. The reports
//! are checked against what was written: being fast with wrong counts is a failure.
//!
//! ```text
//! cargo bench --bench speed -- [--size 1G] [--runs 5] [--max-ratio 0.75] [--only mixed|small]
//!                              [--folder DIR] [--keep] [--generate-only] [--gz] [--sealed]
//!                              [--flows 50000]
//! ```
//! `--gz` races the capture compressed by gzip instead, beside `gzip -dc FILE | tcpdump -r - -w /dev/null`.
//! `--sealed` races the report on TLS without keys beside the report on the same packets with noise in them.
//! `--flows`: connections to a gigabyte.
//! `HOPSCOPE_PROGRAM` names another program than the one that was built with this.
//! `--max-ratio` is for both captures; without it each has its own goal. Exits 1 above it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a benchmark stops at the first surprise and prints what it finds"
)]

#[path = "../support/accept.rs"]
mod accept;
mod connection;
mod generate;
mod race;
mod random;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;

use generate::Sort;

fn main() -> ExitCode {
    let options = Options::from_arguments();
    if options.sealed {
        return if race_sealed(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut good = true;
    for sort in [Sort::Mixed, Sort::Small] {
        if options.only.is_some_and(|only| only != sort) {
            continue;
        }
        let file = options.folder.join(format!("{}-{}.pcap", sort.name(), options.size));
        let written = generate::write(&file, sort, options.size, options.flows);
        println!("{}: {}", sort.name(), written.summary());
        if !options.generate_only {
            good &= if options.gz {
                race::run_gz(&file, &written, options.runs, options.max_ratio.unwrap_or(GZ_GOAL))
            } else {
                race::run(&file, &written, options.runs, options.max_ratio.unwrap_or(sort.goal()))
            };
        }
        if !options.keep {
            generate::remove(&file);
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// TLS that is not read beside what cannot be read.
fn race_sealed(options: &Options) -> bool {
    let files = [Sort::Tls, Sort::Opaque].map(|sort| {
        let file = options.folder.join(format!("{}-{}.pcap", sort.name(), options.size));
        println!("{}: {}", sort.name(), generate::write(&file, sort, options.size, options.flows).summary());
        file
    });
    let good = race::run_pair(&files[0], &files[1], options.runs, options.max_ratio.unwrap_or(SEALED_GOAL));
    if !options.keep {
        files.iter().for_each(|file| generate::remove(file));
    }
    good
}

/// Of the time that the same packets take with noise in them.
const SEALED_GOAL: f64 = 1.25;

/// Of the time of gzip and tcpdump.
const GZ_GOAL: f64 = 1.0;

struct Options {
    /// Bytes of each capture, roughly.
    size: u64,
    runs: usize,
    max_ratio: Option<f64>,
    only: Option<Sort>,
    folder: PathBuf,
    keep: bool,
    generate_only: bool,
    gz: bool,
    sealed: bool,
    flows: u64,
}

impl Options {
    fn from_arguments() -> Options {
        let mut options = Options {
            size: 1_000_000_000,
            runs: 5,
            max_ratio: None,
            only: None,
            folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
            keep: false,
            generate_only: false,
            gz: false,
            sealed: false,
            flows: generate::FLOWS_PER_GB,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
            match argument.as_str() {
                "--size" => options.size = bytes(&value()),
                "--runs" => options.runs = value().parse().expect("a number of runs"),
                "--max-ratio" => options.max_ratio = Some(value().parse().expect("a ratio such as 0.75")),
                "--only" => options.only = Some(Sort::parse(&value())),
                "--folder" => options.folder = PathBuf::from(value()),
                "--keep" => options.keep = true,
                "--gz" => options.gz = true,
                "--sealed" => options.sealed = true,
                "--flows" => options.flows = value().parse().expect("a number of connections"),
                "--generate-only" => (options.generate_only, options.keep) = (true, true),
                // Cargo adds this to every benchmark's arguments.
                "--bench" => {}
                other => panic!("unknown argument {other}"),
            }
        }
        options
    }
}

/// `1G`, `100M`, `5000`.
fn bytes(text: &str) -> u64 {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'K') => (&text[..text.len() - 1], 1_000),
        _ => (text, 1),
    };
    digits.parse::<u64>().unwrap_or_else(|_| panic!("a size such as 1G or 100M, not {text}")) * unit
}
