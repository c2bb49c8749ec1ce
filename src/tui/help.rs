//! The keys of the screen that is open, then those that hold everywhere, then what the glyphs mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::keys::{self, Action, Binding};
use super::paint::{Line, fill, wrap};
use super::scroll::Scroll;
use super::shared::Mark;
use super::theme::{Theme, Tone};

/// Columns of the keys.
const KEYS: usize = 16;

pub(super) struct Help {
    place: &'static str,
    scroll: Scroll,
}

impl Help {
    pub(super) fn new(place: &'static str) -> Help {
        Help { place, scroll: Scroll::default() }
    }

    pub(super) fn act(&mut self, action: Action) {
        self.scroll.act(action);
    }

    pub(super) fn draw(&mut self, theme: Theme, area: Rect, buf: &mut Buffer) {
        let all = lines(self.place, usize::from(area.width));
        self.scroll.draw(theme, &all, area, buf);
    }
}

fn lines(place: &'static str, columns: usize) -> Vec<Line> {
    let mut out = vec![Line::of(Tone::Strong, format!(" keys of this screen ({place})"))];
    let (own, everywhere): (Vec<&Binding>, Vec<&Binding>) = keys::of(place).partition(|b| !b.places.is_empty());
    own.into_iter().for_each(|binding| key(&mut out, binding, columns));
    out.push(Line::of(Tone::Strong, " keys everywhere"));
    everywhere.into_iter().for_each(|binding| key(&mut out, binding, columns));
    out.push(Line::of(Tone::Strong, " signs"));
    let marks = [
        (Mark::Error, "failed: an error is to blame"),
        (Mark::Warning, "works by luck, or was cut"),
        (Mark::Good, "upgraded, and nothing wrong with it"),
        (Mark::Plain, "no fault: no upgrade asked for, settled by a later try, or allowed"),
        (Mark::Unknown, "the capture cannot tell"),
    ];
    for (mark, words) in marks {
        let (glyph, tone) = mark.glyph();
        out.push(Line::of(tone, format!("   {glyph:14} ")).add(Tone::Plain, words));
    }
    out
}

fn key(out: &mut Vec<Line>, binding: &Binding, columns: usize) {
    let keys: Vec<&str> = binding.keys.iter().map(|key| keys::printed(key)).collect();
    let mut keys = keys.join(" ");
    for line in wrap(binding.help, columns.saturating_sub(KEYS + 3)) {
        out.push(Line::of(Tone::Accent, format!("   {}", fill(&keys, KEYS - 1))).add(Tone::Plain, line));
        keys.clear();
    }
}
