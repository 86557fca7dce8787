//! Sign-ins: those that wait share a statement, and with it a commit.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use lastseen::store::{Inserted, Record};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::devices::text_of;
use super::rows::{Bytes16, Place, get, key_of};
use super::statements::INSERT;
use crate::database::{Database, Durability, Parameter, Transaction};
use crate::error::Error;

/// Rows in one statement. More gain nothing: the statement is a small part of each by then.
const ROWS: usize = 128;
/// Statements under way at once: while one waits for the disk, the other is worked out.
const LANES: usize = 2;
/// Sign-ins that may wait; one more is refused. The last of them waits a second or less.
const WAITING: usize = 16_384;

/// What waits to be inserted.
#[derive(Debug, Default)]
pub(super) struct Inserts {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    lanes: usize,
}

#[derive(Debug)]
struct Waiting {
    record: Record,
    answer: oneshot::Sender<Result<Inserted, Error>>,
}

impl Inserts {
    /// Inserts a session together with others that wait. It is done even if nobody waits for the answer any
    /// more, unless it had not begun.
    pub(super) async fn insert(
        self: &Arc<Self>,
        database: &Database,
        record: Record,
    ) -> Result<Inserted, Error> {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= WAITING {
                return Err(Error::Overloaded);
            }
            queue.waiting.push_back(Waiting { record, answer });
            if queue.lanes < LANES {
                queue.lanes += 1;
                let lane = Lane(Arc::clone(self));
                tokio::spawn(lane.work(database.clone()));
            }
        }
        match tokio::time::timeout(database.options().patience, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::TimedOut),
        }
    }
}

/// One of those that insert what waits. Counted until it is dropped.
struct Lane(Arc<Inserts>);

impl Lane {
    async fn work(self, database: Database) {
        loop {
            let batch: Vec<Waiting> = {
                let mut queue = self.0.queue.lock();
                let count = queue.waiting.len().min(ROWS);
                queue.waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return self.leave(&database);
            }
            run(&database, batch).await;
        }
    }

    /// Ends, unless something came meanwhile and nobody else is there for it.
    fn leave(self, database: &Database) {
        let inserts = Arc::clone(&self.0);
        drop(self);
        let mut queue = inserts.queue.lock();
        if !queue.waiting.is_empty() && queue.lanes < LANES {
            queue.lanes += 1;
            tokio::spawn(Self(Arc::clone(&inserts)).work(database.clone()));
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.queue.lock().lanes -= 1;
    }
}

/// Inserts what came together, and answers each.
async fn run(database: &Database, batch: Vec<Waiting>) {
    let mut places = HashSet::with_capacity(batch.len());
    let mut rows = Vec::with_capacity(batch.len());
    for waiting in batch {
        // Nobody waits for it: it would come as a surprise.
        if waiting.answer.is_closed() {
            continue;
        }
        if places.insert(Place::of(waiting.record.id)) {
            rows.push(waiting);
        } else {
            // The other one is first, or was told the same.
            let _ = waiting.answer.send(Ok(Inserted::IdTaken));
        }
    }
    if rows.is_empty() {
        return;
    }
    let columns = Columns::new(rows.iter().map(|waiting| &waiting.record));
    let inserted = alone(database, &columns).await;
    if rows.len() > 1 && matches!(&inserted, Err(error) if is_of_one_row(error)) {
        // One of them cannot be inserted; the others are not to suffer for it.
        for Waiting { record, answer } in rows {
            let inserted = alone(database, &Columns::new([&record].into_iter())).await;
            let _ = answer.send(inserted.map(|inserted| told(&inserted, &record)));
        }
        return;
    }
    for Waiting { record, answer } in rows {
        let inserted = inserted.as_ref().map(|inserted| told(inserted, &record));
        let _ = answer.send(inserted.map_err(Clone::clone));
    }
}

/// Whether the fault may be with what was sent rather than with the database.
fn is_of_one_row(error: &Error) -> bool {
    matches!(error, Error::Refused { .. })
}

fn told(inserted: &HashSet<Place>, record: &Record) -> Inserted {
    if inserted.contains(&Place::of(record.id)) {
        Inserted::Done
    } else {
        Inserted::IdTaken
    }
}

/// Inserts in a transaction that does nothing else.
async fn alone(database: &Database, columns: &Columns) -> Result<HashSet<Place>, Error> {
    let transaction = database.begin(Durability::Durable).await?;
    places(&transaction.finish(INSERT, &columns.parameters()).await?)
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
