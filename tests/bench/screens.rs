//! The terminal UI over a million exchanges, without a terminal: how long a frame takes, a key until its frame, a filter
//! until all that matches is shown; and what the UI adds to the time in which a mixed capture is read (with `--size`,
//! which needs tmux).
//!
//! ```text
//! cargo bench --bench screens -- [--exchanges 1000000] [--size 1G] [--runs 5]
//! ```
//! Nearly every exchange has a client, path, key and length of its own. Where the processor was taken away meanwhile, which
//! says nothing of the screen, it is measured again if that can be, and told if not. Exits 1 where a goal is missed.
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

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use hopscope::base::{Endpoint, ExchangeId, Nanos};
use hopscope::capture::{Merged, Window};
use hopscope::engine::{self, Collected, Engine, Judge, judge};
use hopscope::model::StartLine;
use hopscope::products::Products;
use hopscope::store::{Analysis, Row};
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
    let of_ready = resident() - before - of_analysis;
    let rest = ready.rest();
    let mut ui = Ui::new(Shared::new(Theme { palette: Palette::Terminal, ascii: false }, false, true));
    ui.reading = None;
    println!(
        "{rows} exchanges in {chains} chains: the analysis takes {of_analysis} MiB, what lists need {of_ready} MiB more, made \
         in {}",
        ms(made),
    );
    let mut good = told("taken, and the first frame with all", timed(|| ui.take(ready)) + drawn(&mut ui), KEY);
    good &= told(
        "a filter before columns are there: key to frame",
        timed(|| ui.s.filter("status:426")) + drawn(&mut ui),
        KEY,
    );
    let (whole, longest) = settle(&mut ui);
    good &= told("a filter before columns are there: the longest step beside keys", longest, KEY);
    println!("  a filter before columns are there: all {} matches after {}", ui.s.visible.len(), ms(whole.took));
    press(&mut ui, "Ctrl-x");
    let began = Instant::now();
    let columns = rest.make(&|| true).expect("it is wanted");
    println!("  columns: {} MiB, made beside the screen in {}", columns.size() >> 20, ms(began.elapsed()));
    ui.take_columns(columns);
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
        let frames = (0..20).map(|_| undisturbed(|| draw(&mut ui))).max().unwrap_or_default();
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
    for key in [["s"; 13].as_slice(), &["o"; 5]].concat() {
        let key = press(&mut ui, key);
        let name = ui.s.order().words();
        good &= told(&format!("{name}: key to frame"), key, KEY);
        let (whole, longest) = settle(&mut ui);
        good &= told(&format!("{name}: the longest step beside keys"), longest, KEY);
        println!("  {name}: in order after {}", ms(key.took + whole.took));
    }
    while !ui.s.order().is_natural() {
        press(&mut ui, "s");
        settle(&mut ui);
    }
    for filter in FILTERS {
        press(&mut ui, "/");
        let mut longest = Took::default();
        for c in filter.chars() {
            longest = longest.max(press(&mut ui, &c.to_string()));
        }
        press(&mut ui, "Enter");
        settle(&mut ui);
        press(&mut ui, "Ctrl-x");
        settle(&mut ui);
        let whole = undisturbed(|| {
            timed(|| {
                ui.s.filter(filter);
                while ui.work() {}
                draw(&mut ui);
            })
        });
        good &= told(&format!("filter {filter}: key to frame"), longest, KEY);
        good &= told(&format!("filter {filter}: all {} matches", ui.s.visible.len()), whole, FILTER);
        press(&mut ui, "Ctrl-x");
        settle(&mut ui);
    }
    println!("  in all {} MiB beside the analysis", resident() - before - of_analysis);
    std::mem::forget(ui);
    good
}

/// Of every sort; the last one but one is a word that is looked for everywhere, the last one is by no column.
const FILTERS: [&str; 12] = [
    "status:101",
    "path~none",
    "path~/7777",
    "rule:hop-*",
    "status:426 path:/* -host:x",
    "client:10.3.*",
    "-client:10.3.17.5 dur>1s",
    "key:key-00000000000000123456",
    "id>999000 or severity:error",
    "ip~3.17",
    "4711",
    "packet:4711",
];

/// How long something took, and whether the processor was taken away from it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Took {
    took: Duration,
    disturbed: bool,
}

impl std::ops::Add for Took {
    type Output = Took;

    fn add(self, other: Took) -> Took {
        Took { took: self.took + other.took, disturbed: self.disturbed || other.disturbed }
    }
}

fn timed(f: impl FnOnce()) -> Took {
    let before = switches();
    let began = Instant::now();
    f();
    let took = began.elapsed();
    Took { took, disturbed: switches() != before }
}

/// Again, up to ten times, until it is not disturbed.
fn undisturbed(mut f: impl FnMut() -> Took) -> Took {
    let mut took = f();
    for _ in 0..10 {
        if !took.disturbed {
            break;
        }
        took = f();
    }
    took
}

/// How often the processor was taken away from this thread.
fn switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:")).unwrap_or_default();
    line.trim().parse().unwrap_or(0)
}

fn told(what: &str, took: Took, goal: Duration) -> bool {
    let good = took.took <= goal;
    let disturbed = if took.disturbed { " (the processor was taken away)" } else { "" };
    println!("  {what}: {}{disturbed}{}", ms(took.took), if good { "  ok" } else { "  FAILED: above the goal" });
    good
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn draw(ui: &mut Ui) -> Took {
    let mut buf = Buffer::empty(AREA);
    timed(|| {
        ui.draw(AREA, &mut buf);
    })
}

/// The same; it can be measured again.
fn drawn(ui: &mut Ui) -> Took {
    undisturbed(|| draw(ui))
}

/// A key, and the frame behind it.
fn press(ui: &mut Ui, name: &str) -> Took {
    let (code, modifiers) = match name {
        "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
        "PgDn" => (KeyCode::PageDown, KeyModifiers::NONE),
        "Ctrl-x" => (KeyCode::Char('x'), KeyModifiers::CONTROL),
        name => (KeyCode::Char(name.chars().next().unwrap_or(' ')), KeyModifiers::NONE),
    };
    let key = timed(|| {
        ui.event(&Event::Key(KeyEvent::new(code, modifiers)));
    });
    key + drawn(ui)
}

/// What goes on between keys; all of it, and its longest step.
fn settle(ui: &mut Ui) -> (Took, Took) {
    let (mut whole, mut longest) = (Took::default(), Took::default());
    loop {
        let mut more = false;
        let took = timed(|| more = ui.work());
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
            differ(&mut row, a.rows.len());
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

/// Gives an exchange a client, a path, a key and a length of its own.
fn differ(row: &mut Row, n: usize) {
    let x = &mut row.exchange;
    let [.., a, b, c] = (n as u32).to_be_bytes();
    x.client = Endpoint::new(IpAddr::from([10, a, b, c]), 1_024 + (n % 60_000) as u16);
    x.end.lifetime = x.end.lifetime.map(|lifetime| lifetime + Nanos(n as i64));
    let key = x.key().map(<[u8]>::to_vec).filter(|key| key.len() == 24);
    if let Some(at) = key.and_then(|key| x.request.text.windows(24).position(|part| part == key)) {
        x.request.text[at..at + 24].copy_from_slice(format!("{n:022}==").as_bytes());
    }
    let StartLine::Request { target, version, .. } = &mut x.request.start else { return };
    let more = format!("/{n}").into_bytes();
    let (end, by) = (target.end, more.len() as u32);
    let mut text = x.request.text.to_vec();
    text.splice(end as usize..end as usize, more);
    x.request.text = text.into();
    target.end += by;
    let ranges = std::sync::Arc::make_mut(&mut x.request.fields)
        .iter_mut()
        .flat_map(|field| [&mut field.name, &mut field.value]);
    for range in ranges.chain([version]).filter(|range| range.start >= end) {
        *range = range.start + by..range.end + by;
    }
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
