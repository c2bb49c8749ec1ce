//! Whole sessions without a terminal: keys in, cells out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::{Effect, Form, Palette, Reading, Ready, Scope, Shared, Theme, Ui, bytes_tests, keys};
use crate::capture::{Merged, Window};
use crate::engine::{self, Collected, Engine, Judge, judge};
use crate::products::Products;
use crate::store::{Analysis, testing};

const SIZES: [(u16, u16); 3] = [(80, 24), (160, 48), (40, 10)];

const FORGETS: &[&str] = &["nginx-forgets-upgrade-client-side.pcap", "nginx-forgets-upgrade-server-side.pcap"];
const RIGHT: &[&str] = &["nginx-right-client-side.pcap", "nginx-right-server-side.pcap"];
const MANY: &[&str] = &["120-clients-three-locations.pcapng"];

/// TLS that was not read before a plain leg, and alone.
const UNREAD: &[&str] = &[
    "../tests/field/nginx-stream-tls-term-proxy-timeout-2s/leg1.pcap",
    "../tests/field/nginx-stream-tls-term-proxy-timeout-2s/leg2.pcap",
];
const ALONE: &[&str] = &["../tests/field/tls-rst-injected-both-sides-ttl255/leg1.pcap"];

/// A name, captures, and the keys that lead to the screen.
const SCREENS: &[(&str, &[&str], &str)] = &[
    ("chains", MANY, "j"),
    ("chains-unfolded", FORGETS, "Right"),
    ("chains-filtered", MANY, "/ s t a t u s : 1 0 1 Enter"),
    ("chains-grouped", MANY, "o o o o s g h j j l"),
    ("filter-typed", MANY, "/ h o t s : x"),
    ("ladder", FORGETS, "Enter"),
    ("ladder-frames", RIGHT, "Enter G"),
    ("ladder-fix", FORGETS, "Enter Tab"),
    ("message", FORGETS, "Enter Enter"),
    ("timeline", MANY, "t j"),
    ("timeline-legs", FORGETS, "t Tab z"),
    ("timeline-frames", RIGHT, "t z"),
    ("timeline-grouped", MANY, "t o o o o g h j j"),
    ("timeline-zoomed", MANY, "t z + + h"),
    ("bytes", FORGETS, "x ]"),
    ("bytes-both", RIGHT, "x Tab Tab j"),
    ("bytes-frame", RIGHT, "w j x S"),
    ("flows", FORGETS, "4"),
    ("diff", FORGETS, "d"),
    ("findings", MANY, "f"),
    ("frames", RIGHT, "w"),
    ("help", FORGETS, "?"),
    ("palette", FORGETS, ": f r a"),
    ("export", MANY, "Space e j"),
    ("summary", MANY, "5"),
    ("summary-limits", UNREAD, "5 j"),
    ("ladder-unread", UNREAD, "Enter G"),
    ("ladder-unread-alone", ALONE, "Enter"),
    ("flows-unread", UNREAD, "4"),
];

#[test]
fn every_screen_looks_as_accepted() {
    for (name, files, script) in SCREENS {
        let a = analysis(files);
        for (w, h) in SIZES {
            let mut ui = ui(a.clone(), Theme::default());
            type_before(&mut ui, files, script, (w, h));
            accept(&format!("{name}-{w}x{h}"), &text(&draw(&mut ui, w, h)));
        }
    }
}

#[test]
fn the_screens_in_the_readme_are_real() {
    let readme = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for script in ["Enter", "t Tab z"] {
        let mut ui = ui(analysis(FORGETS), Theme::default());
        type_in(&mut ui, script, (80, 24));
        let screen = text(&draw(&mut ui, 80, 24));
        assert!(readme.contains(&screen), "README.md should show:\n{screen}");
    }
}

#[test]
fn where_nothing_was_seen_the_first_screen_says_why() {
    let mut a = testing::sample();
    (a.rows, a.chains, a.findings) = Default::default();
    a.counters.http_requests = 0;
    let screen = text(&draw(&mut ui(a, Theme::default()), 80, 24));
    assert!(screen.contains("No upgrade was seen") && screen.contains("Possible reasons, and what to do:"), "{screen}");
}

#[test]
fn what_comes_while_it_reads_leaves_the_cursor_where_the_user_put_it() {
    let mut ui = Ui::new(Shared::new(Theme::default(), false, true));
    draw(&mut ui, 80, 24);
    ui.take(Ready::new(testing::many(3, 1)));
    assert_eq!(ui.s.chain().map(|chain| chain.id), Some(1), "the worst comes first into view");
    assert!(text(&draw(&mut ui, 80, 24)).contains("4 chains so far"));
    type_in(&mut ui, "g j", (80, 24));
    ui.take(Ready::new(testing::many(6, 1)));
    assert_eq!(ui.s.chain().map(|chain| chain.id), Some(2));
    type_in(&mut ui, "F", (80, 24));
    ui.take(Ready::new(testing::many(8, 1)));
    assert_eq!((ui.cursor(), ui.s.chain().map(|chain| chain.id)), ((8, 9), Some(9)));
    type_in(&mut ui, "r", (80, 24));
    ui.take(Ready::new(testing::many(9, 1)));
    let newest = ((0, 10), Some(10));
    assert_eq!((ui.cursor(), ui.s.chain().map(|chain| chain.id)), newest, "the newest one, in whatever order");
    type_in(&mut ui, "r : 2 Enter", (80, 24));
    ui.take(Ready::new(testing::many(8, 1)));
    assert_eq!(ui.s.chain().map(|chain| chain.id), Some(2), "who goes to a number stays there");
    type_in(&mut ui, "F", (80, 24));
    type_in(&mut ui, "k", (80, 24));
    ui.take(Ready::new(testing::many(9, 1)));
    assert_eq!(ui.s.chain().map(|chain| chain.id), Some(8), "moving up ends following");
}

#[test]
fn a_held_view_stays_and_takes_what_came_when_it_is_let_go() {
    let mut ui = ui(testing::many(2, 0), Theme::default());
    type_in(&mut ui, "p", (80, 24));
    ui.take(Ready::new(testing::many(5, 0)));
    assert_eq!(ui.cursor().1, 2);
    assert!(text(&draw(&mut ui, 80, 24)).contains("‖ held, 3 new"));
    type_in(&mut ui, "p", (80, 24));
    assert_eq!(ui.cursor().1, 5);
}

#[test]
fn an_open_ladder_follows_its_chain_into_the_next_analysis() {
    let mut early = testing::many(2, 1);
    early.chains.remove(0);
    let mut ui = ui(early, Theme::default());
    type_in(&mut ui, "G Enter", (80, 24));
    assert!(text(&draw(&mut ui, 80, 24)).contains("ladder #3"));
    ui.take(Ready::new(testing::many(2, 1)));
    assert!(text(&draw(&mut ui, 80, 24)).contains("ladder #3"));
}

#[test]
fn a_filter_over_many_chains_leaves_what_is_shown_until_it_is_done() {
    let mut ui = ui(testing::many(11_000, 1_000), Theme::default());
    ui.s.patience = Duration::ZERO;
    type_in(&mut ui, "/ s t a t u s : 1 0 1 Enter", (80, 24));
    assert!(ui.s.is_filtering());
    assert_eq!(ui.cursor().1, 12_000);
    assert!(text(&draw(&mut ui, 80, 24)).contains("… 12 000 of 12 000"));
    while ui.work() {}
    assert_eq!(ui.s.visible.len(), ui.cursor().1);
    let alone = crate::store::select::chains(&ui.s.a, &crate::store::Filter::parse("status:101").unwrap());
    assert_eq!(ui.s.visible.len(), alone.iter().filter(|keep| **keep).count());
}

#[test]
fn what_makes_filters_fast_is_taken_for_its_own_analysis_alone() {
    let columns = |ready: &Ready| ready.rest().make(&|| true).unwrap();
    let found = |ui: &mut Ui, filter: &str| {
        ui.s.filter(filter);
        while ui.work() {}
        ui.s.visible.clone()
    };
    let (early, late) = (Ready::new(testing::many(2, 3)), Ready::new(testing::journeys()));
    let (of_early, of_late) = (columns(&early), columns(&late));
    let mut ui = ui(testing::sample(), Theme::default());
    ui.take(early);
    ui.take_columns(of_late);
    assert_eq!(found(&mut ui, "rule:accept-*").len(), 3, "those of another analysis answer nothing");
    ui.take_columns(of_early);
    assert_eq!(found(&mut ui, "rule:accept-*").len(), 3);
    type_in(&mut ui, "p", (80, 24));
    let of_late = columns(&late);
    ui.take(late);
    ui.take_columns(of_late);
    assert_eq!(found(&mut ui, "rule:accept-*").len(), 3, "the view is held");
    type_in(&mut ui, "p", (80, 24));
    assert_eq!(found(&mut ui, "hop:edge").len(), 1);
}

#[test]
fn an_export_asks_for_what_is_marked_or_under_the_cursor() {
    let mut ui = ui(testing::many(4, 0), Theme::default());
    type_in(&mut ui, "g e", (80, 24));
    assert!(text(&draw(&mut ui, 80, 24)).contains("write chain #1"));
    let asked = |effect: Effect| match effect {
        Effect::Write(request) => request,
        other => panic!("{other:?}"),
    };
    let request = asked(key(&mut ui, "Enter"));
    assert_eq!((request.form, request.scope.clone()), (Form::Report("text"), Scope::Chains(vec![1])));
    assert_eq!((request.stem(), request.extension()), ("hopscope-1".to_owned(), "txt"));
    type_in(&mut ui, "g Space j Space", (80, 24));
    assert!(text(&draw(&mut ui, 80, 24)).contains("■ ✓"));
    type_in(&mut ui, "e j j j j j j j j j j j", (80, 24));
    let request = asked(key(&mut ui, "Enter"));
    assert_eq!((request.form, request.scope), (Form::Packets, Scope::Chains(vec![1, 3])));
    type_in(&mut ui, "e Tab Tab", (80, 24));
    assert_eq!(asked(key(&mut ui, "Enter")).scope, Scope::Filter(String::new()));
}

#[test]
fn two_marked_messages_are_compared() {
    let mut ui = ui(analysis(FORGETS), Theme::default());
    type_in(&mut ui, "Enter g j Space j j Space d", (80, 24));
    let screen = text(&draw(&mut ui, 80, 24));
    assert!(screen.contains("diff of the marked messages") && screen.contains("GET /chat HTTP/1.0"), "{screen}");
}

#[test]
fn ascii_screens_are_ascii_and_have_the_same_words() {
    for (name, files, script) in SCREENS {
        let a = analysis(files);
        let [plain, ascii] = [false, true].map(|ascii| {
            let mut ui = ui(a.clone(), Theme { ascii, ..Theme::default() });
            type_before(&mut ui, files, script, (80, 24));
            text(&draw(&mut ui, 80, 24))
        });
        assert!(ascii.is_ascii(), "{name}: {ascii}");
        let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).collect::<String>();
        // Marks are letters there.
        let marks = |text: &str| words(text).replace(['x', 'v', 'o', 'u'], "").len();
        assert!(marks(&plain).abs_diff(marks(&ascii)) <= 3, "{name}:\n{plain}\n{ascii}");
        accept(&format!("{name}-ascii"), &ascii);
    }
}

#[test]
fn without_colours_the_cursor_and_faults_are_seen() {
    for (name, files, script) in SCREENS {
        let mut ui = ui(analysis(files), Theme { palette: Palette::None, ascii: false });
        type_before(&mut ui, files, script, (80, 24));
        let buf = draw(&mut ui, 80, 24);
        let plain = |color: Color| color == Color::Reset;
        assert!(buf.content().iter().all(|cell| plain(cell.fg) && plain(cell.bg)), "{name} has a colour");
        accept(&format!("{name}-no-color"), &roles(&buf));
    }
}

#[test]
fn while_it_reads_the_screen_says_how_far_it_is() {
    let reading =
        Reading { bytes: 1_900_000_000, total: Some(4_700_000_000), seconds: 9.0, judging: false, live: None };
    let first = |reading, w| {
        let mut ui = Ui::new(Shared::new(Theme::default(), false, true));
        ui.reading = Some(reading);
        text(&draw(&mut ui, w, 24)).lines().next().unwrap_or_default().to_owned()
    };
    assert!(
        first(reading.clone(), 120).ends_with("1.9GB of 4.7GB ▕█████████               ▏  40%  211 MB/s  13 s left")
    );
    assert!(first(reading.clone(), 80).ends_with("▕████      ▏ 40% 13 s left"));
    let pipe = Reading { total: None, ..reading.clone() };
    assert!(first(pipe, 80).ends_with("1.9GB read  211 MB/s"));
    assert!(first(Reading { judging: true, ..reading }, 80).ends_with("finding verdicts …"));
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let mut ui = ui(testing::sample(), Theme::default());
    assert_eq!(text(&draw(&mut ui, 39, 8)).trim_end(), "hopscope needs 40×10 (now 39×8)");
    for (w, h) in [(0, 0), (1, 1), (2, 1), (1, 40), (300, 1), (500, 200)] {
        draw(&mut ui, w, h);
    }
}

#[test]
fn secrets_are_masked_on_every_screen_until_a_key_shows_them() {
    let mut ui = ui(testing::sample(), Theme::default());
    let mut seen = String::new();
    for key in ["j", "Enter", "Tab", "Tab", "Enter", "Esc", "Esc", "f"] {
        type_in(&mut ui, key, (160, 48));
        seen.push_str(&text(&draw(&mut ui, 160, 48)));
    }
    assert!(seen.contains("[redacted #") && !seen.contains("topsecret"), "{seen}");
    type_in(&mut ui, "q m S", (160, 48));
    assert!(text(&draw(&mut ui, 160, 48)).contains("topsecret"));
}

#[test]
fn a_number_goes_to_its_chain_and_a_filter_that_hides_it_goes() {
    let mut ui = ui(testing::many(5, 5), Theme::default());
    type_in(&mut ui, "/ s t a t u s : 4 0 4 Enter", (80, 24));
    assert!(text(&draw(&mut ui, 80, 24)).contains("Nothing matches the filter; without it there are 10."));
    type_in(&mut ui, ": 7 Enter", (80, 24));
    assert_eq!((ui.s.chain().map(|chain| chain.id), ui.cursor()), (Some(7), (6, 10)));
    type_in(&mut ui, ": 9 9 Enter", (80, 24));
    assert!(text(&draw(&mut ui, 80, 24)).contains("there is no #99"));
}

#[test]
fn a_filter_that_is_not_understood_leaves_what_is_shown() {
    let mut ui = ui(testing::sample(), Theme::default());
    type_in(&mut ui, "/ s t a t u s : 1 0 1", (80, 24));
    assert_eq!(ui.cursor().1, 2);
    type_in(&mut ui, "Space x :", (80, 24));
    assert_eq!(ui.cursor().1, 2);
    assert!(text(&draw(&mut ui, 80, 24)).contains("unknown key `x`"));
    type_in(&mut ui, "Esc", (80, 24));
    assert_eq!((ui.cursor().1, ui.s.filter.text.as_str()), (3, ""));
}

#[test]
fn what_is_copied_is_told_and_q_leaves_step_by_step() {
    let mut ui = ui(testing::sample(), Theme::default());
    draw(&mut ui, 80, 24);
    let effect = key(&mut ui, "y");
    assert!(matches!(&effect, Effect::Copy(text) if text.contains("accept-mismatch")), "{effect:?}");
    type_in(&mut ui, "Enter Enter", (80, 24));
    assert_eq!(ui.place(), "message");
    type_in(&mut ui, "q", (80, 24));
    assert_eq!(ui.place(), "ladder");
    type_in(&mut ui, "q", (80, 24));
    assert_eq!(key(&mut ui, "q"), Effect::Quit);
    assert_eq!(key(&mut ui, "Ctrl-c"), Effect::Quit);
}

#[test]
fn rows_are_sorted_and_grouped_by_keys_and_by_a_click_on_a_heading() {
    let mut ui = ui(testing::many(3, 3), Theme::default());
    let ids = |ui: &Ui| (0..6).filter_map(|place| ui.s.at(place)).map(|(_, chain)| chain.id).collect::<Vec<_>>();
    type_in(&mut ui, "r", (80, 24));
    assert_eq!(ids(&ui), [6, 5, 4, 3, 2, 1]);
    assert!(text(&draw(&mut ui, 80, 24)).contains("sorted by time, reversed"));
    let chosen = ui.s.chain().map(|chain| chain.id);
    // The heading of the status.
    let head = text(&draw(&mut ui, 80, 24)).lines().nth(2).and_then(|line| line.find("St ")).unwrap_or_default();
    let column = u16::try_from(head).unwrap_or_default();
    let kind = MouseEventKind::Down(MouseButton::Left);
    ui.event(&Event::Mouse(MouseEvent { kind, column, row: 2, modifiers: KeyModifiers::NONE }));
    assert!(text(&draw(&mut ui, 80, 24)).contains("St▴"));
    assert_eq!(ids(&ui), [1, 2, 3, 4, 5, 6]);
    type_in(&mut ui, "o o o o", (80, 24));
    assert_eq!((ui.s.groups.len(), ui.cursor().1), (2, 8));
    assert_eq!(ui.s.chain().map(|chain| chain.id), chosen, "what is looked at stays so");
    type_in(&mut ui, "g h", (80, 24));
    assert_eq!(ui.cursor(), (0, 5), "the first group is folded");
    type_in(&mut ui, "Enter", (80, 24));
    assert_eq!(ui.place(), "ladder");
    type_in(&mut ui, "q o", (80, 24));
    assert_eq!((ui.s.groups.len(), ui.cursor().1), (0, 6));
}

#[test]
fn many_chains_are_put_in_order_between_two_keys() {
    let mut ui = ui(testing::many(11_000, 1_000), Theme::default());
    ui.s.patience = Duration::ZERO;
    type_in(&mut ui, "r", (80, 24));
    assert!(ui.s.is_filtering());
    assert_eq!(ui.s.at(0).map(|(index, _)| index), Some(0), "the old order stays in view");
    while ui.work() {}
    assert_eq!(ui.s.at(0).map(|(index, _)| index), Some(11_999));
}

#[test]
fn a_click_chooses_and_a_second_one_opens() {
    let mut ui = ui(testing::many(3, 3), Theme::default());
    draw(&mut ui, 80, 24);
    let click = |ui: &mut Ui| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        ui.event(&Event::Mouse(MouseEvent { kind, column: 10, row: 6, modifiers: KeyModifiers::NONE }))
    };
    click(&mut ui);
    assert_eq!((ui.place(), ui.cursor().0), ("chains", 3));
    click(&mut ui);
    assert_eq!(ui.place(), "ladder");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_at_any_size_draw_safely(
        which in 0_usize..5,
        ascii in any::<bool>(),
        steps in prop::collection::vec((0_usize..140, 0_u16..200, 0_u16..60), 1..40),
    ) {
        let a = match which {
            0 => testing::sample(),
            1 => testing::journeys(),
            2 => testing::odd(),
            3 => hostile(),
            _ => Analysis::default(),
        };
        let mut ui = ui(a, Theme { ascii, ..Theme::default() });
        let names: Vec<&str> = keys::BINDINGS.iter().flat_map(|b| b.keys).copied().filter(|k| *k != "Ctrl-z").collect();
        for (pick, w, h) in steps {
            let typed = ["s", "t", "a", ":", "1", "0", "-", "x", "Backspace"];
            if let Some(name) = names.get(pick).or_else(|| typed.get(pick % typed.len())) {
                key(&mut ui, name);
            }
            if let Some(ask) = ui.wants().filter(|_| pick % 3 != 0) {
                let read = if pick % 3 == 1 { Ok(Arc::new(bytes_tests::odd(&ask, u64::from(w) * 7 + u64::from(h)))) } else { Err("\u{1b}".to_owned()) };
                ui.take_stretch(ask, read);
            }
            let buf = draw(&mut ui, w, h);
            let (cursor, rows) = ui.cursor();
            prop_assert!(cursor < rows.max(1), "{}: row {cursor} of {rows}", ui.place());
            for cell in buf.content() {
                let bad = cell.symbol().chars().find(|c| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
                prop_assert_eq!(bad, None);
            }
        }
    }
}

/// Captured bytes that would move a cursor, reorder or hide.
fn hostile() -> Analysis {
    let mut a = testing::journeys();
    let head = "GET /\u{1b}[31m\u{202e}x\u{9b}?q=\u{200b} HTTP/1.1\r\nHost: \u{1b}]0;x\u{7}\r\nX-\u{202e}Y: \u{1b}c日本語\r\n\r\n";
    for row in &mut a.rows {
        row.exchange.request = testing::head(head, row.exchange.request.at.number(), row.exchange.request.first);
        row.exchange.body = b"\x1b[2J\r\n\xff\xfe\x00".as_slice().into();
    }
    a
}

/// What the captures in samples/ say.
pub(super) fn analysis(files: &[&str]) -> Analysis {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    let mut inputs = Merged::open(&paths, &Window::default()).unwrap();
    let mut engine = Engine::new(Collected::default());
    engine::read(&mut inputs, &mut engine, &mut |_| true).unwrap();
    let (collected, counters) = engine.finish();
    let mut judge = Judge::new(Products::builtin());
    judge::whole_by(&mut judge, collected, counters, inputs.into_facts(), &|_, _| false)
}

pub(super) fn ui(a: Analysis, theme: Theme) -> Ui {
    let mut ui = Ui::new(Shared::new(theme, false, true));
    ui.reading = None;
    ui.take(Ready::new(a));
    ui
}

pub(super) fn draw(ui: &mut Ui, w: u16, h: u16) -> Buffer {
    let area = Rect::new(0, 0, w, h);
    let mut buf = Buffer::empty(area);
    ui.draw(area, &mut buf);
    buf
}

/// Types keys by their names, and draws behind each.
pub(super) fn type_in(ui: &mut Ui, script: &str, (w, h): (u16, u16)) {
    draw(ui, w, h);
    for name in script.split(' ') {
        key(ui, name);
        draw(ui, w, h);
    }
}

/// The same before these captures, of which a screen may want to read something again.
fn type_before(ui: &mut Ui, files: &[&str], script: &str, size: (u16, u16)) {
    for name in script.split(' ') {
        type_in(ui, name, size);
        bytes_tests::answer(ui, files);
    }
}

pub(super) fn key(ui: &mut Ui, name: &str) -> Effect {
    let (code, modifiers) = match name {
        "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
        "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
        "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
        "Shift-Tab" => (KeyCode::BackTab, KeyModifiers::SHIFT),
        "Space" => (KeyCode::Char(' '), KeyModifiers::NONE),
        "Backspace" => (KeyCode::Backspace, KeyModifiers::NONE),
        "Up" => (KeyCode::Up, KeyModifiers::NONE),
        "Down" => (KeyCode::Down, KeyModifiers::NONE),
        "Left" => (KeyCode::Left, KeyModifiers::NONE),
        "Right" => (KeyCode::Right, KeyModifiers::NONE),
        "PgUp" => (KeyCode::PageUp, KeyModifiers::NONE),
        "PgDn" => (KeyCode::PageDown, KeyModifiers::NONE),
        "Home" => (KeyCode::Home, KeyModifiers::NONE),
        "End" => (KeyCode::End, KeyModifiers::NONE),
        "F1" => (KeyCode::F(1), KeyModifiers::NONE),
        name => match name.strip_prefix("Ctrl-") {
            Some(letter) => (KeyCode::Char(letter.chars().next().unwrap_or('c')), KeyModifiers::CONTROL),
            None => (KeyCode::Char(name.chars().next().unwrap_or(' ')), KeyModifiers::NONE),
        },
    };
    ui.event(&Event::Key(KeyEvent::new(code, modifiers)))
}

pub(super) fn text(buf: &Buffer) -> String {
    rows(buf, |cell| cell.symbol().to_owned())
}

/// One letter for each cell: `R` reversed, `B` bold, `d` dim.
fn roles(buf: &Buffer) -> String {
    rows(buf, |cell| {
        let letters = [(Modifier::REVERSED, "R"), (Modifier::BOLD, "B"), (Modifier::DIM, "d")];
        letters.iter().find(|(m, _)| cell.modifier.contains(*m)).map_or(" ", |(_, letter)| letter).to_owned()
    })
}

fn rows(buf: &Buffer, of: impl Fn(&ratatui::buffer::Cell) -> String) -> String {
    let width = usize::from(buf.area.width).max(1);
    let rows = buf.content().chunks(width).map(|row| row.iter().map(&of).collect::<String>());
    rows.map(|row| format!("{}\n", row.trim_end())).collect()
}

/// Compares with what was accepted, in tests/golden/tui/.
fn accept(name: &str, screen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/golden/tui");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name.to_owned(), screen));
}
