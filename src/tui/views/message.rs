//! One message: its head as it was sent, order and letter case kept, and the beginning of its body.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::base::ExchangeId;
use crate::model::{Direction, Exchange, Head, LineFaults, StartLine};
use crate::tui::events::What;
use crate::tui::keys::Action;
use crate::tui::paint::{Line, wrap};
use crate::tui::scroll::Scroll;
use crate::tui::shared::{self, Shared};
use crate::tui::theme::Tone;
use crate::tui::which::Which;

use super::{Screen, Step, View, bytes, verdict};

pub static SCREEN: Screen = Screen { name: "message", action: Action::Message, open };

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let leg = s.chain().and_then(|chain| chain.legs.first()).copied();
    let id = leg.ok_or_else(|| "this connection never carried a request".to_owned())?;
    Ok(Box::new(Message {
        which: Which::at(s, s.chosen),
        all: messages(s, s.chosen),
        at: What::Request(id),
        ..Message::new()
    }))
}

/// The screen for one message of a chain.
pub(super) fn open_at(s: &Shared, index: usize, at: What) -> Step {
    Step::Open(Box::new(Message { which: Which::at(s, index), all: messages(s, index), at, ..Message::new() }))
}

/// Faults of form, and what they are called.
const FAULTS: &[(LineFaults, &str)] = &[
    (LineFaults::BARE_LF, "ends in LF without CR"),
    (LineFaults::OBS_FOLD, "folded over several lines"),
    (LineFaults::LEADING_CRLF, "an empty line before it"),
    (LineFaults::SPACE_BEFORE_COLON, "white space before the colon"),
    (LineFaults::CONTROL, "a control character in it"),
    (LineFaults::BAD_FIELD, "no field line"),
    (LineFaults::BAD_START, "not of the form of a start line"),
    (LineFaults::SPACE_BEFORE_FIELD, "white space before it"),
    (LineFaults::TOO_MANY, "more fields than are kept"),
    (LineFaults::TOO_LARGE, "longer than is kept"),
];

struct Message {
    which: Which,
    /// All messages of the chain, leg by leg.
    all: Vec<What>,
    at: What,
    scroll: Scroll,
}

impl Message {
    fn new() -> Message {
        Message { which: Which::default(), all: Vec::new(), at: What::Tcp, scroll: Scroll::default() }
    }

    fn step(&mut self, back: bool) {
        let here = self.all.iter().position(|what| *what == self.at).unwrap_or(0);
        let count = self.all.len().max(1);
        let next = if back { here + count - 1 } else { here + 1 } % count;
        if let Some(what) = self.all.get(next) {
            self.at = *what;
            self.scroll.top = 0;
        }
    }
}

impl View for Message {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, s: &Shared) -> String {
        let Some((x, _)) = head(s, self.at) else { return "message".to_owned() };
        let chain = self.which.get(s);
        let leg = chain.and_then(|chain| chain.legs.iter().position(|id| *id == x.id)).map_or(1, |at| at + 1);
        let word = match self.at {
            What::Request(_) => "request",
            What::Interim(..) => "interim response",
            _ => "response",
        };
        format!("{word} of leg {leg}")
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let columns = usize::from(area.width);
        let mut all =
            lines_of(s, self.at).unwrap_or_else(|| vec![Line::of(Tone::Dim, "   nothing was captured of it")]);
        all = all.into_iter().flat_map(|line| broken(line, columns)).collect();
        let packets = head(s, self.at).map(|(_, head)| (head.at, head.at_last));
        let about = self.which.get(s).map(|chain| s.findings(chain)).unwrap_or_default();
        let about = about
            .into_iter()
            .filter_map(|i| s.a.findings.get(i))
            .filter(|f| packets.is_some_and(|(first, last)| f.evidence.iter().any(|e| first <= e.at && e.at <= last)));
        for finding in about {
            all.push(Line::new());
            all.extend(verdict::finding(s, finding, columns));
        }
        self.scroll.draw(s.theme, &all, area, buf);
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        if self.scroll.act(action) {
            return Step::Done;
        }
        match action {
            Action::Pane | Action::Right => self.step(false),
            Action::PaneBack | Action::Left => self.step(true),
            Action::Bytes => return bytes::open_at(s, self.which.index(s), self.at),
            _ => return Step::Ignored,
        }
        Step::Done
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        self.scroll.cursor()
    }
}

/// Every message of a chain, leg by leg.
fn messages(s: &Shared, index: usize) -> Vec<What> {
    let mut out = Vec::new();
    for x in s.a.chains.get(index).into_iter().flat_map(|chain| s.legs(chain)) {
        out.push(What::Request(x.id));
        out.extend((0..x.interim.len()).map(|at| What::Interim(x.id, at)));
        out.extend(x.response.as_ref().map(|_| What::Response(x.id)));
    }
    out
}

/// The head that is meant, and its leg.
pub(super) fn head(s: &Shared, what: What) -> Option<(&Exchange, &Head)> {
    let of = |id: ExchangeId| s.leg(id);
    match what {
        What::Request(id) => of(id).map(|x| (x, &x.request)),
        What::Interim(id, at) => of(id).and_then(|x| Some((x, x.interim.get(at)?))),
        What::Response(id) => of(id).and_then(|x| Some((x, x.response.as_ref()?))),
        What::Tcp | What::Frames(..) | What::Left(_) => None,
    }
}

/// A message as lines: who to whom, the start line, the fields, the body. `None`: it is none, or was not captured.
pub(super) fn lines_of(s: &Shared, what: What) -> Option<Vec<Line>> {
    let (x, head) = head(s, what)?;
    let way = match what {
        What::Request(_) => Direction::ClientToServer,
        _ => Direction::ServerToClient,
    };
    let (from, to) = match way {
        Direction::ClientToServer => (x.client, x.server),
        Direction::ServerToClient => (x.server, x.client),
    };
    let mut out = vec![Line::of(Tone::Dim, format!(" {from} → {to}"))];
    out.push(Line::of(Tone::Dim, format!(" {}", s.text.packet(head.at))));
    out.push(start(s, head));
    for field in head.fields.iter() {
        let name = head.name(field);
        let mut line = Line::of(Tone::Info, format!(" {}", s.text.bytes(name)));
        line.push(Tone::Dim, ": ");
        line.push(Tone::Plain, s.text.field(name, head.value(field)));
        faults(&mut line, field.faults);
        out.push(line);
    }
    if !head.complete {
        out.push(Line::of(Tone::Warning, " … the rest of the head was not captured"));
    }
    let body = if matches!(what, What::Response(_)) { &x.body[..] } else { &[] };
    if !body.is_empty() {
        out.push(Line::new());
        out.push(Line::of(Tone::Dim, format!(" first {}B of the body:", shared::bytes(body.len() as u64))));
        let lines = body.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        out.extend(lines.map(|line| Line::of(Tone::Plain, format!(" {}", s.text.bytes(line)))));
    }
    Some(out)
}

fn start(s: &Shared, head: &Head) -> Line {
    let mut line = match &head.start {
        StartLine::Request { .. } => Line::of(
            Tone::Strong,
            format!(" {} {} {}", s.text.bytes(head.method()), s.text.url(head.target()), s.text.bytes(head.version())),
        ),
        StartLine::Response { status, .. } => Line::of(
            Tone::Strong,
            format!(" {} {status} {}", s.text.bytes(head.version()), s.text.bytes(head.reason())),
        ),
    };
    faults(&mut line, head.faults);
    line
}

fn faults(line: &mut Line, faults: LineFaults) {
    for (_, words) in FAULTS.iter().filter(|(fault, _)| faults.has(*fault)) {
        line.push(Tone::Warning, format!("  ({words})"));
    }
}

/// A line that is too long, as several; all of it in the tone of its last piece.
pub(super) fn broken(line: Line, columns: usize) -> Vec<Line> {
    if line.width() <= columns {
        return vec![line];
    }
    let tone = line.0.last().map_or(Tone::Plain, |(tone, _)| *tone);
    let text = line.text();
    let rows = wrap(&text, columns.saturating_sub(4).max(1)).into_iter().enumerate();
    rows.map(|(at, row)| Line::of(tone, format!("{}{row}", if at == 0 { "" } else { "   " }))).collect()
}
