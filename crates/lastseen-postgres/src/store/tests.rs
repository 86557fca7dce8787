//! What the suite of the core cannot see: which partitions a statement meets, and what is left in the tables.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use lastseen::policy::PolicyNumber;
use lastseen::store::Origin;
use lastseen::{Account, AccountId, AccountSource, Device, EndedBy, Ending, Entropy, Product};
use tokio_postgres::types::Type;

use super::*;
use crate::database::{Options, Parameter};
use crate::testing::{Cluster, TestDatabase};

mod log;
mod partitions;
mod races;

const MORNING: Timestamp = Timestamp::from_millisecond(1_795_510_800_000);

/// Numbers that differ, for ids that differ.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        // The first three bytes are the ones that decide a sequence within its millisecond, as 20 of 24 bits.
        let [.., c, d, e] = (number << 4).to_be_bytes();
        bytes.fill(0);
        bytes[..3].copy_from_slice(&[c, d, e]);
    }
}

async fn store() -> (PostgresStore, TestDatabase<'static>) {
    store_with(|_| {}).await
}

async fn store_with(set: impl Fn(&mut Options)) -> (PostgresStore, TestDatabase<'static>) {
    let place = Cluster::shared().database();
    let mut options = Options {
        connections: 4,
        ..Options::new(place.address())
    };
    set(&mut options);
    let database = Database::open(options, &[PostgresStore::MIGRATIONS])
        .await
        .unwrap();
    (PostgresStore::new(database), place)
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

fn after(seconds: u64) -> Timestamp {
    MORNING.saturating_add(std::time::Duration::from_secs(seconds))
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

fn use_of(id: SessionId, at: Timestamp) -> Use {
    Use {
        id,
        at,
        origin: origin(),
    }
}

async fn filled(store: &PostgresStore, accounts: &[Arc<Account>], each: usize) -> Vec<SessionId> {
    let entropy = Counting::default();
    let records: Vec<Record> = accounts
        .iter()
        .flat_map(|account| (0..each).map(|_| record(account, &entropy)))
        .collect();
    let ids = records.iter().map(|record| record.id).collect();
    let inserted = records.into_iter().map(|record| store.insert(record, None));
    for inserted in futures_util::future::join_all(inserted).await {
        assert_eq!(inserted.unwrap(), Inserted::Done);
    }
    ids
}
