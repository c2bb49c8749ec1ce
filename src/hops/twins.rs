//! One connection that was captured twice: at two places, or on both sides of address translation. Its
//! exchanges are one leg, not two.

use crate::base::{Nanos, limits};
use crate::model::{ConnectState, Exchange, FlowFacts};

use super::Set;
use super::candidates::Candidates;
use super::join::Twin;

/// What was captured twice, found among exchanges that share a key or an id. The one nearer the client is
/// kept; of equal ones the one that was seen better, or first.
pub(super) fn find(found: &Candidates<'_>, all: &[Box<Exchange>], shift: &dyn Fn(&Exchange) -> Nanos) -> Vec<Twin> {
    let mut twins: Vec<Twin> = Vec::new();
    let mut gone = Set::default();
    for group in found.groups() {
        for (place, &a) in group.iter().enumerate() {
            let Some(x) = all.get(a) else { continue };
            // The same key over and over: only the next ones are looked at.
            for &b in group.iter().skip(place + 1).take(limits::JOIN_CANDIDATES) {
                let Some(y) = all.get(b) else { continue };
                if gone.contains(&a) || gone.contains(&b) || !are(x, y, shift) {
                    continue;
                }
                let (kept, other) = if is_nearer(x, y, shift) { (a, b) } else { (b, a) };
                let (k, o) = if kept == a { (x, y) } else { (y, x) };
                let seen_as = ((k.client, k.server) != (o.client, o.server)).then_some((o.client, o.server));
                gone.insert(other);
                twins.push(Twin { kept, other, seen_as });
            }
        }
    }
    twins
}

/// Takes out refused and unanswered connections that are another one in front of address translation: what is told
/// of them is told of those whose server was asked in truth.
pub fn without_copies(lone: &mut Vec<FlowFacts>) {
    let in_vain = |flow: &FlowFacts| matches!(flow.state, ConnectState::Refused | ConnectState::Unanswered);
    let mut asked: Vec<_> = lone.iter().filter(|flow| in_vain(flow) && flow.said.is_none()).collect();
    asked.sort_by_key(|flow| (flow.client, flow.syn_at, flow.id));
    let slack = Nanos::from_millis(limits::JOIN_SLACK_MS);
    // Nobody opens two connections from one port at a time, to different servers, that fail alike.
    let copies: Set<_> = asked
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a.client == b.client && a.server != b.server && a.state == b.state && a.syns == b.syns => {
                (b.syn_at.since(a.syn_at) <= slack).then_some(a.id)
            }
            _ => None,
        })
        .collect();
    if !copies.is_empty() {
        lone.retain(|flow| !copies.contains(&flow.id));
    }
}

/// Whether both are one exchange: the same bytes, on connections that share their sequence numbers, or
/// whose opening was one.
fn are(x: &Exchange, y: &Exchange, shift: &dyn Fn(&Exchange) -> Nanos) -> bool {
    if x.flow == y.flow || x.request.text != y.request.text || x.request.text.is_empty() {
        return false;
    }
    let answers = match (&x.response, &y.response) {
        (Some(a), Some(b)) => a.text == b.text,
        _ => true,
    };
    if !answers {
        return false;
    }
    let number = |x: &Exchange, side: usize| x.seq.get(side).copied().flatten();
    let known = [0, 1].map(|side| number(x, side).zip(number(y, side)));
    let stamps = (x.syn_stamp != 0 && y.syn_stamp != 0).then_some(x.syn_stamp == y.syn_stamp);
    if stamps == Some(false) || !at_once(x, y, shift) {
        return false;
    }
    let same_name = (x.client, x.server) == (y.client, y.server);
    if same_name && x.request.at.input() == y.request.at.input() {
        // In one capture a name that comes again is another connection.
        return false;
    }
    match known {
        // Made captures, and some that were made anonymous, begin all connections at one small number.
        [Some((a, b)), Some((c, d))] if a == b && c == d && a.max(c) < u32::from(u16::MAX) => stamps == Some(true),
        [Some((a, b)), Some((c, d))] if a == b && c == d => true,
        // Of one side only: chance is one in four thousand millions.
        [Some((a, b)), None] | [None, Some((a, b))] => a == b,
        [None, None] => same_name,
        // Numbers were changed on the way, as some firewalls do: then the far SYN is the near one, with the
        // timestamp that its sender gave it, passed on before the near handshake was complete. A proxy accepts
        // first, and its SYN has a timestamp of its own.
        _ => stamps == Some(true) && (passed_on(x, y, shift) || passed_on(y, x, shift)),
    }
}

/// Whether the requests, and the answers, were seen at the two places within the time that a packet takes from
/// one to the other, the answer there first where the request was last.
fn at_once(x: &Exchange, y: &Exchange, shift: &dyn Fn(&Exchange) -> Nanos) -> bool {
    let slack = Nanos::from_millis(limits::JOIN_SLACK_MS);
    let later = (y.request.first + shift(y)).since(x.request.first + shift(x));
    let answer = x.response.as_ref().zip(y.response.as_ref());
    let answered =
        answer.map_or(Nanos(later.0.saturating_neg()), |(a, b)| (b.first + shift(y)).since(a.first + shift(x)));
    let turned = later.0 >= -slack.0 && answered.0 <= slack.0 || later.0 <= slack.0 && answered.0 >= -slack.0;
    turned
        && later.0.unsigned_abs() <= limits::TWIN_MS * 1_000_000
        && answered.0.unsigned_abs() <= limits::TWIN_MS * 1_000_000
}

/// Whether the far connection's SYN was sent while the near handshake was still under way.
fn passed_on(near: &Exchange, far: &Exchange, shift: &dyn Fn(&Exchange) -> Nanos) -> bool {
    let (Some(syn), Some(rtt), Some(far_syn)) = (near.times.syn, near.times.rtt, far.times.syn) else { return false };
    let later = (far_syn + shift(far)).since(syn + shift(near));
    later.0 >= 0 && later < rtt
}

/// Whether `x` was captured nearer the client than `y`, or better, or first.
fn is_nearer(x: &Exchange, y: &Exchange, shift: &dyn Fn(&Exchange) -> Nanos) -> bool {
    let holes = |x: &Exchange| {
        let q = &x.quality;
        usize::from(q.gap)
            + usize::from(q.request_gap)
            + usize::from(q.response_gap)
            + usize::from(x.response.is_none())
    };
    if (x.client, x.server) == (y.client, y.server) {
        return holes(x) <= holes(y);
    }
    let began = |x: &Exchange| (x.request.first + shift(x), x.id);
    // By one clock the near side sees the request first; by two, the longer round trip is nearer.
    if x.request.at.input() == y.request.at.input() {
        return began(x) <= began(y);
    }
    match (x.latency(), y.latency()) {
        (Some(a), Some(b)) if a != b => a > b,
        _ => began(x) <= began(y),
    }
}
