//! Exchanges of which the published files hold a part: whatever is said of them must be true, and why
//! more is not said must be told.

use serde_json::Value;

use crate::lab_truth::{Lacks, endpoint, expected, text};

/// "no more than the files hold", or what is wrong with what a report says of an exchange. `None`: what the
/// files hold of it is a plain request, of which a report says nothing.
pub(crate) fn said(report: &Value, truth: &Value, lacks: &Lacks, used: &mut Vec<usize>) -> Option<String> {
    let ends = (endpoint(text(&truth["src"])), endpoint(text(&truth["dst"])));
    let found = list(report, "exchanges").iter().enumerate().find(|(index, x)| {
        let of = |side: &str| format!("{}:{}", text(&x[side]["ip"]), x[side]["port"]);
        let key = &x["handshake"]["key"];
        !used.contains(index) && (of("client"), of("server")) == ends && (key.is_null() || *key == truth["key"])
    });
    Some(match found {
        Some((index, _)) if lacks.connection => format!("exchange {index} of a connection that is not there"),
        None if lacks.connection => fine(),
        None => match reason(report, None, &ends) {
            None if lacks.request => return None,
            reason => reason.unwrap_or_else(|| "nothing of it, and no reason".to_owned()),
        },
        Some((index, x)) => {
            used.push(index);
            let untrue = untruth(report, x, truth, lacks);
            untrue.or_else(|| reason(report, Some(x), &ends)).unwrap_or_else(|| format!("no reason: {x}"))
        }
    })
}

fn fine() -> String {
    "no more than the files hold".to_owned()
}

/// What is said that is not so, or that the files cannot tell.
fn untruth(report: &Value, x: &Value, truth: &Value, lacks: &Lacks) -> Option<String> {
    let handshake = &x["handshake"];
    let known = |found: &Value, right: &Value, lacking: bool| {
        if lacking { found.is_null() || found == right } else { found == right }
    };
    if !known(&handshake["key"], &truth["key"], lacks.request) {
        return Some(format!("key {}", handshake["key"]));
    }
    // What is left of an accept is shown, as long as nothing is made of it.
    let begins = lacks.accept && text(&truth["accept"]).starts_with(text(&handshake["accept"]));
    if !begins && !known(&handshake["accept"], &truth["accept"], lacks.accept) {
        return Some(format!("accept {}", handshake["accept"]));
    }
    // Of a head that was never whole, the status may be told or not.
    let open = truth["outcome"] == "bad-response";
    if !open && !known(&x["response"]["status"], &truth["status"], lacks.status) {
        return Some(format!("status {}", x["response"]["status"]));
    }
    let verdict = text(&handshake["accept_verdict"]);
    let whole = !handshake["key"].is_null() && !handshake["accept"].is_null();
    let proven = whole && expected(truth).iter().any(|e| e.contains(&format!(" {verdict} ")));
    if !proven && !["unverifiable", "not-applicable"].contains(&verdict) {
        return Some(format!("accept verdict {verdict}"));
    }
    let outcome = text(&x["outcome"]);
    // Without the status line the files cannot tell what became of it.
    let answered = open || x["response"]["status"] == truth["status"];
    let right = answered && expected(truth).iter().any(|e| e.ends_with(&format!(" {outcome}")));
    if outcome != "unknown" && !right {
        return Some(format!("outcome {outcome}"));
    }
    // Nothing is laid at anybody's door because of bytes that are not there.
    let chain = list(report, "chains").iter().find(|c| list(c, "legs").contains(&x["id"]))?;
    let rule = text(&chain["verdict"]["rule"]);
    let refused = format!("refused-{}", truth["status"]);
    let may = rule == "ok" || rule == "unknown" || rule.starts_with("cap-") || rule == refused;
    if !may && !lacks.rules.iter().any(|r| r == rule) {
        return Some(format!("verdict {}", chain["verdict"]));
    }
    None
}

/// "fine" where a finding on the capture says what is missing of an exchange, or of its connection.
fn reason(report: &Value, x: Option<&Value>, ends: &(String, String)) -> Option<String> {
    let told = list(report, "findings").iter().filter(|f| text(&f["rule"]).starts_with("cap-")).any(|finding| {
        let subject = &finding["subject"];
        match text(&subject["kind"]) {
            "exchange" => x.is_some_and(|x| x["id"] == subject["id"]),
            "flow" => {
                let message = text(&finding["message"]);
                x.is_some_and(|x| x["flow"] == subject["id"]) || message.contains(&ends.0) && message.contains(&ends.1)
            }
            _ => true,
        }
    });
    told.then(fine)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}
