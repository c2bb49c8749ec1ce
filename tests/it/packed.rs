//! Compressed captures: the same reports as of the captures inside, whole, cut, corrupt and rotated.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use hopscope::capture::{Merged, Source, Window};
use serde_json::Value;

use crate::support::pack::{self, PACKERS, Packer};
use crate::support::run;

const SAMPLE: &str = "samples/nginx-forgets-upgrade-client-side.pcap";

fn report(capture: &Path) -> Output {
    run::output(&["report".as_ref(), "--format".as_ref(), "json".as_ref(), capture.as_os_str()])
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report without what a compressed input may have otherwise; how it says that input is compressed.
fn same(mut report: Value) -> (Value, Value) {
    let input = &mut report["inputs"][0];
    input["path"].take();
    let compression = input["compression"].take();
    (report, compression)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("room for a file");
        path
    }
}

fn same_report_of_every_sample((name, _, pack): Packer) {
    let folder = Folder::new();
    let mut samples = 0;
    for entry in fs::read_dir("samples").expect("samples") {
        let path = entry.expect("an entry").path();
        if !path.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
            continue;
        }
        samples += 1;
        let bytes = fs::read(&path).expect("a sample");
        let (want, none) = same(run::report(&[&path]));
        assert!(none.is_null());
        for packed in [pack(&bytes), pack::members(pack, &bytes, 3)] {
            // Its name says nothing.
            let file = folder.file("capture.pcap", &packed);
            for got in [run::report(&[&file]), run::report_on_stdin(&packed)] {
                let (got, compression) = same(got);
                assert_eq!(compression, name);
                assert!(got == want, "{} as {name}", path.display());
            }
        }
    }
    assert!(samples >= 8);
}

#[test]
fn samples_compressed_by_gzip_give_the_same_report() {
    same_report_of_every_sample(PACKERS[0]);
}

#[test]
fn samples_compressed_by_zstd_give_the_same_report() {
    same_report_of_every_sample(PACKERS[1]);
}

#[test]
fn samples_compressed_by_lz4_give_the_same_report() {
    same_report_of_every_sample(PACKERS[2]);
}

#[test]
fn samples_compressed_by_xz_give_the_same_report() {
    same_report_of_every_sample(PACKERS[3]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_compressed_fifo_and_a_file_descriptor_are_read() {
    let packed = pack::gzip(&fs::read(SAMPLE).expect("a sample"));
    let (want, _) = same(run::report(&[Path::new(SAMPLE)]));
    let folder = Folder::new();
    let fifo = folder.0.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let (to, bytes) = (fifo.clone(), packed.clone());
    let writer = std::thread::spawn(move || fs::write(to, bytes));
    assert_eq!(same(run::report(&[&fifo])), (want.clone(), "gzip".into()));
    writer.join().expect("no panic").expect("all was read");
    let file = fs::File::open(folder.file("a", &packed)).expect("a file");
    let command = run::hopscope().args(["report", "/dev/fd/0", "--format", "json"]).stdin(file).output();
    let got = serde_json::from_slice(&command.expect("it starts").stdout).expect("JSON");
    assert_eq!(same(got), (want, "gzip".into()));
}

/// Packets of a capture, how it ends, or why it is refused.
fn packets(bytes: Vec<u8>) -> Result<(u64, hopscope::model::InputFacts), String> {
    let sources = vec![Source::from_bytes("made", bytes)];
    let mut merged = Merged::from_sources(sources, &Window::default()).map_err(|e| e.to_string())?;
    let mut seen = 0;
    while let Some(batch) = merged.next_batch().map_err(|e| e.to_string())? {
        seen += batch.records.len() as u64;
    }
    Ok((seen, merged.into_facts().remove(0)))
}

#[test]
fn cut_anywhere_a_compressed_capture_is_read_as_far_as_it_goes() {
    for sample in [SAMPLE, "samples/120-clients-three-locations.pcapng"] {
        let bytes = fs::read(sample).expect("a sample");
        let all = packets(bytes.clone()).expect("a capture").0;
        for (name, _, pack) in PACKERS {
            let (one, many) = (pack(&bytes), pack::members(pack, &bytes, 7));
            for packed in [one, many] {
                let mut before = 0;
                let step = (packed.len() / 60).max(37);
                for cut in (7..packed.len()).step_by(step) {
                    match packets(packed[..cut].to_vec()) {
                        Ok((seen, facts)) => {
                            assert!(facts.damage.is_empty(), "{name} cut at {cut}: {:?}", facts.damage);
                            assert!(facts.cut_short.is_some() && facts.packed_cut, "{name} cut at {cut}");
                            assert!((before..=all).contains(&seen), "{name} cut at {cut}");
                            before = seen;
                        }
                        Err(why) => {
                            assert!(before == 0 && why.contains(&format!("it is compressed by {name}")), "{why}");
                        }
                    }
                }
                assert_eq!(packets(packed).expect("a capture").0, all);
            }
        }
    }
}

#[test]
fn a_cut_is_a_warning_and_a_corrupt_byte_is_damage() {
    let bytes = fs::read("samples/120-clients-three-locations.pcapng").expect("a sample");
    let folder = Folder::new();
    for (name, extension, pack) in PACKERS {
        let packed = pack::members(pack, &bytes, 4);
        let file = folder.file(&format!("cut.{extension}"), &packed[..packed.len() * 2 / 3]);
        let cut = report(&file);
        assert_eq!(cut.status.code(), Some(0), "{name}");
        assert!(
            words(&cut).contains(&format!("the {name} data is cut: it ends before its end; the ")),
            "{}",
            words(&cut)
        );

        let mut bad = packed.clone();
        let at = bad.len() * 2 / 3;
        bad[at..at + 9].fill(0xff);
        let corrupt = report(&folder.file(&format!("bad.{extension}"), &bad));
        assert_eq!(corrupt.status.code(), Some(2), "{name}");
        let said = words(&corrupt);
        assert!(
            said.contains(&format!("of the decompressed capture: the {name} data is corrupt near byte ")),
            "{said}"
        );
        let found: Value = serde_json::from_slice(&corrupt.stdout).expect("a report all the same");
        assert!(found["inputs"][0]["packets"].as_u64() > Some(100), "{name}");
        // What the wrong bytes unpacked to, before that was noticed, may be damage of its own.
        assert!(found["inputs"][0]["damage"].is_object(), "{name}");
    }
}

#[test]
fn what_follows_the_compressed_data_is_passed_over_with_a_word() {
    let bytes = fs::read(SAMPLE).expect("a sample");
    let folder = Folder::new();
    for (name, _, pack) in PACKERS {
        for rest in [&[0; 1_024][..], b"-- 19 bytes of text"] {
            let output = report(&folder.file("a", &[&pack(&bytes), rest].concat()));
            assert_eq!(output.status.code(), Some(0));
            let want = format!("{} bytes behind the {name} data are none of it", rest.len());
            assert!(words(&output).contains(&want), "{}", words(&output));
        }
    }
}

#[test]
fn the_text_report_says_how_its_inputs_are_compressed() {
    let folder = Folder::new();
    let bytes = fs::read(SAMPLE).expect("a sample");
    let file = folder.file("a.pcap.zst", &pack::zstd(&bytes));
    let text = |files: &[&Path]| {
        String::from_utf8(run::hopscope().arg("report").args(files).output().expect("it starts").stdout).expect("UTF-8")
    };
    assert!(text(&[&file]).contains("a.pcap.zst (zstd): "));
    assert!(text(&[&file, Path::new(SAMPLE)]).contains("2 inputs (1 compressed): "));
}

#[test]
fn what_is_no_capture_inside_is_named_too() {
    let folder = Folder::new();
    let bytes = fs::read(SAMPLE).expect("a sample");
    for (inside, sentence) in [
        (pack::gzip(b"a text file\n"), "it is compressed by gzip; inside, it is text (give a capture made by"),
        (pack::zstd(b""), "it is compressed by zstd; inside, the file is empty (capture again"),
        (pack::lz4(b"PK\x03\x04zip"), "it is compressed by lz4; inside, it is a zip archive (unpack it"),
        (pack::xz(&bytes[..9]), "inside, the file ends after 9 bytes, inside the header of a pcap file"),
        (
            pack::zstd(&pack::gzip(&bytes)),
            "it is compressed twice, by gzip and then by zstd (zstd -dc FILE | hopscope report -)",
        ),
        (pack::xz(&bytes)[..30].to_vec(), "it is compressed by xz; inside, the data ends before anything of"),
        (b"\x1f\x8bno gzip, but it looks like it".to_vec(), "the gzip data is corrupt near byte "),
    ] {
        let output = report(&folder.file("it", &inside));
        assert_eq!(output.status.code(), Some(2));
        assert!(words(&output).contains(sentence), "{}", words(&output));
    }
}

/// A pcap file in pieces at packets, each a file.
fn rotated(bytes: &[u8], pieces: usize) -> Vec<Vec<u8>> {
    let (header, mut rest) = bytes.split_at(24);
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes"));
        let (packet, behind) = rest.split_at(16 + usize::try_from(length).expect("a length"));
        packets.push(packet);
        rest = behind;
    }
    packets.chunks(packets.len().div_ceil(pieces)).map(|some| [header, &some.concat()].concat()).collect()
}

#[test]
fn a_rotation_is_one_timeline_and_one_capture_point_in_any_order() {
    let bytes = fs::read("samples/accept-in-hex.pcap").expect("a sample");
    let folder = Folder::new();
    let files = rotated(&bytes, 3);
    let whole = run::report(&[&folder.file("whole.pcap", &bytes)]);
    let newest = folder.file("a.pcap", &files[2]);
    let middle = folder.file("a.pcap.0.gz", &pack::gzip(&files[1]));
    let oldest = folder.file("a.pcap.1", &files[0]);
    for order in [[&oldest, &middle, &newest], [&oldest, &newest, &middle], [&newest, &middle, &oldest]] {
        let report = run::report(&order.map(PathBuf::as_path));
        assert_eq!(report["counters"], whole["counters"]);
        assert_eq!(report["chains"].as_array().map(Vec::len), whole["chains"].as_array().map(Vec::len));
        for pointer in
            ["/exchanges/0/handshake", "/exchanges/0/websocket", "/exchanges/0/end", "/chains/0/verdict/rule"]
        {
            assert_eq!(report.pointer(pointer), whole.pointer(pointer), "{pointer}");
            assert!(whole.pointer(pointer).is_some(), "{pointer}");
        }
        let total: u64 = (0..3).filter_map(|n| report["inputs"][n]["packets"].as_u64()).sum();
        assert_eq!(Some(total), whole["inputs"][0]["packets"].as_u64());
    }
}

#[test]
fn many_compressed_files_wait_closed_and_are_one_timeline() {
    let bytes = fs::read("samples/120-clients-three-locations.pcapng").expect("a sample");
    let pcap = fs::read(SAMPLE).expect("a sample");
    assert_eq!(packets(bytes).expect("a capture").1.format, "pcapng");
    let folder = Folder::new();
    let pieces = rotated(&pcap, 100);
    assert!(pieces.len() > 8);
    let mut paths: Vec<PathBuf> =
        pieces.iter().enumerate().map(|(n, piece)| folder.file(&format!("a.{n}"), &PACKERS[n % 4].2(piece))).collect();
    // Files without packets make up the number.
    paths.extend((0..20).map(|n| folder.file(&format!("empty.{n}"), &pack::gzip(&pcap[..24]))));
    paths.reverse();
    let files: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let report = run::report(&files);
    let whole = run::report(&[Path::new(SAMPLE)]);
    assert_eq!(report["counters"], whole["counters"]);
    assert_eq!(report["exchanges"][0]["outcome"], whole["exchanges"][0]["outcome"]);
}

#[test]
fn a_bomb_costs_no_memory() {
    // 2,000 packets of 256 KiB, all of them zeros.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.write_all(&fs::read(SAMPLE).expect("a sample")[..24]).expect("memory");
    let length = 0x0004_0000_u32;
    let head = [0x6920_0000_u32, 0, length, length].map(u32::to_le_bytes).concat();
    let packet = [head, vec![0; 0x0004_0000]].concat();
    for _ in 0..2_000 {
        encoder.write_all(&packet).expect("memory");
    }
    let packed = encoder.finish().expect("memory");
    let folder = Folder::new();
    let file = folder.file("bomb", &packed);
    // The allocator asks for room for each thread, most of which it never touches.
    let command = format!("ulimit -v 327680; exec {} report --format json \"$0\"", env!("CARGO_BIN_EXE_hopscope"));
    let output =
        std::process::Command::new("sh").args(["-c", &command]).arg(&file).stdout(Stdio::piped()).output().expect("sh");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let found: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(found["inputs"][0]["packets"], 2_000);
    assert!(packed.len() < 400_000);
}
