//! The terminal UI over a million exchanges, without a terminal: how long a frame takes, a key until its frame, a filter
//! until all that matches is shown; and what the UI adds to the time in which a mixed capture is read (with `--size`,
//! which needs tmux).
//!
//! ```text
//! cargo bench --bench screens -- [--exchanges 1000000] [--size 1G] [--runs 5]
//! ```
//! Exits 1 where a goal is missed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    dead_code,
    reason = "a benchmark stops at the first surprise and prints what it finds"
)]

#[path = "../support/accept.rs"]
mod accept;
mod connection;
mod generate;
mod open;
mod random;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use hopscope::base::{ExchangeId, Nanos};
use hopscope::capture::{Merged, Window};
use hopscope::engine::{self, Collected, Engine, Judge, judge};
use hopscope::products::Products;
use hopscope::store::Analysis;
use hopscope::tui::{Palette, Ready, Shared, Theme, Ui};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The longest that a frame, a key until its frame, and a filter may take.
const FRAME: Duration = Duration::from_millis(8);
const KEY: Duration = Duration::from_millis(16);
const FILTER: Duration = Duration::from_millis(20);
/// A large terminal.
const AREA: Rect = Rect { x: 0, y: 0, width: 160, height: 48 };

fn main() -> ExitCode {
    let (mut exchanges, mut size, mut runs) = (1_000_000, None, 5);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--exchanges" => exchanges = value().parse().expect("a number"),
            "--size" => size = Some(value()),
            "--runs" => runs = value().parse().expect("a number of runs"),
            // Cargo adds this to every benchmark's arguments.
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    let good = match size {
        Some(size) => open::compare(&size, runs),
        None => screens(exchanges),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One goal after the other; whether all are met.
fn screens(exchanges: usize) -> bool {
    let before = resident();
    let a = many(exchanges);
    let of_analysis = resident() - before;
    let (rows, chains) = (a.rows.len(), a.chains.len());
    let began = Instant::now();
    let ready = Ready::new(a);
    let made = began.elapsed();
    let mut ui = Ui::new(Shared::new(Theme { palette: Palette::Terminal, ascii: false }, false, true));
    ui.reading = None;
    let began = Instant::now();
    ui.take(ready);
    let taken = began.elapsed();
    let of_ui = resident() - before - of_analysis;
    println!(
        "{rows} exchanges in {chains} chains: the analysis takes {of_analysis} MiB, the UI {of_ui} MiB more; made ready \
         beside the screen in {} and taken in {}",
        ms(made),
        ms(taken)
    );
    let mut good = told("the first frame with all", taken + draw(&mut ui), KEY);
    for (name, script) in [
        ("chains", ""),
        ("chains, at the end", "G"),
        ("chains, unfolded", "g l"),
        ("timeline", "t"),
        ("timeline, zoomed", "t z"),
        ("ladder", "Enter"),
        ("message", "Enter Enter"),
        ("diff", "d"),
        ("findings", "f"),
        ("frames", "1 g w"),
        ("bytes", "x"),
        ("flows", "4"),
        ("chains, grouped", "o"),
    ] {
        let opened = script.split(' ').filter(|key| !key.is_empty()).map(|key| press(&mut ui, key)).max();
        settle(&mut ui);
        let frames = (0..20).map(|_| draw(&mut ui)).max().unwrap_or_default();
        good &= told(&format!("{name}: a frame"), frames, FRAME);
        if let Some(opened) = opened {
            good &= told(&format!("{name}: key to frame"), opened, KEY);
        }
        let moved = ["j", "PgDn", "k", "G", "g", "]"].map(|key| press(&mut ui, key)).into_iter().max();
        good &= told(&format!("{name}: moving"), moved.unwrap_or_default(), KEY);
        press(&mut ui, "1");
        if script == "o" {
            (0..4).for_each(|_| {
                press(&mut ui, "o");
                settle(&mut ui);
            });
        }
    }
    for (name, keys) in [("sorted by verdict", "s"), ("sorted by status", "s"), ("reversed", "r")] {
        let key = press(&mut ui, keys);
        good &= told(&format!("{name}: key to frame"), key, KEY);
        let (whole, longest) = settle(&mut ui);
        good &= told(&format!("{name}: the longest step beside keys"), longest, KEY);
        println!("  {name}: in order after {}", ms(key + whole));
    }
    while !ui.s.order().is_natural() {
        press(&mut ui, "s");
        settle(&mut ui);
    }
    for filter in ["status:101", "path~none", "rule:hop-*", "status:426 path:/old -host:x"] {
        press(&mut ui, "/");
        let mut longest = Duration::ZERO;
        for c in filter.chars() {
            longest = longest.max(press(&mut ui, &c.to_string()));
        }
        press(&mut ui, "Enter");
        settle(&mut ui);
        press(&mut ui, "Ctrl-x");
        settle(&mut ui);
        let began = Instant::now();
        ui.s.filter(filter);
        while ui.work() {}
        let whole = began.elapsed() + draw(&mut ui);
        good &= told(&format!("filter {filter}: key to frame"), longest, KEY);
        good &= told(&format!("filter {filter}: all {} matches", ui.s.visible.len()), whole, FILTER);
        press(&mut ui, "Ctrl-x");
        settle(&mut ui);
    }
    std::mem::forget(ui);
    good
}

fn told(what: &str, took: Duration, goal: Duration) -> bool {
    let good = took <= goal;
    println!("  {what}: {}{}", ms(took), if good { "" } else { "  FAILED: above the goal" });
    good
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn draw(ui: &mut Ui) -> Duration {
    let mut buf = Buffer::empty(AREA);
    let began = Instant::now();
    ui.draw(AREA, &mut buf);
    began.elapsed()
}

/// A key, and the frame behind it.
fn press(ui: &mut Ui, name: &str) -> Duration {
    let (code, modifiers) = match name {
        "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
        "PgDn" => (KeyCode::PageDown, KeyModifiers::NONE),
        "Ctrl-x" => (KeyCode::Char('x'), KeyModifiers::CONTROL),
        name => (KeyCode::Char(name.chars().next().unwrap_or(' ')), KeyModifiers::NONE),
    };
    let began = Instant::now();
    ui.event(&Event::Key(KeyEvent::new(code, modifiers)));
    let took = began.elapsed();
    took + draw(ui)
}

/// What goes on between keys; all of it, and its longest step.
fn settle(ui: &mut Ui) -> (Duration, Duration) {
    let (mut whole, mut longest) = (Duration::ZERO, Duration::ZERO);
    loop {
        let began = Instant::now();
        let more = ui.work();
        let took = began.elapsed();
        (whole, longest) = (whole + took, longest.max(took));
        if !more {
            return (whole, longest);
        }
    }
}

/// A sample again and again, each time a little later, until there are so many exchanges.
fn many(exchanges: usize) -> Analysis {
    let sample = sample();
    let mut a = Analysis { inputs: sample.inputs.clone(), counters: sample.counters.clone(), ..Analysis::default() };
    let last = sample.rows.last().expect("a row").exchange.id.0;
    while a.rows.len() < exchanges {
        let round = (a.rows.len() / sample.rows.len()) as u64;
        let (id, findings) = (round * last, a.findings.len());
        let later = Nanos(i64::try_from(round).expect("small") * 2_000_000_000);
        for row in &sample.rows {
            let mut row = row.clone();
            row.exchange.id = ExchangeId(row.exchange.id.0 + id);
            row.exchange.request.first = row.exchange.request.first + later;
            row.exchange.request.last = row.exchange.request.last + later;
            row.findings.iter_mut().for_each(|finding| *finding += findings);
            a.rows.push(row);
        }
        for chain in &sample.chains {
            let mut chain = chain.clone();
            chain.id += i64::try_from(id).expect("small");
            chain.legs.iter_mut().for_each(|leg| leg.0 += id);
            chain.findings.iter_mut().for_each(|finding| *finding += findings);
            for hop in &mut chain.hops {
                hop.between = (ExchangeId(hop.between.0.0 + id), ExchangeId(hop.between.1.0 + id));
            }
            a.chains.push(chain);
        }
        a.findings.extend(sample.findings.iter().cloned());
    }
    if let (Some(input), Some(row)) = (a.inputs.first_mut(), a.rows.last()) {
        input.last = Some(row.exchange.request.last);
    }
    a
}

fn sample() -> Analysis {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/120-clients-three-locations.pcapng");
    let mut inputs = Merged::open(&[file], &Window::default()).expect("a sample");
    let mut engine = Engine::new(Collected::default());
    engine::read(&mut inputs, &mut engine, &mut |_| true).expect("a sample");
    let (collected, counters) = engine.finish();
    let mut judge = Judge::new(Products::builtin());
    judge::whole_by(&mut judge, collected, counters, inputs.into_facts(), &|_, _| false)
}

/// Memory of this process, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 10
}
