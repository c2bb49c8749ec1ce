//! Runs before the package is compiled: finds out which commit this is and what goes in, for `hopscope --version`.
//!
//! A build that must be fast to repeat does not ask: git is asked in profiles made from `release` alone, since each
//! other answer compiles the whole package anew.
#![allow(clippy::print_stdout, reason = "it is how a build script tells cargo")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Hexadecimal digits of a commit that are shown.
const DIGITS: usize = 12;

/// Where the archives that git makes hold their commit (`export-subst` in `.gitattributes`).
const ARCHIVED: &str = "src/commit.txt";

/// Where `cargo package` notes the commit.
const PACKAGED: &str = ".cargo_vcs_info.json";

fn main() {
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    println!("cargo:rerun-if-changed=src/build.rs");
    println!("cargo:rerun-if-changed={ARCHIVED}");
    println!("cargo:rerun-if-env-changed=HOPSCOPE_COMMIT");
    let commit = told().or_else(|| archived(&root)).or_else(|| packaged(&root)).or_else(|| cloned(&root));
    println!("cargo:rustc-env=HOPSCOPE_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=HOPSCOPE_FEATURES={}", features());
    println!("cargo:rustc-env=HOPSCOPE_TARGET={}", env::var("TARGET").unwrap_or_default());
}

/// What is compiled in, as Cargo.toml names it.
fn features() -> String {
    let on = |name: &&str| {
        let variable = format!("CARGO_FEATURE_{}", name.to_uppercase().replace('-', "_"));
        env::var_os(variable).is_some()
    };
    let names: Vec<&str> = ["live", "fast-crypto"].into_iter().filter(on).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What whoever builds says.
fn told() -> Option<String> {
    env::var("HOPSCOPE_COMMIT").ok().filter(|commit| !commit.is_empty())
}

fn archived(root: &Path) -> Option<String> {
    hash(fs::read_to_string(root.join(ARCHIVED)).ok()?.trim())
}

fn packaged(root: &Path) -> Option<String> {
    let noted = fs::read_to_string(root.join(PACKAGED)).ok()?;
    hash(noted.split_once("\"sha1\"")?.1.split('"').nth(1)?)
}

/// The commit of this clone, with a `+` where the sources differ from it.
fn cloned(root: &Path) -> Option<String> {
    if env::var("PROFILE").ok()? != "release" {
        return None;
    }
    // An empty prefix: the repository is of this folder, not of one around an unpacked archive.
    if !git(root, &["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // Every commit and every checkout writes a line there.
    let log = git(root, &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    let commit = hash(&git(root, &["rev-parse", "HEAD"])?)?;
    let sources = ["src", "Cargo.toml", "Cargo.lock"];
    for source in sources {
        println!("cargo:rerun-if-changed={source}");
    }
    let changed = git(root, &[&["--no-optional-locks", "status", "--porcelain", "--"], &sources[..]].concat())?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}

/// The first digits of what is a commit's hash.
fn hash(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(char::is_ascii_hexdigit).take(DIGITS).collect();
    (word.len() == DIGITS).then_some(word)
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim_end().to_owned())
}
