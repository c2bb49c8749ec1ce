//! Colours and glyphs. Meaning is never colour alone: whatever a tone says, a glyph or a word says too.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Dim,
    Strong,
    Error,
    Warning,
    Good,
    Info,
    /// A key, or what is chosen.
    Accent,
}

/// Which colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// None at all, only bold, dim and reversed.
    None,
    /// The terminal's own sixteen, which its user has chosen.
    #[default]
    Terminal,
    /// Okabe and Ito's, which people with any sort of colour blindness tell apart, for a dark background.
    Dark,
    /// The same, darkened for a light one.
    Light,
}

/// How everything looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Theme {
    pub palette: Palette,
    /// Only ASCII characters are drawn.
    pub ascii: bool,
}

impl Theme {
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let style = match tone {
            Tone::Plain => plain,
            // The sixteen colours have a grey that some themes make invisible; dim is safe.
            Tone::Dim => plain.add_modifier(Modifier::DIM),
            Tone::Strong | Tone::Error | Tone::Accent => bold,
            Tone::Warning | Tone::Good | Tone::Info => plain,
        };
        match self.color(tone) {
            Some(color) => style.fg(color),
            None => style,
        }
    }

    /// Of the row under the cursor.
    pub fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Of a line that parts two panes.
    pub fn rule(self) -> Style {
        self.style(Tone::Dim)
    }

    fn color(self, tone: Tone) -> Option<Color> {
        let of = |colors: [Color; 5]| {
            let [error, warning, good, info, accent] = colors;
            match tone {
                Tone::Error => Some(error),
                Tone::Warning => Some(warning),
                Tone::Good => Some(good),
                Tone::Info => Some(info),
                Tone::Accent => Some(accent),
                Tone::Plain | Tone::Dim | Tone::Strong => None,
            }
        };
        let rgb = |hex: u32| {
            let [_, r, g, b] = hex.to_be_bytes();
            Color::Rgb(r, g, b)
        };
        match self.palette {
            Palette::None => None,
            // Blue for what is well, not green: next to red it is the pair that most people can tell apart.
            Palette::Terminal => of([Color::Red, Color::Yellow, Color::Blue, Color::Cyan, Color::Magenta]),
            Palette::Dark => of([0x00d5_5e00, 0x00f0_e442, 0x0056_b4e9, 0x0000_9e73, 0x00cc_79a7].map(rgb)),
            Palette::Light => of([0x00a6_3c00, 0x007a_5a00, 0x0000_5a8c, 0x0000_5f45, 0x0085_3a66].map(rgb)),
        }
    }
}

/// The character that stands for `c` where only ASCII can be drawn; always one column wide, as the glyphs of this
/// program are.
pub fn ascii(c: char) -> char {
    match c {
        ' '..='~' => c,
        '✗' => 'x',
        '✓' => 'v',
        '·' => '.',
        '►' | '→' | '▸' | '›' => '>',
        '◄' | '←' => '<',
        '■' | '█' | '━' => '#',
        '─' | '–' | '−' | '┄' => '-',
        '│' | '┃' | '├' | '▕' | '▏' => '|',
        '┬' | '┴' | '┼' | '╋' | '┿' | '└' | '×' => '+',
        '…' => '~',
        '↓' | '▾' => 'v',
        '↑' | '▴' => '^',
        '░' => ':',
        '▓' => '&',
        '▒' => '%',
        '▁' => '_',
        '▂' | '▃' => '.',
        '▄' | '▅' | '▆' => 'o',
        '▇' => '@',
        'µ' => 'u',
        '≠' => '!',
        '§' => 'S',
        '‖' => '=',
        '●' => '*',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_faults_are_still_bold_and_the_cursor_reversed() {
        let theme = Theme { palette: Palette::None, ascii: false };
        for tone in [Tone::Error, Tone::Warning, Tone::Good, Tone::Info, Tone::Accent] {
            assert_eq!(theme.style(tone).fg, None);
        }
        assert!(theme.style(Tone::Error).add_modifier.contains(Modifier::BOLD));
        assert!(theme.cursor().add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn every_glyph_has_its_own_letter_where_it_marks_a_row() {
        let marks = ['✗', '!', '✓', '·', '?', '►', '■'].map(ascii);
        assert_eq!(marks, ['x', '!', 'v', '.', '?', '>', '#']);
    }
}
