//! Sessions in a [`Database`].

mod batch;
mod end;
mod group;
mod insert;
mod rows;
mod statements;
mod write;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use futures_util::future::{join, try_join_all};
use lastseen::store::devices::Devices;
use lastseen::store::{
    Authority, End, Ended, Follower, Inserted, Lease, Opened, Others, Record, Store, Term,
    Unavailable, Use,
};
use lastseen::token::SecretHash;
use lastseen::{AccountKey, Policy, SessionId, Timestamp};
use tokio_postgres::types::Type;

use self::batch::Batches;
use self::end::Ends;
use self::group::Group;
use self::insert::Insert;
pub(crate) use self::rows::Bytes16;
use self::rows::{Place, get, key_of};
use crate::database::{Database, Durability};
use crate::error::Error;
use crate::migration::{Migration, MigrationSet};
use crate::node::Nodes;

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
    /// `None`: no lease ever runs.
    nodes: Option<Arc<Nodes>>,
    inserts: Arc<Batches<Insert>>,
    ends: Arc<Batches<Ends>>,
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
    /// Nothing is answered from memory over it.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            nodes: None,
            inserts: Arc::default(),
            ends: Arc::default(),
            devices: Arc::default(),
        }
    }

    /// The same for a process that is one of the nodes of `database`: memory answers while its lease runs.
    pub fn of_node(database: Database, nodes: Arc<Nodes>) -> Self {
        Self {
            nodes: Some(nodes),
            ..Self::new(database)
        }
    }

    /// The database that the sessions are in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    async fn touch_in_steps(&self, uses: Vec<Use>, now: Timestamp) -> Result<(), Error> {
        let uses = write::latest_of_each(uses);
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
                write::record_uses(&transaction, step).await?;
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
                .change(|transaction| async move { write::note_again(&transaction, again).await })
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

/// Every policy that was ever in force, read on a connection of the caller's.
pub(crate) async fn policies(client: &tokio_postgres::Client) -> Result<Vec<Policy>, Error> {
    let rows = client.query_typed(statements::POLICIES, &[]).await?;
    rows.iter().map(rows::policy).collect()
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
                write::add_policy(&transaction, policy).await?;
            }
            write::record_time(&transaction, now).await?;
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
        match &self.nodes {
            Some(nodes) => Authority::Leased(nodes.lease()),
            None => Authority::Leased(Arc::new(NoLease)),
        }
    }

    fn set_follower(&self, follower: Weak<dyn Follower>) {
        if let Some(nodes) = &self.nodes {
            nodes.set_follower(follower);
        }
    }

    async fn policies(&self) -> Result<Vec<Policy>, Unavailable> {
        let rows = self.database.query(statements::POLICIES, &[]).await?;
        Ok(rows.iter().map(rows::policy).collect::<Result<_, _>>()?)
    }

    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable> {
        let Some(end) = replaces else {
            return Ok(self.inserts.ask(&self.database, Insert(record)).await?);
        };
        let (record, end) = (&record, &end);
        let inserted = self.database.change(|transaction| async move {
            let inserted = insert::one(&transaction, record).await?;
            if inserted == Inserted::Done {
                let ended = write::end_sessions(&transaction, &[(None, end)]).await?;
                if ended.is_empty() {
                    write::tell_again(&transaction, [end.id].into_iter()).await?;
                }
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
        let touched = self.touch_in_steps(uses, now).await;
        self.database.learn(&touched);
        Ok(touched?)
    }

    async fn expire(
        &self,
        passed: Vec<(SessionId, Timestamp)>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Unavailable> {
        if passed.is_empty() {
            self.touch(Vec::new(), now).await?;
            return Ok(Vec::new());
        }
        let groups = &Group::of(passed.iter().map(|(id, _)| *id));
        let passed = &passed;
        let expired = self
            .database
            .change(|transaction| async move {
                let expired = write::expire(&transaction, groups, passed).await?;
                write::record_time(&transaction, now).await?;
                Ok(expired)
            })
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
        Ok(self
            .ends
            .ask(&self.database, Ends { account, ends })
            .await?)
    }

    async fn settle_account(&self, account: &AccountKey) -> Result<(), Unavailable> {
        let bits = &[i32::from(account.partition())].to_vec();
        let settled = self.database.change(|transaction| async move {
            let parameters: [crate::Parameter<'_>; 1] = [(bits, Type::INT4_ARRAY)];
            transaction
                .execute(statements::NOTE_PARTITIONS, &parameters)
                .await?;
            Ok(())
        });
        Ok(settled.await?)
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
                .change(|transaction| async move { write::purge(&transaction, groups).await });
            purged += count.await?;
        }
        Ok(purged)
    }

    async fn check(&self) -> Result<(), Unavailable> {
        Ok(self.database.health().await?)
    }

    async fn wait_behind(&self, others: Others<'_>) -> Result<(), Unavailable> {
        Ok(self.database.wait_behind(others).await?)
    }
}

#[cfg(test)]
mod tests;
