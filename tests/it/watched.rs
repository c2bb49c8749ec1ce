//! What the terminal UI is given is what reports are made of: the same findings and verdicts, also while reading goes on.
#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use std::fs;
use std::path::{Path, PathBuf};

use hopscope::base::limits;
use hopscope::capture::{Merged, Window};
use hopscope::engine::{Collected, Engine, Preview, Previewed, judge, read};
use hopscope::products::Products;
use hopscope::proto::Sink;
use hopscope::store::Analysis;

#[test]
fn what_the_terminal_shows_of_a_capture_is_what_its_report_says() {
    let products = Products::builtin();
    let mut wrong = Vec::new();
    let mut unread = 0;
    for case in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field")).unwrap() {
        let case = case.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let (in_tls, reported) = of(&case, Collected::default(), products, |sink| sink);
        let seen = Preview::default();
        let (_, shown) = of(&case, Previewed::new(seen.clone()), products, |sink| sink.collected);
        let meanwhile = analysed(seen.collected(), &case, products);
        unread += in_tls;
        for (which, other) in [("at the end", shown), ("meanwhile", meanwhile)] {
            // While it goes on, the first are shown, then more.
            let (one, two) = (told(&other), told(&reported));
            let fewer = other.rows.len() < reported.rows.len().min(limits::PREVIEWED_FIRST);
            if fewer || reported.rows.len() < limits::PREVIEWED_FIRST && one != two {
                let differs = one.iter().zip(&two).find(|(one, two)| one != two);
                wrong.push(format!("{}, {which}, {} of {}: {differs:#?}", case.display(), one.len(), two.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unread > 20, "{unread} connections in TLS that were not read");
}

/// Reads the captures of a case into a sink, and judges what it has.
pub(crate) fn of<S: Sink>(
    case: &Path,
    sink: S,
    products: &Products,
    collected: impl FnOnce(S) -> Collected,
) -> (usize, Analysis) {
    let mut inputs = open(case);
    let mut engine = Engine::new(sink);
    read(&mut inputs, &mut engine, &mut |_| true).expect("a readable capture");
    let collected = collected(engine.finish().0);
    (collected.sealed.len(), analysed(collected, case, products))
}

fn analysed(collected: Collected, case: &Path, products: &Products) -> Analysis {
    let facts = open(case).facts().to_vec();
    judge::whole(collected, Default::default(), facts, products, &|_, _| false)
}

fn open(case: &Path) -> Merged {
    let mut files: Vec<PathBuf> = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end.to_string_lossy().starts_with("pcap")));
    files.sort();
    Merged::open(&files, &Window::default()).expect("captures")
}

/// All chains and findings.
fn told(a: &Analysis) -> Vec<String> {
    let chains = a.chains.iter().map(|chain| format!("{chain:?}"));
    chains.chain(a.findings.iter().map(|finding| format!("{finding:?}"))).collect()
}
