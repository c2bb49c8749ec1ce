//! Scenes: conversations written down in TOML under samples/scenes, one for each rule. A scene says
//! which rules it raises; its twin is the same text with a few words changed, and raises none.
//!
//! `about` what goes wrong · `raises` slugs · `also` other slugs that cannot be avoided, each with a
//! reason · `twin` pairs of old and new text, applied from the first `[[flow]]` on · `[capture]` how it
//! was captured · `[[flow]]` connections with `[[flow.step]]`s, see [`Step`]. In heads, `<key>` is a
//! key of the flow's own and `<accept>` the accept that belongs to it; `<key:2>` and `<accept:2>` are
//! those of the second flow.

use std::path::Path;

use serde::Deserialize;
use sha1::{Digest as _, Sha1};

use super::accept;
use super::file::Format;
use super::link::{self, Link, Packet};
use super::scene_h2;
use super::script::{self, Script, Segment, Side};
use super::shape;

/// A scene as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scene {
    pub about: String,
    pub raises: Vec<String>,
    #[serde(default)]
    pub also: Vec<Also>,
    /// Why tshark reads it otherwise; then it is not compared.
    pub tshark: Option<String>,
    /// Old text and new text.
    pub twin: Vec<(String, String)>,
    #[serde(default)]
    pub capture: Capture,
    pub flow: Vec<Flow>,
}

/// A rule that this scene raises besides its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Also {
    pub rule: String,
    pub why: String,
}

/// How the capture was made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Capture {
    pub link: String,
    pub vlans: Vec<u16>,
    pub pcapng: bool,
    /// Bytes kept of each packet; 0 keeps all.
    pub snaplen: usize,
    /// Places of packets that are missing, counted from 0.
    pub lose: Vec<usize>,
    /// `client` or `server`: the only side whose packets are in the capture.
    pub only: String,
    /// Place of a packet of which a copy follows whose payload ends otherwise; 0: none.
    pub forge: usize,
    /// Microseconds after which each packet is captured once more, as by a mirror of both ways; 0: once.
    pub mirrored_us: u64,
    /// Places of segments that are sent once more, a second later.
    pub again: Vec<usize>,
    /// Places of packets that a router rejects by ICMP: administratively prohibited.
    pub rejected: Vec<usize>,
    /// Places of packets that bear a time a second too early.
    pub earlier: Vec<usize>,
    /// Packets that the interface dropped, as a pcapng file says at its end.
    pub dropped: u8,
    /// Bytes that are missing at the end of the file.
    pub cut_end: usize,
    /// Place of a packet whose record in a pcap file is overwritten; 0: none.
    pub damage: usize,
    /// Sizes of pieces into which payload is cut; empty leaves it whole.
    pub split: Vec<usize>,
    /// How many places each segment behind the TCP handshake goes back in turn, 0 to 3.
    pub swap: Vec<u8>,
}

impl Default for Capture {
    fn default() -> Self {
        let link = "ethernet".to_owned();
        Capture {
            link,
            vlans: vec![],
            pcapng: false,
            snaplen: 0,
            lose: vec![],
            only: String::new(),
            forge: 0,
            mirrored_us: 0,
            again: vec![],
            rejected: vec![],
            earlier: vec![],
            dropped: 0,
            cut_end: 0,
            damage: 0,
            split: vec![],
            swap: vec![],
        }
    }
}

/// One TCP connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Flow {
    pub client: String,
    pub server: String,
    /// After the first flow's start.
    pub start_ms: u64,
    /// Its TCP handshake is not in the capture.
    pub midstream: bool,
    /// It consists of a SYN and of what the steps add.
    pub only_syn: bool,
    pub step: Vec<Step>,
}

impl Default for Flow {
    fn default() -> Self {
        Flow {
            client: "198.51.100.7:40000".to_owned(),
            server: "203.0.113.9:80".to_owned(),
            start_ms: 0,
            midstream: false,
            only_syn: false,
            step: vec![],
        }
    }
}

/// What happens next on a connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Lines of a head that the client sends; CRLF and the empty line are added.
    Client(String),
    /// The same of the server.
    Server(String),
    /// Bytes just as they stand; characters up to U+00FF are bytes.
    ClientRaw(String),
    ServerRaw(String),
    ClientFrame(Frame),
    ServerFrame(Frame),
    /// Frames of HTTP/2, in words: see `scene_h2.rs`.
    ClientH2(Vec<String>),
    ServerH2(Vec<String>),
    /// A 200 on this stream, a text message each way, and the closing handshake.
    GrantedH2(u32),
    /// A faultless request for an upgrade, and the 101 that grants it.
    Upgrade(bool),
    /// A text message each way, then the closing handshake and FINs.
    Talk(bool),
    /// As [`Step::Talk`], on one of two legs of a journey whose far leg began 5 ms later and was granted
    /// 10 ms after its request, 10 ms before the near one was: each side hears what the other one said
    /// after it was said.
    Relay(Leg),
    WaitMs(u64),
    /// Bytes to a segment from here on.
    SegmentBytes(usize),
    Fin(End),
    Rst(End),
    /// A side says that it takes so many bytes.
    Window(Of<u16>),
    /// The TTL of a side's packets from here on.
    Ttl(Of<u8>),
    /// A text of the client that nobody acknowledges, sent again so many times.
    Unheard(u32),
    /// A faultless request for an upgrade that nobody acknowledges, sent again so many times.
    UnheardRequest(u32),
    /// The request, whose answer is lost; the client leaves after so many milliseconds.
    LostAnswer(u64),
    /// A large message of the server that never arrives, sent again so many times.
    Swallowed(u32),
    /// A message of the client and all its acknowledgements are lost from here on: it is sent again so many times, and so is
    /// what the server said last.
    OneWay(u32),
    /// A Ping of the client and the Pong that answers it, so many times, each after so many milliseconds.
    Pings(Pings),
}

/// Something of one side.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of<T> {
    pub of: End,
    pub is: T,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pings {
    pub times: u32,
    pub every_ms: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Client,
    Server,
}

/// Which side of a hop.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leg {
    Near,
    Far,
}

/// A WebSocket frame: a text, or a Close with a code.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Frame {
    pub opcode: u8,
    #[serde(default)]
    pub text: String,
    pub code: Option<u16>,
}

/// All scenes: file stem and text, sorted.
pub(crate) fn all() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/scenes");
    let mut scenes: Vec<(String, String)> = std::fs::read_dir(&folder)
        .expect("samples/scenes")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| {
            let stem = path.file_stem().and_then(|s| s.to_str()).expect("UTF-8").to_owned();
            (stem, std::fs::read_to_string(&path).expect("a readable scene"))
        })
        .collect();
    scenes.sort();
    scenes
}

pub(crate) fn parse(name: &str, text: &str) -> Scene {
    toml::from_str(text).unwrap_or_else(|e| panic!("samples/scenes/{name}.toml: {e}"))
}

/// The scene with its twin's words.
pub(crate) fn twin(name: &str, text: &str) -> Scene {
    let (front, body) = text.split_at(text.find("[[flow]]").expect("a scene has a flow"));
    let mut body = body.to_owned();
    for (old, new) in parse(name, text).twin {
        assert!(body.contains(&old), "samples/scenes/{name}.toml: its twin replaces {old:?}, which is not there");
        body = body.replace(&old, &new);
    }
    parse(name, &format!("{front}{body}"))
}

impl Scene {
    /// The capture file.
    pub(crate) fn capture_file(&self) -> Vec<u8> {
        let how = &self.capture;
        let link = Link::parse(&how.link);
        let mut segments = self.segments();
        if !how.split.is_empty() {
            segments = shape::split(segments, &how.split);
        }
        segments = shape::reorder(segments, &how.swap);
        segments = shape::lose(segments, &how.lose);
        segments = match how.only.as_str() {
            "" => segments,
            "client" => shape::one_way(segments, Side::Client),
            "server" => shape::one_way(segments, Side::Server),
            other => panic!("only = {other:?}: say client or server"),
        };
        if how.forge > 0 {
            let mut copy = segments[how.forge].clone();
            *copy.payload.last_mut().expect("a payload") ^= 1;
            segments.insert(how.forge + 1, copy);
        }
        for &place in &how.again {
            let copy = segments[place].clone();
            segments.push(Segment { at_ns: copy.at_ns + 1_000_000_000, ..copy });
            segments.sort_by_key(|s| s.at_ns);
        }
        let mut packets: Vec<_> = segments.iter().map(|s| link::packet(s, link, &how.vlans)).collect();
        let rejections: Vec<_> = how.rejected.iter().map(|&place| link::rejection(&segments[place], link)).collect();
        packets.extend(rejections);
        packets.sort_by_key(|p| p.at_ns);
        if how.mirrored_us > 0 {
            let copies: Vec<_> = packets.iter().cloned().map(|p| (p.at_ns + how.mirrored_us * 1_000, p)).collect();
            packets.extend(copies.into_iter().map(|(at_ns, p)| Packet { at_ns, ..p }));
            packets.sort_by_key(|p| p.at_ns);
        }
        if how.snaplen > 0 {
            link::snap(&mut packets, how.snaplen);
        }
        let format = if how.pcapng { Format::pcapng(&[link]) } else { Format::pcap(link) };
        how.earlier.iter().for_each(|&place| packets[place].at_ns -= 1_000_000_000);
        let mut file = format.write(&packets);
        if how.damage > 0 {
            // Behind the file's header, each packet has a record header of 16 bytes.
            let record = 24 + packets[..how.damage].iter().map(|p| 16 + p.data.len()).sum::<usize>();
            file[record..record + 16].fill(0xff);
        }
        if how.dropped > 0 {
            // Interface Statistics Block: interface 0, no time, isb_ifdrop, opt_endofopt.
            let body = [&[0; 12], &[5, 0, 8, 0, how.dropped][..], &[0; 7], &[0; 4]].concat();
            format.block(&mut file, 5, &body);
        }
        file.truncate(file.len() - how.cut_end);
        file
    }

    pub(crate) fn segments(&self) -> Vec<Segment> {
        script::together(self.flow.iter().enumerate().map(|(index, flow)| flow.script(index)))
    }
}

impl Flow {
    fn script(&self, index: usize) -> Script {
        let script = Script::midstream(&self.client, &self.server).wait_ms(self.start_ms);
        let script = match (self.midstream, self.only_syn) {
            (true, _) => script,
            (_, true) => script.syn(),
            _ => script.handshake(),
        };
        self.step.iter().fold(script, |script, step| step.play(script, index))
    }
}

impl Step {
    fn play(&self, script: Script, flow: usize) -> Script {
        match self {
            Step::Client(lines) => script.head(Side::Client, &fill_in(lines, flow)),
            Step::Server(lines) => script.head(Side::Server, &fill_in(lines, flow)),
            Step::ClientRaw(text) => script.client(raw(&fill_in(text, flow))),
            Step::ServerRaw(text) => script.server(raw(&fill_in(text, flow))),
            Step::ClientFrame(frame) => script.frame(Side::Client, frame.opcode, &frame.payload()),
            Step::ServerFrame(frame) => script.frame(Side::Server, frame.opcode, &frame.payload()),
            Step::ClientH2(frames) => scene_h2::play(script, Side::Client, frames),
            Step::ServerH2(frames) => scene_h2::play(script, Side::Server, frames),
            Step::GrantedH2(stream) => scene_h2::granted(script, *stream),
            Step::Upgrade(_) => script.upgrade(&key(flow)),
            Step::Talk(_) => script.frame(Side::Client, 1, b"hello").frame(Side::Server, 1, b"welcome").goodbye(),
            Step::Relay(leg) => leg.play(script),
            Step::WaitMs(ms) => script.wait_ms(*ms),
            Step::SegmentBytes(bytes) => script.segment_bytes(*bytes),
            Step::Fin(end) => script.fin(end.side()),
            Step::Rst(end) => script.rst(end.side()),
            Step::Window(Of { of, is }) => script.window(of.side(), *is),
            Step::Ttl(Of { of, is }) => script.ttl(of.side(), *is),
            Step::Unheard(times) => script.unheard(Side::Client, "anybody there?", *times),
            Step::UnheardRequest(times) => script.unheard_request(&key(flow), *times),
            Step::LostAnswer(ms) => script.lost_answer(&key(flow), *ms),
            Step::Swallowed(times) => script.swallowed(*times),
            Step::OneWay(times) => script.one_way(*times),
            Step::Pings(Pings { times, every_ms }) => (0..*times).fold(script, |script, n| {
                let number = n.to_string();
                let script = script.wait_ms(*every_ms).frame(Side::Client, 9, number.as_bytes());
                script.frame(Side::Server, 10, number.as_bytes())
            }),
        }
    }
}

impl Leg {
    fn play(self, script: Script) -> Script {
        // Before each frame, in milliseconds.
        let [first, second, third, fourth] = match self {
            Leg::Near => [0, 10, 0, 10],
            Leg::Far => [8, 4, 8, 2],
        };
        let script = script.wait_ms(first).frame(Side::Client, 1, b"hello");
        let script = script.wait_ms(second).frame(Side::Server, 1, b"welcome");
        let script = script.wait_ms(third).frame(Side::Client, 8, &1000_u16.to_be_bytes());
        let script = script.wait_ms(fourth).frame(Side::Server, 8, &1000_u16.to_be_bytes());
        script.fin(Side::Server).fin(Side::Client)
    }
}

impl End {
    fn side(self) -> Side {
        match self {
            End::Client => Side::Client,
            End::Server => Side::Server,
        }
    }
}

impl Frame {
    fn payload(&self) -> Vec<u8> {
        let mut payload = self.code.map(|c| c.to_be_bytes().to_vec()).unwrap_or_default();
        payload.extend_from_slice(self.text.as_bytes());
        payload
    }
}

/// The key of a flow, counted from 0: any 16 bytes, the same in every run.
fn key(flow: usize) -> String {
    let digest = Sha1::digest(format!("flow {flow}").as_bytes());
    accept::key(digest[..16].try_into().expect("20 bytes have 16"))
}

fn fill_in(text: &str, flow: usize) -> String {
    let mut text = text.replace("<key>", &key(flow)).replace("<accept>", &accept::accept(&key(flow)));
    for number in 1..=9 {
        let key = key(number - 1);
        text = text.replace(&format!("<accept:{number}>"), &accept::accept(&key));
        text = text.replace(&format!("<key:{number}>"), &key);
    }
    text
}

fn raw(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character up to U+00FF")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
about = "a scene"
raises = ["req-http10"]
twin = [["HTTP/1.0", "HTTP/1.1"]]

[[flow]]
step = [{ client = """
GET /<key> HTTP/1.0
Host: a""" }, { server_raw = "\u00ff" }, { talk = true }]
"#;

    #[test]
    fn a_scene_and_its_twin_differ_by_the_words_of_the_twin() {
        let said = |scene: &Scene| -> Vec<u8> { scene.segments().into_iter().flat_map(|s| s.payload).collect() };
        let (scene, twin) = (said(&parse("x", TEXT)), said(&twin("x", TEXT)));
        assert!(scene.starts_with(format!("GET /{} HTTP/1.0\r\nHost: a\r\n\r\n", key(0)).as_bytes()));
        assert_eq!(scene.iter().zip(&twin).filter(|(a, b)| a != b).count(), 1);
        assert!(scene.contains(&0xff));
    }

    #[test]
    fn every_flow_has_a_key_of_its_own() {
        assert_ne!(key(0), key(1));
        assert_eq!(fill_in("<key:2> <accept:1>", 5), format!("{} {}", key(1), accept::accept(&key(0))));
    }
}
