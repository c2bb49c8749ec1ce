//! The same requests, statuses, keys and accepts as tshark finds, on the samples and the scenes.
//! Ignored by default: `.ci/run` installs tshark and runs it.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::shared::Tally;
use crate::sources;
use crate::support::{run, scene};

#[test]
#[ignore = "needs tshark: .ci/run"]
fn the_samples_are_read_as_tshark_reads_them() {
    let mut tally = Tally::default();
    for sample in sources::files("samples", &["pcap", "pcapng"]) {
        let name = sample.display().to_string();
        if name.contains(".snap") {
            tally.leave_out(name, "packets are cut: tshark takes a value for whole where its head breaks off");
            continue;
        }
        compare(&mut tally, &name, &sources::root().join(&sample));
    }
    tally.judge("samples against tshark", 8);
}

#[test]
#[ignore = "needs tshark: .ci/run"]
fn the_scenes_are_read_as_tshark_reads_them() {
    let mut tally = Tally::default();
    for (name, text) in scene::all() {
        let scene = scene::parse(&name, &text);
        if let Some(why) = &scene.tshark {
            tally.leave_out(name, why);
            continue;
        }
        for (what, scene) in [(name.clone(), scene), (format!("{name}, the twin"), scene::twin(&name, &text))] {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(&scene.capture_file()).expect("room for a capture");
            compare(&mut tally, &what, file.path());
        }
    }
    tally.judge("scenes against tshark", 40);
}

fn compare(tally: &mut Tally, what: &str, capture: &Path) {
    tally.score(what, &[tshark(capture).describe()], &hopscope(&run::report(&[capture])).describe());
}

/// What both tools can tell of a capture. Plain requests are counted; statuses are told where every
/// request is a candidate for an upgrade, since only those are listed by hopscope.
#[derive(Default)]
struct Facts {
    requests: u64,
    candidates: Vec<String>,
    statuses: Vec<String>,
    accepts: Vec<String>,
}

impl Facts {
    fn describe(mut self) -> String {
        self.candidates.sort();
        self.statuses.sort();
        self.accepts.sort();
        let all = self.requests == self.candidates.len() as u64;
        let statuses = if all { self.statuses.join(" ") } else { "not compared".to_owned() };
        let (candidates, accepts) = (self.candidates.join("; "), self.accepts.join(" "));
        format!("{} requests; candidates {candidates}; statuses {statuses}; accepts {accepts}", self.requests)
    }
}

const FIELDS: [&str; 7] = [
    "http.request.method",
    "http.request.uri",
    "http.upgrade",
    "http.sec_websocket_key",
    "http.sec_websocket_version",
    "http.response.code",
    "http.sec_websocket_accept",
];

fn tshark(capture: &Path) -> Facts {
    let mut command = Command::new("tshark");
    command.args(["-o", "tcp.reassemble_out_of_order:TRUE", "-Y", "http", "-T", "fields", "-E", "separator=|", "-r"]);
    command.arg(capture).args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = command.output().expect("tshark is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut facts = Facts::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let values: Vec<&str> = line.split('|').collect();
        let [method, uri, upgrade, key, version, status, accept] = values[..] else { panic!("fields: {line}") };
        if !method.is_empty() {
            facts.requests += 1;
            if !(upgrade.is_empty() && key.is_empty() && version.is_empty()) {
                facts.candidates.push(format!("{method} {uri} {key}"));
            }
        }
        // 101 apart, a 1xx is not the answer.
        if status == "101" || !status.is_empty() && !status.starts_with('1') {
            facts.statuses.push(status.to_owned());
        }
        if !accept.is_empty() {
            facts.accepts.push(accept.to_owned());
        }
    }
    facts
}

fn hopscope(report: &Value) -> Facts {
    let mut facts = Facts { requests: report["counters"]["http_requests"].as_u64().unwrap_or(0), ..Facts::default() };
    for x in report["exchanges"].as_array().into_iter().flatten() {
        let text = |pointer: &str| x.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let target = text("/request/target");
        facts.candidates.push(format!("{} {target} {}", text("/request/method"), text("/handshake/key")));
        facts.statuses.extend(x.pointer("/response/status").and_then(Value::as_u64).map(|s| s.to_string()));
        facts.accepts.extend(x.pointer("/handshake/accept").and_then(Value::as_str).map(str::to_owned));
    }
    facts
}
