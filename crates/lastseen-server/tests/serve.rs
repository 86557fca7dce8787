//! `lastseen serve` as a process: its first lines, its end, and who may have a database.

mod support;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use support::{Answer, PASSWORD, Server, add_account, assert_fails, lastseen, run, stdout};

#[test]
fn an_empty_directory_is_all_it_needs_and_the_second_line_is_the_set_up_link() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let line = server.line();
    let link = line.strip_prefix("set-up: ").unwrap();
    let path = link
        .strip_prefix(&format!("http://{}", server.address))
        .unwrap();
    assert_eq!(server.get(path).status, 200);
    assert_eq!(server.get("/livez").body, "ok");
    assert_eq!(server.get("/readyz").body, "ok");
    assert!(directory.path().join("lastseen.db").exists());
    assert!(server.printed_no_more());
    assert!(!server.log().contains(path), "the link is a secret");
}

#[test]
fn the_set_up_link_is_under_the_public_url() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(
        directory.path(),
        &["--public-url", "https://sessions.example"],
    );
    assert!(
        server
            .line()
            .starts_with("set-up: https://sessions.example/")
    );
}

#[test]
fn with_an_account_there_is_no_set_up_link() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    let server = Server::start(directory.path(), &[]);
    assert_eq!(server.get("/livez").status, 200);
    assert!(server.printed_no_more());
}

#[test]
fn no_command_is_serve() {
    let directory = tempfile::tempdir().unwrap();
    let command = lastseen(directory.path(), &["--listen", "127.0.0.1:0"]);
    let server = Server::of(command, directory.path());
    assert_eq!(server.get("/livez").status, 200);
}

#[test]
fn the_start_page_leads_to_the_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let answer = server.get("/");
    assert_eq!(answer.status, 303);
    assert!(
        answer.head.contains("\r\nlocation: /sessions\r\n"),
        "{}",
        answer.head
    );
}

#[test]
fn a_second_server_on_the_same_file_is_refused_with_a_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(directory.path().join("lastseen.db"), &link).unwrap();
    let database = format!("sqlite:{}", link.display());
    let output = run(
        directory.path(),
        &["serve", "--listen", "127.0.0.1:0", "--database", &database],
    );
    let line = assert_fails(&output, 1);
    assert!(
        line.contains("in use by another lastseen process"),
        "{line}"
    );
    assert_eq!(server.get("/livez").status, 200);
}

#[test]
fn a_port_that_is_taken_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let output = run(
        directory.path(),
        &["serve", "--log-level", "error", "--listen", &address],
    );
    let line = assert_fails(&output, 1);
    assert!(
        line.contains("address already in use") && line.contains(&address),
        "{line}"
    );
}

#[test]
fn sigterm_lets_a_request_under_way_finish_and_leaves_a_connection_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    let server = Server::start(directory.path(), &[]);
    let address = server.address;
    let body = serde_json::json!({"username": "ada", "password": PASSWORD}).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /api/v1/sign-in HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut under_way = server.connect();
    under_way
        .write_all(format!("{head}{first}").as_bytes())
        .unwrap();
    let mut hanging = server.connect();
    hanging
        .write_all(format!("{head}{first}").as_bytes())
        .unwrap();
    let mut idle = server.connect();
    // Whoever was answered on another connection knows that both heads have been read.
    assert_eq!(server.get("/livez").status, 200);

    let stopping = std::thread::spawn(move || server.stop());
    // An idle connection is closed at once, which shows that the server has begun to stop.
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "no new connections"
    );
    under_way.write_all(second.as_bytes()).unwrap();
    assert_eq!(Answer::read(under_way).status, 201);

    let (status, took) = stopping.join().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn sigterm_writes_the_last_uses_and_leaves_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    let server = Server::start(directory.path(), &["--touch-interval", "1d"]);
    let token = server.sign_in("ada", PASSWORD);
    let used = server.session(&token).json()["last_updated"].clone();
    assert!(directory.path().join("lastseen.db.sock").exists());
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!directory.path().join("lastseen.db.sock").exists());
    let listed = run(directory.path(), &["sessions", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&stdout(&listed)).unwrap();
    assert_eq!(listed[0]["last_updated"], used);
}

#[test]
fn sigint_stops_it_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_plain_public_url_is_warned_of_loudly() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(
        directory.path(),
        &["--public-url", "http://sessions.example"],
    );
    assert_eq!(server.get("/livez").status, 200);
    server.signal("TERM");
    let mut server = server;
    server.wait();
    assert!(
        server.log().contains("WILL CROSS THE NETWORK UNENCRYPTED"),
        "{}",
        server.log()
    );
}

#[test]
fn the_log_has_a_line_a_request_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    let mut server = Server::start(
        directory.path(),
        &["--log-format", "json", "--log-level", "trace"],
    );
    let token = server.sign_in("ada", PASSWORD);
    let answer = server.session(&token);
    server.get(&format!("/no/such/address?secret={token}"));
    server.signal("TERM");
    server.wait();
    let log = server.log();
    for secret in [&token, PASSWORD, "argon2"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let requests: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1]["route"], "/api/v1/session");
    assert_eq!(requests[1]["status"], 200);
    assert_eq!(requests[1]["session"], answer.json()["id"]);
    let id = requests[1]["id"].as_str().unwrap();
    assert!(
        answer.head.contains(&format!("x-request-id: {id}")),
        "{}",
        answer.head
    );
    assert_eq!(requests[2]["route"], "none");
}

#[test]
fn metrics_have_a_listener_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    // Which port is free is asked of the system; nobody else asks for it in this moment.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut server = Server::start(directory.path(), &["--metrics-listen", &free.to_string()]);
    let token = server.sign_in("ada", PASSWORD);
    assert_eq!(server.session(&token).status, 200);
    assert_eq!(server.session("lss_nothing").status, 401);
    let body = serde_json::json!({"username": "ada", "password": "wrong"}).to_string();
    server.request(
        "POST",
        "/api/v1/sign-in",
        &[("content-type", "application/json")],
        &body,
    );
    assert_eq!(server.get("/metrics").status, 404);
    let public = std::mem::replace(&mut server.address, free);
    let metrics = server.get("/metrics").body;
    server.address = public;
    for line in [
        "lastseen_http_requests_total{method=\"GET\",route=\"/api/v1/session\",status=\"200\"} 1",
        "lastseen_validations_total{verdict=\"active\"} 1",
        "lastseen_validations_total{verdict=\"malformed\"} 1",
        "lastseen_sign_in_failures_total{reason=\"credentials\"} 1",
        "lastseen_sign_ins_total 1",
        "lastseen_sessions_created_total 1",
        "lastseen_terminations_total{kind=\"command\"} 0",
        "lastseen_cache_total{answer=\"hit\"}",
        "lastseen_write_batches_total",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
}
