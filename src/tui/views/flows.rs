//! TCP connections: who, how they began and ended, what they speak, what is missing of them.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::{Endpoint, FlowId, Nanos, Timestamp};
use crate::model::{ConnectState, EndHow, Exchange, FlowFacts, Wrapper};
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, clip, fill, fill_left, put};
use crate::tui::shared::{Shared, span};
use crate::tui::theme::Tone;

use super::{Screen, Step, View};

pub static SCREEN: Screen = Screen { name: "flows", action: Action::Flows, open };

/// Columns of how a connection began or ended.
const STATE: usize = 10;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let mut view = Flows { all: Vec::new(), list: List::default(), top: 0 };
    view.build(s);
    let chosen = s.chain().map(|chain| chain.id);
    view.list.cursor = view.all.iter().position(|flow| Some(flow.chain) == chosen).unwrap_or(0);
    if view.all.is_empty() {
        return Err("no connection was kept: none carried an upgrade, or has a finding".to_owned());
    }
    Ok(Box::new(view))
}

struct Flows {
    all: Vec<Flow>,
    list: List,
    top: u16,
}

/// One connection, as its exchanges tell of it.
struct Flow {
    client: Endpoint,
    server: Endpoint,
    began: Timestamp,
    lasted: Option<Nanos>,
    exchanges: usize,
    /// The number of the chain that it belongs to.
    chain: i64,
    state: String,
    speaks: String,
    missing: String,
}

impl Flows {
    /// Of all chains that match, in the order of their chains.
    fn build(&mut self, s: &Shared) {
        self.all.clear();
        for (_, chain) in (0..s.visible.len()).filter_map(|place| s.at(place)) {
            let mut legs: BTreeMap<FlowId, Vec<&Exchange>> = BTreeMap::new();
            for x in s.legs(chain) {
                legs.entry(x.flow).or_default().push(x);
            }
            self.all.extend(legs.values().filter_map(|all| of_legs(s, chain.id, all)));
            let alone = chain.flow.into_iter().chain(chain.tried.iter().map(|tried| tried.flow));
            self.all.extend(alone.filter_map(|id| s.flow(id)).map(|flow| of_flow(s, chain.id, flow)));
        }
    }
}

fn of_legs(s: &Shared, chain: i64, all: &[&Exchange]) -> Option<Flow> {
    let (first, last) = (all.first()?, all.last()?);
    let began = first.times.syn.unwrap_or(first.request.first);
    let over = last.end.tcp_at.or(last.end.at).or(last.times.last);
    let opening = if first.quality.midstream { "midstream" } else { "open" };
    let by = last.end.tcp_by.map(|by| format!(" {}", by.sender())).unwrap_or_default();
    let state = match last.end.tcp_how {
        EndHow::Fin => format!("FIN{by}"),
        EndHow::Rst => format!("RST{by}"),
        EndHow::CloseFrame | EndHow::Silent | EndHow::Open => opening.to_owned(),
    };
    let q = &last.quality;
    let missing = [
        (q.gap, "bytes lost"),
        (q.snapped, "packets cut"),
        (q.overlap_conflict, "contradictory resends"),
        (q.no_client_packets, "client not captured"),
        (q.no_server_packets, "server not captured"),
    ];
    let missing: Vec<&str> = missing.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
    let http = if last.is_stream() { "HTTP/2".to_owned() } else { s.text.bytes(last.request.version()) };
    let upper = match (last.granted(), last.protocol()) {
        (Some(_), Some(protocol)) => vec![http, s.text.bytes(protocol.as_bytes())],
        _ => vec![http],
    };
    Some(Flow {
        client: first.client,
        server: first.server,
        began,
        lasted: over.map(|over| over.since(began)),
        exchanges: all.len(),
        chain,
        state,
        speaks: stack(s, &last.via, upper),
        missing: missing.join(", "),
    })
}

fn of_flow(s: &Shared, chain: i64, flow: &FlowFacts) -> Flow {
    let state = match flow.state {
        ConnectState::Established => "no request",
        ConnectState::Refused => "refused",
        ConnectState::Unanswered => "no answer",
        ConnectState::Midstream => "midstream",
    };
    let said = flow.said.as_ref();
    let nothing = if said.is_some() { "nothing that is read" } else { "nothing was said" };
    Flow {
        client: flow.client,
        server: flow.server,
        began: flow.syn_at,
        lasted: flow.end_at.map(|end| end.since(flow.syn_at)),
        exchanges: 0,
        chain,
        state: state.to_owned(),
        speaks: stack(s, said.map(|said| said.via.as_slice()).unwrap_or_default(), vec![nothing.to_owned()]),
        missing: if said.is_some_and(|said| said.gap) { "bytes lost".to_owned() } else { String::new() },
    }
}

/// `PROXY v2 › TLS 1.3 › HTTP/1.1 › websocket`.
fn stack(s: &Shared, via: &[Wrapper], upper: Vec<String>) -> String {
    let below = via.iter().map(|wrapper| match wrapper {
        Wrapper::Connect(to) => format!("CONNECT {}", s.text.url(to)),
        Wrapper::ProxyProtocol(version) => format!("PROXY v{version}"),
        Wrapper::Socks(version, to) => format!("SOCKS{version} {}", s.text.bytes(to)),
        Wrapper::Link(link) => s.text.own(link),
        Wrapper::Tls(tls) => format!("TLS {}", tls.version.unwrap_or_default()).trim_end().to_owned(),
    });
    below.chain(upper).collect::<Vec<_>>().join(" › ")
}

impl View for Flows {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, _: &Shared) -> String {
        "connections".to_owned()
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let wide = area.width >= 110;
        let ends = if area.width >= 66 { 21 } else { 15 };
        let mut heads = format!("  {} {} {} ", fill_left("#", 5), fill("Client", ends), fill("Server", ends));
        if wide {
            heads.push_str(&format!("{} {} {} ", fill("Began", 12), fill_left("Lasted", 9), fill_left("Req", 4)));
        }
        heads.push_str(&format!("{} Speaks", fill("State", STATE)));
        put(buf, s.theme, (area.left(), area.top()), area.width, &Line::of(Tone::Dim, heads), Style::new());
        self.top = area.top() + 1;
        let window = self.list.window(usize::from(area.height.saturating_sub(1)), self.all.len());
        for (at, y) in window.zip(self.top..) {
            let Some(flow) = self.all.get(at) else { continue };
            let chosen = at == self.list.cursor;
            let base = if chosen { s.theme.cursor() } else { Style::new() };
            let mut line = Line::of(Tone::Strong, if chosen { "► " } else { "  " });
            let (client, server) = (flow.client.to_string(), flow.server.to_string());
            let ends =
                format!("{} {} {} ", fill_left(&flow.chain.to_string(), 5), fill(&client, ends), fill(&server, ends));
            line.push(Tone::Plain, ends);
            if wide {
                let lasted = fill_left(&span(flow.lasted), 9);
                let count = fill_left(&flow.exchanges.to_string(), 4);
                line.push(Tone::Dim, format!("{} {lasted} {count} ", fill(&s.time(flow.began), 12)));
            }
            let faulty = ["refused", "no answer", "RST"].iter().any(|word| flow.state.starts_with(word));
            line.push(if faulty { Tone::Warning } else { Tone::Plain }, fill(&flow.state, STATE));
            line.push(Tone::Info, format!(" {}", flow.speaks));
            if !flow.missing.is_empty() {
                line.push(Tone::Warning, format!("  {}", flow.missing));
            }
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
            put(buf, s.theme, (area.left(), y), area.width, &line, base);
        }
    }

    fn act(&mut self, action: Action, s: &mut Shared) -> Step {
        let moved = self.list.act(action, self.all.len());
        if let Some(index) = self.all.get(self.list.cursor).and_then(|flow| s.find(flow.chain)) {
            s.chosen = index;
        }
        match action {
            _ if moved => Step::Done,
            Action::Enter => Step::Go(Action::Ladder),
            Action::Copy => match self.all.get(self.list.cursor) {
                Some(flow) => Step::Copy(clip(&format!("{} {}", flow.client, flow.server), 200)),
                None => Step::Ignored,
            },
            _ => Step::Ignored,
        }
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.list.cursor, self.all.len())
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.all.len())
    }

    fn changed(&mut self, s: &mut Shared) {
        self.build(s);
        self.list.shrink(self.all.len());
    }
}
