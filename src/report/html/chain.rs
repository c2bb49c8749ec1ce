//! One chain at length. What failed stands open; what worked is folded, and opens without a script.

use std::io::{self, Write};

use crate::report::document as doc;
use crate::report::html::{VALUE, drawing, quoted};
use crate::report::told::Told;
use crate::report::view::{self, Status, View};

/// Findings and heads of legs that are told of one chain.
const FINDINGS: usize = 50;
const LEGS: usize = 12;

pub(super) fn write(view: &View<'_>, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let (status, chain) = (told.status, &told.chain);
    let word = status.word();
    let open = if status <= Status::Unknown { " open" } else { "" };
    writeln!(out, "<details class=\"chain {word}\" id=\"c{}\"{open}>", chain.id)?;
    writeln!(
        out,
        "<summary><span class=\"badge\">{word}</span> <strong>{}</strong> <code>{}</code> {}</summary>",
        quoted(&told.name()),
        quoted(&chain.verdict.rule),
        quoted(&view::clip(&told.title(), 120))
    )?;
    writeln!(out, "<p class=\"lead\">{}</p>", quoted(&chain.verdict.summary))?;
    drawing::ladder(&told.journey(), out)?;
    facts(view, told, out)?;
    fixes(&chain.verdict.fix, out)?;
    for hop in &chain.hops {
        changes(&format!("What {} did to the request", view::hop_name(hop)), &hop.request, out)?;
        changes(&format!("What {} did to the answer", view::hop_name(hop)), &hop.response, out)?;
    }
    findings(told, out)?;
    heads(told, out)?;
    writeln!(out, "</details>")
}

fn facts(view: &View<'_>, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let chain = &told.chain;
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.extend(told.blamed.clone().map(|blamed| ("at fault", blamed)));
    for (label, list) in [("seen by the client", &chain.outcome), ("sure", &chain.verdict.confidence)] {
        rows.push((label, list.clone().into_owned()));
    }
    if let Some(x) = told.first() {
        rows.push(("client", format!("{} at {}", view::endpoint(&x.client), x.request.at)));
        if !x.via.is_empty() {
            rows.push(("inside", x.via.join(", ")));
        }
        if let Some(end) = x.end.as_ref().filter(|_| chain.outcome == "upgraded") {
            let mut words = format!("{} by {}", end.how, end.by.as_deref().unwrap_or("nobody"));
            words.push_str(&end.close_code.map(|code| format!(", close code {code}")).unwrap_or_default());
            words.push_str(
                &end.lifetime_ns.map(|ns| format!(", {} after the request", view::length(ns))).unwrap_or_default(),
            );
            rows.push(("ended", words));
        }
        if let Some(ws) = &x.websocket {
            rows.push(("frames", format!("{} by the client, {} by the server", ws.client.frames, ws.server.frames)));
        }
    }
    for hop in &chain.hops {
        let forward = hop.forward_ns.map(|ns| format!(", request on after {}", view::length(ns))).unwrap_or_default();
        let words = format!(
            "{} {}, joined by {}{forward}",
            view::hop_name(hop),
            hop.addresses.join(", "),
            hop.joined_by.join(", ")
        );
        rows.push(("hop", words));
    }
    writeln!(out, "<dl>")?;
    for (label, words) in rows {
        writeln!(out, "<dt>{label}</dt><dd>{}</dd>", quoted(&view::clip(&words, VALUE)))?;
    }
    for (file, filter) in view.packets(told) {
        writeln!(out, "<dt>evidence</dt><dd><code>{}</code> in <code>{}</code></dd>", quoted(&filter), quoted(&file))?;
    }
    writeln!(out, "</dl>")
}

/// What mends it, each in a block to be copied.
pub(super) fn fixes(fixes: &[doc::Fix], out: &mut dyn Write) -> io::Result<()> {
    for fix in fixes {
        let title = format!("Fix ({}{}{})", fix.product, if fix.versions.is_empty() { "" } else { " " }, fix.versions);
        writeln!(out, "<h3>{}</h3>\n<pre class=\"fix\"><code>{}</code></pre>", quoted(&title), quoted(&fix.text))?;
    }
    Ok(())
}

fn changes(title: &str, changes: &doc::Changes, out: &mut dyn Write) -> io::Result<()> {
    let rows = view::diff(changes);
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>{}</h3><div class=\"wide\"><table class=\"diff\"><thead><tr>", quoted(title))?;
    for name in ["", "field", "before", "behind"] {
        writeln!(out, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (sign, name, before, behind) in rows {
        let (class, word) = match sign {
            '−' => ("gone", "removed"),
            '+' => ("new", "added"),
            _ => ("other", "changed"),
        };
        let value = |v: &str| {
            if v.is_empty() { String::new() } else { format!("<code>{}</code>", quoted(&view::clip(v, VALUE))) }
        };
        writeln!(
            out,
            "<tr class=\"{class}\"><td title=\"{word}\">{sign}</td><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            quoted(name),
            value(before),
            value(behind)
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn findings(told: &Told, out: &mut dyn Write) -> io::Result<()> {
    if told.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>Findings</h3><ul class=\"findings\">")?;
    for f in told.findings.iter().take(FINDINGS) {
        let allowed = if f.allowed { ", allowed" } else { "" };
        writeln!(
            out,
            "<li class=\"{severity}\"><span class=\"badge\">{severity}</span> <code>{}</code> ({}{allowed}): {}",
            quoted(&f.rule),
            quoted(&f.confidence),
            quoted(&view::clip(&f.message, VALUE)),
            severity = quoted(&f.severity)
        )?;
        for (label, words) in [("expected", &f.expected), ("found", &f.found)] {
            if !words.is_empty() {
                writeln!(out, "<br>{label}: <code>{}</code>", quoted(&view::clip(words, VALUE)))?;
            }
        }
        if !f.references.is_empty() {
            writeln!(out, "<br><small>{}</small>", quoted(&f.references.join(", ")))?;
        }
        writeln!(out, "</li>")?;
    }
    match told.findings.len().saturating_sub(FINDINGS) {
        0 => {}
        n => writeln!(out, "<li>{n} more are in <code>--format json</code>.</li>")?,
    }
    writeln!(out, "</ul>")
}

fn heads(told: &Told, out: &mut dyn Write) -> io::Result<()> {
    for (leg, x) in told.legs.iter().take(LEGS).enumerate() {
        let r = &x.request;
        let mut lines = vec![format!("{} {} {}", r.method, r.target, r.version)];
        lines.extend(r.fields.iter().map(|(name, value)| format!("{name}: {value}")));
        if let Some(r) = &x.response {
            lines.push(String::new());
            let status = r.status.map_or_else(|| "?".to_owned(), |s| s.to_string());
            lines.push(format!("{} {status} {}", r.version, r.reason));
            lines.extend(r.fields.iter().map(|(name, value)| format!("{name}: {value}")));
        }
        writeln!(
            out,
            "<details><summary>Heads of leg {}: {} → {}</summary><pre><code>{}</code></pre></details>",
            leg + 1,
            view::endpoint(&x.client),
            view::endpoint(&x.server),
            quoted(&lines.join("\n"))
        )?;
    }
    match told.legs.len().saturating_sub(LEGS) {
        0 => Ok(()),
        n => writeln!(out, "<p>The heads of {n} more legs are in <code>--format json</code>.</p>"),
    }
}
