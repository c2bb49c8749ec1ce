//! Streams of every method: whole, cut, corrupt, slow, hostile.

use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use super::super::made::Trickle;
use super::members::{Fault, Member, Step};
use super::*;
use crate::base::limits;

fn pack(method: &Method, bytes: &[u8]) -> Vec<u8> {
    match method.name {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => {
            let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "lz4" => {
            let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// Compresses a little, and no byte is like its neighbours.
fn content(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()[0] & 0x3f).collect()
}

fn input(from: Box<dyn Read + Send>, size: Option<u64>) -> Input {
    Input { from, bytes: vec![0; 999], start: 0, end: 0, size }
}

/// What comes out of these bytes, how it ends, and what is known then.
fn unpack(method: &'static Method, bytes: &[u8], ahead: bool) -> (Vec<u8>, Option<io::Error>, Watch) {
    let from = Box::new(io::Cursor::new(bytes.to_vec()));
    let (mut unpacked, watch) = start(method, input(from, Some(bytes.len() as u64)), ahead);
    let mut out = Vec::new();
    let error = unpacked.read_to_end(&mut out).err();
    (out, error, watch)
}

/// As [`unpack`], with nothing wrong.
fn whole(method: &'static Method, bytes: &[u8], ahead: bool) -> (Vec<u8>, Watch) {
    let (out, error, watch) = unpack(method, bytes, ahead);
    assert!(error.is_none() && !watch.is_cut(), "{}: {error:?}", method.name);
    (out, watch)
}

fn ends_soon(what: &str, mut ended: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if ended() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{what}");
}

#[test]
fn every_method_gives_back_what_was_packed() {
    for method in METHODS {
        for length in [0, 1, 5_000, 3 * u32::try_from(limits::UNPACK_CHUNK_BYTES).unwrap() + 17] {
            let bytes = content(length);
            let packed = pack(method, &bytes);
            assert_eq!(recognise(&packed).unwrap().name, method.name);
            for ahead in [false, true] {
                let (out, watch) = whole(method, &packed, ahead);
                assert!(out == bytes, "{} of {length}", method.name);
                assert_eq!((watch.bytes_read(), watch.rest()), (packed.len() as u64, 0));
            }
        }
    }
}

#[test]
fn members_follow_each_other_with_padding_and_skippable_frames_between() {
    for method in METHODS {
        let mut packed = pack(method, b"one ");
        packed.extend(pack(method, b""));
        packed.extend(pack(method, b"two "));
        packed.extend([0; 16]);
        packed.extend(pack(method, b"three"));
        if method.skippable {
            let frame = [&[0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"aside"].concat();
            packed = [frame.clone(), packed, frame.clone(), pack(method, b" four"), frame].concat();
            assert_eq!(recognise(&packed).unwrap().name, method.name);
        }
        let (out, watch) = whole(method, &packed, true);
        let all: &[u8] = if method.skippable { b"one two three four" } else { b"one two three" };
        assert_eq!(out, all, "{}", method.name);
        assert_eq!(watch.rest(), 0);
    }
}

#[test]
fn what_stands_behind_the_last_member_is_counted_and_passed_over() {
    for method in METHODS {
        for rest in [&[0; 3_000][..], &[0; 5], b"garbage, and more of it", &[0, 0, 0, 7, 0], b"\x1f", b"\xfd7zXy"] {
            let packed = [&pack(method, b"all of it")[..], rest].concat();
            let (out, error, watch) = unpack(method, &packed, true);
            assert_eq!(out, b"all of it");
            // A single byte that may begin another member is one that was cut.
            let cut = method.magic.starts_with(rest);
            assert!(error.is_none() && watch.is_cut() == cut, "{} {rest:?}", method.name);
            assert_eq!(watch.rest(), if cut { 0 } else { rest.len() as u64 });
        }
    }
}

#[test]
fn cut_anywhere_a_stream_gives_what_comes_before() {
    for method in METHODS {
        let bytes = content(500);
        let first = pack(method, &bytes);
        let packed = [&first[..], &pack(method, &bytes)].concat();
        let twice = [&bytes[..], &bytes].concat();
        for cut in method.magic.len()..packed.len() {
            let (out, error, watch) = unpack(method, &packed[..cut], cut % 2 == 0);
            assert!(error.is_none(), "{} cut at {cut}: {error:?}", method.name);
            assert_eq!(watch.is_cut(), cut != first.len(), "{} cut at {cut}", method.name);
            assert!(twice.starts_with(&out) && (cut < first.len() || out.len() >= bytes.len()));
        }
    }
}

#[test]
fn a_wrong_byte_anywhere_is_told_and_never_panics() {
    for method in METHODS {
        let bytes = content(600);
        let packed = pack(method, &bytes);
        for at in method.magic.len()..packed.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = packed.clone();
                bad[at] ^= flip;
                let (out, error, watch) = unpack(method, &bad, false);
                // Some bytes of a header say nothing of the content (the time, the system).
                let told = error.is_some() || watch.is_cut() || watch.rest() > 0;
                assert!(told || out == bytes, "{} byte {at} ^ {flip}", method.name);
                if let Some(error) = error {
                    assert!(Spoilt::of(&error).is_some(), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_corrupt_stream_says_where_and_how_much_is_lost() {
    for method in METHODS {
        let packed = [pack(method, b"first"), pack(method, &content(9_000))].concat();
        let mut bad = packed.clone();
        let middle = bad.len() / 2;
        bad[middle..middle + 40].fill(0xff);
        let (out, error, _) = unpack(method, &bad, true);
        assert!(out.starts_with(b"first"));
        let words = error.expect("an error").to_string();
        let start = format!("the {} data is corrupt near byte ", method.name);
        assert!(words.starts_with(&start) && words.ends_with("not unpacked"), "{words}");
    }
}

#[test]
fn a_slow_pipe_gives_the_same() {
    for method in METHODS {
        let bytes = content(4_000);
        let packed = [pack(method, &bytes), pack(method, &bytes)].concat();
        let (mut unpacked, _) = start(method, input(Box::new(Trickle(packed, 0)), None), true);
        let mut out = Vec::new();
        unpacked.read_to_end(&mut out).unwrap();
        assert_eq!(out, [&bytes[..], &bytes].concat());
    }
}

/// Gives the pieces that are sent, and waits for them. The flag says that it was asked.
struct Pipe(mpsc::Receiver<Vec<u8>>, Arc<AtomicBool>);

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1.store(true, Ordering::Relaxed);
        let piece = self.0.recv().unwrap_or_default();
        out[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn what_a_silent_pipe_has_sent_is_given_at_once() {
    for method in METHODS {
        let (send, pieces) = mpsc::channel();
        let (mut unpacked, _) = start(method, input(Box::new(Pipe(pieces, Arc::default())), None), true);
        let mut out = [0; 100];
        for word in [&b"first"[..], b"second"] {
            send.send(pack(method, word)).unwrap();
            let count = unpacked.read(&mut out).unwrap();
            assert_eq!(&out[..count], word);
        }
    }
}

#[test]
fn dropping_the_reader_does_not_wait_for_a_silent_pipe_and_the_thread_ends() {
    let (send, pieces) = mpsc::channel();
    let asked = Arc::new(AtomicBool::new(false));
    let (unpacked, _) = start(&gzip::METHOD, input(Box::new(Pipe(pieces, asked.clone())), None), true);
    ends_soon("nothing is read", || asked.load(Ordering::Relaxed));
    let dropped = std::thread::spawn(move || drop(unpacked));
    ends_soon("dropping waits", || dropped.is_finished());
    send.send(pack(&gzip::METHOD, b"x")).unwrap();
    ends_soon("the thread goes on", || Arc::strong_count(&asked) == 1);
}

/// The same bytes again and again.
#[allow(dead_code, reason = "the token tells when it is dropped")]
struct Endless(Vec<u8>, usize, Arc<()>);

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0[self.1..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.1 = (self.1 + count) % self.0.len();
        Ok(count)
    }
}

#[test]
fn dropping_the_reader_ends_a_stream_without_end() {
    for method in METHODS {
        // Much that comes of little, and nothing that comes of much.
        for bytes in [vec![0; 500_000], Vec::new()] {
            for size in [None, Some(1 << 40)] {
                let token = Arc::new(());
                let endless = Endless(pack(method, &bytes), 0, token.clone());
                let (mut unpacked, _) = start(method, input(Box::new(endless), size), true);
                if !bytes.is_empty() {
                    unpacked.read_exact(&mut [0; 700_000]).unwrap();
                }
                drop(unpacked);
                ends_soon("the thread goes on", || Arc::strong_count(&token) == 1);
            }
        }
    }
}

#[test]
fn a_fault_of_a_decompressor_is_an_error_of_its_input() {
    struct Faulty;
    impl Member for Faulty {
        fn begin(&mut self) -> Result<(), Fault> {
            Ok(())
        }

        fn step(&mut self, _: &mut Packed, _: &mut [u8]) -> Result<Step, Fault> {
            panic!("on purpose")
        }
    }
    static FAULTY: Method = Method {
        name: "faulty",
        magic: b"F",
        skippable: false,
        pulls: false,
        member: || Box::new(Faulty),
        command: "",
    };
    for ahead in [false, true] {
        let (out, error, _) = unpack(&FAULTY, b"F: nothing", ahead);
        assert!(out.is_empty());
        assert!(error.unwrap().to_string().contains("a fault of the decompressor; please report it"));
    }
}

#[test]
fn a_read_that_fails_is_told_as_the_system_tells_it() {
    struct Fails(io::Cursor<Vec<u8>>);
    impl Read for Fails {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::Error::from(io::ErrorKind::HostUnreachable)),
                count => Ok(count),
            }
        }
    }
    for method in METHODS {
        let packed = pack(method, b"some words");
        for length in [packed.len() - 1, packed.len()] {
            let from = Fails(io::Cursor::new(packed[..length].to_vec()));
            let (mut unpacked, _) = start(method, input(Box::new(from), None), true);
            let error = unpacked.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::HostUnreachable, "{}", method.name);
        }
    }
}

#[test]
fn a_stream_that_needs_too_much_memory_is_refused_in_a_sentence() {
    // RFC 8878 §3.1.1.1: no flags; a window of 2^(10 + 18) bytes; one empty last block.
    let wide = [&b"\x28\xb5\x2f\xfd"[..], &[0, 18 << 3], &[1, 0, 0]].concat();
    // The .xz file format §3.1 and §5.3.1: a dictionary of 2^29 bytes, and the header's new checksum.
    let mut large = pack(&xz::METHOD, b"words");
    assert_eq!(large[12..16], [2, 0, 0x21, 1]);
    large[16] = 34;
    let mut crc = flate2::Crc::new();
    crc.update(&large[12..20]);
    large[20..24].copy_from_slice(&crc.sum().to_le_bytes());
    for (method, bytes) in [(&zstd::METHOD, wide), (&xz::METHOD, large)] {
        let (out, error, _) = unpack(method, &bytes, true);
        let words = error.expect("refused").to_string();
        assert!(out.is_empty() && words.contains("data takes more than 128 MiB of memory"), "{words}");
    }
    // One step less is unpacked.
    let fits = [&b"\x28\xb5\x2f\xfd"[..], &[0, 17 << 3], &[1, 0, 0]].concat();
    assert!(whole(&zstd::METHOD, &fits, false).0.is_empty());
}
