//! Slow peers, on a clock that jumps to the next deadline when everybody waits.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use lastseen_axum::PublicUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::limits::{BODY_TIME, HEAD_TIME, IDLE_TIME};
use super::*;

/// More than the kernel keeps for a connection.
const LARGE: usize = 64 << 20;

/// A server for one test, on a free port, that is never asked to stop.
fn server() -> SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 64).unwrap();
    let address = listener.address();
    let router = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route(
            "/slow",
            get(|| async { sleep(Duration::from_secs(300)).await }),
        )
        .route("/large", get(|| async { "a".repeat(LARGE) }))
        .route("/echo", post(|body: Bytes| async { body }));
    let headers = SecurityHeaders::new(&PublicUrl::parse("http://localhost").unwrap());
    tokio::spawn(async move {
        listener
            .serve(router, &headers, std::future::pending())
            .await;
    });
    address
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the connection is closed, and how long that took.
async fn rest(mut stream: TcpStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    // A peer that was cut off may see a reset behind the answer.
    _ = stream.read_to_end(&mut bytes).await;
    (String::from_utf8(bytes).unwrap(), begun.elapsed())
}

/// The clock jumps while the kernel still carries a packet, so times are right to within a jump.
fn about(took: Duration, expected: Duration) -> bool {
    (expected..expected + Duration::from_secs(2)).contains(&took)
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_answered_408_when_its_time_is_over() {
    let stream = send(server(), "GET /ok HTTP/1.1\r\nhost: x\r\n").await;
    let (answer, took) = rest(stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(about(took, HEAD_TIME), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_wins_no_time() {
    let mut stream = send(server(), "GET /ok HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    let begun = Instant::now();
    while begun.elapsed() < 3 * HEAD_TIME {
        sleep(Duration::from_secs(1)).await;
        if stream.write_all(b"a").await.is_err() {
            break;
        }
    }
    assert!(begun.elapsed() < 2 * HEAD_TIME, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_without_a_word() {
    let (answer, took) = rest(send(server(), "").await).await;
    assert_eq!(answer, "");
    assert!(about(took, IDLE_TIME), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_the_next_request_and_then_closed() {
    let stream = send(server(), "GET /ok HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (answer, took) = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(about(took, IDLE_TIME), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345";
    let (answer, took) = rest(send(server(), head).await).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(about(took, BODY_TIME), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_of_its_answer_is_left() {
    let stream = send(server(), "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // Far beyond the time that it may take nothing; the clock jumps only while the server has nothing to do.
    sleep(10 * limits::WRITE_STALL_TIME).await;
    let (answer, _) = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.len() < LARGE, "{}", answer.len());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_served_for_long_is_not_given_up() {
    let head = "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (answer, took) = rest(send(server(), head).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(about(took, Duration::from_secs(300)), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn when_it_stops_an_answer_under_way_is_given_and_the_rest_is_left() {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 64).unwrap();
    let address = listener.address();
    let router = Router::new()
        .route(
            "/soon",
            get(|| async { sleep(Duration::from_secs(2)).await }),
        )
        .route(
            "/late",
            get(|| async { sleep(Duration::from_secs(300)).await }),
        );
    let headers = SecurityHeaders::new(&PublicUrl::parse("http://localhost").unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        listener
            .serve(router, &headers, async { _ = stopped.await })
            .await;
    });
    let soon = send(address, "GET /soon HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let late = send(address, "GET /late HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // Long enough for the heads to be read, whatever the clock does.
    sleep(Duration::from_secs(1)).await;
    stop.send(()).unwrap();
    let begun = Instant::now();
    assert!(rest(soon).await.0.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(rest(late).await.0, "");
    serving.await.unwrap();
    assert!(
        about(begun.elapsed(), limits::DRAIN_TIME),
        "{:?}",
        begun.elapsed()
    );
    assert!(TcpStream::connect(address).await.is_err());
}
