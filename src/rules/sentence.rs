//! The one sentence of a verdict: who, what, and the likeliest cause.

use std::borrow::Cow;

use crate::model::{Blame, Exchange, FaultClass, Finding, Part, Role, Text};
use crate::rules::verdict::{Page, Writer};
use crate::rules::{Rule, request};

/// Parts the sentence of a summary from the likeliest cause behind it.
pub const CAUSE: &str = "; likely cause: ";

/// Who, what, and the likeliest cause: one sentence. The cause comes last, behind [`CAUSE`].
pub(super) fn summary(
    x: &Exchange,
    rule: &Rule,
    finding: &Finding,
    blame: &Blame,
    page: Option<&Page>,
    unseen: bool,
) -> Text {
    // Of a loop the proxy is both ends.
    let of_server = matches!(rule.id, "no-response" | "proxy-loop");
    let by_client = !of_server && blame.address.as_ref().is_some_and(|a| *a == x.client.ip.to_string());
    let who = who(x, blame, by_client);
    let mut parts = finding.message.0.clone().into_owned();
    if let Some(Part::Own(last)) = parts.last_mut() {
        *last = Cow::Owned(last.trim_end_matches('.').to_owned());
    }
    let who_refused = match page {
        Some(Page { by: Writer::Backend(_), .. }) if blame.product.is_some() => format!("the backend behind {who}"),
        _ => who.clone(),
    };
    let named = match parts.first_mut() {
        Some(Part::Own(first)) => match name_sender(first, &who_refused, by_client) {
            Some(named) => {
                *first = Cow::Owned(named);
                true
            }
            None => {
                *first = Cow::Owned(lower_first(first));
                false
            }
        },
        _ => false,
    };
    if !named {
        let place =
            if by_client { format!("In the request from {who}, ") } else { format!("Between the client and {who}, ") };
        parts.insert(0, Part::Own(Cow::Owned(place)));
    }
    if unseen {
        parts.push(Part::Own(Cow::Borrowed(", and the capture does not show what came of it")));
    }
    let from_page = page.map(|page| cause_by_page(x, page, &who, blame));
    let from_rule =
        || finding.causes.first().map(|c| c.to_string()).or_else(|| rule.causes.first().map(|&c| c.to_owned()));
    if let Some(cause) = from_page.or_else(from_rule) {
        parts.push(Part::Own(Cow::Owned(format!("{CAUSE}{cause}"))));
    }
    parts.push(Part::Own(Cow::Borrowed(".")));
    Text(Cow::Owned(parts))
}

/// What the page says, and what follows from it.
fn cause_by_page(x: &Exchange, page: &Page, who: &str, blame: &Blame) -> String {
    let mut means = page.means.as_str();
    if request::origin_agrees(x) {
        means = means.strip_suffix(", or compares it with a Host that a proxy changed").unwrap_or(means);
    }
    match (&page.by, page.class) {
        (Writer::Proxy(_) | Writer::Somebody, _) => means.to_owned(),
        // This leg has what the backend missed: it was lost farther on.
        (Writer::Backend(stack), Some(class @ (FaultClass::Fwd | FaultClass::Client))) => {
            let hop = match &blame.product {
                Some(product) => format!("{product} or a proxy behind it"),
                None => format!("a proxy at or behind {who}"),
            };
            let what = if class == FaultClass::Fwd { "does not pass the upgrade on" } else { "removes or changes it" };
            format!("{means} (the page is by {stack}), so {hop} {what}")
        }
        (Writer::Backend(stack), _) => format!("{means} (the page is by {stack})"),
    }
}

/// The blamed end, in the middle of a sentence.
fn who(x: &Exchange, blame: &Blame, by_client: bool) -> String {
    let address = match (by_client, blame.role) {
        (true, _) => x.client.ip.to_string(),
        (false, Role::Server) => x.server_behind().to_string(),
        (false, _) => x.server.to_string(),
    };
    let word = match (by_client, blame.role) {
        (true, Role::Hop) | (false, Role::Hop) => "proxy",
        (true, _) => "client",
        (false, _) => "server",
    };
    match &blame.product {
        Some(product) => format!("{product} at {address}"),
        None => format!("the {word} {address}"),
    }
}

/// How messages speak of what the server sent, and of the same with its name; longer ones first.
const OF_SERVER: &[(&str, &str)] = &[
    ("The server's 101", "The 101 of {}"),
    ("The server's response head", "The response head of {}"),
    ("The server's answer", "The answer of {}"),
    ("The response head", "The response head of {}"),
    ("The request head", "The request head sent to {}"),
    ("The 101", "The 101 of {}"),
    ("No response came", "No response came from {}"),
    ("The server", "{}"),
    ("The proxy", "{}"),
    ("the server", "{}"),
];

/// The same of the client.
const OF_CLIENT: &[(&str, &str)] = &[
    ("The WebSocket handshake", "The WebSocket handshake from {}"),
    ("The request head", "The request head from {}"),
    ("the request head", "the request head from {}"),
    ("The request", "The request from {}"),
    ("the request", "the request from {}"),
    ("The client", "{}"),
    ("the client", "{}"),
];

/// The words with `who` where they speak of the sender. `None` where they do not.
fn name_sender(words: &str, who: &str, by_client: bool) -> Option<String> {
    let known = if by_client { OF_CLIENT } else { OF_SERVER };
    let found = known.iter().filter_map(|(plain, named)| Some((words.find(plain)?, plain, named)));
    let (at, plain, named) = found.min_by_key(|&(at, plain, _)| (at, std::cmp::Reverse(plain.len())))?;
    let (before, rest) = words.split_at(at);
    let named = named.replace("{}", who);
    let named = if before.is_empty() { capital(&named) } else { named };
    Some(format!("{before}{named}{}", &rest[plain.len()..]))
}

/// With a capital where the first word is ours; names keep their letters.
pub(super) fn capital(words: &str) -> String {
    words.strip_prefix("the ").map_or_else(|| words.to_owned(), |rest| format!("The {rest}"))
}

/// With a small first letter where the first word is an ordinary one, not a field or a name.
fn lower_first(words: &str) -> String {
    const ORDINARY: &[&str] =
        &["A", "An", "Before", "Behind", "Bytes", "In", "No", "Nothing", "Packets", "The", "This", "Two", "With"];
    let first = words.split(' ').next().unwrap_or_default();
    if ORDINARY.contains(&first) { first.to_lowercase() + &words[first.len()..] } else { words.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_sender_where_it_speaks_of_him() {
        let server = |words| name_sender(words, "the server 192.0.2.1:80", false);
        assert_eq!(server("The server's 101 has no x").as_deref(), Some("The 101 of the server 192.0.2.1:80 has no x"));
        assert_eq!(
            server("Behind its 101 the server sent").as_deref(),
            Some("Behind its 101 the server 192.0.2.1:80 sent")
        );
        assert_eq!(server("The server sent").as_deref(), Some("The server 192.0.2.1:80 sent"));
        assert_eq!(server("Origin (").as_deref(), None);
        assert_eq!(name_sender("The server sent", "nginx at x", false).as_deref(), Some("nginx at x sent"));
        let client = name_sender("The request has no Host field", "nginx at x", true);
        assert_eq!(client.as_deref(), Some("The request from nginx at x has no Host field"));
    }

    #[test]
    fn sentences_join_with_a_small_letter_but_names_stay() {
        assert_eq!(lower_first("The server"), "the server");
        assert_eq!(lower_first("Sec-WebSocket-Accept does not fit"), "Sec-WebSocket-Accept does not fit");
    }
}
