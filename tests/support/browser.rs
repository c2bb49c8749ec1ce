//! A browser without a window, driven over its debugging protocol: what a page says to its console, what is in it, and
//! what it looks like.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long it may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    next: u64,
    session: String,
    /// What pages said: errors and warnings of the console, exceptions, what their policy forbade, and requests.
    pub said: Vec<String>,
    pub requests: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Starts chromium; it must be installed.
    pub(crate) fn start() -> Browser {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let url = lines.map_while(Result::ok).find_map(|l| l.strip_prefix("DevTools listening on ").map(str::to_owned));
        let url = url.expect("chromium says where it listens");
        let place = url.trim_start_matches("ws://").split('/').next().expect("a host").to_owned();
        let stream = TcpStream::connect(place).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let (socket, _) = tungstenite::client(url, stream).expect("a WebSocket");
        let (said, requests) = (Vec::new(), Vec::new());
        let mut browser = Browser { child, socket, next: 0, session: String::new(), said, requests, _folder: folder };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        // Keys go to the page as if its window were the one in front.
        browser.ask("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        browser
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, path: &Path) {
        let url = format!("file://{}", path.display());
        self.ask("Page.navigate", json!({"url": url}));
        for _ in 0..600 {
            let state = format!("location.href.startsWith({}) && document.readyState === 'complete'", json!(url));
            if self.value(&state) == true {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{url} is not loaded");
    }

    /// What an expression is in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let arguments = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", arguments);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Presses a key and lets it go, as a keyboard does: `Tab`, `Enter`, `Escape`, or a character. `shift`: held meanwhile.
    pub(crate) fn press(&mut self, key: &str, shift: bool) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Escape" => ("Escape", 27, ""),
            " " => ("Space", 32, " "),
            "/" => ("Slash", 191, "/"),
            key => ("", u32::from(key.bytes().next().expect("a key").to_ascii_uppercase()), key),
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number});
            event["modifiers"] = json!(if shift { 8 } else { 0 });
            if kind == "keyDown" {
                event["text"] = json!(text);
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// A window so wide, and colours for the dark or not.
    pub(crate) fn look(&mut self, width: u64, dark: bool) {
        let arguments = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", arguments);
        let scheme = json!([{"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": scheme}));
    }

    /// Whether pages may run scripts from the next one on.
    pub(crate) fn scripts(&mut self, allowed: bool) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({"value": !allowed}));
    }

    fn ask(&mut self, method: &str, arguments: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": arguments});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).expect("it listens");
        loop {
            let answer = self.socket.read().expect("an answer in time");
            let Message::Text(text) = answer else { continue };
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == json!(self.next) {
                assert!(answer.get("error").is_none(), "{method}: {answer:#}");
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let what = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.said.push(what["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" => self.said.push(what.to_string()),
            "Log.entryAdded" => self.said.push(what["entry"].to_string()),
            "Network.requestWillBeSent" => {
                self.requests.push(what["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
