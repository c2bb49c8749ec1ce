//! What is sent inside TLS, through the whole pipeline: with its secrets it is read as if it stood alone, wherever
//! the secrets come from and whatever stands around or inside; without them nothing is.
#![allow(clippy::use_debug, reason = "a failing test prints what it found")]

use std::path::Path;

use hopscope::base::Counters;
use hopscope::base::limits;
use hopscope::capture::{KeyLogFile, Merged, News, Source, Window};
use hopscope::engine::{Collected, Engine, read};
use hopscope::model::{EndHow, Exchange, Mechanism, Wrapper};
use hopscope::proto::tls::{KeyLog, Secrets};

use crate::engine::{run, text_of};
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::hopscope;
use crate::support::script::{Script, Segment, Side, head};
use crate::support::tls::{Ends, Say, suite};

const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";
const V1: &[u8] = b"PROXY TCP4 192.0.2.44 198.51.100.2 51234 443\r\n";

/// Whether the client says it, and what.
pub(crate) type Said = Vec<(bool, Vec<u8>)>;

fn talk() -> Script {
    let script = Script::flow().upgrade(KEY).frame(Side::Client, 1, b"hello").frame(Side::Server, 2, &[7; 40_000]);
    script.frame(Side::Client, 9, b"ping").frame(Side::Server, 10, b"ping").goodbye()
}

fn said(segments: &[Segment]) -> Said {
    let spoken = segments.iter().filter(|s| !s.payload.is_empty());
    spoken.map(|s| (s.from == Side::Client, s.payload.clone())).collect()
}

/// The same as it goes over the wire inside TLS, and the key log.
fn sealed(name: &str, inside: &Said) -> (Said, String) {
    let steps: Vec<Say<'_>> =
        inside.iter().map(|(client, bytes)| if *client { Say::Client(bytes) } else { Say::Server(bytes) }).collect();
    let talk = Ends::new(suite(name)).talk(b"", &[steps, vec![Say::Close(true), Say::Close(false)]].concat());
    (talk.wire, talk.key_log)
}

fn on_the_wire(said: &Said, segment_bytes: usize) -> Vec<Segment> {
    let mut script = Script::flow().segment_bytes(segment_bytes);
    for (client, bytes) in said {
        script = if *client { script.client(bytes) } else { script.server(bytes) };
    }
    script.fin(Side::Server).fin(Side::Client).segments()
}

/// A talk, as said and as captured inside TLS, and the key log.
pub(crate) fn sealed_talk(name: &str) -> (Said, Vec<u8>, String) {
    sealed_as(name, talk())
}

/// The same of what is said there.
pub(crate) fn sealed_as(name: &str, talk: Script) -> (Said, Vec<u8>, String) {
    let inside = said(&talk.segments());
    let (wire, key_log) = sealed(name, &inside);
    (inside, capture(&on_the_wire(&wire, 1448)), key_log)
}

fn capture(segments: &[Segment]) -> Vec<u8> {
    Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet))
}

fn run_with(capture: Vec<u8>, key_log: &str) -> (Collected, Counters) {
    let mut secrets = Secrets::default();
    secrets.read(key_log.as_bytes());
    let source = Source::from_bytes("test", capture);
    let mut inputs = Merged::from_sources(vec![source], &Window::default()).expect("a capture");
    let mut engine = Engine::new(Collected::default());
    engine.secrets(secrets);
    read(&mut inputs, &mut engine, &mut |_| true).expect("a readable capture");
    let (collected, counters) = engine.finish();
    assert_eq!(counters.bugs, 0, "nothing panicked");
    (collected, counters)
}

/// Without what must differ where something stands around it.
fn inner(x: &Exchange, alone: &Exchange) -> String {
    let mut x = x.clone();
    (x.id, x.seq, x.via, x.proxied) = (alone.id, alone.seq, Vec::new(), None);
    // Inside TLS the first close_notify counts, not the first FIN: here the client's.
    x.end.tcp_by = alone.end.tcp_by;
    text_of(&x)
}

fn via(x: &Exchange) -> Vec<String> {
    let word = |w: &Wrapper| match w {
        Wrapper::Tls(tls) => format!(
            "tls {} {} {} {}",
            tls.version.unwrap_or("?"),
            String::from_utf8_lossy(tls.server_name.as_deref().unwrap_or_default()),
            String::from_utf8_lossy(tls.alpn.as_deref().unwrap_or_default()),
            tls.cipher.unwrap_or("?")
        ),
        Wrapper::Connect(authority) => format!("connect {}", String::from_utf8_lossy(authority)),
        Wrapper::ProxyProtocol(version) => format!("proxy v{version}"),
        other => format!("{other:?}"),
    };
    x.via.iter().map(word).collect()
}

const OF_1_3: &str = "tls 1.3 ends.example http/1.1 TLS_AES_128_GCM_SHA256";
const OF_1_2: &str = "tls 1.2 ends.example http/1.1 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";

#[test]
fn what_is_inside_tls_is_read_as_if_it_stood_alone() {
    let plain = talk().segments();
    let alone = run(capture(&plain)).0.exchanges.remove(0);
    assert_eq!((alone.status(), alone.end.how), (Some(101), EndHow::CloseFrame));
    let expected = inner(&alone, &alone);
    let connect = || vec![(true, head("CONNECT a:443 HTTP/1.1\nHost: a:443")), (false, head("HTTP/1.1 200 OK"))];
    let plain = said(&plain);
    let (new, new_log) = sealed("TLS13_AES_128_GCM_SHA256", &plain);
    let (old, old_log) = sealed("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", &plain);
    let (twice, twice_log) = sealed("TLS13_AES_128_GCM_SHA256", &old);
    let (proxied, proxied_log) = sealed("TLS13_AES_128_GCM_SHA256", &[connect(), plain.clone()].concat());
    let (both, both_log) = sealed("TLS13_AES_128_GCM_SHA256", &[connect(), old.clone()].concat());
    let (header, header_log) = sealed("TLS13_AES_128_GCM_SHA256", &[vec![(true, V1.to_vec())], plain.clone()].concat());
    let cases = [
        ("TLS 1.3", new.clone(), new_log.clone(), vec![OF_1_3]),
        ("TLS 1.2", old.clone(), old_log.clone(), vec![OF_1_2]),
        ("in CONNECT", [connect(), new.clone()].concat(), new_log.clone(), vec!["connect a:443", OF_1_3]),
        ("behind PROXY", [vec![(true, V1.to_vec())], old.clone()].concat(), old_log.clone(), vec!["proxy v1", OF_1_2]),
        ("in TLS", twice, twice_log + &old_log, vec![OF_1_3, OF_1_2]),
        ("CONNECT inside", proxied, proxied_log, vec![OF_1_3, "connect a:443"]),
        ("TLS in CONNECT in TLS", both, both_log + &old_log, vec![OF_1_3, "connect a:443", OF_1_2]),
        ("PROXY inside", header, header_log, vec![OF_1_3, "proxy v1"]),
    ];
    for (what, wire, log, around) in cases {
        for segment_bytes in [1448, 7, 65_000] {
            let (found, counters) = run_with(capture(&on_the_wire(&wire, segment_bytes)), &log);
            let x = found.exchanges.iter().find(|x| x.mechanism == Mechanism::Http1Upgrade);
            let x = x.unwrap_or_else(|| panic!("{what} {segment_bytes}: nothing was found inside"));
            assert_eq!(via(x), around, "{what} {segment_bytes}");
            let own = inner(x, &alone);
            assert!(own == expected, "{what} {segment_bytes}:\n{own}\nand not\n{expected}");
            assert_eq!(x.proxied.is_some(), around.iter().any(|w| w.starts_with("proxy")), "{what}");
            let layers = around.iter().filter(|w| w.starts_with("tls")).count() as u64;
            assert_eq!((counters.flows_tls, counters.flows_tls_read), (layers, layers), "{what}");
            assert_eq!((counters.tls_names.len(), counters.tls_records_failed), (0, 0), "{what}");
        }
    }
}

#[test]
fn a_connection_without_secrets_is_told_by_the_name_that_it_asks_for() {
    let (wire, log) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    let (_, other) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    for (log, missed) in [("", 0), (other.as_str(), 1)] {
        for segment_bytes in [1448, 7] {
            let (found, counters) = run_with(capture(&on_the_wire(&wire, segment_bytes)), log);
            assert!(found.exchanges.is_empty() && found.lone.is_empty());
            let counted = (counters.flows_tls, counters.flows_tls_read, counters.flows_tls_missed);
            assert_eq!(counted, (1, 0, missed), "{segment_bytes}");
            let names: Vec<_> = counters.tls_names.iter().map(|n| (&*n.name, &*n.offers, n.flows)).collect();
            assert_eq!(names, [(&b"ends.example"[..], &b"h2, http/1.1"[..], 1)], "{segment_bytes}");
        }
    }
    assert_eq!(run_with(capture(&on_the_wire(&wire, 1448)), &log).0.exchanges.len(), 1);
}

#[test]
fn a_record_that_is_lost_costs_itself_alone() {
    let inside = said(&talk().segments());
    let (wire, log) = sealed("TLS13_AES_128_GCM_SHA256", &inside);
    let segments = on_the_wire(&wire, 1448);
    let whole = run_with(capture(&segments), &log).0.exchanges.remove(0);
    // In the midst of the long message.
    let middle = segments.iter().rposition(|s| s.payload.len() == 1448).expect("a full segment") - 8;
    let mut holed = segments;
    holed.remove(middle);
    let (found, counters) = run_with(capture(&holed), &log);
    let x = &found.exchanges[0];
    assert!(x.quality.gap && counters.gaps == 1);
    assert_eq!((x.status(), x.end.how, x.end.by), (Some(101), EndHow::CloseFrame, whole.end.by));
    let frames = |x: &Exchange| x.ws.as_ref().map(|ws| (ws.client.frames, ws.server.frames));
    assert_eq!(frames(x), frames(&whole));
}

#[test]
fn an_answer_in_clear_to_a_client_hello_is_told_whether_there_are_secrets_or_not() {
    let (wire, log) = sealed("TLS13_AES_128_GCM_SHA256", &Said::new());
    let hello = wire[0].1.clone();
    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let segments = Script::flow().client(hello).server(answer).fin(Side::Server).fin(Side::Client).segments();
    for log in ["", &log] {
        let lone = run_with(capture(&segments), log).0.lone;
        let first = lone.first().and_then(|flow| flow.said.as_ref()?.first[1].clone()).expect("what was said");
        assert!(first.bytes.starts_with(b"HTTP/1.1 400"));
    }
}

/// A pcapng capture with its key log in a decryption secrets block, before or behind the packets.
fn with_secrets(segments: &[Segment], key_log: &str, behind: bool) -> Vec<u8> {
    const SECRETS: u32 = 10;
    const TLS_KEY_LOG: u32 = 0x544c_534b;
    let format = Format::pcapng(&[Link::Ethernet]);
    let mut body = TLS_KEY_LOG.to_le_bytes().to_vec();
    body.extend_from_slice(&u32::try_from(key_log.len()).unwrap().to_le_bytes());
    body.extend_from_slice(key_log.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    let mut file = Vec::new();
    format.section(&mut file);
    if !behind {
        format.block(&mut file, SECRETS, &body);
    }
    for packet in link::packets(segments, Link::Ethernet) {
        format.enhanced_packet(&mut file, &packet);
    }
    if behind {
        format.block(&mut file, SECRETS, &body);
    }
    file
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().expect("a folder"))
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), bytes).expect("room for a file");
    }

    /// Standard output and standard error of a report, and its exit code.
    fn report(&self, arguments: &[&str], variable: Option<&str>) -> (String, String, Option<i32>) {
        let mut command = hopscope();
        command.current_dir(self.0.path()).arg("report").args(arguments).env_remove("SSLKEYLOGFILE");
        if let Some(value) = variable {
            command.env("SSLKEYLOGFILE", value);
        }
        let output = command.output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[test]
fn secrets_are_found_wherever_they_stand() {
    let (wire, log) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    let segments = on_the_wire(&wire, 1448);
    let files = Files::new();
    files.put("a.pcap", capture(&segments));
    files.put("before.pcapng", with_secrets(&segments, &log, false));
    files.put("behind.pcapng", with_secrets(&segments, &log, true));
    files.put("keys.log", &log);
    files.put("other.log", sealed("TLS13_AES_128_GCM_SHA256", &Said::new()).1);
    let reads: [(&[&str], Option<&str>, bool); 8] = [
        (&["a.pcap"], None, false),
        (&["a.pcap", "--keylog", "keys.log"], None, true),
        (&["a.pcap", "--keylog", "other.log", "--keylog", "keys.log"], None, true),
        (&["a.pcap"], Some("keys.log"), true),
        // What is named is what counts, and a log of the environment need not be there yet.
        (&["a.pcap", "--keylog", "other.log"], Some("keys.log"), false),
        (&["a.pcap"], Some("none.log"), false),
        (&["before.pcapng"], None, true),
        (&["behind.pcapng"], None, true),
    ];
    for (arguments, variable, is_read) in reads {
        let (text, words, code) = files.report(&[arguments, &["--format", "json"]].concat(), variable);
        assert_eq!((code, words.as_str()), (Some(0), ""), "{arguments:?}");
        let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(report["exchanges"][0]["via"][0] == "tls 1.3", is_read, "{arguments:?}");
        let rules: Vec<&str> =
            report["findings"].as_array().into_iter().flatten().filter_map(|f| f["rule"].as_str()).collect();
        assert_eq!(rules.contains(&"cap-encrypted"), !is_read, "{arguments:?}: {rules:?}");
        assert_eq!(rules.contains(&"cap-secrets-miss"), arguments.last() == Some(&"other.log"), "{arguments:?}");
        if is_read {
            let tls = &report["exchanges"][0]["tls"][0];
            assert_eq!((&tls["server_name"], &tls["alpn"]), (&"ends.example".into(), &"http/1.1".into()));
        }
    }
    let (_, words, code) = files.report(&["a.pcap", "--keylog", "none.log"], None);
    assert!(code == Some(2) && words.contains("--keylog none.log"), "{words}");
}

#[test]
fn no_report_and_no_message_holds_a_secret() {
    let (wire, log) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    let segments = on_the_wire(&wire, 1448);
    let files = Files::new();
    files.put("a.pcapng", with_secrets(&segments, &log, false));
    let secrets: Vec<&str> = log.split_whitespace().filter(|word| word.len() >= 64).collect();
    assert!(secrets.len() >= 8);
    for format in ["text", "json", "ndjson", "csv"] {
        let (text, words, _) = files.report(&["a.pcapng", "--format", format, "--show-secrets"], None);
        assert!(text.contains("tls 1.3") || !format.ends_with("json"), "{format}: {text}");
        let all = (text + &words).to_lowercase();
        assert!(secrets.iter().all(|secret| !all.contains(secret)), "{format}");
    }
}

#[test]
fn an_extract_holds_the_secrets_of_its_connections_and_no_others() {
    let (wire, log) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    let (_, other) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    let files = Files::new();
    files.put("a.pcap", capture(&on_the_wire(&wire, 1448)));
    files.put("keys.log", log.clone() + &other);
    let mut command = hopscope();
    command.current_dir(files.path()).env_remove("SSLKEYLOGFILE");
    command.args(["extract", "a.pcap", "--keylog", "keys.log", "--exchange", "1", "-o", "one.pcapng"]);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The secrets that belong to it are inside, and no others.
    let bytes = std::fs::read(files.path().join("one.pcapng")).expect("the extract");
    let has = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
    assert!(log.lines().filter(|line| !line.starts_with("EXPORTER")).all(has) && !other.lines().any(has));
    let of = |arguments: &[&str]| files.report(&[arguments, &["--format", "json"]].concat(), None).0;
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    let (whole, part) = (json(of(&["a.pcap", "--keylog", "keys.log"])), json(of(&["one.pcapng"])));
    assert_eq!(whole["counters"]["packets"], part["counters"]["packets"]);
    assert_eq!(whole["exchanges"][0]["handshake"], part["exchanges"][0]["handshake"]);
}

/// A capture that comes in two parts, between which a key log may grow.
struct Live {
    engine: Engine<Collected>,
    file: KeyLogFile,
    log: KeyLog,
}

impl Live {
    fn new(path: &Path) -> Live {
        let mut engine = Engine::new(Collected::default());
        engine.secrets_may_come();
        Live { engine, file: KeyLogFile::new(path), log: KeyLog::default() }
    }

    fn packets(&mut self, segments: &[Segment]) {
        let source = Source::from_bytes("test", capture(segments));
        let mut inputs = Merged::from_sources(vec![source], &Window::default()).expect("a capture");
        read(&mut inputs, &mut self.engine, &mut |_| true).expect("a readable capture");
    }

    fn look(&mut self) {
        let (engine, log) = (&mut self.engine, &mut self.log);
        let read = self.file.news(&mut |news, bytes| {
            if news == News::Anew {
                *log = KeyLog::default();
            }
            engine.learn(log, bytes);
        });
        read.expect("a key log");
    }
}

#[test]
fn secrets_that_come_later_open_what_waited_for_them() {
    let plain = talk().segments();
    let alone = run(capture(&plain)).0.exchanges.remove(0);
    let plain = said(&plain);
    for name in ["TLS13_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"] {
        let (wire, log) = sealed(name, &plain);
        let segments = on_the_wire(&wire, 1448);
        // The upgrade is over, the large message is not.
        for at in [6, 12, segments.len() - 5] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("keys.log");
            // Lines of others, and the writer is in the middle of its own.
            let (half, rest) = log.split_at(log.len() / 2);
            std::fs::write(&path, format!("# others\n{half}")).expect("a file");
            let mut live = Live::new(&path);
            live.look();
            live.packets(&segments[..at]);
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the file");
            std::io::Write::write_all(&mut file, rest.as_bytes()).expect("room");
            live.look();
            live.packets(&segments[at..]);
            let (found, counters) = live.engine.finish();
            assert_eq!((counters.flows_tls_read, counters.bugs), (1, 0), "{name} at {at}");
            let [x] = found.exchanges.as_slice() else { panic!("{} exchanges", found.exchanges.len()) };
            assert_eq!((x.status(), x.end.how), (Some(101), EndHow::CloseFrame));
            assert_eq!(inner(x, &alone).len(), inner(&alone, &alone).len(), "{name} at {at}");
        }
    }
}

#[test]
fn secrets_that_never_come_leave_what_is_known_without_them_and_cost_a_bounded_number_of_bytes() {
    let (wire, _) = sealed("TLS13_AES_128_GCM_SHA256", &said(&talk().segments()));
    let long: Said = vec![(true, head("GET / HTTP/1.1\nHost: a")), (false, vec![b'x'; 4 * limits::TLS_HELD_BYTES])];
    let (long, _) = sealed("TLS13_AES_128_GCM_SHA256", &long);
    for (wire, given_up) in [(&wire, false), (&long, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut live = Live::new(&folder.path().join("keys.log"));
        live.packets(&on_the_wire(wire, 1448));
        let (found, counters) = live.engine.finish();
        assert_eq!((found.exchanges.len(), counters.flows_tls_read), (0, 0));
        assert_eq!(counters.tls_given_up > 0, given_up, "{}", counters.tls_given_up);
        let [flow] = found.sealed.as_slice() else { panic!("{} flows", found.sealed.len()) };
        let end = &flow.said.as_ref().expect("it said something").end;
        assert_eq!((end.how, end.by.is_some()), (EndHow::Fin, true));
    }
}
