//! Applications in PostgreSQL, where several nodes add, remove and link at once.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use lastseen::store::Authority;
use lastseen::token::SecretHash;
use lastseen::{ApplicationId, SessionId, Timestamp, Unavailable};
use lastseen_postgres::tokio_postgres::Row;
use lastseen_postgres::tokio_postgres::types::Type;
use lastseen_postgres::{Database, Error, Migration, MigrationSet, Nodes, Transaction};

use super::name::ApplicationName;
use super::store::{
    Added, ApplicationFollower, ApplicationStore, StoredApplication, StoredLink, StoredWayBack,
};

/// The tables of applications and their links.
pub const POSTGRES_MIGRATIONS: MigrationSet = MigrationSet {
    name: "applications",
    migrations: &[Migration {
        name: "applications",
        sql: include_str!("migrations/postgres/0001_applications.sql"),
        only_adds: true,
    }],
};

/// The applications in one database, which must have been opened with [`POSTGRES_MIGRATIONS`].
#[derive(Clone)]
pub struct PostgresApplicationStore {
    database: Database,
    nodes: Arc<Nodes>,
}

impl PostgresApplicationStore {
    /// The applications in `database`, of which this process is one of `nodes`.
    pub fn new(database: Database, nodes: Arc<Nodes>) -> Self {
        Self { database, nodes }
    }
}

#[async_trait]
impl ApplicationStore for PostgresApplicationStore {
    fn authority(&self) -> Authority {
        Authority::Leased(self.nodes.lease())
    }

    fn set_follower(&self, follower: Weak<dyn ApplicationFollower>) {
        self.nodes.follow_kind("applications", move || {
            if let Some(follower) = follower.upgrade() {
                follower.forget_applications();
            }
        });
    }

    async fn add(
        &self,
        name: &ApplicationName,
        key_hash: SecretHash,
        added_at: Timestamp,
    ) -> Result<Added, Unavailable> {
        let added = self
            .database
            .change(async |transaction| add(&transaction, name, &key_hash, added_at).await);
        Ok(added.await?)
    }

    async fn list(&self) -> Result<Vec<StoredApplication>, Unavailable> {
        let rows = self
            .database
            .query(
                "SELECT id, name, key_hash, added_at, is_leaving FROM application ORDER BY name_key",
                &[],
            )
            .await?;
        Ok(rows
            .iter()
            .map(read_application)
            .collect::<Result<_, _>>()?)
    }

    async fn begin_removal(&self, id: ApplicationId) -> Result<(), Unavailable> {
        let begun = self.database.change(async |transaction| {
            let id = [(&number(id) as _, Type::INT8)];
            // Also where it was begun before: whoever asks again may not know that every node has heard of it.
            transaction
                .execute(
                    "UPDATE application SET is_leaving = true WHERE id = $1",
                    &id,
                )
                .await?;
            transaction
                .execute("DELETE FROM application_link WHERE application = $1", &id)
                .await
        });
        begun.await?;
        Ok(())
    }

    async fn finish_removal(&self, id: ApplicationId) -> Result<(), Unavailable> {
        let finished = self.database.change(async |transaction| {
            transaction
                .execute(
                    "DELETE FROM application WHERE id = $1",
                    &[(&number(id), Type::INT8)],
                )
                .await
        });
        finished.await?;
        Ok(())
    }

    async fn add_link(&self, link: StoredLink, now: Timestamp) -> Result<bool, Unavailable> {
        let kept = self.database.change(async |transaction| {
            forget_until(&transaction, "application_link", now).await?;
            // The share lock keeps a removal waiting, which then finds the link and forgets it.
            transaction
                .execute(
                    "INSERT INTO application_link (id, secret_hash, application, session, expires_at)
                     SELECT $1, $2, id, $4, $5 FROM application WHERE id = $3 AND NOT is_leaving FOR SHARE",
                    &[
                        (&&link.id[..], Type::BYTEA),
                        (&&link.secret_hash.as_bytes()[..], Type::BYTEA),
                        (&number(link.application), Type::INT8),
                        (&&link.session.as_bytes()[..], Type::BYTEA),
                        (&link.expires_at.as_millisecond(), Type::INT8),
                    ],
                )
                .await
        });
        Ok(kept.await? == 1)
    }

    async fn find_link(&self, id: &[u8; 16]) -> Result<Option<StoredLink>, Unavailable> {
        let rows = self
            .database
            .query(
                "SELECT secret_hash, application, session, expires_at FROM application_link WHERE id = $1",
                &[(&&id[..], Type::BYTEA)],
            )
            .await?;
        Ok(rows.first().map(|row| read_link(*id, row)).transpose()?)
    }

    async fn take_link(
        &self,
        id: &[u8; 16],
        secret_hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<StoredLink>, Unavailable> {
        let taken = self.database.change(async |transaction| {
            // Whoever comes second waits for the lock, and then there is no such row any more.
            let rows = transaction
                .query(
                    "SELECT secret_hash, application, session, expires_at FROM application_link
                     WHERE id = $1 FOR UPDATE",
                    &[(&&id[..], Type::BYTEA)],
                )
                .await?;
            let link = rows.first().map(|row| read_link(*id, row)).transpose()?;
            // Hashes are compared here, in constant time, and not by the database.
            let Some(link) =
                link.filter(|link| link.secret_hash == secret_hash && now < link.expires_at)
            else {
                return Ok(None);
            };
            transaction
                .execute(
                    "DELETE FROM application_link WHERE id = $1",
                    &[(&&id[..], Type::BYTEA)],
                )
                .await?;
            Ok(Some(link))
        });
        Ok(taken.await?)
    }

    async fn links(
        &self,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<StoredLink>, Unavailable> {
        let after = after.as_ref().map_or(&[][..], |after| &after[..]);
        let rows = self
            .database
            .query(
                "SELECT secret_hash, application, session, expires_at, id FROM application_link
                 WHERE id > $1 ORDER BY id LIMIT $2",
                &[(&after, Type::BYTEA), (&i64::from(limit), Type::INT8)],
            )
            .await?;
        let read = |row: &Row| read_link(read_bytes(row, 4)?, row);
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    async fn set_way_back(
        &self,
        way_back: StoredWayBack,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let kept = self.database.change(async |transaction| {
            forget_until(&transaction, "application_way_back", now).await?;
            transaction
                .execute(
                    "INSERT INTO application_way_back (session, application, address, expires_at)
                     SELECT $1, id, $3, $4 FROM application WHERE id = $2
                     ON CONFLICT (session) DO UPDATE SET address = excluded.address",
                    &[
                        (&&way_back.session.as_bytes()[..], Type::BYTEA),
                        (&number(way_back.application), Type::INT8),
                        (&&*way_back.address, Type::TEXT),
                        (&way_back.expires_at.as_millisecond(), Type::INT8),
                    ],
                )
                .await
        });
        kept.await?;
        Ok(())
    }

    async fn way_back(&self, session: SessionId) -> Result<Option<Box<str>>, Unavailable> {
        let rows = self
            .database
            .query(
                "SELECT address FROM application_way_back WHERE session = $1",
                &[(&&session.as_bytes()[..], Type::BYTEA)],
            )
            .await?;
        let address = rows.first().map(|row| row.try_get::<_, &str>(0));
        Ok(address.transpose().map_err(Error::from)?.map(Into::into))
    }

    async fn ways_back(
        &self,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<StoredWayBack>, Unavailable> {
        let after = after
            .as_ref()
            .map_or(&[][..], |after| &after.as_bytes()[..]);
        let rows = self
            .database
            .query(
                "SELECT session, application, address, expires_at FROM application_way_back
                 WHERE session > $1 ORDER BY session LIMIT $2",
                &[(&after, Type::BYTEA), (&i64::from(limit), Type::INT8)],
            )
            .await?;
        Ok(rows.iter().map(read_way_back).collect::<Result<_, _>>()?)
    }

    async fn last_number(&self) -> Result<ApplicationId, Unavailable> {
        let rows = self
            .database
            .query("SELECT last FROM application_number", &[])
            .await?;
        let last = rows.first().map(|row| read_number(row, 0)).transpose()?;
        Ok(last.unwrap_or(ApplicationId(0)))
    }

    async fn restore(
        &self,
        applications: Vec<StoredApplication>,
        last: ApplicationId,
    ) -> Result<(), Unavailable> {
        let restored = self.database.change(async |transaction| {
            for application in &applications {
                transaction
                    .execute(
                        "INSERT INTO application (id, name, name_key, key_hash, added_at, is_leaving)
                         VALUES ($1, $2, $3, $4, $5, $6)",
                        &[
                            (&number(application.id), Type::INT8),
                            (&application.name.as_str(), Type::TEXT),
                            (&application.name.key().as_str().as_bytes(), Type::BYTEA),
                            (&&application.key_hash.as_bytes()[..], Type::BYTEA),
                            (&application.added_at.as_millisecond(), Type::INT8),
                            (&application.is_leaving, Type::BOOL),
                        ],
                    )
                    .await?;
            }
            transaction
                .execute(
                    "UPDATE application_number SET last = $1",
                    &[(&number(last), Type::INT8)],
                )
                .await
        });
        restored.await?;
        Ok(())
    }
}

async fn add(
    transaction: &Transaction,
    name: &ApplicationName,
    key_hash: &SecretHash,
    added_at: Timestamp,
) -> Result<Added, Error> {
    // The row is locked until the commit: numbers are drawn one after the other.
    let rows = transaction
        .query(
            "UPDATE application_number SET last = last + 1 RETURNING last",
            &[],
        )
        .await?;
    let id: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    let number = u32::try_from(id).ok().filter(|number| *number > 0);
    let number =
        number.ok_or_else(|| Error::Corrupt("every number of an application is taken".into()))?;
    let key = name.key();
    let added = transaction
        .execute(
            "INSERT INTO application (id, name, name_key, key_hash, added_at, is_leaving)
             VALUES ($1, $2, $3, $4, $5, false) ON CONFLICT (name_key) DO NOTHING",
            &[
                (&id, Type::INT8),
                (&name.as_str(), Type::TEXT),
                (&key.as_str().as_bytes(), Type::BYTEA),
                (&&key_hash.as_bytes()[..], Type::BYTEA),
                (&added_at.as_millisecond(), Type::INT8),
            ],
        )
        .await?;
    Ok(if added > 0 {
        Added::Done(ApplicationId(number))
    } else {
        // The number that was drawn for nothing is never given away, which does no harm.
        Added::NameTaken
    })
}

/// Forgets the rows of a table that are worth nothing at `now`, but none that somebody is using up.
async fn forget_until(transaction: &Transaction, table: &str, now: Timestamp) -> Result<(), Error> {
    let key = if table == "application_link" {
        "id"
    } else {
        "session"
    };
    transaction
        .execute(
            &format!(
                "DELETE FROM {table} WHERE {key} IN (
                     SELECT {key} FROM {table} WHERE expires_at <= $1 FOR UPDATE SKIP LOCKED)"
            ),
            &[(&now.as_millisecond(), Type::INT8)],
        )
        .await?;
    Ok(())
}

fn number(id: ApplicationId) -> i64 {
    i64::from(id.0)
}

fn read_number(row: &Row, column: usize) -> Result<ApplicationId, Error> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number)
        .map(ApplicationId)
        .map_err(|_| Error::Corrupt("an application has a number that none can have".into()))
}

/// Reads so many bytes; another length cannot have been written by this program.
fn read_bytes<const LENGTH: usize>(row: &Row, column: usize) -> Result<[u8; LENGTH], Error> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes
        .try_into()
        .map_err(|_| Error::Corrupt("a value has another length than any can have".into()))
}

fn read_link(id: [u8; 16], row: &Row) -> Result<StoredLink, Error> {
    Ok(StoredLink {
        id,
        secret_hash: SecretHash::from_bytes(read_bytes(row, 0)?),
        application: read_number(row, 1)?,
        session: SessionId::from_bytes(read_bytes(row, 2)?),
        expires_at: Timestamp::from_millisecond(row.try_get(3)?),
    })
}

fn read_way_back(row: &Row) -> Result<StoredWayBack, Error> {
    let address: &str = row.try_get(2)?;
    Ok(StoredWayBack {
        session: SessionId::from_bytes(read_bytes(row, 0)?),
        application: read_number(row, 1)?,
        address: address.into(),
        expires_at: Timestamp::from_millisecond(row.try_get(3)?),
    })
}

fn read_application(row: &Row) -> Result<StoredApplication, Error> {
    let name = ApplicationName::new(row.try_get(1)?);
    let name =
        name.map_err(|_| Error::Corrupt("an application has a name that none can have".into()))?;
    Ok(StoredApplication {
        id: read_number(row, 0)?,
        name,
        key_hash: SecretHash::from_bytes(read_bytes(row, 2)?),
        added_at: Timestamp::from_millisecond(row.try_get(3)?),
        is_leaving: row.try_get(4)?,
    })
}
