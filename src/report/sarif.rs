//! `sarif`: SARIF 2.1.0 (OASIS), for systems that collect findings of tools. A rule's slug is its `ruleId`; places are
//! a file and a packet in it.

use std::io::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::{Chain, Role};
use crate::report::document as doc;
use crate::report::mask::{self, Masker};
use crate::report::view::View;
use crate::report::{Format, Options, build};
use crate::rules::{self, Rule};
use crate::store::Analysis;

pub(super) static FORMAT: Format = Format { name: "sarif", extension: "sarif", write };

/// Where the schema of SARIF 2.1.0 stands.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What the fingerprint is made of; another number where that changes.
const FINGERPRINT: &str = "hopscope/v1";

/// Writes one run.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let view = View::new(a, options);
    let mut out = io::BufWriter::new(out);
    // In order of the slugs, so that the index of a rule is known.
    let mut slugs: Vec<&str> = a.findings.iter().map(|f| &*f.rule).collect();
    slugs.sort_unstable();
    slugs.dedup();
    let artifacts: Vec<Value> = a
        .inputs
        .iter()
        .map(|input| json!({"location": {"uri": uri(&input.path)}, "roles": ["analysisTarget"]}))
        .collect();
    // One by one, since there may be very many.
    let rule = |f: &doc::Finding| slugs.binary_search(&&*f.rule).unwrap_or(0);
    let results = || {
        let all = (0..a.findings.len()).filter_map(|index| view.finding(index));
        all.map(|(f, chain)| result(&view, &f, chain, rule(&f), &artifacts))
    };
    let notes: Vec<Value> = view
        .inputs
        .iter()
        .filter_map(|i| Some((i, i.damage.as_ref()?)))
        .map(|(i, d)| {
            let words = format!("{} is damaged at packet {}: {}", i.path, d.packet, d.why);
            json!({"level": "error", "message": {"text": words}})
        })
        .collect();
    let own = build::tool();
    let run = Run {
        artifacts: &artifacts,
        column_kind: "unicodeCodePoints",
        invocations: json!([{"executionSuccessful": notes.is_empty(), "toolExecutionNotifications": notes}]),
        results: Results(results),
        tool: json!({"driver": {
            "name": own.name,
            "version": own.version,
            "semanticVersion": own.version,
            "rules": slugs.iter().map(|slug| descriptor(slug)).collect::<Vec<_>>(),
        }}),
    };
    let log = Log { schema: SCHEMA, runs: [run], version: "2.1.0" };
    serde_json::to_writer_pretty(&mut out, &log)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[derive(Serialize)]
struct Log<'a, R> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    runs: [Run<'a, R>; 1],
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a, R> {
    artifacts: &'a [Value],
    column_kind: &'static str,
    invocations: Value,
    results: R,
    tool: Value,
}

/// Made while they are written.
struct Results<F>(F);

impl<F: Fn() -> I, I: Iterator<Item = Value>> Serialize for Results<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

fn descriptor(slug: &str) -> Value {
    let Some(rule) = rules::find(slug) else {
        return json!({"id": slug, "shortDescription": {"text": slug}, "help": {"text": slug}});
    };
    json!({
        "id": slug,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.about},
        "help": {"text": help(rule, false), "markdown": help(rule, true)},
        "defaultConfiguration": {"level": level(rule.severity.word())},
        "properties": {"tags": ["websocket", "http"], "references": rule.refs},
    })
}

/// What it checks, what causes it, and where that is written.
fn help(rule: &Rule, markdown: bool) -> String {
    let quoted = |words: &str| if markdown { super::markdown::text(words) } else { words.to_owned() };
    let mut out: Vec<String> = rule.about.split("\n\n").map(quoted).collect();
    if !rule.causes.is_empty() {
        let causes: Vec<String> = rule.causes.iter().map(|cause| format!("- {}", quoted(cause))).collect();
        out.push(format!("Usual causes, likeliest first:\n\n{}", causes.join("\n")));
    }
    if !rule.refs.is_empty() {
        out.push(format!("See {}.", quoted(&rule.refs.join(", "))));
    }
    out.join("\n\n")
}

fn result(view: &View<'_>, f: &doc::Finding, chain: Option<&Chain>, rule: usize, artifacts: &[Value]) -> Value {
    let locations: Vec<Value> = f.evidence.iter().take(10).map(|e| location(view, e, artifacts)).collect();
    let mut value = json!({
        "ruleId": f.rule,
        "ruleIndex": rule,
        "level": level(&f.severity),
        "message": {"text": message(f)},
        "locations": locations,
        "partialFingerprints": {FINGERPRINT: fingerprint(view, f, chain)},
        "properties": {
            "confidence": f.confidence,
            "chain": chain.map(|c| c.id),
            "isVerdict": chain.is_some_and(|c| c.verdict.rule == f.rule),
            "fixes": f.fixes,
        },
    });
    if f.allowed
        && let Some(map) = value.as_object_mut()
    {
        map.insert("suppressions".to_owned(), json!([{"kind": "external", "justification": "--allow"}]));
    }
    value
}

fn message(f: &doc::Finding) -> String {
    let mut text = f.message.clone();
    for (label, words) in [("Expected", &f.expected), ("Found", &f.found)] {
        if !words.is_empty() {
            text.push_str(&format!("\n{label}: {words}"));
        }
    }
    for fix in &f.fixes {
        text.push_str(&format!("\nFix ({}):\n{}", fix.product, fix.text));
    }
    text
}

fn location(view: &View<'_>, e: &doc::Evidence, artifacts: &[Value]) -> Value {
    let uri = artifacts.get(usize::from(e.input)).and_then(|a| a.pointer("/location/uri")).cloned();
    let mut words = format!("packet {}", e.packet);
    if let Some(direction) = &e.direction {
        words.push_str(&format!(", {direction}"));
    }
    if let Some((from, to)) = e.bytes {
        words.push_str(&format!(", bytes {from} to {to} of the stream"));
    }
    json!({
        "physicalLocation": {"artifactLocation": {"uri": uri.unwrap_or(json!("-")), "index": e.input}},
        "logicalLocations": [{
            "name": format!("packet {}", e.packet),
            "fullyQualifiedName": format!("{}#{}", view.file(e.input), e.packet),
            "kind": "packet",
        }],
        "message": {"text": words},
        "properties": {"packet": e.packet, "direction": e.direction, "bytes": e.bytes},
    })
}

/// The same for the same fault at the same place, in whatever capture: the rule, the server that the client asked,
/// host and path, and who is to blame. No port of a client, time, packet or id.
fn fingerprint(view: &View<'_>, f: &doc::Finding, chain: Option<&Chain>) -> String {
    let mut parts = vec![f.rule.clone()];
    // Its own, for the number of a secret in a path must not depend on what precedes it in the report.
    let masker = &mut Masker::new(view.options.show_secrets);
    if let Some(x) = chain.and_then(|c| c.legs.first()).and_then(|&leg| build::leg(view.a, leg)) {
        parts.push(x.server.to_string());
        let host = x.request.host().map(|host| masker.field(b"host", host));
        parts.push(host.unwrap_or_default().to_ascii_lowercase());
        parts.push(masker.url(x.request.target()).split('?').next().unwrap_or_default().to_owned());
    }
    if let Some(blame) = chain.and_then(|c| c.verdict.blame.as_ref()).filter(|b| b.role != Role::Client) {
        parts.push(blame.address.as_deref().map(mask::own).unwrap_or_default());
    }
    // In a client's words its port would come in.
    parts.push(f.subject.kind.clone().into_owned());
    let digest = Sha256::digest(parts.join("\0"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn level(severity: &str) -> &'static str {
    match severity {
        "error" => "error",
        "warning" => "warning",
        _ => "note",
    }
}

/// A path as a reference of RFC 3986: all but its plainest characters as numbers.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::base::{Endpoint, Nanos};
    use crate::store::testing;

    fn log(a: &Analysis) -> Value {
        let mut out = Vec::new();
        write(a, &Options::default(), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn another_client_at_another_time_gives_the_same_fingerprints() {
        let of = |a: &Analysis| -> Vec<Value> {
            let log = log(a);
            let results = log["runs"][0]["results"].as_array().unwrap();
            results.iter().map(|r| r["partialFingerprints"].clone()).collect()
        };
        let mut a = testing::journeys();
        let before = of(&a);
        assert!(!before.is_empty());
        for row in &mut a.rows {
            row.exchange.shift(Nanos::from_secs(77));
            row.exchange.client = Endpoint::new(row.exchange.client.ip, 50_123);
        }
        assert_eq!(of(&a), before);
        a.rows[0].exchange.server = Endpoint::new([192, 0, 2, 7].into(), 80);
        assert_ne!(of(&a), before, "another server is another fault");
    }

    #[test]
    fn a_path_is_a_reference_whatever_is_in_it() {
        assert_eq!(uri("a b/ü%.pcap"), "a%20b/%C3%BC%25.pcap");
    }
}
