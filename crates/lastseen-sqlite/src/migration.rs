//! Numbered steps that bring a database to what this program expects.
//!
//! A database belongs to several parts of a program, each with tables of its own: each has a set of
//! migrations, numbered from 1 and never edited once published. What has been applied is on record in the
//! database itself, with a checksum, and decides whether this program may touch it at all.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use crate::error::OpenError;

/// One step: SQL statements that are applied together or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// What it brings, in a word or two; the file is named after it.
    pub name: &'static str,
    /// The statements. No `BEGIN`, no `COMMIT`. Foreign keys are not enforced while it runs, and are
    /// checked as a whole at its end, so that a table can be rebuilt.
    pub sql: &'static str,
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

    /// The number of the newest migration; 0 where there is none.
    fn newest(&self) -> u32 {
        number_of(self.migrations.len())
    }
}

/// The tables that [`Database`](crate::Database) itself needs.
pub(crate) const DATABASE: MigrationSet = MigrationSet {
    name: "database",
    migrations: &[Migration {
        name: "probe",
        sql: include_str!("migrations/database/0001_probe.sql"),
    }],
};

/// Where the record of migrations is kept. It comes before any migration, and stays as it is.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS migration (
    set_name TEXT NOT NULL,
    number   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (set_name, number)
) STRICT, WITHOUT ROWID";

/// A migration that the database has.
struct Applied {
    set: String,
    number: u32,
    checksum: Vec<u8>,
}

/// Refuses a database that a newer or another program wrote. Reads only.
pub(crate) fn check(
    connection: &Connection,
    path: &Path,
    sets: &[MigrationSet],
) -> Result<(), OpenError> {
    for applied in applied(connection).map_err(|error| OpenError::from_sqlite(path, error))? {
        let set = sets.iter().find(|set| set.name == applied.set);
        let known = set.map_or(0, MigrationSet::newest);
        if applied.number > known {
            let Applied { set, number, .. } = newest_of(connection, applied, path)?;
            return Err(OpenError::Newer {
                path: path.to_owned(),
                set,
                found: number,
                known,
            });
        }
        let migration = set.and_then(|set| migration(set, applied.number));
        if migration.is_none_or(|migration| applied.checksum != checksum(migration)) {
            return Err(OpenError::OtherMigration {
                path: path.to_owned(),
                set: applied.set,
                number: applied.number,
            });
        }
    }
    Ok(())
}

/// Applies what the database does not have yet, each step in a transaction of its own.
pub(crate) fn apply(
    connection: &mut Connection,
    path: &Path,
    sets: &[MigrationSet],
) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(path, error);
    if applied(connection).map_err(failed)?.is_empty() {
        connection.execute_batch(RECORD).map_err(failed)?;
    }
    let applied = applied(connection).map_err(failed)?;
    for set in sets {
        let have = applied
            .iter()
            .filter(|applied| applied.set == set.name)
            .map(|applied| applied.number)
            .max();
        for number in have.unwrap_or(0) + 1..=set.newest() {
            let Some(migration) = migration(set, number) else {
                continue;
            };
            step(connection, set.name, number, migration).map_err(|error| match error {
                rusqlite::Error::InvalidQuery => OpenError::Corrupt {
                    path: path.to_owned(),
                    reason: format!("its rows do not fit migration {number} of its {}", set.name)
                        .into(),
                },
                error => failed(error),
            })?;
            tracing::info!(
                set = set.name,
                number,
                name = migration.name,
                "migrated the database"
            );
        }
    }
    Ok(())
}

/// Applies one migration. `InvalidQuery` where rows refer to rows that are not there.
fn step(
    connection: &mut Connection,
    set: &str,
    number: u32,
    migration: &Migration,
) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    if transaction
        .prepare("PRAGMA foreign_key_check")?
        .exists([])?
    {
        return Err(rusqlite::Error::InvalidQuery);
    }
    transaction.execute(
        "INSERT INTO migration (set_name, number, name, checksum) VALUES (?1, ?2, ?3, ?4)",
        params![set, number, migration.name, checksum(migration)],
    )?;
    transaction.commit()?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// What has been applied, in order; nothing where the database is new.
fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    if !connection.table_exists(None, "migration")? {
        return Ok(Vec::new());
    }
    connection
        .prepare("SELECT set_name, number, checksum FROM migration ORDER BY set_name, number")?
        .query_map([], |row| {
            Ok(Applied {
                set: row.get(0)?,
                number: row.get(1)?,
                checksum: row.get(2)?,
            })
        })?
        .collect()
}

/// The newest migration of the set that `of` belongs to: the number that the operator is told.
fn newest_of(connection: &Connection, of: Applied, path: &Path) -> Result<Applied, OpenError> {
    let all = applied(connection).map_err(|error| OpenError::from_sqlite(path, error))?;
    Ok(all
        .into_iter()
        .rfind(|applied| applied.set == of.set)
        .unwrap_or(of))
}

fn migration(set: &MigrationSet, number: u32) -> Option<&'static Migration> {
    set.migrations
        .get(usize::try_from(number).ok()?.checked_sub(1)?)
}

/// A set has a handful of migrations; one that had more than fits would be refused as newer than itself.
fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn checksum(migration: &Migration) -> [u8; 32] {
    Sha256::digest(migration.sql).into()
}
