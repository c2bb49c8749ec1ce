//! TCP connections: who, how they began and ended, what they speak, what is missing of them.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::{Endpoint, FlowId, Nanos, Timestamp};
use crate::model::{Chain, ConnectState, EndHow, Exchange, FlowFacts, Wrapper};
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
    let mut view = Flows { firsts: Vec::new(), rows: 0, list: List::default(), top: 0 };
    view.build(s);
    view.list.cursor = s.place_of(s.chosen).and_then(|place| view.firsts.get(place)).map_or(0, |first| *first as usize);
    view.list.shrink(view.rows);
    if view.rows == 0 {
        return Err("no connection was kept: none carried an upgrade, or has a finding".to_owned());
    }
    Ok(Box::new(view))
}

struct Flows {
    /// For each place of a chain that matches, the row of its first connection.
    firsts: Vec<u32>,
    rows: usize,
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
    /// Counts those of all chains that match, in the order of their chains.
    fn build(&mut self, s: &Shared) {
        self.firsts.clear();
        self.rows = 0;
        for at in &s.visible {
            self.firsts.push(u32::try_from(self.rows).unwrap_or(u32::MAX));
            self.rows += usize::try_from(*at).map_or(0, |at| s.facts.connections(at));
        }
    }

    /// The place of the chain whose connection stands in this row.
    fn place(&self, row: usize) -> usize {
        self.firsts.partition_point(|first| *first as usize <= row).saturating_sub(1)
    }

    fn get(&self, s: &Shared, row: usize) -> Option<Flow> {
        let place = self.place(row);
        let nth = row.checked_sub(*self.firsts.get(place)? as usize)?;
        of_chain(s, s.at(place)?.1).into_iter().nth(nth)
    }
}

/// The connections of a chain: as many as were counted.
fn of_chain(s: &Shared, chain: &Chain) -> Vec<Flow> {
    let mut legs: BTreeMap<FlowId, Vec<&Exchange>> = BTreeMap::new();
    for x in s.legs(chain) {
        legs.entry(x.flow).or_default().push(x);
    }
    let alone = chain.flow.into_iter().chain(chain.tried.iter().map(|tried| tried.flow));
    let alone = alone.filter_map(|id| s.flow(id)).map(|flow| of_flow(s, chain.id, flow));
    let beside = chain.beside().map(|beside| of_flow(s, chain.id, &beside.flow));
    legs.values().filter_map(|all| of_legs(s, chain.id, all)).chain(alone).chain(beside).collect()
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
    let said = flow.said.as_ref();
    let sealed = flow.sealed().is_some();
    let end = said.filter(|_| sealed).map(|said| &said.end);
    let by = end.and_then(|end| end.tcp_by).map(|by| format!(" {}", by.sender())).unwrap_or_default();
    let ended = end.map(|end| match end.tcp_how {
        EndHow::Fin => format!("FIN{by}"),
        EndHow::Rst => format!("RST{by}"),
        EndHow::CloseFrame | EndHow::Silent | EndHow::Open => "open".to_owned(),
    });
    let state = match flow.state {
        ConnectState::Established => "no request",
        ConnectState::Refused => "refused",
        ConnectState::Unanswered => "no answer",
        ConnectState::Midstream => "midstream",
    };
    let nothing = match said {
        Some(_) if sealed => "not read",
        Some(_) => "nothing that is read",
        None => "nothing was said",
    };
    Flow {
        client: flow.client,
        server: flow.server,
        began: flow.syn_at,
        lasted: flow.end_at.map(|end| end.since(flow.syn_at)),
        exchanges: 0,
        chain,
        state: ended.unwrap_or_else(|| state.to_owned()),
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
        let window = self.list.window(usize::from(area.height.saturating_sub(1)), self.rows);
        for (at, y) in window.zip(self.top..) {
            let Some(flow) = self.get(s, at) else { continue };
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
        let moved = self.list.act(action, self.rows);
        if let Some((index, _)) = s.at(self.place(self.list.cursor)) {
            s.chosen = index;
        }
        match action {
            _ if moved => Step::Done,
            Action::Enter => Step::Go(Action::Ladder),
            Action::Copy => match self.get(s, self.list.cursor) {
                Some(flow) => Step::Copy(clip(&format!("{} {}", flow.client, flow.server), 200)),
                None => Step::Ignored,
            },
            _ => Step::Ignored,
        }
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.list.cursor, self.rows)
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.rows)
    }

    fn changed(&mut self, s: &mut Shared) {
        self.build(s);
        self.list.shrink(self.rows);
    }
}
