//! The judgement on an accept: right, wrong and why, missing, or not to be judged.

use std::collections::HashMap;

use crate::base::{Endpoint, Nanos, limits};
use crate::model::head::trim;
use crate::model::{AcceptVerdict, Exchange, Handshake, Head, LineFaults, WrongAccept};
use crate::rules::Seen;
use crate::rules::seen::Attempt;
use crate::wire::accept::{self, Recipe};

/// Keys that stand in specifications, encyclopedias and programs, and where.
const SAMPLES: [(&[u8], &str); 4] = [
    (b"dGhlIHNhbXBsZSBub25jZQ==", "the sample of RFC 6455"),
    (b"x3JJHMbDL1EzLkh9GBhXDw==", "the sample of an encyclopedia"),
    (b"AAAAAAAAAAAAAAAAAAAAAA==", "the value for a key of 16 zero bytes"),
    (b"MDAwMDAwMDAwMDAwMDAwMA==", "the value for the constant key of an HTTP/2 bridge"),
];

/// What explained a server's mismatches so far, so that the next one of the same server costs one hash
/// instead of thousands; and what all explaining has cost. One for an analysis.
#[derive(Debug, Default)]
pub struct Hints {
    by_server: HashMap<Endpoint, Hint>,
    /// Hashes computed so far.
    spent: usize,
}

#[derive(Debug, Default)]
struct Hint {
    last: Option<Recipe>,
    /// Mismatches in a row that nothing explained.
    unexplained: u32,
}

/// Judges the accept of an exchange (RFC 6455 §4.1 item 4 of the client's checks). `seen`: the other
/// exchanges. `wrong_guids`: known wrong GUIDs, each with what is known of it.
pub fn judge(x: &Exchange, seen: &Seen, hints: &mut Hints, wrong_guids: &[(&str, &str)]) -> Handshake {
    let mut handshake = compare(x);
    explain(x, &mut handshake, seen, hints, wrong_guids);
    handshake
}

/// Whether the accept of an exchange is right; not yet why it is wrong.
pub fn compare(x: &Exchange) -> Handshake {
    let found = x.response.as_ref().and_then(|r| r.first_value("sec-websocket-accept")).map(trim);
    let right = expected(x);
    Handshake { accept_verdict: verdict(x, right.as_deref(), found), wrong: None }
}

/// The accept that belongs to the key of an exchange (RFC 6455 §4.2.2). `None` where there is no key.
pub fn expected(x: &Exchange) -> Option<String> {
    x.key().map(accept::expected)
}

/// Says of a wrong accept how it came about. Mismatches of one server are explained in their order.
pub fn explain(x: &Exchange, handshake: &mut Handshake, seen: &Seen, hints: &mut Hints, wrong_guids: &[(&str, &str)]) {
    if let (AcceptVerdict::Invalid, Some(key), Some(found)) = (handshake.accept_verdict, x.key(), handshake.accept(x)) {
        let (kind, recipe) = why(x, key, found, seen, hints, wrong_guids);
        handshake.wrong = Some(Box::new(WrongAccept { kind, recipe }));
    }
}

/// Whether every byte of the request head is in the capture.
pub(super) fn request_whole(x: &Exchange) -> bool {
    x.request.complete && !x.quality.request_gap && !cut(&x.request)
}

/// Whether every byte of the response head is in the capture.
pub(super) fn response_whole(x: &Exchange) -> bool {
    !x.quality.response_gap && x.response.as_ref().is_some_and(|r| r.complete && !cut(r))
}

/// The attempt whose key makes this accept right, if it is not the exchange itself: the nearest in
/// time to the same server, else the nearest of all.
pub(super) fn owner<'a>(x: &Exchange, key: &[u8], found: &[u8], seen: &'a Seen) -> Option<&'a Attempt> {
    let near = Nanos::from_secs(limits::SEEN_S);
    seen.with_expected(found).filter(|a| a.id != x.id && a.key() != Some(key)).take(limits::SEEN_COMPARED).min_by_key(
        |a| {
            let apart = apart(x, a);
            let same = a.server == x.server.ip && a.server_port == x.server.port;
            (!(same && apart <= near), apart, a.id)
        },
    )
}

/// What an accept is that belongs to a key known from books and programs; `None` for any other.
pub(super) fn sample(found: &[u8]) -> Option<String> {
    let (_, place) = SAMPLES.iter().find(|(key, _)| accept::expected(key).as_bytes() == found)?;
    Some(format!("it is {place}, whatever key the client sent"))
}

fn cut(head: &Head) -> bool {
    head.faults.has(LineFaults::TOO_LARGE) || head.faults.has(LineFaults::TOO_MANY)
}

fn verdict(x: &Exchange, right: Option<&str>, found: Option<&[u8]>) -> AcceptVerdict {
    let Some(response) = x.granted().filter(|_| !x.is_stream()) else {
        return AcceptVerdict::NotApplicable;
    };
    if !x.is_websocket() && found.is_none() && !response.upgrades_to_websocket() {
        return AcceptVerdict::NotApplicable;
    }
    let Some(right) = right.filter(|_| request_whole(x)) else { return AcceptVerdict::Unverifiable };
    match found {
        Some(found) if found == right.as_bytes() => AcceptVerdict::Valid,
        // The line may have been cut, or stand in the part that is not there.
        _ if !response_whole(x) => AcceptVerdict::Unverifiable,
        Some(_) => AcceptVerdict::Invalid,
        None => AcceptVerdict::Missing,
    }
}

/// Kind and recipe of a wrong accept.
fn why(
    x: &Exchange,
    key: &[u8],
    found: &[u8],
    seen: &Seen,
    hints: &mut Hints,
    wrong_guids: &[(&str, &str)],
) -> (&'static str, String) {
    if let Some(words) = other_key_line(&x.request, found) {
        return ("key-altered", words);
    }
    if let Some(other) = owner(x, key, found, seen) {
        return of_another(x, other);
    }
    if let Some(words) = sample(found) {
        return ("constant", words);
    }
    if let Some(recipe) = hints.explain(x.server, key, found, wrong_guids) {
        return (recipe.kind, recipe.words);
    }
    let others =
        seen.with_accept(found).take(limits::SEEN_COMPARED).filter(|a| a.key().is_some_and(|k| k != key)).count();
    if others > 0 {
        let times = if others == 1 { "another key".to_owned() } else { format!("{others} other requests") };
        return ("constant", format!("the same value was sent for {times}, and it fits no key in the capture"));
    }
    ("unexplained", format!("{}, and no known mistake gives this value", accept::what_it_is(found)))
}

/// Whether one key is the other with its case, its ends, its padding or its white space changed.
fn is_altered(a: &[u8], b: &[u8]) -> bool {
    let core = |key: &[u8]| -> Vec<u8> {
        key.iter().filter(|c| c.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
    };
    let (a_core, b_core) = (core(a), core(b));
    // A cut key keeps its beginning; fewer than 16 characters in common prove nothing.
    let common = a_core.iter().zip(&b_core).take_while(|(x, y)| x == y).count();
    a != b && common >= 16 && common == a_core.len().min(b_core.len())
}

/// A request with several keys: the accept may be right for another of them, or for all joined.
fn other_key_line(request: &Head, found: &[u8]) -> Option<String> {
    let name = "sec-websocket-key";
    if request.count(name) < 2 {
        return None;
    }
    let fits = |key: &[u8]| accept::expected(key).as_bytes() == found;
    let mut lines = request.lines(name).take(limits::SEEN_COMPARED).enumerate().skip(1);
    if let Some((i, _)) = lines.find(|(_, f)| fits(trim(request.value(f)))) {
        return Some(format!(
            "it is right for line {} of the request's several Sec-WebSocket-Key lines, not the first",
            i + 1
        ));
    }
    let joined = request.combined(name)?;
    fits(&joined).then(|| "it is right for all Sec-WebSocket-Key lines of the request joined with commas".to_owned())
}

/// The accept fits the key of another request: of the next leg, or of a stranger.
fn of_another(x: &Exchange, other: &Attempt) -> (&'static str, String) {
    let answered = x.response.as_ref().map(|r| r.first);
    let between = x.request.first <= other.at && answered.is_some_and(|at| other.at <= at);
    // On one host every address is every hop's, and says nothing.
    if between && other.client == x.server.ip && x.client.ip != x.server.ip {
        let words = format!(
            "it is right for the key on the next leg (exchange {}), which the intermediary changed without changing the accept",
            other.id
        );
        return ("other-leg", words);
    }
    let own = x.request.first_value("sec-websocket-key").map(trim).unwrap_or_default();
    if between && other.key().is_some_and(|k| is_altered(own, k)) {
        let words = format!(
            "it is right for an altered form of this key, which went on to {} (exchange {}): a proxy changed the key in transit",
            other.server, other.id
        );
        return ("key-altered", words);
    }
    let same = other.server == x.server.ip && other.server_port == x.server.port;
    let to = if same { "the same server" } else { "another server" };
    let words = format!(
        "it is the right value for another request: exchange {}, sent {} to {to}",
        other.id,
        when(other.at.since(x.request.first))
    );
    ("other-exchange", words)
}

/// Time between two requests, without a sign.
fn apart(x: &Exchange, other: &Attempt) -> Nanos {
    Nanos(other.at.since(x.request.first).0.saturating_abs())
}

/// "1.250 s earlier".
fn when(time: Nanos) -> String {
    let millis = time.0.unsigned_abs() / 1_000_000;
    let word = if time.0 < 0 { "earlier" } else { "later" };
    match millis {
        0 => "at the same time".to_owned(),
        1..1_000 => format!("{millis} ms {word}"),
        _ => format!("{}.{:03} s {word}", millis / 1_000, millis % 1_000),
    }
}

impl Hints {
    /// Explains one mismatch of a server: as its last one if that fits, else by trying.
    fn explain(&mut self, server: Endpoint, key: &[u8], found: &[u8], wrong: &[(&str, &str)]) -> Option<Recipe> {
        let hint = self.by_server.get(&server);
        if let Some(recipe) = hint.and_then(|h| h.last.as_ref()).and_then(|last| last.again(key, found)) {
            return Some(recipe);
        }
        let tired = hint.is_some_and(|h| h.unexplained >= limits::ACCEPT_UNEXPLAINED);
        let tries = if tired { limits::ACCEPT_TRIES_AGAIN } else { limits::ACCEPT_TRIES };
        let tries = tries.min(limits::ACCEPT_TRIES_TOTAL.saturating_sub(self.spent));
        let mut left = tries;
        let recipe = accept::explain_within(key, found, wrong, &mut left);
        self.spent += tries - left;
        self.remember(server, recipe.as_ref());
        recipe
    }

    fn remember(&mut self, server: Endpoint, recipe: Option<&Recipe>) {
        if self.by_server.len() >= limits::SEEN_KEYS && !self.by_server.contains_key(&server) {
            return;
        }
        let hint = self.by_server.entry(server).or_default();
        match recipe {
            Some(recipe) => {
                hint.unexplained = 0;
                hint.last = Some(recipe.clone());
            }
            None => hint.unexplained = hint.unexplained.saturating_add(1),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
mod tests {
    use super::super::testing::{Answer, KEY, RIGHT, WRONG, judge_all};
    use super::*;
    use crate::base::ExchangeId;

    const OTHER: &str = "x3JJHMbDL1EzLkh9GBhXDw==";
    const THIRD: &str = "HgGOCaUY9bpcAp5J6mLdpg==";

    fn request(keys: &[&str]) -> String {
        let keys: String = keys.iter().map(|k| format!("Sec-WebSocket-Key: {k}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{keys}\r\n")
    }

    fn judged(answer: Answer) -> Handshake {
        judge_all(&[answer]).remove(0)
    }

    #[test]
    fn verdicts_follow_what_was_seen() {
        let verdict = |answer| judged(answer).accept_verdict;
        assert_eq!(verdict(Answer::right()), AcceptVerdict::Valid);
        assert_eq!(verdict(Answer::accepts(&["wrong"])), AcceptVerdict::Invalid);
        assert_eq!(verdict(Answer::without_accept()), AcceptVerdict::Missing);
        assert_eq!(verdict(Answer::right().cut_request()), AcceptVerdict::Unverifiable);
        assert_eq!(verdict(Answer::right().to(&request(&[]))), AcceptVerdict::Unverifiable);
        assert_eq!(verdict(Answer::without_accept().cut_response()), AcceptVerdict::Unverifiable);
        assert_eq!(verdict(Answer::raw("HTTP/1.1 400 Bad Request\r\n\r\n")), AcceptVerdict::NotApplicable);
        let mut gap = Answer::accepts(&["wrong"]);
        gap.0.quality.request_gap = true;
        assert_eq!(verdict(gap), AcceptVerdict::Unverifiable);
        let mut unanswered = Answer::right();
        unanswered.0.response = None;
        assert_eq!(verdict(unanswered), AcceptVerdict::NotApplicable);
    }

    #[test]
    fn a_101_to_a_request_that_never_asked_cannot_be_checked() {
        let plain = Answer::right().to("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(judged(plain).accept_verdict, AcceptVerdict::Unverifiable);
        let raw = Answer::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n");
        let raw = raw.to("POST /attach HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n");
        assert_eq!(judged(raw).accept_verdict, AcceptVerdict::NotApplicable);
    }

    #[test]
    fn key_accept_and_the_right_one_are_told() {
        let answer = Answer::accepts(&["no"]);
        let handshake = judged(answer.clone());
        assert_eq!(answer.0.key(), Some(KEY.as_bytes()));
        assert_eq!(handshake.accept(&answer.0), Some(&b"no"[..]));
        assert_eq!(expected(&answer.0).as_deref(), Some(RIGHT));
        assert_eq!(handshake.accept_kind(), Some("unexplained"));
        assert!(handshake.accept_recipe().is_some());
        assert_eq!(judged(Answer::right()).accept_kind(), None);
    }

    #[test]
    fn of_several_accept_lines_the_first_is_judged() {
        assert_eq!(judged(Answer::accepts(&[RIGHT, "x"])).accept_verdict, AcceptVerdict::Valid);
        assert_eq!(judged(Answer::accepts(&["x", RIGHT])).accept_verdict, AcceptVerdict::Invalid);
    }

    #[test]
    fn the_accept_of_another_request_is_that_of_another_exchange() {
        let all = judge_all(&[
            Answer::right(),
            Answer::right().to(&request(&[OTHER])),
            Answer::right().to(&request(&[THIRD])),
        ]);
        assert_eq!(all[0].accept_verdict, AcceptVerdict::Valid);
        for wrong in &all[1..] {
            assert_eq!(wrong.accept_kind(), Some("other-exchange"));
        }
        assert!(all[2].accept_recipe().unwrap().contains("exchange 1, sent 2.000 s earlier to the same server"));
    }

    #[test]
    fn a_sample_accept_without_its_key_in_view_is_a_constant() {
        let all = judge_all(&[Answer::right().to(&request(&[OTHER])), Answer::right().to(&request(&[THIRD]))]);
        assert!(all.iter().all(|h| h.accept_kind() == Some("constant")));
        assert!(all[0].accept_recipe().unwrap().contains("the sample of RFC 6455"));
    }

    #[test]
    fn the_same_value_for_different_keys_is_a_constant() {
        let same = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let all = judge_all(&[Answer::accepts(&[same]), Answer::accepts(&[same]).to(&request(&[OTHER]))]);
        assert!(all.iter().all(|h| h.accept_kind() == Some("constant")));
        // For one key alone it may be anything.
        let all = judge_all(&[Answer::accepts(&[same]), Answer::accepts(&[same])]);
        assert!(all.iter().all(|h| h.accept_kind() == Some("unexplained")));
    }

    #[test]
    fn the_accept_of_an_empty_key_is_a_literal_though_it_is_constant() {
        let same = "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=";
        let all = judge_all(&[Answer::accepts(&[same]), Answer::accepts(&[same]).to(&request(&[OTHER]))]);
        assert!(all.iter().all(|h| h.accept_kind() == Some("key-literal")));
    }

    #[test]
    fn the_accept_for_the_next_leg_is_told_from_that_of_a_stranger() {
        let mut near = Answer::right().to(&request(&[OTHER])).0;
        let mut far = Answer::right().0;
        far.id = ExchangeId(2);
        far.client.ip = near.server.ip;
        far.server.ip = "192.0.2.3".parse().unwrap();
        far.request.first = near.request.first + Nanos::from_millis(1);
        near.response.as_mut().unwrap().first = near.request.first + Nanos::from_millis(5);
        let mut seen = Seen::default();
        seen.learn(&near, false);
        seen.learn(&far, false);
        let handshake = judge(&near, &seen, &mut Hints::default(), &WRONG);
        assert_eq!(handshake.accept_kind(), Some("other-leg"));
        // Sent before this request it is no leg of it.
        far.request.first = near.request.first - Nanos::from_secs(3);
        let mut seen = Seen::default();
        seen.learn(&far, false);
        assert_eq!(judge(&near, &seen, &mut Hints::default(), &WRONG).accept_kind(), Some("other-exchange"));
    }

    #[test]
    fn the_accept_for_another_key_line_of_the_request_is_recognised() {
        let two = judged(Answer::right().to(&request(&[OTHER, KEY])));
        assert_eq!(two.accept_kind(), Some("key-altered"));
        assert!(two.accept_recipe().unwrap().contains("line 2"));
        let joined = accept::expected(format!("{OTHER}, {KEY}").as_bytes());
        let joined = judged(Answer::accepts(&[&joined]).to(&request(&[OTHER, KEY])));
        assert!(joined.accept_recipe().unwrap().contains("joined"));
    }

    #[test]
    fn a_server_whose_mistake_is_known_costs_one_hash() {
        let mut hints = Hints::default();
        let server = Answer::right().0.server;
        assert!(hints.explain(server, KEY.as_bytes(), b"oaMi3hzjas62i/BuwYpSNXwtj5s=", &WRONG).is_some());
        let spent = hints.spent;
        assert!(spent > 0);
        assert!(hints.explain(server, KEY.as_bytes(), b"oaMi3hzjas62i/BuwYpSNXwtj5s=", &WRONG).is_some());
        assert_eq!(hints.spent, spent);
    }

    #[test]
    fn a_server_that_nothing_explains_is_tried_less_and_less() {
        let mut hints = Hints::default();
        let server = Answer::right().0.server;
        let mut cost = Vec::new();
        for i in 0..5_u8 {
            let before = hints.spent;
            let found = format!("AAAAAAAAAAAAAAAAAAAAAAA{i}AAA=");
            assert!(hints.explain(server, KEY.as_bytes(), found.as_bytes(), &WRONG).is_none());
            cost.push(hints.spent - before);
        }
        assert!(cost[0] > limits::ACCEPT_TRIES_AGAIN && cost[0] < limits::ACCEPT_TRIES);
        assert_eq!(cost[4], limits::ACCEPT_TRIES_AGAIN);
    }
}
