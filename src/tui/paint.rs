//! Text onto cells: lines of pieces, cut to a width, never beyond it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::theme::{Theme, Tone, ascii};

/// One line of a screen. What was captured is in it as `Shown` made it.
#[derive(Clone, Debug, Default)]
pub struct Line(pub Vec<(Tone, String)>);

impl Line {
    pub fn new() -> Line {
        Line::default()
    }

    pub fn of(tone: Tone, text: impl Into<String>) -> Line {
        Line::new().add(tone, text)
    }

    pub fn add(mut self, tone: Tone, text: impl Into<String>) -> Line {
        self.push(tone, text);
        self
    }

    pub fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.0.push((tone, text.into()));
    }

    /// Columns it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// As it is copied.
    pub fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// Columns that text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns, with `…` at the end where something was cut.
pub fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = head(text, columns.saturating_sub(1));
    if columns > 0 {
        out.push('…');
    }
    out
}

/// At most so many columns, with `…` in the middle: the ends of paths and names tell the most.
pub fn clip_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns || columns < 5 {
        return clip(text, columns);
    }
    let first = columns / 2;
    let rest = columns - first - 1;
    let mut tail: Vec<char> = Vec::new();
    let mut used = 0;
    for c in text.chars().rev() {
        used += c.width().unwrap_or(0);
        if used > rest {
            break;
        }
        tail.push(c);
    }
    format!("{}…{}", head(text, first), tail.into_iter().rev().collect::<String>())
}

/// Exactly so many columns, cut in the middle or filled behind.
pub fn fill(text: &str, columns: usize) -> String {
    let mut out = clip_middle(text, columns);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&out))));
    out
}

/// Exactly so many columns, filled before. Numbers: what does not fit is cut at the end.
pub fn fill_left(text: &str, columns: usize) -> String {
    let text = clip(text, columns);
    let blank = columns.saturating_sub(width(&text));
    " ".repeat(blank) + &text
}

/// Breaks at blanks into lines of so many columns; a word that is longer is broken.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        // Configuration keeps its indentation.
        let mut line: String = paragraph.chars().take_while(|c| *c == ' ').take(columns / 2).collect();
        let mut used = width(&line);
        let mut first = true;
        for word in paragraph.trim_start_matches(' ').split(' ') {
            if !first && used + 1 + width(word) > columns {
                lines.push(std::mem::take(&mut line));
                used = 0;
            } else if !first {
                line.push(' ');
                used += 1;
            }
            first = false;
            for c in word.chars() {
                let one = c.width().unwrap_or(0);
                if used + one > columns && used > 0 {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(c);
                used += one;
            }
        }
        lines.push(line);
    }
    lines
}

/// Draws a line at the place, at most `columns` wide, on top of `base`.
pub fn put(buf: &mut Buffer, theme: Theme, at: (u16, u16), columns: u16, line: &Line, base: Style) {
    let area = buf.area;
    let (x, y) = at;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return;
    }
    let end = x.saturating_add(columns).min(area.right());
    let mut from = x;
    for (tone, text) in &line.0 {
        if from >= end {
            break;
        }
        let style = theme.style(*tone).patch(base);
        let plain;
        let text = if theme.ascii {
            plain = text.chars().map(ascii).collect::<String>();
            &plain
        } else {
            text
        };
        let (next, _) = buf.set_stringn(from, y, text, usize::from(end - from), style);
        from = next;
    }
}

/// Draws lines below each other, as many as there is room for.
pub fn lines(buf: &mut Buffer, theme: Theme, area: Rect, all: &[Line]) {
    for (line, y) in all.iter().zip(area.top()..area.bottom()) {
        put(buf, theme, (area.left(), y), area.width, line, Style::new());
    }
}

/// A line that parts panes, with a title in it.
pub fn rule(buf: &mut Buffer, theme: Theme, area: Rect, title: &Line) {
    let whole = Line::of(Tone::Dim, "─".repeat(usize::from(area.width)));
    put(buf, theme, (area.left(), area.top()), area.width, &whole, Style::new());
    if title.width() > 0 && area.width > 4 {
        let mut framed = Line::of(Tone::Plain, " ");
        framed.0.extend(title.0.iter().cloned());
        framed.push(Tone::Plain, " ");
        put(buf, theme, (area.left() + 1, area.top()), area.width - 2, &framed, Style::new());
    }
}

/// The whole row in one style, whatever stands in it.
pub fn tint(buf: &mut Buffer, area: Rect, style: Style) {
    buf.set_style(area, style);
}

/// The widest beginning of so many columns.
fn head(text: &str, columns: usize) -> String {
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_where_it_tells_the_least() {
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip_middle("/a/very/long/path", 9), "/a/v…path");
        assert_eq!(fill("ab", 4), "ab  ");
        assert_eq!(fill_left("ab", 4), "  ab");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n  b c d", 6), ["a", "  b c", "d"]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_place(text in "[a-z €日本 ]{0,40}", columns in 0_usize..30) {
            prop_assert!(width(&clip(&text, columns)) <= columns);
            prop_assert!(width(&clip_middle(&text, columns)) <= columns);
            prop_assert_eq!(width(&fill(&text, columns)), columns);
            if columns > 1 {
                prop_assert!(wrap(&text, columns).iter().all(|line| width(line) <= columns));
            }
        }
    }
}
