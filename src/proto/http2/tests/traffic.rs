//! What another implementation of HTTP/2 says to itself is read as it was meant.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::*;

/// What both ends wrote, in order.
type Tape = Arc<Mutex<Vec<(Direction, Vec<u8>)>>>;

/// One end of a connection, whose writes are taken down.
struct Tapped {
    end: DuplexStream,
    from: Direction,
    tape: Tape,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.end).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = written {
            self.tape.lock().unwrap().push((self.from, buf[..n].to_vec()));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.end).poll_shutdown(cx)
    }
}

/// A GET with content in the answer and trailers, a POST that is reset, an extended CONNECT through which both
/// sides send, and many GETs with the same and other fields.
async fn talk(tape: Tape) {
    let (client_end, server_end) = tokio::io::duplex(1 << 16);
    let client_end = Tapped { end: client_end, from: C, tape: tape.clone() };
    let server_end = Tapped { end: server_end, from: S, tape };
    let server = async move {
        let mut builder = ::h2::server::Builder::new();
        builder.enable_connect_protocol().initial_window_size(1_000).max_concurrent_streams(500);
        let mut connection = builder.handshake::<_, bytes::Bytes>(server_end).await.unwrap();
        while let Some(accepted) = connection.accept().await {
            let (request, respond) = accepted.unwrap();
            tokio::task::spawn_local(answer(request, respond));
        }
    };
    let client = async move {
        let (mut send, connection) =
            ::h2::client::Builder::new().handshake::<_, bytes::Bytes>(client_end).await.unwrap();
        let driver = tokio::task::spawn_local(connection);
        for n in 0..60 {
            send = send.ready().await.unwrap();
            let request = http::Request::get(format!("http://example.test/{n}"))
                .header("x-same", "the same value every time")
                .header("x-other", format!("{n}-{}", "v".repeat(n)));
            let (answer, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
            let mut body = answer.await.unwrap().into_body();
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
            }
            body.trailers().await.unwrap();
        }
        send = send.ready().await.unwrap();
        while !send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let mut request = http::Request::builder().method("CONNECT").uri("https://example.test/chat?room=1");
        request = request.header("sec-websocket-version", "13").header("origin", "https://example.test");
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(::h2::ext::Protocol::from_static("websocket"));
        let (answer, mut up) = send.send_request(request, false).unwrap();
        let mut down = answer.await.unwrap().into_body();
        for n in 0..20 {
            up.send_data(format!("up {n};").into_bytes().into(), n == 19).unwrap();
        }
        while let Some(piece) = down.data().await {
            let n = piece.unwrap().len();
            down.flow_control().release_capacity(n).unwrap();
        }
        send = send.ready().await.unwrap();
        let (_, mut post) =
            send.send_request(http::Request::post("http://example.test/").body(()).unwrap(), false).unwrap();
        post.send_data("begun".into(), false).unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        post.send_reset(::h2::Reason::CANCEL);
        drop(send);
        drop((post, up, down));
        driver.await.unwrap().unwrap();
    };
    tokio::task::LocalSet::new().run_until(async { tokio::join!(server, client) }).await;
}

async fn answer(request: http::Request<::h2::RecvStream>, mut respond: ::h2::server::SendResponse<bytes::Bytes>) {
    let connect = request.method() == http::Method::CONNECT;
    let post = request.method() == http::Method::POST;
    let mut body = request.into_body();
    if post {
        while let Some(Ok(_)) = body.data().await {}
        return;
    }
    let response = http::Response::builder().status(200).header("server", "test").header("x-long", "w".repeat(300));
    let mut send = respond.send_response(response.body(()).unwrap(), false).unwrap();
    if connect {
        let mut count = 0;
        while let Some(piece) = body.data().await {
            let n = piece.unwrap().len();
            body.flow_control().release_capacity(n).unwrap();
            count += n;
        }
        send.send_data(format!("down {count}").into_bytes().into(), true).unwrap();
        return;
    }
    send.send_data(vec![b'c'; 2_000].into(), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-end", "yes".parse().unwrap());
    send.send_trailers(trailers).unwrap();
}

fn recorded() -> Vec<(Direction, Vec<u8>)> {
    let tape = Tape::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(talk(tape.clone()));
    let mut all = tape.lock().unwrap();
    std::mem::take(&mut *all)
}

#[test]
fn what_the_h2_crate_says_to_itself_is_read_as_it_was_meant() {
    let tape = recorded();
    let run = split(&tape, || usize::MAX);
    assert!(run.log.of("fault").is_empty(), "{:#?}", run.log.of("fault"));
    let requests = run.log.of("request");
    assert_eq!(requests.len(), 62);
    for (n, request) in requests.iter().take(60).enumerate() {
        let id = 2 * n + 1;
        let fields = format!(
            "request {id} :method=GET :scheme=http :authority=example.test :path=/{n} \
             x-same=the same value every time x-other={n}-{} at",
            "v".repeat(n)
        );
        assert!(request.starts_with(&fields), "{request}");
        let response = run.log.of(&format!("response {id} "));
        assert_eq!(response.len(), 1);
        assert!(response[0].contains(&format!("server=test x-long={}", "w".repeat(300))), "{response:?}");
        assert_eq!(run.log.of(&format!("trailers {id} server x-end=yes")).len(), 1);
        let ended = format!("ended {id} EndStream {{ by: ServerToClient }} [0, 2000]");
        assert_eq!(run.log.of(&ended).len(), 1, "{:?}", run.log.of("ended"));
    }
    let connect = requests[60];
    for part in [":method=CONNECT", ":protocol=websocket", ":path=/chat?room=1", "sec-websocket-version=13"] {
        assert!(connect.contains(part), "{connect}");
    }
    let content =
        |word: &str| -> String { run.log.of(word).iter().filter_map(|line| line.splitn(5, ' ').nth(4)).collect() };
    assert_eq!(content("data 121 client"), (0..20).map(|n| format!("up {n};")).collect::<String>());
    let sent: usize = (0..20).map(|n| format!("up {n};").len()).sum();
    assert_eq!(content("data 121 server"), format!("down {sent}"));
    assert_eq!(run.log.of("ended 123 Reset { by: ClientToServer, code: Some(8) }").len(), 1);
    let facts = run.machine.facts();
    assert_eq!(facts.settings[1].enable_connect_protocol, Some(1));
    assert_eq!(facts.settings[1].initial_window_size, Some(1_000));
    assert!(run.log.of("stalled").is_empty());
}

#[test]
fn real_traffic_gives_the_same_events_however_it_is_cut() {
    let tape = recorded();
    let whole = split(&tape, || usize::MAX);
    for seed in 1..20_usize {
        let mut n = seed;
        let cut = split(&tape, || {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (n >> 33) % (seed * seed) + 1
        });
        assert_eq!(whole.log.lines, cut.log.lines);
    }
}

#[test]
fn who_joins_real_traffic_late_makes_nothing_up() {
    let tape = recorded();
    let whole = split(&tape, || usize::MAX);
    let client: Vec<u8> = tape.iter().filter(|(from, _)| *from == C).flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut found = 0;
    for from in (100..client.len()).step_by(97) {
        let mut run = Run::new(Http2::midstream());
        run.at[0] = from as u64;
        run.push(C, &client[from..]).close(C, CloseHow::CaptureEnd);
        for line in run.log.of("request") {
            let id = line.split(' ').nth(1).unwrap();
            let truth = whole.log.of(&format!("request {id} "));
            let words = line.split(' ').skip(2).take_while(|word| *word != "at");
            for word in words.filter(|word| !word.starts_with(['?', '~'])) {
                assert!(truth.iter().any(|line| line.split(' ').any(|w| w == word)), "{word}: {line}");
                found += usize::from(word.starts_with(":path="));
            }
        }
    }
    assert!(found > 10, "{found}");
}
