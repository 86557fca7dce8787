//! Commands that are given up, and long answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use lastseen::{Account, AccountSource, NewSession, Visit};
use tokio::sync::mpsc;

use super::execute::execute;
use super::server::ControlSocket;
use super::*;
use crate::accounts::Password;
use crate::app::{self, Limits, Services};
use crate::config::{DatabaseLocation, Typed};
use crate::storage::{Role, Storage};

async fn services(directory: &Path) -> Services {
    let mut effective = Effective::work_out(Typed::default()).unwrap();
    effective.database = DatabaseLocation::Sqlite(directory.join("lastseen.db"));
    let storage = Storage::open(&effective, Role::Node).await.unwrap();
    app::open(storage, &effective, Limits::OfSettings)
        .await
        .unwrap()
}

async fn answers(request: Request, services: &Services) -> Vec<Response> {
    let (rows, mut answers) = mpsc::channel(1);
    tokio::spawn(execute(request, services.clone(), rows));
    let mut all = Vec::new();
    while let Some(answer) = answers.recv().await {
        all.push(answer);
    }
    all
}

/// Lets everything that is ready run.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A command's end of the socket, without the program's manners.
fn connect(services: &Services) -> UnixStream {
    let mut path = services
        .storage
        .owned_file()
        .unwrap()
        .as_os_str()
        .to_owned();
    path.push(".sock");
    UnixStream::connect(path).unwrap()
}

fn request(request: &Request) -> Vec<u8> {
    let mut line = serde_json::to_vec(request).unwrap();
    line.push(b'\n');
    line
}

fn add_ada() -> Request {
    let password = message::Password::new("violet otter chess 47");
    Request::AddAccount {
        name: "ada".to_owned(),
        password,
    }
}

// These tests run on one thread: while a test does not wait, the server's end does not move, as if it were frozen.

#[tokio::test]
async fn a_request_that_was_given_up_before_it_was_read_is_not_carried_out() {
    let directory = tempfile::tempdir().unwrap();
    let services = services(directory.path()).await;
    let socket = ControlSocket::listen(services.storage.owned_file().unwrap()).unwrap();
    let serving = tokio::spawn(socket.serve(services.clone()));
    let mut command = connect(&services);
    settle().await;
    let mut greeting = String::new();
    BufReader::new(command.try_clone().unwrap())
        .read_line(&mut greeting)
        .unwrap();
    assert!(greeting.contains("\"protocol\":1"), "{greeting}");
    command.write_all(&request(&add_ada())).unwrap();
    drop(command);
    settle().await;
    assert_eq!(services.accounts.count().await.unwrap(), 0);
    serving.abort();
}

#[tokio::test]
async fn a_command_that_waits_is_carried_out_and_answered() {
    let directory = tempfile::tempdir().unwrap();
    let services = services(directory.path()).await;
    let socket = ControlSocket::listen(services.storage.owned_file().unwrap()).unwrap();
    let serving = tokio::spawn(socket.serve(services.clone()));
    let mut command = connect(&services);
    command.write_all(&request(&add_ada())).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        command.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(answer.await.unwrap().contains("account ada added"));
    assert_eq!(services.accounts.count().await.unwrap(), 1);
    serving.abort();
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let services = services(directory.path()).await;
    let socket = ControlSocket::listen(services.storage.owned_file().unwrap()).unwrap();
    let serving = tokio::spawn(socket.serve(services.clone()));
    for line in [
        &b"nonsense\n"[..],
        b"{\"request\":\"dance\"}\n",
        b"\xff\n",
        b"\n",
    ] {
        let mut command = connect(&services);
        command.write_all(line).unwrap();
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            command.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        assert!(
            answer.lines().nth(1).unwrap().contains("refused"),
            "{answer}"
        );
    }
    serving.abort();
}

#[tokio::test]
async fn the_socket_goes_when_its_owner_stops() {
    let directory = tempfile::tempdir().unwrap();
    let services = services(directory.path()).await;
    let socket = ControlSocket::listen(services.storage.owned_file().unwrap()).unwrap();
    let serving = tokio::spawn(socket.serve(services.clone()));
    settle().await;
    serving.abort();
    _ = serving.await;
    assert!(!directory.path().join("lastseen.db.sock").exists());
}

#[tokio::test]
async fn a_list_of_more_sessions_than_a_step_has_each_of_them_once() {
    const SESSIONS: usize = 616;
    let directory = tempfile::tempdir().unwrap();
    let services = services(directory.path()).await;
    let password = Password::new("violet otter chess 47");
    let ada = services.accounts.add("ada", &password).await.unwrap();
    let ada = Arc::new(Account::new(AccountSource::BuiltIn, ada.id, "ada"));
    let other = lastseen::AccountId::new("other").unwrap();
    let other = Arc::new(Account::new(AccountSource::BuiltIn, other, "other"));
    // More than one account, so that neither hits the limit of one.
    for number in 0..SESSIONS {
        let account = if number % 2 == 0 { &ada } else { &other };
        let ip_address = Some(
            if number % 4 == 0 { "192.0.2.1" } else { "::1" }
                .parse()
                .unwrap(),
        );
        let visit = Visit {
            ip_address,
            ..Visit::default()
        };
        let new = NewSession {
            account,
            remembered: false,
            visit,
            replaces: None,
        };
        let now = services.clock.now();
        services
            .sessions
            .create(new, now, services.entropy.as_ref())
            .await
            .unwrap();
    }
    for (account, network, expected) in [
        (None, None, SESSIONS),
        (Some("ada"), None, SESSIONS / 2),
        (None, Some("192.0.2.0/24"), SESSIONS.div_ceil(4)),
        (
            Some("ada"),
            Some("::/0"),
            SESSIONS / 2 - SESSIONS.div_ceil(4),
        ),
    ] {
        let request = Request::ListSessions {
            account: account.map(str::to_owned),
            network: network.map(|network| network.parse().unwrap()),
        };
        let mut ids = std::collections::HashSet::new();
        let answers = answers(request, &services).await;
        for answer in &answers {
            if let Response::Session { session } = answer {
                let session: serde_json::Value = serde_json::from_str(session.get()).unwrap();
                assert!(ids.insert(session["id"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(ids.len(), expected, "{account:?} {network:?}");
        assert!(matches!(
            answers.last(),
            Some(Response::Done { line: None })
        ));
    }
}

#[test]
fn a_password_on_its_way_cannot_be_printed() {
    assert!(!format!("{:?}", add_ada()).contains("otter"));
}
