//! `--redact`: what must not leave the house is planted wherever it can stand, and looked for in every output.

use serde_json::Value;

use crate::lab_truth::scenarios;
use crate::support::file::Format;
use crate::support::link::{self, Link};
use crate::support::run;
use crate::support::script::{self, Script, Side};
use crate::support::tls::{Ends, Say, suite};

/// Planted, each in several places; none may be in any output.
const SECRETS: [&str; 24] = [
    "203.0.113.77",
    "203.0.113.88",
    "192.0.2.111",
    "192.0.2.122",
    "10.11.12.13",
    "10.11.12.14",
    "2001:db8:7:7::99",
    "chat.customer.example.org",
    "intranet-app",
    "origin.customer.example.net",
    "web-07.corp.example.com",
    "login.customer.example.org",
    "sso.customer.example.org",
    "refer.customer.example.org",
    "cookiesecret1",
    "bearersecret2",
    "querysecret3",
    "protosecret4567890123456",
    "setcookiesecret5",
    "customer-dir",
    "bodyhost.customer.example.org",
    "bodytokensecret8",
    "framesecret10",
    "pingsecret11",
];

/// Of these, what is hidden from whoever reads a report that is not redacted.
const TOKENS: [&str; 8] = [
    "cookiesecret1",
    "bearersecret2",
    "querysecret3",
    "protosecret4567890123456",
    "setcookiesecret5",
    "bodytokensecret8",
    "framesecret10",
    "pingsecret11",
];

const FORMATS: [&str; 9] = ["text", "json", "ndjson", "csv", "markdown", "html", "mermaid", "sarif", "junit"];

fn request(host: &str, more: &str) -> String {
    format!(
        "GET /chat?access_token=querysecret3&next=https%3A%2F%2Flogin.customer.example.org HTTP/1.1\nHost: {host}\n\
         Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nOrigin: https://origin.customer.example.net\n\
         Cookie: sid=cookiesecret1\nAuthorization: Bearer bearersecret2\n\
         Sec-WebSocket-Protocol: chat, access_token, protosecret4567890123456\n\
         Referer: https://user:querysecret3@refer.customer.example.org/x?token=querysecret3\n\
         X-Forwarded-For: 10.11.12.13, 2001:db8:7:7::99\nForwarded: for=\"[2001:db8:7:7::99]:4711\";host=chat.customer.example.org\n\
         X-Upstream-Addr: up_10.11.12.14:80{more}"
    )
}

/// Two journeys over one proxy: one refused, with all that an answer can hold; one granted, and closed with a reason.
fn capture() -> Vec<u8> {
    capture_with("2001:db8:7:7::99")
}

/// The same with another address in the fields of forwarded requests.
fn capture_with(address: &str) -> Vec<u8> {
    let mut scripts = Vec::new();
    for granted in [false, true] {
        let port = if granted { 40_002 } else { 40_001 };
        let near = Script::between(&format!("203.0.113.77:{port}"), "203.0.113.88:80");
        let near = if granted { near.wait_ms(500) } else { near };
        let key = if granted { "AQIDBAUGBwgJCgsMDQ4PEA==" } else { "dGhlIHNhbXBsZSBub25jZQ==" };
        let of = |host: &str, more: &str| {
            request(host, more).replace("dGhlIHNhbXBsZSBub25jZQ==", key).replace("2001:db8:7:7::99", address)
        };
        let near = near.head(Side::Client, &of("chat.customer.example.org", ""));
        let far = Script::midstream(&format!("192.0.2.111:{port}"), "192.0.2.122:8080").not_before(near.now_ns());
        let far = far.handshake().head(Side::Client, &of("intranet-app:8080", "\nX-Real-IP: 203.0.113.77"));
        if granted {
            let answer = script::upgrade_response(key);
            let answer = format!("{}\nVia: 1.1 web-07.corp.example.com", answer.trim_end());
            let far = far.head(Side::Server, &answer);
            let near = near.not_before(far.now_ns()).head(Side::Server, &answer);
            let close = [&1011_u16.to_be_bytes()[..], b"lost 10.11.12.14 at bodyhost.customer.example.org"].concat();
            let near = near.frame(Side::Client, 1, b"token=framesecret10 at 10.11.12.14");
            let near = near.frame(Side::Server, 9, b"pingsecret11").frame(Side::Client, 10, b"pingsecret11");
            let near = near.frame(Side::Server, 8, &close).fin(Side::Server).fin(Side::Client);
            scripts.extend([near, far.frame(Side::Server, 8, &close).fin(Side::Server).fin(Side::Client)]);
            continue;
        }
        let body = "<p>no route from 10.11.12.13 to bodyhost.customer.example.org</p> ?access_token=bodytokensecret8";
        let answer = format!(
            "HTTP/1.1 403 no entry for 10.11.12.13\nServer: nginx/1.22.1\nVia: 1.1 web-07.corp.example.com (squid/5.7)\n\
             Set-Cookie: sid=setcookiesecret5\nLocation: https://sso.customer.example.org/?code=querysecret3\n\
             X-Served-By: web-07.corp.example.com\nContent-Length: {}",
            body.len()
        );
        let far = far.head(Side::Server, &answer).server(body).fin(Side::Server).fin(Side::Client);
        let near = near.not_before(far.now_ns()).head(Side::Server, &answer).server(body);
        scripts.extend([near.fin(Side::Server).fin(Side::Client), far]);
    }
    // Nobody listens there.
    let lone = Script::midstream("203.0.113.77:40003", "10.11.12.14:81").syn();
    scripts.push(lone.rst(Side::Server));
    let format = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) };
    format.write(&link::packets(&script::together(scripts), Link::Ethernet))
}

/// What the program prints of it.
fn printed(command: &str, format: &str, more: &[&str]) -> String {
    printed_of(&capture(), command, format, more)
}

fn printed_of(capture: &[u8], command: &str, format: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("customer-dir");
    std::fs::create_dir(&folder).expect("a folder");
    let path = folder.join("capture.pcap");
    std::fs::write(&path, capture).expect("room for a capture");
    let output =
        run::hopscope().arg(command).arg(&path).args(["--format", format]).args(more).output().expect("a start");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_secret_is_in_the_report_when_nothing_is_hidden() {
    // Else it would say nothing that they are not there when it is.
    let open = printed("report", "json", &["--show-secrets"]);
    // Bodies are in the text alone, and what is said in frames is told to nobody.
    let elsewhere = ["bodyhost.customer.example.org", "bodytokensecret8", "framesecret10", "pingsecret11"];
    for secret in SECRETS.iter().filter(|s| !elsewhere.contains(s)) {
        assert!(open.contains(secret), "{secret}");
    }
    let text = printed("report", "text", &["--show-secrets"]);
    for secret in &elsewhere[..2] {
        assert!(text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn no_token_is_in_any_output_where_nobody_asks_for_secrets() {
    let reports = FORMATS.map(|format| (format, printed("report", format, &[])));
    let audits = ["text", "json", "markdown", "html"].map(|format| (format, printed("audit", format, &[])));
    for (format, text) in reports.iter().chain(&audits) {
        for secret in TOKENS {
            assert!(!text.contains(secret), "{secret} in {format}:\n{text}");
        }
    }
    assert!(reports[1].1.contains("203.0.113.77"), "addresses are told");
}

#[test]
fn no_secret_is_in_any_output_that_is_redacted() {
    for format in FORMATS {
        let text = printed("report", format, &["--redact"]);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {format}:\n{text}");
        }
        assert!(text.contains("198.18.0.") || format == "mermaid", "{format}: pseudonyms stand there instead");
    }
    for format in ["text", "json", "markdown", "html"] {
        let text = printed("audit", format, &["--redact"]);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in an audit as {format}:\n{text}");
        }
        assert!(text.contains("198.18.0."), "{text}");
    }
}

/// Six journeys over Squid, which writes its own name into answers: three to one host fail, three to another work.
fn of_two_hosts() -> Vec<u8> {
    let mut scripts = Vec::new();
    for (n, letter) in "ABCDEF".chars().enumerate() {
        let (granted, port) = (n >= 3, 40_100 + n);
        let key = format!("{letter}AAAAAAAAAAAAAAAAAAAAA==");
        let host = if granted { "login.customer.example.org" } else { "chat.customer.example.org" };
        let asks = request(host, "").replace("dGhlIHNhbXBsZSBub25jZQ==", &key);
        let near = Script::between(&format!("203.0.113.77:{port}"), "203.0.113.88:80").wait_ms(400 * n as u64);
        let near = near.head(Side::Client, &asks);
        let far = Script::midstream(&format!("192.0.2.111:{port}"), "192.0.2.122:8080").not_before(near.now_ns());
        let answer = match granted {
            true => script::upgrade_response(&key),
            false => "HTTP/1.1 403 Forbidden\nServer: app\nContent-Length: 0".to_owned(),
        };
        let far = far.handshake().head(Side::Client, &asks).head(Side::Server, &answer);
        let via = format!("{}\nVia: 1.1 web-07.corp.example.com (squid/5.7)", answer.trim_end());
        let near = near.not_before(far.now_ns()).head(Side::Server, &via);
        // What was granted ends as it should, and is no failure.
        let goodbye = |script: Script| {
            let code = 1000_u16.to_be_bytes();
            if granted { script.frame(Side::Server, 8, &code).frame(Side::Client, 8, &code) } else { script }
        };
        let ended = |script| goodbye(script).fin(Side::Server).fin(Side::Client);
        scripts.extend([ended(near), ended(far)]);
    }
    let format = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) };
    format.write(&link::packets(&script::together(scripts), Link::Ethernet))
}

#[test]
fn no_secret_is_told_of_what_failures_share_or_of_what_shows_a_product() {
    let capture = of_two_hosts();
    let open: Value = serde_json::from_str(&printed_of(&capture, "report", "json", &["--show-secrets"])).expect("JSON");
    let (shared, proxies) = (open["patterns"].to_string(), open["intermediaries"].to_string());
    assert!(shared.contains("chat.customer.example.org"), "else it would say nothing: {shared}");
    assert!(proxies.contains("web-07.corp.example.com"), "else it would say nothing: {proxies}");
    let reports = FORMATS.map(|format| (format, printed_of(&capture, "report", format, &["--redact"])));
    let audits = ["text", "json", "markdown", "html"].map(|f| (f, printed_of(&capture, "audit", f, &["--redact"])));
    for (format, text) in reports.iter().chain(&audits) {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {format}:\n{text}");
        }
    }
}

/// What precedes HTTP, what the user calls a host, and credentials of other kinds.
const AROUND: [&str; 12] = [
    "203.0.113.201",
    "203.0.113.202",
    "tunnel.customer.example.org",
    "socks.customer.example.org",
    "basicsecret6",
    "apikeysecret7",
    "proxysecret8",
    "edge-of-customer",
    "pathsecret9",
    "203.0.113.203",
    "intranet-gate",
    "tlv.customer.example.org",
];

#[test]
fn no_secret_is_told_of_what_precedes_http_or_of_what_the_user_called_a_host() {
    let asks = "GET /chat?key=pathsecret9 HTTP/1.1\nHost: tunnel.customer.example.org\nUpgrade: websocket\n\
                Connection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
                Authorization: Basic basicsecret6\nX-Api-Key: apikeysecret7";
    let no = "HTTP/1.1 403 Forbidden\nServer: nginx\nContent-Length: 0";
    let (c, s) = (Side::Client, Side::Server);
    let proxied = Script::between("203.0.113.77:40001", "203.0.113.88:80")
        .client(b"PROXY TCP4 203.0.113.201 203.0.113.202 51234 443\r\n")
        .head(
            c,
            "CONNECT tunnel.customer.example.org:80 HTTP/1.1\nHost: tunnel.customer.example.org:80\n\
                  Proxy-Authorization: Basic proxysecret8",
        )
        .head(s, "HTTP/1.1 200 Connection established")
        .head(c, asks)
        .head(s, no)
        .fin(s)
        .fin(c);
    let name = b"socks.customer.example.org";
    let socks = [&[5, 1, 0, 3, u8::try_from(name.len()).expect("short")][..], name, &[0, 80]].concat();
    let socks = Script::between("203.0.113.77:40002", "203.0.113.88:1080")
        .client([5, 1, 0])
        .server([5, 0])
        .client(socks)
        .server([5, 0, 0, 1, 203, 0, 113, 202, 0, 80])
        .head(c, asks)
        .head(s, no)
        .fin(s)
        .fin(c);
    // Version 2, whose TLVs name the host that was asked for, and what a proxy likes to add.
    let name = |kind: u8, name: &[u8]| [&[kind, 0, u8::try_from(name.len()).expect("short")][..], name].concat();
    let body = [
        &[203, 0, 113, 203, 203, 0, 113, 202, 0xc8, 0x22, 1, 0xbb][..],
        &name(2, b"intranet-gate"),
        &name(0xe0, b"from tlv.customer.example.org"),
    ]
    .concat();
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, &body].concat();
    let tlvs = Script::between("203.0.113.77:40003", "203.0.113.88:80").client(header);
    let tlvs = tlvs.head(c, asks).head(s, no).fin(s).fin(c);
    let format = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) };
    let capture = format.write(&link::packets(&script::together([proxied, socks, tlvs]), Link::Ethernet));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("capture.pcap");
    std::fs::write(&path, capture).expect("room for a capture");
    let print = |format: &str, hiding: &str| {
        let mut command = run::hopscope();
        command.arg("report").arg(&path).args(["--format", format, "--hop", "edge-of-customer=203.0.113.88", hiding]);
        let output = command.output().expect("a start");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let open = ["json", "text", "html"].map(|format| print(format, "--show-secrets")).concat();
    for secret in AROUND {
        // The fields of a CONNECT that was granted are told to nobody, nor is the name of a host that is no hop here.
        let untold = ["proxysecret8", "edge-of-customer"].contains(&secret);
        assert!(open.contains(secret) || untold, "{secret} is to be seen when nothing is hidden");
        for format in FORMATS {
            let hidden = print(format, "--redact");
            assert!(!hidden.contains(secret), "{secret} in {format}:\n{hidden}");
        }
    }
}

/// What the names of tests/support/tls.rs are: the one that the client asks for.
const SNI: &str = "ends.example";

#[test]
fn no_secret_is_told_of_tls_whether_it_was_read_or_not() {
    let (request, answer) = (request("ends.example", ""), "HTTP/1.1 403 Forbidden\nServer: nginx\nContent-Length: 0");
    let steps = [Say::Client(&script::head(&request)), Say::Server(&script::head(answer))];
    let talk = Ends::of_http1(suite("TLS13_AES_128_GCM_SHA256")).talk(b"", &steps);
    let mut near = Script::between("203.0.113.77:40000", "203.0.113.88:443");
    let mut far = Script::between("192.0.2.111:50000", "192.0.2.122:8080");
    for (at, (client, bytes)) in talk.wire.iter().enumerate() {
        if at + 1 == talk.wire.len() {
            far = far.not_before(near.now_ns()).head(Side::Client, &request).wait_ms(5).head(Side::Server, answer);
        }
        near = near.wait_ms(if at + 1 == talk.wire.len() { 10 } else { 3 });
        near = if *client { near.client(bytes) } else { near.server(bytes) };
    }
    let capture =
        Format::pcap(Link::Ethernet).write(&link::packets(&script::together([near.wait_ms(50), far]), Link::Ethernet));
    let folder = tempfile::tempdir().expect("a folder");
    let [path, keys] = ["capture.pcap", "keys"].map(|name| folder.path().join(name));
    std::fs::write(&path, capture).expect("room for a capture");
    std::fs::write(&keys, &talk.key_log).expect("room for a key log");
    let print = |command: &str, format: &str, more: &[&str]| {
        let mut command_line = run::hopscope();
        let output = command_line.arg(command).arg(&path).args(["--format", format]).args(more).output();
        let output = output.expect("a start");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let keys = keys.to_str().expect("UTF-8");
    let secrets: Vec<&str> = talk.key_log.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(secrets.iter().all(|secret| secret.len() >= 64) && !secrets.is_empty());
    for more in [&[][..], &["--keylog", keys]] {
        let open = print("report", "json", &[more, &["--show-secrets"]].concat());
        assert!(open.contains(SNI) && open.contains("203.0.113.77"), "else it would say nothing\n{open}");
        let reports = FORMATS.map(|format| print("report", format, &[more, &["--redact"]].concat()));
        let audits =
            ["text", "json", "markdown", "html"].map(|format| print("audit", format, &[more, &["--redact"]].concat()));
        for text in reports.iter().chain(&audits) {
            for secret in SECRETS.iter().chain(&[SNI]) {
                assert!(!text.contains(secret), "{secret} ({more:?})\n{text}");
            }
        }
        for text in reports.iter().chain(&audits).chain([&open]) {
            let shown = secrets.iter().find(|secret| text.contains(**secret));
            assert_eq!(shown, None, "no report has what opens TLS\n{text}");
        }
    }
    let out = folder.path().join("out.pcapng");
    let output = run::hopscope()
        .arg("extract")
        .arg(&path)
        .args(["-Y", "", "--redact", "--keylog", keys, "-o"])
        .arg(&out)
        .output()
        .expect("a start");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && words.contains("inside TLS") && !out.exists(), "{words}");
}

#[test]
fn the_same_value_has_the_same_pseudonym_and_all_else_stays() {
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let (open, hidden) = (parse(&printed("report", "json", &[])), parse(&printed("report", "json", &["--redact"])));
    let names = |report: &Value| {
        let address = |x: &Value, end: &str| x[end]["ip"].as_str().expect("an address").to_owned();
        let list = report["exchanges"].as_array().expect("a list").clone();
        list.iter().flat_map(|x| [address(x, "client"), address(x, "server")]).collect::<Vec<_>>()
    };
    let (before, after) = (names(&open), names(&hidden));
    assert_eq!(before.len(), after.len());
    for (a, x) in before.iter().zip(&after) {
        for (b, y) in before.iter().zip(&after) {
            assert_eq!(a == b, x == y, "{a} {b}: {x} {y}");
        }
    }
    for pointer in
        ["/chains/0/verdict/rule", "/chains/0/legs", "/chains/1/verdict/rule", "/chains/0/outcome", "/counters"]
    {
        assert_eq!(open.pointer(pointer), hidden.pointer(pointer), "{pointer}");
    }
    let rules = |report: &Value| -> Vec<Value> {
        report["findings"].as_array().expect("a list").iter().map(|f| f["rule"].clone()).collect()
    };
    assert_eq!(rules(&open), rules(&hidden));
    // Who asked from where is told by field and packet alike.
    let chains = hidden["chains"].as_array().expect("a list");
    let hop = chains.iter().find_map(|chain| chain["hops"].get(0)).expect("a hop");
    let added = hop["request"]["added"].as_array().expect("a list");
    let real = added.iter().find(|pair| pair[0] == "X-Real-IP").expect("the hop's own field");
    let near = hidden["exchanges"].as_array().expect("a list").iter().find(|x| x["id"] == hop["between"][0]);
    assert_eq!(real[1], near.expect("its leg")["client"]["ip"], "{hop:#}");
}

#[test]
fn nobody_asks_for_both() {
    let output = run::output(&["report", "samples/accept-in-hex.pcap", "--redact", "--show-secrets"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The capture without what packets cannot be redacted of.
fn without_ipv6() -> Vec<u8> {
    capture_with("10.11.12.13")
}

/// The first bytes of a hardware address: who made the card.
const MAKER: [u8; 3] = [0xac, 0xde, 0x48];

/// With hardware addresses of a maker, and not those of nobody that captures are made with.
fn with_cards(mut capture: Vec<u8>) -> Vec<u8> {
    for at in 0..capture.len().saturating_sub(14) {
        let nobody = |of: &[u8]| of[..5] == [2, 0, 0, 0, 0];
        if nobody(&capture[at..]) && nobody(&capture[at + 6..]) && capture[at + 12..at + 14] == [8, 0] {
            capture[at..at + 3].copy_from_slice(&MAKER);
            capture[at + 6..at + 9].copy_from_slice(&MAKER);
        }
    }
    capture
}

fn extract(capture: &[u8], more: &[&str]) -> (std::process::Output, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, out) = (folder.path().join("customer-dir.pcap"), folder.path().join("out.pcapng"));
    std::fs::write(&path, capture).expect("room for a capture");
    let mut command = run::hopscope();
    command.arg("extract").arg(&path).arg("-o").arg(&out).args(more);
    let output = command.output().expect("a start");
    (output, std::fs::read(&out).unwrap_or_default())
}

#[test]
fn no_secret_is_in_packets_that_are_redacted_and_their_report_is_the_same() {
    let capture = with_cards(without_ipv6());
    let before = run::report_on_bytes(&capture);
    let (output, written) = extract(&capture, &["-Y", "", "--redact"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for secret in SECRETS.iter().filter(|s| !s.contains("2001")) {
        // The file's own name is the user's.
        let found = written.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!found || *secret == "customer-dir", "{secret}");
    }
    for address in ["203.0.113.77", "203.0.113.88", "192.0.2.111", "192.0.2.122", "10.11.12.14"] {
        let raw = address.parse::<std::net::Ipv4Addr>().expect("an address").octets();
        assert!(!written.windows(4).any(|w| w == raw), "{address} as bytes");
    }
    assert!(capture.windows(3).any(|w| w == MAKER) && !written.windows(3).any(|w| w == MAKER), "hardware addresses");
    let after = run::report_on_bytes(&written);
    let told = |report: &Value| -> Vec<(Value, Value)> {
        let exchanges = report["exchanges"].as_array().expect("a list");
        exchanges.iter().map(|x| (x["outcome"].clone(), x["response"]["status"].clone())).collect()
    };
    assert_eq!(told(&before), told(&after), "{after:#}");
    let lengths = |report: &Value| report["inputs"][0]["packets"].clone();
    assert_eq!(lengths(&before), lengths(&after));
    // Legs are joined as before, and the hop's own field names the client as packets do.
    let hop = |report: &Value| {
        let chains = report["chains"].as_array().expect("a list").clone();
        chains.into_iter().find_map(|chain| chain["hops"].get(0).cloned()).expect("a hop")
    };
    assert_eq!(hop(&before)["between"], hop(&after)["between"]);
    let added = hop(&after)["request"]["added"].as_array().expect("a list").clone();
    let real = added.iter().find(|pair| pair[0] == "X-Real-IP").expect("the hop's own field");
    assert_eq!(real[1], after["exchanges"][0]["client"]["ip"]);
}

#[test]
fn checksums_of_redacted_packets_are_right_where_they_were() {
    let capture = without_ipv6();
    let (_, written) = extract(&capture, &["-Y", "", "--redact"]);
    let read = |file: &[u8]| crate::support::read::captured(file).packets;
    let (before, after) = (read(&capture), read(&written));
    assert_eq!(before.len(), after.len());
    let mut whole = 0;
    for (before, after) in before.iter().zip(&after) {
        let ip = &after.data[14..];
        assert_eq!(sum(&ip[..20], 0), 0xffff, "the IP header's checksum");
        if before.data.len() == after.data.len() && is_right(&before.data[14..]) {
            assert!(is_right(ip), "a TCP checksum");
            whole += 1;
        }
    }
    assert!(whole >= 8, "{whole} packets were whole");
}

/// Whether the checksum of TCP over IPv4 fits.
fn is_right(ip: &[u8]) -> bool {
    let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let tcp = &ip[20..length];
    let pseudo = sum(&ip[12..20], 6 + u32::try_from(tcp.len()).expect("small"));
    sum(tcp, u32::from(pseudo)) == 0xffff
}

/// RFC 1071.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}

#[test]
fn what_a_router_says_of_a_packet_names_nobody_and_no_payload_and_is_still_read() {
    for (case, addresses) in [
        (
            "tunnel-rejected-by-a-router-seen-at-the-client",
            [[10, 1, 0, 1], [10, 1, 0, 2], [10, 2, 0, 2]].map(Vec::from),
        ),
        ("syn-rejected-over-ipv6", ["fd00:1::1", "fd00:1::2", "fd00:2::2"].map(|a| octets(a).to_vec())),
    ] {
        let capture =
            std::fs::read(format!("{}/tests/field/{case}/all.pcap", env!("CARGO_MANIFEST_DIR"))).expect("a case");
        let (output, written) = extract(&capture, &["-Y", "", "--redact"]);
        assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
        let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        for address in &addresses {
            assert!(holds(&capture, address) && !holds(&written, address), "{case}: {address:?}");
        }
        let report = printed_of(&written, "report", "text", &[]);
        let rule = case.split("-by").next().and_then(|case| case.split("-over").next()).expect("a rule");
        assert!(report.contains(rule), "{case}: {report}");
        let redacted = printed_of(&capture, "report", "text", &["--redact"]);
        assert!(redacted.contains(rule) && !redacted.contains("10.1.0.") && !redacted.contains("fd00:"), "{redacted}");
    }
}

fn octets(address: &str) -> [u8; 16] {
    address.parse::<std::net::Ipv6Addr>().expect("an address").octets()
}

#[test]
fn packets_are_refused_where_lengths_do_not_allow_it() {
    let (output, written) = extract(&capture(), &["-Y", "", "--redact"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("--redact") && words.contains("X-Forwarded-For") && written.is_empty(), "{words}");
}

#[test]
fn what_is_cut_into_many_packets_is_redacted_all_the_same() {
    for bytes in [1, 7, 40] {
        let script = Script::flow().segment_bytes(bytes);
        let lines = request("chat.customer.example.org", "").replace("2001:db8:7:7::99", "10.11.12.13");
        let script = script.head(Side::Client, &lines).head(Side::Server, "HTTP/1.1 403 Forbidden\nContent-Length: 0");
        let packets = link::packets(&script.segments(), Link::Ethernet);
        let capture = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) }.write(&packets);
        let (output, written) = extract(&capture, &["-Y", "", "--redact"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = run::report_on_bytes(&written);
        assert_eq!(report["exchanges"][0]["response"]["status"], 403);
        let text = report.to_string();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in segments of {bytes}");
        }
    }
}

/// Captures of the lab whose packets can be redacted: may rise, never fall. The others are in tunnels, TLS or HTTP/2, or
/// hold no upgrade.
const REDACTED: usize = 181;

#[test]
#[ignore = "needs captures outside this repository: .ci/run"]
fn every_lab_capture_is_redacted_or_refused_with_its_reason() {
    let mut redacted = 0;
    for scenario in scenarios() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out.pcapng");
        let mut command = run::hopscope();
        command.arg("extract").args(&scenario.files).args(["-Y", "", "--redact", "--quiet", "-o"]).arg(&out);
        let output = command.output().expect("a start");
        let Ok(written) = std::fs::read(&out) else {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(words.contains("--redact: ") || words.contains("nothing to write"), "{}: {words}", scenario.name);
            continue;
        };
        redacted += 1;
        let hosts = scenario.truth["topology"].as_array().into_iter().flatten();
        let names: Vec<&str> = hosts.filter_map(|host| host["name"].as_str()).collect();
        for address in names.iter().flat_map(|name| scenario.addresses(name)).filter(|a| a.len() > 6) {
            let Ok(ip) = address.parse::<std::net::IpAddr>() else { continue };
            if ip.is_loopback() {
                continue;
            }
            let text = ip.to_string();
            assert!(!written.windows(text.len()).any(|w| w == text.as_bytes()), "{}: {text}", scenario.name);
        }
    }
    println!("redacted: {redacted}");
    assert!(redacted >= REDACTED, "{redacted}");
}
