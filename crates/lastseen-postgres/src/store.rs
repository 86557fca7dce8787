//! Sessions in a [`Database`].

mod devices;
mod insert;
mod rows;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, try_join_all};
use lastseen::store::{
    Authority, End, Ended, Inserted, Lease, Opened, Record, Store, Term, Unavailable, Use,
};
use lastseen::token::SecretHash;
use lastseen::{AccountKey, Policy, SessionId, Timestamp};
use tokio_postgres::types::Type;

use self::devices::{Devices, text_of};
use self::insert::Inserts;
use self::rows::{Bytes16, Place, get, key_of};
use crate::database::{Database, Durability, Parameter, Transaction};
use crate::error::Error;
use crate::migration::{Migration, MigrationSet};

/// Uses that are recorded in one transaction: 5 ms, for which nobody waits but who asks for the same rows.
const USES_IN_ONE_STEP: usize = 500;
/// Records that are deleted in one transaction.
const PURGED_IN_ONE_STEP: usize = 500;

/// The store of several nodes: sessions in one PostgreSQL database.
///
/// Two methods take many small steps where the trait would let them take one, so that nobody waits long
/// behind them: [`Store::touch`] and [`Store::purge`]. After a fault in between, a part is done; to ask again
/// does the rest.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    database: Database,
    inserts: Arc<Inserts>,
    devices: Arc<Devices>,
}

impl PostgresStore {
    /// The tables of the store; the database has to be opened with them.
    pub const MIGRATIONS: MigrationSet = MigrationSet {
        name: "sessions",
        migrations: &[Migration {
            name: "sessions",
            sql: include_str!("migrations/sessions/0001_sessions.sql"),
            only_adds: true,
        }],
    };

    /// The store in `database`, which was opened with [`PostgresStore::MIGRATIONS`] among its sets.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            inserts: Arc::default(),
            devices: Arc::new(Devices::new()),
        }
    }

    /// The database that the sessions are in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The records of rows. One that is expired is answered only when every node knows that: whoever is
    /// refused because of it here is accepted nowhere any more.
    async fn records(&self, rows: &[tokio_postgres::Row]) -> Result<Vec<Record>, Error> {
        let mut records = Vec::with_capacity(rows.len());
        let mut unsettled = Vec::new();
        for row in rows {
            let (record, settled) = rows::record(row, &self.devices)?;
            if record.expired && record.ended.is_none() && !settled {
                unsettled.push(record.id);
            }
            records.push(record);
        }
        if !unsettled.is_empty() {
            let again: Vec<Bytes16> = unsettled.iter().copied().map(Bytes16::from).collect();
            let again = &again;
            self.database
                .change(|transaction| async move { note_again(&transaction, again).await })
                .await?;
            self.settle(&unsettled).await;
        }
        Ok(records)
    }

    /// Notes that every node knows these as expired. Where it fails, the next one who reads them tells the
    /// nodes again: no harm but the time.
    async fn settle(&self, ids: &[SessionId]) {
        let settled = async {
            let transaction = self.database.begin(Durability::Soon).await?;
            let groups = Group::of(ids.iter().copied());
            let transaction_of_all = &transaction;
            let settled = groups.iter().map(|group| async move {
                let [bits, sequences, _] = group.parameters();
                transaction_of_all
                    .execute(statements::SETTLE, &[bits, sequences])
                    .await
            });
            try_join_all(settled).await?;
            transaction.commit().await
        };
        if let Err(error) = settled.await {
            tracing::debug!(%error, "expired sessions were not noted as known everywhere");
        }
    }
}

/// Sessions of one partition's bits, by column.
#[derive(Debug, Default)]
struct Group {
    bits: i32,
    sequences: Vec<i64>,
    ids: Vec<Bytes16>,
    /// The places that they had in what was grouped.
    origins: Vec<usize>,
}

impl Group {
    /// In the order of the bits, so that whoever locks several does it in one order.
    fn of(ids: impl Iterator<Item = SessionId>) -> Vec<Self> {
        let mut groups: BTreeMap<i32, Self> = BTreeMap::new();
        for (origin, id) in ids.enumerate() {
            let Place { bits, sequence } = Place::of(id);
            let group = groups.entry(bits).or_default();
            group.bits = bits;
            group.sequences.push(sequence);
            group.ids.push(id.into());
            group.origins.push(origin);
        }
        groups.into_values().collect()
    }

    /// Bits, sequences and ids: the parameters that nearly every statement on several sessions begins with.
    fn parameters(&self) -> [Parameter<'_>; 3] {
        [
            (&self.bits, Type::INT4),
            (&self.sequences, Type::INT8_ARRAY),
            (&self.ids, Type::UUID_ARRAY),
        ]
    }

    /// What belongs to the sessions of this group, out of what belongs to all of them.
    fn pick<Value>(&self, of: impl Fn(usize) -> Value) -> Vec<Value> {
        self.origins.iter().map(|origin| of(*origin)).collect()
    }
}

/// No node over this store answers from memory.
#[derive(Debug)]
struct NoLease;

impl Lease for NoLease {
    fn term(&self) -> Option<Term> {
        None
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn open(&self, policy: Option<&Policy>, now: Timestamp) -> Result<Opened, Unavailable> {
        let opened = self.database.change(|transaction| async move {
            if let Some(policy) = policy {
                add_policy(&transaction, policy).await?;
            }
            record_time(&transaction, now).await?;
            let (policies, latest) = join(
                transaction.query(statements::POLICIES, &[]),
                transaction.query(statements::LATEST_TIME, &[]),
            )
            .await;
            let policies = policies?
                .iter()
                .map(rows::policy)
                .collect::<Result<_, _>>()?;
            let latest = match latest?.first() {
                Some(row) => Timestamp::from_millisecond(get(row, 0)?),
                None => now,
            };
            Ok(Opened { policies, latest })
        });
        Ok(opened.await?)
    }

    fn authority(&self) -> Authority {
        Authority::Leased(Arc::new(NoLease))
    }

    async fn policies(&self) -> Result<Vec<Policy>, Unavailable> {
        let rows = self.database.query(statements::POLICIES, &[]).await?;
        Ok(rows.iter().map(rows::policy).collect::<Result<_, _>>()?)
    }

    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable> {
        let Some(end) = replaces else {
            return Ok(self.inserts.insert(&self.database, record).await?);
        };
        let (record, ends) = (&record, &[end]);
        let inserted = self.database.change(|transaction| async move {
            let inserted = insert::one(&transaction, record).await?;
            if inserted == Inserted::Done {
                end_sessions(&transaction, ends).await?;
            }
            Ok(inserted)
        });
        Ok(inserted.await?)
    }

    async fn find(&self, id: SessionId) -> Result<Option<Record>, Unavailable> {
        let place = Place::of(id);
        let rows = self
            .database
            .query(
                statements::FIND,
                &[
                    (&place.bits, Type::INT4),
                    (&place.sequence, Type::INT8),
                    (&Bytes16::from(id), Type::UUID),
                ],
            )
            .await?;
        Ok(self.records(&rows).await?.pop())
    }

    async fn list(&self, account: &AccountKey) -> Result<Vec<Record>, Unavailable> {
        let (bits, key) = (i32::from(account.partition()), key_of(account));
        let rows = self
            .database
            .query(statements::LIST, &[(&bits, Type::INT4), (&key, Type::UUID)])
            .await?;
        Ok(self.records(&rows).await?)
    }

    async fn count(&self, account: &AccountKey) -> Result<usize, Unavailable> {
        let (bits, key) = (i32::from(account.partition()), key_of(account));
        let rows = self
            .database
            .query(
                statements::COUNT,
                &[(&bits, Type::INT4), (&key, Type::UUID)],
            )
            .await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
        // An account's sessions are counted in thousands.
        Ok(usize::try_from(count).unwrap_or(0))
    }

    async fn name_of(&self, account: &AccountKey) -> Result<Option<Arc<str>>, Unavailable> {
        let (bits, key) = (i32::from(account.partition()), key_of(account));
        let rows = self
            .database
            .query(
                statements::NAME_OF,
                &[(&bits, Type::INT4), (&key, Type::UUID)],
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(rows::text(get(row, 0)?)?.into()))
    }

    async fn walk(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Record>, Unavailable> {
        let place = after.map_or(
            Place {
                bits: -1,
                sequence: 0,
            },
            Place::of,
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self
            .database
            .query(
                statements::WALK,
                &[
                    (&place.bits, Type::INT4),
                    (&place.sequence, Type::INT8),
                    (&limit, Type::INT8),
                ],
            )
            .await?;
        // Whoever walks looks at all sessions, and refuses nobody.
        let records = rows
            .iter()
            .map(|row| rows::record(row, &self.devices).map(|(record, _)| record));
        Ok(records.collect::<Result<_, _>>()?)
    }

    async fn touch(&self, uses: Vec<Use>, now: Timestamp) -> Result<(), Unavailable> {
        let uses = latest_of_each(uses);
        let mut rest = uses.as_slice();
        loop {
            let (step, later) = rest.split_at(rest.len().min(USES_IN_ONE_STEP));
            rest = later;
            // The last commit waits for the disk, and for all that were before it.
            let durability = if rest.is_empty() {
                Durability::Durable
            } else {
                Durability::Soon
            };
            let transaction = self.database.begin(durability).await?;
            if !step.is_empty() {
                record_uses(&transaction, step).await?;
            }
            if !rest.is_empty() {
                transaction.commit().await?;
                continue;
            }
            let milliseconds = now.as_millisecond();
            transaction
                .finish(statements::RECORD_TIME, &[(&milliseconds, Type::INT8)])
                .await?;
            return Ok(());
        }
    }

    async fn expire(
        &self,
        passed: Vec<(SessionId, Timestamp)>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Unavailable> {
        if passed.is_empty() {
            return Ok(self.touch(Vec::new(), now).await.map(|()| Vec::new())?);
        }
        let groups = &Group::of(passed.iter().map(|(id, _)| *id));
        let passed = &passed;
        let expired = self
            .database
            .change(|transaction| async move { expire(&transaction, groups, passed).await })
            .await?;
        let news: Vec<SessionId> = expired
            .iter()
            .filter_map(|(id, settled)| (!settled).then_some(*id))
            .collect();
        if !news.is_empty() {
            self.settle(&news).await;
        }
        Ok(expired.into_iter().map(|(id, _)| id).collect())
    }

    async fn end(&self, account: Option<AccountKey>, ends: Vec<End>) -> Result<Ended, Unavailable> {
        let (account, ends) = (account.as_ref(), &ends);
        let ended = self.database.change(|transaction| async move {
            if let Some(account) = account
                && !all_are_of(&transaction, account, ends).await?
            {
                return Ok(Ended::NotFound);
            }
            end_sessions(&transaction, ends).await.map(Ended::Done)
        });
        Ok(ended.await?)
    }

    async fn renew(
        &self,
        id: SessionId,
        hash: SecretHash,
        generation: u32,
    ) -> Result<bool, Unavailable> {
        let Place { bits, sequence } = Place::of(id);
        let changed = self.database.change(|transaction| async move {
            transaction
                .execute(
                    statements::RENEW,
                    &[
                        (&bits, Type::INT4),
                        (&sequence, Type::INT8),
                        (&Bytes16::from(id), Type::UUID),
                        (&hash.as_bytes().as_slice(), Type::BYTEA),
                        (&i64::from(generation), Type::INT8),
                    ],
                )
                .await
        });
        Ok(changed.await? == 1)
    }

    async fn set_page_token(&self, id: SessionId, hash: SecretHash) -> Result<bool, Unavailable> {
        let Place { bits, sequence } = Place::of(id);
        let changed = self.database.change(|transaction| async move {
            transaction
                .execute(
                    statements::SET_PAGE_TOKEN,
                    &[
                        (&bits, Type::INT4),
                        (&sequence, Type::INT8),
                        (&Bytes16::from(id), Type::UUID),
                        (&hash.as_bytes().as_slice(), Type::BYTEA),
                    ],
                )
                .await
        });
        Ok(changed.await? == 1)
    }

    async fn purge(&self, ids: Vec<SessionId>) -> Result<u64, Unavailable> {
        let mut purged = 0;
        for step in ids.chunks(PURGED_IN_ONE_STEP) {
            let groups = &Group::of(step.iter().copied());
            let count = self
                .database
                .change(|transaction| async move { purge(&transaction, groups).await });
            purged += count.await?;
        }
        Ok(purged)
    }

    async fn check(&self) -> Result<(), Unavailable> {
        Ok(self.database.health().await?)
    }
}

/// Records `policy`, unless it is the newest.
async fn add_policy(transaction: &Transaction, policy: &Policy) -> Result<(), Error> {
    let (locked, rows) = join(
        transaction.execute(statements::LOCK_POLICIES, &[]),
        transaction.query(statements::POLICIES, &[]),
    )
    .await;
    locked?;
    let rows = rows?;
    if let Some(newest) = rows.last()
        && rows::policy(newest)? == *policy
    {
        return Ok(());
    }
    let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    // A history of more policies than that does not fit in memory.
    let number = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    transaction
        .execute(
            statements::INSERT_POLICY,
            &[
                (&number, Type::INT8),
                (&milliseconds(policy.idle_timeout), Type::INT8),
                (&milliseconds(policy.remembered_idle_timeout), Type::INT8),
                (&milliseconds(policy.absolute_lifetime), Type::INT8),
            ],
        )
        .await?;
    Ok(())
}

async fn record_time(transaction: &Transaction, now: Timestamp) -> Result<(), Error> {
    transaction
        .execute(
            statements::RECORD_TIME,
            &[(&now.as_millisecond(), Type::INT8)],
        )
        .await?;
    Ok(())
}

/// The use of each session that counts, in the order of the rows: that of nodes that record at once.
fn latest_of_each(mut uses: Vec<Use>) -> Vec<Use> {
    // The sort is stable: of two uses in one millisecond the later in the list stays later.
    uses.sort_by_key(|used| (Place::of(used.id), used.id, used.at));
    uses.reverse();
    uses.dedup_by_key(|used| used.id);
    uses.reverse();
    uses
}

/// Records uses, each of another session.
async fn record_uses(transaction: &Transaction, uses: &[Use]) -> Result<(), Error> {
    let (mut bits, mut sequences) = (Vec::new(), Vec::new());
    for used in uses {
        let place = Place::of(used.id);
        bits.push(place.bits);
        sequences.push(place.sequence);
    }
    let ids: Vec<Bytes16> = uses.iter().map(|used| used.id.into()).collect();
    let used_at: Vec<i64> = uses.iter().map(|used| used.at.as_millisecond()).collect();
    let addresses: Vec<_> = uses.iter().map(|used| used.origin.ip_address).collect();
    let devices: Vec<String> = uses
        .iter()
        .map(|used| text_of(&used.origin.device))
        .collect();
    transaction
        .execute(
            statements::TOUCH,
            &[
                (&bits, Type::INT4_ARRAY),
                (&sequences, Type::INT8_ARRAY),
                (&ids, Type::UUID_ARRAY),
                (&used_at, Type::INT8_ARRAY),
                (&addresses, Type::INET_ARRAY),
                (&devices, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(())
}

/// Whether every one of the ids belongs to the account, ended or not.
async fn all_are_of(
    transaction: &Transaction,
    account: &AccountKey,
    ends: &[End],
) -> Result<bool, Error> {
    let mut ids: Vec<SessionId> = ends.iter().map(|end| end.id).collect();
    ids.sort_unstable();
    ids.dedup();
    // An id that nobody has and one of another account look the same.
    if ids.iter().any(|id| id.partition() != account.partition()) {
        return Ok(false);
    }
    let (bits, key) = (i32::from(account.partition()), key_of(account));
    let sequences: Vec<i64> = ids.iter().map(|id| id.sequence()).collect();
    let wanted: Vec<Bytes16> = ids.iter().copied().map(Bytes16::from).collect();
    let rows = transaction
        .query(
            statements::OWN,
            &[
                (&bits, Type::INT4),
                (&key, Type::UUID),
                (&sequences, Type::INT8_ARRAY),
                (&wanted, Type::UUID_ARRAY),
            ],
        )
        .await?;
    let own: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
    Ok(usize::try_from(own) == Ok(ids.len()))
}

/// Ends sessions, with the uses that come along; the ids of those that this ended.
async fn end_sessions(transaction: &Transaction, ends: &[End]) -> Result<Vec<SessionId>, Error> {
    let uses: Vec<Use> = ends.iter().filter_map(|end| end.last_use.clone()).collect();
    if !uses.is_empty() {
        record_uses(transaction, &latest_of_each(uses)).await?;
    }
    let groups = Group::of(ends.iter().map(|end| end.id));
    let ended = groups.iter().map(|group| async move {
        let ending = |origin: usize| ends[origin].ending;
        let ended_at = group.pick(|origin| ending(origin).at.as_millisecond());
        let left_list_at = group.pick(|origin| ending(origin).left_list_at.as_millisecond());
        let causes = group.pick(|origin| ending(origin).by.to_parts().0);
        let by = group.pick(|origin| ending(origin).by.to_parts().1.map(Bytes16::from));
        let [bits, sequences, ids] = group.parameters();
        let rows = transaction
            .query(
                statements::END,
                &[
                    bits,
                    sequences,
                    ids,
                    (&ended_at, Type::INT8_ARRAY),
                    (&left_list_at, Type::INT8_ARRAY),
                    (&causes, Type::TEXT_ARRAY),
                    (&by, Type::UUID_ARRAY),
                ],
            )
            .await?;
        rows.iter()
            .map(|row| Ok(get::<Bytes16>(row, 0)?.into()))
            .collect::<Result<Vec<SessionId>, Error>>()
    });
    Ok(try_join_all(ended).await?.concat())
}

/// Marks those that nobody has used since; all that are marked then, and whether every node is known to know.
async fn expire(
    transaction: &Transaction,
    groups: &[Group],
    passed: &[(SessionId, Timestamp)],
) -> Result<Vec<(SessionId, bool)>, Error> {
    let expired = groups.iter().map(|group| async move {
        let used_at = group.pick(|origin| passed[origin].1.as_millisecond());
        let [bits, sequences, ids] = group.parameters();
        let marks = [bits, sequences, ids, (&used_at, Type::INT8_ARRAY)];
        let places = group.parameters();
        // A statement each: the second sees the uses for which the first had to wait.
        let (held, (marked, expired)) = join(
            transaction.execute(statements::HOLD_USES, &places),
            join(
                transaction.query(statements::EXPIRE, &marks),
                transaction.query(statements::EXPIRED, &places),
            ),
        )
        .await;
        held?;
        let marked = marked?
            .iter()
            .map(|row| get(row, 0))
            .collect::<Result<Vec<Bytes16>, _>>()?;
        let expired = expired?
            .iter()
            .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
            .collect::<Result<Vec<(Bytes16, bool)>, Error>>()?;
        Ok::<_, Error>((marked, expired))
    });
    let mut all = Vec::new();
    let mut untold = Vec::new();
    for (marked, expired) in try_join_all(expired).await? {
        for (id, settled) in expired {
            // Somebody else has marked it, and may still be waiting for the nodes.
            if !settled && !marked.contains(&id) {
                untold.push(id);
            }
            all.push((id.into(), settled));
        }
    }
    if !untold.is_empty() {
        note_again(transaction, &untold).await?;
    }
    Ok(all)
}

/// Tells the nodes of sessions once more.
async fn note_again(transaction: &Transaction, ids: &[Bytes16]) -> Result<(), Error> {
    transaction
        .query(statements::NOTE_AGAIN, &[(&ids, Type::UUID_ARRAY)])
        .await?;
    Ok(())
}

/// Deletes the records of those that have ended; how many that were.
async fn purge(transaction: &Transaction, groups: &[Group]) -> Result<u64, Error> {
    let purged = groups.iter().map(|group| async move {
        let places = group.parameters();
        let (held, purged) = join(
            transaction.query(statements::HOLD_ACCOUNTS, &places),
            transaction.query(statements::PURGE, &places),
        )
        .await;
        held?;
        let count: i64 = purged?.first().map_or(Ok(0), |row| get(row, 0))?;
        Ok::<_, Error>(count.unsigned_abs())
    });
    Ok(try_join_all(purged).await?.into_iter().sum())
}
