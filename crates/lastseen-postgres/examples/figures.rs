//! The figures in `docs/scaling.md`: `cargo run --release -p lastseen-postgres --example figures URL [SESSIONS] [CONNECTIONS]`.
//!
//! Fills an empty database with sessions, ten an account, and does with them what servers do. Absolute times say
//! little about another machine; ratios do.

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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lastseen::policy::PolicyNumber;
use lastseen::store::{End, Inserted, Origin, Record, Store, Use};
use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountSource, Device, EndedBy, Ending, Entropy, Product, SessionId,
    Timestamp,
};
use lastseen_postgres::{Address, Database, Options, PostgresStore};

const SESSIONS_OF_AN_ACCOUNT: u64 = 10;
const BEGIN: i64 = 1_790_000_000_000;

/// A number that looks random: the same one for the same number.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Makes ids from a number.
struct Fixed(u64);

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        for (byte, own) in bytes
            .iter_mut()
            .zip(mix(self.0).to_be_bytes().iter().cycle())
        {
            *byte = *own;
        }
    }
}

/// The sessions of the measurement, each from its number.
struct World {
    accounts: u64,
    device: Arc<Device>,
}

impl World {
    fn account(&self, number: u64) -> Arc<Account> {
        let id = format!("account-{}", mix(number) % self.accounts);
        let id = AccountId::new(&id).unwrap();
        Arc::new(Account::new(AccountSource::BuiltIn, id, "somebody"))
    }

    fn begin(number: u64) -> Timestamp {
        // 18 of one millisecond, as at full load.
        Timestamp::from_millisecond(BEGIN + (number / 18).cast_signed())
    }

    fn id(&self, number: u64) -> SessionId {
        let account = self.account(number);
        SessionId::generate(&account.key, Self::begin(number), &Fixed(number))
    }

    fn origin(&self, number: u64) -> Origin {
        Origin {
            ip_address: Some(IpAddr::V4(Ipv4Addr::from_bits(number as u32))),
            device: Arc::clone(&self.device),
        }
    }

    fn record(&self, number: u64) -> Record {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&mix(!number).to_be_bytes());
        Record {
            id: self.id(number),
            account: self.account(number),
            token_hash: SecretHash::from_bytes(hash),
            token_generation: 0,
            page_token_hash: None,
            policy: PolicyNumber(0),
            remembered: number.is_multiple_of(2),
            created_at: Self::begin(number),
            first: self.origin(number),
            last_used_at: Self::begin(number),
            last: self.origin(number),
            expired: false,
            ended: None,
        }
    }
}

struct Bench {
    store: PostgresStore,
    world: World,
    sessions: u64,
}

impl Bench {
    /// Where the server's log stands, in bytes.
    async fn wal(&self) -> u64 {
        let place = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
        let rows = self.store.database().query(place, &[]).await.unwrap();
        rows[0].get::<_, i64>(0).cast_unsigned()
    }

    /// Does `count` steps, `tasks` at once, each of which counts for `each`; prints how many a second that were,
    /// how long a step took, and what it left in the server's log.
    async fn measure<Done>(
        self: &Arc<Self>,
        what: &str,
        (count, tasks, each): (u64, u64, u64),
        step: impl Fn(Arc<Self>, u64) -> Done + Send + Sync + 'static,
    ) where
        Done: Future<Output = ()> + Send,
    {
        let (step, next) = (Arc::new(step), Arc::new(AtomicU64::new(0)));
        let log = self.wal().await;
        let start = Instant::now();
        let running: Vec<_> = (0..tasks)
            .map(|_| {
                let (bench, step, next) = (Arc::clone(self), Arc::clone(&step), Arc::clone(&next));
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return times;
                        }
                        let start = Instant::now();
                        step(Arc::clone(&bench), number).await;
                        times.push(start.elapsed());
                    }
                })
            })
            .collect();
        let mut times: Vec<Duration> = Vec::new();
        for task in running {
            times.extend(task.await.unwrap());
        }
        let elapsed = start.elapsed();
        let written = self.wal().await - log;
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{what:<44} {:>8.0} /s   p50 {:>7.2} ms   p99 {:>7.2} ms   {:>6.0} bytes of log each",
            (count * each) as f64 / elapsed.as_secs_f64(),
            at(50),
            at(99),
            written as f64 / (count * each) as f64,
        );
    }

    async fn insert(self: Arc<Self>, number: u64) {
        let inserted = self.store.insert(self.world.record(number), None).await;
        assert_eq!(inserted.unwrap(), Inserted::Done);
    }

    async fn find(self: Arc<Self>, number: u64) {
        let id = self.world.id(mix(number) % self.sessions);
        assert!(self.store.find(id).await.unwrap().is_some());
    }

    async fn list(self: Arc<Self>, number: u64) {
        let account = self.world.account(mix(number) % self.sessions);
        assert!(!self.store.list(&account.key).await.unwrap().is_empty());
    }

    /// 2,000 uses at a time, of any sessions.
    async fn touch(self: Arc<Self>, number: u64) {
        let at = Timestamp::from_millisecond(BEGIN + 1_000_000_000 + number.cast_signed());
        let uses = (0..2000).map(|place| {
            let number = mix(number << 32 | place) % self.sessions;
            Use {
                id: self.world.id(number),
                at,
                origin: self.world.origin(number),
            }
        });
        self.store.touch(uses.collect(), at).await.unwrap();
    }

    async fn end(self: Arc<Self>, number: u64) {
        let at = Timestamp::from_millisecond(BEGIN + 2_000_000_000);
        let ending = Ending {
            at,
            by: EndedBy::Command,
            left_list_at: at,
        };
        let end = End {
            id: self.world.id(number),
            ending,
            last_use: None,
        };
        self.store.end(None, vec![end]).await.unwrap();
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a measurement is read from top to bottom"
)]
#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap();
    let mut number = |otherwise: u64| {
        arguments
            .next()
            .map_or(otherwise, |argument| argument.parse().unwrap())
    };
    let sessions = number(1_000_000);
    let options = Options {
        connections: number(Options::CONNECTIONS as u64) as usize,
        patience: Duration::from_secs(60),
        ..Options::new(Address::parse(&url).unwrap())
    };
    let database = Database::open(options, &[PostgresStore::MIGRATIONS])
        .await
        .unwrap();
    let bench = Arc::new(Bench {
        store: PostgresStore::new(database),
        world: World {
            accounts: (sessions / SESSIONS_OF_AN_ACCOUNT).max(1),
            device: Arc::new(Device {
                operating_system: Some(Product::new("Linux", None)),
                browser: Some(Product::new("Chrome", Some("120"))),
            }),
        },
        sessions,
    });
    let tenth = (sessions / 10).max(1);
    bench
        .measure(
            "create, 512 at once",
            (sessions - tenth, 512, 1),
            Bench::insert,
        )
        .await;
    let late = sessions - tenth;
    bench
        .measure(
            "create, 64 at once, a tenth more",
            (tenth, 64, 1),
            move |bench, number| bench.insert(late + number),
        )
        .await;
    bench
        .measure(
            "create, one after the other",
            (1000, 1, 1),
            move |bench, number| bench.insert(sessions + number),
        )
        .await;
    let analyze = "VACUUM (ANALYZE)";
    bench.store.database().query(analyze, &[]).await.unwrap();
    bench
        .measure("find, one after the other", (5_000, 1, 1), Bench::find)
        .await;
    bench
        .measure("find, 64 at once", (100_000, 64, 1), Bench::find)
        .await;
    bench
        .measure(
            "list of about ten, 64 at once",
            (20_000, 64, 1),
            Bench::list,
        )
        .await;
    let rounds = (sessions / 2000).max(1);
    bench
        .measure(
            "touch, 2,000 at a time, the first",
            (rounds, 1, 2000),
            Bench::touch,
        )
        .await;
    bench
        .measure(
            "touch, 2,000 at a time, again",
            (rounds, 1, 2000),
            move |bench, number| bench.touch(rounds + number),
        )
        .await;
    bench
        .measure(
            "touch, 2,000 at a time, 4 nodes at once",
            (rounds, 4, 2000),
            move |bench, number| bench.touch(2 * rounds + number),
        )
        .await;
    bench
        .measure("terminate, one after the other", (1000, 1, 1), Bench::end)
        .await;
    bench
        .measure("terminate, 8 at once", (8000, 8, 1), |bench, number| {
            bench.end(1000 + number)
        })
        .await;
    bench
        .measure("terminate, 64 at once", (16000, 64, 1), |bench, number| {
            bench.end(9000 + number)
        })
        .await;
    let size = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relkind = 'r' AND relname ~ '^(session|last_use|account)_'";
    let rows = bench.store.database().query(size, &[]).await.unwrap();
    let bytes: i64 = rows[0].get(0);
    println!(
        "{:<44} {:>8} bytes a session",
        "size",
        bytes / sessions.cast_signed()
    );
}
