//! Every action by its name: typed letters pick among them; a number goes to what has it.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::input::{Input, Typed};
use super::keys::{self, Action, Binding};
use super::list::List;
use super::paint::{self, Line, fill};
use super::theme::{Theme, Tone};

pub(super) struct Palette {
    place: &'static str,
    input: Input,
    list: List,
}

pub(super) enum Chosen {
    Going,
    Left,
    Action(Action),
    /// An exchange's or chain's.
    Number(i64),
}

impl Palette {
    pub(super) fn new(place: &'static str) -> Palette {
        Palette { place, input: Input::default(), list: List::default() }
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Chosen {
        let found = self.found();
        match key.code {
            KeyCode::Down | KeyCode::Tab => {
                self.list.act(Action::Down, found.len());
            }
            KeyCode::Up | KeyCode::BackTab => {
                self.list.act(Action::Up, found.len());
            }
            _ => match self.input.key(key) {
                Typed::Left => return Chosen::Left,
                Typed::Changed => self.list.cursor = 0,
                Typed::Same => {}
                Typed::Done => {
                    if let Ok(number) = self.input.text().trim().parse() {
                        return Chosen::Number(number);
                    }
                    return found.get(self.list.cursor).map_or(Chosen::Left, |b| Chosen::Action(b.action));
                }
            },
        }
        Chosen::Going
    }

    pub(super) fn draw(&mut self, theme: Theme, area: Rect, buf: &mut Buffer) {
        let found = self.found();
        let window = self.list.window(usize::from(area.height), found.len());
        for (at, y) in window.zip(area.top()..) {
            let Some(binding) = found.get(at) else { continue };
            let key = binding.keys.first().map_or("", |key| keys::printed(key));
            let line = Line::of(Tone::Accent, format!("   {} ", fill(key, 10))).add(Tone::Plain, binding.help);
            let base = if at == self.list.cursor { theme.cursor() } else { Style::new() };
            paint::put(buf, theme, (area.left(), y), area.width, &line, base);
        }
        if found.is_empty() {
            let line = match self.input.text().trim().parse::<i64>() {
                Ok(number) => Line::of(Tone::Plain, format!("   Enter goes to #{number}")),
                Err(_) => Line::of(Tone::Dim, "   no action has these letters in its name"),
            };
            paint::put(buf, theme, (area.left(), area.top()), area.width, &line, Style::new());
        }
    }

    /// Actions whose words have the letters typed, in their order; whole words first.
    fn found(&self) -> Vec<&'static Binding> {
        let wanted = self.input.text().trim().to_lowercase();
        let mut found: Vec<(bool, &Binding)> = keys::of(self.place)
            .map(|b| (b.help.to_lowercase().contains(&wanted), b))
            .filter(|(whole, b)| *whole || letters(&b.help.to_lowercase(), &wanted))
            .collect();
        found.sort_by_key(|(whole, _)| !whole);
        if wanted.parse::<i64>().is_ok() {
            found.clear();
        }
        found.into_iter().map(|(_, binding)| binding).collect()
    }
}

/// Whether all letters of `wanted` stand in `text` in their order.
fn letters(text: &str, wanted: &str) -> bool {
    let mut rest = text.chars();
    wanted.chars().all(|c| rest.any(|other| other == c))
}
