//! Live capture under load: as many packets as this machine can send, and connections that come and go, on a pair of veth.
//! What the sender counts is what is received, or counted as dropped; memory stays flat; every upgrade is told.
//!
//! `HOPSCOPE_LOAD_SECONDS` (15) and `HOPSCOPE_CHURN_SECONDS` (60) are for longer runs by hand; each prints its figures.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tungstenite::Message;

use crate::support::netns::{FAR, NEAR, Net, Running, text_of, wait_until};
use crate::support::run;

const SENDER: usize = 0;
const RECEIVER: usize = 1;

/// Ports of the WebSocket server: many, so that addresses are not used up by connections that ended just now.
const PORTS: std::ops::Range<u16> = 8080..8096;

/// Bytes of a datagram.
const DATAGRAM: usize = 64;

/// What resident memory may grow by in the last half of a run: what allocators do by themselves, and what is remembered of
/// earlier upgrades fills up to its limits. In a minute of 750 upgrades a second that was 9 to 17 MiB, in the last half of four
/// minutes 7. An exchange that is never let go would make it 50.
const FLAT_KIB: u64 = 28 << 10;

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn what_was_sent_at_the_highest_rate_was_received_or_counted_as_dropped() {
    let length = seconds("HOPSCOPE_LOAD_SECONDS", 15);
    let net = Net::row(2);
    serve(&net);
    let sink = net.on(RECEIVER, || UdpSocket::bind("0.0.0.0:9000")).unwrap();
    let flood = net.on(SENDER, || UdpSocket::bind("0.0.0.0:0")).unwrap();
    flood.connect((Net::near_address(RECEIVER), 9000)).unwrap();
    // The first datagram asks for the address behind it.
    flood.send(&[0; DATAGRAM]).unwrap();
    std::thread::sleep(Duration::from_millis(200));

    let before = Counts::of(&net);
    let capture = Capture::begin(&net, &["--buffer", "512M"]);
    let (over, datagrams) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut sizes = Vec::new();
    let upgrades = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if flood.send(&[0; DATAGRAM]).is_ok() {
                    datagrams.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let clients = scope.spawn(|| come_and_go(&net, &over, Duration::from_millis(20)));
        sizes = capture.watch(length, &over);
        clients.join().unwrap()
    });
    // The last packets are on their way.
    std::thread::sleep(Duration::from_millis(500));
    let sent = Counts::of(&net).since(&before);
    drop(sink);
    let datagrams = datagrams.into_inner();
    let seen = capture.end();
    let received = seen.summary["inputs"][0]["packets"].as_u64().unwrap();
    let dropped = seen.summary["counters"]["dropped_kernel"].as_u64().unwrap();
    println!(
        "load: {} s, {} packets of which {datagrams} datagrams, {} a second; {received} received, {dropped} dropped, \
         {} never passed on by the link; {upgrades} upgrades; resident KiB {}",
        length.as_secs(),
        sent.packets,
        sent.packets / length.as_secs(),
        sent.lost,
        listed(&sizes)
    );
    assert!(datagrams > 10_000 * length.as_secs(), "{datagrams} datagrams are no load");
    assert!(sent.packets >= datagrams && upgrades > 0);
    assert_eq!(received + dropped + sent.lost, sent.packets, "received, dropped, lost by the link; and sent");
    is_flat(&sizes);
    if dropped + sent.lost == 0 {
        seen.tells(upgrades);
    } else {
        assert!(seen.upgraded <= upgrades, "{} of {upgrades}", seen.upgraded);
        assert!(seen.said.contains("were dropped by the kernel"), "{}", seen.said);
    }
}

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn connections_that_come_and_go_leave_nothing_behind_and_are_all_told() {
    let length = seconds("HOPSCOPE_CHURN_SECONDS", 60);
    let net = Net::row(2);
    serve(&net);
    let capture = Capture::begin(&net, &["-f", "tcp", "--buffer", "256M"]);
    let over = AtomicBool::new(false);
    let mut sizes = Vec::new();
    let upgrades = std::thread::scope(|scope| {
        let clients = scope.spawn(|| come_and_go(&net, &over, Duration::from_millis(1)));
        sizes = capture.watch(length, &over);
        clients.join().unwrap()
    });
    std::thread::sleep(Duration::from_millis(500));
    let seen = capture.end();
    let dropped = &seen.summary["counters"]["dropped_kernel"];
    println!(
        "churn: {} s, {upgrades} upgrades, {} of them told; {dropped} packets dropped; resident KiB {}",
        length.as_secs(),
        seen.upgraded,
        listed(&sizes)
    );
    assert_eq!(*dropped, 0);
    assert!(upgrades > 20 * length.as_secs(), "{upgrades} upgrades are no churn");
    seen.tells(upgrades);
    is_flat(&sizes);
}

fn listed(sizes: &[u64]) -> String {
    sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// Connects, upgrades, says something, closes, again and again; how many were granted.
fn come_and_go(net: &Net, over: &AtomicBool, pause: Duration) -> u64 {
    let one = |port: u16| {
        let server = SocketAddr::from((Net::near_address(RECEIVER), port));
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let (mut socket, _) = tungstenite::client(format!("ws://{server}/"), stream).ok()?;
        socket.send(Message::text("hello")).ok()?;
        socket.read().ok()?;
        let _ = socket.close(None);
        while socket.read().is_ok() {}
        Some(())
    };
    net.on(SENDER, || {
        let (mut granted, mut failed) = (0, 0);
        for port in PORTS.cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
            match one(port) {
                Some(()) => granted += 1,
                None => failed += 1,
            }
            std::thread::sleep(pause);
        }
        assert_eq!(failed, 0, "upgrades failed, {granted} did not");
        granted
    })
}

/// WebSocket servers on the receiving host that echo.
fn serve(net: &Net) {
    for port in PORTS {
        let listener = net.on(RECEIVER, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let Ok(mut socket) = tungstenite::accept(stream) else { return };
                    while let Ok(message) = socket.read() {
                        if message.is_text() && socket.send(message).is_err() {
                            break;
                        }
                    }
                });
            }
        });
    }
}

/// The receiving link, by the counts of both hosts' systems.
struct Counts {
    packets: u64,
    /// Given to the link, and never taken from it.
    lost: u64,
}

impl Counts {
    fn of(net: &Net) -> Self {
        let count = |host, link: &str, name: &str| {
            let file = format!("/sys/class/net/{link}/statistics/{name}");
            let said = net.command(host, "cat").arg(file).output().unwrap();
            String::from_utf8(said.stdout).unwrap().trim().parse::<u64>().unwrap()
        };
        // What the sender gave to its link and got from it.
        let sent = count(SENDER, FAR, "tx_packets") + count(SENDER, FAR, "rx_packets");
        let lost = count(SENDER, FAR, "tx_dropped") + count(RECEIVER, NEAR, "rx_dropped");
        Counts { packets: sent + lost, lost }
    }

    fn since(&self, before: &Counts) -> Counts {
        Counts { packets: self.packets - before.packets, lost: self.lost - before.lost }
    }
}

/// A capture on the receiving link that runs.
struct Capture {
    running: Running,
    folder: TempDir,
}

struct Seen {
    summary: Value,
    /// Exchanges told as upgraded when they were over.
    upgraded: u64,
    said: String,
}

impl Capture {
    fn begin(net: &Net, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let mut command = net.command(RECEIVER, run::hopscope().get_program());
        command.args(["report", "-i", NEAR, "--format", "ndjson"]).args(more).env_remove("SSLKEYLOGFILE");
        command.current_dir(folder.path()).stdout(file("lines")).stderr(file("said"));
        let capture = Capture { running: Running::start(&mut command), folder };
        wait_until("the capture begins", || text_of(&capture.path("lines")).contains('\n'));
        capture
    }

    /// Lets it run for so long, then says that it is over; the resident size at ten times, in KiB.
    fn watch(&self, length: Duration, over: &AtomicBool) -> Vec<u64> {
        let began = Instant::now();
        let sizes = (1..=10).map(|tenth| {
            std::thread::sleep((length * tenth / 10).saturating_sub(began.elapsed()));
            let status = text_of(&PathBuf::from(format!("/proc/{}/status", self.running.child.id())));
            let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let size = size.and_then(|rest| rest.trim().strip_suffix(" kB"));
            size.and_then(|size| size.parse().ok()).unwrap_or_default()
        });
        let sizes = sizes.collect();
        over.store(true, Ordering::Relaxed);
        sizes
    }

    fn end(mut self) -> Seen {
        let status = self.running.interrupt();
        let said = text_of(&self.path("said"));
        assert!(status.success(), "{status}: {said}");
        let (mut summary, mut upgraded) = (Value::Null, 0);
        for line in text_of(&self.path("lines")).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            match line["type"].as_str() {
                Some("exchange") if line["final"] == true && line["outcome"] == "upgraded" => upgraded += 1,
                Some("summary") => summary = line,
                _ => {}
            }
        }
        Seen { summary, upgraded, said }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Seen {
    /// Every upgrade, and no more.
    fn tells(&self, upgrades: u64) {
        assert_eq!((self.upgraded, &self.summary["counters"]["gaps"]), (upgrades, &0.into()), "{}", self.summary);
    }
}

/// What is resident does not grow in the second half.
fn is_flat(sizes: &[u64]) {
    let (first, second) = sizes.split_at(sizes.len() / 2);
    let most = |half: &[u64]| half.iter().copied().max().unwrap_or_default();
    assert!(most(first) > 0 && most(second) <= most(first) + FLAT_KIB, "resident KiB: {sizes:?}");
}

fn seconds(variable: &str, usual: u64) -> Duration {
    let given = std::env::var(variable).ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(given.unwrap_or(usual))
}
