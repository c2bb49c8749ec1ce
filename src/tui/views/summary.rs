//! What a report begins with: what the capture lacks, how many upgrades there were and how they went, who is on the way,
//! what the failures share.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::report::{Options, text};
use crate::tui::keys::Action;
use crate::tui::paint::Line;
use crate::tui::scroll::Scroll;
use crate::tui::shared::Shared;
use crate::tui::theme::Tone;

use super::{Screen, Step, View, message};

pub static SCREEN: Screen = Screen { name: "summary", action: Action::Summary, open };

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    Ok(Box::new(Summary { lines: Vec::new(), made_for: (s.text.secrets(), 0), scroll: Scroll::default() }))
}

struct Summary {
    lines: Vec<String>,
    /// Whether secrets were shown when they were made, and for how many columns. 0: they are to be made.
    made_for: (bool, usize),
    scroll: Scroll,
}

impl Summary {
    fn build(&mut self, s: &Shared, columns: usize) {
        self.made_for = (s.text.secrets(), columns);
        self.lines = words(s, columns).lines().map(str::to_owned).collect();
    }
}

impl View for Summary {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, _: &Shared) -> String {
        "summary of the whole capture".to_owned()
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let columns = usize::from(area.width);
        if columns > 0 && self.made_for != (s.text.secrets(), columns) {
            self.build(s, columns);
        }
        let lines: Vec<Line> = self.lines.iter().flat_map(|line| shown(line, columns)).collect();
        self.scroll.draw(s.theme, &lines, area, buf);
    }

    fn act(&mut self, action: Action, _: &mut Shared) -> Step {
        match action {
            Action::Copy => Step::Copy(self.lines.iter().map(|line| format!("{line}\n")).collect()),
            _ if self.scroll.act(action) => Step::Done,
            _ => Step::Ignored,
        }
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        self.scroll.cursor()
    }

    fn changed(&mut self, _: &mut Shared) {
        self.made_for.1 = 0;
    }
}

/// The same for a screen that has nothing else to show.
pub(super) fn lines(s: &Shared, columns: usize) -> Vec<Line> {
    words(s, columns).lines().flat_map(|line| shown(line, columns)).collect()
}

fn words(s: &Shared, columns: usize) -> String {
    let columns = Some(columns.saturating_sub(1));
    let options = Options { utc: s.utc(), show_secrets: s.text.secrets(), columns, ..Options::default() };
    text::opening(&s.a, &options)
}

fn shown(line: &str, columns: usize) -> Vec<Line> {
    message::broken(Line::of(tone(line), format!(" {line}")), columns)
}

fn tone(line: &str) -> Tone {
    match line {
        text::LIMITS => Tone::Warning,
        _ if line.starts_with(' ') => Tone::Plain,
        _ => Tone::Strong,
    }
}
