//! The one rule of the architecture: `src/lib.rs` lists the modules bottom-up, and a module uses only
//! modules listed above it. There is no second table: the order is read from lib.rs itself.
//!
//! What goes with it: `base` uses nothing but `std`; no clock is read below `engine`, since time
//! arrives with the packets; libpcap is used by `capture` alone.

use std::path::Path;

use crate::sources;

#[test]
fn a_module_uses_only_modules_listed_above_it() {
    let faults: Vec<String> = each_source(faults_of_layering);
    assert!(faults.is_empty(), "src/lib.rs lists the modules bottom-up:\n{}", faults.join("\n"));
}

#[test]
fn the_clock_and_libpcap_stay_in_their_modules() {
    let faults: Vec<String> = each_source(faults_of_reach);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn base_uses_the_standard_library_alone() {
    let crates = dependencies();
    assert!(crates.iter().any(|c| c == "etherparse"), "the dependencies were read: {crates:?}");
    let faults: Vec<String> = each_source(|order, path, code| {
        let Some((name, _)) = module_of(path).filter(|(name, _)| order.first() == Some(name)) else {
            return Vec::new();
        };
        crates
            .iter()
            .flat_map(|dependency| path_roots(code, dependency).map(move |line| (dependency, line)))
            .map(|(dependency, line)| format!("{}:{line}: {name} uses the crate {dependency}", path.display()))
            .collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_check_sees_every_way_to_write_a_wrong_edge() {
    let order = modules("pub mod base;\npub mod wire;\npub mod engine;\npub mod app;\n");
    assert_eq!(order, ["base", "wire", "engine", "app"]);
    let wrong = |path: &str, source: &str| {
        let code = sources::code(source);
        let mut faults = faults_of_layering(&order, Path::new(path), &code);
        faults.extend(faults_of_reach(&order, Path::new(path), &code));
        faults
    };
    for (path, source) in [
        ("src/base/time.rs", "use crate::wire::Head;"),
        ("src/base/mod.rs", "fn f() { crate::app::run() }"),
        ("src/wire/http1.rs", "use crate::{base::Timestamp, engine};"),
        ("src/wire/http1.rs", "use crate::{\n    base::{Timestamp, Nanos},\n    engine::{self, Engine},\n};"),
        ("src/wire/http1.rs", "use super::super::engine::Engine;"),
        ("src/wire/mod.rs", "use super::engine;"),
        ("src/wire/http1.rs", "use crate::*;"),
        ("src/wire/http1.rs", "use crate::{base, *};"),
        ("src/wire/http1.rs", "use crate as other;"),
        ("src/engine/mod.rs", "use hopscope::app;"),
        ("src/wire/http1.rs", "let now = std::time::Instant::now();"),
        ("src/base/time.rs", "let now = SystemTime :: now();"),
        ("src/engine/mod.rs", "let device = pcap::Device::lookup();"),
        ("src/app.rs", "use pcap::Capture;"),
    ] {
        assert_eq!(wrong(path, source).len(), 1, "{path}: {source}: {:?}", wrong(path, source));
    }
    for (path, source) in [
        ("src/wire/http1.rs", "use crate::{base::{Timestamp, Nanos}, wire::engine};"),
        ("src/wire/http1.rs", "// use crate::engine;\nlet text = \"crate::engine\";"),
        ("src/wire/http1.rs", "/// See [`crate::engine`].\nuse super::accept;"),
        ("src/engine/mod.rs", "use crate::wire::pcap::Header; let t = Instant::now();"),
        ("src/app.rs", "mod tests { use super::*; use crate::engine; }"),
        ("src/main.rs", "fn main() { hopscope::app::run() }"),
        ("src/capture/live.rs", "use pcap::Capture;"),
    ] {
        assert_eq!(wrong(path, source), Vec::<String>::new(), "{path}: {source}");
    }
}

/// Runs a check over every source file of the package, comments and strings taken out.
fn each_source(check: impl Fn(&[String], &Path, &str) -> Vec<String>) -> Vec<String> {
    let order = modules(&sources::read(Path::new("src/lib.rs")));
    assert!(order.len() > 5, "src/lib.rs lists the modules: {order:?}");
    let files = sources::files("src", &["rs"]);
    assert!(files.len() > order.len(), "every module has a file");
    files.iter().flat_map(|path| check(&order, path, &sources::code(&sources::read(path)))).collect()
}

/// The modules that lib.rs lists, in its order.
fn modules(lib: &str) -> Vec<String> {
    sources::code(lib)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect()
}

/// The crates that Cargo.toml lists under `[dependencies]`, as they are written in code.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = sources::read(Path::new("Cargo.toml")).parse().expect("Cargo.toml is TOML");
    manifest["dependencies"].as_table().expect("a table").keys().map(|name| name.replace('-', "_")).collect()
}

/// The module a source file belongs to, and how many modules deep the file itself is. `None` for
/// lib.rs and main.rs, which stand above all.
fn module_of(path: &Path) -> Option<(String, usize)> {
    let parts: Vec<&str> = path.iter().skip(1).filter_map(|p| p.to_str()).collect();
    let name = parts.first()?.trim_end_matches(".rs");
    if name == "lib" || name == "main" {
        return None;
    }
    let depth = parts.len() - usize::from(parts.len() > 1 && parts.last() == Some(&"mod.rs"));
    Some((name.to_owned(), depth))
}

fn faults_of_layering(order: &[String], path: &Path, code: &str) -> Vec<String> {
    let Some((own, depth)) = module_of(path) else { return Vec::new() };
    let place = order.iter().position(|m| *m == own);
    let mut faults = Vec::new();
    for (line, target) in crate_uses(code).into_iter().chain(super_uses(code, depth)) {
        let fault = match order.iter().position(|m| *m == target) {
            _ if target == "*" => Some("uses the whole crate: name the modules".to_owned()),
            Some(there) if place.is_some_and(|here| there > here) => {
                Some(format!("{own} uses {target}, which lib.rs lists below it"))
            }
            _ => None,
        };
        faults.extend(fault.map(|why| format!("{}:{line}: {why}", path.display())));
    }
    faults
}

fn faults_of_reach(order: &[String], path: &Path, code: &str) -> Vec<String> {
    let module = module_of(path).map(|(name, _)| name);
    let below_engine = module.as_ref().is_some_and(|name| {
        let place = |m: &str| order.iter().position(|o| o == m);
        place(name) < place("engine") && place(name).is_some()
    });
    let squeezed: String = code.chars().filter(|c| *c == '\n' || !c.is_whitespace()).collect();
    let mut faults = Vec::new();
    for (index, line) in squeezed.lines().enumerate() {
        if below_engine && (line.contains("Instant::now") || line.contains("SystemTime::now")) {
            faults.push(format!(
                "{}:{}: reads the clock below engine: time comes with the packets",
                path.display(),
                index + 1
            ));
        }
    }
    if module.as_deref() != Some("capture") {
        faults.extend(
            path_roots(code, "pcap").map(|line| format!("{}:{line}: uses libpcap outside capture", path.display())),
        );
    }
    faults
}

/// Lines on which a path starts with `name::`.
fn path_roots<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let whole = move |at: usize| {
        let before = code[..at].trim_end();
        !before.ends_with("::") && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    code.match_indices(name)
        .filter(move |&(at, _)| whole(at) && code[at + name.len()..].trim_start().starts_with("::"))
        .map(move |(at, _)| line_of(code, at))
}

/// What follows each `crate::` (or this package's own name), with its line: a module, or `*` where
/// the whole crate is taken. Groups in braces are opened.
fn crate_uses(code: &str) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    for word in ["crate", "hopscope"] {
        for (at, _) in code.match_indices(word) {
            let rest = code[at + word.len()..].trim_start();
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let line = line_of(code, at);
            if let Some(path) = rest.strip_prefix("::") {
                uses.extend(heads(path.trim_start()).into_iter().map(|name| (line, name)));
            } else if word == "crate" && rest.starts_with("as ") {
                uses.push((line, "*".to_owned()));
            }
        }
    }
    uses
}

/// What follows each `super::super::…` that is long enough to leave the file's module at depth `depth`.
/// A chain inside an inline module may be one longer, so only names of modules count there.
fn super_uses(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    for (at, _) in code.match_indices("super") {
        let before = code[..at].trim_end();
        if before.ends_with("::") || code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let mut rest = &code[at..];
        let mut length = 0;
        while let Some(tail) = rest.strip_prefix("super").and_then(|r| r.trim_start().strip_prefix("::")) {
            rest = tail.trim_start();
            length += 1;
        }
        if length >= depth {
            let line = line_of(code, at);
            uses.extend(heads(rest).into_iter().filter(|name| name != "*").map(|name| (line, name)));
        }
    }
    uses
}

/// The first names of a path: one, or those of a group in braces.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        if text.starts_with('*') {
            return "*".to_owned();
        }
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut names = Vec::new();
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}
