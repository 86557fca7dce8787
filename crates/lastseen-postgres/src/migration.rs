//! Numbered steps that bring a database to what this program expects.
//!
//! A database belongs to several parts of a program, each with tables of its own: each has a set of
//! migrations, numbered from 1 and never edited once published. What has been applied is on record in the
//! database itself, with a checksum.
//!
//! Nodes of several versions share one database while they are replaced one after the other. So a migration
//! only adds, where it can: a program that does not know it goes on beside it. One after which older programs
//! cannot go on says so, and is what makes them refuse to start.

use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::{Error, OpenError};

/// One step: SQL statements.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// What it brings, in a word or two; the file is named after it.
    pub name: &'static str,
    /// The statements. No `BEGIN`, no `COMMIT`: all that is missing is applied together or not at all.
    pub sql: &'static str,
    /// Whether programs that do not know it can go on.
    pub only_adds: bool,
}

/// The migrations of one part of the program, oldest first: the first is number 1.
#[derive(Clone, Copy, Debug)]
pub struct MigrationSet {
    /// What the tables are for, in one word: `sessions`. Shown to the operator, and never changed.
    pub name: &'static str,
    /// The steps. Only ever appended to.
    pub migrations: &'static [Migration],
}

impl MigrationSet {
    /// The same set as an older program knew it: the first `count` migrations. For tests of the others.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        Self {
            migrations: &self.migrations[..count.min(self.migrations.len())],
            ..self
        }
    }

    /// The migrations with their numbers.
    fn numbered(&self) -> impl Iterator<Item = (u32, &'static Migration)> {
        (1..).zip(self.migrations)
    }
}

/// The tables that [`Database`](crate::Database) itself needs, and those through which nodes hear of each
/// other's changes.
pub(crate) const DATABASE: MigrationSet = MigrationSet {
    name: "database",
    migrations: &[
        Migration {
            name: "probe",
            sql: include_str!("migrations/database/0001_probe.sql"),
            only_adds: true,
        },
        Migration {
            name: "change_log",
            sql: include_str!("migrations/database/0002_change_log.sql"),
            only_adds: true,
        },
    ],
};

/// Where the record of migrations is kept. It comes before any migration, and stays as it is.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS migration (
    set_name  text    NOT NULL,
    number    bigint  NOT NULL,
    name      text    NOT NULL,
    checksum  bytea   NOT NULL,
    only_adds boolean NOT NULL,
    PRIMARY KEY (set_name, number)
)";

/// The lock that makes one node migrate while the others wait: the first letters of `lastseen`, as a number.
/// Held for a transaction, as PgBouncer wants it.
const LOCK: i64 = 0x6c61_7374_7365_656e;

/// A migration that the database has.
struct Applied {
    set: String,
    number: u32,
    checksum: Vec<u8>,
    only_adds: bool,
}

/// Whether the database is at the newest migration of each of `sets`. Asks for no lock.
pub(crate) async fn is_current(
    client: &Client,
    address: &str,
    sets: &[MigrationSet],
) -> Result<bool, OpenError> {
    let have = applied(client).await.map_err(|error| OpenError::Failed {
        address: address.into(),
        reason: error.into(),
    })?;
    check(&have, address, sets)?;
    Ok(missing(&have, sets).next().is_none())
}

/// Brings the database to the newest migration of each of `sets`.
pub(crate) async fn run(
    client: &Client,
    address: &str,
    sets: &[MigrationSet],
) -> Result<(), OpenError> {
    let failed = |reason: tokio_postgres::Error| OpenError::Failed {
        address: address.into(),
        reason: reason.into(),
    };
    client
        .batch_execute(&format!(
            "BEGIN; SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0; \
             SET LOCAL synchronous_commit TO on; SELECT pg_advisory_xact_lock({LOCK}); {RECORD}"
        ))
        .await
        .map_err(failed)?;
    // Somebody else may have done some of it meanwhile.
    let have = applied(client).await.map_err(failed)?;
    check(&have, address, sets)?;
    for (set, number, migration) in missing(&have, sets) {
        client.batch_execute(migration.sql).await.map_err(failed)?;
        client
            .execute_typed(
                "INSERT INTO migration (set_name, number, name, checksum, only_adds) VALUES ($1, $2, $3, $4, $5)",
                &[
                    (&set, Type::TEXT),
                    (&i64::from(number), Type::INT8),
                    (&migration.name, Type::TEXT),
                    (&checksum(migration).as_slice(), Type::BYTEA),
                    (&migration.only_adds, Type::BOOL),
                ],
            )
            .await
            .map_err(failed)?;
        tracing::info!(set, number, name = migration.name, "migrated the database");
    }
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// What the database does not have yet.
fn missing<'sets>(
    have: &'sets [Applied],
    sets: &'sets [MigrationSet],
) -> impl Iterator<Item = (&'static str, u32, &'static Migration)> + 'sets {
    sets.iter().flat_map(move |set| {
        set.numbered()
            .filter(move |(number, _)| {
                !have
                    .iter()
                    .any(|applied| applied.set == set.name && applied.number == *number)
            })
            .map(move |(number, migration)| (set.name, number, migration))
    })
}

/// Refuses a database that this program cannot work with.
fn check(have: &[Applied], address: &str, sets: &[MigrationSet]) -> Result<(), OpenError> {
    for applied in have {
        let set = sets.iter().find(|set| set.name == applied.set);
        let known = set
            .and_then(|set| set.numbered().last())
            .map_or(0, |(number, _)| number);
        let migration =
            set.and_then(|set| set.numbered().find(|(number, _)| *number == applied.number));
        match migration {
            Some((_, migration)) if applied.checksum == checksum(migration) => {}
            Some(_) => {
                return Err(OpenError::OtherMigration {
                    address: address.into(),
                    set: applied.set.clone(),
                    number: applied.number,
                });
            }
            None if applied.only_adds => {}
            None => {
                return Err(OpenError::Newer {
                    address: address.into(),
                    set: applied.set.clone(),
                    found: applied.number,
                    known,
                });
            }
        }
    }
    Ok(())
}

/// What has been applied, in order; nothing where the database is new.
async fn applied(client: &Client) -> Result<Vec<Applied>, tokio_postgres::Error> {
    let there = client
        .query_typed("SELECT to_regclass('migration') IS NOT NULL", &[])
        .await?;
    if !there.first().map_or(Ok(false), |row| row.try_get(0))? {
        return Ok(Vec::new());
    }
    let rows = client
        .query_typed(
            "SELECT set_name, number, checksum, only_adds FROM migration ORDER BY set_name, number",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Applied {
                set: row.try_get(0)?,
                // More migrations than that there will not be.
                number: u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX),
                checksum: row.try_get(2)?,
                only_adds: row.try_get(3)?,
            })
        })
        .collect()
}

fn checksum(migration: &Migration) -> [u8; 32] {
    Sha256::digest(migration.sql).into()
}

/// The oldest server that has what the tables need: `xid8` and snapshots of it came with 13.
pub(crate) async fn check_version(client: &Client, address: &str) -> Result<(), OpenError> {
    let failed = |reason: Error| OpenError::Failed {
        address: address.into(),
        reason,
    };
    let rows = client
        .query_typed(
            "SELECT current_setting('server_version_num')::integer >= 130000, current_setting('server_version')",
            &[],
        )
        .await
        .map_err(|error| failed(error.into()))?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let new_enough: bool = row.try_get(0).map_err(|error| failed(error.into()))?;
    if new_enough {
        return Ok(());
    }
    let found: String = row.try_get(1).map_err(|error| failed(error.into()))?;
    Err(OpenError::TooOld {
        address: address.into(),
        found: found.into(),
    })
}
