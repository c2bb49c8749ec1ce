//! Legs that were captured in several places: each file has a clock of its own, and some legs are in
//! no file.

use serde_json::Value;

use crate::joins::{BACKEND, HOP, INNER_LISTEN, INNER_UPSTREAM, LISTEN, STRIPPED, UPSTREAM, asked, client};
use crate::support::hop::Edit;
use crate::support::joined::{Joined, list, nanoseconds};
use crate::support::journey::{Net, Way};
use crate::support::run::hopscope;
use crate::support::vantage::{Made, Place};

/// Thirty clients within three seconds, the hop's edits, one backend.
fn clients(edits: &[Edit]) -> Net {
    let mut net = Net::default();
    for n in 0..30 {
        let way = Way::through(UPSTREAM, BACKEND, edits);
        net.visit(&client(n), LISTEN, n as u64 * 100_000, &asked(&format!("client {n}")), &way);
    }
    net
}

/// A file for each leg; the clock of the second is so far ahead.
fn skewed(edits: &[Edit], ahead_ms: i64) -> Made {
    clients(edits).captures(&[Place::of("leg1.pcap", &[0]), Place::of("leg2.pcap", &[1]).ahead_ms(ahead_ms)])
}

fn offset_ns(report: &Value, input: usize) -> i64 {
    report["inputs"][input]["clock_offset_ns"].as_i64().expect("a number")
}

/// Ahead by 137 s, behind by ten minutes and by 0.3 s, a little ahead, and right.
const AHEAD_MS: [i64; 5] = [137_000, -600_000, -300, 40, 0];

#[test]
fn captures_of_one_leg_each_hold_it_alone_and_by_their_own_clock() {
    for ahead_ms in AHEAD_MS {
        let made = skewed(&[Edit::ForwardedFor], ahead_ms);
        assert!(made.begins.iter().all(|legs| legs[0][0].0 == 0 && legs[1][0].0 == 1));
        let joined = Joined::read(made, &[]);
        joined.holds_what_was_made();
        // As the file has it: what was added to its times is told beside them.
        let first =
            |input: usize| nanoseconds(&joined.report["inputs"][input]["first"]) - offset_ns(&joined.report, input);
        assert_eq!(first(0) < first(1), ahead_ms > -100, "{ahead_ms}: {} {}", first(0), first(1));
    }
}

#[test]
fn a_clock_that_is_wrong_is_estimated_and_shown_and_the_legs_are_joined_all_the_same() {
    for ahead_ms in AHEAD_MS {
        let joined = Joined::read(skewed(&[Edit::ForwardedFor], ahead_ms), &[]);
        joined.joins_all();
        assert_eq!(offset_ns(&joined.report, 0), 0, "the first input's clock is the timeline's");
        // What has to be added to the times of the file, as --clock-offset is told.
        let off = offset_ns(&joined.report, 1) + ahead_ms * 1_000_000;
        assert!(off.abs() < 50_000_000, "ahead by {ahead_ms} ms, estimated {off} ns from the truth");
        for n in 0..30 {
            assert_eq!((joined.rule(n), &joined.chain(n)["outcome"]), ("ok", &Value::from("upgraded")));
            let hop = &joined.chain(n)["hops"][0];
            for way in ["forward_ns", "return_ns"] {
                // Not told where the clocks are not known well enough; never backwards.
                let plausible = hop[way].is_null() || (0..50_000_000).contains(&hop[way].as_i64().unwrap());
                assert!(plausible, "{way}: {}", hop[way]);
            }
        }
        // 40 ms may pass for the network's own.
        assert!(ahead_ms == 40 || joined.has_finding("cap-clock-skew") == (ahead_ms != 0), "{ahead_ms} ms");
    }
}

#[test]
fn a_wrong_clock_hides_no_fault_of_the_hop() {
    for ahead_ms in AHEAD_MS {
        let joined = Joined::read(skewed(&[Edit::StripUpgrade], ahead_ms), &[]);
        joined.joins_all();
        for n in 0..30 {
            assert!(STRIPPED.contains(&joined.rule(n)), "{n}: {}", joined.rule(n));
            joined.blames(n, "hop", &HOP);
        }
    }
}

#[test]
fn a_clock_that_the_user_knows_is_taken_as_told() {
    let told = [("leg2.pcap=-137s", -137_000_000_000), ("leg2.pcap=-137050ms", -137_050_000_000)];
    for (argument, offset) in told {
        let joined = Joined::read(skewed(&[Edit::ForwardedFor], 137_000), &["--clock-offset", argument]);
        assert_eq!([offset_ns(&joined.report, 0), offset_ns(&joined.report, 1)], [0, offset]);
        joined.joins_all();
    }
    // Both files at once, and one that is told wrongly: no estimate takes its place.
    let both = ["--clock-offset", "leg1.pcap=5s", "--clock-offset", "leg2.pcap=-132s"];
    let joined = Joined::read(skewed(&[Edit::ForwardedFor], 137_000), &both);
    assert_eq!([offset_ns(&joined.report, 0), offset_ns(&joined.report, 1)], [5_000_000_000, -132_000_000_000]);
    joined.joins_all();
    let joined = Joined::read(skewed(&[Edit::ForwardedFor], 137_000), &["--clock-offset", "leg2.pcap=0s"]);
    assert_eq!(offset_ns(&joined.report, 1), 0);
    joined.joins_nothing_wrong();
}

#[test]
fn a_clock_of_no_input_and_a_time_that_is_none_are_refused() {
    let made = skewed(&[], 0);
    for argument in ["other.pcap=1s", "leg2.pcap=soon", "leg2.pcap"] {
        let mut command = hopscope();
        command.current_dir(made.folder.path()).args(["report", "leg1.pcap", "leg2.pcap", "--clock-offset", argument]);
        let output = command.output().expect("the program starts");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{argument}: {words}");
        assert!(words.contains(argument) && !words.contains("unexpected argument"), "{words}");
    }
}

#[test]
fn three_places_with_three_clocks_are_one_timeline() {
    let mut net = Net::default();
    for n in 0..20 {
        let inner = Way::through(INNER_UPSTREAM, BACKEND, &[Edit::ForwardedFor]);
        let way = Way::on(UPSTREAM, INNER_LISTEN, &[Edit::ForwardedFor], inner);
        net.visit(&client(n), LISTEN, n as u64 * 100_000, &asked(&format!("client {n}")), &way);
    }
    let places = [
        Place::of("c.pcap", &[2]).ahead_ms(-90_000),
        Place::of("a.pcap", &[0]),
        Place::of("b.pcap", &[1]).ahead_ms(4_000),
    ];
    let joined = Joined::read(net.captures(&places), &[]);
    joined.holds_what_was_made();
    joined.joins_all();
    // Whichever of them is the timeline's, the others are told beside it.
    let between = |a: usize, b: usize| (offset_ns(&joined.report, a) - offset_ns(&joined.report, b)) / 1_000_000;
    assert!((between(0, 1) - 90_000).abs() < 50, "{}", between(0, 1));
    assert!((between(2, 1) + 4_000).abs() < 50, "{}", between(2, 1));
}

#[test]
fn one_leg_alone_says_what_one_leg_proves() {
    for (depth, rule, address) in [(0, "refused-400", "203.0.113.9"), (1, "req-orphan-key", UPSTREAM)] {
        let made = clients(&[Edit::StripUpgrade]).captures(&[Place::of("one.pcap", &[depth])]);
        let joined = Joined::read(made, &[]);
        joined.joins_nothing_wrong();
        let chains = list(&joined.report["chains"]);
        assert_eq!(chains.len(), 30);
        for chain in chains {
            assert_eq!((list(&chain["legs"]).len(), list(&chain["hops"]).len()), (1, 0));
            let verdict = &chain["verdict"];
            assert_eq!(verdict["rule"], rule, "{verdict}");
            assert_eq!(verdict["blame"]["address"], address, "{verdict}");
        }
        for finding in list(&joined.report["findings"]) {
            let slug = finding["rule"].as_str().unwrap();
            assert!(!slug.starts_with("hop-") && slug != "join-ambiguous", "{finding}");
            assert!(slug != "join-missing-leg" || finding["severity"] == "info", "{finding}");
        }
    }
}
