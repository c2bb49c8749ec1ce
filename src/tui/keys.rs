//! Every key and what it does, in one table: footer, help and palette are printed from it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for. A screen does what it can do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Down,
    Up,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    Top,
    Bottom,
    Left,
    Right,
    Enter,
    Back,
    Quit,
    Next,
    Previous,
    Pane,
    PaneBack,
    Filter,
    FilterByThis,
    NoFilter,
    Help,
    Palette,
    Chains,
    Timeline,
    ZoomIn,
    ZoomOut,
    Fit,
    FitRow,
    Ladder,
    Message,
    Diff,
    Findings,
    Frames,
    Maximise,
    OnlyChanges,
    Copy,
    Secrets,
    Time,
    Follow,
    Hold,
    Bytes,
    Flows,
    Summary,
    Mark,
    Export,
    Redraw,
    Suspend,
    Sort,
    Reverse,
    Group,
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    /// As [`name`] spells them; the first is the one that is shown.
    pub keys: &'static [&'static str],
    pub action: Action,
    /// Names of the screens where it holds; empty: everywhere.
    pub places: &'static [&'static str],
    /// For the footer; empty: it is not shown there.
    pub short: &'static str,
    /// For help and palette.
    pub help: &'static str,
}

const fn key(
    keys: &'static [&'static str],
    action: Action,
    places: &'static [&'static str],
    short: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, places, short, help }
}

/// All keys. What is meant for fewer screens stands first, so that footers begin with it.
pub static BINDINGS: &[Binding] = &[
    key(&["Enter"], Action::Enter, &["chains"], "ladder", "open the ladder of this chain"),
    key(&["Right", "l"], Action::Right, &["chains"], "legs", "unfold the chain into its legs"),
    key(&["Left", "h"], Action::Left, &["chains"], "", "fold its legs"),
    key(&["]"], Action::Next, &["chains"], "next fault", "next chain with a fault"),
    key(&["["], Action::Previous, &["chains"], "", "previous chain with a fault"),
    key(&["Enter"], Action::Enter, &["ladder"], "message", "open the message"),
    key(&["]"], Action::Next, &["ladder"], "next finding", "next message with a finding"),
    key(&["["], Action::Previous, &["ladder"], "", "previous message with a finding"),
    key(&["Tab"], Action::Pane, &["ladder"], "fix", "next pane: findings, fix, message"),
    key(&["\\"], Action::Maximise, &["ladder"], "", "the pane alone, and back"),
    key(&["Tab", "Right"], Action::Pane, &["message"], "next message", "next message of the chain"),
    key(&["Shift-Tab", "Left"], Action::PaneBack, &["message"], "", "previous message of the chain"),
    key(&["]", "n"], Action::Next, &["diff"], "next change", "next change"),
    key(&["[", "N"], Action::Previous, &["diff"], "", "previous change"),
    key(&["Tab"], Action::Pane, &["diff"], "next hop", "next hop of the chain"),
    key(&["i"], Action::OnlyChanges, &["diff"], "only changes", "only what differs, or all"),
    key(&["Enter"], Action::Enter, &["timeline"], "ladder", "open the ladder of this chain"),
    key(&["z"], Action::FitRow, &["timeline"], "zoom to it", "zoom to the chain under the cursor"),
    key(&["+", "="], Action::ZoomIn, &["timeline"], "in", "zoom in"),
    key(&["-"], Action::ZoomOut, &["timeline"], "out", "zoom out"),
    key(&["0"], Action::Fit, &["timeline"], "all", "all that matches in one window; dragging with the mouse zooms too"),
    key(&["h", "Left"], Action::Left, &["timeline"], "pan", "earlier"),
    key(&["l", "Right"], Action::Right, &["timeline"], "", "later"),
    key(&["]"], Action::Next, &["timeline"], "next fault", "next chain with a fault"),
    key(&["["], Action::Previous, &["timeline"], "", "previous chain with a fault"),
    key(&["Tab"], Action::Pane, &["timeline"], "legs", "a bar for each leg of this chain, and back"),
    key(&["Enter"], Action::Enter, &["flows"], "ladder", "open the ladder of its chain"),
    key(
        &["Tab"],
        Action::Pane,
        &["bytes"],
        "other side, both, next leg",
        "the other direction, both, then the next leg",
    ),
    key(&["Shift-Tab"], Action::PaneBack, &["bytes"], "", "back to the one before"),
    key(&["]"], Action::Next, &["bytes"], "next finding", "next bytes that a finding is about"),
    key(&["["], Action::Previous, &["bytes"], "", "previous bytes that a finding is about"),
    key(&["Tab"], Action::Pane, &["frames"], "next leg", "next leg that has frames"),
    key(&["Enter"], Action::Enter, &["findings"], "its chains", "only the chains that have it"),
    key(
        &["d"],
        Action::Diff,
        &["chains", "timeline", "ladder", "message"],
        "diff",
        "what the hop did: both sides of it beside each other",
    ),
    key(
        &["w"],
        Action::Frames,
        &["chains", "timeline", "ladder", "message"],
        "frames",
        "WebSocket frames of this chain",
    ),
    key(&["m"], Action::Message, &["chains", "timeline", "ladder"], "", "the first request of this chain"),
    key(
        &["/"],
        Action::Filter,
        &[],
        "filter",
        "filter: status:101 host:chat.* rule:hop-* path~room -client:10.0.3.17 dur>1s",
    ),
    key(&["*"], Action::FilterByThis, &[], "", "only what has the same verdict as this"),
    key(&["Ctrl-x"], Action::NoFilter, &[], "", "take the filter away"),
    key(&["Tab"], Action::Pane, &[], "", "next pane or leg"),
    key(&["Shift-Tab"], Action::PaneBack, &[], "", "previous pane or leg"),
    key(&["j", "Down"], Action::Down, &[], "", "down"),
    key(&["k", "Up"], Action::Up, &[], "", "up"),
    key(&["Ctrl-d"], Action::HalfDown, &[], "", "half a page down"),
    key(&["Ctrl-u"], Action::HalfUp, &[], "", "half a page up"),
    key(&["PgDn", "Ctrl-f"], Action::PageDown, &[], "", "a page down"),
    key(&["PgUp", "Ctrl-b"], Action::PageUp, &[], "", "a page up"),
    key(&["g", "Home"], Action::Top, &[], "", "to the first"),
    key(&["G", "End"], Action::Bottom, &[], "", "to the last"),
    key(&["1"], Action::Chains, &[], "", "screen: chains"),
    key(&["t", "2"], Action::Timeline, &[], "timeline", "screen: timeline"),
    key(&["f", "3"], Action::Findings, &[], "findings", "screen: findings, grouped by rule"),
    key(
        &["x"],
        Action::Bytes,
        &["chains", "timeline", "ladder", "message", "frames", "flows"],
        "",
        "the bytes as they were sent, read again from the input",
    ),
    key(&["4"], Action::Flows, &[], "", "screen: TCP connections"),
    key(
        &["5"],
        Action::Summary,
        &[],
        "",
        "screen: summary of the whole capture: its limits, who is on the way, what failures share",
    ),
    key(
        &["Space"],
        Action::Mark,
        &["chains", "timeline", "ladder"],
        "",
        "mark this chain for an export, or this message to compare two (d)",
    ),
    key(
        &["e"],
        Action::Export,
        &[],
        "export",
        "write a report or the packets of what is marked, else of the chain under the cursor",
    ),
    key(
        &["s"],
        Action::Sort,
        &["chains", "timeline"],
        "",
        "sort by verdict, status, host, path, …; a click on a heading sorts by its column",
    ),
    key(&["r"], Action::Reverse, &["chains", "timeline"], "", "the other way round"),
    key(&["o"], Action::Group, &["chains", "timeline"], "", "group by host, server, path, verdict, nothing"),
    key(&["F"], Action::Follow, &[], "", "stay on the newest chain while more come in"),
    key(&["p"], Action::Hold, &[], "", "hold the view still while more come in, and go on"),
    key(&["y"], Action::Copy, &[], "", "copy what is under the cursor (OSC 52: also over ssh)"),
    key(&["T"], Action::Time, &[], "", "times: of day, since the start"),
    key(&["S"], Action::Secrets, &[], "", "show or mask cookies, tokens and passwords"),
    key(&[":"], Action::Palette, &[], "", "find an action by its name; :1042 goes to a number"),
    key(&["Ctrl-l"], Action::Redraw, &[], "", "draw everything anew"),
    key(&["Ctrl-z"], Action::Suspend, &[], "", "to the shell; fg comes back"),
    key(&["Esc"], Action::Back, &[], "", "back"),
    key(&["q"], Action::Quit, &[], "quit", "back; on the first screen: quit (Ctrl-c always quits)"),
    key(&["?", "F1"], Action::Help, &[], "help", "these keys"),
];

/// What a key asks for on this screen. `None`: nothing.
pub fn find(place: &str, event: KeyEvent) -> Option<Action> {
    let name = name(event)?;
    let of = |here: bool| {
        BINDINGS.iter().find(|b| {
            b.keys.contains(&name.as_str()) && if here { b.places.contains(&place) } else { b.places.is_empty() }
        })
    };
    of(true).or_else(|| of(false)).map(|binding| binding.action)
}

/// The keys that hold on this screen, its own first.
pub fn of(place: &str) -> impl Iterator<Item = &'static Binding> {
    let own = BINDINGS.iter().filter(move |b| b.places.contains(&place));
    let taken =
        move |b: &Binding| BINDINGS.iter().any(|o| o.places.contains(&place) && o.keys.first() == b.keys.first());
    own.chain(BINDINGS.iter().filter(move |b| b.places.is_empty() && !taken(b)))
}

/// How a key is spelt in the table: `j`, `G`, `Ctrl-d`, `PgDn`. `None` for keys that no table has.
pub fn name(event: KeyEvent) -> Option<String> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match event.code {
        KeyCode::Char(c) if control => format!("Ctrl-{}", c.to_ascii_lowercase()),
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "Enter".to_owned(),
        KeyCode::Esc => "Esc".to_owned(),
        KeyCode::Tab => "Tab".to_owned(),
        KeyCode::BackTab => "Shift-Tab".to_owned(),
        KeyCode::Up => "Up".to_owned(),
        KeyCode::Down => "Down".to_owned(),
        KeyCode::Left => "Left".to_owned(),
        KeyCode::Right => "Right".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        KeyCode::Home => "Home".to_owned(),
        KeyCode::End => "End".to_owned(),
        KeyCode::F(n) => format!("F{n}"),
        _ => return None,
    })
}

/// How a key of the table is printed: arrows as arrows.
pub fn printed(key: &str) -> &str {
    match key {
        "Up" => "↑",
        "Down" => "↓",
        "Left" => "←",
        "Right" => "→",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_key_has_two_meanings_on_one_screen() {
        let mut seen: HashMap<(&str, &str), Action> = HashMap::new();
        for binding in BINDINGS {
            let places = if binding.places.is_empty() { &["everywhere"][..] } else { binding.places };
            for (place, key) in places.iter().flat_map(|place| binding.keys.iter().map(move |key| (*place, *key))) {
                let before = seen.insert((place, key), binding.action);
                assert!(before.is_none(), "{key} on {place} is {before:?} and {:?}", binding.action);
            }
        }
    }

    #[test]
    fn every_place_of_the_table_is_a_screen() {
        for place in BINDINGS.iter().flat_map(|b| b.places) {
            assert!(super::super::views::SCREENS.iter().any(|screen| screen.name == *place), "{place}");
        }
    }

    #[test]
    fn keys_are_found_by_their_names() {
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert_eq!(find("chains", plain(KeyCode::Char('j'))), Some(Action::Down));
        assert_eq!(find("chains", KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT)), Some(Action::Bottom));
        assert_eq!(find("chains", KeyEvent::new(KeyCode::Char('d'), KeyModifiers::CONTROL)), Some(Action::HalfDown));
        assert_eq!(find("chains", plain(KeyCode::Insert)), None);
    }
}
