//! `json`: one object. Written piece by piece: never more than one exchange in memory
//! twice. Each exchange, chain and finding stands on a line of its own, so that two reports can be
//! compared line by line.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeSeq as _, SerializeStruct as _, Serializer};
use serde_json::ser::Formatter;

use crate::report::build::{self, Owners};
use crate::report::document as doc;
use crate::report::mask::Masker;
use crate::report::{Format, Options, passed};
use crate::store::Analysis;

pub(super) static FORMAT: Format = Format { name: "json", extension: "json", write };

/// Writes the report and a line break.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let whole = Whole { a, masker: RefCell::new(Masker::new(options.show_secrets).naming(&a.inputs)) };
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    whole.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Lines::default()))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Serialises as [`doc::Report`] does, without building it.
struct Whole<'a> {
    a: &'a Analysis,
    masker: RefCell<Masker>,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (a, m) = (self.a, &self.masker);
        let owners = Owners::new(a);
        let mut report = to.serialize_struct("Report", 9)?;
        report.serialize_field("schema", doc::SCHEMA)?;
        report.serialize_field("tool", &build::tool())?;
        report.serialize_field("inputs", &build::inputs(&a.inputs))?;
        report.serialize_field("counters", &build::counters(&a.counters))?;
        report.serialize_field("exchanges", &each(&a.rows, |row| build::exchange(row, true, &mut m.borrow_mut())))?;
        report.serialize_field(
            "chains",
            &each(&a.chains, |c| build::chain(c, &|id| build::leg(a, id), &mut m.borrow_mut())),
        )?;
        let indices: Vec<usize> = (0..a.findings.len()).collect();
        report
            .serialize_field("findings", &each(&indices, |&i| build::finding_of(a, &owners, i, &mut m.borrow_mut())))?;
        let proxies = each(&a.intermediaries, |i| passed::intermediary(i, &mut m.borrow_mut()));
        report.serialize_field("intermediaries", &proxies)?;
        report.serialize_field("patterns", &each(&a.patterns, |p| build::pattern(p, &mut m.borrow_mut())))?;
        report.end()
    }
}

/// A list whose members are made when they are written.
struct Each<'a, T, F>(&'a [T], F);

fn each<T, D: Serialize, F: Fn(&T) -> D>(items: &[T], make: F) -> Each<'_, T, F> {
    Each(items, make)
}

impl<T, D: Serialize, F: Fn(&T) -> D> Serialize for Each<'_, T, F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            list.serialize_element(&self.1(item))?;
        }
        list.end()
    }
}

/// Breaks lines between the report's fields and between the members of its lists, nowhere deeper.
#[derive(Default)]
struct Lines {
    depth: usize,
    /// The innermost list has members.
    filled: bool,
}

impl Lines {
    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth == 1 { b"\n  " } else { b"\n    " })
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.depth == 1 && self.filled {
            self.line(out)?;
        }
        out.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if self.depth == 2 { self.line(out) } else { Ok(()) }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        out.write_all(if self.depth == 0 { b"\n}" } else { b"}" })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if self.depth == 1 { self.line(out) } else { Ok(()) }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth == 1 { b": " } else { b":" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::store::testing;

    fn written(a: &Analysis) -> String {
        let mut out = Vec::new();
        write(a, &Options::default(), &mut out).unwrap();
        // A release must not change what is expected here.
        let version = concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\"");
        String::from_utf8(out).unwrap().replacen(version, "\"version\":\"0.0.0\"", 1)
    }

    #[test]
    fn written_piece_by_piece_it_is_the_report_built_whole() {
        for a in [testing::sample(), testing::journeys(), Analysis::default()] {
            let pieces: serde_json::Value = serde_json::from_str(&written(&a)).unwrap();
            let mut whole = serde_json::to_value(build::build(&a, &mut Masker::new(false))).unwrap();
            whole["tool"]["version"] = "0.0.0".into();
            assert_eq!(pieces, whole);
        }
    }

    #[test]
    fn an_empty_report_has_every_list() {
        insta::assert_snapshot!(written(&Analysis::default()), @r#"
        {
          "schema": "hopscope-report/1",
          "tool": {"name":"hopscope","version":"0.0.0"},
          "inputs": [],
          "counters": {"packets":0,"undecodable":0,"flows":0,"http_requests":0,"http_responses":0,"gaps":0,"gap_bytes":0,"duplicate_packets":0,"evicted":0,"dropped_kernel":0,"dropped_interface":0,"dropped_hopscope":0},
          "exchanges": [],
          "chains": [],
          "findings": [],
          "intermediaries": [],
          "patterns": []
        }
        "#);
    }

    #[test]
    fn the_sample_reads_as_the_contract_says() {
        insta::assert_snapshot!(written(&testing::sample()), @r#"
        {
          "schema": "hopscope-report/1",
          "tool": {"name":"hopscope","version":"0.0.0"},
          "inputs": [
            {"id":0,"path":"edge.pcapng","format":"pcapng","compression":null,"link_types":["EN10MB"],"packets":123,"captured_bytes":45678,"first":"2026-01-02T02:14:07.311000000Z","last":"2026-01-02T02:31:07.311000000Z","clock_offset_ns":0,"damage":null}
          ],
          "counters": {"packets":123,"undecodable":0,"flows":4,"http_requests":5,"http_responses":5,"gaps":1,"gap_bytes":1448,"duplicate_packets":0,"evicted":0,"dropped_kernel":0,"dropped_interface":0,"dropped_hopscope":0},
          "exchanges": [
            {"id":1,"flow":1,"stream":null,"client":{"ip":"10.0.0.1","port":40001},"server":{"ip":"10.0.0.2","port":80},"via":[],"mechanism":"http1-upgrade","protocol":"websocket","request":{"input":0,"packet":4,"at":"2026-01-02T02:14:07.311000000Z","method":"GET","target":"/chat?room=7&token=[redacted #1]","version":"HTTP/1.1","fields":[["Host","chat.example.org"],["Connection","Upgrade"],["Upgrade","websocket"],["Sec-WebSocket-Version","13"],["Sec-WebSocket-Key","dGhlIHNhbXBsZSBub25jZQ=="],["Cookie","[redacted #2]"]]},"interim":[],"response":{"input":0,"packet":6,"at":"2026-01-02T02:14:07.312670000Z","status":101,"reason":"Switching Protocols","version":"HTTP/1.1","fields":[["Upgrade","websocket"],["Connection","Upgrade"],["Sec-WebSocket-Accept","s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]]},"handshake":{"key":"dGhlIHNhbXBsZSBub25jZQ==","accept":"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=","expected_accept":"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=","accept_verdict":"valid","accept_kind":null,"version":"13","subprotocols_offered":[],"subprotocol":null,"extensions_offered":null,"extensions":null},"outcome":"upgraded","latency_ns":1670000,"websocket":{"client":{"frames":3,"messages":2,"payload_bytes":30,"text":2,"binary":0,"ping":0,"pong":0,"close":1},"server":{"frames":3,"messages":2,"payload_bytes":30,"text":2,"binary":0,"ping":0,"pong":0,"close":1},"compressed":false},"end":{"by":"client","how":"close-frame","close_code":1000,"close_reason":"","at":"2026-01-02T02:14:11.311000000Z","idle_before_ns":1200,"lifetime_ns":4000000000,"tcp":{"by":"client","how":"fin","at":"2026-01-02T02:14:11.311000000Z"}},"findings":[1]},
            {"id":2,"flow":2,"stream":null,"client":{"ip":"10.0.0.1","port":40002},"server":{"ip":"10.0.1.9","port":8080},"via":[],"mechanism":"http1-upgrade","protocol":"websocket","request":{"input":0,"packet":14,"at":"2026-01-02T02:14:08.311000000Z","method":"GET","target":"/chat?room=7&token=[redacted #1]","version":"HTTP/1.1","fields":[["Host","chat.example.org"],["Connection","Upgrade"],["Upgrade","websocket"],["Sec-WebSocket-Version","13"],["Sec-WebSocket-Key","dGhlIHNhbXBsZSBub25jZQ=="],["Cookie","[redacted #2]"],["X-Request-ID","7f3a-11"]]},"interim":[],"response":{"input":0,"packet":16,"at":"2026-01-02T02:14:08.312670000Z","status":101,"reason":"Switching Protocols","version":"HTTP/1.1","fields":[["Server","nginx/1.22.1"],["Upgrade","websocket"],["Connection","Upgrade"],["Sec-WebSocket-Accept","5wDaSp0SVvPHpHvxs/Iya3ZYqOo="]]},"handshake":{"key":"dGhlIHNhbXBsZSBub25jZQ==","accept":"5wDaSp0SVvPHpHvxs/Iya3ZYqOo=","expected_accept":"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=","accept_verdict":"invalid","accept_kind":"guid-missing","version":"13","subprotocols_offered":[],"subprotocol":null,"extensions_offered":null,"extensions":null},"outcome":"broken","latency_ns":1670000,"websocket":null,"end":{"by":null,"how":"open","close_code":null,"close_reason":null,"at":null,"idle_before_ns":null,"lifetime_ns":null,"tcp":{"by":null,"how":"open","at":null}},"findings":[2]},
            {"id":3,"flow":3,"stream":null,"client":{"ip":"10.0.0.1","port":40003},"server":{"ip":"10.0.0.2","port":80},"via":[],"mechanism":"http1-upgrade","protocol":"websocket","request":{"input":0,"packet":24,"at":"2026-01-02T02:14:09.311000000Z","method":"GET","target":"/chat?room=7&token=[redacted #1]","version":"HTTP/1.1","fields":[["Host","chat.example.org"],["Upgrade","websocket"],["Sec-WebSocket-Version","13"],["Sec-WebSocket-Key","dGhlIHNhbXBsZSBub25jZQ=="],["Cookie","[redacted #2]"],["Origin","https://evil.example"],["User-Agent","Mozilla/5.0"]]},"interim":[],"response":{"input":0,"packet":26,"at":"2026-01-02T02:14:09.312670000Z","status":403,"reason":"Forbidden","version":"HTTP/1.1","fields":[["Server","nginx/1.22.1"],["Content-Type","text/plain"],["Content-Length","18"]]},"handshake":{"key":"dGhlIHNhbXBsZSBub25jZQ==","accept":null,"expected_accept":"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=","accept_verdict":"not-applicable","accept_kind":null,"version":"13","subprotocols_offered":[],"subprotocol":null,"extensions_offered":null,"extensions":null},"outcome":"refused","latency_ns":1670000,"websocket":null,"end":{"by":null,"how":"open","close_code":null,"close_reason":null,"at":null,"idle_before_ns":null,"lifetime_ns":null,"tcp":{"by":null,"how":"open","at":null}},"findings":[3,4]}
          ],
          "chains": [
            {"id":1,"legs":[1],"flow":null,"hops":[],"outcome":"upgraded","verdict":{"rule":"ok","severity":"info","confidence":"certain","blame":null,"summary":"the upgrade worked","fix":[]},"findings":[1]},
            {"id":2,"legs":[2],"flow":null,"hops":[],"outcome":"broken","verdict":{"rule":"accept-mismatch","severity":"error","confidence":"certain","blame":{"role":"server","address":"10.0.1.9:8080","product":null},"summary":"the server 10.0.1.9:8080 computed Sec-WebSocket-Accept from the key alone, without the GUID of RFC 6455, so every conforming client must drop the connection","fix":[{"product":"backend","versions":"","text":"accept = base64(sha1(key + \"258EAFA5-E914-47DA-95CA-C5AB0DC85B11\"))\nhopscope accept dGhlIHNhbXBsZSBub25jZQ=="}]},"findings":[2]},
            {"id":3,"legs":[3],"flow":null,"hops":[],"outcome":"refused","verdict":{"rule":"refused-403","severity":"error","confidence":"likely","blame":{"role":"hop","address":"10.0.0.2","product":"nginx"},"summary":"nginx at 10.0.0.2 refused the upgrade because of its Origin https://evil.example","fix":[{"product":"nginx","versions":">= 1.3.13","text":"proxy_set_header Host $host;\nproxy_set_header Origin $http_origin;"}]},"findings":[3,4]}
          ],
          "findings": [
            {"id":1,"rule":"origin-missing","severity":"info","confidence":"certain","allowed":false,"subject":{"kind":"exchange","id":1},"message":"the request has no Origin","expected":"","found":"","references":["RFC 6455 §4.1","RFC 6455 §10.2"],"evidence":[{"input":0,"packet":6,"direction":"server-to-client","bytes":[0,34]}],"causes":["a cause"],"fixes":[]},
            {"id":2,"rule":"accept-mismatch","severity":"error","confidence":"certain","allowed":false,"subject":{"kind":"exchange","id":2},"message":"Sec-WebSocket-Accept does not belong to the key: 5wDaSp0SVvPHpHvxs/Iya3ZYqOo=","expected":"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=","found":"5wDaSp0SVvPHpHvxs/Iya3ZYqOo=","references":["RFC 6455 §4.1","RFC 6455 §4.2.2","RFC 6455 §1.3"],"evidence":[{"input":0,"packet":16,"direction":"server-to-client","bytes":[0,34]}],"causes":["a cause"],"fixes":[{"product":"backend","versions":"","text":"accept = base64(sha1(key + \"258EAFA5-E914-47DA-95CA-C5AB0DC85B11\"))\nhopscope accept dGhlIHNhbXBsZSBub25jZQ=="}]},
            {"id":3,"rule":"refused-403","severity":"error","confidence":"certain","allowed":false,"subject":{"kind":"exchange","id":3},"message":"the upgrade was refused with 403","expected":"","found":"","references":["RFC 6455 §4.1","RFC 6455 §4.2.2","RFC 9110 §15"],"evidence":[{"input":0,"packet":26,"direction":"server-to-client","bytes":[0,34]}],"causes":["a cause"],"fixes":[{"product":"nginx","versions":">= 1.3.13","text":"proxy_set_header Host $host;\nproxy_set_header Origin $http_origin;"}]},
            {"id":4,"rule":"origin-host-mismatch","severity":"warning","confidence":"certain","allowed":false,"subject":{"kind":"exchange","id":3},"message":"Origin and Host differ","expected":"","found":"","references":["RFC 6455 §10.2","RFC 6454 §7"],"evidence":[{"input":0,"packet":26,"direction":"server-to-client","bytes":[0,34]}],"causes":["a cause"],"fixes":[]}
          ],
          "intermediaries": [],
          "patterns": []
        }
        "#);
    }
}
