//! Real clients, a real server, and captures of them at the proxy between: by the program on its two interfaces and on
//! `any`, and by tcpdump beside it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tungstenite::{HandshakeError, Message, WebSocket};

use crate::support::netns::{FAR, NEAR, Net, Running, text_of, wait_until};
use crate::support::run;

/// The hosts of the row.
pub(crate) const CLIENT: usize = 0;
pub(crate) const PROXY: usize = 1;
pub(crate) const BACKEND: usize = 2;

/// How long a client waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of one upgrade, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Messages came back, and it was closed by the client's Close frame.
    Echoed,
    /// Upgraded, and ended by somebody else in the silence.
    CutOff,
    Refused(u16),
    /// No answer that is one.
    Nothing,
}

/// A WebSocket server on the last host that echoes, until the network is gone.
pub(crate) fn serve(net: &Net, port: u16) -> Arc<AtomicUsize> {
    let upgraded = Arc::new(AtomicUsize::new(0));
    let listener = net.on(BACKEND, || TcpListener::bind(("0.0.0.0", port)).expect("a free port"));
    let count = Arc::clone(&upgraded);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                let Ok(mut socket) = tungstenite::accept(stream) else { return };
                count.fetch_add(1, Ordering::Relaxed);
                while let Ok(message) = socket.read() {
                    if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
                        break;
                    }
                }
            });
        }
    });
    upgraded
}

/// One client: upgrades at the proxy, says something, is silent for so long, says something again, closes.
pub(crate) fn ask(net: &Net, path: &str, silent: Duration) -> Outcome {
    let proxy = SocketAddr::from((Net::near_address(PROXY), 80));
    let stream = net.on(CLIENT, || TcpStream::connect_timeout(&proxy, PATIENCE)).expect("the proxy listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut socket = match tungstenite::client(format!("ws://{proxy}{path}"), stream) {
        Ok((socket, _)) => socket,
        Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            return Outcome::Refused(answer.status().as_u16());
        }
        Err(_) => return Outcome::Nothing,
    };
    if !echoes(&mut socket, "hello") {
        return Outcome::CutOff;
    }
    if !silent.is_zero() {
        // As clients do that wait for messages: an end is seen at once.
        socket.get_ref().set_read_timeout(Some(silent)).unwrap();
        let waited = socket.read();
        let in_vain = |e: &std::io::Error| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        if !matches!(&waited, Err(tungstenite::Error::Io(e)) if in_vain(e)) {
            return Outcome::CutOff;
        }
        socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        if !echoes(&mut socket, "still there") {
            return Outcome::CutOff;
        }
    }
    let _ = socket.close(None);
    while socket.read().is_ok() {}
    Outcome::Echoed
}

fn echoes(socket: &mut WebSocket<TcpStream>, text: &str) -> bool {
    socket.send(Message::text(text)).is_ok() && socket.read().is_ok_and(|back| back == Message::text(text))
}

/// The file that a capture keeps.
const KEPT: &str = "kept.pcapng";

/// Captures that run.
pub(crate) struct Watch {
    folder: TempDir,
    legs: Running,
    any: Running,
    tcpdumps: Vec<Running>,
}

/// What they saw.
pub(crate) struct Seen {
    /// The live report of the proxy's two interfaces, by ndjson.
    pub(crate) legs: Value,
    /// The one of `any`.
    pub(crate) any: Value,
    /// The report on what tcpdump captured on the two interfaces.
    pub(crate) offline: Value,
    /// The report on what the live capture of the two interfaces kept.
    pub(crate) kept: Value,
    /// The same in words.
    pub(crate) words: String,
}

impl Watch {
    /// Begins, and waits until all of them capture.
    pub(crate) fn begin(net: &Net) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hopscope = |interfaces: &[&str], name: &str| {
            let mut command = net.command(PROXY, run::hopscope().get_program());
            command.arg("report").args(interfaces).args(["-f", "tcp", "--format", "ndjson"]);
            command.env_remove("SSLKEYLOGFILE").current_dir(folder.path());
            command.stdout(file(&folder, name)).stderr(file(&folder, &format!("{name}.said")));
            Running::start(&mut command)
        };
        let legs = hopscope(&["-i", NEAR, "-i", FAR, "-w", KEPT], "legs");
        let any = hopscope(&["-i", "any"], "any");
        let tcpdump = |interface: &str| {
            let mut command = net.command(PROXY, "tcpdump");
            // Room for all of it, should it not run for seconds.
            command
                .args(["-i", interface, "-B", "65536", "--immediate-mode", "-U", "-Z", "root", "-w"])
                .arg(folder.path().join(interface))
                .arg("tcp");
            command.stdout(Stdio::null()).stderr(file(&folder, &format!("{interface}.said")));
            Running::start(&mut command)
        };
        let tcpdumps = [NEAR, FAR].map(tcpdump).into();
        let watch = Watch { folder, legs, any, tcpdumps };
        for (name, word) in [
            ("legs", "\n"),
            ("any", "\n"),
            (&*format!("{NEAR}.said"), "listening"),
            (&format!("{FAR}.said"), "listening"),
        ] {
            let path = watch.path(name);
            let said = watch.path(&format!("{name}.said"));
            wait_until("a capture begins", || {
                assert!(!text_of(&said).contains("cannot"), "{}", text_of(&said));
                text_of(&path).contains(word)
            });
        }
        watch
    }

    /// Ends them.
    pub(crate) fn end(mut self) -> Seen {
        for program in [&mut self.legs, &mut self.any] {
            let status = program.interrupt();
            let said = text_of(&self.folder.path().join("legs.said")) + &text_of(&self.folder.path().join("any.said"));
            assert!(status.success(), "{status}: {said}");
        }
        let legs = run::gathered(&text_of(&self.path("legs")));
        let files = [self.path(NEAR), self.path(FAR)];
        // tcpdump leaves unread what it has not yet come to, where the machine is busy.
        wait_until("tcpdump writes what was captured live", || {
            packets(&run::report(&[&files[0], &files[1]])) >= packets(&legs)
        });
        for tcpdump in &mut self.tcpdumps {
            tcpdump.interrupt();
        }
        let words = run::output(&["report".as_ref(), "--utc".as_ref(), files[0].as_os_str(), files[1].as_os_str()]);
        Seen {
            legs,
            any: run::gathered(&text_of(&self.path("any"))),
            offline: run::report(&[&files[0], &files[1]]),
            kept: run::report(&[&self.path(KEPT)]),
            words: String::from_utf8(words.stdout).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn file(folder: &TempDir, name: &str) -> File {
    File::create(folder.path().join(name)).unwrap()
}

/// Packets of all inputs of a report.
pub(crate) fn packets(report: &Value) -> u64 {
    report["inputs"].as_array().unwrap().iter().map(|input| input["packets"].as_u64().unwrap()).sum()
}

/// A proxy that runs on the middle host.
pub(crate) struct Proxy {
    running: Running,
    config: PathBuf,
    reload: &'static str,
    folder: TempDir,
}

impl Proxy {
    /// nginx with this configuration, in which `{dir}` is a folder of its own.
    pub(crate) fn nginx(net: &Net, config: &str) -> Self {
        Self::start(net, config, "HUP", |config| {
            let mut command = net.command(PROXY, "nginx");
            command.args(["-e", "stderr", "-c"]).arg(config);
            command
        })
    }

    pub(crate) fn haproxy(net: &Net, config: &str) -> Self {
        Self::start(net, config, "USR2", |config| {
            let mut command = net.command(PROXY, "haproxy");
            command.args(["-W", "-f"]).arg(config);
            command
        })
    }

    fn start(
        net: &Net,
        config: &str,
        reload: &'static str,
        command: impl FnOnce(&Path) -> std::process::Command,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, config.replace("{dir}", folder.path().to_str().unwrap())).unwrap();
        let log = folder.path().join("log");
        let mut command = command(&path);
        command.stdout(File::create(&log).unwrap()).stderr(File::options().append(true).open(&log).unwrap());
        let mut running = Running::start(&mut command);
        wait_until("the proxy listens", || {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "the proxy ended at once (.ci/run installs it): {}", text_of(&log));
            listens(net)
        });
        Proxy { running, config: path, reload, folder }
    }

    /// The configuration on disk.
    pub(crate) fn config(&self) -> String {
        text_of(&self.config)
    }

    /// What it said by now.
    pub(crate) fn log(&self) -> String {
        text_of(&self.folder.path().join("log")) + &text_of(&self.folder.path().join("error.log"))
    }

    /// Takes another configuration, as an operator would: written, and the proxy told to read it.
    pub(crate) fn reload(&self, config: &str) {
        File::create(&self.config).and_then(|mut file| file.write_all(config.as_bytes())).unwrap();
        self.running.signal(self.reload);
    }
}

fn listens(net: &Net) -> bool {
    let proxy = SocketAddr::from((Net::near_address(PROXY), 80));
    net.on(CLIENT, || TcpStream::connect_timeout(&proxy, Duration::from_secs(1))).is_ok()
}

/// Asks until it works three times in a row, or once with a silence, since a reload takes its time, and what ran before
/// still takes connections for a while. Gives up when it has failed for long.
pub(crate) fn ask_until_echoed(net: &Net, path: &str, silent: Duration) -> Outcome {
    let enough = if silent.is_zero() { 3 } else { 1 };
    let (began, mut right) = (Instant::now(), 0);
    loop {
        let outcome = ask(net, path, silent);
        right = if outcome == Outcome::Echoed { right + 1 } else { 0 };
        if right == enough || (right == 0 && began.elapsed() > PATIENCE) {
            return outcome;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
