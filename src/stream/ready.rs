//! Heads that stand whole in one segment. Whoever takes packets apart reads them at once, and whoever follows the flows
//! has them ready when their turn comes. To read a head asks for nothing but its bytes, so that who does it makes no
//! difference.

use std::cell::RefCell;
use std::ops::Range;
use std::slice::from_ref;

use prefetch_index::prefetch_index;

use crate::base::limits;
use crate::model::{Exchange, Field, Head, LineFaults, StartLine};
use crate::wire::framing::{Framing, announced_in};
use crate::wire::http1::{self, Kind, Parts, head_end, is_candidate, parse};
use crate::wire::scratch::Scratch;
use crate::wire::sniff::{Guess, guess};

/// A head that was read ahead.
#[derive(Debug)]
pub enum Ready {
    /// A GET that is a candidate, and the exchange around it.
    Request(Box<Exchange>),
    /// A 101.
    Response(Head),
    /// Any other.
    Plain(Plain),
}

/// What is asked of a head of which nobody keeps more: its start line, and some of its fields.
#[derive(Debug)]
pub struct Plain {
    pub start: StartLine,
    pub faults: LineFaults,
    /// Bytes of the head.
    pub length: u32,
    /// How its content is delimited. `None`: it says nothing.
    pub framing: Option<Framing>,
    /// The first Cookie and X-Forwarded-For of a request; empty where there is none.
    pub cookie: Range<u32>,
    pub forwarded: Range<u32>,
}

/// One that waits to be taken.
#[derive(Debug)]
pub struct Offer(RefCell<Option<Ready>>);

impl Ready {
    /// The head that a segment's payload begins with. `None`: there is none, it does not end here, or it is out of the
    /// ordinary. `scratch`: for fields.
    #[inline]
    pub(super) fn of(payload: &[u8], scratch: &mut Scratch) -> Option<Ready> {
        let kind = match payload.first_chunk()? {
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" => Kind::Request,
            b"HTTP" => Kind::Response,
            _ => return None,
        };
        Ready::read(kind, payload, scratch)
    }

    #[inline(never)]
    fn read(kind: Kind, payload: &[u8], scratch: &mut Scratch) -> Option<Ready> {
        let is = if kind == Kind::Request { Guess::Request } else { Guess::Response };
        if guess(payload) != is {
            return None;
        }
        let text = payload.get(..head_end(payload, 0)?).filter(|text| text.len() <= limits::READY_HEAD_BYTES)?;
        let parts = parse(kind, text, &mut scratch.fields);
        match &parts.start {
            StartLine::Response { status: 101, .. } => Some(Ready::Response(http1::head(text, parts, scratch))),
            StartLine::Response { .. } => Some(Ready::Plain(Plain::of(text, parts, &scratch.fields))),
            StartLine::Request { version, .. } => {
                let plain = !is_candidate(text, &parts.start, &scratch.fields);
                if plain && text.get(version.start as usize..)?.starts_with(b"HTTP/") {
                    Some(Ready::Plain(Plain::of(text, parts, &scratch.fields)))
                } else if !plain && text.starts_with(b"GET ") {
                    Some(Ready::Request(Box::new(Exchange::of(http1::head(text, parts, scratch)))))
                } else {
                    None
                }
            }
        }
    }

    /// Which it is.
    pub fn kind(&self) -> Kind {
        match self {
            Ready::Request(_) | Ready::Plain(Plain { start: StartLine::Request { .. }, .. }) => Kind::Request,
            Ready::Response(_) | Ready::Plain(_) => Kind::Response,
        }
    }

    /// Bytes of the head.
    #[inline]
    pub fn length(&self) -> usize {
        match self {
            Ready::Request(x) => x.request.text.len(),
            Ready::Response(head) => head.text.len(),
            Ready::Plain(plain) => plain.length as usize,
        }
    }

    /// Bytes that it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let of = |head: &Head| head.text.len() + head.fields.len() * size_of::<Field>();
        size_of::<Ready>()
            + match self {
                Ready::Request(x) => of(&x.request) + size_of::<Exchange>(),
                Ready::Response(head) => of(head),
                Ready::Plain(_) => 0,
            }
    }
}

impl Plain {
    /// Of a head and its fields, as they were just read.
    pub fn of(text: &[u8], Parts { start, faults }: Parts, fields: &[Field]) -> Plain {
        let first = |name: &[u8]| {
            let is = |f: &&Field| {
                (f.name.end - f.name.start) as usize == name.len()
                    && text
                        .get(f.name.start as usize..f.name.end as usize)
                        .is_some_and(|n| n.eq_ignore_ascii_case(name))
            };
            fields.iter().find(is).map_or(0..0, |f| f.value.clone())
        };
        let is_request = matches!(start, StartLine::Request { .. });
        let [cookie, forwarded] = if is_request { [first(b"cookie"), first(b"x-forwarded-for")] } else { [0..0, 0..0] };
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Plain { start, faults, length, framing: announced_in(text, fields), cookie, forwarded }
    }
}

impl Offer {
    pub(super) fn new(ready: Ready) -> Offer {
        Offer(RefCell::new(Some(ready)))
    }

    /// `None`: somebody has it.
    pub fn take(&self) -> Option<Ready> {
        self.0.take()
    }

    /// Starts fetching what will be written.
    pub(super) fn prefetch(&self) {
        if let Some(Ready::Request(x)) = &*self.0.borrow() {
            prefetch_index(from_ref(&x.id), 0);
            prefetch_index(from_ref(&x.client), 0);
            prefetch_index(from_ref(&x.via), 0);
            prefetch_index(from_ref(&x.request), 0);
            prefetch_index(from_ref(&x.request.range), 0);
            prefetch_index(from_ref(&x.response), 0);
            prefetch_index(from_ref(&x.times), 0);
            prefetch_index(from_ref(&x.quality), 0);
            prefetch_index(from_ref(&x.seq), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mechanism;

    const ASK: &str = "GET /chat?x=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

    fn of(text: &str) -> Option<Ready> {
        Ready::of(text.as_bytes(), &mut Scratch::default())
    }

    #[test]
    fn heads_of_upgrades_are_read_whatever_comes_behind_them() {
        for behind in ["", "\u{1}\u{2}frames", "\r\n", "GET / HTTP/1.1\r\n"] {
            let Some(Ready::Request(x)) = of(&format!("{ASK}{behind}")) else { panic!("{behind:?}") };
            assert_eq!((&*x.request.text, x.request.target()), (ASK.as_bytes(), &b"/chat?x=1"[..]));
            assert_eq!((x.mechanism, x.request.fields.len()), (Mechanism::Http1Upgrade, 3));
            let Some(Ready::Response(head)) = of(&format!("{GRANT}{behind}")) else { panic!("{behind:?}") };
            assert_eq!((&*head.text, head.status()), (GRANT.as_bytes(), Some(101)));
        }
    }

    #[test]
    fn of_other_heads_it_is_kept_what_is_asked_of_them() {
        let plain = |text: &str| match of(text) {
            Some(Ready::Plain(plain)) => plain,
            other => panic!("{other:?}"),
        };
        let text = "POST /a HTTP/1.1\r\nHost: x\r\nCookie: a=1\r\ncookie: b=2\r\nX-Forwarded-For: 10.0.0.1\r\n\
            Content-Length: 4\r\n\r\nbody";
        let is = plain(text);
        assert_eq!((is.length as usize, is.framing), (text.len() - 4, Some(Framing::Length(4))));
        let of = |range: &Range<u32>| &text[range.start as usize..range.end as usize];
        assert_eq!((of(&is.cookie), of(&is.forwarded)), ("a=1", "10.0.0.1"));
        let is = plain("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n");
        assert_eq!((is.framing, is.cookie, is.forwarded), (Some(Framing::Chunked), 0..0, 0..0));
        assert!(matches!(is.start, StartLine::Response { status: 200, .. }));
        let is = plain("GET / HTTP/1.0\r\nHost : x\n\n");
        assert!(is.faults.has(LineFaults::BARE_LF) && is.faults.has(LineFaults::SPACE_BEFORE_COLON));
    }

    #[test]
    fn what_is_not_whole_or_out_of_the_ordinary_waits_for_its_turn() {
        for text in [ASK, GRANT] {
            for cut in 0..text.len() {
                assert!(of(&text[..cut]).is_none(), "{cut}");
            }
            assert!(of(&format!("\r\n{text}")).is_none());
        }
        for text in ["POST /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "GET sip:a RTSP/1.0\r\n\r\n", "GET /\r\n\r\n"]
        {
            assert!(of(text).is_none(), "{text}");
        }
        let large = ASK.replace("Host: x", &format!("X: {}", "x".repeat(limits::READY_HEAD_BYTES)));
        assert!(of(&large).is_none());
    }

    #[test]
    fn one_that_was_taken_is_gone() {
        let Some(offer) = of(GRANT).map(Offer::new) else { panic!() };
        assert!(offer.take().is_some() && offer.take().is_none());
    }
}
