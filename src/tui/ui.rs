//! The whole screen: the open screens on a stack, what frames them, and what keys do. Knows no terminal: events come
//! in, cells and effects go out.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::export::{self, Request};
use super::frame::{self, Reading};
use super::help;
use super::input::{Input, Typed};
use super::keys::{self, Action};
use super::order::Order;
use super::paint::{self, Line};
use super::palette;
use super::ready::Ready;
use super::shared::{Shared, Times};
use super::streams;
use super::theme::Tone;
use super::views::{SCREENS, Step, View};
use crate::engine::stretch::Ask;
use crate::store::Columns;

/// Smaller than this nothing but a word is drawn.
pub const LEAST: (u16, u16) = (40, 10);
/// Open screens on top of each other; the oldest but home goes when there are more.
const DEPTH: usize = 20;
/// Rows that one turn of the wheel moves.
const WHEEL: usize = 3;

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
    /// Into a file.
    Write(Request),
}

/// What keys mean just now.
enum Mode {
    Screen,
    /// The filter is typed; what it was before.
    Filter(String),
    Palette(palette::Palette),
    Help(help::Help),
    Export(export::Menu),
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
    /// Why reading ended before all was read; what was found until then is shown.
    pub failed: Option<String>,
    /// The view is to stay as it is; what came meanwhile waits.
    held: bool,
    waiting: Option<Ready>,
    /// The cursor stays on the newest chain.
    follow: bool,
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
            failed: None,
            held: false,
            waiting: None,
            follow: false,
            body: Rect::default(),
            clicked: None,
        }
    }

    /// The analysis is there, or what is known of it so far.
    pub fn take(&mut self, ready: Ready) {
        if self.held {
            self.waiting = Some(ready);
            return;
        }
        self.s.take(ready);
        if !self.s.is_filtering() {
            self.changed();
        }
    }

    /// What is to be read again, so that the screen on top can show it. `None`: nothing more.
    pub fn wants(&self) -> Option<Ask> {
        let ask = self.stack.last().and_then(|view| view.wants());
        ask.filter(|ask| self.reading.is_none() && self.s.streams.get(ask).is_none())
    }

    /// It was read again, or cannot be.
    pub fn take_stretch(&mut self, ask: Ask, read: streams::Read) {
        self.s.streams.put(ask, read);
        self.changed();
    }

    /// What makes filters fast is there.
    pub fn take_columns(&mut self, columns: Columns) {
        match &mut self.waiting {
            Some(ready) if columns.are_of(&ready.parts) => ready.columns = Some(columns),
            _ => self.s.take_columns(columns),
        }
    }

    /// The cursor stays on the newest chain until it is moved up.
    pub fn follow(&mut self) {
        self.follow = true;
    }

    /// Goes on with what takes longer than a key may. `true`: there is more.
    pub fn work(&mut self) -> bool {
        if self.s.work() {
            self.changed();
        }
        self.s.is_filtering()
    }

    pub fn say(&mut self, word: impl Into<String>) {
        self.said = Some(word.into());
    }

    /// Reading ended before all was read.
    pub fn fail(&mut self, why: String) {
        self.reading = None;
        self.say(format!("reading failed: {why}"));
        self.failed = Some(why);
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
        self.s.reading = self.reading.is_some();
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
            Mode::Screen | Mode::Help(_) | Mode::Export(_) => None,
        };
        let path: Vec<String> = self.stack.iter().map(|view| view.title(&self.s)).collect();
        let live = self.live();
        let framed = frame::Framed {
            live: &live,
            path: &path,
            place: self.stack.last().map_or("", |view| view.screen().name),
            cursor: self.cursor(),
            typing,
            said: self.said.as_deref(),
            reading: self.reading.as_ref(),
            failed: self.failed.is_some(),
        };
        let (body, cursor) = frame::draw(&self.s, &framed, area, buf);
        self.body = body;
        match &mut self.mode {
            Mode::Help(help) => help.draw(theme, body, buf),
            Mode::Export(menu) => menu.draw(&self.s, body, buf),
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
            Mode::Export(menu) => match menu.key(key) {
                export::Chosen::Going => Effect::Nothing,
                export::Chosen::Left => {
                    self.mode = Mode::Screen;
                    Effect::Nothing
                }
                export::Chosen::Write(form, scope) => {
                    self.mode = Mode::Screen;
                    self.say("writing …");
                    Effect::Write(Request { form, scope, secrets: self.s.text.secrets() })
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
        if !self.s.is_filtering() {
            self.changed();
        }
    }

    /// Puts the chains in another order.
    fn arrange(&mut self, order: Order) {
        self.s.touched = true;
        self.s.set_order(order);
        self.say(match order.words() {
            words if words.is_empty() => "sorted by time".to_owned(),
            words => words,
        });
        if !self.s.is_filtering() {
            self.changed();
        }
    }

    fn changed(&mut self) {
        // Chains are numbered in the order of time, however they are sorted.
        let newest = self.s.visible.iter().max().filter(|_| self.follow);
        if let Some(at) = newest.and_then(|at| usize::try_from(*at).ok()) {
            self.s.chosen = at;
        }
        for view in &mut self.stack {
            view.changed(&mut self.s);
        }
    }

    fn hold(&mut self) {
        self.held = !self.held;
        if self.held {
            return self.say("held: the view stays as it is until p is pressed again; reading goes on");
        }
        if let Some(ready) = self.waiting.take() {
            self.take(ready);
        }
        self.say("the view goes on");
    }

    /// `‖ held, 312 new`, `follow`; empty otherwise.
    fn live(&self) -> String {
        match &self.waiting {
            Some(ready) if self.held => {
                format!("‖ held, {} new ", ready.chains().saturating_sub(self.s.a.chains.len()))
            }
            _ if self.held => "‖ held ".to_owned(),
            _ if self.follow => "● follow ".to_owned(),
            _ => String::new(),
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
            Action::Hold => self.hold(),
            Action::Export => match export::Menu::new(&self.s) {
                Ok(menu) => self.mode = Mode::Export(menu),
                Err(why) => self.say(why),
            },
            Action::Follow => {
                self.follow = !self.follow;
                self.s.touched = true;
                self.say(if self.follow { "the cursor stays on the newest chain" } else { "the cursor stays here" });
                self.changed();
            }
            Action::Secrets => {
                let shown = self.s.text.toggle();
                self.say(if shown { "secrets are shown" } else { "secrets are masked" });
            }
            Action::Sort => {
                let order = self.s.order();
                self.arrange(Order { sort: order.sort.next(), reverse: false, ..order });
            }
            Action::Reverse => {
                let order = self.s.order();
                self.arrange(Order { reverse: !order.reverse, ..order });
            }
            Action::Group => {
                let order = self.s.order();
                self.arrange(Order { by: order.by.next(), ..order });
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
        self.s.touched = true;
        // Who goes elsewhere wants to stay there.
        let leaves = [Action::Up, Action::HalfUp, Action::PageUp, Action::Top, Action::Next, Action::Previous];
        if leaves.contains(&action) {
            self.follow = false;
        }
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
        let Some(at) = self.s.find(number) else {
            return self.say(format!("there is no #{number}"));
        };
        if !self.s.is_visible(at) {
            self.s.filter("");
            self.say(format!("#{number} does not match the filter, which was taken away"));
        }
        (self.s.chosen, self.s.touched, self.follow) = (at, true, false);
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
                if let Some(sort) = self.stack.last().and_then(|view| view.heading_at(at)) {
                    let order = self.s.order();
                    let reverse = order.sort == sort && !order.reverse;
                    self.arrange(Order { sort, reverse, ..order });
                    return Effect::Nothing;
                }
                let hit = self.stack.last_mut().is_some_and(|view| view.click(at, &mut self.s));
                self.follow &= !hit;
                if hit && again {
                    self.clicked = None;
                    return self.ask_screen(Action::Enter);
                }
            }
            MouseEventKind::Up(MouseButton::Left) => {
                if let Some((from, _)) = self.clicked.filter(|(from, _)| *from != at.0)
                    && let Some(view) = self.stack.last_mut()
                {
                    self.clicked = None;
                    view.drag(from, at.0, &mut self.s);
                }
            }
            _ => {}
        }
        Effect::Nothing
    }
}
