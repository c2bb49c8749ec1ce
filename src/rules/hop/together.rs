//! Tests of this folder's rules side by side: one fault, one cause; what is right, no finding.

use crate::model::{Exchange, Finding, HopKind, Severity};
use crate::rules::hop::RULES;
use crate::rules::journey::View;
use crate::rules::testing::{REFUSED, behind, exchange, granted, hop, run_hop_of, run_journey, with_line};
use crate::rules::{Check, find};

/// What a browser behind no other proxy sends, with all that a hop could lose.
fn asked() -> String {
    with_line(
        "User-Agent: Mozilla/5.0\r\nCookie: sid=1\r\nSec-WebSocket-Protocol: chat, v2\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nX-Forwarded-For: 192.0.2.10",
    )
}

fn answer(status: u16) -> String {
    if status == 101 { granted() } else { format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n") }
}

fn findings(near: &Exchange, far: &Exchange, kind: HopKind) -> Vec<Finding> {
    let of_hops = RULES.iter().filter(|rule| rule.check.of_hop().is_some());
    of_hops.flat_map(|rule| run_hop_of(rule, near.clone(), far.clone(), |hop| hop.kind = kind)).collect()
}

/// What a verdict would name: symptoms go, then the worst, then the surest.
fn cause(near: &str, far: &str, status: u16) -> String {
    let answer = answer(status);
    let all = findings(&exchange(near, Some(&answer)), &exchange(far, Some(&answer)), HopKind::Http);
    let all: Vec<&Finding> = all.iter().filter(|f| f.severity > Severity::Info).collect();
    let is_symptom = |f: &Finding| {
        let caused = |other: &Finding| find(&f.rule).is_some_and(|rule| rule.symptom_of.contains(&&*other.rule));
        all.iter().any(|other| caused(other))
    };
    let causes = all.iter().filter(|f| !is_symptom(f));
    causes.max_by_key(|f| (f.severity, f.confidence)).map(|f| f.rule.to_string()).unwrap_or_default()
}

#[test]
fn one_fault_has_one_cause() {
    let near = asked();
    let host = |far: &str| far.replace("Host: example.com", "Host: 192.0.2.30:8080");
    let without = |name: &str| -> String {
        let kept = near.split_inclusive("\r\n").filter(|line| !line.starts_with(name));
        host(&kept.collect::<String>())
    };
    let old = host(&near).replace("HTTP/1.1", "HTTP/1.0");
    let bare = old.replace("Upgrade: websocket\r\nConnection: Upgrade", "Connection: close");
    for (fault, far, status, slug) in [
        ("HTTP/1.0 without the fields", bare.clone(), 404, "hop-downgraded-http10"),
        ("HTTP/1.0 with the fields, granted", old, 101, "hop-downgraded-http10"),
        ("without the fields", bare.replace("HTTP/1.0", "HTTP/1.1"), 426, "hop-stripped-upgrade"),
        ("without Upgrade", without("Upgrade:"), 426, "hop-stripped-upgrade"),
        ("without Connection", without("Connection:"), 404, "hop-stripped-connection"),
        ("another protocol", near.replace("websocket", "h2c"), 400, "hop-rewrote-upgrade-value"),
        ("without a key", without("Sec-WebSocket-Key"), 400, "hop-stripped-sec"),
        ("without a version", without("Sec-WebSocket-Version"), 426, "hop-stripped-sec"),
        ("without a subprotocol", without("Sec-WebSocket-Protocol"), 400, "hop-subprotocol-changed"),
        ("without an origin", without("Origin"), 403, "hop-origin-changed"),
        ("another host, which the origin does not name", host(&near), 403, "hop-host-rewritten"),
        ("another host", host(&near), 421, "hop-host-rewritten"),
        ("another path", host(&near).replace("/chat", "/api/chat"), 404, "hop-path-rewritten"),
        ("another method", host(&near).replace("GET", "POST"), 405, "hop-method-changed"),
        ("without a cookie", without("Cookie"), 401, "hop-auth-stripped"),
        ("another host, granted", host(&near), 101, ""),
        ("without extensions, granted", without("Sec-WebSocket-Extensions"), 101, ""),
        ("without a cookie, granted", without("Cookie"), 101, ""),
    ] {
        assert_eq!(cause(&near, &far, status), slug, "{fault}");
    }
}

#[test]
fn what_a_proxy_may_do_raises_nothing() {
    let near = asked().replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
    let reordered: String = {
        let mut lines: Vec<&str> = near.trim_end().split("\r\n").collect();
        lines[1..].reverse();
        lines.join("\r\n") + "\r\n\r\n"
    };
    let lower: String = near
        .split_inclusive("\r\n")
        .map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}:{value}", name.to_lowercase()),
            None => line.to_owned(),
        })
        .collect();
    let more = near.replace(
        "\r\n\r\n",
        "\r\nVia: 1.1 proxy\r\nX-Forwarded-Proto: http\r\nX-Request-Id: 1\r\nCache-Control: max-age=1\r\n\r\n",
    );
    let options = near.replace("keep-alive, Upgrade", "upgrade");
    for (what, far) in [
        ("the same", near.clone()),
        ("another order", reordered),
        ("small letters and no space", lower),
        ("fields of its own", more),
        ("Connection written anew", options),
        ("Upgrade in other letters", near.replace("websocket", "WebSocket")),
        ("a list over two lines", near.replace("chat, v2", "chat\r\nSec-WebSocket-Protocol: v2")),
    ] {
        for status in [101, 403] {
            let answer = answer(status);
            let found = findings(&exchange(&near, Some(&answer)), &exchange(&far, Some(&answer)), HopKind::Http);
            assert!(found.is_empty(), "{what}, {status}: {:?}", found.iter().map(|f| &f.rule).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_relay_and_other_protocols_are_left_alone() {
    let near = exchange(&asked(), Some(REFUSED));
    let far = exchange("GET /x HTTP/1.0\r\nHost: b\r\n\r\n", Some(REFUSED));
    assert!(findings(&near, &far, HopKind::Relay).is_empty());
    assert!(!findings(&near, &far, HopKind::Http).is_empty());
    for other in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
        "POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n",
        "POST /attach?x=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nCookie: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /?x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\nOrigin: http://a\r\n\r\n",
    ] {
        assert!(findings(&exchange(other, Some(REFUSED)), &far, HopKind::Http).is_empty(), "{other}");
    }
}

#[test]
fn a_question_whether_the_client_may_is_not_the_request_passed_on() {
    let near = asked();
    let inquiry = near
        .replace("GET /chat HTTP/1.1", "GET /may HTTP/1.0")
        .replace("Upgrade: websocket\r\nConnection: Upgrade", "Connection: close")
        .replace("Host: example.com", "Host: auth.example.com\r\nX-Original-URI: /chat");
    let rules_of = |far: &str, status| {
        let answer = answer(status);
        findings(&exchange(&near, Some(&answer)), &exchange(far, Some(&answer)), HopKind::Http)
    };
    assert!(rules_of(&inquiry, 401).is_empty());
    assert!(!rules_of(&inquiry, 426).is_empty(), "no such question is answered so");
    assert!(!rules_of(&inquiry.replace("GET /may", "GET /chat"), 401).is_empty(), "for the client's own path");
    assert!(!rules_of(&inquiry.replace("URI: /chat", "URI: /"), 401).is_empty());
}

#[test]
fn a_try_or_a_copy_beside_a_leg_that_was_granted_is_a_note() {
    let near = exchange(&asked(), Some(&granted()));
    let bare = asked().replace("Upgrade: websocket\r\nConnection: Upgrade", "Connection: close");
    let first = behind(exchange(&bare, Some(&answer(502))));
    let mut second = behind(exchange(&asked(), Some(&granted())));
    second.id.0 += 1;
    for (one, other) in [(&first, &second), (&second, &first)] {
        let hops = [hop(&near, one), hop(&near, other)];
        let all = [near.clone(), one.clone(), other.clone()];
        let found: Vec<Finding> = RULES
            .iter()
            .filter(|r| r.id.starts_with("hop-stripped"))
            .flat_map(|rule| match rule.check {
                Check::Hop(_) | Check::HopOrChain(..) => run_journey(rule, &all, &hops, View::default()),
                _ => Vec::new(),
            })
            .collect();
        assert!(!found.is_empty() && found.iter().all(|f| f.severity == Severity::Info));
    }
}

#[test]
fn a_head_that_breaks_off_anywhere_never_shows_a_loss() {
    // What this hop passes on is right, so whatever is found is found in what was not seen.
    let whole = asked();
    for end in 0..whole.len() {
        let cut = &whole[..end];
        for (near, far) in [(cut, whole.as_str()), (whole.as_str(), cut)] {
            let found = findings(&exchange(near, Some(REFUSED)), &exchange(far, Some(REFUSED)), HopKind::Http);
            assert!(found.is_empty(), "cut at {end}: {:?}", found.iter().map(|f| &f.rule).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_rule_explains_itself() {
    for rule in RULES {
        assert!(!rule.about.is_empty() && !rule.refs.is_empty() && !rule.causes.is_empty(), "{}", rule.id);
        assert!(!rule.symptom_of.contains(&rule.id), "{}", rule.id);
        assert!(rule.severity > Severity::Info || rule.explains.is_empty(), "{}", rule.id);
        assert!(!rule.title.ends_with('.') && !rule.causes.iter().any(|c| c.ends_with('.')), "{}", rule.id);
    }
}

#[test]
fn no_two_rules_are_symptoms_of_each_other() {
    for rule in RULES {
        let causes = rule.symptom_of.iter().filter_map(|slug| find(slug));
        let mutual: Vec<&str> = causes.filter(|cause| cause.symptom_of.contains(&rule.id)).map(|c| c.id).collect();
        assert!(mutual.is_empty(), "{} and {mutual:?}", rule.id);
    }
}
