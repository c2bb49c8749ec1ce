//! `text`: the report for a person under stress. First what the capture lacks, if anything, then what happened, then what the
//! failures share, then a block for each broken upgrade, what worked in brief, and notes.

use std::io::{self, Write};

use crate::report::mask::Masker;
use crate::report::time::Clock;
use crate::report::{Format, Options};
use crate::store::Analysis;

mod block;
mod body;
mod capture;
mod connection;
mod facts;
mod fields;
mod fix;
mod groups;
mod healthy;
mod hops;
mod ladder;
mod legs;
mod nothing;
mod page;
mod patterns;
mod sealed;
mod summary;

use facts::Facts;
use page::Page;

pub(super) static FORMAT: Format = Format { name: "text", extension: "txt", write };

/// What every section needs.
struct Context<'a> {
    a: &'a Analysis,
    facts: Facts,
    options: &'a Options,
    clock: Clock,
    masker: Masker,
}

impl<'a> Context<'a> {
    fn new(a: &'a Analysis, options: &'a Options) -> Self {
        let facts = Facts::new(a);
        let clock = Clock::new(options.utc, facts.first);
        Context { a, facts, options, clock, masker: Masker::new(options.show_secrets).naming(&a.inputs) }
    }
}

/// Writes the report.
pub fn write(a: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut context = Context::new(a, options);
    let mut page = Page::new(out, options.color, options.columns);
    if let Some(n) = options.filtered_out {
        let (are, plural) = if n == 1 { ("is", "") } else { ("are", "s") };
        page.say(
            page::Tone::Plain,
            &format!(
                "Nothing matches the filter; without it there {are} {n} upgrade{plural} or connection{plural} to tell of."
            ),
        )?;
        return page.flush();
    }
    begin(&mut context, &mut page)?;
    groups::write(&mut context, &mut page)?;
    if !options.quiet {
        healthy::write(&mut context, &mut page)?;
        healthy::notes(&mut context, &mut page)?;
        hint(&context, &mut page)?;
    }
    page.flush()
}

/// What [`write`] begins with: what the capture lacks, what happened, what the failures share; without colours, and of
/// all chains, whatever a filter hides.
pub fn opening(a: &Analysis, options: &Options) -> String {
    let mut out = Vec::new();
    let mut context = Context::new(a, options);
    let mut page = Page::new(&mut out, false, options.columns);
    // Nothing fails that is written into memory.
    let _ = begin(&mut context, &mut page).and_then(|()| page.flush());
    drop(page);
    String::from_utf8_lossy(&out).into_owned()
}

/// What the first section is called, where there is one.
pub const LIMITS: &str = "Limits of this capture:";

fn begin(context: &mut Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    capture::write(context, page)?;
    summary::write(context, page)?;
    patterns::write(context, page)
}

/// Where to read on.
fn hint(context: &Context<'_>, page: &mut Page<'_>) -> io::Result<()> {
    let mut hints = Vec::new();
    if let Some(group) = context.facts.groups.iter().find(|g| g.rule != "unknown") {
        hints.push(format!("What a rule checks, and why: hopscope explain {}", group.rule));
    }
    if context.masker.masked() {
        hints.push(
            "Secrets are shown as [redacted #N], the same secret with the same number; --show-secrets shows them"
                .to_owned(),
        );
    }
    if !hints.is_empty() {
        page.blank()?;
    }
    hints.iter().try_for_each(|hint| page.dim(hint))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::base::{Counters, Nanos, PacketRef, Timestamp};
    use crate::model::{Chain, Damage, InputFacts};
    use crate::store::testing;

    fn text(a: &Analysis, options: &Options) -> String {
        let mut out = Vec::new();
        write(a, options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn utc() -> Options {
        Options { utc: true, ..Options::default() }
    }

    #[test]
    fn one_of_each() {
        insta::assert_snapshot!(text(&testing::sample(), &utc()), @r#"
        Limits of this capture:
          - 1448 bytes are missing at 1 place: no head of these upgrades is touched: their verdicts stand
          To capture it whole: tcpdump -i any -s 0 -B 32768 -w again.pcap '(host 10.0.0.2 and port 80) or (host 10.0.1.9 and port 8080)'

        3 upgrades tried: 1 worked, 2 failed (1 answered with a faulty 101, 1 refused).
          1 × accept-mismatch at 10.0.1.9:8080: Sec-WebSocket-Accept does not fit the key
          1 × refused-403 at 10.0.0.2:80: the upgrade was refused with status 403
        edge.pcapng: 123 packets, 4 TCP connections, 5 HTTP requests; 2026-01-02 02:14:07 to 02:31:07 UTC

        ERROR accept-mismatch  #2 at 02:14:08.311
          the server 10.0.1.9:8080 computed Sec-WebSocket-Accept from the key alone, without the GUID of
          RFC 6455, so every conforming client must drop the connection.

          who          10.0.0.1:40002 → 10.0.1.9:8080
          at fault     the server 10.0.1.9:8080
          asked        GET /chat?room=7&token=[redacted #1] HTTP/1.1
                       Host: chat.example.org · Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Version: 13 · Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
          answered     101 Switching Protocols, 1.67 ms after the request
                       Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Accept: 5wDaSp0SVvPHpHvxs/Iya3ZYqOo= · Server: nginx/1.22.1
          expected     s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
          found        5wDaSp0SVvPHpHvxs/Iya3ZYqOo= (kind: guid-missing)
          evidence     frame.number in {14,16}
          in the logs  client 10.0.0.1:40002 at 02:14:08.311 UTC · X-Request-ID: 7f3a-11
          fix          backend:
                         accept = base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
                         hopscope accept dGhlIHNhbXBsZSBub25jZQ==

        ERROR refused-403  #3 at 02:14:09.311
          nginx at 10.0.0.2 refused the upgrade because of its Origin https://evil.example.

          who          10.0.0.1:40003 → 10.0.0.2:80 (nginx)
          at fault     the proxy nginx at 10.0.0.2 (likely)
          asked        GET /chat?room=7&token=[redacted #1] HTTP/1.1
                       Host: chat.example.org · Upgrade: websocket · Sec-WebSocket-Version: 13 ·
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ== · Origin: https://evil.example ·
                       User-Agent: Mozilla/5.0 · (no Connection)
          answered     403 Forbidden, 1.67 ms after the request
                       Server: nginx/1.22.1 · Content-Type: text/plain
          body         origin not allowed
          evidence     frame.number in {24,26}
          in the logs  client 10.0.0.1:40003 at 02:14:09.311 UTC
          other side   on 10.0.0.2: tcpdump -i any -s 0 -U -w both.pcap tcp
          fix          nginx >= 1.3.13:
                         proxy_set_header Host $host;
                         proxy_set_header Origin $http_origin;
          also         origin-host-mismatch (warning)

        Worked: 1
          02:14:07.311 10.0.0.1:40001 → 10.0.0.2:80 chat.example.org/chat 101 in 1.67 ms, 6 frames,
            4.00 s, close 1000 by client

        Notes, no faults: origin-missing

        What a rule checks, and why: hopscope explain accept-mismatch
        Secrets are shown as [redacted #N], the same secret with the same number; --show-secrets shows them
        "#);
    }

    #[test]
    fn many_failures_of_one_kind_are_counted() {
        insta::assert_snapshot!(text(&testing::many(312, 210), &utc()), @r#"
        Limits of this capture:
          - 1448 bytes are missing at 1 place: no head of these upgrades is touched: their verdicts stand
          To capture it whole: tcpdump -i any -s 0 -B 32768 -w again.pcap '(host 10.0.0.2 and port 80) or (host 10.0.1.9 and port 8080)'

        522 upgrades tried: 312 worked, 210 answered with a faulty 101.
          210 × accept-mismatch at 10.0.1.9:8080: Sec-WebSocket-Accept does not fit the key
        edge.pcapng: 123 packets, 4 TCP connections, 5 HTTP requests; 2026-01-02 02:14:07 to 02:31:07 UTC

        All 210 failures and none of the 312 successes ended at 10.0.1.9:8080; the first at 02:14:07.311.

        ERROR accept-mismatch  #1 at 02:14:07.311
          the server 10.0.1.9:8080 computed Sec-WebSocket-Accept from the key alone, without the GUID of
          RFC 6455, so every conforming client must drop the connection.

          who          10.0.0.1:40001 → 10.0.1.9:8080
          at fault     the server 10.0.1.9:8080
          asked        GET /chat?room=7&token=[redacted #1] HTTP/1.1
                       Host: chat.example.org · Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Version: 13 · Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
          answered     101 Switching Protocols, 1.67 ms after the request
                       Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Accept: 5wDaSp0SVvPHpHvxs/Iya3ZYqOo= · Server: nginx/1.22.1
          expected     s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
          found        5wDaSp0SVvPHpHvxs/Iya3ZYqOo= (kind: guid-missing)
          evidence     frame.number in {4,6}
          in the logs  client 10.0.0.1:40001 at 02:14:07.311 UTC · X-Request-ID: 7f3a-11
          fix          backend:
                         accept = base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
                         hopscope accept dGhlIHNhbXBsZSBub25jZQ==

        … and 209 more like it: accept-mismatch at 10.0.1.9:8080, 02:14:08.311 to 02:17:36.311, from 1
        client address
          packets      frame.number in {14,24,34,44,54,64,74,84,94,104,114,124,134,144,154,164,174,184,194,204}
                       the first 20 of them
          all of them  --format csv -Y 'verdict:accept-mismatch server:10.0.1.9:8080'

        Worked: 312 at 10.0.0.2:80; answered in 1.67 ms (median), 1.67 ms (slowest)

        Notes, no faults: origin-missing (312 times)

        What a rule checks, and why: hopscope explain accept-mismatch
        Secrets are shown as [redacted #N], the same secret with the same number; --show-secrets shows them
        "#);
    }

    #[test]
    fn what_is_neither_healthy_nor_broken_is_told_apart() {
        insta::assert_snapshot!(text(&testing::odd(), &utc()), @r"
        Limits of this capture:
          - leg2.pcap: 9 of 9 packets are cut to 96 bytes: no head of these upgrades is touched: their
            verdicts stand
          - 1448 bytes are missing at 1 place: no head of these upgrades is touched: their verdicts stand
          To capture it whole: tcpdump -i any -s 0 -B 32768 -w again.pcap '(host 10.0.0.2 and port 80) or (host 10.0.1.9 and port 8080)'

        4 upgrades tried: 1 granted and failed afterwards, 1 refused without a fault, 1 cannot be judged
        from this capture, 1 failed in a way that is known and allowed. 1 connection never got as far as a
        request.
          1 × connect-refused at 10.0.0.2:81: the TCP connection was refused
          1 × idle-timeout at 10.0.0.2:80: a tunnel was cut after a silence that is no known limit
          1 × unknown at 10.0.0.2:80: the capture cannot tell what came of it
        2 inputs: 123 packets, 4 TCP connections, 5 HTTP requests; 2026-01-02 02:14:07 to 02:31:07 UTC

        ERROR connect-refused  connection 9 at 02:14:07.311
          nothing listens at 10.0.0.2:81.

          who          10.0.0.1:40009 → 10.0.0.2:81
          at fault     the server 10.0.0.2:81
          asked        for a connection, with 3 SYNs
          answered     with RST 7.00 ms later: nothing listens there, or a firewall refuses
          evidence     edge.pcapng: frame.number in {2}
                       leg2.pcap: frame.number in {3}
          in the logs  client 10.0.0.1:40009 at 02:14:07.311 UTC

        WARNING idle-timeout  #1 at 02:14:07.311
          nginx at 10.0.0.2 cuts tunnels after 60 s of silence.

          who          10.0.0.1:40001 → 10.0.0.2:80 (nginx)
          at fault     the proxy nginx at 10.0.0.2:80
          asked        GET /chat?room=7&token=[redacted #1] HTTP/1.1
                       Host: chat.example.org · Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Version: 13 · Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
          answered     101 Switching Protocols, 1.67 ms after the request
                       Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
          ended        the server closed the connection (FIN) 2 min 5 s after the request, after 1 min
                       without a byte
          evidence     edge.pcapng: frame.number in {4,6}
          in the logs  client 10.0.0.1:40001 at 02:14:07.311 UTC

        UNKNOWN  #2 at 02:14:08.311
          the capture begins behind the request; on 10.0.0.2:
                       tcpdump -i any -s 0 -w leg2.pcap 'host 10.0.1.9 and port 8080'

          who          10.0.0.1:40002 → 10.0.0.2:80
          inside       connect chat.example.org:80
          asked        GET /chat?room=7&token=[redacted #1] HTTP/1.1
                       Host: chat.example.org · Upgrade: websocket · Connection: Upgrade ·
                       Sec-WebSocket-Version: 13 · Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
          answered     nothing; the connection was still open when the capture ended
          not seen     the opening of the connection
          evidence     edge.pcapng: frame.number in {14}
          in the logs  client 10.0.0.1:40002 at 02:14:08.311 UTC
          also         origin-missing (info)

        Refused without a fault (a log-in, or settled by a later try): 1
          02:14:09.311 10.0.0.1:40003 → 10.0.0.2:80 chat.example.org/chat 101 in 1.67 ms, 6 frames,
            4.00 s, close 1000 by client

        Known and allowed: 1
          02:14:10.311 10.0.0.1:40004 → 10.0.1.9:8080 chat.example.org/chat 101 in 1.67 ms accept-mismatch

        Also seen:
          accept-mismatch (error, allowed): Sec-WebSocket-Accept does not belong to the key:
            5wDaSp0SVvPHpHvxs/Iya3ZYqOo= (packet 36 of edge.pcapng)
        Notes, no faults: origin-missing (2 times)

        What a rule checks, and why: hopscope explain connect-refused
        Secrets are shown as [redacted #N], the same secret with the same number; --show-secrets shows them
        ");
    }

    #[test]
    fn nothing_found_says_why() {
        insta::assert_snapshot!(text(&Analysis::default(), &utc()), @r#"
        No upgrade was seen: the capture holds no packet.
        Possible reasons, and what to do:
          - the capture filter let nothing through: capture once without one, or with "tcp" alone
          - the wrong interface was captured: tcpdump -i any sees them all
          - the capture was stopped before its buffer was written: tcpdump -U writes each packet at once
        "#);
        let mut a = Analysis::default();
        a.inputs.push(InputFacts { path: "a.pcap".to_owned(), packets: 900, ..InputFacts::default() });
        a.counters = Counters { packets: 900, flows: 12, ..Counters::default() };
        insta::assert_snapshot!(text(&a, &utc()), @r"
        No upgrade was seen: 12 TCP connections, but no HTTP request in clear.
        Possible reasons, and what to do:
          - the capture began after the connections were open: the upgrade is their first request, so
            start the capture, then connect anew
          - the capture filter left out one direction or the port of the WebSocket
          - these are connections of something else: any port is looked at, so HTTP would have been found
        a.pcap: 900 packets, 12 TCP connections, 0 HTTP requests
        ");
    }

    #[test]
    fn where_all_is_encrypted_it_says_where_to_capture_instead() {
        let mut a = Analysis::default();
        a.inputs.push(InputFacts { path: "a.pcap".to_owned(), packets: 900, ..InputFacts::default() });
        a.counters = Counters { packets: 900, flows: 12, flows_tls: 12, ..Counters::default() };
        let said = text(&a, &utc());
        assert!(said.starts_with("No upgrade was seen: 12 TCP connections, all of them TLS"), "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("on the machine that ends TLS (tcpdump -i any -s 0 -w plain.pcap tcp)"), "{said}");
    }

    #[test]
    fn cut_requests_are_not_said_to_ask_for_nothing() {
        let mut a = Analysis::default();
        a.inputs.push(InputFacts { snapped: 2, packets: 9, snaplen: Some(96), ..InputFacts::default() });
        a.counters = Counters { packets: 9, flows: 1, http_requests: 1, gaps: 1, gaps_cut: 1, ..Counters::default() };
        let said = text(&a, &utc()).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.starts_with("Limits of this capture: - 2 of 9 packets are cut to 96 bytes"), "{said}");
        assert!(said.contains("asks for WebSocket or another protocol in what the capture shows of them."), "{said}");
        assert!(said.contains("the snap length cut the requests"), "{said}");
    }

    #[test]
    fn quiet_leaves_out_what_worked() {
        let options = Options { quiet: true, ..utc() };
        let all = text(&testing::sample(), &options);
        assert!(all.contains("accept-mismatch") && !all.contains("Worked") && !all.contains("explain"));
    }

    #[test]
    fn colours_say_nothing_that_words_do_not() {
        let plain = text(&testing::sample(), &utc());
        let coloured = text(&testing::sample(), &Options { color: true, ..utc() });
        assert!(coloured.contains("\x1b["));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }

    #[test]
    fn secrets_do_not_appear_unless_asked_for() {
        assert!(!text(&testing::sample(), &utc()).contains("topsecret"));
        assert!(text(&testing::sample(), &Options { show_secrets: true, ..utc() }).contains("topsecret"));
    }

    #[test]
    fn lines_are_no_wider_than_the_page_unless_to_be_pasted() {
        let all = || [testing::sample(), testing::many(30, 30), testing::odd(), testing::journeys()];
        for (columns, a) in [60, 80, 100].into_iter().flat_map(|columns| all().map(|a| (columns, a))) {
            for line in text(&a, &Options { columns: Some(columns), ..utc() }).lines() {
                let pasted = ["frame.number", "tcpdump", "accept ", "proxy_set_header", "--format csv"];
                assert!(line.chars().count() <= columns || pasted.iter().any(|word| line.contains(word)), "{line}");
            }
        }
    }

    #[test]
    fn absurd_values_do_no_harm() {
        let mut a = testing::sample();
        a.inputs.push(InputFacts {
            path: "b\x1b[31m".to_owned(),
            first: Some(Timestamp(i64::MIN)),
            last: Some(Timestamp(i64::MAX)),
            packets: u64::MAX,
            cut_short: Some(u64::MAX),
            damage: vec![Damage { packet: u64::MAX, byte: u64::MAX, why: "x".repeat(5_000), lost_bytes: u64::MAX }],
            snaplen: Some(u32::MAX),
            snapped: u64::MAX,
            dropped_kernel: u64::MAX,
            ..InputFacts::default()
        });
        for row in &mut a.rows {
            row.exchange.request.first = Timestamp(i64::MIN);
            row.exchange.request.at = PacketRef::new(u16::MAX, u64::MAX);
            row.exchange.end.lifetime = Some(Nanos(i64::MIN));
        }
        a.patterns = testing::many(1, 1).patterns;
        for share in [f64::NAN, 0.0, -1.0, f64::INFINITY, 1e-300] {
            a.patterns[0].failed_share = share;
            a.patterns[0].chains = u64::MAX;
            text(&a, &utc());
        }
        let stray = Chain { legs: Vec::new(), findings: vec![usize::MAX], ..a.chains[1].clone() };
        a.chains.push(stray);
        let all = text(&a, &utc());
        assert!(!all.contains('\x1b'));
    }
}
