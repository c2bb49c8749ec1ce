//! One chain at length: its document, its legs and findings, and its journey as participants and messages. It is made
//! when it is told and dropped behind that, so that a report of very many chains holds one of them at a time.

use std::collections::{HashMap, HashSet};

use crate::report::document as doc;
use crate::report::view::{self, Status, endpoint};

/// A chain, its legs, and the findings of both.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: Status,
    pub(super) chain: doc::Chain,
    /// Client side first; only those that were kept.
    pub(super) legs: Vec<doc::Exchange>,
    /// Each once, the verdict's own first, then the worst.
    pub(super) findings: Vec<doc::Finding>,
    /// Who is to blame, in words. `None` where nobody is.
    pub(super) blamed: Option<String>,
}

/// Who takes part in a journey, and what they said to each other.
#[derive(Debug, Default)]
pub(super) struct Journey {
    /// What each is called: `client 10.0.0.1:40000`, `nginx 10.0.0.2:80`. The client is the first.
    pub(super) who: Vec<(String, String)>,
    pub(super) messages: Vec<Message>,
}

/// One message of a journey.
#[derive(Debug)]
pub(super) struct Message {
    /// Places in [`Journey::who`].
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) text: String,
    /// What the hop took out, changed, added: sign and words.
    pub(super) notes: Vec<(char, String)>,
    pub(super) kind: MessageKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Request,
    /// An answer that grants what was asked for.
    Granted,
    Answer,
    /// A connection that came to nothing, or no answer.
    Nothing,
    /// The end of what was granted: who begins it sends it.
    End,
}

/// Fields of a hop's changes that a journey names; the others are counted.
const NAMED: [&str; 6] = ["upgrade", "connection", "host", "sec-websocket-key", "origin", "server"];

impl Told {
    /// The leg that the client saw.
    pub(super) fn first(&self) -> Option<&doc::Exchange> {
        self.exchange(*self.chain.legs.first()?)
    }

    fn exchange(&self, id: u64) -> Option<&doc::Exchange> {
        self.legs.iter().find(|x| x.id == id)
    }

    /// `#3`, or `connection 7` of one that never carried a request.
    pub(super) fn name(&self) -> String {
        view::name(self.chain.id)
    }

    /// `GET chat.example.org/chat`, or what a connection without a request came to.
    pub(super) fn title(&self) -> String {
        match self.first() {
            Some(x) => format!("{} {}", x.request.method, view::place(x)),
            None => "no request".to_owned(),
        }
    }

    /// The findings that the verdict rests on.
    pub(super) fn own_findings(&self) -> impl Iterator<Item = &doc::Finding> {
        self.findings.iter().filter(|f| f.rule == self.chain.verdict.rule)
    }

    /// Who said what to whom, client side first.
    pub(super) fn journey(&self) -> Journey {
        let (Some(first), chain) = (self.first(), &self.chain) else { return Journey::default() };
        let mut journey = Journey::default();
        journey.who.push(("client".to_owned(), endpoint(&first.client)));
        let mut at: HashMap<u64, usize> = HashMap::new();
        let mut seen: HashSet<u64> = HashSet::new();
        let mut stack = vec![(first.id, 0, true)];
        while let Some((id, from, enter)) = stack.pop() {
            let Some(x) = self.exchange(id) else { continue };
            if !enter {
                let to = at.get(&id).copied().unwrap_or_default();
                journey.messages.push(self.answer(x, to, from));
                continue;
            }
            if !seen.insert(id) {
                continue;
            }
            let named = (self.role(x), endpoint(&x.server));
            let to = journey.who.iter().skip(1).position(|w| *w == named).map_or(journey.who.len(), |p| p + 1);
            if to == journey.who.len() {
                journey.who.push(named);
            }
            at.insert(id, to);
            let came = chain.hops.iter().find(|hop| hop.between.1 == id);
            journey.messages.push(Message {
                from,
                to,
                text: format!("{} {} {}", x.request.method, x.request.target, x.request.version),
                notes: came.map(|hop| notes(&hop.request)).unwrap_or_default(),
                kind: MessageKind::Request,
            });
            stack.push((id, from, false));
            let behind = chain.hops.iter().filter(|hop| hop.between.0 == id);
            let behind: Vec<u64> = behind.map(|hop| hop.between.1).collect();
            stack.extend(behind.into_iter().rev().map(|next| (next, to, true)));
        }
        for tried in &chain.tried {
            let Some(&from) = at.get(&tried.behind) else { continue };
            let to = journey.who.len();
            journey.who.push(("tried".to_owned(), format!("connection {}", tried.flow)));
            let text = "a connection without a request".to_owned();
            journey.messages.push(Message { from, to, text, notes: Vec::new(), kind: MessageKind::Nothing });
        }
        let mut ends: Vec<(&str, Message)> = Vec::new();
        for (id, &to) in &at {
            let from = chain.hops.iter().find(|hop| hop.between.1 == *id).and_then(|hop| at.get(&hop.between.0));
            let end = self.exchange(*id).and_then(|x| end(x, from.copied().unwrap_or_default(), to));
            ends.extend(end);
        }
        ends.sort_by(|(a, x), (b, y)| (a, x.from, x.to).cmp(&(b, y.from, y.to)));
        journey.messages.extend(ends.into_iter().map(|(_, message)| message));
        journey
    }

    fn answer(&self, x: &doc::Exchange, from: usize, to: usize) -> Message {
        // What was passed on is the last try's answer.
        let passed = self.chain.hops.iter().rfind(|hop| hop.between.0 == x.id);
        let notes = passed.map(|hop| notes(&hop.response)).unwrap_or_default();
        let Some(response) = &x.response else {
            let by = x.end.as_ref().map(|end| (&*end.how, end.by.as_deref().unwrap_or("somebody")));
            let text = match by {
                Some(("fin", by)) => format!("no answer: FIN by the {by}"),
                Some(("rst", by)) => format!("no answer: RST by the {by}"),
                _ => "no answer".to_owned(),
            };
            return Message { from, to, text, notes, kind: MessageKind::Nothing };
        };
        let status = response.status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let text = format!("{status} {}", response.reason).trim_end().to_owned();
        let granted = response.status == Some(101) || x.outcome == "upgraded";
        let kind = if granted { MessageKind::Granted } else { MessageKind::Answer };
        Message { from, to, text, notes, kind }
    }

    fn role(&self, x: &doc::Exchange) -> String {
        match self.chain.hops.iter().find(|hop| hop.between.0 == x.id) {
            Some(hop) => view::hop_name(hop),
            None if self.chain.tried.iter().any(|t| t.behind == x.id) => "proxy".to_owned(),
            None if self.chain.legs.len() > 1 => "backend".to_owned(),
            None => "server".to_owned(),
        }
    }
}

/// How the tunnel on a leg between these two ended, and when. `None`: there was none, or no end of it.
fn end(x: &doc::Exchange, near: usize, far: usize) -> Option<(&str, Message)> {
    let end = x.end.as_ref().filter(|_| x.outcome == "upgraded")?;
    let (from, to) = match end.by.as_deref()? {
        "client" => (near, far),
        _ => (far, near),
    };
    let mut text = match &*end.how {
        "close-frame" => end.close_code.map_or_else(|| "Close".to_owned(), |code| format!("Close {code}")),
        "fin" => "FIN".to_owned(),
        "rst" => "RST".to_owned(),
        _ => return None,
    };
    if let Some(reason) = end.close_reason.as_ref().filter(|reason| !reason.is_empty()) {
        text.push_str(&format!(" {reason}"));
    }
    if let Some(life) = end.lifetime_ns {
        text.push_str(&format!(", {} after the request", view::length(life)));
    }
    let said =
        x.websocket.as_ref().map(|ws| format!("frames: client {}, server {}", ws.client.frames, ws.server.frames));
    let notes = said.into_iter().map(|said| ('·', said)).collect();
    Some((end.at.as_deref().unwrap_or_default(), Message { from, to, text, notes, kind: MessageKind::End }))
}

fn notes(changes: &doc::Changes) -> Vec<(char, String)> {
    let is_named = |name: &str| NAMED.iter().any(|known| name.eq_ignore_ascii_case(known));
    let mut notes: Vec<(char, String)> = Vec::new();
    let mut others = 0;
    for (sign, name, before, behind) in view::diff(changes) {
        match sign {
            _ if !is_named(name) => others += 1,
            '−' => notes.push((sign, format!("{name}: {before}"))),
            _ => notes.push((sign, format!("{name}: {behind}"))),
        }
    }
    match others {
        0 => {}
        1 => notes.push(('~', "1 other field differs".to_owned())),
        n => notes.push(('~', format!("{n} other fields differ"))),
    }
    notes
}
