//! The verdict on a chain, as lines for a pane of any width: what is wrong, who is at fault, how to mend it.

use crate::base::Endpoint;
use crate::model::{Chain, Confidence, Finding, Role};
use crate::rules;

use crate::tui::events;
use crate::tui::paint::{Line, wrap};
use crate::tui::shared::{Mark, Shared};
use crate::tui::theme::Tone;

/// Fixes shown where it is not known which product is at fault.
const FIXES: usize = 3;
/// Columns of the labels.
const LABEL: usize = 10;

/// All of it.
pub fn lines(s: &Shared, chain: &Chain, columns: usize) -> Vec<Line> {
    let mut out = headline(s, chain, columns);
    let fault = s.at_fault(chain);
    labelled(&mut out, "at fault", Tone::Strong, &fault, columns);
    let way: Vec<String> = way(s, chain).into_iter().map(|(name, end)| format!("{name} {end}")).collect();
    if chain.legs.len() > 1 {
        labelled(&mut out, "way", Tone::Plain, &way.join(" → "), columns);
    }
    out.extend(fixes(s, chain, columns));
    out.extend(cause(s, chain, 1, columns));
    out
}

/// The rule, how bad and how sure, and the sentence.
pub fn headline(s: &Shared, chain: &Chain, columns: usize) -> Vec<Line> {
    let v = &chain.verdict;
    let (glyph, tone) = s.mark(chain).glyph();
    let rule = s.text.own(&v.rule);
    let mut first = Line::of(tone, format!(" {glyph} ")).add(if tone == Tone::Dim { Tone::Strong } else { tone }, rule);
    if !matches!(&*v.rule, "ok" | "unknown") {
        first.push(Tone::Dim, format!("  {} · {}", v.severity.word(), v.confidence.word()));
    }
    let mut out = vec![first];
    let summary = s.text.text(&v.summary);
    out.extend(wrap(&summary, columns.saturating_sub(4)).into_iter().map(|l| Line::of(Tone::Plain, format!("   {l}"))));
    out
}

/// What mends it.
pub fn fixes(s: &Shared, chain: &Chain, columns: usize) -> Vec<Line> {
    let mut out = Vec::new();
    let known = chain.verdict.blame.as_ref().is_some_and(|b| b.role == Role::Client || b.product.is_some());
    let words = chain.verdict.fix.iter().filter(|fix| fix.product == "any");
    let mut label = "fix";
    for fix in words {
        labelled(&mut out, label, Tone::Plain, &s.text.own(&fix.text).replace('\n', " "), columns);
        label = "";
    }
    let snippets: Vec<_> = chain.verdict.fix.iter().filter(|fix| fix.product != "any").collect();
    if label.is_empty() && known {
        return out;
    }
    for fix in snippets.iter().take(FIXES) {
        let versions = if fix.versions.is_empty() { String::new() } else { format!(" {}", s.text.own(&fix.versions)) };
        labelled(&mut out, label, Tone::Strong, &format!("{}{versions}:", s.text.own(&fix.product)), columns);
        label = "";
        for line in s.text.own(&fix.text).lines() {
            for piece in wrap(line, columns.saturating_sub(LABEL + 4)) {
                out.push(Line::of(Tone::Plain, format!("{:1$}{piece}", "", LABEL + 3)));
            }
        }
    }
    if snippets.len() > FIXES {
        let rule = s.text.own(&chain.verdict.rule);
        labelled(&mut out, "", Tone::Dim, &format!("for other products: hopscope explain {rule}"), columns);
    }
    out
}

/// The likeliest causes, so many; none where the verdict's sentence says it.
pub fn cause(s: &Shared, chain: &Chain, most: usize, columns: usize) -> Vec<Line> {
    let told = s.text.text(&chain.verdict.summary);
    let mut out = Vec::new();
    let mut label = "cause";
    for cause in causes(s, chain).iter().take(most).filter(|cause| !told.contains(cause.as_str())) {
        labelled(&mut out, label, Tone::Plain, cause, columns);
        label = "";
    }
    out
}

/// One finding: its rule, how bad, what it says, and what was and should have been there.
pub fn finding(s: &Shared, f: &Finding, columns: usize) -> Vec<Line> {
    let (glyph, tone) = if f.allowed { Mark::Plain } else { Mark::of(f.severity) }.glyph();
    let mut first = Line::of(tone, format!(" {glyph} {}", s.text.own(&f.rule)));
    let sure = if f.confidence == Confidence::Certain { "" } else { f.confidence.word() };
    let allowed = if f.allowed { "allowed" } else { "" };
    for word in [f.severity.word(), sure, allowed].into_iter().filter(|word| !word.is_empty()) {
        first.push(Tone::Dim, format!("  {word}"));
    }
    let mut out = vec![first];
    labelled(&mut out, "", Tone::Plain, &s.text.text(&f.message), columns);
    if !f.expected.is_empty() {
        labelled(&mut out, "want", Tone::Plain, &s.text.text(&f.expected), columns);
    }
    if !f.found.is_empty() {
        labelled(&mut out, "got", Tone::Plain, &s.text.text(&f.found), columns);
    }
    out
}

/// The rules of further findings in one row.
pub fn also(s: &Shared, all: &[usize], columns: usize) -> Vec<Line> {
    let all = all.iter().filter_map(|&i| s.a.findings.get(i));
    let words: Vec<String> = all.map(|f| format!("{} ({})", s.text.own(&f.rule), f.severity.word())).collect();
    let mut out = Vec::new();
    labelled(&mut out, "also", Tone::Plain, &words.join(", "), columns);
    out
}

/// What usually causes it, likeliest first.
fn causes(s: &Shared, chain: &Chain) -> Vec<String> {
    let behind = s.findings(chain).into_iter().filter_map(|i| s.a.findings.get(i));
    let own = behind.filter(|f| f.rule == chain.verdict.rule).find(|f| !f.causes.is_empty());
    match own {
        Some(f) => f.causes.iter().map(|cause| s.text.own(cause)).collect(),
        None => rules::find(&chain.verdict.rule)
            .map(|rule| rule.causes.iter().map(|cause| (*cause).to_owned()).collect())
            .unwrap_or_default(),
    }
}

/// Whom the request passed, client first: what each is called, and its address.
pub fn way(s: &Shared, chain: &Chain) -> Vec<(String, Endpoint)> {
    let mut out = Vec::new();
    if let Some(first) = s.legs(chain).next() {
        out.push(("client".to_owned(), first.client));
    }
    for x in s.legs(chain) {
        let hop = chain.hops.iter().find(|hop| hop.between.0 == x.id);
        out.push((hop.map_or_else(|| events::server_name(s, chain, x), |hop| s.hop_name(hop)), x.server));
    }
    out
}

/// A label and what belongs to it, wrapped.
pub fn labelled(out: &mut Vec<Line>, label: &str, tone: Tone, text: &str, columns: usize) {
    if text.is_empty() {
        return;
    }
    let mut label = label;
    for line in wrap(text, columns.saturating_sub(LABEL + 2)) {
        out.push(Line::of(Tone::Dim, format!(" {label:LABEL$}")).add(tone, line));
        label = "";
    }
}
