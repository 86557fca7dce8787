//! What the suite of the core cannot see: how the rows are found, and what is left in the tables.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use lastseen::policy::PolicyNumber;
use lastseen::store::{End, Ended, Inserted, Origin, Record, Store, Use};
use lastseen::token::SecretHash;
use lastseen::{
    Account, AccountId, AccountSource, Device, EndedBy, Ending, Entropy, Product, SessionId,
    Timestamp,
};
use rusqlite::StatementStatus;
use tempfile::TempDir;

use super::*;
use crate::{Options, Statistics};

const MORNING: Timestamp = Timestamp::from_millisecond(1_790_000_000_000);

/// Numbers that differ, for ids that differ.
struct Counting(std::sync::atomic::AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self
            .0
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            .to_be_bytes();
        // The first three bytes are the ones that decide a sequence within its millisecond, as 20 of 24 bits.
        let [.., c, d, e] = (u64::from_be_bytes(number) << 4).to_be_bytes();
        bytes.fill(0);
        bytes[..3].copy_from_slice(&[c, d, e]);
    }
}

fn store() -> (SqliteStore, TempDir) {
    store_with(Options::default())
}

/// One whose upkeep does one row in each turn.
fn store_of_short_turns() -> (SqliteStore, TempDir) {
    store_with(Options {
        turn: Duration::ZERO,
        ..Options::default()
    })
}

fn store_with(options: Options) -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let database = Database::open(path, &[SqliteStore::MIGRATIONS], options).unwrap();
    (SqliteStore::new(database), folder)
}

fn account(id: &str) -> Arc<Account> {
    Arc::new(Account::new(
        AccountSource::BuiltIn,
        AccountId::new(id).unwrap(),
        id,
    ))
}

fn origin() -> Origin {
    let device = Device {
        operating_system: Some(Product::new("Linux", None)),
        browser: Some(Product::new("Chrome", Some("120"))),
    };
    Origin {
        ip_address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        device: Arc::new(device),
    }
}

fn record(account: &Arc<Account>, entropy: &Counting) -> Record {
    Record {
        id: SessionId::generate(&account.key, MORNING, entropy),
        account: Arc::clone(account),
        token_hash: SecretHash::from_bytes([7; 32]),
        token_generation: 0,
        page_token_hash: None,
        policy: PolicyNumber(0),
        remembered: false,
        created_at: MORNING,
        first: origin(),
        last_used_at: MORNING,
        last: origin(),
        expired: false,
        ended: None,
    }
}

fn end_of(id: SessionId) -> End {
    let ending = Ending {
        at: MORNING,
        by: EndedBy::Command,
        left_list_at: MORNING,
    };
    End {
        id,
        ending,
        last_use: None,
    }
}

async fn filled(store: &SqliteStore, accounts: &[Arc<Account>], each: usize) -> Vec<SessionId> {
    let entropy = Counting(std::sync::atomic::AtomicU64::new(0));
    let mut ids = Vec::new();
    for account in accounts {
        for _ in 0..each {
            let record = record(account, &entropy);
            ids.push(record.id);
            assert_ne!(store.insert(record, None).await.unwrap(), Inserted::IdTaken);
        }
    }
    ids
}

async fn rows(store: &SqliteStore, table: &'static str) -> i64 {
    let count = store.database().read(move |transaction| {
        Ok(
            transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })?,
        )
    });
    count.await.unwrap()
}

/// Every statement that is asked for over and over.
const STATEMENTS: [&str; 13] = [
    read::FIND,
    read::ACCOUNT_BY_KEY,
    read::LIST,
    write::INSERT,
    write::USE,
    write::ACCOUNT_OF,
    write::END,
    write::RENEW,
    write::SET_PAGE_TOKEN,
    write::ACCOUNT_OF_ENDED,
    write::DELETE_USE,
    write::DELETE,
    write::DELETE_ACCOUNT,
];

#[tokio::test]
async fn every_statement_on_sessions_finds_its_rows_by_key_or_by_the_one_index() {
    let (store, _folder) = store();
    let plans = store.database().read(move |transaction| {
        let plan = |statement: &&str| -> Result<String, Error> {
            let mut explain = transaction.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
            let parameters = vec![rusqlite::types::Null; explain.parameter_count()];
            let steps =
                explain.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))?;
            Ok(steps.collect::<Result<Vec<String>, _>>()?.join("; "))
        };
        STATEMENTS.iter().map(plan).collect::<Result<Vec<_>, _>>()
    });
    for (statement, plan) in STATEMENTS.iter().zip(plans.await.unwrap()) {
        assert!(!plan.contains("SCAN"), "{statement}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{statement}: {plan}");
    }
}

#[tokio::test]
async fn no_statement_is_compiled_again_whatever_it_is_asked_for() {
    let (store, _folder) = store();
    let compiled_again = store.database().read(|transaction| {
        let mut all = Vec::new();
        for statement in STATEMENTS {
            for number in 0..3 {
                let mut statement = transaction.prepare_cached(statement)?;
                let values = vec![number; statement.parameter_count()];
                // This connection cannot write. That it does not is found out after a statement is compiled anew.
                let _ = statement.query(rusqlite::params_from_iter(values))?.next();
            }
            let statement = transaction.prepare_cached(statement)?;
            all.push(statement.get_status(StatementStatus::RePrepare));
        }
        Ok(all)
    });
    let compiled_again = compiled_again.await.unwrap();
    for (statement, times) in STATEMENTS.iter().zip(compiled_again) {
        assert_eq!(times, 0, "{statement}");
    }
}

#[tokio::test]
async fn a_session_that_was_not_used_again_takes_one_row() {
    let (store, _folder) = store();
    let ids = filled(&store, &[account("ada")], 1).await;
    assert_eq!(rows(&store, "last_use").await, 0);
    let at = MORNING.saturating_add(Duration::from_secs(1));
    let used = Use {
        id: ids[0],
        at,
        origin: origin(),
    };
    store.touch(vec![used], at).await.unwrap();
    assert_eq!(rows(&store, "last_use").await, 1);
    let found = store.find(ids[0]).await.unwrap().unwrap();
    assert_eq!((found.last_used_at, found.last), (at, origin()));
}

#[tokio::test]
async fn more_uses_than_fit_in_one_turn_are_all_recorded() {
    let (store, _folder) = store_of_short_turns();
    let ids = filled(&store, &[account("ada")], 3).await;
    let at = MORNING.saturating_add(Duration::from_secs(1));
    let use_of = |id: &SessionId| Use {
        id: *id,
        at,
        origin: origin(),
    };
    store
        .touch(ids.iter().rev().map(use_of).collect(), at)
        .await
        .unwrap();
    for record in store.list(&account("ada").key).await.unwrap() {
        assert_eq!(record.last_used_at, at);
    }
}

#[tokio::test]
async fn only_a_session_of_an_account_that_is_not_on_record_is_the_first() {
    let (store, _folder) = store();
    let entropy = Counting(std::sync::atomic::AtomicU64::new(0));
    let (ada, bob) = (account("ada"), account("bob"));
    let insert = async |account: &Arc<Account>| {
        let record = record(account, &entropy);
        let inserted = store.insert(record.clone(), None).await.unwrap();
        (record, inserted)
    };
    let (first, inserted) = insert(&ada).await;
    assert_eq!(inserted, Inserted::First);
    assert_eq!(insert(&ada).await.1, Inserted::Done);
    assert_eq!(insert(&bob).await.1, Inserted::First);
    store.end(None, vec![end_of(first.id)]).await.unwrap();
    assert_eq!(insert(&ada).await.1, Inserted::Done);
}

#[tokio::test]
async fn an_id_that_is_taken_makes_no_account_known_and_gives_none_another_name() {
    let (store, _folder) = store();
    let entropy = Counting(std::sync::atomic::AtomicU64::new(0));
    let (ada, eve) = (account("ada"), account("eve"));
    let known = record(&ada, &entropy);
    store.insert(known.clone(), None).await.unwrap();
    let renamed = Account::new(AccountSource::BuiltIn, ada.key.id.clone(), "Ada");
    for account in [Arc::new(renamed), Arc::clone(&eve)] {
        let twin = Record {
            account,
            ..known.clone()
        };
        assert_eq!(store.insert(twin, None).await.unwrap(), Inserted::IdTaken);
    }
    assert_eq!(rows(&store, "account").await, 1);
    let name = store.name_of(&ada.key).await.unwrap();
    assert_eq!(name.as_deref(), Some("ada"));
}

#[tokio::test]
async fn each_connection_has_pages_of_its_own() {
    let (store, _folder) = store();
    let options = store.database().read(|transaction| {
        let mut options = transaction.prepare("PRAGMA compile_options")?;
        let options = options.query_map([], |row| row.get::<_, String>(0))?;
        Ok(options.collect::<Result<Vec<_>, _>>()?)
    });
    let options = options.await.unwrap();
    let shared = "ENABLE_MEMORY_MANAGEMENT";
    assert!(
        !options.iter().any(|option| option == shared),
        "{options:?}"
    );
    assert!(
        options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"),
        "{options:?}"
    );
}

#[tokio::test]
async fn purging_leaves_nothing_of_a_session_nor_of_an_account_that_has_no_other() {
    let (store, _folder) = store_of_short_turns();
    let ids = filled(&store, &[account("ada"), account("bob")], 3).await;
    let at = MORNING.saturating_add(Duration::from_secs(1));
    let use_of = |id: &SessionId| Use {
        id: *id,
        at,
        origin: origin(),
    };
    store
        .touch(ids.iter().map(use_of).collect(), at)
        .await
        .unwrap();
    let (last, others) = ids.split_last().unwrap();
    let ended = store
        .end(None, others.iter().map(|id| end_of(*id)).collect())
        .await
        .unwrap();
    assert!(matches!(ended, Ended::Done(ids) if ids.len() == others.len()));
    assert_eq!(store.purge(ids.clone()).await.unwrap(), others.len() as u64);
    for table in ["session", "last_use", "account"] {
        assert_eq!(rows(&store, table).await, 1, "{table}");
    }
    store.end(None, vec![end_of(*last)]).await.unwrap();
    assert_eq!(store.purge(ids).await.unwrap(), 1);
    for table in ["session", "last_use", "account"] {
        assert_eq!(rows(&store, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn purged_contents_are_overwritten_in_the_file() {
    let (store, _folder) = store();
    let ids = filled(&store, &[account("a-name-to-be-forgotten")], 1).await;
    store.end(None, vec![end_of(ids[0])]).await.unwrap();
    store.purge(ids).await.unwrap();
    let path = store.database().path().to_owned();
    store.database().close().await;
    let bytes = std::fs::read(path).unwrap();
    let name = b"a-name-to-be-forgotten";
    assert!(!bytes.windows(name.len()).any(|window| window == name));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sign_ins_at_once_share_commits() {
    let (store, _folder) = store();
    let before: Statistics = store.database().statistics();
    let entropy = Arc::new(Counting(std::sync::atomic::AtomicU64::new(0)));
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (store, entropy) = (store.clone(), Arc::clone(&entropy));
            tokio::spawn(async move {
                for _ in 0..20 {
                    let record = record(&account(&number.to_string()), &entropy);
                    assert_ne!(store.insert(record, None).await.unwrap(), Inserted::IdTaken);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let after = store.database().statistics();
    assert_eq!(rows(&store, "session").await, 64 * 20);
    assert!(
        after.commits - before.commits < 64 * 20,
        "{} commits",
        after.commits - before.commits
    );
}
