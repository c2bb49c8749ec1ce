//! Heads of upgrades that stand whole in one segment. Whoever takes packets apart reads them at once, and whoever
//! follows the flows has them ready when their turn comes. To read a head asks for nothing but its bytes, so that who
//! does it makes no difference.

use std::cell::RefCell;
use std::slice::from_ref;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use prefetch_index::prefetch_index;

use crate::base::limits;
use crate::model::{Exchange, Field, Head, StartLine};
use crate::wire::http1::{self, Kind, head_end, is_candidate, parse};

/// A head that was read ahead.
#[derive(Debug)]
pub enum Ready {
    /// A GET that is a candidate, and the exchange around it.
    Request(Box<Exchange>),
    /// A 101.
    Response(Head),
}

/// One that waits to be taken.
#[derive(Debug)]
pub struct Offer(RefCell<Option<Ready>>);

/// What these begin with.
const GET: &[u8] = b"GET ";
const SWITCHING: &[u8] = b"HTTP/1.1 101";

/// A part of `Upgrade` in every spelling that is worth a look.
static UPGRADE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"pgrade"));

impl Ready {
    /// The head that a segment's payload begins with. `None`: there is none of an upgrade, it does not end here, or it
    /// is out of the ordinary. `scratch`: for fields.
    pub(super) fn of(payload: &[u8], scratch: &mut Vec<Field>) -> Option<Ready> {
        let is_request = payload.starts_with(GET);
        if !is_request && !payload.starts_with(SWITCHING) {
            return None;
        }
        if is_request {
            UPGRADE.find(payload)?;
        }
        let text = payload.get(..head_end(payload, 0)?).filter(|text| text.len() <= limits::READY_HEAD_BYTES)?;
        let kind = if is_request { Kind::Request } else { Kind::Response };
        let parts = parse(kind, text, scratch);
        match parts.start {
            StartLine::Request { .. } if is_candidate(text, &parts.start, scratch) => {
                Some(Ready::Request(Box::new(Exchange::of(http1::head(text, parts, scratch)))))
            }
            StartLine::Response { status: 101, .. } => Some(Ready::Response(http1::head(text, parts, scratch))),
            _ => None,
        }
    }

    /// Bytes that it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let of = |head: &Head| head.text.len() + head.fields.len() * size_of::<Field>();
        match self {
            Ready::Request(x) => of(&x.request) + size_of::<Exchange>(),
            Ready::Response(head) => of(head) + size_of::<Head>(),
        }
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
        Ready::of(text.as_bytes(), &mut vec![])
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
    fn what_is_not_whole_or_of_no_upgrade_waits_for_its_turn() {
        for text in [ASK, GRANT] {
            for cut in 0..text.len() {
                assert!(of(&text[..cut]).is_none(), "{cut}");
            }
            assert!(of(&format!("\r\n{text}")).is_none());
        }
        assert!(of("GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_none());
        assert!(of("GET /pgrade HTTP/1.1\r\nHost: x\r\n\r\n").is_none());
        assert!(of("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\n\r\n").is_none());
        let large = ASK.replace("Host: x", &format!("X: {}", "x".repeat(limits::READY_HEAD_BYTES)));
        assert!(of(&large).is_none());
    }

    #[test]
    fn one_that_was_taken_is_gone() {
        let Some(offer) = of(GRANT).map(Offer::new) else { panic!() };
        assert!(offer.take().is_some() && offer.take().is_none());
    }
}
