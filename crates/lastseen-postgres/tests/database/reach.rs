//! A database out of reach: every call ends in time, and all is well again when it is back.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lastseen::Unavailable;
use lastseen::conformance::people::{Dice, MORNING, person, policy, record};
use lastseen::session::{EndedBy, Ending};
use lastseen::store::{End, Origin, Store, Use};
use lastseen::token::SecretHash;
use lastseen_postgres::testing::Cluster;
use lastseen_postgres::{Address, Database, Error, Options, PostgresStore};
use tokio::time::timeout;

/// What the contract says.
const BOUND: Duration = Duration::from_secs(5);

/// Asks for everything at once, as requests do; each is [`Unavailable`] in time.
async fn nothing_works(store: &PostgresStore) {
    let dice = Dice::default();
    let ada = record(&person("ada"), MORNING, &dice);
    let (id, key) = (ada.id, ada.account.key.clone());
    let end = End {
        id,
        ending: Ending {
            at: MORNING,
            by: EndedBy::Command,
            left_list_at: MORNING,
        },
        last_use: None,
    };
    let used = Use {
        id,
        at: MORNING,
        origin: Origin {
            ip_address: None,
            device: Arc::default(),
        },
    };
    let hash = SecretHash::from_bytes([1; 32]);
    let other = record(&person("ada"), MORNING, &dice);
    let limits = policy();
    let calls: Vec<(&str, _)> = vec![
        ("open", asked(store.open(Some(&limits), MORNING))),
        ("policies", asked(store.policies())),
        ("insert", asked(store.insert(ada, None))),
        (
            "insert and end",
            asked(store.insert(other, Some(end.clone()))),
        ),
        ("find", asked(store.find(id))),
        ("list", asked(store.list(&key))),
        ("count", asked(store.count(&key))),
        ("name of", asked(store.name_of(&key))),
        ("walk", asked(store.walk(None, 10))),
        ("touch", asked(store.touch(vec![used; 2], MORNING))),
        ("record the time", asked(store.touch(Vec::new(), MORNING))),
        ("expire", asked(store.expire(vec![(id, MORNING)], MORNING))),
        ("end", asked(store.end(Some(key.clone()), vec![end]))),
        ("renew", asked(store.renew(id, hash, 1))),
        ("page token", asked(store.set_page_token(id, hash))),
        ("purge", asked(store.purge(vec![id]))),
        ("check", asked(store.check())),
    ];
    let answers = calls.into_iter().map(|(name, call)| async move {
        let answer = timeout(BOUND, call).await;
        assert_eq!(
            answer.map(|done| done.is_err()),
            Ok(true),
            "{name} was done, or took longer"
        );
    });
    futures_util::future::join_all(answers).await;
}

type Asked<'call> = std::pin::Pin<Box<dyn Future<Output = Result<(), Unavailable>> + Send + 'call>>;

fn asked<'call, Answer>(
    call: impl Future<Output = Result<Answer, Unavailable>> + Send + 'call,
) -> Asked<'call> {
    Box::pin(async move { call.await.map(|_| ()) })
}

async fn store_at(address: Address) -> PostgresStore {
    let options = Options {
        connections: 4,
        ..Options::new(address)
    };
    let opened = Database::open(options, &[PostgresStore::MIGRATIONS]).await;
    PostgresStore::new(opened.expect("a new database can be opened"))
}

/// Everything works again, in the time that a call has.
async fn all_is_well(store: &PostgresStore) {
    let again = async {
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, again)
        .await
        .expect("it comes back by itself");
    let ada = record(&person("ada"), MORNING, &Dice::default());
    let id = ada.id;
    store
        .insert(ada, None)
        .await
        .expect("it takes sign-ins again");
    assert!(store.find(id).await.expect("it answers").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_keeps_nobody_waiting_and_goes_on_where_it_was() {
    let cluster = Cluster::start(&[]);
    let place = cluster.new_database();
    let store = store_at(place.address()).await;
    cluster.pause();
    nothing_works(&store).await;
    // The pool has nothing left to give by now.
    nothing_works(&store).await;
    cluster.resume();
    all_is_well(&store).await;
    store.database().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_refuses_at_once_and_is_found_again_when_it_is_back() {
    let cluster = Cluster::start(&[]);
    let place = cluster.new_database();
    let store = store_at(place.address()).await;
    cluster.stop();
    timeout(Duration::from_secs(2), nothing_works(&store))
        .await
        .expect("a refusal is quick");
    cluster.start_again();
    all_is_well(&store).await;
    store.database().close().await;
}

/// Something between the store and its server: it can be cut, so that nothing passes and nobody is told, and
/// mended for new connections.
struct Wire {
    port: u16,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback has a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let (cut, watch) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut mended, mut cut) = (watch.clone(), watch.clone());
                tokio::spawn(async move {
                    drop(mended.wait_for(|cut| !cut).await);
                    let far = tokio::net::TcpStream::connect(("127.0.0.1", port));
                    let Ok(mut far) = far.await else { return };
                    let is_cut = tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => false,
                        _ = cut.wait_for(|cut| *cut) => true,
                    };
                    if is_cut {
                        // What is on the way stays there: neither end hears a word.
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { port: own, cut }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_without_a_word_keeps_nobody_waiting() {
    let cluster = Cluster::shared();
    let place = cluster.database();
    let wire = Wire::to(cluster.port()).await;
    let url = place
        .url()
        .replace(&cluster.port().to_string(), &wire.port.to_string());
    let store = store_at(Address::parse(&url).expect("it is an address")).await;
    wire.cut.send(true).expect("somebody passes things on");
    nothing_works(&store).await;
    wire.cut.send(false).expect("somebody passes things on");
    all_is_well(&store).await;
    store.database().close().await;
}

#[tokio::test]
async fn whoever_answers_in_another_language_is_no_database() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _: Result<(), _> =
                TcpStream::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let url = format!("postgres://ada@127.0.0.1:{port}/people");
    let opening = Database::open(Options::new(Address::parse(&url).unwrap()), &[]);
    assert!(timeout(BOUND, opening).await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_are_connections_for_is_refused_in_time() {
    let place = Cluster::shared().database();
    let options = Options {
        connections: 2,
        patience: Duration::from_millis(300),
        ..Options::new(place.address())
    };
    let database = Database::open(options, &[]).await.unwrap();
    let busy = (0..6).map(|_| database.query("SELECT pg_sleep(60)", &[]));
    let answers = futures_util::future::join_all(busy).await;
    for answer in answers {
        assert!(matches!(answer, Err(Error::TimedOut)), "{answer:?}");
    }
    // Those who ran into the bound left nothing behind, on either side.
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
    let gone = async {
        while place.psql(sleeping) != "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, gone).await.unwrap();
    database.health().await.unwrap();
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_ready_and_is_again_when_it_does() {
    let place = Cluster::shared().database();
    let store = store_at(place.address()).await;
    let set = |only: &str| {
        place.psql(&format!(
            "ALTER DATABASE {} SET default_transaction_read_only TO {only}",
            place.name()
        ));
        // Settings of a database count for new connections.
        place.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    };
    set("on");
    let not_ready = async { while store.check().await.is_ok() {} };
    timeout(BOUND, not_ready).await.expect("it is noticed");
    let ada = record(&person("ada"), MORNING, &Dice::default());
    store.insert(ada, None).await.expect_err("it is read-only");
    place.psql(&format!(
        "BEGIN READ WRITE; ALTER DATABASE {} RESET default_transaction_read_only; COMMIT",
        place.name()
    ));
    place.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    all_is_well(&store).await;
}
