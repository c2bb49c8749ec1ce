//! The terminal UI over a capture that runs, on `lo`, which needs root, in a terminal that tmux holds.

use std::time::{Duration, Instant};

use crate::live::{ANSWER, REFUSED, listener, speak};
use crate::support::run;
use crate::terminal::Tmux;

#[test]
#[ignore = "captures on lo, which needs root, and needs tmux: .ci/run"]
fn upgrades_come_up_on_the_screen_as_they_happen_and_what_is_seen_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.pcapng");
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let tmux = Tmux::run(&format!("-i lo -f 'tcp port {port}' -w {} --utc", file.display()));
    tmux.wait("live lo");
    speak(&listener, ANSWER);
    tmux.wait("/chat");
    let screen = tmux.wait("dropped 0");
    assert!(screen.contains("● follow") && screen.contains("live lo"), "{screen}");
    tmux.wait("kept.pcapng");
    // Held, the screen stays; what comes is counted.
    tmux.keys(&["p"]);
    tmux.wait("‖ held");
    speak(&listener, REFUSED);
    let screen = tmux.wait("‖ held, 1 new");
    assert!(!screen.contains("403"), "{screen}");
    tmux.keys(&["p"]);
    tmux.wait("403");
    // The packets of a capture that runs cannot be read again.
    tmux.keys(&["e", "j", "j", "j", "j", "j", "j", "j", "j", "j", "j", "j", "j", "Enter"]);
    tmux.wait("keep it with -w");
    tmux.keys(&["C-c"]);
    tmux.wait("ended with 0");
    let screen = tmux.wait("sane");
    assert!(screen.contains("packets kept in"), "{screen}");
    let report = run::report(&[&file]);
    assert_eq!(report["chains"].as_array().unwrap().len(), 2);
    assert_eq!(report["inputs"][0]["damage"], serde_json::Value::Null);
}

#[test]
#[ignore = "captures on lo, which needs root, and needs tmux: .ci/run"]
fn on_a_silent_link_the_user_can_leave_at_once() {
    let tmux = Tmux::run("-i lo -f 'tcp port 9 and tcp port 10'");
    tmux.wait("live lo");
    let began = Instant::now();
    tmux.keys(&["q"]);
    tmux.wait("ended with 0");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
#[ignore = "captures on lo, which needs root, and needs tmux: .ci/run"]
fn a_full_disk_stands_in_the_status_line_and_the_screen_stays_whole() {
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let tmux = Tmux::run(&format!("-i lo -f 'tcp port {port}' -w /dev/full"));
    tmux.wait("live lo");
    speak(&listener, ANSWER);
    let screen = tmux.wait("NOT KEPT");
    assert!(screen.lines().next().unwrap().contains("hopscope › chains"), "{screen}");
    tmux.keys(&["C-c"]);
    tmux.wait("ended with 2");
    tmux.wait("the disk is full");
}
