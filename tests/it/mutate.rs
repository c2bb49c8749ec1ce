//! Samples, damaged at random, through the library: nothing panics, and none takes long.
//! `HOPSCOPE_MUTATE_SECONDS` sets for how long; `HOPSCOPE_SHARED` adds the captures of that folder.
#![allow(
    clippy::use_debug,
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "a failing test prints what it found; its numbers are small"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{Collected, Engine, judge, read};
use hopscope::products::Products;
use hopscope::report::{FORMATS, Options};

use crate::support::pack::PACKERS;

/// Larger captures would leave time for few rounds.
pub(crate) const LARGEST: u64 = 4 << 20;

/// Endings of names of captures.
const ENDINGS: [&str; 7] = ["pcap", "pcapng", "cap", "dump", "snoop", "gz", "zst"];

/// Compressing larger ones would take too long.
const PACKED: usize = 64 << 10;

#[test]
fn damaged_samples_neither_panic_nor_take_long() {
    damage(&files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")), 10);
}

#[test]
#[ignore = "needs HOPSCOPE_SHARED"]
fn damaged_captures_neither_panic_nor_take_long() {
    let shared = std::env::var_os("HOPSCOPE_SHARED").expect("HOPSCOPE_SHARED names the folder with captures/");
    damage(&files(&PathBuf::from(shared).join("captures")), 20);
}

fn damage(files: &[PathBuf], seconds: u64) {
    assert!(!files.is_empty());
    let seconds = std::env::var("HOPSCOPE_MUTATE_SECONDS").ok().map_or(seconds, |s| s.parse().expect("whole seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut rounds, mut slowest, mut random) = (0_u64, Duration::ZERO, Random(0x5eed));
    while Instant::now() < end {
        let path = &files[random.below(files.len())];
        let seed = random.0;
        let bytes = damaged(path, &mut random);
        let began = Instant::now();
        let bugs = catch_unwind(AssertUnwindSafe(|| analyse(bytes)));
        let took = began.elapsed();
        assert!(matches!(bugs, Ok(0)), "{} from {seed:#x}: {bugs:?}", path.display());
        assert!(took < Duration::from_secs(5), "{} from {seed:#x}: {took:?}", path.display());
        slowest = slowest.max(took);
        rounds += 1;
    }
    println!("{rounds} damaged captures of {} in {seconds} s, the slowest took {slowest:?}", files.len());
}

/// A capture with a few damages.
pub(crate) fn damaged(path: &Path, random: &mut Random) -> Vec<u8> {
    let mut bytes = std::fs::read(path).expect("a readable capture");
    // Compressed, the damage is to what unpacks it; and compressed once damaged, to what reads it.
    let pack = PACKERS[random.below(PACKERS.len())].2;
    let order = if bytes.len() < PACKED { random.below(4) } else { 3 };
    if order == 0 {
        bytes = pack(&bytes);
    }
    mutate(&mut bytes, random);
    if order == 1 {
        bytes = pack(&bytes);
    }
    bytes
}

/// Reads, judges and reports; the number of faults that were caught on the way.
fn analyse(bytes: Vec<u8>) -> u64 {
    let Ok(mut inputs) = Merged::from_sources(vec![Source::from_bytes("damaged", bytes)], &Window::default()) else {
        return 0;
    };
    let mut engine = Engine::new(Collected::default());
    // A capture that cannot be read on is told as an error; what came before it counts.
    let _ = read(&mut inputs, &mut engine, &mut |_| true);
    let (collected, counters) = engine.finish();
    let bugs = counters.bugs;
    let analysis = judge::whole(collected, counters, inputs.into_facts(), Products::builtin(), &|_, _| false);
    for format in FORMATS {
        let mut out = Vec::new();
        (format.write)(&analysis, &Options { utc: true, ..Options::default() }, &mut out).expect("memory");
        std::str::from_utf8(&out).expect("UTF-8");
    }
    bugs
}

/// A few damages of any kind.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let len = random.below(2_000).min(bytes.len() - at);
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => (0..len.min(16)).for_each(|i| bytes[at + i] = random.below(256) as u8),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let slice = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, slice);
            }
            5 => {
                let extreme: [u32; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff];
                let word = extreme[random.below(extreme.len())].to_le_bytes();
                (0..len.min(4)).for_each(|i| bytes[at + i] = word[i]);
            }
            _ => {
                // Text is what the machines read.
                let words: [&[u8]; 8] = [
                    b"\r\n\r\n",
                    b"HTTP/1.1 101 x\r\n",
                    b"GET / HTTP/1.1\r\n",
                    b"Upgrade: websocket\r\n",
                    b"Content-Length: 99999999999\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"\x81\xff\x7f",
                    b"\xff\xfe\x00",
                ];
                let word = words[random.below(words.len())];
                (0..word.len().min(bytes.len() - at)).for_each(|i| bytes[at + i] = word[i]);
            }
        }
    }
}

/// Capture files below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e == *ending))
            && path.metadata().is_ok_and(|m| m.len() <= LARGEST)
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The same numbers in every run (PCG's multiplier, upper bits).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n.max(1) as u64).expect("below n")
    }
}
