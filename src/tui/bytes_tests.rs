//! The screen of bytes: what it asks for, what it shows of it, what it hides.

use std::path::PathBuf;
use std::sync::Arc;

use super::tests::{analysis, draw, key, text, type_in, ui};
use super::{Theme, Ui};
use crate::base::{PacketRef, limits};
use crate::capture::{Merged, Window};
use crate::engine::stretch::{Ask, From, Part, Piece, Stretch, Way, stretch};
use crate::model::{Direction, Exchange};
use crate::proto::tls::Secrets;
use crate::store::testing;
use crate::stream::{CloseHow, GapWhy};

const SIZE: (u16, u16) = (80, 24);
const WINDOW: u64 = limits::STRETCH_BYTES as u64;

/// Reads again what the screen wants, from captures in samples/.
pub(super) fn answer(ui: &mut Ui, files: &[&str]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    while let Some(ask) = ui.wants() {
        let x = ui.s.leg(ask.exchange).unwrap().clone();
        let mut inputs = Merged::open(&paths, &Window::default()).unwrap();
        let found = stretch(&mut inputs, Secrets::default(), &x, (ask.way, ask.from), &mut |_| true);
        ui.take_stretch(ask, Ok(Arc::new(found.unwrap().unwrap())));
    }
}

fn screen(ui: &mut Ui) -> String {
    text(&draw(ui, SIZE.0, SIZE.1))
}

/// So many bytes of a side from this offset on.
fn some(x: &Exchange, way: Way, begins: u64, len: usize, more: bool) -> Stretch {
    let from = if let Way::One(from) = way { from } else { Direction::ClientToServer };
    let what = Part::Bytes(0..len);
    let piece = Piece { from, offset: begins, at: PacketRef::new(0, 7), ts: x.request.first, what };
    Stretch { bytes: vec![b'a'; len], pieces: vec![piece], begins, ends: begins + len as u64, more }
}

fn asked(ui: &Ui) -> (Way, From) {
    let ask = ui.wants().unwrap();
    (ask.way, ask.from)
}

/// Gives it what it asks for: see [`some`].
fn give(ui: &mut Ui, begins: u64, len: usize, more: bool) {
    let ask = ui.wants().unwrap();
    let some = some(&ui.s.leg(ask.exchange).unwrap().clone(), ask.way, begins, len, more);
    ui.take_stretch(ask, Ok(Arc::new(some)));
}

#[test]
fn what_is_kept_is_shown_until_the_stream_is_there_or_cannot_be() {
    let mut ui = ui(testing::sample(), Theme::default());
    type_in(&mut ui, "x", SIZE);
    let shown = screen(&mut ui);
    assert!(shown.contains(" this is what the analysis keeps; loading…"), "{shown}");
    assert!(shown.contains("HTTP/1.1··Host:"), "the request: {shown}");
    let ask = ui.wants().unwrap();
    ui.take_stretch(ask, Err("the inputs changed since they were read".to_owned()));
    assert_eq!(ui.wants(), None, "it does not ask again");
    let shown = screen(&mut ui);
    assert!(shown.contains("this is what the analysis keeps; the inputs changed since they were read"), "{shown}");
    assert!(shown.contains("HTTP/1.1··Host:"), "{shown}");
    type_in(&mut ui, "Tab", SIZE);
    give(&mut ui, 0, 40, false);
    type_in(&mut ui, "Shift-Tab", SIZE);
    assert_eq!(ui.wants(), None, "the way back takes no time");
    type_in(&mut ui, "q", SIZE);
    assert_eq!(ui.wants(), None, "other screens want nothing");
}

#[test]
fn while_the_inputs_are_read_nothing_is_read_again() {
    let mut ui = ui(testing::sample(), Theme::default());
    ui.reading = Some(super::Reading::default());
    type_in(&mut ui, "x", SIZE);
    assert_eq!(ui.wants(), None);
    assert!(screen(&mut ui).contains("the rest can be read when all is"));
    ui.reading = None;
    assert!(ui.wants().is_some());
}

#[test]
fn another_analysis_is_read_anew() {
    let mut ui = ui(testing::sample(), Theme::default());
    type_in(&mut ui, "x", SIZE);
    give(&mut ui, 0, 40, false);
    assert_eq!(ui.wants(), None);
    ui.take(super::Ready::new(testing::sample()));
    assert!(ui.wants().is_some());
}

#[test]
fn it_reads_on_where_the_cursor_would_leave_what_was_read() {
    let mut ui = ui(testing::sample(), Theme::default());
    let client = Way::One(Direction::ClientToServer);
    type_in(&mut ui, "S x", SIZE);
    assert_eq!(asked(&ui), (client, From::Position(0)));
    give(&mut ui, 0, 4_096, true);
    assert_eq!(ui.wants(), None);
    let (_, rows) = ui.cursor();
    type_in(&mut ui, "PgDn", SIZE);
    assert_eq!((ui.wants(), ui.cursor().1), (None, rows), "there is more in what was read");
    for _ in 0..40 {
        key(&mut ui, "PgDn");
        if ui.wants().is_some() {
            break;
        }
    }
    assert_eq!(asked(&ui), (client, From::Position(3_072)), "with something before where it goes on");
}

#[test]
fn far_into_a_stream_it_goes_on_at_the_same_byte() {
    let mut ui = ui(testing::sample(), Theme::default());
    type_in(&mut ui, "S x", SIZE);
    give(&mut ui, 0, 4_096, true);
    type_in(&mut ui, "G", SIZE);
    assert_eq!(asked(&ui).1, From::End);
    assert!(screen(&mut ui).contains(" loading…"), "what was read before stays meanwhile");
    let far = 100 * WINDOW;
    give(&mut ui, far, 4_096, false);
    assert!(screen(&mut ui).contains(&format!("{:08x}", far + 4_080)), "the end: {}", screen(&mut ui));
    type_in(&mut ui, "k", SIZE);
    assert_eq!(ui.wants(), None);
    for _ in 0..300 {
        key(&mut ui, "Up");
        if ui.wants().is_some() {
            break;
        }
    }
    assert_eq!(asked(&ui).1, From::Position(far - WINDOW / 4));
    give(&mut ui, far - 320, 4_096, true);
    let at = screen(&mut ui).lines().find(|line| line.starts_with('►')).map(str::to_owned);
    assert!(at.is_some_and(|line| line.contains(&format!("{far:08x}"))), "{}", screen(&mut ui));
    type_in(&mut ui, "g", SIZE);
    assert_eq!(ui.wants(), None, "the beginning is still known");
    assert!(screen(&mut ui).contains("00000000"), "{}", screen(&mut ui));
}

#[test]
fn a_jump_to_evidence_reads_on_where_that_is_not_in_what_was_read() {
    let far = 20 * WINDOW;
    let mut a = testing::sample();
    a.findings.iter_mut().flat_map(|f| &mut f.evidence).for_each(|e| e.bytes = Some(far..far + 9));
    let mut ui = ui(a, Theme::default());
    type_in(&mut ui, "S x Tab", SIZE);
    give(&mut ui, 0, 4_096, true);
    key(&mut ui, "]");
    assert_eq!(asked(&ui).1, From::Position(far - WINDOW / 4));
    give(&mut ui, far - 320, 4_096, true);
    let at = screen(&mut ui).lines().find(|line| line.starts_with('►')).map(str::to_owned);
    assert!(at.is_some_and(|line| line.contains(&format!("{far:08x}"))), "{}", screen(&mut ui));
}

#[test]
fn holes_and_ends_are_told_and_the_sides_told_apart() {
    let mut ui = ui(testing::sample(), Theme::default());
    type_in(&mut ui, "S x Tab Tab", SIZE);
    let ask = ui.wants().unwrap();
    assert_eq!(ask.way, Way::Both);
    let (up, down) = (Direction::ClientToServer, Direction::ServerToClient);
    let piece = |from, offset, what| Piece { from, offset, at: PacketRef::new(0, 9), ts: Default::default(), what };
    let pieces = vec![
        piece(up, 500, Part::Bytes(0..3)),
        piece(down, 900, Part::Hole(Some(1_460), GapWhy::Lost)),
        piece(down, 2_360, Part::Bytes(3..5)),
        piece(down, 2_362, Part::Bytes(5..6)),
        piece(up, 503, Part::Hole(Some(30), GapWhy::Cut)),
        piece(up, 533, Part::Hole(Some(7), GapWhy::Evicted)),
        piece(down, 2_363, Part::Hole(None, GapWhy::Lost)),
        piece(up, 540, Part::Over(CloseHow::Rst)),
    ];
    let stretch = Stretch { bytes: b"abcdef".to_vec(), pieces, begins: 0, ends: 1_503, more: false };
    ui.take_stretch(ask, Ok(Arc::new(stretch)));
    let shown = screen(&mut ui);
    for words in [
        "→ client, packet 9",
        "000001f4 61 62 63",
        "··· 1 460 B lost ···",
        "← server, packet 9",
        "00000938 64 65 66",
        "··· 30 B cut off by the snap length ···",
        "··· 7 B given up: a limit was reached ···",
        "··· an unknown number of bytes lost ···",
        "→ RST of the client, packet 9",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn what_may_be_secret_is_hidden_until_a_key_shows_it() {
    let head = "GET /chat?token=hunter2&a=b HTTP/1.1\r\nHost: example\r\nCookie: sid=hunter2\r\nX-Odd line\r\n\
                Authorization: Bearer hunter2\r\nUpgrade: websocket\r\n\r\n";
    let mut a = testing::sample();
    for row in &mut a.rows {
        row.exchange.request = testing::head(head, row.exchange.request.at.number(), row.exchange.request.first);
    }
    let mut ui = ui(a, Theme::default());
    type_in(&mut ui, "x", (160, 60));
    let ask = ui.wants().unwrap();
    let x = ui.s.leg(ask.exchange).unwrap().clone();
    let mut all = some(&x, ask.way, x.request.range.start, 0, false);
    all.bytes = [head.as_bytes(), b"hunter2, and what else a body may hold: hunter2"].concat();
    all.pieces[0].what = Part::Bytes(0..all.bytes.len());
    ui.take_stretch(ask, Ok(Arc::new(all)));
    // The text column of all rows, one after the other.
    let column = |ui: &mut Ui| {
        let shown = text(&draw(ui, 160, 60));
        let offset = |line: &&str| line.chars().skip(3).take(8).collect::<String>();
        let rows =
            shown.lines().filter(|line| offset(line).len() == 8 && u32::from_str_radix(&offset(line), 16).is_ok());
        rows.map(|line| line.chars().skip(62).collect::<String>()).collect::<String>()
    };
    let hidden = column(&mut ui);
    assert!(!hidden.contains("hunter") && !hidden.contains("Odd"), "{hidden}");
    for open in
        ["GET /chat******", "&a=b HTTP/1.1", "Host: example", "Cookie: ***", "Authorization: ***", "Upgrade: websocket"]
    {
        assert!(hidden.contains(open), "{open}: {hidden}");
    }
    let shown = text(&draw(&mut ui, 160, 60));
    assert!(shown.contains("47 B that may hold secrets are not shown: S shows them"), "{shown}");
    let copied = key(&mut ui, "y");
    assert!(!format!("{copied:?}").contains("68 75 6e 74"), "nor in hex");
    type_in(&mut ui, "S", (160, 60));
    assert_eq!(column(&mut ui).matches("hunter2").count(), 5, "{}", column(&mut ui));
}

#[test]
fn it_opens_where_the_other_screens_point_to() {
    let files = ["nginx-right-client-side.pcap"];
    let at_cursor = |keys: &str| {
        let mut ui = ui(analysis(&files), Theme::default());
        type_in(&mut ui, keys, SIZE);
        if keys != "w j x" {
            answer(&mut ui, &files);
        }
        let shown = screen(&mut ui);
        let above = shown.lines().position(|line| line.starts_with('►')).unwrap_or_default();
        let row = |at: usize| shown.lines().nth(at).unwrap_or_default().trim_start_matches('►').trim().to_owned();
        (row(above.saturating_sub(1)), row(above).chars().take(11).collect::<String>())
    };
    // Of what is kept, too, whose rows leave out what is not.
    assert_eq!(at_cursor("w j x"), ("← text 10B, packet 9".to_owned(), "00000120 c1".to_owned()));
    assert_eq!(at_cursor("w G x"), ("← close 1000 normal, packet 15".to_owned(), "0000013d 88".to_owned()));
    assert_eq!(at_cursor("Enter j j x"), ("← response, packet 6".to_owned(), "00000000 48".to_owned()));
    assert_eq!(at_cursor("m Tab x"), ("← response, packet 6".to_owned(), "00000000 48".to_owned()));
}

#[test]
fn a_leg_on_a_connection_that_was_used_before_opens_where_it_begins() {
    let mut a = testing::sample();
    for row in &mut a.rows {
        for (head, by) in
            [(Some(&mut row.exchange.request), 40 * WINDOW), (row.exchange.response.as_mut(), 90 * WINDOW)]
        {
            if let Some(head) = head {
                head.range = head.range.start + by..head.range.end + by;
            }
        }
    }
    let mut ui = ui(a, Theme::default());
    type_in(&mut ui, "x", SIZE);
    assert_eq!(asked(&ui).1, From::Position(40 * WINDOW - WINDOW / 4));
    let cursor = screen(&mut ui).lines().position(|line| line.starts_with('►'));
    assert!(cursor.is_some_and(|at| at < 8), "{}", screen(&mut ui));
    type_in(&mut ui, "Tab", SIZE);
    assert_eq!(asked(&ui).1, From::Position(90 * WINDOW - WINDOW / 4));
    type_in(&mut ui, "Tab", SIZE);
    assert_eq!(asked(&ui), (Way::Both, From::Position(0)));
}

#[test]
fn what_was_pointed_to_is_lit_and_nothing_else() {
    let files = ["nginx-right-client-side.pcap"];
    let mut ui = ui(analysis(&files), Theme::default());
    type_in(&mut ui, "m Tab x", (160, 60));
    answer(&mut ui, &files);
    let buf = draw(&mut ui, 160, 60);
    let of = |words: &str| {
        let shown = text(&buf);
        let row = shown.lines().position(|line| line.contains(words)).unwrap();
        buf.cell((13, u16::try_from(row).unwrap())).unwrap().style()
    };
    assert_ne!(of("00000010 "), of("c1 0a"), "the response, not the frame behind it");
}

#[test]
fn what_was_pointed_to_is_lit_on_its_own_leg_alone() {
    let files = ["nginx-right-client-side.pcap", "nginx-right-server-side.pcap"];
    let mut ui = ui(analysis(&files), Theme::default());
    let style = |ui: &mut Ui| {
        let buf = draw(ui, 160, 60);
        let row = text(&buf).lines().position(|line| line.contains("00000010 ")).unwrap();
        buf.cell((13, u16::try_from(row).unwrap())).unwrap().style()
    };
    type_in(&mut ui, "m x", (160, 60));
    answer(&mut ui, &files);
    let lit = style(&mut ui);
    for _ in 0..3 {
        key(&mut ui, "Tab");
        answer(&mut ui, &files);
    }
    assert!(screen(&mut ui).contains("leg 2, client"), "{}", screen(&mut ui));
    assert_ne!(style(&mut ui), lit, "the same offsets of another leg");
}

#[test]
fn a_wish_that_came_too_late_is_not_shown() {
    let mut ui = ui(testing::sample(), Theme::default());
    type_in(&mut ui, "x", SIZE);
    let first = ui.wants().unwrap();
    type_in(&mut ui, "Tab", SIZE);
    let second = ui.wants().unwrap();
    assert_ne!(first, second);
    let x = ui.s.leg(first.exchange).unwrap().clone();
    ui.take_stretch(first, Ok(Arc::new(some(&x, first.way, 0, 4_096, false))));
    assert_eq!(ui.wants(), Some(second), "it waits for its own");
    assert!(screen(&mut ui).contains("loading…"));
}

/// Bytes as nobody would send them, for whatever is asked.
pub(super) fn odd(ask: &Ask, seed: u64) -> Stretch {
    let mut all = Stretch { begins: seed % 3 * u64::from(u32::MAX), more: seed % 2 == 1, ..Stretch::default() };
    let mut offset = all.begins;
    for n in 0..seed % 50 {
        let from = match ask.way {
            Way::One(from) => from,
            Way::Both if n % 3 == 0 => Direction::ServerToClient,
            Way::Both => Direction::ClientToServer,
        };
        let at = all.bytes.len();
        let what = match n % 7 {
            5 => Part::Hole((n % 2 == 0).then_some(u64::MAX - seed), GapWhy::Lost),
            6 => Part::Over(CloseHow::Fin),
            _ => {
                all.bytes.extend((0..n % 40).map(|i| (seed.wrapping_mul(n + 1) >> (i % 56)).to_le_bytes()[0]));
                Part::Bytes(at..all.bytes.len())
            }
        };
        let piece = Piece { from, offset, at: PacketRef::new(0, n), ts: Default::default(), what };
        offset = offset.wrapping_add(piece.len());
        all.pieces.push(piece);
    }
    all.ends = offset;
    all
}
