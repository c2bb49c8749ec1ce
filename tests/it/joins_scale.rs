//! Joining takes time in proportion to the chains, however many there are. Only ratios are held: how
//! long a chain takes is another question.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hopscope::capture::{Merged, Source, Window};
use hopscope::engine::{Collected, Engine, Judge, judge, read};
use hopscope::products::Products;
use hopscope::store::Analysis;

use crate::joins::{BACKEND, LISTEN, UPSTREAM, asked};
use crate::support::file::Format;
use crate::support::hop::Edit;
use crate::support::journey::{Net, Way};
use crate::support::link::{Link, Packet};
use crate::support::vantage::Place;

/// Chains that begin at one time, and how long after the others before.
const GROUP: usize = 20;
const APART_US: u64 = 200_000;

/// How much more a chain may take among ten times as many.
const MOST: f64 = 2.0;
/// The same among a hundred times as many, which no cache holds any more: 0.7 to 2.1 were measured, and time that
/// grew with the square would be 100.
const MOST_OF_MANY: f64 = 3.0;

const TURNS: usize = 2;

/// The hop keeps keys.
const KEPT: &[Edit] = &[Edit::Reorder];
/// It takes them away: what is left is the address that it forwards, and the time.
const TAKEN: &[Edit] = &[Edit::Remove("Sec-WebSocket-Key"), Edit::ForwardedFor];

/// A capture of so many chains over one hop.
struct Many {
    file: Vec<u8>,
    chains: usize,
    /// Which journey the request in this packet belongs to.
    whose: HashMap<u64, usize>,
}

fn many(chains: usize, edits: &[Edit]) -> Many {
    let format = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) };
    let mut file = format.write(&[]);
    let header = file.len();
    let (mut net, mut number, mut whose) = (Net::default(), 0, HashMap::new());
    net.lean = true;
    let way = Way::through(UPSTREAM, BACKEND, edits);
    for group in 0..chains / GROUP {
        for n in group * GROUP..(group + 1) * GROUP {
            // RFC 2544's addresses for such tests.
            let client = format!("198.{}.{}.{}:{}", 18 + (n >> 16), n >> 8 & 255, n & 255, 40_000 + n % 20_000);
            let at_us = group as u64 * APART_US + (n % GROUP) as u64 * 300;
            let flow = net.connect(&client, LISTEN, at_us);
            let journey = net.ask(flow, at_us, &asked(&format!("chain {n}")), &way);
            let flows: Vec<usize> = net.journeys[journey].legs.iter().map(|leg| leg.flow).collect();
            flows.into_iter().for_each(|flow| net.reset(flow));
        }
        let seen = net.seen(&Place::of("", &[]));
        for (_, begun) in &seen {
            number += 1;
            whose.extend(begun.map(|(journey, _)| (number, group * GROUP + journey)));
        }
        let packets: Vec<Packet> = seen.into_iter().map(|(packet, _)| packet).collect();
        file.extend_from_slice(&format.write(&packets)[header..]);
        net.go_on();
    }
    Many { file, chains: chains / GROUP * GROUP, whose }
}

impl Many {
    /// The analysis, what all of it took, and what judging and joining alone took.
    fn analyse(&self) -> (Analysis, [Duration; 2]) {
        let source = Source::from_bytes("many", self.file.clone());
        let begun = Instant::now();
        let mut inputs = Merged::from_sources(vec![source], &Window::default()).expect("a capture");
        let mut engine = Engine::new(Collected::default());
        read(&mut inputs, &mut engine, &mut |_| true).expect("a readable capture");
        let (collected, counters) = engine.finish();
        let was_read = begun.elapsed();
        let mut judge = Judge::new(Products::builtin());
        let analysis = judge::whole_by(&mut judge, collected, counters, inputs.into_facts(), &|_, _| false);
        let took = begun.elapsed();
        (analysis, [took, took - was_read])
    }

    /// Two legs for each chain, both of its own journey, and no other chains.
    fn is_joined_right(&self, analysis: &Analysis) {
        let whose: HashMap<_, _> =
            analysis.rows.iter().map(|row| (row.exchange.id, self.whose[&row.exchange.request.at.number()])).collect();
        assert_eq!(analysis.chains.len(), self.chains);
        for chain in &analysis.chains {
            let owners: Vec<usize> = chain.legs.iter().map(|id| whose[id]).collect();
            assert!(owners.len() == 2 && owners[0] == owners[1], "legs of journeys {owners:?}");
        }
    }
}

/// Holds that a chain among `large` takes no more than `most` times what it takes among `small`. Both
/// sizes are given the same number of chains in each turn, so that whoever else uses the machine slows
/// both; the best turn counts.
fn grows_no_faster(small: usize, large: usize, edits: &[Edit], most: f64, check: &dyn Fn(&Many, &Analysis)) {
    let both = [many(small, edits), many(large, edits)];
    let mut best = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        let [few, all] = both.each_ref().map(|many| {
            let mut sum = [Duration::ZERO; 2];
            for _ in 0..large / many.chains {
                let (analysis, took) = many.analyse();
                assert_eq!(analysis.counters.http_requests, many.chains as u64 * 2);
                assert_eq!(analysis.counters.flows, many.chains as u64 * 2);
                assert_eq!((analysis.counters.evicted, analysis.counters.bugs), (0, 0));
                check(many, &analysis);
                sum = [sum[0] + took[0], sum[1] + took[1]];
            }
            sum
        });
        for (best, (all, few)) in best.iter_mut().zip(all.iter().zip(few)) {
            *best = best.min(all.as_secs_f64() / few.as_secs_f64());
        }
    }
    println!("{large} chains to {small}: a chain takes {:.2} times as long, judging alone {:.2}", best[0], best[1]);
    assert!(best.iter().all(|&ratio| ratio < most), "{small} to {large}: {best:.2?} times as long for a chain");
}

#[test]
fn a_chain_takes_no_longer_among_ten_times_as_many() {
    for edits in [KEPT, TAKEN] {
        grows_no_faster(1_000, 10_000, edits, MOST, &|_, _| {});
    }
}

#[test]
fn ten_thousand_chains_are_joined_right() {
    for edits in [KEPT, TAKEN] {
        let many = many(10_000, edits);
        many.is_joined_right(&many.analyse().0);
    }
}

#[test]
#[ignore = "takes more than 20 s: .ci/run"]
fn a_chain_takes_no_longer_among_a_hundred_times_as_many_and_all_are_joined_right() {
    for edits in [KEPT, TAKEN] {
        grows_no_faster(1_000, 100_000, edits, MOST_OF_MANY, &Many::is_joined_right);
    }
}
