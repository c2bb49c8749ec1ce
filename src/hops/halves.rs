//! Connections of which each direction was captured by another name: on a host that translates addresses (`tcpdump -i any`
//! where containers run, sidecars behind REDIRECT) answers are seen before they get their name back, and some capture
//! each direction into a file of its own. What was asked in one and answered in the other is one exchange.

use crate::base::{Endpoint, Nanos, limits};
use crate::model::{Direction, EndHow, Exchange};

use super::Map;

/// What was put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct United {
    /// Answers that are none of their own any more.
    pub count: u64,
    /// Some came from another input than what they answer: the two are one place.
    pub across: bool,
}

/// Puts halves together, and takes out answers that are in view as a whole elsewhere. In order of ids, before and behind.
pub fn unite(all: &mut Vec<Box<Exchange>>) -> United {
    let mut united = United::default();
    let answers: Vec<usize> = places(all, |x| x.is_request_unseen() && x.response.is_some());
    if answers.is_empty() {
        return united;
    }
    // What a client asked, in the order of time.
    let mut asked: Map<Endpoint, Vec<usize>> = Map::default();
    let mut served: Map<u32, Vec<usize>> = Map::default();
    for (at, x) in all.iter().enumerate().filter(|(_, x)| !x.request.text.is_empty() && x.stream.is_none()) {
        asked.entry(x.client).or_default().push(at);
        if let Some(seq) = x.seq[1].filter(|_| x.response.is_some()) {
            served.entry(seq).or_default().push(at);
        }
    }
    for asked in asked.values_mut() {
        asked.sort_by_key(|at| all.get(*at).map(|x| (x.request.first, x.id)));
    }
    let mut gone: Vec<usize> = Vec::new();
    for &place in &answers {
        let Some(answer) = all.get(place) else { continue };
        let by_client = asked.get(&answer.client).map(Vec::as_slice).unwrap_or_default();
        let came = first(answer);
        let end = by_client.partition_point(|at| all.get(*at).is_some_and(|x| x.request.first <= came));
        // The last that were asked before it.
        let before = by_client.get(end.saturating_sub(NEAR)..end).unwrap_or_default();
        let by_number = answer.seq[1].and_then(|seq| served.get(&seq)).into_iter().flatten().take(NEAR);
        if before.iter().chain(by_number).filter_map(|at| all.get(*at)).any(|x| is_copy(answer, x)) {
            gone.push(place);
            continue;
        }
        let mut open = before.iter().rev().filter_map(|at| Some((*at, all.get(*at)?))).filter(|(_, x)| is_asked(x));
        let half = open.next().filter(|(at, x)| before.last() == Some(at) && is_answer(answer, x));
        // A proxy may go from one port to two servers at a time: whose answer it is, nobody knows.
        let mut unsure = |x: &Exchange| open.any(|(_, other)| other.server != x.server && other.end.tcp_at.is_none());
        let Some((at, _)) = half.filter(|(_, x)| answer.server == x.server || !unsure(x)) else { continue };
        let answer = answer.clone();
        if let Some(x) = all.get_mut(at) {
            united.across |= x.request.at.input() != answer.request.at.input();
            complete(x, *answer);
            gone.push(place);
        }
    }
    united.count = gone.len() as u64;
    gone.sort_unstable();
    let mut at = 0;
    all.retain(|x| {
        at += 1;
        // Answers that were kept in case that somebody asked for them.
        let in_vain = x.tentative && x.is_request_unseen();
        !in_vain && gone.binary_search(&(at - 1)).is_err()
    });
    united
}

fn places(all: &[Box<Exchange>], is: impl Fn(&Exchange) -> bool) -> Vec<usize> {
    all.iter().enumerate().filter(|(_, x)| is(x)).map(|(at, _)| at).collect()
}

/// Whether this answer without a request is the answer of an exchange that is in view as a whole.
fn is_copy(answer: &Exchange, whole: &Exchange) -> bool {
    let same = answer.client == whole.client || answer.seq[1].is_some() && answer.seq[1] == whole.seq[1];
    match (&answer.response, &whole.response) {
        (Some(a), Some(b)) => {
            let apart = a.first.since(b.first).0.unsigned_abs();
            same && a.text == b.text && apart <= limits::TWIN_MS * 1_000_000
        }
        _ => false,
    }
}

/// Requests of one client that are looked at for each answer.
const NEAR: usize = 8;

/// How long behind its request an answer is taken for its own.
const LATEST: Nanos = Nanos::from_secs(120);

/// Whether the answer has the place on its connection that the request has, and comes in time.
fn is_answer(answer: &Exchange, x: &Exchange) -> bool {
    answer.index_in_flow == x.index_in_flow && first(answer).since(x.request.first) <= LATEST
}

/// Whether it waits for an answer of which nothing was captured.
fn is_asked(x: &Exchange) -> bool {
    x.response.is_none() && x.quality.no_server_packets && x.odd_response.is_none() && x.via.is_empty()
}

/// When the answer came.
fn first(answer: &Exchange) -> crate::base::Timestamp {
    answer.response.as_ref().map_or(answer.request.first, |head| head.first) + Nanos::from_millis(limits::JOIN_SLACK_MS)
}

/// Gives a request its answer. Of what was sent behind a 101 one direction alone was followed: nothing is told of it but how
/// it ended.
fn complete(x: &mut Exchange, answer: Exchange) {
    x.response = answer.response;
    x.interim = answer.interim;
    x.body = answer.body;
    x.quality.response_gap = answer.quality.response_gap;
    x.quality.no_server_packets = false;
    x.quality.gap = true;
    x.quality.snapped |= answer.quality.snapped;
    x.seq[1] = x.seq[1].or(answer.seq[1]);
    x.times.last = x.times.last.max(answer.times.last);
    (x.talk, x.ws, x.early) = (None, None, None);
    let ends = [(&x.end, Direction::ClientToServer), (&answer.end, Direction::ServerToClient)];
    // A side tells of its own end alone.
    let own = |(end, by): &(&crate::model::End, Direction)| end.tcp_by == Some(*by) && end.tcp_how != EndHow::Open;
    let first = ends.into_iter().filter(own).min_by_key(|(end, _)| end.tcp_at);
    if let Some((end, _)) = first {
        let mut end = end.clone();
        (end.idle_before, end.idle_of) = (None, [None; 2]);
        end.lifetime = end.at.map(|at| at.since(x.request.first));
        x.end = end;
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::base::{ExchangeId, FlowId};
    use crate::hops::testing::head;

    const ASKED: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n";
    const GRANTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\n\r\n";

    fn half(id: u64, asked: bool, response: Option<&str>) -> Box<Exchange> {
        let end = |port| Endpoint { ip: std::net::Ipv4Addr::new(192, 0, 2, 1).into(), port };
        let mut x = Exchange::of(head(ASKED));
        (x.id, x.flow) = (ExchangeId(id), FlowId(u32::try_from(id).unwrap_or_default()));
        (x.client, x.server) = (end(40_000), end(80));
        if !asked {
            x.request.text = Box::default();
            x.quality.no_client_packets = true;
        }
        x.response = response.map(head);
        x.quality.no_server_packets = response.is_none();
        Box::new(x)
    }

    #[test]
    fn a_request_and_an_answer_that_was_seen_by_another_name_are_one() {
        let mut answer = half(2, false, Some(REFUSED));
        answer.server.port = 9_000;
        let mut all = vec![half(1, true, None), answer];
        assert_eq!(unite(&mut all).count, 1);
        assert_eq!((all.len(), all[0].status(), all[0].id), (1, Some(403), ExchangeId(1)));
        assert!(!all[0].quality.no_server_packets && all[0].quality.gap);
    }

    #[test]
    fn an_answer_that_is_in_view_as_a_whole_is_left_out() {
        let answer = half(2, false, Some(GRANTED));
        let mut all = vec![half(1, true, Some(GRANTED)), answer.clone()];
        assert_eq!((unite(&mut all).count, all.len()), (1, 1));
        let mut translated = answer;
        translated.client.port += 1;
        let mut whole = half(1, true, Some(GRANTED));
        (whole.seq[1], translated.seq[1]) = (Some(7_000_000), Some(7_000_000));
        let mut all = vec![whole.clone(), translated.clone()];
        assert_eq!((unite(&mut all).count, all.len()), (1, 1), "its numbers are the same");
        translated.seq[1] = Some(7);
        let mut all = vec![whole, translated];
        assert_eq!((unite(&mut all).count, all.len()), (0, 2), "another connection");
    }

    #[test]
    fn a_request_of_another_client_or_one_that_comes_later_is_not_its() {
        let mut other = half(1, true, None);
        other.client.port += 1;
        let mut later = half(3, true, None);
        later.request.first = later.request.first + Nanos::from_secs(9);
        let mut all = vec![other, half(2, false, Some(REFUSED)), later];
        assert_eq!((unite(&mut all).count, all.len()), (0, 3));
    }

    #[test]
    fn an_answer_of_another_place_too_late_or_of_nobody_knows_whom_is_left() {
        let answer = || half(9, false, Some(REFUSED));
        let united = |mut all: Vec<Box<Exchange>>| unite(&mut all).count;
        let mut second = answer();
        second.index_in_flow = 1;
        assert_eq!(united(vec![half(1, true, None), second]), 0, "what came first is not in view");
        let mut late = answer();
        late.response.iter_mut().for_each(|head| head.first = head.first + LATEST + Nanos::from_secs(1));
        assert_eq!(united(vec![half(1, true, None), late]), 0);
        let (mut other, mut translated) = (half(1, true, None), answer());
        (other.server.port, translated.server.port) = (81, 9_000);
        assert_eq!(united(vec![other.clone(), half(2, true, None), translated.clone()]), 0, "two are open");
        other.end.tcp_at = Some(other.request.last);
        assert_eq!(united(vec![other, half(2, true, None), translated]), 1, "one of them is over");
    }
}
