//! A filter on its way through all chains of an analysis, in slices: nobody has to wait for the end of it.
//!
//! Term after term is asked of all parts, by columns where they are there and else of each part by itself. What
//! comes out is what [`Filter::matches_chain`] says of each chain.

use crate::store::Analysis;
use crate::store::filter::bits::Bits;
use crate::store::filter::columns::{Columns, keys};
use crate::store::filter::keys::Key;
use crate::store::filter::parts::Parts;
use crate::store::filter::{Filter, Term};

/// What one slice looks at: lists of a column, words of 64 parts, chains, and parts that are asked by themselves. Each
/// takes about a millisecond at most.
const LISTS: usize = 8_192;
const WORDS: usize = 1_024;
const CHAINS: usize = 65_536;
const EACH: usize = 256;

/// A filter that is being asked.
pub struct Asking {
    filter: Filter,
    /// The alternative that is asked, and those of its terms that are still to be asked, the last one first.
    alternative: usize,
    terms: Vec<usize>,
    now: Now,
    /// Parts that have all that is asked for so far, and those that have nothing that is ruled out.
    with: Bits,
    without: Bits,
    /// Chains that match.
    matched: Bits,
}

/// What is done next.
enum Now {
    Alternative,
    Term,
    /// A term, by columns.
    Columns(Box<ByColumns>),
    /// A term, of each part; the next word of them.
    Each(usize, usize),
    /// The next chain that is asked what its parts came to.
    Chains(usize),
    Over,
}

struct ByColumns {
    term: usize,
    /// Columns that are still to be asked, the last one first.
    keys: Vec<Key>,
    /// The next list, and behind the last one the next word of parts.
    list: usize,
    word: usize,
    passed: Bits,
    /// Parts of which any value passes.
    any: Bits,
}

impl Asking {
    /// `filter`: with the names of its inputs.
    pub fn new(filter: Filter) -> Asking {
        Asking {
            filter,
            alternative: 0,
            terms: Vec::new(),
            now: Now::Alternative,
            with: Bits::default(),
            without: Bits::default(),
            matched: Bits::default(),
        }
    }

    /// Goes on for about a millisecond. `Some`: that was all, and these chains match, by their indices. `columns`: of
    /// these parts, which are those of this analysis.
    pub fn work(&mut self, a: &Analysis, parts: &Parts, columns: Option<&Columns>) -> Option<Vec<u32>> {
        self.now = match std::mem::replace(&mut self.now, Now::Over) {
            Now::Alternative => self.alternative(parts, columns),
            Now::Term => match self.terms.pop() {
                None => Now::Chains(0),
                Some(term) => self.term(term, parts, columns),
            },
            Now::Columns(by) => self.by_columns(by, parts, columns),
            Now::Each(term, word) => self.each(term, word, a, parts),
            Now::Chains(next) => self.chains(next, parts),
            Now::Over => return Some(self.matched.all()),
        };
        None
    }

    fn alternative(&mut self, parts: &Parts, columns: Option<&Columns>) -> Now {
        if self.matched.len() != parts.chains() {
            self.matched = Bits::new(parts.chains(), false);
        }
        let Some(terms) = self.filter.any.get(self.alternative) else { return Now::Over };
        (self.with, self.without) = (Bits::new(parts.len(), true), Bits::new(parts.len(), true));
        self.terms = (0..terms.len()).collect();
        // What columns answer leaves fewer parts to be asked by themselves.
        let fast = |term: &usize| columns.zip(terms.get(*term)).is_some_and(|(columns, term)| columns.answer(term));
        self.terms.sort_by_key(fast);
        Now::Term
    }

    fn term(&self, term: usize, parts: &Parts, columns: Option<&Columns>) -> Now {
        let Some(asked) = self.at(term) else { return Now::Term };
        if !columns.is_some_and(|columns| columns.answer(asked)) {
            return Now::Each(term, 0);
        }
        let (passed, any) = (Bits::default(), Bits::new(parts.len(), false));
        Now::Columns(Box::new(ByColumns { term, keys: keys(&asked.test), list: 0, word: 0, passed, any }))
    }

    fn at(&self, term: usize) -> Option<&Term> {
        self.filter.any.get(self.alternative)?.get(term)
    }

    fn by_columns(&mut self, mut by: Box<ByColumns>, parts: &Parts, columns: Option<&Columns>) -> Now {
        let Some(term) = self.filter.any.get(self.alternative).and_then(|all| all.get(by.term)) else {
            return Now::Term;
        };
        let Some(key) = by.keys.last() else {
            let kept = if term.negated { &mut self.without } else { &mut self.with };
            kept.keep(&by.any, !term.negated);
            return Now::Term;
        };
        // Without columns, which were there when it began, it begins again.
        let Some(column) = columns.and_then(|columns| columns.get(*key)) else { return Now::Each(by.term, 0) };
        if by.list < column.lists() {
            if by.list == 0 {
                by.passed = Bits::new(column.lists(), false);
            }
            let end = (by.list + LISTS).min(column.lists());
            column.ask(&term.test, by.list..end, &mut by.passed);
            by.list = end;
            if end == column.lists() && by.passed.is_none() {
                by.word = usize::MAX;
            }
            return Now::Columns(by);
        }
        let words = parts.len().div_ceil(64);
        if by.word < words {
            let end = (by.word + WORDS).min(words);
            column.mark(&by.passed, by.word..end, &mut by.any);
            by.word = end;
            return Now::Columns(by);
        }
        by.keys.pop();
        (by.list, by.word) = (0, 0);
        Now::Columns(by)
    }

    fn each(&mut self, term: usize, mut word: usize, a: &Analysis, parts: &Parts) -> Now {
        let Some(asked) = self.filter.any.get(self.alternative).and_then(|all| all.get(term)) else { return Now::Term };
        let kept = if asked.negated { &mut self.without } else { &mut self.with };
        let (mut chain, mut looked) = (parts.chain(word * 64), 0);
        let last = (word + WORDS).min(parts.len().div_ceil(64));
        while word < last && looked < EACH {
            let mut left = kept.words.get(word).copied().unwrap_or(0);
            while left != 0 {
                let part = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                looked += 1;
                while parts.of_chain(chain).end <= part && chain < parts.chains() {
                    chain += 1;
                }
                if !asked.holds(&parts.subject(a, &self.filter.inputs, a.chains.get(chain), part)) {
                    kept.clear(part);
                }
            }
            word += 1;
        }
        if word < parts.len().div_ceil(64) { Now::Each(term, word) } else { Now::Term }
    }

    fn chains(&mut self, next: usize, parts: &Parts) -> Now {
        let end = (next + CHAINS).min(parts.chains());
        let mut first = parts.of_chain(next).start;
        for chain in next..end {
            let last = parts.of_chain(chain).end;
            let (mut any, mut all) = (false, true);
            for part in first..last {
                any |= self.with.get(part);
                all &= self.without.get(part);
            }
            if any && all {
                self.matched.set(chain);
            }
            first = last;
        }
        if end < parts.chains() {
            return Now::Chains(end);
        }
        self.alternative += 1;
        Now::Alternative
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::store::{select, testing};

    /// An analysis with its parts and columns.
    fn made(a: Analysis) -> (Analysis, Arc<Parts>, Columns) {
        let flows: HashMap<_, _> = a.flows.iter().enumerate().map(|(at, flow)| (flow.id, at)).collect();
        let parts = Arc::new(Parts::new(&a, &|id| flows.get(&id).copied()));
        let columns = Columns::new(&a, &parts, &|| true).unwrap();
        (a, parts, columns)
    }

    /// What chains match, asked one by one, by terms without columns, and by columns.
    fn answers((a, parts, columns): &(Analysis, Arc<Parts>, Columns), filter: &str) -> [Vec<u32>; 3] {
        let filter = Filter::parse(filter).unwrap().with_inputs(&a.inputs);
        let all = |columns: Option<&Columns>| {
            let mut asking = Asking::new(filter.clone());
            loop {
                if let Some(found) = asking.work(a, parts, columns) {
                    return found;
                }
            }
        };
        let one_by_one = select::chains(a, &filter).into_iter().zip(0_u32..).filter(|(keep, _)| *keep);
        [one_by_one.map(|(_, at)| at).collect(), all(None), all(Some(columns))]
    }

    /// Of every sort, and several of some.
    fn analyses() -> [Analysis; 4] {
        [testing::sample(), testing::journeys(), testing::odd(), diverse(5_000)]
    }

    /// Nearly every exchange differs from every other.
    fn diverse(chains: u64) -> Analysis {
        let mut a = testing::many(0, 0);
        let one = testing::many(1, 1);
        for (round, row) in (0..chains).zip(one.rows.iter().cycle()) {
            let mut row = row.clone();
            let id = round + 1;
            row.exchange.id = crate::base::ExchangeId(id);
            row.exchange.client.port = u16::try_from(round % 60_000).unwrap();
            row.exchange.end.lifetime = (!round.is_multiple_of(3)).then(|| crate::base::Nanos(1_000_003 * id as i64));
            let head = format!(
                "GET /room/{round}?Q={} HTTP/1.1\r\nHost: h{}.example\r\nOrigin: o\r\n\r\n",
                round % 7,
                round % 300
            );
            row.exchange.request = testing::head(&head, round * 2 + 1, row.exchange.request.first);
            row.findings.clear();
            let mut chain = one.chains[0].clone();
            (chain.id, chain.legs, chain.findings) = (id as i64, vec![row.exchange.id], Vec::new());
            a.rows.push(row);
            a.chains.push(chain);
        }
        a
    }

    #[test]
    fn columns_say_what_each_chain_says_by_itself() {
        let keys = [
            "accept",
            "blame",
            "bytes",
            "client",
            "close",
            "confidence",
            "dur",
            "end",
            "file",
            "flow",
            "frames",
            "hop",
            "host",
            "id",
            "input",
            "ip",
            "key",
            "kind",
            "latency",
            "method",
            "origin",
            "outcome",
            "packet",
            "path",
            "port",
            "product",
            "protocol",
            "rule",
            "server",
            "severity",
            "status",
            "sub",
            "ua",
            "verdict",
            "via",
        ];
        let values = [
            "*",
            "1*",
            "*1",
            "*e*",
            "10.0.0.1",
            "10.0.0.*",
            "10.0.0.0/30",
            "*:40002",
            "101",
            "*http*",
            "GET",
            "get",
            "error",
            "/room/1*7?q=3",
            "*ROOM/17",
            "h17.example",
            "nothing",
        ];
        let others = [
            "-status:101 or path~7 -host:h1*",
            "room/99",
            "10.0.1.9",
            "-room",
            "status:101 status:403",
            "dur>5s dur<10s or id<20",
            "id>=7 id<=9",
            "latency>1ms -client:10.0.0.1",
            "packet:3 or packet>9000",
            "path~\"?Q=3\" -path~17",
            "-server:10.0.1.10:8080",
            "a or e or o",
            "frames:0 or bytes>=1",
        ];
        // Of the large one every fifth filter is enough.
        for (a, step) in analyses().map(made).into_iter().zip([1, 1, 1, 5]) {
            let texts = keys.iter().flat_map(|key| values.iter().map(move |value| format!("{key}:{value}")));
            let parts = keys.iter().flat_map(|key| ["1", "E", "0.0"].map(|part| format!("{key}~{part} -{key}:*7*")));
            let mut matching = 0;
            for filter in others.iter().map(|text| (*text).to_owned()).chain(texts).chain(parts).step_by(step) {
                if Filter::parse(&filter).is_err() {
                    continue;
                }
                let [alone, terms, columns] = answers(&a, &filter);
                assert_eq!(alone, terms, "{filter}");
                assert_eq!(alone, columns, "{filter}");
                matching += usize::from(!alone.is_empty());
            }
            assert!(matching > 40 / step, "{matching}");
        }
    }

    proptest! {
        #[test]
        fn any_filter_has_the_same_answer_by_columns(
            terms in prop::collection::vec("-?(status|host|path|client|server|ip|rule|verdict|id|port|dur|hop|product|severity|frames)[:~><][a-z0-9.*/]{1,4}(s|k)?|-?[a-z0-9./]{1,3}|or", 1..6),
        ) {
            let filter = terms.join(" ");
            if Filter::parse(&filter).is_ok() {
                for a in [testing::sample(), testing::journeys(), testing::odd()].map(made) {
                    let [alone, terms, columns] = answers(&a, &filter);
                    prop_assert_eq!(&alone, &terms);
                    prop_assert_eq!(&alone, &columns);
                }
            }
        }
    }
}
