//! `hopscope extract`: what it writes is reported as it was, holds whole connections and nothing else, and
//! says why each packet matters.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};

use hopscope::base::{FlowId, PacketRef};
use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::replay::{Error, Wanted, replay};
use hopscope::engine::{self, Engine};
use hopscope::model::{Exchange, FlowFacts};
use hopscope::proto::Sink;
use hopscope::stream::Context;
use serde_json::Value;

use crate::extract_report::{extracted, told};
use crate::sources;
use crate::support::file::Format;
use crate::support::link::{self, Link, Packet};
use crate::support::run;
use crate::support::scene;
use crate::support::script::{self, Script, Segment, Side};

pub(crate) const MANY: &str = "samples/120-clients-three-locations.pcapng";
pub(crate) const BROKEN: &str = "samples/nginx-forgets-upgrade-client-side.pcap";
const KEY: &str = "q83vASNFZ4mrze8BI0VniQ==";

// Whole connections, and nothing else.

#[test]
fn of_three_connections_from_one_port_the_middle_one_is_written_whole() {
    let client = "198.51.100.7:40000";
    let [first, second, third] = [(0, 0), (70_000_000, 5), (140_000_000, 9)]
        .map(|(seq, seconds)| moved(upgrade(client).segments(), seq, seconds * 1_000_000_000));
    let others = moved(upgrade("198.51.100.7:40001").segments(), 0, 5_000_100_000);
    let mut all = [&first[..], &second, &third, &others].concat();
    all.sort_by_key(|s| s.at_ns);
    let folder = Folder::new();
    let file = folder.file("a.pcap", &Format::pcap(Link::Raw).write(&link::packets(&all, Link::Raw)));
    let before = run::report(&[&file]);
    assert_eq!(exchanges(&before).len(), 4);
    let at = exchanges(&before).iter().find(|x| {
        // The only one of this port that began in the sixth second.
        x["client"]["port"] == 40000 && x["request"]["at"].as_str().unwrap().contains(":05.")
    });
    let id = at.unwrap()["id"].to_string();
    let out = extract(&folder, &[&file], &["--exchange", &id]);
    let expected: Vec<Vec<u8>> = link::packets(&second, Link::Raw).into_iter().map(|p| p.data).collect();
    assert_eq!(packets(&out).into_iter().map(|p| p.data).collect::<Vec<_>>(), expected);
}

#[test]
fn times_lengths_and_link_types_come_through_in_every_format() {
    let mut segments = upgrade("198.51.100.7:40000").segments();
    segments.iter_mut().zip(0_u64..).for_each(|(s, n)| s.at_ns += n * 7);
    let pcap = |link| Format::pcap(link);
    let formats = [
        Format { big_endian: true, ..pcap(Link::Ethernet) },
        Format { nanoseconds: true, ..pcap(Link::LinuxSll2) },
        Format { nanoseconds: true, big_endian: true, ..pcap(Link::LinuxSll) },
        Format { nanoseconds: true, ..Format::pcapng(&[Link::Ethernet, Link::Raw]) },
        Format { big_endian: true, ..Format::pcapng(&[Link::Null, Link::LinuxSll2]) },
    ];
    for format in formats {
        let mut captured: Vec<Packet> = Vec::new();
        for (segment, n) in segments.iter().zip(0..) {
            let interface = n % format.links.len();
            let packet = link::packet(segment, format.links[interface], &[]);
            captured.push(Packet { interface: u32::try_from(interface).unwrap(), ..packet });
        }
        link::snap(&mut captured, 400);
        let folder = Folder::new();
        let file = folder.file("a", &format.write(&captured));
        let out = packets(&extract(&folder, &[&file], &["-Y", ""]));
        assert_eq!(out.len(), captured.len());
        let unit = if format.nanoseconds { 1 } else { 1_000 };
        for (read, written) in out.iter().zip(&captured) {
            assert_eq!(read.ns, i64::try_from(written.at_ns / unit * unit).unwrap());
            assert_eq!((&read.data, read.wire_len), (&written.data, written.wire_len));
            assert_eq!(read.link, format.links[written.interface as usize].number());
        }
    }
}

#[test]
fn interfaces_of_each_section_and_input_stay_apart() {
    let format = Format::pcapng(&[Link::Raw]);
    let file = |segments: &[Segment]| format.write(&link::packets(segments, Link::Raw));
    let (a, b) = (upgrade("198.51.100.7:40000").segments(), upgrade("198.51.100.7:40001").segments());
    let c = moved(upgrade("198.51.100.7:40002").segments(), 0, 60_000_000_000);
    let folder = Folder::new();
    let joined = folder.file("joined.pcapng", &[file(&a), file(&b)].concat());
    let later = folder.file("later.pcap", &Format::pcap(Link::Ethernet).write(&link::packets(&c, Link::Ethernet)));
    let out = extract(&folder, &[&joined, &later], &["-Y", ""]);
    let seen: BTreeSet<(u16, u16)> = packets(&out).iter().map(|p| (p.interface, p.link)).collect();
    assert_eq!(seen, [(0, 101), (1, 101), (2, 1)].into());
    let comments = comments(&out).join("\n");
    for words in ["section 1, interface 0 of ", "interface 0 of ", "joined.pcapng", "later.pcap"] {
        assert!(comments.contains(words), "{words}: {comments}");
    }
    assert_eq!(exchanges(&run::report(&[&out])).len(), 3);
}

#[test]
fn one_connection_captured_at_two_places_is_not_mixed() {
    let there = upgrade("198.51.100.7:40000").segments();
    let here = moved(there.clone(), 0, 40_000);
    let other = upgrade("198.51.100.7:40001").segments();
    let write = |segments: &[Segment]| Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet));
    let folder = Folder::new();
    let edge = folder.file("edge.pcap", &write(&there));
    let app = folder.file("app.pcap", &write(&here));
    let third = folder.file("third.pcap", &write(&other));
    let out = folder.path("out.pcapng");
    // It is one leg, and one of its copies is written; that there is another is told.
    let output = run_extract(&[&edge, &app], &["-Y", ""], &out);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.contains("the second copy of 1 connection"), "{words}");
    let written = packets(&out);
    assert_eq!(written.len(), there.len());
    assert_eq!(written[0].ns, i64::try_from(there[0].at_ns / 1_000 * 1_000).unwrap());
    assert_eq!(told(&run::report(&[&out]), None), told(&run::report(&[&edge, &app]), None));
    let quiet = run_extract(&[&edge, &app], &["-Y", "", "--quiet"], &out);
    assert!(quiet.status.success() && quiet.stderr.is_empty());

    // Two connections of two places are fine.
    let both = extract(&folder, &[&edge, &third], &["-Y", ""]);
    assert_eq!(told(&run::report(&[&both]), None), told(&run::report(&[&edge, &third]), None));
}

#[test]
fn two_connections_with_one_name_at_two_places_are_refused() {
    // Nothing says that they are one: other keys, other sequence numbers.
    let there = upgrade("198.51.100.7:40000").segments();
    let late = Script::between("198.51.100.7:40000", "203.0.113.9:80").upgrade("AAAAAAAAAAAAAAAAAAAAAA==").goodbye();
    let here = moved(late.segments(), 7_000_000, 1_000_000);
    let write = |segments: &[Segment]| Format::pcap(Link::Ethernet).write(&link::packets(segments, Link::Ethernet));
    let folder = Folder::new();
    let edge = folder.file("edge.pcap", &write(&there));
    let app = folder.file("app.pcap", &write(&here));
    let out = folder.path("out.pcapng");
    let output = run_extract(&[&edge, &app], &["-Y", ""], &out);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), out.exists()), (Some(2), false), "{words}");
    assert!(words.contains("edge.pcap") && words.contains("app.pcap") && words.contains("file:"), "{words}");
    let one = packets(&extract(&folder, &[&edge, &app], &["-Y", "file:*app.pcap"]));
    assert_eq!(one.len(), here.len());
    assert_eq!(one[0].ns, i64::try_from(here[0].at_ns / 1_000 * 1_000).unwrap());
}

#[test]
fn a_connection_on_both_sides_of_address_translation_is_written_with_both() {
    let text = fs::read_to_string(sources::root().join("samples/scenes/cap-nat.toml")).unwrap();
    let folder = Folder::new();
    let file = folder.file("a.pcap", &scene::parse("cap-nat", &text).capture_file());
    let before = run::report(&[&file]);
    let all = number(&before["counters"]["packets"]);
    for choice in [["--exchange", "1"], ["--chain", "1"], ["-Y", "rule:cap-nat"]] {
        let after = extracted(&[&file], &choice);
        assert_eq!((number(&after["counters"]["packets"]), number(&after["counters"]["flows"])), (all, 2));
        assert_eq!(told(&after, None), told(&before, None));
    }
}

#[test]
fn a_rotated_capture_is_written_across_its_files() {
    let all = link::packets(&upgrade("198.51.100.7:40000").segments(), Link::Ethernet);
    let folder = Folder::new();
    let format = Format::pcap(Link::Ethernet);
    let first = folder.file("a.pcap0", &format.write(&all[..5]));
    let second = folder.file("a.pcap1", &format.write(&all[5..]));
    let out = extract(&folder, &[&second, &first], &["--exchange", "1"]);
    assert_eq!(packets(&out).len(), all.len());
    assert_eq!(exchanges(&run::report(&[&out]))[0]["outcome"], "upgraded");
}

#[test]
fn secrets_of_an_input_are_not_copied() {
    let format = Format::pcapng(&[Link::Raw]);
    let mut bytes = Vec::new();
    format.section(&mut bytes);
    let log = b"CLIENT_RANDOM 00 11\n";
    let head = [0x544c_534b_u32.to_le_bytes(), u32::try_from(log.len()).unwrap().to_le_bytes()].concat();
    format.block(&mut bytes, 10, &[&head[..], log].concat());
    for packet in link::packets(&upgrade("198.51.100.7:40000").segments(), Link::Raw) {
        format.enhanced_packet(&mut bytes, &packet);
    }
    let folder = Folder::new();
    let file = folder.file("a.pcapng", &bytes);
    let out = extract(&folder, &[&file], &["-Y", ""]);
    // It would refuse a block of any type but those of sections, interfaces and packets.
    assert!(!comments(&out).is_empty());
    assert!(!fs::read(&out).unwrap().windows(13).any(|w| w == b"CLIENT_RANDOM"));
}

#[test]
fn packets_outside_the_window_are_not_written() {
    let conversation = Script::flow().upgrade(KEY).wait_ms(10_000).frame(Side::Client, 1, b"late").goodbye();
    let segments = conversation.segments();
    let folder = Folder::new();
    let file = folder.file("a.pcap", &Format::pcap(Link::Raw).write(&link::packets(&segments, Link::Raw)));
    let ends = i64::try_from(segments.last().unwrap().at_ns).unwrap();
    let until = packets(&extract(&folder, &[&file], &["-Y", "", "--until", "-5s"]));
    let rest = segments.iter().filter(|s| i64::try_from(s.at_ns).unwrap() <= ends - 5_000_000_000).count();
    assert!((1..segments.len()).contains(&rest));
    assert_eq!(until.len(), rest);
}

#[test]
fn an_input_that_is_another_one_the_second_time_is_noticed() {
    let file = Format::pcap(Link::Raw).write(&link::packets(&upgrade("198.51.100.7:40000").segments(), Link::Raw));
    let replayed = |flow, packet| {
        let source = Source::from_bytes("made", file.clone());
        let mut inputs = Merged::from_sources(vec![source], &Window::default()).unwrap();
        let mut wanted = Wanted::default();
        wanted.add(FlowId(flow), PacketRef::new(0, packet));
        let mut count = 0;
        let result = replay(&mut inputs, &wanted, &mut |_| true, &mut |_, _, _| {
            count += 1;
            Ok(())
        });
        result.map(|_| count)
    };
    assert!(replayed(1, 4).is_ok_and(|count| count > 10));
    assert!(matches!(replayed(2, 4), Err(Error::Changed)));
    assert!(matches!(replayed(1, 4_000), Err(Error::Changed)));
}

/// The ids of flows in the order in which they were opened, and by which packet.
#[derive(Default)]
struct Opened(Vec<(FlowId, PacketRef)>);

impl Sink for Opened {
    fn decided(&mut self, _: &Exchange) {}

    fn ended(&mut self, _: Box<Exchange>) {}

    fn lone(&mut self, _: FlowFacts) {}

    fn opened(&mut self, flow: Context<'_>, at: PacketRef) {
        self.0.push((flow.id(), at));
    }
}

#[test]
fn two_readings_number_flows_alike_even_where_flows_are_evicted() {
    // Each of 1,500 clients comes by four times, and there is room for 400. Which of a sample goes that is
    // much smaller hangs on the hash.
    let mut seed = 1_u64;
    let clients = (0..6_000_u64).map(|n| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (n, format!("198.51.100.7:{}", 40_000 + (seed >> 33) % 1_500))
    });
    let segments: Vec<Segment> = clients
        .flat_map(|(n, client)| {
            let hello = Script::midstream(&client, "203.0.113.9:80").client("GET / HTTP/1.1\r\n").segments();
            moved(hello, 0, n * 1_000_000)
        })
        .collect();
    let file = Format::pcap(Link::Raw).write(&link::packets(&segments, Link::Raw));
    let opened = || {
        let source = Source::from_bytes("made", file.clone());
        let mut inputs = Merged::from_sources(vec![source], &Window::default()).unwrap();
        let mut engine = Engine::with_flow_limit(Opened::default(), 400);
        engine::read(&mut inputs, &mut engine, &mut |_| true).unwrap();
        let (opened, counters) = engine.finish();
        assert!(counters.evicted > 100);
        opened.0
    };
    let first = opened();
    assert!(first.len() > 300);
    assert_eq!(first, opened());
}

// What it says.

#[test]
fn packets_that_are_evidence_name_their_findings() {
    let folder = Folder::new();
    let out = extract(&folder, &[Path::new(BROKEN)], &["--exchange", "1"]);
    let report = run::report(&[Path::new(BROKEN)]);
    let comments = comments(&out);
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        let words = format!("hopscope: {} (", finding["rule"].as_str().unwrap());
        let message = finding["message"].as_str().unwrap();
        assert!(comments.iter().any(|c| c.starts_with(&words) && c.contains(message)), "{words}: {comments:#?}");
        let at = format!("packet {} of {BROKEN}", finding["evidence"][0]["packet"]);
        assert!(comments.contains(&at), "{at}: {comments:#?}");
    }
    let head = &comments[0];
    let version = format!("hopscope {}", env!("CARGO_PKG_VERSION"));
    assert!(head.contains(&version) && head.contains("exchange 1") && head.contains(BROKEN), "{head}");
}

#[test]
fn secrets_are_masked_in_comments_unless_they_are_asked_for() {
    let secret = "s3cr3tT0kenValue77";
    let conversation = Script::flow().head(Side::Client, &script::upgrade_request(KEY)).head(
        Side::Server,
        &format!("HTTP/1.1 302 Found\nLocation: https://login.example.org/a?token={secret}\nContent-Length: 0"),
    );
    let folder = Folder::new();
    let segments = conversation.segments();
    let file = folder.file("a.pcap", &Format::pcap(Link::Raw).write(&link::packets(&segments, Link::Raw)));
    let masked = comments(&extract(&folder, &[&file], &["-Y", ""])).join("\n");
    assert!(masked.contains("login.example.org") && masked.contains("[redacted #1]"), "{masked}");
    assert!(!masked.contains(secret), "{masked}");
    let shown = comments(&extract(&folder, &[&file], &["-Y", "", "--show-secrets"])).join("\n");
    assert!(shown.contains(secret), "{shown}");
}

#[test]
fn it_says_how_much_was_written_unless_quiet() {
    let folder = Folder::new();
    let out = folder.path("out.pcapng");
    let output = run_extract(&[Path::new(BROKEN)], &["--exchange", "1"], &out);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(words, format!("hopscope: 10 packets of 1 connection written to {}\n", out.display()));
    assert!(output.status.success() && output.stdout.is_empty());
    let output = run_extract(&[Path::new(BROKEN)], &["--exchange", "1", "--quiet"], &out);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn standard_output_takes_it_too() {
    let folder = Folder::new();
    let file = fs::read(extract(&folder, &[Path::new(BROKEN)], &["--exchange", "1"])).unwrap();
    let output = run_extract(&[Path::new(BROKEN)], &["--exchange", "1"], Path::new("-"));
    assert!(output.status.success());
    assert_eq!(output.stdout, file);
}

#[test]
fn a_closed_pipe_is_no_fault() {
    let mut child = run::hopscope()
        .args(["extract", MANY, "-Y", "", "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut pipe = child.stdout.take().expect("a pipe");
    std::io::Read::read_exact(&mut pipe, &mut [0; 1]).expect("a byte of output");
    drop(pipe);
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

// What is refused, with exit code 2 and no file.

#[test]
fn what_cannot_be_done_leaves_everything_as_it_was() {
    let folder = Folder::new();
    let mine = folder.file("mine.pcap", &fs::read(sources::root().join(BROKEN)).unwrap());
    let link = folder.path("link.pcap");
    std::os::unix::fs::symlink(&mine, &link).unwrap();
    let fifo = folder.path("fifo");
    assert!(Process::new("mkfifo").arg(&fifo).status().is_ok_and(|s| s.success()));
    let old = folder.file("old.pcapng", b"what was here before");
    let new = folder.path("new.pcapng");
    let mine_s = mine.to_str().unwrap();
    let text = sources::root().join("Cargo.toml");
    for (inputs, choice, out, say) in [
        (&[mine_s][..], &["--exchange", "2"][..], &old, "there are: exchange 1 "),
        (&[mine_s], &["--exchange", "1,5-9"], &old, "--exchange 5-9"),
        (&[mine_s], &["--chain", "-3"], &old, "there are: chain 1 "),
        (&[mine_s], &["-Y", "status:101"], &old, "nothing matches"),
        (&[mine_s], &["-Y", "nonsense:1"], &old, "nonsense"),
        (&[mine_s], &["--exchange", "x"], &old, "3,7-9"),
        (&[mine_s], &["--exchange", "1", "-Y", "a"], &old, "cannot be used with"),
        (&[mine_s], &[], &old, "--exchange"),
        (&[], &["--exchange", "1"], &old, "no input"),
        (&["-"], &["--exchange", "1"], &old, "save it to a file first"),
        (&[fifo.to_str().unwrap()], &["--exchange", "1"], &old, "save it to a file first"),
        (&["no/such.pcap"], &["--exchange", "1"], &old, "no such file"),
        (&[text.to_str().unwrap()], &["--exchange", "1"], &old, "text"),
        (&[mine_s], &["--exchange", "1"], &mine, "one of the inputs"),
        (&[link.to_str().unwrap()], &["--exchange", "1"], &mine, "one of the inputs"),
        (&[mine_s], &["--exchange", "1"], &link, "one of the inputs"),
        (&[mine_s], &["--exchange", "2"], &new, "no such exchange"),
        (&[mine_s], &["--exchange", "1"], &folder.path("no/out.pcapng"), "cannot write there"),
        (&[mine_s], &["--exchange", "1"], &folder.path("."), "directory"),
    ] {
        let inputs: Vec<&Path> = inputs.iter().map(Path::new).collect();
        let output = run_extract(&inputs, choice, out);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{choice:?} {}: {words}", out.display());
        assert!(words.contains(say) && output.stdout.is_empty(), "{choice:?}: {say}: {words}");
    }
    assert_eq!(fs::read(&old).unwrap(), b"what was here before");
    assert_eq!(fs::read(&mine).unwrap(), fs::read(sources::root().join(BROKEN)).unwrap());
    assert_eq!(folder.names(), ["fifo", "link.pcap", "mine.pcap", "old.pcapng"]);
    assert!(!run_without_output(mine_s).status.success());
}

#[test]
fn an_old_file_is_replaced_and_a_link_to_it_stays_a_link() {
    let folder = Folder::new();
    let old = folder.file("old.pcapng", b"what was here before");
    let link = folder.path("link.pcapng");
    std::os::unix::fs::symlink(&old, &link).unwrap();
    assert!(run_extract(&[Path::new(BROKEN)], &["--exchange", "1"], &link).status.success());
    assert_eq!(packets(&old).len(), 10);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(folder.names(), ["link.pcapng", "old.pcapng"]);
}

#[test]
fn of_a_damaged_input_what_could_be_read_is_written() {
    let segments = [upgrade("198.51.100.7:40000"), upgrade("198.51.100.7:40001").wait_ms(1)];
    let [a, b] = segments.map(|s| link::packets(&s.segments(), Link::Raw));
    let format = Format::pcap(Link::Raw);
    let (a, mut b) = (format.write(&a), format.write(&b)[24..].to_vec());
    b[8..12].copy_from_slice(&[0xff; 4]);
    let folder = Folder::new();
    let file = folder.file("a.pcap", &[a, b].concat());
    let out = folder.path("out.pcapng");
    let output = run_extract(&[&file], &["-Y", "port:40000"], &out);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("B skipped"), "{words}");
    assert_eq!(exchanges(&run::report(&[&out])).len(), 1);
}

// Beside tshark.

#[test]
#[ignore = "needs tshark: .ci/run"]
fn tshark_reads_the_extracts_as_it_reads_the_samples() {
    let tshark = |file: &Path, fields: &[&str]| {
        let mut command = Process::new("tshark");
        command.args(["-t", "e", "-T", "fields", "-r"]).arg(file).current_dir(sources::root());
        let output = command.args(fields.iter().flat_map(|f| ["-e", f])).output().expect("tshark is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = Folder::new();
    let mut commented = 0;
    for sample in sources::files("samples", &["pcap", "pcapng"]) {
        // Each sample is upgrades and nothing else.
        let out = extract(&folder, &[&sample], &["-Y", ""]);
        let fields = [
            "frame.number",
            "frame.time_epoch",
            "frame.len",
            "frame.cap_len",
            "ip.src",
            "tcp.stream",
            "tcp.seq_raw",
            "http.request.uri",
            "http.sec_websocket_key",
            "http.response.code",
        ];
        assert_eq!(tshark(&out, &fields), tshark(&sample, &fields), "{}", sample.display());
        commented += tshark(&out, &["frame.comment"]).lines().filter(|l| l.contains("hopscope: ")).count();
        let about = Process::new("capinfos").arg(&out).output().expect("capinfos comes with tshark");
        let about = String::from_utf8_lossy(&about.stdout).into_owned();
        assert!(about.contains("nanoseconds (9)") && about.contains("Capture application: hopscope "), "{about}");
    }
    assert!(commented > 5, "{commented}");
}

// Helpers.

/// An upgrade that worked, with frames, and its end.
pub(crate) fn upgrade(client: &str) -> Script {
    let conversation = Script::between(client, "203.0.113.9:80").upgrade(KEY);
    conversation.frame(Side::Client, 1, &[b'x'; 900]).frame(Side::Server, 1, b"yes").goodbye()
}

/// The same later, with other sequence numbers of the client.
fn moved(mut segments: Vec<Segment>, seq: u32, later_ns: u64) -> Vec<Segment> {
    for segment in &mut segments {
        segment.at_ns += later_ns;
        match segment.from {
            Side::Client => segment.seq = segment.seq.wrapping_add(seq),
            Side::Server => segment.ack = segment.ack.wrapping_add(seq),
        }
    }
    segments
}

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).expect("room for a file");
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) fn run_extract(inputs: &[&Path], choice: &[&str], out: &Path) -> Output {
    let mut command = run::hopscope();
    command.arg("extract").args(inputs).args(choice).arg("-o").arg(out).stdin(Stdio::null());
    command.output().expect("the program starts")
}

fn run_without_output(input: &str) -> Output {
    run::hopscope().args(["extract", input, "--exchange", "1"]).output().expect("the program starts")
}

/// The file that `extract` writes.
pub(crate) fn extract(folder: &Folder, inputs: &[&Path], choice: &[&str]) -> PathBuf {
    let out = folder.path("extracted.pcapng");
    let output = run_extract(inputs, choice, &out);
    assert!(output.status.success(), "{inputs:?} {choice:?}: {}", String::from_utf8_lossy(&output.stderr));
    out
}

pub(crate) struct Read {
    pub(crate) ns: i64,
    pub(crate) wire_len: u32,
    pub(crate) link: u16,
    pub(crate) interface: u16,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn packets(file: &Path) -> Vec<Read> {
    let mut inputs = Merged::open(&[file.to_owned()], &Window::default()).expect("a capture");
    let mut all = Vec::new();
    while let Some(batch) = inputs.next_batch().expect("a readable capture") {
        all.extend(batch.records.iter().map(|r| Read {
            ns: r.ts.0,
            wire_len: r.wire_len,
            link: r.link.0,
            interface: r.iface,
            data: r.data(batch.bytes).to_vec(),
        }));
    }
    assert!(inputs.facts()[0].damage.is_empty());
    all
}

/// All comments of a little-endian pcapng file, in its order, read without the program's own parser.
fn comments(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).expect("a file");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (mut block, mut all) = (0, Vec::new());
    while block < bytes.len() {
        let end = block + word(block + 4) - 4;
        let mut at = match word(block) {
            0x0a0d_0d0a => block + 24,
            1 => block + 16,
            6 => block + 28 + word(block + 20).next_multiple_of(4),
            other => panic!("a block of type {other}"),
        };
        while at < end && half(at) != 0 {
            if half(at) == 1 {
                all.push(String::from_utf8(bytes[at + 4..at + 4 + half(at + 2)].to_vec()).expect("UTF-8"));
            }
            at += 4 + half(at + 2).next_multiple_of(4);
        }
        block = end + 4;
    }
    all
}

pub(crate) fn exchanges(report: &Value) -> &Vec<Value> {
    report["exchanges"].as_array().expect("exchanges")
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}
