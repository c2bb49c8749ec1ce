//! A product as `tests/fixes/SLUG.toml` describes it: a whole configuration with places for a fix,
//! its own check, and how it is started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hopscope::products::FixEntry;
use serde::Deserialize;
use tempfile::TempDir;

use crate::sources;

/// How long one check may take, and how long a product may take to listen.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a product may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// A file of `tests/fixes`. In its texts `{dir}` is a folder of its own, `{port}`, `{tls}` and `{backend}`
/// are free ports of this machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// The product's slug; the file's name.
    #[serde(skip)]
    pub(crate) slug: String,
    /// What Debian's apt calls it and what `prepare` needs; `.ci/run` reads this line and installs them.
    packages: Vec<String>,
    /// Why it may be missing, where it is not in apt. It is checked where it is there.
    #[serde(default)]
    pub(crate) elsewhere: Option<String>,
    version: String,
    /// The version stands behind these characters of what `version` prints.
    version_after: String,
    /// Run once before the first check.
    #[serde(default)]
    prepare: Option<String>,
    /// Words in a check's output that mean a refusal though it ends with 0.
    trouble: Vec<String>,
    /// Files by name. A line `@CONTEXT@` is where fixes of that context go; `@CONTEXT? TEXT` is a line
    /// which is there unless the fix of that context has one that begins with the same word.
    pub(crate) files: BTreeMap<String, String>,
    /// Shell scripts by context, `any` for all others; without one the product must start and listen.
    #[serde(default)]
    check: BTreeMap<String, String>,
    /// What the check must refuse, by context: it shows that the check reads that place.
    nonsense: BTreeMap<String, String>,
    /// Starts the product in the foreground; under `any`.
    start: BTreeMap<String, String>,
    /// Names in the printed text which stand for the reader's own; exchanged where the product is started.
    #[serde(default)]
    replace: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) run: Vec<Run>,
}

/// What the backend sees of an upgrade, or the client of its answer, with the fix and without it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) class: String,
    /// `status`, as the client gets it; else as the backend gets it: `target`, or the name of a field.
    pub(crate) sees: String,
    pub(crate) with: String,
    pub(crate) without: String,
    /// Bytes of a cookie that the request has; 0: none.
    #[serde(default)]
    pub(crate) cookie: usize,
    /// What stands in the configuration without the fix, by context: a setting that the fix says to remove,
    /// or that it takes the place of. Empty: the product does it wrong by itself.
    #[serde(default)]
    fault: BTreeMap<String, String>,
    /// What stands there with the fix and without it, by context.
    #[serde(default)]
    also: BTreeMap<String, String>,
}

impl Run {
    /// The configuration's parts without the fix.
    pub(crate) fn without_fix(&self) -> Vec<(&str, &str)> {
        self.with_fix(pairs(&self.fault))
    }

    /// These parts of a fix, and what stands beside them.
    pub(crate) fn with_fix<'a>(&'a self, mut parts: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
        parts.extend(pairs(&self.also));
        parts
    }

    /// The places it speaks of.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &str> {
        self.fault.keys().chain(self.also.keys()).map(String::as_str)
    }
}

/// All files of `tests/fixes`, by name.
pub(crate) fn all() -> Vec<Program> {
    let read = |path: &std::path::PathBuf| {
        let mut program: Program =
            toml::from_str(&sources::read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        program.slug = path.file_stem().and_then(|s| s.to_str()).expect("a name").to_owned();
        program
    };
    sources::files("tests/fixes", &["toml"]).iter().map(read).collect()
}

impl Program {
    /// The places that fixes can go to.
    pub(crate) fn contexts(&self) -> BTreeSet<&str> {
        let lines = self.files.values().flat_map(|text| text.lines());
        lines.filter_map(|line| line.trim().strip_prefix('@')?.strip_suffix('@')).collect()
    }

    /// The version that is installed, or why there is none.
    pub(crate) fn version(&self) -> Result<String, String> {
        let output =
            script(&self.version, Path::new("/")).map_err(|e| format!("{e} (apt: {})", self.packages.join(" ")))?;
        let version = output.split_once(&self.version_after).map(|(_, rest)| digits(rest));
        version.filter(|v| !v.is_empty()).ok_or_else(|| format!("no version in: {output}"))
    }

    pub(crate) fn nonsense(&self, context: &str) -> &str {
        named(&self.nonsense, context)
    }

    /// Writes the configuration with these fixes, each `(context, text)` at its place as printed.
    pub(crate) fn configure(&self, parts: &[(&str, &str)]) -> Result<Configured<'_>, String> {
        let dir = tempfile::Builder::new().prefix("hopscope-fix").tempdir().expect("a folder");
        let held: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let port = |i: usize| held[i].local_addr().expect("an address").port();
        let made = Configured { program: self, dir, port: port(0), tls: port(1), backend: port(2) };
        for (name, text) in &self.files {
            let path = made.dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, made.fill(&place(text, parts))).expect("a file");
        }
        // The product may turn itself into another user.
        open(made.dir.path());
        if let Some(prepare) = &self.prepare {
            script(&made.fill(prepare), made.dir.path())?;
        }
        open(made.dir.path());
        Ok(made)
    }

    /// [`Program::configure`] for a product that is started: with names of its backend that lead there.
    pub(crate) fn configure_to_run(&self, parts: &[(&str, &str)]) -> Result<Configured<'_>, String> {
        let exchange =
            |text: &str| self.replace.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let texts: Vec<(&str, String)> = parts.iter().map(|(context, text)| (*context, exchange(text))).collect();
        let parts: Vec<(&str, &str)> = texts.iter().map(|(context, text)| (*context, text.as_str())).collect();
        self.configure(&parts)
    }
}

/// A configuration on disk.
pub(crate) struct Configured<'a> {
    program: &'a Program,
    dir: TempDir,
    pub(crate) port: u16,
    tls: u16,
    pub(crate) backend: u16,
}

impl Configured<'_> {
    /// What the product's own check says against it.
    pub(crate) fn check(&self, contexts: &[&str]) -> Result<(), String> {
        let scripts: BTreeSet<&str> = contexts.iter().map(|context| named(&self.program.check, context)).collect();
        for text in scripts {
            if text.is_empty() {
                self.start()?;
                continue;
            }
            let said = script(&self.fill(text), self.dir.path())?;
            if let Some(word) = self.program.trouble.iter().find(|word| said.contains(word.as_str())) {
                let lines: Vec<&str> = said.lines().filter(|line| line.contains(word.as_str())).collect();
                return Err(lines.join("\n"));
            }
        }
        Ok(())
    }

    /// Starts the product and waits until it listens.
    pub(crate) fn start(&self) -> Result<Running, String> {
        let log = self.dir.path().join("hopscope-output");
        let file = fs::File::create(&log).expect("a file");
        let mut running = Running(spawn(&self.fill(named(&self.program.start, "any")), self.dir.path(), file));
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = running.0.try_wait().expect("a child");
            if ended.is_some() || began.elapsed() > LIMIT {
                return Err(format!("does not listen: {}", fs::read_to_string(&log).unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{dir}", self.dir.path().to_str().expect("UTF-8"))
            .replace("{port}", &self.port.to_string())
            .replace("{tls}", &self.tls.to_string())
            .replace("{backend}", &self.backend.to_string())
    }
}

/// A product that runs; dropped, it and all its processes end.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// The contexts and texts of these entries, in their order.
pub(crate) fn parts<'a>(entries: &[&'a FixEntry]) -> Vec<(&'a str, &'a str)> {
    entries.iter().map(|entry| (entry.context.as_deref().unwrap_or(""), entry.text.trim_end())).collect()
}

/// `template` with each part at its context's place, indented as that is.
fn place(template: &str, parts: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let here = |context: &str| -> Vec<&str> {
            parts.iter().filter(|p| p.0 == context).flat_map(|p| p.1.lines()).collect()
        };
        if let Some(context) = line.trim().strip_prefix('@').and_then(|l| l.strip_suffix('@')) {
            here(context).iter().for_each(|fix| text.extend([indent, fix, "\n"]));
        } else if let Some((context, usual)) = line.trim().strip_prefix('@').and_then(|l| l.split_once("? ")) {
            let word = |line: &str| line.split_whitespace().next().map(str::to_owned);
            if !here(context).iter().any(|fix| word(fix) == word(usual)) {
                text.extend([indent, usual, "\n"]);
            }
        } else {
            text.extend([line, "\n"]);
        }
    }
    text
}

fn pairs(by_context: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    by_context.iter().map(|(context, text)| (context.as_str(), text.as_str())).collect()
}

fn named<'a>(by_context: &'a BTreeMap<String, String>, context: &str) -> &'a str {
    by_context.get(context).or_else(|| by_context.get("any")).map_or("", String::as_str)
}

fn digits(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

/// Runs a shell script to its end; gives what it printed, or that it failed with what it printed.
fn script(text: &str, dir: &Path) -> Result<String, String> {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut child = spawn(text, dir, log.reopen().expect("a handle"));
    let began = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if began.elapsed() > LIMIT => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    end(&mut child);
    let said = String::from_utf8_lossy(&fs::read(log.path()).expect("our own file")).into_owned();
    match status {
        Some(status) if status.success() => Ok(said),
        Some(status) if status.signal().is_some() => Err(format!("{status}: {said}")),
        Some(_) => Err(said),
        None => Err(format!("still running after {} s: {said}", LIMIT.as_secs())),
    }
}

fn spawn(text: &str, dir: &Path, output: fs::File) -> Child {
    // Servers are installed where only root looks for programs.
    let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    Command::new("sh")
        .args(["-e", "-c", text])
        .env("PATH", path)
        .current_dir(dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a handle"))
        .stderr(output)
        .spawn()
        .expect("sh")
}

/// Ends a child and what it started: by asking, then by force.
fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    let signal = |name: &str| {
        let _ = Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
    };
    signal("-TERM");
    let began = Instant::now();
    while child.try_wait().expect("a child").is_none() && began.elapsed() < GRACE {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal("-KILL");
    let _ = child.wait();
}

/// Lets every user read and write all below `dir`.
fn open(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).expect("our own folder");
    for entry in fs::read_dir(dir).expect("our own folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            open(&path);
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("our own file");
        }
    }
}

#[test]
fn a_fix_stands_in_its_place_and_takes_that_of_the_usual_line() {
    let template = "a {\n  @in@\n  @in? name usual;\n}\n@out@\n";
    assert_eq!(place(template, &[("out", "o"), ("in", "# c\nx 1;")]), "a {\n  # c\n  x 1;\n  name usual;\n}\no\n");
    assert_eq!(place(template, &[("in", "name mine;")]), "a {\n  name mine;\n}\n");
}
