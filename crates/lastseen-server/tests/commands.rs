//! Commands beside a running server, and alone.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on stops; processes are timed by the clock on the wall"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use support::{PASSWORD, Server, add_account, assert_fails, run, run_with_input, stderr, stdout};

/// A server with one account.
fn server(directory: &Path) -> Server {
    add_account(directory, "ada");
    Server::start(directory, &[])
}

fn id_of(server: &Server, token: &str) -> String {
    server.session(token).json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_session_ended_by_command_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let (one, other) = (
        server.sign_in("ada", PASSWORD),
        server.sign_in("ada", PASSWORD),
    );
    let output = run(
        directory.path(),
        &["sessions", "terminate", &id_of(&server, &one)],
    );
    assert_eq!(stdout(&output), "1 session terminated\n");
    assert_eq!(server.session(&one).status, 401);
    assert_eq!(server.session(&other).status, 200);
}

#[test]
fn every_session_of_an_account_or_of_all_ends_by_command() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    add_account(directory.path(), "grace");
    let (ada, grace) = (
        server.sign_in("ada", PASSWORD),
        server.sign_in("grace", PASSWORD),
    );
    let output = run(
        directory.path(),
        &["sessions", "terminate", "--account", "ada", "--yes"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(server.session(&ada).status, 401);
    assert_eq!(server.session(&grace).status, 200);
    let output = run(
        directory.path(),
        &["sessions", "terminate", "--all", "--yes"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(server.session(&grace).status, 401);
}

#[test]
fn where_nobody_can_be_asked_account_and_all_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    for arguments in [
        &["sessions", "terminate", "--account", "ada"][..],
        &["sessions", "terminate", "--all"],
    ] {
        let line = assert_fails(&run(directory.path(), arguments), 1);
        assert!(line.contains("--yes"), "{line}");
    }
    assert_eq!(server.session(&token).status, 200);
}

#[test]
fn ids_end_all_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    let id = id_of(&server, &token);
    for unknown in ["00000000000000000000000000", "nonsense", "\u{1b}[31m"] {
        let line = assert_fails(
            &run(directory.path(), &["sessions", "terminate", &id, unknown]),
            1,
        );
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    assert_eq!(server.session(&token).status, 200);
}

#[test]
fn disabling_an_account_ends_its_sessions_and_enabling_it_brings_none_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    let output = run(directory.path(), &["account", "disable", "ada"]);
    assert_eq!(
        stdout(&output),
        "account ada disabled; 1 session terminated\n"
    );
    assert_eq!(server.session(&token).status, 401);
    assert!(stdout(&run(directory.path(), &["account", "list"])).contains("disabled"));
    assert!(
        run(directory.path(), &["account", "enable", "ada"])
            .status
            .success()
    );
    assert_eq!(server.session(&token).status, 401);
    let token = server.sign_in("ada", PASSWORD);
    assert!(
        run(directory.path(), &["account", "remove", "ada"])
            .status
            .success()
    );
    assert_eq!(server.session(&token).status, 401);
    assert!(!stdout(&run(directory.path(), &["account", "list"])).contains("ada"));
}

#[test]
fn a_new_password_by_command_ends_the_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    let arguments = ["account", "password", "ada", "--password-stdin"];
    let output = run_with_input(directory.path(), &arguments, b"quiet marble fjord 12\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(server.session(&token).status, 401);
    server.sign_in("ada", "quiet marble fjord 12");
}

#[test]
fn a_password_keeps_all_but_one_trailing_line_feed() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["account", "add", "ada", "--password-stdin"];
    let output = run_with_input(directory.path(), &arguments, b"violet otter chess\n\n");
    assert!(output.status.success(), "{}", stderr(&output));
    let server = Server::start(directory.path(), &[]);
    server.sign_in("ada", "violet otter chess\n");
}

#[test]
fn what_cannot_be_done_is_one_line_and_status_1() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    let add = |name: &str, password: &[u8]| {
        run_with_input(
            directory.path(),
            &["account", "add", name, "--password-stdin"],
            password,
        )
    };
    assert_fails(&add("ada", PASSWORD.as_bytes()), 1);
    assert_fails(&add("grace", b"short"), 1);
    assert_fails(&add("grace", b"password123"), 1);
    assert_fails(&add("grace\u{7}", PASSWORD.as_bytes()), 1);
    assert_fails(&add("", PASSWORD.as_bytes()), 1);
    assert_fails(&add(&"a".repeat(129), PASSWORD.as_bytes()), 1);
    assert_fails(&run(directory.path(), &["account", "add", "grace"]), 1);
    assert_fails(&run(directory.path(), &["account", "disable", "nobody"]), 1);
    assert_fails(
        &run(
            directory.path(),
            &["sessions", "list", "--account", "nobody"],
        ),
        1,
    );
}

#[test]
fn sessions_are_listed_as_json_in_the_form_of_the_http_interface_and_as_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    let mut of_http = server.session(&token).json();
    let listed = |arguments: &[&str]| -> serde_json::Value {
        let mut all = vec!["sessions", "list", "--json"];
        all.extend(arguments);
        serde_json::from_str(&stdout(&run(directory.path(), &all))).unwrap()
    };
    let mut of_command = listed(&[])[0].clone();
    of_http["current"] = false.into();
    for session in [&mut of_http, &mut of_command] {
        session["time_left_seconds"] = 0.into();
    }
    assert_eq!(of_command, of_http);
    assert_eq!(listed(&["--account", "ada"]).as_array().unwrap().len(), 1);
    assert_eq!(
        listed(&["--ip", "127.0.0.0/8"]).as_array().unwrap().len(),
        1
    );
    assert_eq!(listed(&["--ip", "127.0.0.1"]).as_array().unwrap().len(), 1);
    assert_eq!(listed(&["--ip", "10.0.0.0/8"]), serde_json::json!([]));
    let table = stdout(&run(directory.path(), &["sessions", "list"]));
    assert!(table.starts_with("ID"), "{table}");
    assert!(
        table.contains("ada") && table.contains("127.0.0.1"),
        "{table}"
    );
}

#[test]
fn commands_work_without_a_server_and_do_not_change_its_limits() {
    let directory = tempfile::tempdir().unwrap();
    add_account(directory.path(), "ada");
    let arguments = ["--idle-timeout", "100d", "--absolute-lifetime", "100d"];
    let server = Server::start(directory.path(), &arguments);
    let token = server.sign_in("ada", PASSWORD);
    let before = server.session(&token).json()["expires_at"].clone();
    server.stop();
    // With the usual limits, which are tighter.
    assert!(stdout(&run(directory.path(), &["sessions", "list"])).contains("ada"));
    let server = Server::start(directory.path(), &arguments);
    let after = server.session(&token).json()["expires_at"].clone();
    assert!(after.as_str() >= before.as_str(), "{before} {after}");
}

#[test]
fn the_control_socket_is_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let _server = server(directory.path());
    let socket = std::fs::metadata(directory.path().join("lastseen.db.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_socket_that_a_killed_server_left_behind_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    server(directory.path()).kill();
    assert!(directory.path().join("lastseen.db.sock").exists());
    assert!(stdout(&run(directory.path(), &["account", "list"])).contains("ada"));
    let server = Server::start(directory.path(), &[]);
    assert!(stdout(&run(directory.path(), &["account", "list"])).contains("ada"));
    drop(server);
}

#[test]
fn a_frozen_server_makes_a_command_fail_and_does_not_carry_it_out_later() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    let id = id_of(&server, &token);
    server.signal("STOP");
    let begun = Instant::now();
    let output = run(directory.path(), &["sessions", "terminate", &id]);
    let took = begun.elapsed();
    server.signal("CONT");
    let line = assert_fails(&output, 1);
    assert!(
        line.contains("has not answered") && line.contains("nothing was done"),
        "{line}"
    );
    assert!(took < Duration::from_secs(12), "{took:?}");
    // A command that comes later is heard later: once it is answered, the earlier one has been dealt with.
    assert!(run(directory.path(), &["account", "list"]).status.success());
    assert_eq!(server.session(&token).status, 200);
}

#[test]
fn a_backup_is_made_while_the_server_runs_and_opens() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let token = server.sign_in("ada", PASSWORD);
    let output = run(directory.path(), &["backup", "copy.db"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_fails(&run(directory.path(), &["backup", "copy.db"]), 1);
    let mode = std::fs::metadata(directory.path().join("copy.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "others must not read it");
    let copy = Server::start(directory.path(), &["--database", "sqlite:copy.db"]);
    assert_eq!(copy.session(&token).status, 200);
    assert_eq!(server.session(&token).status, 200);
}

#[test]
fn a_file_that_is_no_database_and_a_directory_that_is_not_there_are_one_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("lastseen.db"), "no database").unwrap();
    let line = assert_fails(&run(directory.path(), &["account", "list"]), 1);
    assert!(line.contains("is not a database"), "{line}");
    let arguments = [
        "account",
        "list",
        "--database",
        "sqlite:nowhere/lastseen.db",
    ];
    let line = assert_fails(&run(directory.path(), &arguments), 1);
    assert!(line.contains("does not exist"), "{line}");
}
