//! Many, slow and broken connections.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on stops; processes are timed by the clock on the wall"
)]

mod support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use support::{Answer, Server};

/// Idle connections and ones that have sent half a head.
fn crowd(server: &Server, number: usize) -> Vec<std::net::TcpStream> {
    (0..number)
        .map(|place| {
            let mut stream = server.connect();
            if place % 2 == 0 {
                stream
                    .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ")
                    .unwrap();
            }
            stream
        })
        .collect()
}

#[test]
fn a_thousand_idle_or_slow_connections_do_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let _crowd = crowd(&server, 1_000);
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get("/readyz").status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn where_there_is_no_room_the_connection_that_was_idle_for_longest_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--max-connections", "32"]);
    let _crowd = crowd(&server, 200);
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get("/readyz").status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_head_that_cannot_be_read_is_a_problem_document_with_the_headers_of_every_answer() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(150));
    let large = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    for (head, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n", 400),
        (
            "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            400,
        ),
        ("GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
        (
            "GET /livez HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n",
            400,
        ),
        (many.as_str(), 431),
        (large.as_str(), 431),
    ] {
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let answer = Answer::read(stream);
        assert_eq!(answer.status, status, "{head}");
        assert_eq!(answer.json()["status"], status);
        for header in [
            "content-type: application/problem+json",
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: ",
            "cache-control: no-store",
        ] {
            assert!(
                answer.head.contains(header),
                "{head}: {header} is not in {}",
                answer.head
            );
        }
    }
}
