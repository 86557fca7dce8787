//! PgBouncer in between, which gives each transaction whatever connection is free.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lastseen::Store;
use lastseen::conformance::people::{Dice, MORNING, person, policy, record};
use lastseen::session::{EndedBy, Ending};
use lastseen::store::{End, Ended, Inserted};
use lastseen_postgres::testing::{Cluster, TestDatabase};
use lastseen_postgres::{Address, Database, Options, PostgresStore};
use tempfile::TempDir;

/// Where Debian keeps it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A PgBouncer in front of one database, with two connections to it; ended when this is dropped.
struct Bouncer {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Bouncer {
    fn before(cluster: &Cluster, place: &TestDatabase<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("the loopback has a free port")
            .port();
        let settings = format!(
            "[databases]
             {name} = host=127.0.0.1 port={server} dbname={name} user=lastseen
             [pgbouncer]
             listen_addr = 127.0.0.1
             listen_port = {port}
             unix_socket_dir =
             auth_type = any
             pool_mode = transaction
             default_pool_size = 2
             ",
            name = place.name(),
            server = cluster.port(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("the folder can be written");
        // It refuses to be root; then it becomes Debian's user for PostgreSQL, who has to be able to read this.
        let is_root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|output| output.stdout == b"0\n");
        let mut command = if is_root {
            let opened = Command::new("chmod")
                .arg("755")
                .arg(folder.path())
                .status()
                .expect("chmod is there");
            assert!(opened.success());
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--clear-groups",
            ]);
            command.args(["--pdeathsig", "KILL", "--", PROGRAM]);
            command
        } else {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--", PROGRAM]);
            command
        };
        let process = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("PgBouncer can be started");
        let mut bouncer = Self {
            process,
            port,
            _folder: folder,
        };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = bouncer.process.try_wait().expect("it is our child");
            assert!(ended.is_none(), "PgBouncer does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        bouncer
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // It has nothing to put in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_the_store_works_through_a_pgbouncer_that_shares_connections() {
    let cluster = Cluster::shared();
    let place = cluster.database();
    let bouncer = Bouncer::before(cluster, &place);
    let url = place
        .url()
        .replace(&cluster.port().to_string(), &bouncer.port.to_string());
    let options = Options {
        // More than it has, so that connections do change hands.
        connections: 8,
        ..Options::new(Address::parse(&url).unwrap())
    };
    let database = Database::open(options, &[PostgresStore::MIGRATIONS])
        .await
        .unwrap();
    let store = Arc::new(PostgresStore::new(database));
    store.open(Some(&policy()), MORNING).await.unwrap();
    let dice = Arc::new(Dice::default());
    let people = (0..16).map(|number| {
        let (store, dice) = (Arc::clone(&store), Arc::clone(&dice));
        tokio::spawn(async move {
            let somebody = person(["ada", "bob", "eve"][number % 3]);
            for _ in 0..10 {
                let session = record(&somebody, MORNING, &dice);
                let id = session.id;
                let inserted = store.insert(session, None).await.unwrap();
                assert_eq!(inserted, Inserted::Done);
                assert!(store.find(id).await.unwrap().is_some());
                assert!(!store.list(&somebody.key).await.unwrap().is_empty());
                let end = End {
                    id,
                    ending: Ending {
                        at: MORNING,
                        by: EndedBy::Command,
                        left_list_at: MORNING,
                    },
                    last_use: None,
                };
                let ended = store.end(Some(somebody.key.clone()), vec![end]).await;
                assert_eq!(ended.unwrap(), Ended::Done(vec![id]));
            }
        })
    });
    for somebody in people.collect::<Vec<_>>() {
        somebody.await.unwrap();
    }
    store.check().await.unwrap();
    let connections = place.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert_eq!(connections, "2", "they were shared");
    // Nothing of ours stays on a connection for the next one.
    let other = Address::parse(&url).unwrap();
    let (client, stream) = other.connect().await.unwrap();
    tokio::spawn(stream);
    let rows = client
        .query_typed("SELECT current_setting('statement_timeout'), coalesce(current_setting('lastseen.origin', true), '')", &[])
        .await
        .unwrap();
    assert_eq!((rows[0].get(0), rows[0].get(1)), ("0", ""));
}
