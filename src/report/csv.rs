//! `csv`: one row per exchange, RFC 4180, for a spreadsheet or a quick `cut`.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe in front: its content comes
//! from strangers.

use std::io::{self, Write};

use crate::base::{ExchangeId, Nanos};
use crate::model::{Chain, Head, Hop};
use crate::report::mask::{self, Masker};
use crate::report::time::rfc3339;
use crate::report::{Format, Options};
use crate::rules::journey::full_name;
use crate::store::{Analysis, Row};

pub(super) static FORMAT: Format = Format { name: "csv", extension: "csv", write };

const COLUMNS: [&str; 27] = [
    "id",
    "chain",
    "time",
    "client",
    "server",
    "method",
    "target",
    "host",
    "status",
    "outcome",
    "verdict",
    "severity",
    "confidence",
    "accept_verdict",
    "accept_kind",
    "blame_role",
    "blame_address",
    "blame_product",
    "latency_ms",
    "lifetime_ms",
    "frames",
    "input",
    "request_packet",
    "response_packet",
    "summary",
    "hops",
    "joined_by",
];

/// Writes the header line and a row for each exchange, in order of id.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let mut masker = Masker::new(options.show_secrets).naming(&a.inputs);
    let mut chains: Vec<(ExchangeId, &Chain)> =
        a.chains.iter().flat_map(|chain| chain.legs.iter().map(move |&leg| (leg, chain))).collect();
    chains.sort_by_key(|&(leg, _)| leg);
    write!(out, "{}\r\n", COLUMNS.join(","))?;
    for row in &a.rows {
        let chain = chains.binary_search_by_key(&row.exchange.id, |&(leg, _)| leg).ok();
        let chain = chain.and_then(|i| chains.get(i)).map(|&(_, chain)| chain);
        let cells = cells(row, chain, &mut masker);
        write!(out, "{}\r\n", cells.map(|cell| quoted(&cell)).join(","))?;
    }
    out.flush()
}

fn cells(row: &Row, chain: Option<&Chain>, masker: &mut Masker) -> [String; COLUMNS.len()] {
    let x = &row.exchange;
    let verdict = chain.map(|c| &c.verdict);
    let blame = verdict.and_then(|v| v.blame.as_ref());
    let input = x.request.at.input();
    let frames = x.ws.map(|ws| ws.client.frames.saturating_add(ws.server.frames));
    [
        x.id.to_string(),
        text(chain.map(|c| c.id)),
        rfc3339(x.request.first),
        x.client.to_string(),
        x.server.to_string(),
        defused(masker.bytes(x.request.method())),
        defused(masker.url(x.request.target())),
        defused(x.request.host().map(|host| masker.field(b"host", host)).unwrap_or_default()),
        text(x.response.as_ref().and_then(Head::status)),
        row.outcome.word().to_owned(),
        defused(verdict.map(|v| mask::own(&v.rule)).unwrap_or_default()),
        text(verdict.map(|v| v.severity.word())),
        text(verdict.map(|v| v.confidence.word())),
        row.handshake.accept_verdict.word().to_owned(),
        text(row.handshake.accept_kind()),
        text(blame.map(|b| b.role.word())),
        defused(blame.and_then(|b| b.address.as_deref()).map(mask::own).unwrap_or_default()),
        defused(blame.and_then(|b| b.product.as_deref()).map(mask::own).unwrap_or_default()),
        text(x.latency().map(milliseconds)),
        text(x.end.lifetime.map(milliseconds)),
        text(frames),
        input.to_string(),
        x.request.at.number().to_string(),
        text(x.response.as_ref().map(|r| r.at.number())),
        defused(verdict.map(|v| masker.text(&v.summary)).unwrap_or_default()),
        defused(each_hop(chain, |hop| who(hop, masker))),
        each_hop(chain, |hop| hop.joined_by.iter().map(|key| key.word()).collect::<Vec<_>>().join("+")),
    ]
}

/// Something of each hop of a journey, nearest to the client first, with `; ` between.
fn each_hop(chain: Option<&Chain>, tell: impl FnMut(&Hop) -> String) -> String {
    chain.map(|c| c.hops.iter().map(tell).collect::<Vec<_>>().join("; ")).unwrap_or_default()
}

/// `10.0.0.2 10.0.1.1 (nginx 1.22.1)`.
fn who(hop: &Hop, masker: &mut Masker) -> String {
    let addresses: Vec<String> = hop.addresses.iter().map(ToString::to_string).collect();
    let software = hop.product.as_ref().map(|p| masker.bytes(full_name(p).as_bytes()));
    let name = [hop.name.as_deref().map(mask::own), software].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if name.is_empty() { addresses.join(" ") } else { format!("{} ({name})", addresses.join(" ")) }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

fn milliseconds(length: Nanos) -> f64 {
    length.0 as f64 / 1e6
}

fn defused(mut cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@']) {
        cell.insert(0, '\'');
    }
    cell
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    fn cells_are_quoted_and_defused() {
        assert_eq!(quoted("a\"b,c"), "\"a\"\"b,c\"");
        assert_eq!(defused("=HYPERLINK()".to_owned()), "'=HYPERLINK()");
        assert_eq!(defused("/chat".to_owned()), "/chat");
    }

    #[test]
    fn the_sample_has_a_row_for_each_exchange() {
        let mut out = Vec::new();
        write(&testing::sample(), &Options::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\r\n").count(), 4);
        assert!(text.lines().all(|l| l.split(',').count() >= COLUMNS.len()));
        insta::assert_snapshot!(text, @r#"
        id,chain,time,client,server,method,target,host,status,outcome,verdict,severity,confidence,accept_verdict,accept_kind,blame_role,blame_address,blame_product,latency_ms,lifetime_ms,frames,input,request_packet,response_packet,summary,hops,joined_by
        1,1,2026-01-02T02:14:07.311000000Z,10.0.0.1:40001,10.0.0.2:80,GET,/chat?room=7&token=[redacted #1],chat.example.org,101,upgraded,ok,info,certain,valid,,,,,1.67,4000,6,0,4,6,the upgrade worked,,
        2,2,2026-01-02T02:14:08.311000000Z,10.0.0.1:40002,10.0.1.9:8080,GET,/chat?room=7&token=[redacted #1],chat.example.org,101,broken,accept-mismatch,error,certain,invalid,guid-missing,server,10.0.1.9:8080,,1.67,,,0,14,16,"the server 10.0.1.9:8080 computed Sec-WebSocket-Accept from the key alone, without the GUID of RFC 6455, so every conforming client must drop the connection",,
        3,3,2026-01-02T02:14:09.311000000Z,10.0.0.1:40003,10.0.0.2:80,GET,/chat?room=7&token=[redacted #1],chat.example.org,403,refused,refused-403,error,likely,not-applicable,,hop,10.0.0.2,nginx,1.67,,,0,24,26,nginx at 10.0.0.2 refused the upgrade because of its Origin https://evil.example,,
        "#);
    }
}
