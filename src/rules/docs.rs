//! What the rules say of themselves: `hopscope explain`, `hopscope rules` and docs/rules.md.

use super::accept::kinds::KINDS;
use super::{Explains, Rule, accept, capture, ends, frames, hop, http2, request, response};
use crate::model::{FaultClass, Severity};

/// Columns of `hopscope explain`.
const WIDTH: usize = 90;

/// Most slugs suggested for a mistyped one.
const SUGGESTIONS: usize = 3;

/// The sections of the documentation: title, what they are about, rules.
const SECTIONS: [(&str, &str, &[&Rule]); 8] = [
    ("The capture", "What the capture lacks, and how that limits every other finding.", capture::RULES),
    ("The request", "What is wrong with the request for an upgrade.", request::RULES),
    ("The response", "What is wrong with the answer to it.", response::RULES),
    ("The accept", "Whether Sec-WebSocket-Accept fits the key and, if not, why.", accept::RULES),
    ("The frames", "What is wrong with what was said behind the 101, on one leg.", frames::RULES),
    ("HTTP/2", "What is wrong on a leg in HTTP/2, where an extended CONNECT opens a WebSocket.", http2::RULES),
    ("Two legs", "What a hop did to what it passed on, where both of its sides are in view.", hop::RULES),
    ("The end", "How a WebSocket ended, by whom, and after what.", ends::RULES),
];

/// How what either side may have sent is mended.
const FIX_OF_SENDER: &str = "in the code of the side that sent it; no setting of a proxy mends it";

/// What `hopscope explain SLUG` prints of a rule: plain text, each line ended.
pub fn explain(rule: &Rule) -> String {
    let mut out = format!("{} ({})\n", rule.id, severity_word(rule.severity));
    wrap(&mut out, "", "", &sentence(rule.title));
    for paragraph in paragraphs(rule.about) {
        out.push('\n');
        wrap(&mut out, "", "", &paragraph);
    }
    if !rule.causes.is_empty() {
        out.push_str("\nUsual causes, likeliest first\n");
        for (i, cause) in rule.causes.iter().enumerate() {
            let number = format!("{:>3}. ", i + 1);
            wrap(&mut out, &number, "     ", cause);
        }
    }
    if rule.id == "accept-mismatch" {
        out.push_str("\nKinds of a wrong accept\n");
        for kind in KINDS {
            wrap(&mut out, &format!("  {:<19}", kind.word), &" ".repeat(21), kind.line);
        }
    }
    out.push('\n');
    for (name, words) in facts(rule) {
        wrap(&mut out, &format!("{:<12}", format!("{name}:")), &" ".repeat(12), &words);
    }
    out
}

/// docs/rules.md, whole: contents by section, every rule, the kinds of a wrong accept.
pub fn markdown() -> String {
    let mut out = String::from(
        "# The rules\n\n\
         Made by `hopscope rules --format markdown`; change the rules in `src/rules`, not this file. \
         `hopscope explain SLUG` prints one of them.\n\n\
         A rule's slug is its identity in every output. Severity: an **error** means that the handshake or \
         connection cannot work, or that a standard is broken with effect; a **warning** that it works by luck or \
         breaks with another peer; an **info** is a fact worth showing. A rule that explains nothing is a note and \
         never a verdict.\n",
    );
    for (title, _, rules) in SECTIONS.iter().filter(|s| !s.2.is_empty()) {
        out.push_str(&format!("\n- [{title}](#{})\n", anchor(title)));
        for rule in *rules {
            out.push_str(&format!("  - [`{}`](#{}): {}\n", rule.id, anchor(rule.id), rule.title));
        }
    }
    out.push_str("\n- [Kinds of a wrong accept](#kinds-of-a-wrong-accept)\n");
    for (title, about, rules) in SECTIONS.iter().filter(|s| !s.2.is_empty()) {
        out.push_str(&format!("\n## {title}\n\n{about}\n"));
        for rule in *rules {
            push_rule(&mut out, rule);
        }
    }
    out.push_str(
        "\n## Kinds of a wrong accept\n\n\
         `accept_kind` of the report: how the wrong value was probably computed. The list is closed.\n\n\
         | kind | what it means |\n|---|---|\n",
    );
    for kind in KINDS {
        out.push_str(&format!("| `{}` | {} |\n", kind.word, kind.line.replace('|', "\\|")));
    }
    out
}

/// What `hopscope rules` prints: slug, severity and title of every rule in columns.
pub fn list() -> String {
    let width = super::all().map(|r| r.id.len()).max().unwrap_or_default();
    super::all().map(|r| format!("{:<width$}  {:<7}  {}\n", r.id, severity_word(r.severity), r.title)).collect()
}

/// Rules whose slug the user may have meant, the nearest first; none where nothing comes near.
pub fn suggest(slug: &str) -> Vec<&'static str> {
    nearest(slug, super::all().map(|r| r.id))
}

fn nearest<'a>(slug: &str, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    // A slug is short; what is longer by far is none.
    let slug: String = slug.chars().take(80).collect::<String>().to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> = ids
        .filter_map(|id| {
            let apart = distance(slug.as_bytes(), id.as_bytes());
            // Half a slug counts as near too.
            let part = slug.len() >= 3 && (id.contains(&slug) || slug.contains(id));
            (apart <= 1 + id.len() / 5 || part).then_some((apart, id))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(SUGGESTIONS).map(|(_, id)| id).collect()
}

fn push_rule(out: &mut String, rule: &Rule) {
    out.push_str(&format!("\n### `{}`\n\n**{}**\n", rule.id, sentence(rule.title)));
    for paragraph in paragraphs(rule.about) {
        out.push_str(&format!("\n{}\n", escape(&paragraph)));
    }
    if !rule.causes.is_empty() {
        out.push_str("\nUsual causes, likeliest first:\n\n");
        for (i, cause) in rule.causes.iter().enumerate() {
            out.push_str(&format!("{}. {}\n", i + 1, escape(cause)));
        }
    }
    out.push_str(&format!("\n- Severity: {}\n", severity_word(rule.severity)));
    for (name, words) in facts(rule) {
        out.push_str(&format!("- {name}: {}\n", escape(&words)));
    }
}

/// The lines below a rule's text.
fn facts(rule: &Rule) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let explains: Vec<&str> = rule.explains.iter().map(|e| explains_words(*e)).collect();
    facts.push((
        "Explains",
        if explains.is_empty() { "nothing: a note, never a verdict".to_owned() } else { explains.join(", ") },
    ));
    if !rule.symptom_of.is_empty() {
        facts.push(("Symptom of", rule.symptom_of.join(", ")));
    }
    let fix = match rule.fix {
        Some(FaultClass::Backend) if frames::is_of_sender(rule) => FIX_OF_SENDER,
        Some(class) => fix_words(class),
        None if !crate::rules::fix_classes(rule.id).is_empty() => "depends on what the answer or the end shows",
        None if rule.explains.is_empty() => "nothing to mend",
        None => "depends on the cause",
    };
    facts.push(("Fix", fix.to_owned()));
    if !rule.refs.is_empty() {
        facts.push(("References", rule.refs.join(", ")));
    }
    facts
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Info => "info",
        Severity::Warning => "warning",
    }
}

fn explains_words(explains: Explains) -> &'static str {
    match explains {
        Explains::Refused => "a refused upgrade",
        Explains::Redirected => "a redirected upgrade",
        Explains::Broken => "a 101 that a client must not accept",
        Explains::Unanswered => "an upgrade without an answer",
        Explains::Ended => "a tunnel that was cut",
    }
}

fn fix_words(class: FaultClass) -> &'static str {
    match class {
        FaultClass::Accept => "in the server's own code: how it computes Sec-WebSocket-Accept",
        FaultClass::Backend => "in the server's own code; no setting of a proxy mends it",
        FaultClass::Client => "in the client's own code; no setting of a proxy mends it",
        FaultClass::Comp => "in the proxy: agree on compression from end to end, or not at all",
        FaultClass::Fields => "in the proxy: its rules that add, change or remove fields",
        FaultClass::Fwd => "in the proxy: pass the upgrade on (Upgrade and Connection made anew)",
        FaultClass::H2 => "in the proxy: HTTP/2 towards the client or the server",
        FaultClass::Head => {
            "in the hop or server that refuses: how large a request head may be; or in what makes it large"
        }
        FaultClass::Host => "in the proxy: keep Host and Origin",
        FaultClass::Idle => "in the proxy: its idle limits, or a heartbeat in the application",
        FaultClass::Life => "in the proxy: its limit on the life of a connection; or in the client, which comes back",
        FaultClass::Limit => "in the hop or server that refuses: its limits and access rules",
        FaultClass::Origin => {
            "in the server that refuses: which origins it allows; or in the client, which names another"
        }
        FaultClass::Path => "in the proxy: path and query on the way to the server",
        FaultClass::ProxyProtocol => "in the proxy and the server: both use the PROXY header, or neither",
        FaultClass::Reach => "in the server, which must listen there, or in the proxy: the backend's address and port",
        FaultClass::Read => "in the program that does not read, or the other side's patience",
        FaultClass::Redir => "in the proxy or the client's URL: WebSocket clients do not follow redirects",
        FaultClass::Reload => "in the proxy: how reloads treat open tunnels",
        FaultClass::Scheme => "in the URL of the client or of the proxy's backend: TLS or none, as its port speaks",
        FaultClass::Server => "in the server: its log of this time tells why",
        FaultClass::Stick => "in the proxy: keep a session on one server",
        FaultClass::Tls => "in the server, the proxy or the client: certificates, names and trust of TLS",
    }
}

/// Paragraphs with every run of white space made one space.
fn paragraphs(about: &str) -> impl Iterator<Item = String> {
    about.split("\n\n").map(|p| p.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|p| !p.is_empty())
}

/// A title as a sentence: a capital and a full stop.
fn sentence(title: &str) -> String {
    let mut letters = title.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Appends text in lines of at most [`WIDTH`] columns; a longer word has its own line.
fn wrap(out: &mut String, first: &str, rest: &str, text: &str) {
    let mut line = String::from(first);
    let mut width = first.chars().count();
    let mut empty = true;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if !empty && width + 1 + long > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = String::from(rest);
            width = rest.chars().count();
            empty = true;
        }
        if !empty {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += long;
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// The anchor that a heading gets where Markdown is shown: lower case, letters, digits and dashes.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// Text in which `<` cannot begin a tag, nor `*` an emphasis; what stands in backticks stays.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for c in text.chars() {
        match c {
            '`' => code = !code,
            '<' | '*' if !code => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

/// Edits between two words: letters put in, left out, replaced (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn every_rule_is_in_a_section_and_in_every_text() {
        let sections: usize = SECTIONS.iter().map(|s| s.2.len()).sum();
        assert_eq!(sections, rules::all().count());
        let (list, markdown) = (list(), markdown());
        for rule in rules::all() {
            assert!(list.lines().any(|l| l.split(' ').next() == Some(rule.id)), "{}", rule.id);
            assert!(markdown.contains(&format!("\n### `{}`\n", rule.id)), "{}", rule.id);
            assert!(explain(rule).starts_with(rule.id));
        }
    }

    #[test]
    fn explanations_keep_within_their_columns() {
        for rule in rules::all() {
            let text = explain(rule);
            assert!(text.lines().all(|l| l.chars().count() <= WIDTH && l == l.trim_end()), "{text}");
            assert!(text.ends_with('\n'));
        }
    }

    #[test]
    fn an_explanation_says_causes_fix_and_references() {
        let text = rules::find("accept-mismatch").map(explain).unwrap_or_default();
        for part in
            ["accept-mismatch (error)", "  1. ", "  guid-wrong ", "Fix:", "References: RFC 6455", "Symptom of: hop-"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn every_kind_of_a_wrong_accept_has_a_line() {
        let markdown = markdown();
        assert!(KINDS.iter().all(|k| markdown.contains(&format!("| `{}` | ", k.word))));
    }

    #[test]
    fn mistyped_slugs_find_what_was_meant() {
        let ids = ["accept-mismatch", "accept-missing", "req-http10", "no-response"];
        assert_eq!(nearest("accept-mismacth", ids.into_iter()), ["accept-mismatch"]);
        assert_eq!(nearest("Req-HTTP1", ids.into_iter()), ["req-http10"]);
        assert_eq!(nearest("accept", ids.into_iter()).len(), 2);
        assert!(nearest("xyzzy-quux", ids.into_iter()).is_empty());
        assert!(nearest("", ids.into_iter()).is_empty());
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"same", b"same"), 0);
    }

    #[test]
    fn anchors_are_those_of_the_headings() {
        assert_eq!(anchor("refused-<code>"), "refused-code");
        assert_eq!(anchor("The capture"), "the-capture");
    }
}
