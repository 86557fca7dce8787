//! Sign-ins: those that wait share a statement, and with it a commit.

use std::collections::{HashMap, HashSet};

use lastseen::store::devices::text_of;
use lastseen::store::{Inserted, Record};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::batch::{Job, Waiting};
use super::rows::{Bytes16, Place, get, key_of};
use super::statements::INSERT;
use crate::database::{Database, Parameter, Transaction};
use crate::error::Error;

/// A sign-in.
#[derive(Debug)]
pub(super) struct Insert(pub(super) Record);

impl Job for Insert {
    type Answer = Inserted;

    /// More gain nothing: the statement is a small part of each by then.
    const MOST: usize = 128;

    fn weight(&self) -> usize {
        1
    }

    async fn run(database: &Database, deadline: Instant, batch: Vec<Waiting<Self>>) {
        run(database, deadline, batch).await;
    }
}

/// Inserts what came together, and answers each.
async fn run(database: &Database, deadline: Instant, batch: Vec<Waiting<Insert>>) {
    let mut places = HashSet::with_capacity(batch.len());
    // Of two with one place the other one is first, or was told the same.
    let (rows, taken): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .partition(|waiting| places.insert(Place::of(waiting.job.0.id)));
    for waiting in taken {
        waiting.answer(Ok(Inserted::IdTaken));
    }
    let columns = Columns::new(rows.iter().map(|waiting| &waiting.job.0));
    let inserted = alone(database, deadline, &columns).await;
    if rows.len() > 1 && inserted.as_ref().is_err_and(Error::is_refusal) {
        // One of them cannot be inserted; the others are not to suffer for it.
        for waiting in rows {
            let record = &waiting.job.0;
            let columns = Columns::new([record].into_iter());
            let inserted = alone(database, deadline, &columns).await;
            let told = inserted.map(|inserted| told(&inserted, record));
            waiting.answer(told);
        }
        return;
    }
    for waiting in rows {
        let inserted = inserted.as_ref().map_err(Clone::clone);
        let told = inserted.map(|inserted| told(inserted, &waiting.job.0));
        waiting.answer(told);
    }
}

fn told(inserted: &HashSet<Place>, record: &Record) -> Inserted {
    if inserted.contains(&Place::of(record.id)) {
        Inserted::Done
    } else {
        Inserted::IdTaken
    }
}

/// Inserts in a transaction that does nothing else.
async fn alone(
    database: &Database,
    deadline: Instant,
    columns: &Columns,
) -> Result<HashSet<Place>, Error> {
    let rows = database
        .write_once(deadline, INSERT, &columns.parameters())
        .await?;
    places(&rows)
}

/// Inserts one session as a part of a transaction.
pub(super) async fn one(transaction: &Transaction, record: &Record) -> Result<Inserted, Error> {
    let columns = Columns::new([record].into_iter());
    let rows = transaction.query(INSERT, &columns.parameters()).await?;
    Ok(told(&places(&rows)?, record))
}

fn places(rows: &[Row]) -> Result<HashSet<Place>, Error> {
    rows.iter()
        .map(|row| {
            Ok(Place {
                bits: get(row, 0)?,
                sequence: get(row, 1)?,
            })
        })
        .collect()
}

/// Sessions by column, as `unnest` takes them.
#[derive(Default)]
struct Columns {
    bits: Vec<i32>,
    sequences: Vec<i64>,
    ids: Vec<Bytes16>,
    accounts: Vec<Bytes16>,
    token_hashes: Vec<Vec<u8>>,
    token_generations: Vec<i64>,
    policies: Vec<i64>,
    remembered: Vec<bool>,
    created_at: Vec<i64>,
    first_addresses: Vec<Option<std::net::IpAddr>>,
    first_devices: Vec<String>,
    page_token_hashes: Vec<Option<Vec<u8>>>,
    expired: Vec<bool>,
    ended_at: Vec<Option<i64>>,
    left_list_at: Vec<Option<i64>>,
    ended_causes: Vec<Option<&'static str>>,
    ended_by: Vec<Option<Bytes16>>,
    owners: Owners,
    uses: Uses,
}

/// The accounts, each once, in the order of their keys: two statements that lock the same do it in one order.
#[derive(Default)]
struct Owners {
    bits: Vec<i32>,
    keys: Vec<Bytes16>,
    sources: Vec<i64>,
    ids: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
}

/// The last uses of those that were used after they began.
#[derive(Default)]
struct Uses {
    bits: Vec<i32>,
    sequences: Vec<i64>,
    used_at: Vec<i64>,
    addresses: Vec<Option<std::net::IpAddr>>,
    devices: Vec<Option<String>>,
}

impl Columns {
    fn new<'record>(records: impl Iterator<Item = &'record Record>) -> Self {
        let mut columns = Self::default();
        let mut accounts = HashMap::new();
        for record in records {
            let Place { bits, sequence } = Place::of(record.id);
            let key = key_of(&record.account.key);
            // The last one's name counts.
            accounts.insert((bits, key), &record.account);
            let first_device = text_of(&record.first.device);
            columns.bits.push(bits);
            columns.sequences.push(sequence);
            columns.ids.push(record.id.into());
            columns.accounts.push(key);
            columns
                .token_hashes
                .push(record.token_hash.as_bytes().to_vec());
            columns
                .token_generations
                .push(i64::from(record.token_generation));
            columns.policies.push(i64::from(record.policy.0));
            columns.remembered.push(record.remembered);
            columns.created_at.push(record.created_at.as_millisecond());
            columns.first_addresses.push(record.first.ip_address);
            columns
                .page_token_hashes
                .push(record.page_token_hash.map(|hash| hash.as_bytes().to_vec()));
            columns.expired.push(record.expired);
            let ended = record.ended.as_ref();
            columns
                .ended_at
                .push(ended.map(|ending| ending.at.as_millisecond()));
            columns
                .left_list_at
                .push(ended.map(|ending| ending.left_list_at.as_millisecond()));
            let parts = ended.map(|ending| ending.by.to_parts());
            columns.ended_causes.push(parts.map(|(cause, _)| cause));
            columns
                .ended_by
                .push(parts.and_then(|(_, by)| by).map(Bytes16::from));
            if record.last_used_at != record.created_at || record.last != record.first {
                let device = text_of(&record.last.device);
                columns.uses.bits.push(bits);
                columns.uses.sequences.push(sequence);
                columns
                    .uses
                    .used_at
                    .push(record.last_used_at.as_millisecond());
                columns.uses.addresses.push(record.last.ip_address);
                columns
                    .uses
                    .devices
                    .push(Some(device).filter(|device| *device != first_device));
            }
            columns.first_devices.push(first_device);
        }
        let mut accounts: Vec<_> = accounts.into_iter().collect();
        accounts.sort_unstable_by_key(|(place, _)| *place);
        for ((bits, key), account) in accounts {
            columns.owners.bits.push(bits);
            columns.owners.keys.push(key);
            columns
                .owners
                .sources
                .push(i64::from(account.key.source.number()));
            columns.owners.ids.push(account.key.id.as_str().into());
            columns.owners.names.push(account.name.as_bytes().to_vec());
        }
        columns
    }

    fn parameters(&self) -> [Parameter<'_>; 27] {
        let Owners {
            bits,
            keys,
            sources,
            ids,
            names,
        } = &self.owners;
        [
            (&self.bits, Type::INT4_ARRAY),
            (&self.sequences, Type::INT8_ARRAY),
            (&self.ids, Type::UUID_ARRAY),
            (&self.accounts, Type::UUID_ARRAY),
            (&self.token_hashes, Type::BYTEA_ARRAY),
            (&self.token_generations, Type::INT8_ARRAY),
            (&self.policies, Type::INT8_ARRAY),
            (&self.remembered, Type::BOOL_ARRAY),
            (&self.created_at, Type::INT8_ARRAY),
            (&self.first_addresses, Type::INET_ARRAY),
            (&self.first_devices, Type::TEXT_ARRAY),
            (&self.page_token_hashes, Type::BYTEA_ARRAY),
            (&self.expired, Type::BOOL_ARRAY),
            (&self.ended_at, Type::INT8_ARRAY),
            (&self.left_list_at, Type::INT8_ARRAY),
            (&self.ended_causes, Type::TEXT_ARRAY),
            (&self.ended_by, Type::UUID_ARRAY),
            (bits, Type::INT4_ARRAY),
            (keys, Type::UUID_ARRAY),
            (sources, Type::INT8_ARRAY),
            (ids, Type::BYTEA_ARRAY),
            (names, Type::BYTEA_ARRAY),
            (&self.uses.bits, Type::INT4_ARRAY),
            (&self.uses.sequences, Type::INT8_ARRAY),
            (&self.uses.used_at, Type::INT8_ARRAY),
            (&self.uses.addresses, Type::INET_ARRAY),
            (&self.uses.devices, Type::TEXT_ARRAY),
        ]
    }
}
