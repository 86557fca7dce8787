//! Sessions in a [`Database`].

mod read;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use lastseen::store::devices::{Devices, text_of};
use lastseen::store::{End, Ended, Inserted, Opened, Record, Store, Unavailable, Use};
use lastseen::token::SecretHash;
use lastseen::{AccountKey, Policy, SessionId, Timestamp};

use crate::database::Database;
use crate::error::Error;
use crate::migration::{Migration, MigrationSet};

/// The store of one node: sessions in an SQLite file that this process alone has open.
///
/// Two methods take as many steps as it needs where the trait would let them take one, so that nobody waits long
/// behind them: [`Store::touch`] and [`Store::purge`]. After a fault in between, a part is done; to ask again
/// does the rest.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    database: Database,
    devices: Arc<Devices>,
}

impl SqliteStore {
    /// The tables of the store; the database has to be opened with them.
    pub const MIGRATIONS: MigrationSet = MigrationSet {
        name: "sessions",
        migrations: &[
            Migration {
                name: "sessions",
                sql: include_str!("migrations/sessions/0001_sessions.sql"),
            },
            Migration {
                name: "page_token",
                sql: include_str!("migrations/sessions/0002_page_token.sql"),
            },
        ],
    };

    /// The store in `database`, which was opened with [`SqliteStore::MIGRATIONS`] among its sets.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            devices: Arc::default(),
        }
    }

    /// The database that the sessions are in.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        Self::because(error)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open(&self, policy: Option<&Policy>, now: Timestamp) -> Result<Opened, Unavailable> {
        let policy = policy.copied();
        let opened = self
            .database
            .write(move |transaction| write::open(transaction, policy.as_ref(), now));
        Ok(opened.await?)
    }

    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable> {
        let device = text_of(&record.first.device);
        let inserted = self.database.write_unguarded(move |transaction| {
            write::insert(transaction, &record, &device, replaces.as_ref())
        });
        Ok(inserted.await?)
    }

    async fn find(&self, id: SessionId) -> Result<Option<Record>, Unavailable> {
        let devices = Arc::clone(&self.devices);
        Ok(self
            .database
            .read(move |transaction| read::find(transaction, &devices, id))
            .await?)
    }

    async fn list(&self, account: &AccountKey) -> Result<Vec<Record>, Unavailable> {
        let (devices, account) = (Arc::clone(&self.devices), account.clone());
        Ok(self
            .database
            .read(move |transaction| read::list(transaction, &devices, &account))
            .await?)
    }

    async fn name_of(&self, account: &AccountKey) -> Result<Option<Arc<str>>, Unavailable> {
        let account = account.clone();
        let found = self
            .database
            .read(move |transaction| read::account_by_key(transaction, &account))
            .await?;
        Ok(found.map(|(_, name)| name.into()))
    }

    async fn walk(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Record>, Unavailable> {
        let devices = Arc::clone(&self.devices);
        Ok(self
            .database
            .read(move |transaction| read::walk(transaction, &devices, after, limit))
            .await?)
    }

    async fn touch(&self, mut uses: Vec<Use>, now: Timestamp) -> Result<(), Unavailable> {
        if uses.len() <= 1 {
            // One use, or only the time, is what a request waits for.
            let touched = self.database.write_unguarded(move |transaction| {
                write::touch(transaction, &uses, now, || false).map(|_| ())
            });
            return Ok(touched.await?);
        }
        // Neighbours share pages. The sort is stable: of two uses of one session the later in the list stays later.
        uses.sort_by_key(|used| used.id.sequence());
        let uses: Arc<[Use]> = uses.into();
        let mut recorded = 0;
        while recorded < uses.len() {
            let uses = Arc::clone(&uses);
            recorded += self
                .database
                .write_giving_way(move |transaction, turn| {
                    let rest = uses.get(recorded..).unwrap_or_default();
                    write::touch(transaction, rest, now, || turn.is_over())
                })
                .await?;
        }
        Ok(())
    }

    async fn end(&self, account: Option<AccountKey>, ends: Vec<End>) -> Result<Ended, Unavailable> {
        let ended = self
            .database
            .write_unguarded(move |transaction| write::end(transaction, account.as_ref(), &ends));
        Ok(ended.await?)
    }

    async fn renew(
        &self,
        id: SessionId,
        hash: SecretHash,
        generation: u32,
    ) -> Result<bool, Unavailable> {
        Ok(self
            .database
            .write(move |transaction| write::renew(transaction, id, &hash, generation))
            .await?)
    }

    async fn set_page_token(&self, id: SessionId, hash: SecretHash) -> Result<bool, Unavailable> {
        Ok(self
            .database
            .write(move |transaction| write::set_page_token(transaction, id, &hash))
            .await?)
    }

    async fn purge(&self, ids: Vec<SessionId>) -> Result<u64, Unavailable> {
        let ids: Arc<[SessionId]> = ids.into();
        let (mut done, mut purged) = (0, 0);
        while done < ids.len() {
            let ids = Arc::clone(&ids);
            let step = self.database.write_giving_way(move |transaction, turn| {
                let rest = ids.get(done..).unwrap_or_default();
                write::purge(transaction, rest, || turn.is_over())
            });
            let (looked_at, gone) = step.await?;
            done += looked_at;
            purged += gone;
        }
        Ok(purged)
    }

    async fn check(&self) -> Result<(), Unavailable> {
        Ok(self.database.health().await?)
    }
}

#[cfg(test)]
mod tests;
