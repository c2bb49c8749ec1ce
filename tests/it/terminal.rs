//! The program in a real terminal: tmux holds it, sends keys and reads the screen.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::sources;
use crate::support::run;

/// How long a screen is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const FORGETS: &str = "samples/nginx-forgets-upgrade-client-side.pcap samples/nginx-forgets-upgrade-server-side.pcap";

/// A terminal of 80×24 of its own; closed when dropped.
pub(crate) struct Tmux {
    socket: String,
}

impl Tmux {
    /// Runs the program with these arguments; behind it, its exit code and whether the terminal is as it was.
    pub(crate) fn run(arguments: &str) -> Tmux {
        Tmux::run_in("", arguments)
    }

    /// As [`Tmux::run`], after these commands of the shell.
    pub(crate) fn run_in(before: &str, arguments: &str) -> Tmux {
        let program = env!("CARGO_BIN_EXE_hopscope");
        let check = "echo ended with $?; stty -a | grep -q -- ' -icanon' && echo raw || echo sane; exec sleep 60";
        Tmux::open(&format!("{before} {program} {arguments}; {check}"))
    }

    /// A shell that can stop and go on with what it runs.
    fn shell() -> Tmux {
        Tmux::open("exec bash --norc -i")
    }

    fn open(command: &str) -> Tmux {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let socket = format!("hopscope-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let tmux = Tmux { socket };
        let line = format!("export LC_ALL=C.UTF-8 TERM=screen; {command}");
        let size = ["-x", "80", "-y", "24"];
        let root = sources::root();
        let begun = tmux.ask(&[&["-f", "/dev/null", "new-session", "-d"], &size[..], &[&line]].concat(), &root);
        assert!(begun.status.success(), "tmux: {}", String::from_utf8_lossy(&begun.stderr));
        tmux
    }

    fn ask(&self, arguments: &[&str], folder: &std::path::Path) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket]).args(arguments).current_dir(folder);
        command.output().expect("tmux is installed")
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments, &sources::root());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tell(&[&["send-keys"], keys].concat());
    }

    /// The screen, once these words stand on it.
    pub(crate) fn wait(&self, words: &str) -> String {
        let began = Instant::now();
        loop {
            let screen = self.tell(&["capture-pane", "-p"]);
            if screen.contains(words) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "{words:?} never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.tell(&["kill-server"]);
    }
}

#[test]
#[ignore = "needs tmux"]
fn the_guilty_hop_is_on_the_first_screen_and_the_rest_some_keys_away() {
    let tmux = Tmux::run(&format!("--utc {FORGETS}"));
    let first = tmux.wait("hop-downgraded-http10");
    assert!(first.contains("the proxy nginx 1.22.1 at "), "{first}");
    tmux.keys(&["Enter"]);
    tmux.wait("SYN … ACK");
    tmux.keys(&["Tab"]);
    tmux.wait("[fix]");
    tmux.keys(&["d"]);
    tmux.wait("Connection: close");
    tmux.keys(&["q", "q", "/"]);
    tmux.keys(&["-l", "status:101"]);
    tmux.wait("Nothing matches the filter");
    tmux.keys(&["Escape"]);
    tmux.wait("hop-downgraded-http10");
    tmux.keys(&["q"]);
    tmux.wait("ended with 0");
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn the_timeline_tells_where_the_time_went_and_exports_are_written_beside_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = sources::root().join("samples");
    let [near, far] = ["client", "server"].map(|side| samples.join(format!("nginx-forgets-upgrade-{side}-side.pcap")));
    let there = folder.path().display();
    let tmux = Tmux::run_in(&format!("cd {there};"), &format!("--utc {} {}", near.display(), far.display()));
    tmux.wait("hop-downgraded-http10");
    tmux.keys(&["t"]);
    let screen = tmux.wait("overview");
    assert!(screen.contains("nginx 1.22.1        483 µs"), "{screen}");
    export_json_then_packets(&tmux);
    tmux.wait("20 packets of 2 connections written to hopscope-1.pcapng");
    tmux.keys(&["C-c"]);
    tmux.wait("ended with 0");
    tmux.wait("sane");
    let mut names: Vec<_> = (std::fs::read_dir(folder.path()).expect("the folder"))
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["hopscope-1.json", "hopscope-1.pcapng"]);
    let json = std::fs::read_to_string(folder.path().join("hopscope-1.json")).expect("the report");
    assert!(json.contains("\"hop-downgraded-http10\""));
}

/// Takes both ways out of the list of exports: a report, and the packets, which stand last.
fn export_json_then_packets(tmux: &Tmux) {
    tmux.keys(&["e", "j"]);
    tmux.wait("► json");
    tmux.keys(&["Enter"]);
    tmux.wait("1 chain written as json to hopscope-1.json");
    tmux.keys(&[["e"].as_slice(), &["j"; 12], &["Enter"]].concat());
}

#[test]
#[ignore = "needs tmux"]
fn what_is_shown_and_exported_is_redacted_where_the_user_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = sources::root().join("samples/accept-in-hex.pcap");
    let tmux = Tmux::run_in(&format!("cd {};", folder.path().display()), &format!("--redact {}", sample.display()));
    let shown = tmux.wait("accept-mismatch");
    tmux.keys(&["x"]);
    tmux.wait("with --redact nothing is read again");
    tmux.keys(&["Escape"]);
    export_json_then_packets(&tmux);
    tmux.wait("with --redact only reports are written here");
    tmux.keys(&["C-c"]);
    tmux.wait("ended with 0");
    let json = std::fs::read_to_string(folder.path().join("hopscope-1.json")).expect("the report");
    let open = run::output(&["report", "samples/accept-in-hex.pcap", "--format", "json"]).stdout;
    let open: serde_json::Value = serde_json::from_slice(&open).expect("JSON");
    for end in ["client", "server"] {
        let address = open["exchanges"][0][end]["ip"].as_str().expect("an address");
        for text in [&json, &shown] {
            assert!(text.contains("198.18.0.2") && !text.contains(address), "{text}");
        }
    }
    assert!(!folder.path().join("hopscope-1.pcapng").exists());
}

#[test]
#[ignore = "needs tmux"]
fn the_shell_gets_a_sane_terminal_while_the_program_is_stopped() {
    let tmux = Tmux::shell();
    let program = env!("CARGO_BIN_EXE_hopscope");
    tmux.keys(&["-l", &format!("{program} --utc {FORGETS}")]);
    tmux.keys(&["Enter"]);
    tmux.wait("hop-downgraded-http10");
    tmux.keys(&["C-z"]);
    tmux.wait("Stopped");
    tmux.keys(&["-l", "stty -a | grep -q -- ' -icanon' && echo r-a-w || echo s-a-n-e"]);
    tmux.keys(&["Enter"]);
    tmux.wait("\ns-a-n-e");
    tmux.keys(&["-l", "fg"]);
    tmux.keys(&["Enter"]);
    tmux.wait("hop-downgraded-http10");
    tmux.keys(&["Enter"]);
    tmux.wait("SYN … ACK");
}

#[test]
#[ignore = "needs tmux"]
fn a_signal_gives_the_terminal_back() {
    let tmux = Tmux::run(FORGETS);
    tmux.wait("hop-downgraded-http10");
    let shell = tmux.tell(&["display-message", "-p", "#{pane_pid}"]).trim().to_owned();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("Linux");
    let killed = Command::new("kill").args(["-TERM", children.trim()]).status().expect("kill");
    assert!(killed.success());
    tmux.wait("ended with 130");
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn a_terminal_that_goes_away_ends_the_program() {
    let tmux = Tmux::run(FORGETS);
    tmux.wait("hop-downgraded-http10");
    let shell = tmux.tell(&["display-message", "-p", "#{pane_pid}"]).trim().to_owned();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("Linux");
    let process = format!("/proc/{}", children.trim());
    drop(tmux);
    let began = Instant::now();
    while std::path::Path::new(&process).exists() {
        assert!(began.elapsed() < PATIENCE, "{process} is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs tmux"]
fn a_fault_of_the_thread_that_draws_gives_the_terminal_back_and_is_told() {
    let tmux = Tmux::run_in("RUST_BACKTRACE=0 HOPSCOPE_BREAK=drawing", FORGETS);
    let screen = tmux.wait("ended with 101");
    assert!(screen.contains("broken on purpose"), "{screen}");
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn a_fault_of_the_thread_that_reads_ends_the_program_with_a_sane_terminal() {
    let tmux = Tmux::run_in("HOPSCOPE_BREAK=reading", FORGETS);
    let screen = tmux.wait("ended with 2");
    assert!(screen.contains("a fault of hopscope itself"), "{screen}");
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn a_fault_of_the_thread_that_writes_is_told_and_the_screen_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = sources::root().join("samples/accept-in-hex.pcap");
    let before = format!("cd {}; HOPSCOPE_BREAK=writing", folder.path().display());
    let tmux = Tmux::run_in(&before, &format!("{}", sample.display()));
    tmux.wait("accept-mismatch");
    tmux.keys(&["e", "Enter"]);
    let screen = tmux.wait("not written: a fault of hopscope itself");
    assert!(screen.contains("accept-mismatch") && !screen.contains("on purpose"), "{screen}");
    tmux.keys(&["q"]);
    tmux.wait("ended with 0");
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn the_bytes_of_a_stream_are_read_again_beside_the_screen() {
    let tmux = Tmux::run("--utc samples/nginx-right-client-side.pcap");
    tmux.wait("ok");
    tmux.keys(&["x"]);
    // The analysis keeps the first bytes behind the 101, and no end of the stream.
    tmux.wait("text 10B, packet 8");
    tmux.keys(&["G"]);
    tmux.wait("FIN of the client, packet 17");
    tmux.keys(&["S", "Tab", "Tab", "G"]);
    tmux.wait("c1 06 82 d0 46 0a 00 00");
    tmux.keys(&["q", "w", "j", "x"]);
    tmux.wait("00000120 c1 0a ca 48 cd c9");
    tmux.keys(&["q", "q", "q"]);
    tmux.wait("ended with 0");
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn where_a_stream_cannot_be_read_again_the_screen_says_why_and_shows_what_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.pcap");
    let sample = sources::root().join("samples/accept-in-hex.pcap");
    std::fs::copy(&sample, &file).expect("a copy");
    let tmux = Tmux::run(&format!("{}", file.display()));
    tmux.wait("accept-mismatch");
    std::fs::copy(sources::root().join("samples/nginx-right-client-side.pcap"), &file).expect("another file");
    tmux.keys(&["x"]);
    let screen = tmux.wait("the inputs changed since they were read");
    assert!(screen.contains("this is what the analysis keeps") && screen.contains("GET /"), "{screen}");
    tmux.keys(&["C-c"]);
    tmux.wait("ended with 0");

    let tmux = Tmux::run_in(&format!("cat {} |", sample.display()), "-");
    tmux.wait("accept-mismatch");
    tmux.keys(&["x"]);
    let screen = tmux.wait("this is what the analysis keeps; -: cannot be read twice");
    assert!(screen.contains("GET /"), "{screen}");

    let tmux = Tmux::run_in("HOPSCOPE_BREAK=looking", &format!("{}", sample.display()));
    tmux.wait("accept-mismatch");
    tmux.keys(&["x"]);
    tmux.wait("this is what the analysis keeps; a fault of hopscope itself");
    tmux.keys(&["C-c"]);
    tmux.wait("sane");
}

#[test]
#[ignore = "needs tmux"]
fn another_size_is_another_screen_with_the_same_chain_under_the_cursor() {
    let tmux = Tmux::run("--utc samples/120-clients-three-locations.pcapng");
    tmux.wait("hop-stripped-upgrade");
    tmux.keys(&["j", "j", "j"]);
    tmux.wait("\n►▸✓     11 ");
    let resize = |w: &str, h: &str| tmux.tell(&["resize-window", "-x", w, "-y", h]);
    resize("160", "48");
    let large = tmux.wait("C→S");
    assert!(large.contains("\n►▸✓     11 ") && large.lines().count() >= 47, "{large}");
    resize("30", "8");
    tmux.wait("30×8)");
    resize("40", "10");
    let small = tmux.wait("►▸✓     11 ");
    assert!(small.lines().all(|line| line.chars().count() <= 40), "{small}");
    tmux.keys(&["Enter"]);
    tmux.wait("ladd");
    resize("80", "24");
    tmux.wait("SYN … ACK");
    tmux.keys(&["C-c"]);
    tmux.wait("ended with 0");
    tmux.wait("sane");
}
