//! Lines of text: wrapped, indented, and coloured where that is wanted.

use std::io::{self, BufWriter, Write};

use anstyle::{AnsiColor, Style};

/// Characters a line has at most, where no terminal is narrower. What is to be pasted elsewhere is never
/// broken.
pub(super) const WIDTH: usize = 100;

/// A terminal narrower than this breaks lines by itself; what stands side by side may use up to `WIDEST`.
const NARROWEST: usize = 60;
const WIDEST: usize = 180;

/// Where the text behind a label begins.
const LABEL: usize = 15;

/// What a colour stands for; words always say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Dim,
    Good,
    Plain,
    Strong,
    Warning,
}

/// A piece of a line.
pub(super) type Piece = (Tone, String);

pub(super) struct Page<'w> {
    out: BufWriter<&'w mut dyn Write>,
    color: bool,
    /// Characters of a line of sentences, and of what stands side by side.
    width: usize,
    wide: usize,
}

impl<'w> Page<'w> {
    /// `columns`: of the terminal. `None`: it is none, or is not known.
    pub(super) fn new(out: &'w mut dyn Write, color: bool, columns: Option<usize>) -> Self {
        let columns = columns.unwrap_or(WIDTH);
        let (width, wide) = (columns.clamp(NARROWEST, WIDTH), columns.clamp(NARROWEST, WIDEST));
        Page { out: BufWriter::new(out), color, width, wide }
    }

    /// Characters that a line of things side by side may have.
    pub(super) fn wide(&self) -> usize {
        self.wide
    }

    /// Characters of a line.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Characters beside a label.
    pub(super) fn beside_label(&self) -> usize {
        self.width - LABEL
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// A paragraph at the margin.
    pub(super) fn say(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        self.paragraph(0, tone, text)
    }

    pub(super) fn dim(&mut self, text: &str) -> io::Result<()> {
        self.say(Tone::Dim, text)
    }

    /// A paragraph, `indent` characters in; its further lines two more.
    pub(super) fn indented(&mut self, indent: usize, tone: Tone, text: &str) -> io::Result<()> {
        for (i, line) in wrap(text, self.width - indent - 2).iter().enumerate() {
            let indent = if i == 0 { indent } else { indent + 2 };
            writeln!(self.out, "{:indent$}{}", "", self.paint(tone, line))?;
        }
        Ok(())
    }

    /// A word in colour, then plain text; on one line.
    pub(super) fn headline(&mut self, tone: Tone, word: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}{}", self.paint(tone, word), text)
    }

    /// Sentences, `indent` characters in.
    pub(super) fn paragraph(&mut self, indent: usize, tone: Tone, text: &str) -> io::Result<()> {
        for line in wrap(text, self.width - indent) {
            writeln!(self.out, "{:indent$}{}", "", self.paint(tone, &line))?;
        }
        Ok(())
    }

    /// `label` in the left column, the items beside it with dots between; broken between items where
    /// that is enough.
    pub(super) fn items(&mut self, label: &str, items: &[String]) -> io::Result<()> {
        let width = self.width - LABEL;
        let mut lines: Vec<String> = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let dot = if i + 1 < items.len() { " ·" } else { "" };
            let length = item.chars().count() + dot.chars().count();
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + length <= width => line.push_str(&format!(" {item}{dot}")),
                _ => lines.push(format!("{item}{dot}")),
            }
        }
        self.row(label, Tone::Plain, &lines.join("\n"))
    }

    /// `label` in the left column, the text beside it.
    pub(super) fn row(&mut self, label: &str, tone: Tone, text: &str) -> io::Result<()> {
        let mut label = label;
        for line in wrap(text, self.width - LABEL) {
            self.beside(label, tone, &line)?;
            label = "";
        }
        Ok(())
    }

    /// As [`Page::row`], never broken: to be pasted.
    pub(super) fn verbatim(&mut self, label: &str, text: &str) -> io::Result<()> {
        let mut label = label;
        for line in text.lines() {
            self.beside(label, Tone::Plain, line)?;
            label = "";
        }
        Ok(())
    }

    /// `label` in the left column (where there is one), the pieces beside it as they are.
    pub(super) fn pieces(&mut self, label: Option<&str>, pieces: &[Piece]) -> io::Result<()> {
        let mut pieces = pieces.to_vec();
        while let Some((_, last)) = pieces.last_mut() {
            last.truncate(last.trim_end().len());
            if !last.is_empty() {
                break;
            }
            pieces.pop();
        }
        let line: String = pieces.iter().map(|(tone, text)| self.paint(*tone, text)).collect();
        match label {
            Some(label) => self.beside(label, Tone::Plain, &line),
            None => writeln!(self.out, "  {line}"),
        }
    }

    fn beside(&mut self, label: &str, tone: Tone, line: &str) -> io::Result<()> {
        let pad = LABEL.saturating_sub(label.chars().count() + 2);
        let (label, line) = (self.paint(Tone::Dim, label), self.paint(tone, line));
        writeln!(self.out, "{}", format!("  {label}{:pad$}{line}", "").trim_end())
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        let style = match tone {
            Tone::Bad => color(AnsiColor::Red).bold(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Good => color(AnsiColor::Green),
            Tone::Plain => return text.to_owned(),
            Tone::Strong => Style::new().bold(),
            Tone::Warning => color(AnsiColor::Yellow),
        };
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// At most `max` characters of `text`; says how many are left out.
pub(super) fn clip(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max).collect();
    format!("{kept}… ({} more characters)", count - max)
}

/// At most `most` characters, the last one a sign that there are more.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// Characters of a text.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// `1 packet`, `2 packets`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `12 345 678`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

/// Lines of at most `width` characters, broken at spaces, but not between a number and its unit. A
/// word that is longer stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut length = 0;
        let mut words = paragraph.split(' ').filter(|w| !w.is_empty()).peekable();
        while let Some(word) = words.next() {
            let mut word = word.to_owned();
            while let Some(next) = words.next_if(|next| belong_together(&word, next)) {
                word.push(' ');
                word.push_str(next);
            }
            let chars = word.chars().count();
            if length > 0 && length + 1 + chars > width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(&word);
            length += chars;
        }
        lines.push(line);
    }
    lines
}

/// `4.00 s`, `RFC 6455`, `one ·`.
fn belong_together(word: &str, next: &str) -> bool {
    let unit = next.trim_end_matches([',', ';', '.', ')']);
    let number = word.ends_with(|c: char| c.is_ascii_digit());
    word == "RFC" || next == "·" || (number && matches!(unit, "ns" | "µs" | "ms" | "s" | "min" | "h" | "d" | "bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("aa bb cccccc d", 5), ["aa bb", "cccccc", "d"]);
        assert_eq!(wrap("", 5), Vec::<String>::new());
    }

    #[test]
    fn long_text_is_clipped_and_says_so() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüß", 3), "äöü… (1 more characters)");
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(grouped(1234), "1234");
        assert_eq!(grouped(12_345_678), "12\u{a0}345\u{a0}678");
    }
}
