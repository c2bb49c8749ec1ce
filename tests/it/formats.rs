//! The formats for tickets, CI and tools: each is well-formed by somebody else's measure, whatever strangers wrote
//! into the packets. Their golden files stand beside the reports' in tests/golden.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::sources;
use crate::support::{hostile, run};

/// What every format is accepted on.
const SAMPLES: [(&str, &[&str]); 6] = [
    (
        "both-sides",
        &["samples/nginx-forgets-upgrade-client-side.pcap", "samples/nginx-forgets-upgrade-server-side.pcap"],
    ),
    ("right", &["samples/nginx-right-client-side.pcap", "samples/nginx-right-server-side.pcap"]),
    ("accept", &["samples/accept-in-hex.pcap"]),
    ("cut", &["samples/accept-in-hex.snap200.pcap"]),
    ("settled", &["samples/401-then-upgrade.sll2.pcap"]),
    ("client", &["samples/request-without-connection.nsec.pcap"]),
];

/// The formats that are held here.
const FORMATS: [(&str, &str); 9] = [
    ("text", "txt"),
    ("json", "json"),
    ("ndjson", "ndjson"),
    ("csv", "csv"),
    ("markdown", "md"),
    ("mermaid", "md"),
    ("junit", "xml"),
    ("sarif", "sarif"),
    ("html", "html"),
];

pub(crate) fn written(format: &str, files: &[&str]) -> String {
    let output =
        run::hopscope().arg("report").args(files).args(["--utc", "--format", format]).output().expect("a start");
    assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The hostile conversation in this format.
pub(crate) fn hostile_in(format: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("evil.pcap");
    std::fs::write(&path, hostile::capture()).expect("room for a capture");
    written(format, &[path.to_str().expect("UTF-8")])
}

#[test]
fn every_format_is_as_it_was_accepted() {
    for (format, extension) in FORMATS {
        for (name, files) in SAMPLES {
            let text = written(format, files).replace(env!("CARGO_PKG_VERSION"), "[version]");
            // The page's style and script are in its sources; what is made of a capture is what is accepted.
            let text = without(&without(&text, "<style>", "</style>"), "<script>", "</script>");
            let text = without_digests(&text);
            insta::with_settings!({
                snapshot_path => "../golden/formats", prepend_module_to_snapshot => false, omit_expression => true,
            }, {
                insta::assert_snapshot!(format!("{name}.{format}.{extension}"), text);
            });
        }
    }
}

#[test]
fn every_format_that_the_program_has_is_held_here() {
    let own: BTreeSet<&str> = hopscope::report::FORMATS.iter().map(|format| format.name).collect();
    assert_eq!(own, FORMATS.iter().map(|(name, _)| *name).collect());
}

/// Those of the page's own style and script change with them.
fn without_digests(text: &str) -> String {
    let mut parts = text.split("'sha256-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + "'[digest]" + part.split_once('\'').map_or("", |(_, rest)| rest))
}

fn without(text: &str, begin: &str, end: &str) -> String {
    let Some((before, rest)) = text.split_once(begin) else { return text.to_owned() };
    let Some((_, behind)) = rest.split_once(end) else { return text.to_owned() };
    format!("{before}{behind}")
}

#[test]
fn the_hostile_capture_is_a_journey_over_a_proxy_with_all_its_evil() {
    // Else the tests below would hold of nothing.
    let report: Value = serde_json::from_str(&hostile_in("json")).expect("JSON");
    assert_eq!(report["chains"][0]["legs"], json!([1, 2]), "{:#}", report["chains"]);
    let text = report.to_string();
    for n in 1..=12 {
        assert!(text.contains(&format!("evil{n}")), "evil{n}");
    }
}

#[test]
fn nothing_that_a_stranger_wrote_hides_or_moves_anything() {
    for format in ["text", "json", "ndjson", "csv", "markdown", "mermaid", "junit", "sarif", "html"] {
        let text = hostile_in(format);
        let bad = text.chars().find(|&c| {
            (c.is_control() && c != '\n' && !(c == '\r' && format == "csv"))
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        });
        assert_eq!(bad, None, "{format}");
    }
}

#[test]
fn in_html_no_tag_and_no_attribute_is_a_strangers() {
    let html = hostile_in("html");
    let names = tags(&html);
    let known = [
        "a", "body", "br", "code", "dd", "details", "div", "dl", "dt", "footer", "h1", "h2", "h3", "head", "header",
        "html", "li", "line", "main", "meta", "p", "path", "pre", "rect", "script", "section", "small", "span",
        "strong", "style", "summary", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
        "!DOCTYPE",
    ];
    for name in &names {
        assert!(known.contains(&name.as_str()), "<{name}> in\n{html}");
    }
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    assert_eq!(html.matches("<style").count(), 1);
    for attribute in [" onerror=", " onload=", " onclick=", " style=", " src=", "javascript:alert"] {
        let places = html.match_indices(attribute).filter(|(at, _)| inside_tag(&html, *at)).count();
        assert_eq!(places, 0, "{attribute}");
    }
    assert!(html.contains("&lt;script&gt;alert(&#39;evil1&#39;)&lt;/script&gt;"));
    assert!(!html.contains("http://") && !html.replace("https://evil.example", "").contains("https://"), "no network");
}

/// Whether a place lies between `<` and `>`.
fn inside_tag(html: &str, at: usize) -> bool {
    let before = &html[..at];
    before.rfind('<') > before.rfind('>')
}

fn tags(html: &str) -> BTreeSet<String> {
    // Style and script may compare.
    let html = without(&without(html, "<style>", "</style>"), "<script>", "</script>");
    let begins = html.match_indices('<').map(|(at, _)| &html[at + 1..]);
    begins
        .map(|rest| rest.trim_start_matches('/'))
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '!').collect())
        .collect()
}

#[test]
fn every_page_is_balanced_and_its_links_lead_somewhere() {
    let mut pages: Vec<String> = SAMPLES.iter().map(|(_, files)| written("html", files)).collect();
    pages.push(hostile_in("html"));
    pages.push(written("html", &["samples/120-clients-three-locations.pcapng"]));
    for page in pages {
        let html = without(&without(&page, "<style>", "</style>"), "<script>", "</script>");
        let mut open: Vec<String> = Vec::new();
        for (at, _) in html.match_indices('<') {
            let tag = html[at + 1..].split('>').next().unwrap();
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            if ["meta", "br"].contains(&name.as_str()) || tag.starts_with('!') || tag.ends_with('/') {
                continue;
            }
            match tag.starts_with('/') {
                true => assert_eq!(open.pop().as_deref(), Some(&*name), "before {:.80}", &html[at..]),
                false => open.push(name),
            }
        }
        assert_eq!(open, Vec::<String>::new());
        for (at, _) in html.match_indices("href=\"#") {
            let id = html[at + 7..].split('"').next().unwrap();
            assert!(html.contains(&format!("id=\"{id}\"")), "#{id}");
        }
    }
}

#[test]
fn junit_is_read_by_an_xml_parser_and_counts_right() {
    for (text, failures) in [
        (written("junit", SAMPLES[0].1), 1),
        (written("junit", SAMPLES[1].1), 0),
        (hostile_in("junit"), 1),
        (written("junit", &["samples/120-clients-three-locations.pcapng"]), 48),
    ] {
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let all = |name: &str| document.descendants().filter(|n| n.has_tag_name(name)).count();
        let suite = document.descendants().find(|n| n.has_tag_name("testsuite")).expect("a suite");
        let said = |name: &str| suite.attribute(name).and_then(|n| n.parse::<usize>().ok()).expect("a number");
        assert_eq!(said("tests"), all("testcase"));
        assert_eq!((said("failures"), all("failure")), (failures, failures), "{text}");
        assert_eq!(said("skipped"), all("skipped"));
        for case in document.descendants().filter(|n| n.has_tag_name("testcase")) {
            assert!(case.attribute("name").is_some_and(|n| !n.is_empty()));
            assert!(case.attribute("time").is_some_and(|t| t.parse::<f64>().is_ok()));
        }
    }
    let text = hostile_in("junit");
    let document = roxmltree::Document::parse(&text).expect("XML");
    let known = ["testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"];
    assert!(document.descendants().filter(|n| n.is_element()).all(|n| known.contains(&n.tag_name().name())));
}

/// SARIF of samples, each held against a schema.
fn sarif_logs_that_fit(schema: &jsonschema::Validator) -> Vec<Value> {
    let mut logs: Vec<String> = SAMPLES.iter().map(|(_, files)| written("sarif", files)).collect();
    logs.push(hostile_in("sarif"));
    logs.push(written("sarif", &["samples/120-clients-three-locations.pcapng"]));
    let logs: Vec<Value> = logs.iter().map(|log| serde_json::from_str(log).expect("JSON")).collect();
    for log in &logs {
        let errors: Vec<String> = schema.iter_errors(log).map(|e| format!("{}: {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }
    logs
}

#[test]
fn sarif_is_what_its_schema_asks_for() {
    let schema: Value =
        serde_json::from_str(&sources::read(Path::new("tests/support/sarif-subset.json"))).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for log in sarif_logs_that_fit(&schema) {
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for result in run["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
            for location in result["locations"].as_array().expect("locations") {
                let place = &location["physicalLocation"]["artifactLocation"];
                let index = usize::try_from(place["index"].as_u64().expect("an index")).expect("small");
                assert_eq!(run["artifacts"][index]["location"]["uri"], place["uri"]);
                assert!(location["properties"]["packet"].as_u64().is_some_and(|n| n > 0));
            }
        }
    }
}

#[test]
#[ignore = "needs the schema that tests/sarif-schema gets: .ci/run"]
fn sarif_is_what_the_official_schema_asks_for() {
    let path = std::process::Command::new("tests/sarif-schema").current_dir(sources::root()).output().expect("a shell");
    assert!(path.status.success(), "{}", String::from_utf8_lossy(&path.stderr));
    let path = String::from_utf8(path.stdout).expect("UTF-8");
    let schema = std::fs::read_to_string(path.trim()).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    for log in sarif_logs_that_fit(&schema) {
        for (pointer, wrong) in wrong_in_sarif() {
            let mut log = log.clone();
            let Some(place) = log.pointer_mut(pointer) else { continue };
            *place = wrong;
            assert!(!schema.is_valid(&log), "{pointer}");
        }
    }
}

/// What no log may say, by its place.
fn wrong_in_sarif() -> [(&'static str, Value); 6] {
    [
        ("/version", json!("2.0")),
        ("/runs/0/tool/driver/name", Value::Null),
        ("/runs/0/results/0/level", json!("fatal")),
        ("/runs/0/results/0/message", json!("words")),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", json!("a b")),
        ("/runs/0/tool/driver/rules/0/help", json!({"markdown": "only"})),
    ]
}

#[test]
fn the_subset_of_sarif_refuses_what_is_wrong() {
    let schema: Value =
        serde_json::from_str(&sources::read(Path::new("tests/support/sarif-subset.json"))).expect("JSON");
    let right: Value = serde_json::from_str(&written("sarif", SAMPLES[0].1)).expect("JSON");
    assert!(jsonschema::is_valid(&schema, &right));
    for (pointer, wrong) in wrong_in_sarif() {
        let mut log = right.clone();
        *log.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!jsonschema::is_valid(&schema, &log), "{pointer}");
    }
}

#[test]
fn mermaid_keeps_to_its_grammar() {
    let mut texts: Vec<String> = SAMPLES.iter().map(|(_, files)| written("mermaid", files)).collect();
    texts.push(hostile_in("mermaid"));
    texts.push(written("mermaid", &["samples/120-clients-three-locations.pcapng"]));
    for text in &texts {
        let fences = text.lines().filter(|l| l.starts_with("```")).count();
        assert!(fences > 0 && fences % 2 == 0, "{text}");
        let mut inside = false;
        for line in text.lines() {
            match line {
                "```mermaid" => inside = true,
                "```" => inside = false,
                "sequenceDiagram" | "" => {}
                line if inside => assert!(is_statement(line.trim()), "{line}"),
                _ => {}
            }
        }
    }
    assert!(is_statement("P0->>P1: GET /chat HTTP/1.1"));
    for wrong in
        ["P0->>P1: a;b", "P0->>P1: a#b", "P0->>P1:", "alert('x')", "participant X<b> as y", "Note over P0: a<b>"]
    {
        assert!(!is_statement(wrong), "{wrong}");
    }
}

/// As much of the grammar of sequence diagrams as is used: statements by line, and in texts nothing that could end one.
fn is_statement(line: &str) -> bool {
    let place =
        |name: &str| name.strip_prefix('P').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let text = |words: &str| {
        let words = words.replace("<br/>", "");
        let mut rest = words.as_str();
        // A number of a character: `#60;`.
        while let Some(at) = rest.find(['#', ';', '<', '>', '"', '`', '%', '{', '}', '\\']) {
            let Some(number) = rest[at..].strip_prefix('#').and_then(|r| r.split_once(';')) else { return false };
            if number.0.is_empty() || !number.0.bytes().all(|b| b.is_ascii_digit()) {
                return false;
            }
            rest = number.1;
        }
        !words.trim().is_empty()
    };
    if let Some(title) = line.strip_prefix("title ") {
        return text(title);
    }
    if let Some(rest) = line.strip_prefix("participant ") {
        return rest.split_once(" as ").is_some_and(|(name, words)| place(name) && text(words));
    }
    if let Some(rest) = line.strip_prefix("Note over ") {
        return rest.split_once(": ").is_some_and(|(at, words)| at.split(',').all(place) && text(words));
    }
    ["-->>", "->>", "-x"].iter().any(|arrow| {
        line.split_once(arrow).is_some_and(|(from, rest)| {
            place(from) && rest.split_once(": ").is_some_and(|(to, words)| place(to) && text(words))
        })
    })
}

#[test]
fn tables_of_markdown_have_their_cells_and_fences_close() {
    let mut texts: Vec<String> = SAMPLES.iter().map(|(_, files)| written("markdown", files)).collect();
    texts.push(hostile_in("markdown"));
    texts.push(written("markdown", &["samples/120-clients-three-locations.pcapng"]));
    for text in &texts {
        let mut fence: Option<usize> = None;
        let mut cells = None;
        for line in text.lines() {
            let ticks = line.bytes().take_while(|b| *b == b'`').count();
            match fence {
                Some(open) if ticks == open && line.len() == open => fence = None,
                Some(_) => continue,
                None if ticks >= 3 => fence = Some(ticks),
                None if line.starts_with('|') => {
                    let here = cells_of(line);
                    assert_eq!(*cells.get_or_insert(here), here, "{line}\nin\n{text}");
                }
                None => cells = None,
            }
        }
        assert_eq!(fence, None, "a fence is open at the end\n{text}");
    }
    let evil = hostile_in("markdown");
    // Outside of code nothing of a stranger's is markup.
    let mut inside = false;
    for line in evil.lines() {
        inside ^= line.starts_with("```");
        let plain = outside_of_code(line);
        assert!(inside || !plain.replace("\\<", "").contains("<script"), "{line}");
        assert!(inside || !plain.contains("](javascript:") || plain.contains("\\]("), "{line}");
    }
}

/// Cells of a row: parted by bars that no backslash precedes.
fn cells_of(row: &str) -> usize {
    let bytes = row.as_bytes();
    (0..bytes.len()).filter(|&at| bytes[at] == b'|' && (at == 0 || bytes[at - 1] != b'\\')).count()
}

fn outside_of_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`').filter(|&at| at == 0 || !rest[..at].ends_with('\\')) {
        let ticks = rest[at..].bytes().take_while(|b| *b == b'`').count();
        out.push_str(&rest[..at]);
        let behind = &rest[at + ticks..];
        let fence = "`".repeat(ticks);
        let end = behind
            .match_indices(&fence)
            .find(|(end, _)| !behind[..*end].ends_with('`') && !behind[end + ticks..].starts_with('`'));
        match end {
            Some((end, _)) => rest = &behind[end + ticks..],
            None => return out + behind,
        }
    }
    out + rest
}
