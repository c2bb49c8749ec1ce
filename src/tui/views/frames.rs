//! WebSocket frames of one leg, as they are kept: when, which way, what sort, how long. Fragments stand under their
//! message.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::ExchangeId;
use crate::model::{Direction, Exchange, FrameRecord, Talk};
use crate::tui::events::{What, close_words, opcode};
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, fill, fill_left, put};
use crate::tui::shared::{self, Mark, Shared, grouped, span};
use crate::tui::theme::Tone;
use crate::tui::which::Which;
use crate::wire::websocket;

use super::{Screen, Step, View, bytes, verdict};

pub static SCREEN: Screen = Screen { name: "frames", action: Action::Frames, open };

/// Rows of the body from which there is a pane below, and of that pane.
const PANE_FROM: u16 = 14;
const PANE: u16 = 8;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let chain = s.chain().ok_or_else(|| "there is no chain".to_owned())?;
    let leg = s.legs(chain).find(|x| x.talk.as_ref().is_some_and(|talk| !talk.frames.is_empty()));
    let id = leg.map(|x| x.id).ok_or_else(|| "no WebSocket frame was seen in this chain".to_owned())?;
    Ok(Box::new(Frames { which: Which::at(s, s.chosen), leg: id, list: List::default(), top: 0 }))
}

/// The screen, with its cursor on this frame of a leg.
pub(super) fn open_at(s: &Shared, index: usize, leg: ExchangeId, frame: usize) -> Step {
    Step::Open(Box::new(Frames { which: Which::at(s, index), leg, list: List::on(frame), top: 0 }))
}

struct Frames {
    which: Which,
    leg: ExchangeId,
    list: List,
    top: u16,
}

impl Frames {
    fn talk<'a>(&self, s: &'a Shared) -> Option<(&'a Exchange, &'a Talk)> {
        let x = s.leg(self.leg)?;
        Some((x, x.talk.as_deref()?))
    }

    fn count(&self, s: &Shared) -> usize {
        self.talk(s).map_or(0, |(_, talk)| talk.frames.len())
    }

    fn leg_number(&self, s: &Shared) -> usize {
        let chain = self.which.get(s);
        chain.and_then(|chain| chain.legs.iter().position(|id| *id == self.leg)).map_or(1, |at| at + 1)
    }

    /// To the next leg that has frames.
    fn step(&mut self, s: &Shared, back: bool) -> Step {
        let Some(chain) = self.which.get(s) else { return Step::Ignored };
        let has = |x: &&Exchange| x.talk.as_ref().is_some_and(|talk| !talk.frames.is_empty());
        let legs: Vec<ExchangeId> = s.legs(chain).filter(has).map(|x| x.id).collect();
        let here = legs.iter().position(|id| *id == self.leg).unwrap_or(0);
        let count = legs.len().max(1);
        match legs.get((here + if back { count - 1 } else { 1 }) % count) {
            Some(leg) if *leg != self.leg => {
                (self.leg, self.list) = (*leg, List::default());
                Step::Done
            }
            _ => Step::Say("no other leg of this chain has frames".to_owned()),
        }
    }
}

impl View for Frames {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        format!("frames of leg {}", self.leg_number(s))
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let Some((x, talk)) = self.talk(s) else { return };
        let pane = if area.height >= PANE_FROM { PANE } else { 0 };
        let wide = area.width >= 66;
        let heads = if wide {
            "      #  Time          Gap       Dir  Kind           Flags   Length  Packet"
        } else {
            "      #  Gap       Dir  Kind             Length"
        };
        put(buf, s.theme, (area.left(), area.top()), area.width, &Line::of(Tone::Dim, heads), Style::new());
        self.top = area.top() + 1;
        let height = area.height.saturating_sub(1 + pane);
        let window = self.list.window(usize::from(height), talk.frames.len());
        for (at, y) in window.zip(self.top..) {
            let Some(frame) = talk.frames.get(at) else { continue };
            let base = if at == self.list.cursor { s.theme.cursor() } else { Style::new() };
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
            let line = line(s, x, talk, at, frame, wide, at == self.list.cursor);
            put(buf, s.theme, (area.left(), y), area.width, &line, base);
        }
        if pane > 0 {
            let below = Rect { y: area.bottom() - pane, height: pane, ..area };
            paint::rule(buf, s.theme, Rect { height: 1, ..below }, &Line::of(Tone::Strong, "all of this leg"));
            let below = Rect { y: below.y + 1, height: pane - 1, ..below };
            paint::lines(buf, s.theme, below, &totals(s, x, talk, usize::from(area.width)));
        }
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.list.act(action, self.count(s)) {
            return Step::Done;
        }
        match action {
            Action::Pane => self.step(s, false),
            Action::PaneBack => self.step(s, true),
            Action::Bytes => bytes::open_at(s, self.which.index(s), What::Frames(self.leg, self.list.cursor, 1)),
            _ => Step::Ignored,
        }
    }

    fn cursor(&self, s: &Shared) -> (usize, usize) {
        (self.list.cursor, self.count(s))
    }

    fn click(&mut self, (_, y): (u16, u16), s: &mut Shared) -> bool {
        self.list.click(y, self.top, self.count(s))
    }
}

fn line(s: &Shared, x: &Exchange, talk: &Talk, at: usize, frame: &FrameRecord, wide: bool, chosen: bool) -> Line {
    // Between the first and the last frames others may have been left out: no gap is told there.
    let before = at.checked_sub(1).filter(|_| at != talk.first_frames).and_then(|at| talk.frames.get(at));
    let gap = before
        .map(|before| frame.ts.since(before.ts))
        .or_else(|| x.response.as_ref().filter(|_| at == 0).map(|response| frame.ts.since(response.first)));
    let up = frame.from == Direction::ClientToServer;
    let control = frame.opcode() >= 8;
    let number = if at < talk.first_frames || talk.first_frames == 0 {
        (at + 1).to_string()
    } else {
        format!("-{}", talk.frames.len() - at)
    };
    let mut line = Line::of(Tone::Strong, if chosen { "►" } else { " " });
    line.push(Tone::Dim, fill_left(&number, 6));
    if wide {
        line.push(Tone::Plain, format!("  {}", fill(&s.time(frame.ts), 12)));
    }
    line.push(Tone::Dim, format!("  {}", fill(&gap.map(|gap| format!("+{}", span(Some(gap)))).unwrap_or_default(), 9)));
    line.push(if up { Tone::Strong } else { Tone::Plain }, if up { " →   " } else { " ←   " });
    let kind = opcode(frame.opcode());
    let kind = if frame.opcode() == websocket::CONTINUATION { format!("└ {kind}") } else { kind.to_owned() };
    line.push(if control { Tone::Info } else { Tone::Plain }, fill(&kind, 15));
    if wide {
        line.push(Tone::Dim, flags(frame));
    }
    line.push(Tone::Plain, fill_left(&grouped(u64::from(frame.payload)), 9));
    if wide {
        line.push(Tone::Dim, format!("  {}", frame.at.number()));
    }
    if let Some(close) = talk.of(frame.from).close().filter(|close| close.offset == frame.offset) {
        line.push(Tone::Warning, format!("  {}", close_words(s, close).trim_start()));
    }
    if let Some(fault) = talk.of(frame.from).faults().iter().find(|fault| fault.offset == frame.offset) {
        let (glyph, tone) = Mark::Error.glyph();
        line.push(tone, format!("  {glyph} ×{}", fault.count));
    }
    line
}

/// `F1..M`: FIN, RSV1 to RSV3, masked.
fn flags(frame: &FrameRecord) -> String {
    let all = [
        (frame.fin(), 'F'),
        (frame.rsv() & 4 != 0, '1'),
        (frame.rsv() & 2 != 0, '2'),
        (frame.rsv() & 1 != 0, '3'),
        (frame.masked, 'M'),
    ];
    all.into_iter().map(|(set, letter)| if set { letter } else { '.' }).collect()
}

/// What both sides said in all, how they kept each other alive, and how it ended.
fn totals(s: &Shared, x: &Exchange, talk: &Talk, columns: usize) -> Vec<Line> {
    let mut out = Vec::new();
    let ws = x.ws.unwrap_or_default();
    for (word, counts, spoken) in [("client", ws.client, &talk.client), ("server", ws.server, &talk.server)] {
        let mut text = format!(
            "{} frames, {} messages, {}B: text {}, binary {}, ping {}, pong {}, close {}",
            grouped(counts.frames.into()),
            grouped(counts.messages.into()),
            shared::bytes(counts.payload_bytes),
            counts.text,
            counts.binary,
            counts.ping,
            counts.pong,
            counts.close
        );
        if let Some(pings) = spoken.pings() {
            let mean = pings.period.mean().map(|mean| format!(" every {}", span(Some(mean)))).unwrap_or_default();
            text.push_str(&format!("; pings{mean}, {} answered", pings.answered));
            if let Some(slowest) = pings.slowest {
                text.push_str(&format!(" within {}", span(Some(slowest))));
            }
        }
        verdict::labelled(&mut out, word, Tone::Plain, &text, columns);
    }
    let left = (u64::from(ws.client.frames) + u64::from(ws.server.frames)).saturating_sub(talk.frames.len() as u64);
    if left > 0 {
        let text = format!("{} frames between the first and the last ones were not kept", grouped(left));
        verdict::labelled(&mut out, "left out", Tone::Warning, &text, columns);
    }
    if let Some(silence) = &talk.silence {
        let text = format!("{} at most, from {}", span(Some(silence.length)), s.time(silence.from));
        verdict::labelled(&mut out, "silence", Tone::Plain, &text, columns);
    }
    if let Some(deflate) = &talk.deflate {
        let text = format!("permessage-deflate, windows of {} and {} bits", deflate.client_bits, deflate.server_bits);
        verdict::labelled(&mut out, "agreed", Tone::Plain, &text, columns);
    }
    let by = x.end.by.map_or("", Direction::sender);
    let idle = x.end.idle_before.map(|idle| format!(" after {} of silence", span(Some(idle)))).unwrap_or_default();
    let text =
        format!("{} {}{idle}", x.end.how.word(), if by.is_empty() { String::new() } else { format!("by the {by}") });
    verdict::labelled(&mut out, "end", Tone::Plain, text.trim(), columns);
    out
}
