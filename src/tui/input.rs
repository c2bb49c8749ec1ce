//! One line that is being typed: of the filter, of the palette.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Characters that a line may have; more are not taken.
const CHARACTERS: usize = 1_000;
/// Earlier lines that are kept.
const HISTORY: usize = 50;

#[derive(Clone, Debug, Default)]
pub struct Input {
    text: Vec<char>,
    /// Before which character the cursor stands.
    cursor: usize,
    history: Vec<String>,
    /// How far back in the history; 0: not in it.
    back: usize,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The text is another one.
    Changed,
    /// Only the cursor moved, or nothing happened.
    Same,
    /// Enter.
    Done,
    /// Esc.
    Left,
}

impl Input {
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Characters before the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn set(&mut self, text: &str) {
        self.text = text.chars().filter(|c| !c.is_control()).take(CHARACTERS).collect();
        self.cursor = self.text.len();
        self.back = 0;
    }

    /// Keeps the line for the arrow keys.
    pub fn remember(&mut self) {
        let text = self.text();
        self.history.retain(|old| *old != text);
        if !text.is_empty() {
            self.history.push(text);
        }
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
        self.back = 0;
    }

    pub fn key(&mut self, event: KeyEvent) -> Typed {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Enter => return Typed::Done,
            KeyCode::Esc => return Typed::Left,
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if control => {
                let before = self.text.get(..self.cursor).unwrap_or_default();
                let kept = before
                    .iter()
                    .rposition(|c| *c != ' ')
                    .map_or(0, |end| before.iter().take(end).rposition(|c| *c == ' ').map_or(0, |blank| blank + 1));
                self.text.drain(kept..self.cursor);
                self.cursor = kept;
            }
            KeyCode::Char('a') if control => return self.go(0),
            KeyCode::Char('e') if control => return self.go(self.text.len()),
            KeyCode::Char(_) if control || event.modifiers.contains(KeyModifiers::ALT) => return Typed::Same,
            KeyCode::Char(c) if !c.is_control() && self.text.len() < CHARACTERS => {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Backspace if self.text.is_empty() => return Typed::Left,
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Left => return self.go(self.cursor.saturating_sub(1)),
            KeyCode::Right => return self.go(self.cursor + 1),
            KeyCode::Home => return self.go(0),
            KeyCode::End => return self.go(self.text.len()),
            KeyCode::Up => return self.recall(self.back + 1),
            KeyCode::Down => return self.recall(self.back.saturating_sub(1)),
            _ => return Typed::Same,
        }
        Typed::Changed
    }

    fn go(&mut self, to: usize) -> Typed {
        self.cursor = to.min(self.text.len());
        Typed::Same
    }

    fn recall(&mut self, back: usize) -> Typed {
        let text = match back {
            0 => String::new(),
            n => match self.history.len().checked_sub(n).and_then(|at| self.history.get(at)) {
                Some(text) => text.clone(),
                None => return Typed::Same,
            },
        };
        self.set(&text);
        self.back = back;
        Typed::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(input: &mut Input, text: &str) {
        text.chars().for_each(|c| {
            input.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        });
    }

    #[test]
    fn words_are_taken_back_and_lines_recalled() {
        let mut input = Input::default();
        type_in(&mut input, "status:101 host:x");
        input.remember();
        input.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(input.text(), "status:101 ");
        input.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(input.text(), "");
        assert_eq!(input.key(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE)), Typed::Changed);
        assert_eq!(input.text(), "status:101 host:x");
        assert_eq!(input.key(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE)), Typed::Same);
        input.key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        assert_eq!(input.key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE)), Typed::Left);
    }
}
