//! Holds the chains of a report against the truth about a capture: which legs belong to one journey.
//! Exchanges are known by the packet that begins them, so that no clock and no address has to be believed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::vantage::Made;

/// A report and the truth beside it.
pub(crate) struct Joined {
    pub made: Made,
    pub report: Value,
    /// The ids of the exchanges that are this leg of this journey.
    pub ids: Vec<Vec<Vec<u64>>>,
}

impl Joined {
    pub(crate) fn read(made: Made, arguments: &[&str]) -> Joined {
        let report = made.report(arguments);
        Joined::with(made, report)
    }

    pub(crate) fn with(made: Made, report: Value) -> Joined {
        let place = |x: &Value| (x["request"]["input"].as_u64().unwrap(), x["request"]["packet"].as_u64().unwrap());
        let by_place: BTreeMap<(u64, u64), u64> =
            list(&report["exchanges"]).iter().map(|x| (place(x), x["id"].as_u64().unwrap())).collect();
        let found = |begins: &Vec<(u64, u64)>| begins.iter().filter_map(|place| by_place.get(place).copied()).collect();
        let ids: Vec<Vec<Vec<u64>>> =
            made.begins.iter().map(|legs| legs.iter().map(found).collect::<Vec<Vec<u64>>>()).collect();
        let known = ids.iter().flatten().map(Vec::len).sum::<usize>();
        assert_eq!(known, by_place.len(), "every exchange begins where a request was put");
        Joined { made, report, ids }
    }

    /// The chain that holds the client's own leg.
    pub(crate) fn chain(&self, journey: usize) -> &Value {
        let ids = &self.ids[journey][0];
        let holds = |chain: &&Value| numbers(&chain["legs"]).iter().any(|id| ids.contains(id));
        list(&self.report["chains"]).iter().find(holds).unwrap_or_else(|| panic!("journey {journey} has no chain"))
    }

    /// The exchange of a leg, the first of them where it was captured more than once.
    pub(crate) fn exchange(&self, journey: usize, leg: usize) -> &Value {
        let id = self.ids[journey][leg].first().unwrap_or_else(|| panic!("leg {leg} of {journey} is not listed"));
        list(&self.report["exchanges"]).iter().find(|x| x["id"] == *id).expect("an exchange of that id")
    }

    pub(crate) fn rule(&self, journey: usize) -> &str {
        self.chain(journey)["verdict"]["rule"].as_str().unwrap()
    }

    /// The findings of a chain: (rule, severity).
    pub(crate) fn findings(&self, journey: usize) -> BTreeSet<(&str, &str)> {
        let ids = numbers(&self.chain(journey)["findings"]);
        let of = |f: &&Value| ids.contains(&f["id"].as_u64().unwrap());
        list(&self.report["findings"])
            .iter()
            .filter(of)
            .map(|f| (f["rule"].as_str().unwrap(), f["severity"].as_str().unwrap()))
            .collect()
    }

    pub(crate) fn has_finding(&self, rule: &str) -> bool {
        list(&self.report["findings"]).iter().any(|f| f["rule"] == rule)
    }

    /// The hop that a verdict blames, by any of its addresses.
    pub(crate) fn blames(&self, journey: usize, role: &str, addresses: &[&str]) {
        let verdict = &self.chain(journey)["verdict"];
        let blame = &verdict["blame"];
        let address = blame["address"].as_str().unwrap_or_default();
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        assert!(blame["role"] == role && addresses.contains(&host), "journey {journey}: {addresses:?}: {verdict}");
    }

    /// What holds whether legs are joined or not: what was made is what was read, what a client saw is
    /// what its leg says, and no chain mixes journeys.
    pub(crate) fn holds_what_was_made(&self) {
        let legs = || self.made.journeys.iter().flat_map(|j| &j.legs);
        let counters = &self.report["counters"];
        assert_eq!(counters["http_requests"], legs().count(), "{counters}");
        assert_eq!(counters["http_responses"], legs().filter(|leg| leg.status.is_some()).count(), "{counters}");
        assert_eq!((&counters["gaps"], &counters["evicted"]), (&Value::from(0), &Value::from(0)));
        for (journey, truth) in self.made.journeys.iter().enumerate() {
            if truth.plain {
                assert!(self.ids[journey].iter().all(Vec::is_empty), "a plain request is listed");
                continue;
            }
            let status = &self.exchange(journey, 0)["response"]["status"];
            assert_eq!(*status, truth.legs[0].status.map_or(Value::Null, Value::from), "journey {journey}");
        }
        self.joins_nothing_wrong();
    }

    /// Every exchange is in exactly one chain, and no chain holds legs of two journeys.
    pub(crate) fn joins_nothing_wrong(&self) {
        let mut seen = BTreeSet::new();
        let whose = |id: u64| self.ids.iter().position(|legs| legs.iter().flatten().any(|&known| known == id));
        for chain in list(&self.report["chains"]) {
            let legs = numbers(&chain["legs"]);
            let owners: BTreeSet<_> = legs.iter().map(|&id| whose(id).expect("a known exchange")).collect();
            assert!(owners.len() <= 1, "wrong join: {chain}\nholds legs of journeys {owners:?}");
            assert!(legs.iter().all(|id| seen.insert(*id)), "an exchange is in two chains: {chain}");
        }
        assert_eq!(seen.len(), list(&self.report["exchanges"]).len(), "an exchange is in no chain");
    }

    /// Every journey is one chain: its legs, each once, client side first, and the hops between them.
    pub(crate) fn joins_all(&self) {
        self.joins_nothing_wrong();
        for (journey, truth) in self.made.journeys.iter().enumerate().filter(|(_, truth)| !truth.plain) {
            let chain = self.chain(journey);
            let ids = &self.ids[journey];
            assert!(ids.iter().all(|leg| leg.len() == 1), "journey {journey}: exchanges of its legs: {ids:?}");
            let ids: Vec<u64> = ids.iter().flatten().copied().collect();
            assert_eq!(numbers(&chain["legs"]), ids, "journey {journey}: {chain}");
            assert_eq!(chain["id"], ids[0]);
            let edges: BTreeSet<Vec<u64>> = list(&chain["hops"]).iter().map(|hop| numbers(&hop["between"])).collect();
            let parents = truth.legs.iter().zip(&ids).filter_map(|(leg, &id)| Some(vec![ids[leg.parent?], id]));
            assert_eq!(edges, parents.collect(), "journey {journey}: {chain}");
        }
        let chains = list(&self.report["chains"]).iter().filter(|chain| !list(&chain["legs"]).is_empty()).count();
        assert_eq!(chains, self.made.journeys.iter().filter(|truth| !truth.plain).count(), "chains of legs");
    }
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

pub(crate) fn numbers(value: &Value) -> Vec<u64> {
    list(value).iter().map(|id| id.as_u64().expect("an id")).collect()
}

/// Of a time that a report gives, what is behind the day.
pub(crate) fn nanoseconds(at: &Value) -> i64 {
    let clock = at.as_str().and_then(|at| at.strip_suffix('Z')?.split_once('T')).expect("a time").1;
    let digits = clock.replace('.', ":");
    let parts: Vec<i64> = digits.split(':').map(|part| part.parse().expect("a number")).collect();
    ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000_000_000 + parts[3]
}
