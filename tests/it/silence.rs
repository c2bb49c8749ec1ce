//! The silence before an end.

use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run::report_on_bytes;
use crate::support::script::{Script, Side};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[test]
fn what_the_client_sends_behind_the_servers_fin_breaks_no_silence_before_it() {
    for late in [false, true] {
        let script = Script::between("198.51.100.7:40000", "203.0.113.9:80")
            .upgrade(KEY)
            .frame(Side::Client, 1, b"hello")
            .wait_ms(60_000)
            .fin(Side::Server);
        let script = if late { script.frame(Side::Client, 1, b"still here?") } else { script };
        let segments = script.rst(Side::Client).segments();
        let report = report_on_bytes(&Format::pcap(Link::Ethernet).write(&link::packets(&segments, Link::Ethernet)));
        let end = &report["exchanges"][0]["end"];
        assert_eq!((&end["by"], &end["how"]), (&"server".into(), &"fin".into()), "{end}");
        let silence = end["idle_before_ns"].as_i64().expect("a silence");
        assert!((60_000_000_000..60_010_000_000).contains(&silence), "late words: {late}: {silence}");
        assert_eq!(report["chains"][0]["verdict"]["rule"], "idle-timeout-match", "late words: {late}");
    }
}
