//! Applications in SQLite.

use async_trait::async_trait;
use lastseen::token::SecretHash;
use lastseen::{ApplicationId, SessionId, Timestamp, Unavailable};
use lastseen_sqlite::{Database, Error, Migration, MigrationSet, Transaction};
use rusqlite::{OptionalExtension as _, Row, params};

use super::name::ApplicationName;
use super::store::{Added, ApplicationStore, StoredApplication, StoredLink, StoredWayBack};
use crate::storage::sqlite::Tables;

/// The tables of applications and their links.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    name: "applications",
    migrations: &[
        Migration {
            name: "applications",
            sql: include_str!("migrations/0001_applications.sql"),
        },
        Migration {
            name: "way_back",
            sql: include_str!("migrations/0002_way_back.sql"),
        },
    ],
};

/// The applications in one database, which must have been opened with [`MIGRATIONS`].
#[derive(Clone)]
pub struct SqliteApplicationStore {
    tables: Tables,
}

impl SqliteApplicationStore {
    /// The applications in `database`.
    pub fn new(database: Database) -> Self {
        Self {
            tables: Tables::of(database),
        }
    }
}

#[async_trait]
impl ApplicationStore for SqliteApplicationStore {
    async fn add(
        &self,
        name: &ApplicationName,
        key_hash: SecretHash,
        added_at: Timestamp,
    ) -> Result<Added, Unavailable> {
        let (name, key) = (name.clone(), name.key());
        self.tables
            .write(move |transaction| {
                // The one writer has the database to itself, so nothing can come between question and answer.
                let taken = transaction
                    .prepare_cached("SELECT 1 FROM application WHERE name_key = ?1")?
                    .exists([key.as_str()])?;
                if taken {
                    return Ok(Added::NameTaken);
                }
                let id = transaction
                    .prepare_cached(
                        "INSERT INTO application (name, name_key, key_hash, added_at, is_leaving)
                     VALUES (?1, ?2, ?3, ?4, 0)",
                    )?
                    .insert(params![
                        name.as_str(),
                        key.as_str(),
                        key_hash.as_bytes(),
                        added_at.as_millisecond(),
                    ])?;
                let id = u32::try_from(id).map_err(|_| {
                    Error::Corrupt("every number of an application is taken".into())
                })?;
                Ok(Added::Done(ApplicationId(id)))
            })
            .await
    }

    async fn list(&self) -> Result<Vec<StoredApplication>, Unavailable> {
        self.tables.read(|transaction| {
            transaction
                .prepare_cached(
                    "SELECT id, name, key_hash, added_at, is_leaving FROM application ORDER BY name_key",
                )?
                .query_map([], read_application)?
                .map(|row| row?)
                .collect()
        })
        .await
    }

    async fn begin_removal(&self, id: ApplicationId) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| {
                transaction
                    .prepare_cached("UPDATE application SET is_leaving = 1 WHERE id = ?1")?
                    .execute([id.0])?;
                transaction
                    .prepare_cached("DELETE FROM application_link WHERE application = ?1")?
                    .execute([id.0])?;
                Ok(())
            })
            .await
    }

    async fn finish_removal(&self, id: ApplicationId) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| {
                transaction
                    .prepare_cached("DELETE FROM application WHERE id = ?1")?
                    .execute([id.0])?;
                Ok(())
            })
            .await
    }

    async fn add_link(&self, link: StoredLink, now: Timestamp) -> Result<bool, Unavailable> {
        self.tables.write(move |transaction| {
            transaction
                .prepare_cached("DELETE FROM application_link WHERE expires_at <= ?1")?
                .execute([now.as_millisecond()])?;
            let kept = transaction
                .prepare_cached(
                    "INSERT INTO application_link (id, secret_hash, application, session, expires_at)
                     SELECT ?1, ?2, id, ?4, ?5 FROM application WHERE id = ?3 AND is_leaving = 0",
                )?
                .execute(params![
                    link.id,
                    link.secret_hash.as_bytes(),
                    link.application.0,
                    link.session.as_bytes(),
                    link.expires_at.as_millisecond(),
                ])?;
            Ok(kept == 1)
        })
        .await
    }

    async fn find_link(&self, id: &[u8; 16]) -> Result<Option<StoredLink>, Unavailable> {
        let id = *id;
        self.tables
            .read(move |transaction| find_link(transaction, id))
            .await
    }

    async fn take_link(
        &self,
        id: &[u8; 16],
        secret_hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<StoredLink>, Unavailable> {
        let id = *id;
        self.tables
            .write(move |transaction| {
                // Hashes are compared here, in constant time, and not by the database.
                let Some(link) = find_link(transaction, id)?
                    .filter(|link| link.secret_hash == secret_hash && now < link.expires_at)
                else {
                    return Ok(None);
                };
                transaction
                    .prepare_cached("DELETE FROM application_link WHERE id = ?1")?
                    .execute([id])?;
                Ok(Some(link))
            })
            .await
    }

    async fn links(
        &self,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<StoredLink>, Unavailable> {
        let after = after.map_or(Vec::new(), |after| after.to_vec());
        self.tables
            .read(move |transaction| {
                let rows = transaction
                    .prepare_cached(
                        "SELECT secret_hash, application, session, expires_at, id FROM application_link
                         WHERE id > ?1 ORDER BY id LIMIT ?2",
                    )?
                    .query_map(params![after, limit], |row| read_link(row.get(4)?, row))?
                    .collect::<Result<_, _>>()?;
                Ok(rows)
            })
            .await
    }

    async fn set_way_back(
        &self,
        way_back: StoredWayBack,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| {
                transaction
                    .prepare_cached("DELETE FROM application_way_back WHERE expires_at <= ?1")?
                    .execute([now.as_millisecond()])?;
                transaction
                .prepare_cached(
                    "INSERT INTO application_way_back (session, application, address, expires_at)
                     SELECT ?1, id, ?3, ?4 FROM application WHERE id = ?2
                     ON CONFLICT DO UPDATE SET address = excluded.address",
                )?
                .execute(params![
                    way_back.session.as_bytes(),
                    way_back.application.0,
                    way_back.address,
                    way_back.expires_at.as_millisecond(),
                ])?;
                Ok(())
            })
            .await
    }

    async fn way_back(&self, session: SessionId) -> Result<Option<Box<str>>, Unavailable> {
        self.tables
            .read(move |transaction| {
                let address = transaction
                    .prepare_cached("SELECT address FROM application_way_back WHERE session = ?1")?
                    .query_row([session.as_bytes()], |row| row.get(0))
                    .optional()?;
                Ok(address)
            })
            .await
    }

    async fn ways_back(
        &self,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<StoredWayBack>, Unavailable> {
        let after = after.map_or(Vec::new(), |after| after.as_bytes().to_vec());
        self.tables
            .read(move |transaction| {
                let rows = transaction
                    .prepare_cached(
                        "SELECT session, application, address, expires_at FROM application_way_back
                         WHERE session > ?1 ORDER BY session LIMIT ?2",
                    )?
                    .query_map(params![after, limit], |row| {
                        Ok(StoredWayBack {
                            session: SessionId::from_bytes(row.get(0)?),
                            application: ApplicationId(row.get(1)?),
                            address: row.get(2)?,
                            expires_at: Timestamp::from_millisecond(row.get(3)?),
                        })
                    })?
                    .collect::<Result<_, _>>()?;
                Ok(rows)
            })
            .await
    }

    async fn last_number(&self) -> Result<ApplicationId, Unavailable> {
        self.tables
            .read(|transaction| {
                let last: Option<u32> = transaction
                    .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'application'")?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                Ok(ApplicationId(last.unwrap_or(0)))
            })
            .await
    }

    async fn restore(
        &self,
        applications: Vec<StoredApplication>,
        last: ApplicationId,
    ) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| {
                for application in &applications {
                    transaction
                        .prepare_cached(
                            "INSERT INTO application (id, name, name_key, key_hash, added_at, is_leaving)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        )?
                        .execute(params![
                            application.id.0,
                            application.name.as_str(),
                            application.name.key().as_str(),
                            application.key_hash.as_bytes(),
                            application.added_at.as_millisecond(),
                            application.is_leaving,
                        ])?;
                }
                transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'application'", [])?;
                transaction.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES ('application', ?1)",
                    [last.0],
                )?;
                Ok(())
            })
            .await
    }
}

fn find_link(transaction: &Transaction<'_>, id: [u8; 16]) -> Result<Option<StoredLink>, Error> {
    let found = transaction
        .prepare_cached(
            "SELECT secret_hash, application, session, expires_at FROM application_link WHERE id = ?1",
        )?
        .query_row([id], |row| read_link(id, row))
        .optional()?;
    Ok(found)
}

fn read_link(id: [u8; 16], row: &Row<'_>) -> rusqlite::Result<StoredLink> {
    Ok(StoredLink {
        id,
        secret_hash: SecretHash::from_bytes(row.get(0)?),
        application: ApplicationId(row.get(1)?),
        session: SessionId::from_bytes(row.get(2)?),
        expires_at: Timestamp::from_millisecond(row.get(3)?),
    })
}

/// Reads a row; the inner error says that it cannot have been written by this program.
fn read_application(row: &Row<'_>) -> rusqlite::Result<Result<StoredApplication, Error>> {
    let name: String = row.get(1)?;
    let Ok(name) = ApplicationName::new(&name) else {
        return Ok(Err(Error::Corrupt(
            "an application has a name that none can have".into(),
        )));
    };
    Ok(Ok(StoredApplication {
        id: ApplicationId(row.get(0)?),
        name,
        key_hash: SecretHash::from_bytes(row.get(2)?),
        added_at: Timestamp::from_millisecond(row.get(3)?),
        is_leaving: row.get(4)?,
    }))
}
