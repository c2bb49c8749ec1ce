//! The whole screen: the open screens on a stack, what frames them, and what keys do. Knows no terminal: events come
//! in, cells and effects go out.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::store::Analysis;

use super::frame::{self, Reading};
use super::help;
use super::input::{Input, Typed};
use super::keys::{self, Action};
use super::paint::{self, Line};
use super::palette;
use super::shared::{Shared, Times};
use super::theme::Tone;
use super::views::{SCREENS, Step, View};

/// Smaller than this nothing but a word is drawn.
pub const LEAST: (u16, u16) = (40, 10);
/// Open screens on top of each other; the oldest but home goes when there are more.
const DEPTH: usize = 20;
/// Rows that one turn of the wheel moves.
const WHEEL: usize = 3;
/// Chains up to which a filter is tried at every key; with more, when it is entered.
const LIVE_FILTER: usize = 50_000;

/// What the terminal has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Quit,
    Suspend,
    /// Draw every cell anew.
    Redraw,
    /// Into the clipboard.
    Copy(String),
}

/// What keys mean just now.
enum Mode {
    Screen,
    /// The filter is typed; what it was before.
    Filter(String),
    Palette(palette::Palette),
    Help(help::Help),
}

pub struct Ui {
    pub s: Shared,
    /// Home first.
    stack: Vec<Box<dyn View>>,
    mode: Mode,
    filter: Input,
    /// A word to the user, until the next key.
    said: Option<String>,
    /// How far reading is. `None`: it is over.
    pub reading: Option<Reading>,
    /// Where the body was drawn last.
    body: Rect,
    clicked: Option<(u16, u16)>,
}

impl Ui {
    pub fn new(s: Shared) -> Ui {
        let home = SCREENS.first().and_then(|screen| (screen.open)(&s).ok());
        Ui {
            s,
            stack: home.into_iter().collect(),
            mode: Mode::Screen,
            filter: Input::default(),
            said: None,
            reading: Some(Reading::default()),
            body: Rect::default(),
            clicked: None,
        }
    }

    /// The analysis is there.
    pub fn take(&mut self, a: Analysis) {
        self.reading = None;
        self.s.take(a);
        self.changed();
    }

    pub fn say(&mut self, word: impl Into<String>) {
        self.said = Some(word.into());
    }

    /// The name of the screen on top.
    pub fn place(&self) -> &'static str {
        self.stack.last().map_or("", |view| view.screen().name)
    }

    /// The row under the cursor of the screen on top, and how many it has.
    pub fn cursor(&self) -> (usize, usize) {
        self.stack.last().map_or((0, 0), |view| view.cursor(&self.s))
    }

    /// Draws everything; where the terminal's own cursor belongs.
    pub fn draw(&mut self, area: Rect, buf: &mut Buffer) -> Option<Position> {
        let theme = self.s.theme;
        if area.width < LEAST.0 || area.height < LEAST.1 {
            let (w, h) = LEAST;
            let word = format!("hopscope needs {w}×{h} (now {}×{})", area.width, area.height);
            for (line, y) in paint::wrap(&word, usize::from(area.width)).into_iter().zip(area.top()..area.bottom()) {
                paint::put(buf, theme, (area.left(), y), area.width, &Line::of(Tone::Plain, line), Style::new());
            }
            return None;
        }
        let typing = match &self.mode {
            Mode::Filter(_) => Some(('/', &self.filter)),
            Mode::Palette(palette) => Some((':', palette.input())),
            Mode::Screen | Mode::Help(_) => None,
        };
        let path: Vec<String> = self.stack.iter().map(|view| view.title(&self.s)).collect();
        let framed = frame::Framed {
            path: &path,
            place: self.stack.last().map_or("", |view| view.screen().name),
            cursor: self.cursor(),
            typing,
            said: self.said.as_deref(),
            reading: self.reading.as_ref(),
        };
        let (body, cursor) = frame::draw(&self.s, &framed, area, buf);
        self.body = body;
        match &mut self.mode {
            Mode::Help(help) => help.draw(theme, body, buf),
            Mode::Palette(palette) => palette.draw(theme, body, buf),
            Mode::Screen | Mode::Filter(_) => {
                if let Some(view) = self.stack.last_mut() {
                    view.draw(&self.s, body, buf);
                }
            }
        }
        cursor
    }

    pub fn event(&mut self, event: &Event) -> Effect {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            Event::Mouse(mouse) => self.mouse(*mouse),
            Event::Paste(text) => {
                for c in text.chars().filter(|c| !c.is_control()) {
                    if !matches!(self.mode, Mode::Filter(_) | Mode::Palette(_)) {
                        break;
                    }
                    self.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
                }
                Effect::Nothing
            }
            _ => Effect::Nothing,
        }
    }

    fn key(&mut self, key: KeyEvent) -> Effect {
        self.said = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Effect::Quit;
        }
        match &mut self.mode {
            Mode::Filter(_) => self.type_filter(key),
            Mode::Palette(palette) => match palette.key(key) {
                palette::Chosen::Going => Effect::Nothing,
                palette::Chosen::Left => {
                    self.mode = Mode::Screen;
                    Effect::Nothing
                }
                palette::Chosen::Action(action) => {
                    self.mode = Mode::Screen;
                    self.act(action)
                }
                palette::Chosen::Number(number) => {
                    self.mode = Mode::Screen;
                    self.go_to(number);
                    Effect::Nothing
                }
            },
            Mode::Help(help) => {
                let action = keys::find("", key);
                if matches!(action, Some(Action::Back | Action::Quit | Action::Help | Action::Enter)) {
                    self.mode = Mode::Screen;
                } else if let Some(action) = action {
                    help.act(action);
                }
                Effect::Nothing
            }
            Mode::Screen => match keys::find(self.place(), key) {
                Some(action) => self.act(action),
                None => {
                    self.say("press ? for keys");
                    Effect::Nothing
                }
            },
        }
    }

    fn type_filter(&mut self, key: KeyEvent) -> Effect {
        let Mode::Filter(before) = &self.mode else { return Effect::Nothing };
        match self.filter.key(key) {
            Typed::Same => {}
            Typed::Changed if self.s.a.chains.len() > LIVE_FILTER => {}
            Typed::Changed => self.apply(&self.filter.text()),
            Typed::Left => {
                let before = before.clone();
                self.mode = Mode::Screen;
                self.apply(&before);
            }
            Typed::Done => {
                self.apply(&self.filter.text());
                if self.s.filter.error.is_none() {
                    self.filter.remember();
                    self.mode = Mode::Screen;
                }
            }
        }
        Effect::Nothing
    }

    fn apply(&mut self, text: &str) {
        self.s.filter(text);
        self.changed();
    }

    fn changed(&mut self) {
        for view in &mut self.stack {
            view.changed(&mut self.s);
        }
    }

    fn act(&mut self, action: Action) -> Effect {
        match action {
            Action::Quit if self.stack.len() < 2 => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Redraw => return Effect::Redraw,
            Action::Help => self.mode = Mode::Help(help::Help::new(self.place())),
            Action::Palette => self.mode = Mode::Palette(palette::Palette::new(self.place())),
            Action::Filter => {
                let text = self.s.filter.text.clone();
                self.filter.set(&text);
                self.mode = Mode::Filter(text);
            }
            Action::NoFilter => self.apply(""),
            Action::FilterByThis => self.filter_by_this(),
            Action::Secrets => {
                let shown = self.s.text.toggle();
                self.say(if shown { "secrets are shown" } else { "secrets are masked" });
            }
            Action::Time => {
                self.s.times = match self.s.times {
                    Times::OfDay => Times::Since,
                    Times::Since => Times::OfDay,
                };
            }
            action => return self.ask_screen(action),
        }
        Effect::Nothing
    }

    fn ask_screen(&mut self, action: Action) -> Effect {
        let Some(view) = self.stack.last_mut() else { return Effect::Nothing };
        match view.act(action, &mut self.s) {
            Step::Done => {}
            Step::Open(view) => self.push(view),
            Step::Go(action) => self.open(action),
            Step::Say(word) => self.said = Some(word),
            Step::Copy(text) => {
                self.say(format!("copied: {}", paint::clip(&text.replace('\n', " "), 60)));
                return Effect::Copy(text);
            }
            Step::Filter(text) => {
                self.stack.truncate(1);
                self.apply(&text);
            }
            Step::Ignored if matches!(action, Action::Back | Action::Quit) => {
                if self.stack.len() > 1 {
                    self.stack.pop();
                    self.changed();
                } else if !self.s.filter.text.is_empty() {
                    self.apply("");
                }
            }
            Step::Ignored if SCREENS.iter().any(|screen| screen.action == action) => self.open(action),
            Step::Ignored => {}
        }
        Effect::Nothing
    }

    /// Opens the screen of this action on top; home alone.
    fn open(&mut self, action: Action) {
        let Some(at) = SCREENS.iter().position(|screen| screen.action == action) else {
            return self.say("there is no such screen");
        };
        if at == 0 {
            self.stack.truncate(1);
            return self.changed();
        }
        if self.place() == SCREENS.get(at).map_or("", |screen| screen.name) {
            return;
        }
        match SCREENS.get(at).map(|screen| (screen.open)(&self.s)) {
            Some(Ok(view)) => self.push(view),
            Some(Err(why)) => self.say(why),
            None => {}
        }
    }

    fn push(&mut self, view: Box<dyn View>) {
        self.stack.push(view);
        if self.stack.len() > DEPTH {
            self.stack.remove(1);
        }
    }

    fn filter_by_this(&mut self) {
        let Some(chain) = self.s.chain() else { return };
        let rule = self.s.text.own(&chain.verdict.rule);
        self.stack.truncate(1);
        self.apply(&format!("verdict:{rule}"));
        self.filter.set(&self.s.filter.text.clone());
        self.filter.remember();
    }

    /// To the chain with this number, or that has the leg with it.
    fn go_to(&mut self, number: i64) {
        let of = |chain: &crate::model::Chain| chain.id == number;
        let leg = |chain: &crate::model::Chain| chain.legs.iter().any(|leg| i64::try_from(leg.0) == Ok(number));
        let chains = &self.s.a.chains;
        let Some(at) = chains.iter().position(of).or_else(|| chains.iter().position(leg)) else {
            return self.say(format!("there is no #{number}"));
        };
        if !self.s.visible.iter().any(|i| usize::try_from(*i) == Ok(at)) {
            self.s.filter("");
            self.say(format!("#{number} does not match the filter, which was taken away"));
        }
        self.s.chosen = at;
        self.stack.truncate(1);
        self.changed();
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Effect {
        if !matches!(self.mode, Mode::Screen) {
            return Effect::Nothing;
        }
        let at = (mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollDown => (0..WHEEL).for_each(|_| {
                self.ask_screen(Action::Down);
            }),
            MouseEventKind::ScrollUp => (0..WHEEL).for_each(|_| {
                self.ask_screen(Action::Up);
            }),
            MouseEventKind::Down(MouseButton::Left) if self.body.contains(Position::new(at.0, at.1)) => {
                let again = self.clicked.replace(at) == Some(at);
                let hit = self.stack.last_mut().is_some_and(|view| view.click(at, &mut self.s));
                if hit && again {
                    self.clicked = None;
                    return self.ask_screen(Action::Enter);
                }
            }
            _ => {}
        }
        Effect::Nothing
    }
}
