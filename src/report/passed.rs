//! What a hop passed on: the heads on its two sides compared, for every format. Facts only, and only
//! those that the capture shows: of a head that is not whole, what is missing is not called removed.

use std::borrow::Cow;

use crate::base::ExchangeId;
use crate::hops::Diff;
use crate::hops::diff::compare;
use crate::model::{self, Attempted, Chain, Exchange, Head, Hop};
use crate::report::document as doc;
use crate::report::mask::{self, Masker};

/// Finds the exchange of a leg by its id. `None` where it was not kept.
pub type Legs<'f, 'a> = &'f dyn Fn(ExchangeId) -> Option<&'a Exchange>;

/// A hop and the exchanges on its two sides.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'c, 'a> {
    pub hop: &'c Hop,
    /// Nearer the client.
    pub near: &'a Exchange,
    /// Behind the hop.
    pub far: &'a Exchange,
    /// The hop tried once more behind this leg: its answer was not passed on.
    pub tried_again: bool,
}

/// The hops of a chain, nearest to the client first; those whose legs are not at hand are left out.
pub fn all<'c, 'a>(chain: &'c Chain, leg: Legs<'c, 'a>) -> impl Iterator<Item = Passed<'c, 'a>> {
    chain.hops.iter().enumerate().filter_map(move |(at, hop)| {
        let later = chain.hops.get(at + 1..).unwrap_or_default();
        let tried_again = later.iter().any(|other| other.between.0 == hop.between.0);
        Some(Passed { hop, near: leg(hop.between.0)?, far: leg(hop.between.1)?, tried_again })
    })
}

impl<'a> Passed<'_, 'a> {
    /// What the hop did to the request.
    pub fn request(&self) -> Diff<'a> {
        let whole = |x: &Exchange| x.request.complete && !x.quality.request_gap;
        seen(compare(&self.near.request, &self.far.request), whole(self.near), whole(self.far))
    }

    /// What the hop did to the answer that it passed on. `None` where there is none on either side, or
    /// another try's answer was passed on.
    pub fn response(&self) -> Option<Diff<'a>> {
        let (near, far) = (self.near.response.as_ref()?, self.far.response.as_ref()?);
        let whole = |x: &Exchange, head: &Head| head.complete && !x.quality.response_gap;
        (!self.tried_again).then(|| seen(compare(far, near), whole(self.far, far), whole(self.near, near)))
    }

    /// Whether all that `Upgrade` asks for is asked for behind the hop too. `None`: see [`Passed::kept`].
    pub fn upgrade_kept(&self) -> Option<bool> {
        self.kept("upgrade", |near, far| {
            near.tokens("upgrade").iter().all(|token| far.tokens("upgrade").contains(token))
        })
    }

    /// Whether `Connection` names `upgrade` behind the hop too. `None` also where it does not before.
    pub fn connection_kept(&self) -> Option<bool> {
        let named = |head: &Head| head.has_token("connection", "upgrade");
        self.kept("connection", |_, far| named(far)).filter(|_| named(&self.near.request))
    }

    /// Whether `Sec-WebSocket-Key` is the same behind the hop.
    pub fn key_kept(&self) -> Option<bool> {
        let name = "sec-websocket-key";
        self.kept(name, |near, far| near.whole_value(name) == far.whole_value(name))
    }

    /// `None` where there is nothing to keep (HTTP/2 on either side, no such field), or where a head is not
    /// whole.
    fn kept(&self, name: &str, same: impl Fn(&Head, &Head) -> bool) -> Option<bool> {
        let (near, far) = (&self.near.request, &self.far.request);
        if [near, far].iter().any(|head| head.version().starts_with(b"HTTP/2")) || !near.has(name) {
            return None;
        }
        match same(near, far) {
            true => Some(true),
            false => (far.complete && !self.far.quality.request_gap && near.complete).then_some(false),
        }
    }

    /// As the JSON report tells it.
    pub fn document(&self, masker: &mut Masker) -> doc::Hop {
        let hop = self.hop;
        doc::Hop {
            between: (hop.between.0.0, hop.between.1.0),
            kind: Some(Cow::Borrowed(hop.kind.word())),
            addresses: hop.addresses.iter().map(ToString::to_string).collect(),
            name: hop.name.as_deref().map(mask::own),
            product: hop.product.as_ref().map(|p| product(p, masker)),
            joined_by: hop.joined_by.iter().map(|key| Cow::Borrowed(key.word())).collect(),
            confidence: Cow::Borrowed(hop.confidence.word()),
            upgrade_kept: self.upgrade_kept(),
            connection_kept: self.connection_kept(),
            key_kept: self.key_kept(),
            versions: (masker.bytes(self.near.request.version()), masker.bytes(self.far.request.version())),
            request: changes(&self.request(), masker),
            response: self.response().map(|diff| changes(&diff, masker)).unwrap_or_default(),
            forward_ns: hop.forward.map(|n| n.0),
            return_ns: hop.back.map(|n| n.0),
        }
    }
}

/// Of a head that is not whole, what is missing was perhaps sent.
fn seen(mut diff: Diff<'_>, came_whole: bool, left_whole: bool) -> Diff<'_> {
    if !left_whole {
        diff.removed.clear();
    }
    if !came_whole {
        diff.added.clear();
    }
    if !came_whole || !left_whole {
        // The last value that was seen may have gone on.
        diff.changed.retain(|(_, came, left)| !came.starts_with(left) && !left.starts_with(came));
    }
    diff
}

fn changes(diff: &Diff<'_>, masker: &mut Masker) -> doc::Changes {
    let mut line = |&(name, value): &(&[u8], &[u8])| (masker.bytes(name), masker.field(name, value));
    let (removed, added) = (diff.removed.iter().map(&mut line).collect(), diff.added.iter().map(&mut line).collect());
    let changed = diff.changed.iter();
    let changed =
        changed.map(|&(name, came, left)| (masker.bytes(name), masker.field(name, came), masker.field(name, left)));
    doc::Changes {
        removed,
        added,
        changed: changed.collect(),
        moved: diff.moved.iter().map(|name| masker.bytes(name)).collect(),
        recased: diff.recased.iter().map(|&(came, left)| (masker.bytes(came), masker.bytes(left))).collect(),
    }
}

/// A proxy, over all chains.
pub fn intermediary(i: &model::Intermediary, masker: &mut Masker) -> doc::Intermediary {
    doc::Intermediary {
        addresses: i.places(),
        name: i.name.as_deref().map(mask::own),
        product: i.product.as_ref().map(|p| product(p, masker)),
        chains: i.chains,
        upgraded: i.upgraded,
        kept_upgrade: i.kept_upgrade,
        verdicts: i.verdicts.iter().map(|(rule, n)| (mask::own(rule), *n)).collect(),
        idle: span(i.idle),
        lifetime: span(i.lifetime),
    }
}

fn span(lasted: model::Lasted) -> doc::Span {
    doc::Span {
        survived_ns: lasted.survived.map(|n| n.0),
        cut_at_ns: lasted.cut_at.map(|n| n.0),
        samples: lasted.samples,
    }
}

/// A connection that was tried in vain.
pub fn tried(t: &Attempted) -> doc::Tried {
    doc::Tried { flow: t.flow.0, behind: t.behind.0, confidence: Cow::Borrowed(t.confidence.word()) }
}

fn product(p: &model::Software, masker: &mut Masker) -> doc::Product {
    doc::Product {
        name: mask::own(&p.name),
        version: p.version.as_deref().map(|v| masker.bytes(v.as_bytes())),
        confidence: Cow::Borrowed(p.confidence.word()),
        evidence: p.evidence.iter().map(|sign| masker.text(sign)).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::report::build;
    use crate::store::{Analysis, testing};

    fn hop(a: &Analysis, chain: usize, at: usize) -> serde_json::Value {
        let leg = |id| build::leg(a, id);
        let passed = all(&a.chains[chain], &leg).nth(at).unwrap();
        serde_json::to_value(passed.document(&mut Masker::new(false))).unwrap()
    }

    #[test]
    fn a_hop_that_loses_the_upgrade_is_told_as_the_contract_has_it() {
        insta::assert_snapshot!(hop(&testing::journeys(), 0, 0), @r#"
        {"addresses":["10.0.0.2","10.0.1.1"],"between":[1,2],"confidence":"certain","connection_kept":false,"forward_ns":118000,"joined_by":["key","time"],"key_kept":true,"kind":"http","name":null,"product":{"confidence":"certain","evidence":["Server: nginx/1.22.1"],"name":"nginx","version":"1.22.1"},"request":{"added":[["X-Real-IP","10.0.0.1"]],"changed":[["Host","chat.example.org","app:8080"],["Connection","Upgrade","close"]],"removed":[["Upgrade","websocket"]]},"response":{"added":[["Date","today"]],"changed":[["Server","app/3","nginx/1.22.1"],["Connection","close","keep-alive"]],"removed":[]},"return_ns":87000,"upgrade_kept":false,"versions":["HTTP/1.1","HTTP/1.0"]}
        "#);
    }

    #[test]
    fn a_relay_keeps_all_and_a_hop_may_move_and_respell_fields() {
        let mut a = testing::journeys();
        let relay = hop(&a, 1, 0);
        assert_eq!([&relay["upgrade_kept"], &relay["connection_kept"], &relay["key_kept"]], [true, true, true]);
        assert_eq!(relay["kind"], "relay");
        let head = "GET /chat HTTP/1.1\r\nupgrade: websocket\r\nHost: chat.example.org\r\nConnection: Upgrade\r\n\r\n";
        a.rows[3].exchange.request = testing::head(head, 34, testing::START);
        let moved = hop(&a, 1, 0);
        assert_eq!(moved["request"]["moved"], serde_json::json!(["Host"]));
        assert_eq!(moved["request"]["recased"], serde_json::json!([["Upgrade", "upgrade"]]));
        assert_eq!([&moved["upgrade_kept"], &moved["key_kept"]], [true, false]);
    }

    #[test]
    fn the_answer_of_an_earlier_try_is_not_compared() {
        let a = testing::journeys();
        let leg = |id| build::leg(&a, id);
        let tries: Vec<_> = all(&a.chains[2], &leg).collect();
        assert!(tries[0].tried_again && tries[0].response().is_none());
        assert!(!tries[1].tried_again && tries[1].response().is_some_and(|diff| diff.changed.len() == 1));
    }

    #[test]
    fn what_was_not_captured_is_not_called_removed() {
        let mut a = testing::journeys();
        a.rows[1].exchange.request.complete = false;
        let hop = hop(&a, 0, 0);
        assert_eq!(hop["request"]["removed"], serde_json::json!([]));
        assert!(hop["upgrade_kept"].is_null() && hop["connection_kept"].is_null());
        assert_eq!(hop["key_kept"], true);
    }

    #[test]
    fn without_an_upgrade_there_is_none_to_keep() {
        let mut a = testing::journeys();
        a.rows[0].exchange.request = testing::head("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 4, testing::START);
        let hop = hop(&a, 0, 0);
        assert!(hop["upgrade_kept"].is_null() && hop["connection_kept"].is_null() && hop["key_kept"].is_null());
    }

    #[test]
    fn secrets_in_changes_are_masked() {
        let mut a = testing::journeys();
        let head = "GET /chat HTTP/1.0\r\nCookie: sid=topsecret3\r\nX-Note: a?token=topsecret3\r\n\r\n";
        a.rows[1].exchange.request = testing::head(head, 14, testing::START);
        let hop = hop(&a, 0, 0).to_string();
        assert!(!hop.contains("topsecret3") && hop.contains("redacted"), "{hop}");
    }

    #[test]
    fn tries_and_proxies_are_told() {
        let a = testing::journeys();
        let report = serde_json::to_value(build::build(&a, &mut Masker::new(false))).unwrap();
        assert_eq!(
            report["chains"][3]["tried"],
            serde_json::json!([{"flow": 900, "behind": 9, "confidence": "likely"}])
        );
        assert!(report["chains"][0].get("tried").is_none());
        insta::assert_snapshot!(report["intermediaries"][0], @r#"
        {"addresses":["10.0.0.2","10.0.1.1"],"chains":4,"idle":{"cut_at_ns":null,"samples":0,"survived_ns":null},"kept_upgrade":3,"lifetime":{"cut_at_ns":null,"samples":0,"survived_ns":null},"name":null,"product":{"confidence":"certain","evidence":["Server: nginx/1.22.1"],"name":"nginx","version":"1.22.1"},"upgraded":1,"verdicts":{"hop-downgraded-http10":1}}
        "#);
    }
}
