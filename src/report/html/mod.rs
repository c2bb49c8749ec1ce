//! `html`: one page that holds all it needs: the summary, a list to sort and filter, a time line, and for each fault
//! the journey, what the hop changed, and the fix. It reads without its script, works without a network, and prints.
//!
//! What was captured stands in it as text alone: escaped by the masker, then by [`quoted`]; the page's own policy
//! forbids every script and style but the two that are part of the program, by their digests.

use std::collections::HashSet;
use std::io::{self, Write};

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::base::limits;
use crate::report::document as doc;
use crate::report::quote::entity;
use crate::report::told::Told;
use crate::report::view::{self, Brief, Status, View};
use crate::report::{Format, Options, build};
use crate::store::Analysis;

mod chain;
mod drawing;

pub(super) static FORMAT: Format = Format { name: "html", extension: "html", write };

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Characters of a value.
const VALUE: usize = 2_000;

/// Writes the page.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let view = View::new(a, options);
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    let mut chains = view.chains.clone();
    if options.quiet {
        chains.retain(|b| b.status < Status::Allowed);
    }
    // The worst are told at length; the list has the order of time.
    let mut worst = chains.clone();
    worst.sort_by_key(|b| b.status);
    worst.truncate(limits::HTML_DETAILS);
    begin(&view.summary(options), &mut out)?;
    head(&view, options, &mut out)?;
    drawing::timeline(&view, &chains, &mut out)?;
    list(&view, &chains, &worst, &mut out)?;
    if !worst.is_empty() {
        writeln!(out, "<section aria-labelledby=\"told\"><h2 id=\"told\">Chains</h2>")?;
        worst.iter().try_for_each(|brief| chain::write(&view, &view.tell(brief), &mut out))?;
        match chains.len().saturating_sub(worst.len()) {
            0 => {}
            n => writeln!(out, "<p>{n} more are in the list only; <code>--format json</code> has them.</p>")?,
        }
        writeln!(out, "</section>")?;
    }
    proxies(&view, &mut out)?;
    inputs(&view, &mut out)?;
    end(&build::tool(), &mut out)?;
    out.flush()
}

/// All up to the summary: for every page of this look.
pub(crate) fn begin(title: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">",
        digest(STYLE),
        digest(SCRIPT)
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(
        out,
        "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">"
    )?;
    writeln!(out, "<title>hopscope: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>", quoted(title))?;
    writeln!(out, "<a class=\"skip\" href=\"#main\">To the report</a>\n<main id=\"main\">")
}

/// The end of the page.
pub(crate) fn end(tool: &doc::Tool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<footer><p>Written by {} {}.</p></footer>", quoted(&tool.name), quoted(&tool.version))?;
    writeln!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>")
}

/// Words as they may stand in HTML, also inside of a quoted attribute.
pub(crate) fn quoted(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match entity(c) {
            Some(entity) => out.push_str(entity),
            // Old browsers took it for a quotation mark.
            None if c == '`' => out.push_str("&#96;"),
            None => out.push(c),
        }
    }
    out
}

fn digest(words: &str) -> String {
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(words)))
}

fn head(view: &View<'_>, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<header><h1>WebSocket upgrades</h1>\n<p class=\"lead\">{}</p>", quoted(&view.summary(options)))?;
    let counts = view.counts();
    if !counts.is_empty() {
        writeln!(out, "<ul class=\"counts\">")?;
        for (status, n) in &counts {
            let word = status.word();
            writeln!(out, "<li class=\"{word}\"><strong>{n}</strong> <span>{word}</span></li>")?;
        }
        writeln!(out, "</ul>")?;
    }
    let limits = view.limits();
    if !limits.is_empty() {
        writeln!(out, "<h2>Limits of this capture</h2><ul>")?;
        for f in limits {
            let (message, rule) = (quoted(&f.message), quoted(&f.rule));
            writeln!(out, "<li class=\"{}\">{message} <code>{rule}</code></li>", quoted(&f.severity))?;
        }
        writeln!(out, "</ul>")?;
    }
    if !view.patterns.is_empty() {
        writeln!(out, "<h2>What the failures share</h2><ul>")?;
        for p in &view.patterns {
            let value = quoted(&view::clip(&p.value, VALUE));
            writeln!(
                out,
                "<li>{} failures share the {} <code>{value}</code>: {:.0} % of its chains failed, {:.0} % of the others</li>",
                p.chains,
                quoted(&p.field),
                p.failed_share * 100.0,
                p.others_failed_share * 100.0
            )?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</header>")
}

fn list(view: &View<'_>, chains: &[Brief<'_>], worst: &[Brief<'_>], out: &mut dyn Write) -> io::Result<()> {
    if chains.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section aria-labelledby=\"all\"><h2 id=\"all\">All chains</h2>")?;
    writeln!(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"all\">")?;
    writeln!(out, "<table id=\"list\"><thead><tr>")?;
    for (name, kind) in [
        ("chain", "n"),
        ("status", "t"),
        ("time (UTC)", "t"),
        ("client", "t"),
        ("server", "t"),
        ("upgrade", "t"),
        ("answer", "n"),
        ("after", "n"),
        ("verdict", "t"),
        ("at fault", "t"),
    ] {
        writeln!(out, "<th scope=\"col\" data-sort=\"{kind}\">{name}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    let worst: HashSet<i64> = worst.iter().map(|b| b.chain.id).collect();
    for brief in chains.iter().take(limits::HTML_ROWS) {
        row(&view.tell(brief), worst.contains(&brief.chain.id), out)?;
    }
    writeln!(out, "</tbody></table></div>")?;
    match chains.len().saturating_sub(limits::HTML_ROWS) {
        0 => {}
        n => writeln!(out, "<p>{n} more are not in this list; <code>--format csv</code> has them all.</p>")?,
    }
    writeln!(out, "</section>")
}

/// `linked`: it is told at length too.
fn row(told: &Told, linked: bool, out: &mut dyn Write) -> io::Result<()> {
    let (first, status, chain) = (told.first(), told.status, &told.chain);
    let name = told.name();
    let name = match linked {
        true => format!("<a href=\"#c{}\">{}</a>", chain.id, quoted(&name)),
        false => quoted(&name),
    };
    let time = first.map(|x| x.request.at.as_str()).unwrap_or_default();
    // Milliseconds say enough to people.
    let short = time.get(..23).unwrap_or(time).replace('T', " ");
    let answer = first.and_then(|x| x.response.as_ref()).and_then(|r| r.status);
    let latency = first.and_then(|x| x.latency_ns);
    writeln!(
        out,
        "<tr class=\"{word}\"><td data-value=\"{id}\">{name}</td><td data-value=\"{rank}\"><span class=\"badge\">{word}</span></td>\
         <td data-value=\"{time}\">{short}</td><td>{client}</td><td>{server}</td><td>{title}</td>\
         <td data-value=\"{number}\">{answer}</td><td data-value=\"{ns}\">{after}</td>\
         <td><code>{rule}</code></td><td>{blamed}</td></tr>",
        word = status.word(),
        id = chain.id,
        rank = Status::ALL.iter().position(|s| *s == status).unwrap_or_default(),
        time = quoted(time),
        short = quoted(&short),
        client = first.map(|x| view::endpoint(&x.client)).unwrap_or_default(),
        server = first.map(|x| view::endpoint(&x.server)).unwrap_or_default(),
        title = quoted(&view::clip(&told.title(), 120)),
        number = answer.unwrap_or_default(),
        answer = answer.map_or_else(|| quoted(&chain.outcome), |status| status.to_string()),
        ns = latency.unwrap_or(-1),
        after = latency.map(view::length).unwrap_or_default(),
        rule = quoted(&chain.verdict.rule),
        blamed = quoted(told.blamed.as_deref().unwrap_or_default()),
    )
}

fn proxies(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    if view.intermediaries.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section aria-labelledby=\"hops\"><h2 id=\"hops\">Proxies</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"hops\"><table><thead><tr>"
    )?;
    for name in
        ["addresses", "software", "chains", "upgraded", "Upgrade passed on", "longest silence borne", "cut after"]
    {
        writeln!(out, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for i in &view.intermediaries {
        let software = i.product.as_ref().map(view::product_name).unwrap_or_default();
        let span = |ns: Option<i64>| ns.map(view::length).unwrap_or_default();
        writeln!(
            out,
            "<tr><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            quoted(i.name.as_deref().unwrap_or_default()),
            quoted(&i.addresses.join(", ")),
            quoted(&software),
            i.chains,
            i.upgraded,
            i.kept_upgrade,
            span(i.idle.survived_ns),
            span(i.idle.cut_at_ns)
        )?;
    }
    writeln!(out, "</tbody></table></div></section>")
}

fn inputs(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<section aria-labelledby=\"inputs\"><h2 id=\"inputs\">Captures</h2><ul>")?;
    for i in &view.inputs {
        let span = match (&i.first, &i.last) {
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        writeln!(out, "<li><code>{}</code>: {} packets{}</li>", quoted(&i.path), i.packets, quoted(&span))?;
        if let Some(d) = &i.damage {
            writeln!(out, "<li class=\"error\">damaged at packet {}: {}</li>", d.packet, quoted(&d.why))?;
        }
    }
    let c = &view.a.counters;
    writeln!(
        out,
        "</ul><p>{} packets, {} TCP connections, {} HTTP requests, {} places where bytes are missing.</p>",
        c.packets, c.flows, c.http_requests, c.gaps
    )?;
    if view.masked() {
        writeln!(out, "<p>Secrets are shown as <code>[redacted #N]</code>, the same secret with the same number.</p>")?;
    }
    writeln!(out, "</section>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_captured_is_markup() {
        assert_eq!(quoted("<script>&\"'`"), "&lt;script&gt;&amp;&quot;&#39;&#96;");
    }

    #[test]
    fn the_page_has_no_reach_beyond_itself() {
        for part in [STYLE, SCRIPT] {
            assert!(!part.contains("</") && !part.contains("url(") && !part.contains("http"), "{part}");
        }
        for way in ["innerHTML", "eval", "document.write", "fetch", "XMLHttp", "outerHTML", "insertAdjacentHTML"] {
            assert!(!SCRIPT.contains(way), "{way}");
        }
    }
}
