//! What stands where, and how large it may be.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sources;

/// Lines a source file may have, its tests not counted.
const SOURCE_LINES: usize = 800;
/// Bytes all samples together may have.
const SAMPLE_BYTES: u64 = 10 << 20;

#[test]
fn the_top_level_holds_only_what_it_should() {
    let allowed = ["Cargo.lock", "Cargo.toml", "README.md", "docs", "samples", "src", "tests"];
    for name in top_level() {
        assert!(name.starts_with('.') || allowed.contains(&name.as_str()), "{name} does not belong at the top level");
    }
}

#[test]
fn no_source_file_is_too_long_to_read() {
    for path in sources::files("src", &["rs"]).into_iter().chain(sources::files("tests", &["rs"])) {
        let source = sources::read(&path);
        let lines = lines_without_tests(&source);
        assert!(
            lines <= SOURCE_LINES,
            "{}: {lines} lines, more than {SOURCE_LINES}: split it by reason to change",
            path.display()
        );
    }
}

#[test]
fn every_product_file_is_registered() {
    let code: String = sources::files("src/products", &["rs"]).iter().map(|p| sources::read(p)).collect();
    for path in sources::files("src/products", &["toml"]) {
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let listed = code.contains(&format!("\"{stem}\"")) || code.contains(&format!("\"{stem}.toml\""));
        assert!(listed, "src/products/*.rs does not load {}", path.display());
    }
}

#[test]
fn every_rule_file_is_registered() {
    for path in sources::files("src/rules", &["rs"]) {
        let source = sources::read(&path);
        if !source.contains("static RULE: Rule") || path.ends_with("rule.rs") {
            continue;
        }
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        let list = path.with_file_name("mod.rs");
        assert!(
            sources::read(&list).contains(&format!("&{stem}::RULE")),
            "{} is not in the list of {}",
            path.display(),
            list.display()
        );
    }
}

#[test]
fn every_test_module_is_registered() {
    let main = sources::read(Path::new("tests/it/main.rs"));
    for path in sources::files("tests/it", &["rs"]) {
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        assert!(stem == "main" || main.contains(&format!("mod {stem};")), "{} is never compiled", path.display());
    }
}

#[test]
fn the_samples_stay_small() {
    let bytes: u64 = sources::files("samples", &[])
        .iter()
        .map(|p| fs::metadata(sources::root().join(p)).expect("a sample").len())
        .sum();
    assert!(bytes < SAMPLE_BYTES, "samples/ has {bytes} bytes");
}

#[test]
fn every_sample_is_explained() {
    let readme = sources::read(Path::new("samples/README.md"));
    for path in sources::files("samples", &["pcap", "pcapng"]) {
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
        assert!(readme.contains(name), "samples/README.md does not say where {name} comes from");
    }
}

#[test]
fn no_source_file_knows_the_addresses_of_a_capture() {
    // Rules that fit one set of captures only would show themselves by such an address.
    let address = ["10", "77", ""].join(".");
    for folder in ["src", "tests", "samples"] {
        for path in sources::files(folder, &["rs", "toml", "sh", "md"]) {
            let text = sources::read(&path);
            assert!(!text.contains(&address), "{} mentions an address {address}…", path.display());
        }
    }
}

/// What git tracks at the top level, or what stands there where this is no clone.
fn top_level() -> Vec<String> {
    let git = Command::new("git").args(["ls-files"]).current_dir(sources::root()).output();
    if let Ok(output) = git
        && output.status.success()
    {
        let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
        let mut names: Vec<String> = listed.lines().filter_map(|l| l.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        return names;
    }
    fs::read_dir(sources::root())
        .expect("the root")
        .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name != "target")
        .collect()
}

/// The lines of a file above its `#[cfg(test)] mod tests`.
fn lines_without_tests(source: &str) -> usize {
    let mut lines = source.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let tests_follow =
            lines.peek().is_some_and(|(_, next)| next.starts_with("mod tests") || next.starts_with("#["));
        if line == "#[cfg(test)]" && tests_follow {
            return number;
        }
    }
    source.lines().count()
}

#[test]
fn tests_do_not_count_as_lines_of_a_source_file() {
    assert_eq!(lines_without_tests("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
    assert_eq!(lines_without_tests("a\n#[cfg(test)]\nfn helper() {}\nb\n"), 4);
}
