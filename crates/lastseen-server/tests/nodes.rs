//! Several servers over one PostgreSQL, as processes, and the commands beside them.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on stops; processes are timed by the clock on the wall"
)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use lastseen_postgres::testing::{Cluster, TestDatabase};
use support::{
    Answer, PASSWORD, Server, assert_fails, lastseen, run, run_with_input, stderr, stdout,
};
use tempfile::TempDir;

/// What needs the database is answered within this, whatever the database does: the contract's.
const LONGEST: Duration = Duration::from_secs(5);

/// A database and a folder to run servers and commands in.
struct Ground<'cluster> {
    database: TestDatabase<'cluster>,
    folder: TempDir,
}

impl<'cluster> Ground<'cluster> {
    fn of(database: TestDatabase<'cluster>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { database, folder }
    }

    fn shared() -> Ground<'static> {
        Ground::of(Cluster::shared().database())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn node(&self, name: &str) -> Server {
        let url = self.database.url();
        let node = Server::start(self.path(), &["--database", &url, "--node-name", name]);
        // It answers at once, and soon from memory.
        let begun = Instant::now();
        while !self.leased().iter().any(|leased| leased == name) {
            assert!(begun.elapsed() < support::PATIENCE, "{}", node.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        node
    }

    fn command(&self, arguments: &[&str]) -> std::process::Output {
        let url = self.database.url();
        let mut all = vec!["--database", &url];
        all.extend(arguments);
        run(self.path(), &all)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    }

    fn add_account(&self, name: &str) {
        let url = self.database.url();
        let arguments = [
            "--database",
            &url,
            "account",
            "add",
            name,
            "--password-stdin",
        ];
        let output = run_with_input(self.path(), &arguments, PASSWORD.as_bytes());
        assert!(output.status.success(), "{}", stderr(&output));
    }

    fn nodes(&self) -> Vec<serde_json::Value> {
        let text = self.done(&["nodes", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn leased(&self) -> Vec<String> {
        let nodes = self.nodes();
        let leased = nodes.iter().filter(|node| node["status"] == "leased");
        leased
            .map(|node| node["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn id_of(server: &Server, token: &str) -> String {
    let session = server.session(token);
    assert_eq!(session.status, 200, "{}", session.body);
    session.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_ended_at_one_node_is_refused_by_the_other_from_then_on() {
    let ground = Ground::shared();
    let (one, two) = (ground.node("one"), ground.node("two"));
    ground.add_account("ada");
    for _ in 0..20 {
        let token = one.sign_in("ada", PASSWORD);
        let id = id_of(&two, &token);
        // Both answer from memory now.
        for server in [&one, &two, &one, &two] {
            assert_eq!(server.session(&token).status, 200);
        }
        let path = format!("/api/v1/sessions/{id}");
        let headers = [("authorization", bearer(&token))];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        assert_eq!(one.request("DELETE", &path, &headers, "").status, 204);
        assert_eq!(two.session(&token).status, 401);
        assert_eq!(one.session(&token).status, 401);
    }
}

#[test]
fn commands_go_to_the_database_and_every_node_obeys_them() {
    let ground = Ground::shared();
    let (one, two) = (ground.node("one"), ground.node("two"));
    ground.add_account("ada");
    let token = one.sign_in("ada", PASSWORD);
    let id = id_of(&two, &token);
    assert!(ground.done(&["sessions", "list"]).contains(&id));
    let said = ground.done(&["sessions", "terminate", &id]);
    assert_eq!(said, "1 session terminated\n");
    for server in [&one, &two] {
        assert_eq!(server.session(&token).status, 401);
    }

    let token = two.sign_in("ada", PASSWORD);
    assert_eq!(one.session(&token).status, 200);
    ground.done(&["account", "disable", "ada"]);
    for server in [&one, &two] {
        assert_eq!(server.session(&token).status, 401);
    }

    // A key counts at every node once it is told, and at none once it is removed.
    let key = ground.done(&["application", "add", "Shop"]);
    let key = bearer(key.trim_end());
    let headers = [("authorization", key.as_str())];
    let ask = |server: &Server| {
        let path = "/api/v1/accounts/bob/sessions";
        server.request("GET", path, &headers, "").status
    };
    for server in [&one, &two, &one, &two] {
        assert_eq!(ask(server), 200);
    }
    ground.done(&["application", "remove", "Shop"]);
    for server in [&one, &two] {
        assert_eq!(ask(server), 401);
    }
}

#[test]
fn a_node_is_listed_while_it_runs_and_gone_when_it_has_stopped() {
    let ground = Ground::shared();
    let (one, two) = (ground.node("one"), ground.node("two"));
    let mut leased = ground.leased();
    leased.sort_unstable();
    assert_eq!(leased, ["one", "two"]);
    let text = ground.done(&["nodes"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(two.stop().0.success());
    assert_eq!(ground.leased(), ["one"]);
    assert_eq!(ground.nodes().len(), 1);
    drop(one);
    // Over a file there is one process and no node.
    assert_fails(&run(ground.path(), &["nodes"]), 1);
}

#[test]
fn a_node_that_was_killed_holds_one_termination_up_and_not_the_next() {
    let ground = Ground::shared();
    let (one, two) = (ground.node("one"), ground.node("two"));
    ground.add_account("ada");
    let terminate = |token: &str| {
        let headers = [("authorization", bearer(token))];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let begun = Instant::now();
        let answer = one.request("POST", "/api/v1/sign-out", &headers, "");
        assert_eq!(answer.status, 204, "{}", answer.body);
        begun.elapsed()
    };
    let tokens = [(); 3].map(|()| one.sign_in("ada", PASSWORD));
    two.kill();
    let held_up = terminate(&tokens[0]);
    assert!(held_up < Duration::from_secs(3), "{held_up:?}");
    // The first has seen to it that nobody waits again; a machine that is busy gets two tries.
    let next = terminate(&tokens[1]).min(terminate(&tokens[2]));
    assert!(next < Duration::from_millis(700), "{next:?}");
    assert_eq!(ground.leased(), ["one"]);
}

#[test]
fn the_set_up_link_of_each_node_works_at_the_others() {
    let ground = Ground::shared();
    let (one, two) = (ground.node("one"), ground.node("two"));
    let path = |server: &Server| {
        let line = server.line();
        let link = line.strip_prefix("set-up: ").unwrap().to_owned();
        link.split_once("/set-up/").unwrap().1.to_owned()
    };
    let (of_one, of_two) = (path(&one), path(&two));
    for (server, secret) in [(&one, &of_two), (&two, &of_one)] {
        assert_eq!(server.get(&format!("/set-up/{secret}")).status, 200);
    }
    ground.add_account("ada");
    for (server, secret) in [(&one, &of_two), (&two, &of_one)] {
        assert_ne!(server.get(&format!("/set-up/{secret}")).status, 200);
    }
    let three = ground.node("three");
    assert!(three.printed_no_more());
}

/// A request: method, path, headers and body.
type Asked = (&'static str, String, Vec<(&'static str, String)>, String);

/// What is done to a database.
type Done = fn(&Cluster);

/// Every path that needs the database, with what it needs to come that far.
fn asked<'a>(token: &'a str, key: &'a str, id: &str) -> Vec<Asked> {
    let json = || ("content-type", "application/json".to_owned());
    let form = || {
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        )
    };
    let as_person = || ("authorization", bearer(token));
    let as_program = || ("authorization", bearer(key));
    let cookie = || ("cookie", format!("lastseen={token}"));
    let credentials = format!(r#"{{"username":"ada","password":"{PASSWORD}"}}"#);
    let passwords =
        format!(r#"{{"current_password":"{PASSWORD}","new_password":"four grey herons at dusk"}}"#);
    let ids = format!(r#"{{"ids":["{id}"]}}"#);
    let of_account = "/api/v1/accounts/bob/sessions".to_owned();
    let get = |path: &str, headers| ("GET", path.to_owned(), headers, String::new());
    let post =
        |path: &str, headers, body: &str| ("POST", path.to_owned(), headers, body.to_owned());
    vec![
        get("/readyz", vec![]),
        get("/api/v1/session", vec![as_person()]),
        get("/api/v1/sessions", vec![as_person()]),
        get("/sessions", vec![cookie()]),
        get("/auth-request", vec![cookie()]),
        get("/forward-auth", vec![as_person()]),
        post("/api/v1/sign-in", vec![json()], &credentials),
        post("/api/v1/sign-out", vec![as_person()], ""),
        post("/api/v1/password", vec![as_person(), json()], &passwords),
        post(
            "/api/v1/sessions/terminate",
            vec![as_person(), json()],
            &ids,
        ),
        post("/api/v1/sessions/terminate-others", vec![as_person()], ""),
        (
            "DELETE",
            format!("/api/v1/sessions/{id}"),
            vec![as_person()],
            String::new(),
        ),
        post(&of_account, vec![as_program(), json()], "{}"),
        get(&of_account, vec![as_program()]),
        post(&format!("{of_account}/{id}/link"), vec![as_program()], ""),
        post(
            "/api/v1/introspect",
            vec![as_program(), form()],
            &format!("token={token}"),
        ),
        post(
            "/api/v1/revoke",
            vec![as_program(), form()],
            &format!("token={token}"),
        ),
    ]
}

/// Asks everything at once; nothing may be a yes, and nothing may take long.
fn assert_nothing_is_answered(server: &Server, token: &str, key: &str, id: &str) {
    let address = server.address;
    std::thread::scope(|scope| {
        for (method, path, headers, body) in asked(token, key, id) {
            scope.spawn(move || {
                let headers: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                let begun = Instant::now();
                let answer: Answer = support::request(address, method, &path, &headers, &body);
                let taken = begun.elapsed();
                assert_eq!(answer.status, 503, "{method} {path}: {}", answer.body);
                assert!(taken < LONGEST, "{method} {path}: {taken:?}");
            });
        }
    });
}

#[test]
fn without_its_database_a_node_answers_503_within_five_seconds_on_every_path_and_recovers() {
    let cluster = Cluster::start(&["fsync=off"]);
    let ground = Ground::of(cluster.new_database());
    let one = ground.node("one");
    ground.add_account("ada");
    let token = one.sign_in("ada", PASSWORD);
    let id = id_of(&one, &token);
    let key = ground.done(&["application", "add", "Shop"]);
    let key = key.trim_end();
    // Stopped, so that connections are refused; and held still, so that nothing answers.
    let ways: [(Done, Done); 2] = [
        (Cluster::stop, Cluster::start_again),
        (Cluster::pause, Cluster::resume),
    ];
    for (take_away, give_back) in ways {
        take_away(&cluster);
        // The lease runs out.
        let begun = Instant::now();
        while one.session(&token).status != 503 {
            assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
        }
        assert_nothing_is_answered(&one, &token, key, &id);
        let begun = Instant::now();
        let failed = ground.command(&["sessions", "list"]);
        assert_fails(&failed, 1);
        assert!(begun.elapsed() < 2 * LONGEST, "{:?}", begun.elapsed());
        assert_eq!(one.get("/livez").status, 200);
        give_back(&cluster);
        let begun = Instant::now();
        while one.get("/readyz").status != 200 {
            assert!(begun.elapsed() < support::PATIENCE);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(one.session(&token).status, 200);
    }
}

#[test]
fn a_grown_file_moves_to_postgresql_and_everybody_stays_signed_in() {
    let ground = Ground::shared();
    let folder = tempfile::tempdir().unwrap();
    support::add_account(folder.path(), "ada");
    let file = Server::start(folder.path(), &[]);
    let token = file.sign_in("ada", PASSWORD);
    let ended = file.sign_in("ada", PASSWORD);
    let headers = [("authorization", bearer(&ended))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    assert_eq!(
        file.request("POST", "/api/v1/sign-out", &headers, "")
            .status,
        204
    );

    let url = ground.database.url();
    let migrate = ["migrate-store", "sqlite:lastseen.db", &url];
    // A server has it open.
    let line = assert_fails(&run(folder.path(), &migrate), 1);
    assert!(line.contains("in use"), "{line}");
    assert!(file.stop().0.success());
    let missing = ["migrate-store", "sqlite:another.db", &url];
    assert_fails(&run(folder.path(), &missing), 1);
    assert!(!folder.path().join("another.db").exists());

    let moved = run(folder.path(), &migrate);
    assert!(moved.status.success(), "{}", stderr(&moved));
    let said = stdout(&moved);
    assert!(
        said.starts_with("1 account, 0 applications and 2 sessions copied to "),
        "{said}"
    );
    let again = assert_fails(&run(folder.path(), &migrate), 1);
    assert!(again.contains("nothing was copied"), "{again}");

    let (one, two) = (ground.node("one"), ground.node("two"));
    for server in [&one, &two] {
        assert_eq!(server.session(&token).status, 200);
        assert_eq!(server.session(&ended).status, 401);
    }
    // And back, once no node works with it any more.
    let back = ["migrate-store", &url, "sqlite:back.db"];
    let line = assert_fails(&run(folder.path(), &back), 1);
    assert!(line.contains("the node "), "{line}");
    assert!(one.stop().0.success() && two.stop().0.success());
    let moved = run(folder.path(), &back);
    assert!(moved.status.success(), "{}", stderr(&moved));
    let file = Server::start(folder.path(), &["--database", "sqlite:back.db"]);
    assert_eq!(file.session(&token).status, 200);
    assert_eq!(file.session(&ended).status, 401);
}

#[test]
fn no_password_of_the_database_is_told_when_it_cannot_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let url = "postgres://lastseen:s3cret@127.0.0.1:1/lastseen";
    for arguments in [&["serve"][..], &["sessions", "list"], &["nodes"]] {
        let mut command = lastseen(folder.path(), arguments);
        let output = command.env("LASTSEEN_DATABASE", url).output().unwrap();
        let line = assert_fails(&output, 1);
        assert!(
            line.contains("127.0.0.1:1") && !line.contains("s3cret"),
            "{line}"
        );
    }
}
