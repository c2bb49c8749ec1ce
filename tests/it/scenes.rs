//! Every scene raises its rules and nothing else that it does not name; its twin raises nothing.

use std::collections::BTreeSet;

use crate::support::{run, scene};

#[test]
fn a_scene_raises_its_rules_and_its_twin_raises_none() {
    let mut faults = Vec::new();
    for (name, text) in scene::all() {
        let scene = scene::parse(&name, &text);
        let raised = rules(&scene.capture_file());
        for rule in &scene.raises {
            if !raised.contains(rule) {
                faults.push(format!("{name}: does not raise {rule}, only {raised:?}"));
            }
        }
        let known = |rule: &String| {
            TOLD_OF_ALL.contains(&&**rule) || scene.raises.contains(rule) || scene.also.iter().any(|a| a.rule == *rule)
        };
        for rule in raised.iter().filter(|rule| !known(rule)) {
            faults.push(format!("{name}: raises {rule} too, which it does not name"));
        }
        let told = |rule: &String| TOLD_OF_ALL.contains(&&**rule) && !scene.raises.contains(rule);
        let mut raised = rules(&scene::twin(&name, &text).capture_file());
        raised.retain(|rule| !told(rule));
        if !raised.is_empty() {
            faults.push(format!("{name}: its twin raises {raised:?}"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Every WebSocket that is not cut ends like this: no scene need name it.
const TOLD_OF_ALL: [&str; 2] = ["end-clean", "still-open"];

#[test]
fn every_rule_has_a_scene() {
    let listed = run::output(&["rules"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let rules: BTreeSet<&str> = listed
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '<' || c == '>'))
        .filter(|word| hopscope::rules::all().any(|rule| rule.id == *word))
        .collect();
    assert_eq!(rules.len(), hopscope::rules::all().count(), "`hopscope rules` lists every rule");
    let played: BTreeSet<String> = scene::all()
        .into_iter()
        .flat_map(|(name, text)| scene::parse(&name, &text).raises)
        .filter_map(|slug| hopscope::rules::find(&slug).map(|rule| rule.id.to_owned()))
        .collect();
    let missing: Vec<&str> = rules.into_iter().filter(|rule| !played.contains(*rule)).collect();
    let missing: Vec<&str> = missing
        .into_iter()
        .filter(|slug| !of_several_legs(slug) && !of_http2(slug) && !of_secrets(slug) && !of_udp(slug))
        .collect();
    assert!(missing.is_empty(), "{} rules have no scene under samples/scenes: {missing:?}", missing.len());
}

/// What takes two captures to raise: tests/it/joins_clocks.rs does.
fn of_several_legs(slug: &str) -> bool {
    slug == "cap-clock-skew"
}

/// What takes a key log to raise: tests/it/secured.rs does.
fn of_secrets(slug: &str) -> bool {
    slug == "cap-secrets-miss"
}

/// Scenes are of TCP: tests/it/quic.rs plays this one.
fn of_udp(slug: &str) -> bool {
    slug == "cap-quic"
}

/// What takes ALPN, windows or a bridge: these are tried in their own files and in tests/it/http2_streams.rs.
fn of_http2(slug: &str) -> bool {
    let own = ["alpn-h2-only", "h2-backend-needs-h1", "h2-bridge", "h2-flow-stall", "hop-bridge-without-key"];
    own.contains(&slug)
}

#[test]
fn every_scene_says_why_and_can_be_captured() {
    let mut seen = BTreeSet::new();
    for (name, text) in scene::all() {
        let scene = scene::parse(&name, &text);
        assert!(scene.about.len() > 20, "{name}: about says what goes wrong");
        assert!(!scene.raises.is_empty() && !scene.twin.is_empty(), "{name}: raises something, and has a twin");
        assert!(scene.also.iter().all(|a| a.why.len() > 10), "{name}: also says why");
        assert_ne!(scene.capture_file(), scene::twin(&name, &text).capture_file(), "{name}: its twin differs");
        assert!(seen.insert(scene.raises.clone()), "{name}: another scene raises the same");
    }
    assert!(seen.len() >= 25, "{} scenes", seen.len());
}

/// The slugs of all findings.
fn rules(capture: &[u8]) -> BTreeSet<String> {
    let report = run::report_on_bytes(capture);
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.filter_map(|f| f["rule"].as_str()).map(str::to_owned).collect()
}
