//! The filter of the terminal UI, which asks all exchanges at once, beside the one of reports, which asks each chain.

use std::path::PathBuf;

use super::tests::analysis;
use super::{Ready, Shared, Theme};
use crate::store::{Filter, select};

const FILTERS: &[&str] = &[
    "status:101",
    "-status:101",
    "status:4* or status:5*",
    "path~a",
    "path:/*",
    "host:*.example",
    "-host:*",
    "rule:*",
    "rule:hop-*",
    "rule:upgrade-* -severity:warning",
    "verdict:ok",
    "outcome:refused or outcome:broken",
    "product:nginx",
    "product~proxy",
    "blame:hop",
    "blame:server or blame:client",
    "hop:*",
    "hop~10.",
    "client~10.",
    "ip~.1",
    "port:80",
    "port>1024 port<50000",
    "server:*:80",
    "via:tls",
    "via~connect",
    "origin:*",
    "ua~mozilla",
    "ua~a",
    "protocol:websocket",
    "sub:*",
    "key:*",
    "accept~=",
    "kind:*",
    "method:get",
    "frames>2",
    "frames:0",
    "bytes>=10 bytes<1M",
    "dur>1s",
    "dur<100ms",
    "latency>1ms latency<1s",
    "close:1000",
    "close:10*",
    "end:rst or end:fin",
    "confidence:certain",
    "input:0",
    "input:1",
    "file~side",
    "packet<10",
    "packet:4 or packet>100",
    "id:1",
    "flow:1 or flow:2",
    "chat",
    "a e -o",
    "nothing-has-this or status:426",
];

/// Indices of the chains that match.
fn of_the_screen(s: &mut Shared, filter: &str) -> Vec<usize> {
    s.filter(filter);
    while s.is_filtering() {
        s.work();
    }
    s.visible.iter().map(|at| *at as usize).collect()
}

#[test]
fn the_screen_shows_what_a_report_with_the_same_filter_tells() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|name| name.to_string_lossy().starts_with("pcap")));
    files.sort();
    let (mut matched, mut left_out) = (0, 0);
    let alone = files.iter().map(std::slice::from_ref);
    for files in alone.chain(files.windows(2)) {
        let names: Vec<&str> = files.iter().filter_map(|file| file.to_str()).collect();
        let ready = Ready::new(analysis(&names));
        let columns = ready.rest().make(&|| true).unwrap();
        let mut s = Shared::new(Theme::default(), false, true);
        s.take(ready);
        let wanted: Vec<Vec<usize>> = FILTERS
            .iter()
            .map(|filter| {
                let filter = Filter::parse(filter).unwrap().with_inputs(&s.a.inputs);
                let keep = select::chains(&s.a, &filter);
                keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(at, _)| at).collect()
            })
            .collect();
        let mut check = |s: &mut Shared, how: &str| {
            for (filter, wanted) in FILTERS.iter().zip(&wanted) {
                assert_eq!(&of_the_screen(s, filter), wanted, "{filter} {how}, {files:?}");
                matched += wanted.len();
                left_out += s.a.chains.len() - wanted.len();
            }
        };
        check(&mut s, "without columns");
        s.take_columns(columns);
        check(&mut s, "by columns");
    }
    assert!(matched > 1_000 && left_out > 1_000, "{matched} {left_out}");
}
