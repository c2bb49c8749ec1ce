//! `end-by-policy`.

use super::close_code_meaning::{close, evidence, is_inferred, known, meant};
use super::support::{FROM_SERVER, name, spell, tunnel};
use crate::model::{Confidence, Evidence, Exchange, Severity, Text};
use crate::rules::{Check, Explains, Findings, Rule, Seen};

pub(super) static RULE: Rule = Rule {
    id: "end-by-policy",
    severity: Severity::Warning,
    title: "the tunnel was closed because of who asks or what it did",
    about: "The Close frame says so: code 1008 (policy violation), or a code of the application (4000 to 4999) together \
        with a reason that speaks of log-in, tokens or permission. Or the server ended the tunnel without a word of it, and \
        answered the client's next try, within ten seconds, with 401. The network is fine; the client must authenticate \
        anew, or may not do what it did.",
    refs: &["RFC 6455 §7.4.1", "RFC 6455 §7.4.2"],
    causes: &[
        "a token or session that ran out",
        "the client is not allowed to do what it asked for",
        "a limit on rate or number",
    ],
    fix: None,
    explains: &[Explains::Ended],
    symptom_of: &["app-refused"],
    check: Check::Exchange(check),
};

/// What reasons of this kind contain, in small letters.
const WORDS: &[&str] = &[
    "auth",
    "token",
    "jwt",
    "session",
    "login",
    "log in",
    "logged",
    "credential",
    "permission",
    "forbidden",
    "denied",
    "not allowed",
    "policy",
    "expired",
    "invalid key",
    "api key",
    "rate limit",
    "too many",
];

fn check(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    if !said_so(x, out) {
        refused_next(x, seen, out);
    }
}

/// A Close that speaks of it. `true`: there is one.
fn said_so(x: &Exchange, out: &mut Findings<'_>) -> bool {
    let Some((by, code, reason)) = close(x).filter(|(by, ..)| tunnel(x).is_some() && *by == FROM_SERVER) else {
        return false;
    };
    let words = String::from_utf8_lossy(reason).to_lowercase();
    let speaks = WORDS.iter().any(|word| words.contains(word));
    let confidence = match code {
        1008 => Confidence::Certain,
        // What the agreed subprotocol means by it is told as such.
        4000..=4999 if speaks && known(x, code).is_none_or(|says| says.subprotocol.is_none()) => Confidence::Likely,
        _ => return false,
    };
    let mut text = Text::own(format!("The {} closed the WebSocket with code {code}", name(by)));
    if !reason.is_empty() {
        text = text.say(" (").bytes(reason).say(")");
    }
    let mut found = out
        .add(text.say(": it does not let this client go on."))
        .confidence(if is_inferred(x, by) { confidence.lower() } else { confidence })
        .expected(Text::own("a client that may go on"))
        .found(Text::own(format!("Close {code}")));
    for cause in meant(x, code, reason) {
        found = found.cause(cause);
    }
    if let Some(evidence) = evidence(x, by) {
        found.evidence(evidence);
    }
    true
}

/// The server ended the tunnel and did not let the client in again.
fn refused_next(x: &Exchange, seen: &Seen, out: &mut Findings<'_>) {
    let ended = tunnel(x).filter(|_| x.end.by == Some(FROM_SERVER)).and(x.end.at);
    let Some((at, next)) = ended.and_then(|at| Some((at, seen.unauthorized_after(x, at)?))) else { return };
    let text = format!(
        "The server ended the WebSocket, and answered 401 when the client came back {} later: it does not let this \
         client go on.",
        spell(next.at.since(at))
    );
    let found = out
        .add(Text::own(text))
        .confidence(Confidence::Likely)
        .expected(Text::own("a client that may go on"))
        .found(Text::own("401 on reconnect"));
    let found = match x.end.packet {
        Some(at) => found.evidence(Evidence { at, direction: Some(FROM_SERVER), bytes: None }),
        None => found,
    };
    found.evidence(Evidence { at: next.packet, direction: None, bytes: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::model::EndHow;
    use crate::rules::ends::testing::*;
    use crate::rules::testing::{GOOD, run_seen};

    fn closed(code: u16, reason: &str) -> Exchange {
        let mut x = goodbye(code);
        x.end.close.iter_mut().for_each(|close| close.reason = reason.as_bytes().into());
        x
    }

    #[test]
    fn policy_violations_and_codes_with_words_of_log_in_are_found() {
        assert_eq!(run(&RULE, &closed(1008, ""))[0].confidence, Confidence::Certain);
        let found = run(&RULE, &closed(4401, "Token expired"));
        assert!(words(&found[0].message).starts_with("The server closed the WebSocket with code 4401 (Token expired)"));
    }

    #[test]
    fn a_401_to_who_comes_back_says_why_the_server_ended_it() {
        let ended = cut(SERVER, EndHow::Fin, 60_000);
        let next = |status: &str, ms: i64| {
            let mut next = ended.clone();
            next.response = crate::rules::testing::exchange(GOOD, Some(&format!("HTTP/1.1 {status}\r\n\r\n"))).response;
            next.request.first = ended.end.at.unwrap_or_default() + Nanos::from_millis(ms);
            let mut seen = Seen::default();
            seen.learn(&ended, false);
            seen.learn(&next, false);
            run_seen(&RULE, &ended, &seen).first().map(|found| words(&found.message))
        };
        assert_eq!(
            next("401 Unauthorized", 1_500).as_deref(),
            Some(
                "The server ended the WebSocket, and answered 401 when the client came back 1.5 s later: it does not let \
                 this client go on."
            )
        );
        assert_eq!((next("503 No", 1_500), next("401 Unauthorized", 60_000)), (None, None));
    }

    #[test]
    fn other_codes_and_other_words_are_not() {
        assert!(!fires(&RULE, &closed(4000, "game over")) && !fires(&RULE, &closed(1000, "session done")));
        let mut by_client = closed(1008, "");
        by_client.end.by = Some(CLIENT);
        assert!(!fires(&RULE, &by_client));
    }
}
