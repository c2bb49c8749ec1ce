//! What rules on hops and chains look at: a chain's legs with what was judged of each, and between two
//! neighbours what the hop did.

use crate::hops::Diff;
use crate::hops::diff::compare;
use crate::model::{Attempted, Confidence, Exchange, Finding, FlowFacts, Handshake, Hop, HopKind, Outcome, Text};

/// One leg, and what was judged of it alone.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    pub x: &'a Exchange,
    pub handshake: &'a Handshake,
    pub outcome: Outcome,
    /// About this exchange alone.
    pub findings: &'a [Finding],
}

/// A hop and the legs on its two sides.
#[derive(Clone, Copy, Debug)]
pub struct HopView<'a> {
    pub hop: &'a Hop,
    /// Nearer the client.
    pub near: Leg<'a>,
    /// Behind the hop.
    pub far: Leg<'a>,
    /// Whether the hop tried once more behind this leg: then its answer was not passed on.
    pub tried_again: bool,
    pub journey: &'a Journey<'a>,
}

/// A chain: its legs, client side first, its hops, and connections that carried no request.
#[derive(Clone, Copy, Debug)]
pub struct Journey<'a> {
    pub legs: &'a [Leg<'a>],
    pub hops: &'a [Hop],
    /// What hops tried towards backends without getting a request through.
    pub tried: &'a [(Attempted, &'a FlowFacts)],
    pub view: &'a View<'a>,
}

/// What the captures of the legs behind a hop say of the time in which it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// They have packets from before and after it, or nothing is known of it.
    #[default]
    Captured,
    /// Their last packet came before it, or their first behind it: they may have ended early, or begun late.
    Quiet,
    /// They ended before it: what a leg that they show carried behind that, or its answer, is not in them.
    Over,
}

impl View<'_> {
    /// Whether other chains show this hop's connections to its backends, and nothing tells that their capture was over.
    pub fn shows_behind(&self) -> bool {
        self.behind_last && self.behind_then != Then::Over
    }
}

/// What the captures show of the hop that answers a chain's last leg.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// Whether other chains show that this hop's connections to its backends are captured too.
    pub behind_last: bool,
    /// And whether they were captured while this was asked.
    pub behind_then: Then,
    /// Whether the captures show more than one leg of anything.
    pub several_legs: bool,
    /// Legs that fitted equally well, so that none was joined: how many.
    pub rivals: usize,
    /// The software that answers the last leg. `None` where nothing tells.
    pub responder: Option<&'a crate::model::Software>,
    /// The software that asked on the first leg and closed it without a Close frame. `None` where it did not, or nothing tells.
    pub asker: Option<&'a crate::model::Software>,
    /// Whether the last leg's answer is a page or form that this software writes by itself.
    pub own_page: bool,
    /// While the last leg was asked, a request left its server that belongs to no chain: it may be the next leg.
    pub strays: bool,
}

impl<'a> Journey<'a> {
    /// The client's own leg.
    pub fn first(&self) -> Option<Leg<'a>> {
        self.legs.first().copied()
    }

    /// The leg nearest the backend. Of several tries, the last.
    pub fn last(&self) -> Option<Leg<'a>> {
        self.legs.last().copied()
    }

    /// All hops with both of their legs and their places in the list, nearest to the client first.
    pub fn hops(&'a self) -> impl Iterator<Item = (usize, HopView<'a>)> {
        self.hops.iter().enumerate().filter_map(|(at, hop)| {
            let leg = |id| self.legs.iter().find(|leg| leg.x.id == id).copied();
            let later = self.hops.get(at + 1..).unwrap_or_default();
            let tried_again = later.iter().any(|other| other.between.0 == hop.between.0) || self.tried_behind(hop);
            let (near, far) = (leg(hop.between.0)?, leg(hop.between.1)?);
            Some((at, HopView { hop, near, far, tried_again, journey: self }))
        })
    }

    /// Whether this hop tried another server in vain behind the answer that it got.
    pub fn tried_behind(&self, hop: &Hop) -> bool {
        let far = self.legs.iter().find(|leg| leg.x.id == hop.between.1);
        let answered = far.and_then(|leg| leg.x.response.as_ref()).map(|answer| answer.first);
        let later = |flow: &FlowFacts| answered.is_some_and(|at| flow.syn_at >= at);
        self.tried.iter().any(|(tried, flow)| tried.behind == hop.between.0 && later(flow))
    }
}

impl<'a> HopView<'a> {
    /// Whether the rules on fields apply: the hop reads HTTP/1.x on both sides and writes it anew.
    pub fn writes_http(&self) -> bool {
        self.hop.kind == HopKind::Http
    }

    /// What the hop did to the request.
    pub fn request(&self) -> Diff<'a> {
        compare(&self.near.x.request, &self.far.x.request)
    }

    /// What the hop did to the response that it passed on. `None` where either side has none, or where
    /// another try's answer was passed on.
    pub fn response(&self) -> Option<Diff<'a>> {
        let (near, far) = (self.near.x.response.as_ref()?, self.far.x.response.as_ref()?);
        (!self.tried_again).then(|| compare(far, near))
    }

    /// Both request heads were seen whole: what is not there was not sent.
    pub fn requests_whole(&self) -> bool {
        [self.near.x, self.far.x].iter().all(|x| x.request.complete && !x.quality.request_gap)
    }

    /// Both responses were seen whole.
    pub fn responses_whole(&self) -> bool {
        let whole = |x: &Exchange| x.response.as_ref().is_some_and(|r| r.complete) && !x.quality.response_gap;
        whole(self.near.x) && whole(self.far.x)
    }

    /// The hop in the middle of a sentence: `nginx 1.22.1 at 10.0.0.2`, `the proxy edge (10.0.0.2)`.
    pub fn who(&self) -> String {
        who(self.hop)
    }

    /// The packets on both sides: `(packets 4 → 5)`.
    pub fn packets(&self) -> Text {
        Text::own("(").packets([self.near.x.request.at, self.far.x.request.at]).say(")")
    }

    /// How sure a claim about both legs can be: no surer than that they belong together.
    pub fn confidence(&self) -> Confidence {
        self.hop.confidence
    }
}

/// A hop in the middle of a sentence.
pub fn who(hop: &Hop) -> String {
    let at = hop.place().unwrap_or_default();
    let product = hop.product.as_ref().filter(|p| p.confidence >= Confidence::Likely);
    if let (true, Some(near)) = (hop.unseen, hop.addresses.get(1)) {
        let name = product.map_or_else(|| "the proxy".to_owned(), full_name);
        return format!("{name} at {at} (or another one behind {near}: a leg between them is not in view)");
    }
    match (product, &hop.name) {
        (Some(p), Some(name)) => format!("{} {name} ({at})", full_name(p)),
        (Some(p), None) => format!("{} at {at}", full_name(p)),
        (None, Some(name)) => format!("the proxy {name} ({at})"),
        (None, None) => format!("the proxy at {at}"),
    }
}

/// `nginx 1.22.1`, or `nginx` where its version is not known.
pub fn full_name(software: &crate::model::Software) -> String {
    match &software.version {
        Some(version) => format!("{} {version}", software.name),
        None => software.name.clone(),
    }
}
