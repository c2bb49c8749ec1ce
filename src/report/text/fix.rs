//! What mends a broken upgrade: in words, or as configuration to be pasted.

use std::io;

use crate::model::{Chain, Fix, Role};
use crate::report::mask;
use crate::report::text::page::{Page, Tone};

/// Products whose fix is shown where it is not known which is at fault.
const PRODUCTS: usize = 2;

/// `told`: the block before this one tells the same.
pub(super) fn write(page: &mut Page<'_>, chain: &Chain, told: bool) -> io::Result<()> {
    let v = &chain.verdict;
    if told && !v.fix.is_empty() {
        return page.row("fix", Tone::Plain, "as above");
    }
    let (words, snippets): (Vec<&Fix>, Vec<&Fix>) = v.fix.iter().partition(|fix| fix.product == "any");
    let mut label = "fix";
    for fix in &words {
        page.row(label, Tone::Plain, &mask::own(&fix.text).replace('\n', " "))?;
        label = "";
    }
    // A client has no such setting; nor, it seems, has a product that is known and has no fix of its own.
    let other = v.blame.as_ref().is_some_and(|b| b.role == Role::Client || b.product.is_some());
    let shown: Vec<&Fix> = match (words.is_empty(), other) {
        (true, _) => snippets.clone(),
        (false, true) => Vec::new(),
        (false, false) => one_of_each(&snippets),
    };
    for fix in &shown {
        let versions = if fix.versions.is_empty() { String::new() } else { format!(" {}", mask::own(&fix.versions)) };
        let name = format!("{}{versions}:", mask::own(&fix.product));
        page.row(label, Tone::Strong, &if words.is_empty() { name } else { format!("for example {name}") })?;
        label = "";
        let text: Vec<String> = mask::own(&fix.text).lines().map(|line| format!("  {line}")).collect();
        page.verbatim("", &text.join("\n"))?;
    }
    if shown.len() < snippets.len() && !other {
        page.row("", Tone::Dim, &format!("for other products: hopscope explain {}", mask::own(&v.rule)))?;
    }
    Ok(())
}

/// The first fix of each of the first two products.
fn one_of_each<'a>(fixes: &[&'a Fix]) -> Vec<&'a Fix> {
    let mut out: Vec<&Fix> = Vec::new();
    for fix in fixes {
        if out.len() < PRODUCTS && !out.iter().any(|shown| shown.product == fix.product) {
            out.push(fix);
        }
    }
    out
}
