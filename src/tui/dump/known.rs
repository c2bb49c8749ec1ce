//! What is known of the bytes of one direction: where something begins, what of it may be shown, and what findings are
//! about.

use std::ops::Range;

use crate::engine::stretch::Stretch;
use crate::model::{Direction, Exchange, FrameRecord, Head, Preview, StartLine};
use crate::tui::events::frame_label;
use crate::tui::shared::{Mark, Shared};
use crate::wire::{h2, websocket};

use super::http2;

/// What is known of one direction.
pub(super) struct Known {
    /// Where something begins, and what; in their order.
    pub(super) titles: Vec<(u64, String)>,
    /// What may be shown, in order, none touching another.
    shown: Vec<Range<u64>>,
    /// What findings are about; the worst first.
    pub(super) marked: Vec<(Range<u64>, Mark)>,
}

impl Known {
    pub(super) fn of(s: &Shared, x: &Exchange, stretch: &Stretch, way: Direction) -> Known {
        let mut known = Known { titles: Vec::new(), shown: Vec::new(), marked: marked(s, x, way) };
        if way == Direction::ClientToServer {
            known.head(s, &x.request, "request");
            known.preview(&x.early, "sent before the answer");
        } else {
            x.interim.iter().for_each(|head| known.head(s, head, "interim response"));
            known.preview(&x.before_response, "sent before the response");
            known.preview(&x.odd_response, "instead of a response");
            if let Some(head) = &x.response {
                known.head(s, head, "response");
                if !x.body.is_empty() && !head.coded {
                    known.titles.push((head.range.end, "its content".to_owned()));
                }
            }
        }
        let talk = x.talk.as_deref();
        for frame in talk.iter().flat_map(|talk| &talk.frames).filter(|frame| frame.from == way) {
            let close = talk.and_then(|talk| talk.of(way).close());
            let words = frame_label(s, close, frame).0;
            known.titles.push((frame.offset, format!("{words}, packet {}", frame.at.number())));
            known.shown.push(frame.offset..frame.offset + shown_of(frame));
        }
        known.preview(&x.after_101[usize::from(way == Direction::ServerToClient)], "first bytes behind the 101");
        let frames = if x.stream.is_some() { http2::frames(stretch, way) } else { Vec::new() };
        if way == Direction::ClientToServer && !frames.is_empty() {
            known.titles.push((0, "preface".to_owned()));
            known.shown.push(0..h2::PREFACE.len() as u64);
        }
        for frame in frames {
            known.titles.push((frame.offset, frame.words()));
            known.shown.push(frame.offset..frame.offset.saturating_add(frame.shown()));
        }
        // Heads and frames of WebSocket say more than those that they came in, or that they are the first bytes.
        known.titles.sort_by_key(|(at, _)| *at);
        known.titles.dedup_by_key(|(at, _)| *at);
        if s.text.secrets() {
            known.shown = std::iter::once(0..u64::MAX).collect();
        }
        known.shown.sort_by_key(|range| range.start);
        known.shown.dedup_by(|next, before| {
            let touches = next.start <= before.end;
            before.end = if touches { before.end.max(next.end) } else { before.end };
            touches
        });
        known
    }

    fn preview(&mut self, preview: &Option<Box<Preview>>, what: &str) {
        if let Some(p) = preview {
            self.titles.push((p.offset, format!("{what}, packet {}", p.at.number())));
        }
    }

    fn head(&mut self, s: &Shared, head: &Head, what: &str) {
        let start = head.range.start;
        if head.coded {
            let words = format!("{what}, packet {}: HTTP/2 compressed it; m shows it decoded", head.at.number());
            self.titles.push((start, words));
            self.shown.push(start..start + h2::HEADER_BYTES as u64);
            return;
        }
        self.titles.push((start, format!("{what}, packet {}", head.at.number())));
        if is_as_sent(head) {
            open_parts(s, head, &mut |range| self.shown.push(start + range.start..start + range.end));
        }
    }

    /// From this place on: how many bytes are shown, or hidden, before that changes.
    pub(super) fn run(&self, at: u64) -> (bool, u64) {
        let next = self.shown.partition_point(|range| range.end <= at);
        match self.shown.get(next) {
            Some(range) if range.start <= at => (true, range.end - at),
            Some(range) => (false, range.start - at),
            None => (false, u64::MAX),
        }
    }
}

/// A head whose text stands in the stream, byte for byte.
pub(super) fn is_as_sent(head: &Head) -> bool {
    !head.coded && head.range.end.saturating_sub(head.range.start) == head.text.len() as u64
}

/// The parts of a head that are no secret: start line, names, and values that nothing is masked in. Lines that are
/// not known as fields are no such part.
fn open_parts(s: &Shared, head: &Head, out: &mut dyn FnMut(Range<u64>)) {
    let masked = |shown: String| shown.contains("[redacted");
    let text = &head.text;
    let mut open = |range: Range<u32>| {
        let rest = text.get(range.end as usize..).unwrap_or_default();
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
        out(u64::from(range.start)..u64::from(range.end) + blank as u64);
    };
    match &head.start {
        StartLine::Request { method, target, version } => {
            open(method.clone());
            target_parts(head.target(), &|part| !masked(s.text.url(part)), &mut |part| {
                open(target.start + part.start..target.start + part.end);
            });
            open(version.clone());
        }
        StartLine::Response { version, reason, .. } => {
            open(version.start..reason.end.max(version.end));
        }
    }
    for field in head.fields.iter() {
        open(field.name.start..field.value.start.max(field.name.end));
        if !masked(s.text.field(head.name(field), head.value(field))) {
            open(field.value.clone());
        }
    }
}

/// The parts of a request target that are no secret: its path, and parameter by parameter of its query.
fn target_parts(target: &[u8], is_open: &dyn Fn(&[u8]) -> bool, out: &mut dyn FnMut(Range<u32>)) {
    let range = |from: usize, to: usize| u32::try_from(from).unwrap_or(0)..u32::try_from(to).unwrap_or(0);
    let path = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    if is_open(target) {
        return out(range(0, target.len()));
    }
    if is_open(target.get(..path).unwrap_or_default()) {
        out(range(0, path));
    }
    let mut at = path + 1;
    for parameter in target.get(at..).unwrap_or_default().split(|b| *b == b'&') {
        let end = at + parameter.len();
        if is_open(&[b"/?", parameter].concat()) {
            out(range(at - 1, end));
        }
        at = end + 1;
    }
}

/// Bytes of a frame that are no content of somebody's: its header; all of a Close.
fn shown_of(frame: &FrameRecord) -> u64 {
    let is_close = frame.opcode() == websocket::CLOSE && frame.payload <= 125;
    if is_close { frame_bytes(frame) } else { frame_header(frame) }
}

/// Bytes of its header, where its length is written as short as can be (RFC 6455 §5.2).
fn frame_header(frame: &FrameRecord) -> u64 {
    let length = match frame.payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    length + if frame.masked { 4 } else { 0 }
}

/// Bytes of a frame.
pub fn frame_bytes(frame: &FrameRecord) -> u64 {
    frame_header(frame) + u64::from(frame.payload)
}

/// Bytes that findings point at, and how bad these are; the worst first.
pub fn marked(s: &Shared, x: &Exchange, way: Direction) -> Vec<(Range<u64>, Mark)> {
    let all = s.row(x.id).into_iter().flat_map(|row| &row.findings).filter_map(|&i| s.a.findings.get(i));
    let mut out: Vec<_> = all
        .flat_map(|f| f.evidence.iter().map(move |e| (e, Mark::of(f.severity))))
        .filter(|(e, mark)| e.direction == Some(way) && *mark != Mark::Plain)
        .filter_map(|(e, mark)| Some((e.bytes.clone()?, mark)))
        .collect();
    // An error is shown where a warning is about the same bytes.
    out.sort_by_key(|(_, mark)| match mark {
        Mark::Error => 0,
        Mark::Warning => 1,
        _ => 2,
    });
    out
}
