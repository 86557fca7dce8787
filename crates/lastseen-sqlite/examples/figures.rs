//! The figures in `docs/decisions/`: `cargo run --release -p lastseen-sqlite --example figures [SESSIONS] [FOLDER] [tables|store]`.
//!
//! Ten sessions an account, in random order. Absolute times say little about another machine; ratios do.

#![expect(
    clippy::too_many_lines,
    reason = "a measurement is read from top to bottom"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on says so and stops"
)]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "a random number is still one when it is cut"
)]
#![expect(clippy::disallowed_methods, reason = "a stopwatch is a clock")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lastseen::policy::PolicyNumber;
use lastseen::store::{End, Inserted, Origin, Record, Store, Use};
use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountSource, Device, EndedBy, Ending, Product, SessionId, Timestamp,
};
use lastseen_sqlite::rusqlite::{Connection, params};
use lastseen_sqlite::{Database, Options, SqliteStore};

const SESSIONS_OF_AN_ACCOUNT: u64 = 10;
const BEGIN: i64 = 1_790_000_000_000;

/// A small generator of numbers that look random: the same ones in every run.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The sessions of the measurement, each from its number.
struct World {
    accounts: u64,
    device: Arc<Device>,
}

impl World {
    fn account(number: u64) -> Arc<Account> {
        let id = AccountId::new(&format!("account-{number}")).unwrap();
        Arc::new(Account::new(AccountSource::BuiltIn, id, "somebody"))
    }

    fn account_of(&self, number: u64) -> u64 {
        Dice(number).roll() % self.accounts
    }

    fn id(number: u64) -> SessionId {
        let mut bytes = [0; 16];
        // 18 of one millisecond, as at full load.
        let sequence = (BEGIN as u64 + number / 18) << 20 | (number % 18) << 10;
        bytes[2..10].copy_from_slice(&sequence.to_be_bytes());
        bytes[10..].copy_from_slice(&Dice(number).roll().to_be_bytes()[..6]);
        SessionId::from_bytes(bytes)
    }

    fn origin(&self, number: u64) -> Origin {
        Origin {
            ip_address: Some(IpAddr::V4(Ipv4Addr::from_bits(number as u32))),
            device: Arc::clone(&self.device),
        }
    }

    fn record(&self, number: u64) -> Record {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&Dice(!number).roll().to_be_bytes());
        let created_at = Timestamp::from_millisecond(BEGIN + (number / 18).cast_signed());
        Record {
            id: Self::id(number),
            account: Self::account(self.account_of(number)),
            token_hash: SecretHash::from_bytes(hash),
            token_generation: 0,
            page_token_hash: None,
            policy: PolicyNumber(0),
            remembered: number.is_multiple_of(2),
            created_at,
            first: self.origin(number),
            last_used_at: created_at,
            last: self.origin(number),
            expired: false,
            ended: None,
        }
    }
}

/// Does `count` steps on `tasks` tasks; prints how many a second, and the middle and the 99th percentile of one.
async fn measure<Step, Done>(what: &str, count: u64, tasks: u64, step: Step)
where
    Step: Fn(u64) -> Done + Send + Sync + 'static,
    Done: Future<Output = ()> + Send,
{
    let step = Arc::new(step);
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (step, next) = (Arc::clone(&step), Arc::clone(&next));
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return times;
                    }
                    let start = Instant::now();
                    step(number).await;
                    times.push(start.elapsed());
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await.unwrap());
    }
    let elapsed = start.elapsed();
    times.sort_unstable();
    report(what, count, elapsed, &times);
}

fn report(what: &str, count: u64, elapsed: Duration, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    println!(
        "{what:<52} {:>9.0} /s   p50 {:>8.1} µs   p99 {:>8.1} µs   max {:>9.1} µs",
        count as f64 / elapsed.as_secs_f64(),
        at(50),
        at(99),
        at(100),
    );
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let sessions: u64 = arguments
        .next()
        .map_or(1_000_000, |argument| argument.parse().unwrap());
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    fsync(folder.path());
    let part = arguments.next();
    if part.as_deref() != Some("store") {
        tables(folder.path(), sessions);
    }
    if part.as_deref() != Some("tables") {
        store(folder.path(), sessions).await;
    }
}

/// What one durable write costs on this disk, without any database.
fn fsync(folder: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("plain")).unwrap();
    let mut times = Vec::new();
    let start = Instant::now();
    for _ in 0..1000 {
        let start = Instant::now();
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    report(
        "4 KiB appended and synchronised, no database",
        1000,
        start.elapsed(),
        &times,
    );
}

/// Four ways to cut the tables, all else being equal: rows inserted and used in groups of 64.
fn tables(folder: &Path, sessions: u64) {
    let columns = "sequence INTEGER PRIMARY KEY, id BLOB NOT NULL, account INTEGER NOT NULL, token_hash BLOB NOT NULL,
        created_at INTEGER NOT NULL, ip_address BLOB, device TEXT, left_list_at INTEGER";
    let index = "CREATE INDEX by_account ON session (account, left_list_at);";
    let narrow = "CREATE TABLE last_use (sequence INTEGER PRIMARY KEY, used_at INTEGER NOT NULL, ip_address BLOB, device TEXT) STRICT;";
    let in_row = "UPDATE session SET used_at = ?2, ip_address = ?3, device = ?4 WHERE sequence = ?1 AND left_list_at IS NULL";
    let beside = "INSERT INTO last_use (sequence, used_at, ip_address, device)
        SELECT sequence, ?2, ?3, nullif(?4, device) FROM session WHERE sequence = ?1 AND left_list_at IS NULL
        ON CONFLICT (sequence) DO UPDATE SET used_at = excluded.used_at, ip_address = excluded.ip_address,
        device = excluded.device WHERE used_at <= excluded.used_at";
    let ways = [
        (
            "no index, last use in the row",
            format!("CREATE TABLE session ({columns}, used_at INTEGER) STRICT;"),
            in_row,
        ),
        (
            "one index, last use in the row",
            format!("CREATE TABLE session ({columns}, used_at INTEGER) STRICT; {index}"),
            in_row,
        ),
        (
            "one index, last use in a table of its own",
            format!("CREATE TABLE session ({columns}) STRICT; {index} {narrow}"),
            beside,
        ),
        (
            "two indexes, last use in the row",
            format!(
                "CREATE TABLE session ({columns}, used_at INTEGER) STRICT; {index} CREATE INDEX by_token ON session (token_hash);"
            ),
            in_row,
        ),
    ];
    for (place, (name, schema, touch)) in ways.iter().enumerate() {
        let connection = Connection::open(folder.join(format!("tables-{place}.db"))).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
                 PRAGMA wal_autocheckpoint = 16000; {schema}"
            ))
            .unwrap();
        let device = r#"["Linux",null,"Chrome","120"]"#;
        let in_groups = |what: &str, numbers: &[u64], act: &dyn Fn(u64)| {
            let mut times = Vec::new();
            let start = Instant::now();
            for group in numbers.chunks(64) {
                let start = Instant::now();
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                for number in group {
                    act(*number);
                }
                connection.execute_batch("COMMIT").unwrap();
                times.push(start.elapsed());
            }
            times.sort_unstable();
            report(
                &format!("{name}: {what}"),
                numbers.len() as u64,
                start.elapsed(),
                &times,
            );
        };
        let insert = |number: u64| {
            let id = World::id(number);
            let mut hash = [0_u8; 32];
            hash[..8].copy_from_slice(&Dice(!number).roll().to_be_bytes());
            connection
                .prepare_cached(
                    "INSERT INTO session (sequence, id, account, token_hash, created_at, ip_address, device)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )
                .unwrap()
                .execute(params![
                    id.sequence(),
                    id.as_bytes(),
                    (Dice(number).roll() % (sessions / SESSIONS_OF_AN_ACCOUNT)).cast_signed(),
                    hash,
                    BEGIN,
                    [1_u8, 2, 3, 4],
                    device
                ])
                .unwrap();
        };
        let used = |number: u64| {
            connection
                .prepare_cached(touch)
                .unwrap()
                .execute(params![
                    World::id(number).sequence(),
                    BEGIN + 1,
                    [1_u8, 2, 3, 5],
                    device
                ])
                .unwrap();
        };
        let all: Vec<u64> = (0..sessions).collect();
        let (early, late) = all.split_at(all.len() - all.len() / 10);
        in_groups("the first nine tenths", early, &insert);
        in_groups("the last tenth", late, &insert);
        let mut dice = Dice(7);
        let mut some: Vec<u64> = (0..sessions / 10).map(|_| dice.roll() % sessions).collect();
        in_groups("a tenth used, in any order", &some, &used);
        some.sort_unstable();
        in_groups("the same, in the order of the rows", &some, &used);
        in_groups("all used, in the order of the rows", &all, &used);
    }
}

/// The store itself.
async fn store(folder: &Path, sessions: u64) {
    let path = folder.join("sessions.db");
    let open = || Database::open(&path, &[SqliteStore::MIGRATIONS], Options::default()).unwrap();
    let store = SqliteStore::new(open());
    let world = Arc::new(World {
        accounts: (sessions / SESSIONS_OF_AN_ACCOUNT).max(1),
        device: Arc::new(Device {
            operating_system: Some(Product::new("Linux", None)),
            browser: Some(Product::new("Chrome", Some("120"))),
        }),
    });
    let insert = |from: u64| {
        let (store, world) = (store.clone(), Arc::clone(&world));
        move |number: u64| {
            let (store, world) = (store.clone(), Arc::clone(&world));
            async move {
                let inserted = store
                    .insert(world.record(from + number), None)
                    .await
                    .unwrap();
                assert_ne!(inserted, Inserted::IdTaken);
            }
        }
    };
    let tenth = (sessions / 10).max(1);
    measure(
        "create, into an empty table, 64 at once",
        tenth,
        64,
        insert(0),
    )
    .await;
    measure(
        "create, up to nine tenths, 512 at once",
        sessions - 2 * tenth,
        512,
        insert(tenth),
    )
    .await;
    measure(
        "create, the last tenth, 64 at once",
        tenth,
        64,
        insert(sessions - tenth),
    )
    .await;
    measure("create, one after the other", 2000, 1, insert(sessions)).await;

    let find = |store: SqliteStore| {
        move |number: u64| {
            let store = store.clone();
            async move {
                assert!(
                    store
                        .find(World::id(Dice(number).roll() % sessions))
                        .await
                        .unwrap()
                        .is_some()
                );
            }
        }
    };
    measure("find, one after the other", 50_000, 1, find(store.clone())).await;
    measure("find, 64 at once", 200_000, 64, find(store.clone())).await;
    let database = store.database().clone();
    measure("an empty read, one after the other", 50_000, 1, move |_| {
        let database = database.clone();
        async move { database.read(|_| Ok(())).await.unwrap() }
    })
    .await;
    direct(&path, sessions);

    let list = |store: SqliteStore, world: Arc<World>| {
        move |number: u64| {
            let (store, world) = (store.clone(), Arc::clone(&world));
            async move {
                let account = World::account(world.account_of(Dice(number).roll() % sessions));
                assert!(!store.list(&account.key).await.unwrap().is_empty());
            }
        }
    };
    measure(
        "list of about ten, one after the other",
        10_000,
        1,
        list(store.clone(), Arc::clone(&world)),
    )
    .await;

    let touch = |store: SqliteStore, world: Arc<World>, all: bool| {
        move |number: u64| {
            let (store, world) = (store.clone(), Arc::clone(&world));
            async move {
                let at = Timestamp::from_millisecond(BEGIN + 1_000_000_000);
                let one = |number: u64| Use {
                    id: World::id(number),
                    at,
                    origin: world.origin(number),
                };
                let uses = (0..10_000).map(|place| {
                    one(if all {
                        number * 10_000 + place
                    } else {
                        Dice(number << 32 | place).roll() % sessions
                    })
                });
                store.touch(uses.collect(), at).await.unwrap();
            }
        }
    };
    measure(
        "touch, 10,000 of any session",
        5,
        1,
        touch(store.clone(), Arc::clone(&world), false),
    )
    .await;
    measure(
        "touch, all, 10,000 at a time",
        sessions / 10_000,
        1,
        touch(store.clone(), Arc::clone(&world), true),
    )
    .await;

    let end = |store: SqliteStore| {
        move |number: u64| {
            let store = store.clone();
            async move {
                let at = Timestamp::from_millisecond(BEGIN + 1_000_000_000);
                let ending = Ending {
                    at,
                    by: EndedBy::Command,
                    left_list_at: at,
                };
                let end = End {
                    id: World::id(number),
                    ending,
                    last_use: None,
                };
                store.end(None, vec![end]).await.unwrap();
            }
        }
    };
    measure(
        "terminate, one after the other",
        tenth.min(5000),
        1,
        end(store.clone()),
    )
    .await;
    measure("terminate, 64 at once", tenth, 64, end(store.clone())).await;

    // What others wait for while a purge goes on.
    let purging = {
        let store = store.clone();
        tokio::spawn(async move {
            let start = Instant::now();
            let ids: Vec<_> = (0..tenth).map(World::id).collect();
            let purged = store.purge(ids).await.unwrap();
            println!(
                "{:<52} {:>9.0} /s",
                "purge, beside the following",
                purged as f64 / start.elapsed().as_secs_f64()
            );
        })
    };
    measure(
        "create, beside a purge, 8 at once",
        tenth.min(20_000),
        8,
        insert(sessions + 2000),
    )
    .await;
    purging.await.unwrap();

    let start = Instant::now();
    store
        .database()
        .backup(folder.join("backup.db"))
        .await
        .unwrap();
    println!("{:<52} {:>9.2} s", "backup", start.elapsed().as_secs_f64());
    let start = Instant::now();
    store.database().close().await;
    println!("{:<52} {:>9.3} s", "close", start.elapsed().as_secs_f64());
    let size = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
    println!(
        "{:<52} {:>9} bytes a session",
        "size",
        size("sessions.db") / sessions
    );
    println!(
        "{:<52} {:>9} bytes a session",
        "size of the backup",
        size("backup.db") / sessions
    );
    let start = Instant::now();
    let store = SqliteStore::new(open());
    store.find(World::id(sessions - 1)).await.unwrap();
    println!(
        "{:<52} {:>9.4} s",
        "open, and the first find",
        start.elapsed().as_secs_f64()
    );
}

/// The same finds without a hand-over between threads, to see what that costs.
fn direct(path: &Path, sessions: u64) {
    let connection = Connection::open(path).unwrap();
    let mut times = Vec::new();
    let start = Instant::now();
    for number in 0..50_000 {
        let start = Instant::now();
        let id = World::id(Dice(number).roll() % sessions);
        let mut statement = connection
            .prepare_cached(
                "SELECT * FROM session CROSS JOIN account ON account.number = session.account
                 LEFT JOIN last_use ON last_use.sequence = session.sequence
                 WHERE session.sequence = ?1 AND session.id = ?2",
            )
            .unwrap();
        assert!(
            statement
                .exists(params![id.sequence(), id.as_bytes()])
                .unwrap()
        );
        times.push(start.elapsed());
    }
    times.sort_unstable();
    report(
        "the same row, without a hand-over between threads",
        50_000,
        start.elapsed(),
        &times,
    );
}
