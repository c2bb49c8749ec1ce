//! What README.md and the pages for users show is what the program prints. A fenced block marked `console` holds commands
//! behind `$ ` and below each its output; a line `…` stands for any lines left out.
//!
//! To renew the outputs: `HOPSCOPE_UPDATE=1 cargo test --test it readme`, and read the difference.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sources;
use crate::support::run;

/// Stands for lines that are not shown.
const LEFT_OUT: &str = "…";
const FENCE: &str = "```";

#[test]
fn every_output_that_the_readme_shows_is_real() {
    for document in [PathBuf::from("README.md")].into_iter().chain(pages()) {
        holds(&document, &["hopscope "]);
    }
}

#[test]
#[ignore = "needs tshark: .ci/run"]
fn the_comparison_shows_what_both_programs_print() {
    holds(Path::new("docs/comparison.md"), &["hopscope ", "tshark "]);
}

/// A page for each kind of user.
fn pages() -> impl Iterator<Item = PathBuf> {
    let pages: Vec<PathBuf> = sources::files("docs", &["md"])
        .into_iter()
        .filter(|page| page.file_name().and_then(|n| n.to_str()).is_some_and(|name| name.starts_with("use-")))
        .collect();
    assert!(pages.len() >= 4, "{pages:?}");
    pages.into_iter()
}

/// Compares what a document shows with what is printed, or renews it. `programs`: what may be shown.
fn holds(path: &Path, programs: &[&str]) {
    let text = sources::read(path);
    let name = path.display();
    let run = |command: &str| {
        let may = programs.iter().any(|program| command.starts_with(program));
        assert!(may, "{name}: {command}: only {programs:?} can be shown");
        output(command)
    };
    let mut shown = 0;
    if std::env::var_os("HOPSCOPE_UPDATE").is_some() {
        let renewed = each_example(&text, |command, old| renew(old, &run(command)));
        std::fs::write(sources::root().join(path), renewed).expect("a document can be written");
        return;
    }
    let same = each_example(&text, |command, old| {
        shown += 1;
        let new = run(command);
        assert!(
            matches(old, &lines(&new)),
            "{name}: `{command}` prints something else now; HOPSCOPE_UPDATE=1 cargo test --test it readme \
             renews it:\n{new}"
        );
        old.iter().map(|&line| line.to_owned()).collect()
    });
    assert_eq!(same, text, "nothing is lost in reading the blocks");
    assert!(shown > 0, "{name} shows no command");
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let documents = sources::files("docs", &["md"]).into_iter();
    for document in documents.chain(["README.md".into(), "samples/README.md".into()]) {
        let text = sources::read(&document);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if target.contains("://") || file.is_empty() {
                continue;
            }
            let path = sources::root().join(&document).with_file_name("").join(file);
            assert!(path.exists(), "{}: there is no {target}", document.display());
        }
    }
}

/// The text with the lines below each command replaced by what `each` makes of them.
fn each_example(text: &str, mut each: impl FnMut(&str, &[&str]) -> Vec<String>) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text.lines().peekable();
    let mut inside = false;
    while let Some(line) = rest.next() {
        out.push(line.to_owned());
        inside = if inside { !line.starts_with(FENCE) } else { line == "```console" };
        if !inside {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            let mut shown = Vec::new();
            while let Some(next) = rest.next_if(|l| !l.starts_with(FENCE) && !l.starts_with("$ ")) {
                shown.push(next);
            }
            out.extend(each(command, &shown));
        }
    }
    out.join("\n") + "\n"
}

/// All that a command prints, run by a shell in the root as a user would.
fn output(command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_hopscope"));
    let mut path = std::ffi::OsString::from(program.parent().expect("a folder"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(sources::root())
        // Nothing of this machine: its time zone, its colours, its user's own product files.
        .envs([("TZ", "UTC"), ("NO_COLOR", "1"), ("XDG_CONFIG_HOME", "/nonexistent")])
        .env("PATH", path)
        .output()
        .expect("a shell");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().collect()
}

/// Whether `shown`, in which lines may be left out, is `real`. Empty lines at its end are of no matter.
fn matches(shown: &[&str], real: &[&str]) -> bool {
    match shown.split_first() {
        None => real.is_empty(),
        Some((&"", rest)) if real.is_empty() => matches(rest, real),
        Some((&LEFT_OUT, rest)) => (0..=real.len()).any(|skip| matches(rest, &real[skip..])),
        Some((line, rest)) => real.split_first().is_some_and(|(first, real)| first == line && matches(rest, real)),
    }
}

/// The new output, with as many lines shown before and behind what is left out as there were.
fn renew(shown: &[&str], new: &str) -> Vec<String> {
    let new = lines(new);
    let blank = shown.iter().rev().take_while(|line| line.is_empty()).count();
    let shown = &shown[..shown.len() - blank];
    let parts: Vec<&[&str]> = shown.split(|line| *line == LEFT_OUT).collect();
    let kept: Vec<&str> = match parts.as_slice() {
        [before, behind] if before.len() + behind.len() < new.len() => {
            let (before, behind) = (&new[..before.len()], &new[new.len() - behind.len()..]);
            [before, &[LEFT_OUT], behind].concat()
        }
        [_] | [_, _] => new,
        _ => panic!("README.md: more than one {LEFT_OUT} below a command: renew it by hand"),
    };
    kept.into_iter().chain(std::iter::repeat_n("", blank)).map(str::to_owned).collect()
}

#[test]
fn left_out_lines_match_any() {
    assert!(matches(&["a", "b", ""], &["a", "b"]));
    assert!(!matches(&["a"], &["a", "b"]));
    assert!(matches(&["a", LEFT_OUT, "d"], &["a", "b", "c", "d"]));
    assert!(matches(&["a", LEFT_OUT], &["a"]));
    assert!(!matches(&["a", LEFT_OUT, "d"], &["a", "b", "c"]));
}

#[test]
fn renewing_keeps_what_is_left_out() {
    assert_eq!(renew(&["a", LEFT_OUT, "z", ""], "1\n2\n3\n4\n"), ["1", LEFT_OUT, "4", ""]);
    assert_eq!(renew(&["a"], "1\n2\n"), ["1", "2"]);
    let text = "x\n```console\n$ hopscope a\nold\n\n$ hopscope b\n```\n```sh\n$ hopscope c\n```\n";
    let renewed = each_example(text, |command, old| renew(old, &format!("new {command}\n")));
    assert_eq!(
        renewed,
        "x\n```console\n$ hopscope a\nnew hopscope a\n\n$ hopscope b\nnew hopscope b\n```\n```sh\n$ hopscope c\n```\n"
    );
}

#[test]
fn the_surroundings_have_no_say() {
    // What the other tests give the program, and what the examples get, must agree.
    let direct = run::output(&["rules"]).stdout;
    assert_eq!(String::from_utf8(direct).expect("UTF-8"), output("hopscope rules"));
}
