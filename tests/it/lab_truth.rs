//! The lab's captures with what is known of them: scenarios, their exchanges, and how a report's
//! exchanges are told apart and described.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::shared;

const LIMIT: Duration = Duration::from_secs(20);

/// One folder of the lab.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) variant: String,
    /// Secrets of its TLS connections are at hand, in a key log or in the capture.
    pub(crate) has_secrets: bool,
    pub(crate) keylog: Option<PathBuf>,
    pub(crate) truth: Value,
    pub(crate) files: Vec<PathBuf>,
}

pub(crate) fn folder() -> PathBuf {
    shared::captures("lab")
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let folder = folder();
    let index = shared::json(&folder.join("INDEX.json"));
    let entries = index["scenarios"].as_array().expect("a list of scenarios");
    entries.iter().map(|entry| Scenario::load(&folder, entry)).collect()
}

impl Scenario {
    fn load(folder: &Path, entry: &Value) -> Scenario {
        let name = text(&entry["scenario"]).to_owned();
        let truth = shared::json(&folder.join(&name).join("truth.json"));
        Scenario {
            variant: text(&entry["variant"]).to_owned(),
            has_secrets: entry["keylog"].is_string(),
            keylog: entry["keylog"].as_str().map(|log| folder.join(&name).join(log)).filter(|log| log.is_file()),
            files: strings(&entry["captures"]).iter().map(|file| folder.join(&name).join(file)).collect(),
            truth,
            name,
        }
    }

    pub(crate) fn report(&self) -> Result<Value, String> {
        match shared::report_with(&self.files, self.keylog.as_deref(), LIMIT)? {
            (_, output) if !output.status.success() => {
                Err(format!("exit code 2: {}", String::from_utf8_lossy(&output.stderr)))
            }
            (report, _) => Ok(report),
        }
    }

    pub(crate) fn exchanges(&self) -> &[Value] {
        self.truth["exchanges"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn exchange(&self, id: &str) -> Option<&Value> {
        self.exchanges().iter().find(|x| x["id"] == id)
    }

    /// Which exchange of a proxy's client became which one behind the proxy.
    pub(crate) fn hops(&self) -> &[Value] {
        self.truth["hops"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The exchanges that must be listed.
    pub(crate) fn upgrades(&self) -> impl Iterator<Item = &Value> {
        let kinds = ["websocket", "websocket-stripped", "upgrade-other", "h2-websocket"];
        self.exchanges().iter().filter(move |e| kinds.contains(&text(&e["kind"])))
    }

    /// Its verdict and the others that count as right.
    pub(crate) fn slugs(&self) -> Vec<String> {
        let mut slugs = vec![text(&self.truth["verdict"]).to_owned()];
        slugs.extend(strings(&self.truth["also"]));
        slugs
    }

    pub(crate) fn has_proxies(&self) -> bool {
        self.truth["topology"].as_array().into_iter().flatten().any(|h| text(&h["name"]).starts_with("proxy"))
    }

    /// Every address of a host of the topology.
    pub(crate) fn addresses(&self, name: &str) -> Vec<String> {
        let hosts = self.truth["topology"].as_array().into_iter().flatten().filter(|h| h["name"] == name);
        let written = hosts.flat_map(|h| ["address", "listen", "upstream_address"].map(|k| text(&h[k]).to_owned()));
        written.map(|a| a.parse::<SocketAddr>().map_or(a, |end| end.ip().to_string())).collect()
    }

    /// What is needed to read it that one plain HTTP/1.1 leg does not need.
    pub(crate) fn needs(&self) -> Option<&'static str> {
        let any = |test: &dyn Fn(&Value) -> bool| self.exchanges().iter().any(test);
        if !self.has_secrets && any(&|e| e["tls"] == true || e["kind"] == "tls-undecrypted") {
            Some("needs the secrets of TLS")
        } else {
            None
        }
    }

    /// Why the published files hold less than the truth was computed from.
    pub(crate) fn cuts_evidence(&self) -> Option<&'static str> {
        let captures = self.truth["captures"].as_array().into_iter().flatten();
        let dropped: u64 = captures.filter_map(|c| c["dropped_by_kernel"].as_u64()).sum();
        match self.variant.as_str() {
            "snap128" => Some("packets are cut to 128 bytes"),
            "midstream" => Some("the capture starts in the middle"),
            "snap300" => Some("packets are cut to 300 bytes"),
            "oneway" => Some("one direction only"),
            "lossy" => Some("packets are missing"),
            "leg1only" => Some("the second leg is missing"),
            _ if dropped > 0 => Some("packets were dropped while capturing"),
            _ => None,
        }
    }

    /// What the files lack of this exchange: its key, its accept or its status line.
    pub(crate) fn not_in_the_files(&self, truth: &Value) -> Option<Lacks> {
        let why = self.cuts_evidence()?;
        let files: Vec<Vec<u8>> = self.files.iter().map(|f| std::fs::read(f).expect("a capture")).collect();
        let (source, destination) = (text(&truth["src"]), text(&truth["dst"]));
        let held =
            |from: &str, to: &str, word: &str| files.iter().any(|f| holds(f, &address(from, to), word.as_bytes()));
        let status = truth["status"].as_u64().map(|s| format!("HTTP/1.1 {s}"));
        let lacks = |from, to, word: Option<&str>| word.is_some_and(|word| !held(from, to, word));
        let lacks = Lacks {
            why,
            connection: !held(source, destination, "") && !held(destination, source, ""),
            request: lacks(source, destination, truth["key"].as_str()),
            status: lacks(destination, source, status.as_deref()),
            accept: lacks(destination, source, truth["accept"].as_str()),
            rules: Vec::new(),
        };
        (lacks.request || lacks.status || lacks.accept).then_some(lacks)
    }
}

/// What is not in the files of an exchange that was on the wire.
pub(crate) struct Lacks {
    pub(crate) why: &'static str,
    /// All of it.
    pub(crate) connection: bool,
    /// The key, and so the request head or a part of it.
    pub(crate) request: bool,
    pub(crate) status: bool,
    pub(crate) accept: bool,
    /// Rules that are known to be rightly raised for it.
    pub(crate) rules: Vec<String>,
}

/// Whether a file has a packet with this address part of its headers and this word behind them.
fn holds(file: &[u8], address: &[u8], word: &[u8]) -> bool {
    const PACKET: usize = 1_600;
    memchr::memmem::find_iter(file, address).any(|at| {
        let rest = &file[at + address.len()..];
        memchr::memmem::find(&rest[..rest.len().min(PACKET)], word).is_some()
    })
}

/// The bytes that stand at the end of an IP header without options and at the start of TCP's: both
/// addresses, both ports.
fn address(from: &str, to: &str) -> Vec<u8> {
    let ends: Vec<SocketAddr> = [from, to].iter().map(|e| e.parse().expect("an address and a port")).collect();
    let mut bytes = Vec::new();
    for end in &ends {
        match end {
            SocketAddr::V4(end) => bytes.extend_from_slice(&end.ip().octets()),
            SocketAddr::V6(end) => bytes.extend_from_slice(&end.ip().octets()),
        }
    }
    bytes.extend(ends.iter().flat_map(|end| end.port().to_be_bytes()));
    bytes
}

/// A target without its query, in which secrets are masked.
fn path(target: &Value) -> &str {
    text(target).split('?').next().unwrap_or_default()
}

/// The reported exchange that is this one: same ends, key and path.
pub(crate) fn find(report: &Value, truth: &Value, used: &[usize]) -> Option<usize> {
    let ends = (endpoint(text(&truth["src"])), endpoint(text(&truth["dst"])));
    report["exchanges"].as_array()?.iter().enumerate().position(|(index, x)| {
        let of = |side: &str| format!("{}:{}", text(&x[side]["ip"]), x[side]["port"]);
        let key = &x["handshake"]["key"];
        !used.contains(&index)
            && (of("client"), of("server")) == ends
            && path(&x["request"]["target"]) == path(&truth["target"])
            && (key == &truth["key"] || truth["key"].is_null())
    })
}

/// `ip:port` without brackets, the address in its shortest form.
pub(crate) fn endpoint(written: &str) -> String {
    let (ip, port) = match written.parse::<SocketAddr>() {
        Ok(address) => (address.ip().to_string(), address.port().to_string()),
        Err(_) => {
            let (ip, port) = written.rsplit_once(':').expect("address:port");
            (ip.to_owned(), port.to_owned())
        }
    };
    format!("{ip}:{port}")
}

/// What is compared of a reported exchange, in words.
pub(crate) fn describe(found: &Value, truth: &Value) -> String {
    let handshake = &found["handshake"];
    facts(
        // Of a head that was never whole, the status may be told or not.
        if truth["outcome"] == "bad-response" { &Value::Null } else { &found["response"]["status"] },
        &handshake["key"],
        &handshake["accept"],
        text(&handshake["accept_verdict"]),
        text(&found["outcome"]),
    )
}

/// Every description that is right for this exchange.
pub(crate) fn expected(truth: &Value) -> Vec<String> {
    let granted = truth["status"] == 101;
    let websocket = truth["kind"] != "upgrade-other";
    let verdicts: &[&str] = match (&truth["accept_valid"], &truth["accept"]) {
        // HTTP/2 has no accept, whatever a bridge leaves there.
        _ if truth["kind"] == "h2-websocket" => &["not-applicable"],
        (Value::Bool(true), _) => &["valid"],
        (Value::Bool(false), _) => &["invalid"],
        _ if granted && websocket && truth["key"].is_null() => &["unverifiable", "not-applicable"],
        (_, Value::Null) if granted && websocket => &["missing"],
        _ if truth["outcome"] == "bad-response" => &["not-applicable", "unverifiable"],
        _ => &["not-applicable"],
    };
    let outcomes: &[&str] = match text(&truth["outcome"]) {
        "upgraded" => &["upgraded", "broken"],
        "refused" | "h2-stream-reset" => &["refused"],
        "redirected" => &["redirected"],
        "no-response" if truth["close"].is_null() => &["unanswered", "unknown"],
        "no-response" => &["unanswered"],
        "bad-response" => &["unanswered", "refused", "broken"],
        other => panic!("unknown outcome {other} in the truth"),
    };
    let mut right = Vec::new();
    for verdict in verdicts {
        for outcome in outcomes {
            right.push(facts(&truth["status"], &truth["key"], &truth["accept"], verdict, outcome));
        }
    }
    right
}

fn facts(status: &Value, key: &Value, accept: &Value, verdict: &str, outcome: &str) -> String {
    format!("status {status} key {key} accept {accept} {verdict} {outcome}")
}

/// Whether a verdict is about the form of frames.
pub(crate) fn is_about_frames(verdict: &str) -> bool {
    ["protocol-error", "server-frames", "client-frames"].iter().any(|p| verdict.starts_with(p))
}

/// The rules that count as right for a verdict: those of the most specific entry of the list.
pub(crate) fn right_rules(list: &Value, verdict: &str) -> Vec<String> {
    let entries = list.as_object().expect("an object");
    let by_length: BTreeMap<usize, &Value> = entries
        .iter()
        .filter(|(pattern, _)| pattern.as_str() != "accept_kinds" && matches(pattern, verdict))
        .map(|(pattern, rules)| (pattern.trim_end_matches('*').len(), rules))
        .collect();
    by_length.last_key_value().map(|(_, rules)| strings(rules)).unwrap_or_default()
}

/// `*` at the end of a pattern stands for anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == text, |start| text.starts_with(start))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|v| text(v).to_owned()).collect()
}

#[test]
fn the_most_specific_entry_of_the_verdict_list_wins() {
    let list = serde_json::json!({"a-*": ["x"], "a-b-*": ["y", "z-*"], "a-b-c": ["w"], "accept_kinds": {}});
    assert_eq!(right_rules(&list, "a-q"), ["x"]);
    assert_eq!(right_rules(&list, "a-b-q"), ["y", "z-*"]);
    assert_eq!(right_rules(&list, "a-b-c"), ["w"]);
    assert!(right_rules(&list, "q").is_empty() && matches("z-*", "z-404"));
}

#[test]
fn endpoints_are_compared_by_value() {
    assert_eq!(endpoint("[2001:DB8:0::1]:80"), "2001:db8::1:80");
    assert_eq!(endpoint("192.0.2.1:80"), "192.0.2.1:80");
}
