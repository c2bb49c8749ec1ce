//! A backend that knows a right upgrade from a wrong one, and a client that asks it through a product.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::accept;

const LIMIT: Duration = Duration::from_secs(10);
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What came of one request: the status that the client got, and the head that the backend got.
#[derive(Debug)]
pub(crate) struct Outcome {
    status: String,
    request: String,
}

impl Outcome {
    /// The `status`, the request's `target`, or a field of the request; empty where there is none.
    pub(crate) fn sees(&self, what: &str) -> String {
        match what {
            "status" => self.status.clone(),
            "target" => self.request.split(' ').nth(1).unwrap_or_default().to_owned(),
            name => field(&self.request, name).unwrap_or_default().to_owned(),
        }
    }
}

/// Listens at `port` of this machine until the program ends. It answers 101 to a right upgrade and
/// then echoes, and 426 to all else.
pub(crate) fn backend(port: u16) -> Arc<Mutex<String>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port was free");
    let seen = Arc::new(Mutex::new(String::new()));
    let copy = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&copy);
            std::thread::spawn(move || answer(stream, &seen));
        }
    });
    seen
}

/// Asks the product at `port` for an upgrade of `/ws?a=1`, and after a 101 sends a frame's bytes to and fro.
/// `cookie`: bytes of a cookie that the request has; 0: none.
pub(crate) fn ask(port: u16, seen: &Mutex<String>, cookie: usize) -> Result<Outcome, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(LIMIT)).map_err(|e| e.to_string())?;
    let cookie = if cookie == 0 { String::new() } else { format!("Cookie: a={}\r\n", "x".repeat(cookie)) };
    let request = format!(
        "GET /ws?a=1 HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Protocol: chat\r\nOrigin: https://app.example\r\n{cookie}\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|e| e.to_string())?;
    let response = head(&mut stream);
    let status = response.split(' ').nth(1).ok_or_else(|| format!("no answer: {response:?}"))?.to_owned();
    if status == "101" {
        let right = field(&response, "sec-websocket-accept") == Some(accept::accept(KEY).as_str())
            && field(&response, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
            && field(&response, "connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade"));
        if !right {
            return Err(format!("the 101 is not the backend's: {response}"));
        }
        let sent = *b"\x81\x82\0\0\0\0hi";
        let mut back = [0; 8];
        stream.write_all(&sent).and_then(|()| stream.read_exact(&mut back)).map_err(|e| format!("no tunnel: {e}"))?;
        if back != sent {
            return Err(format!("the tunnel gave back {back:?}"));
        }
    }
    let request = seen.lock().map_err(|e| e.to_string())?.clone();
    Ok(Outcome { status, request })
}

fn answer(mut stream: TcpStream, seen: &Mutex<String>) {
    let request = head(&mut stream);
    // Products ask for things of their own, and look whether the backend is there.
    if field(&request, "sec-websocket-version").is_none() {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    seen.lock().expect("no panic before").clone_from(&request);
    let has = |name: &str, token: &str| {
        let tokens = field(&request, name).unwrap_or_default().split(',');
        tokens.map(str::trim).any(|t| t.eq_ignore_ascii_case(token))
    };
    let first = request.lines().next().unwrap_or_default();
    let right = first.starts_with("GET ")
        && first.ends_with(" HTTP/1.1")
        && has("upgrade", "websocket")
        && has("connection", "upgrade")
        && has("sec-websocket-version", "13");
    match field(&request, "sec-websocket-key") {
        Some(key) if right => {
            let accept = accept::accept(key);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
            let mut bytes = [0; 1024];
            while let Ok(n @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
        }
        _ => {
            let _ = stream.write_all(
                b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n\
                  Content-Length: 0\r\n\r\n",
            );
        }
    }
}

/// A head's bytes up to its empty line, or as many as came.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read_exact(&mut one).is_ok() {
        bytes.push(one[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[test]
fn the_backend_tells_a_right_upgrade_from_a_wrong_one() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = held.local_addr().expect("an address").port();
    drop(held);
    let seen = backend(port);
    let outcome = ask(port, &seen, 0).expect("an answer");
    assert_eq!(["status", "target", "host"].map(|what| outcome.sees(what)), ["101", "/ws?a=1", "app.example"]);
    for wrong in ["Connection: close\r\nUpgrade: websocket", "Connection: Upgrade"] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{wrong}\r\nSec-WebSocket-Version: 13\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("written");
        assert!(head(&mut stream).starts_with("HTTP/1.1 426 "), "{wrong}");
    }
}
