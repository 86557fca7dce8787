//! Accounts in SQLite.

use async_trait::async_trait;
use lastseen::{AccountId, Timestamp, Unavailable};
use lastseen_sqlite::{Database, Error, Migration, MigrationSet, Transaction};
use rusqlite::{OptionalExtension as _, Row, params};

use super::hashing::PasswordHash;
use super::name::{AccountName, NameKey};
use super::store::{AccountStore, Added, Change, StoredAccount};
use crate::storage::sqlite::Tables;

/// The tables of accounts and sign-in.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    name: "accounts",
    migrations: &[
        Migration {
            name: "accounts",
            sql: include_str!("migrations/0001_accounts.sql"),
        },
        Migration {
            name: "sign_in",
            sql: include_str!("migrations/0002_sign_in.sql"),
        },
    ],
};

/// What is read of an account, in the order in which [`read_account`] takes it.
const COLUMNS: &str = "id, name, password_hash, disabled, version, created_at";

/// The accounts in one database, which must have been opened with [`MIGRATIONS`].
#[derive(Clone)]
pub struct SqliteAccountStore {
    tables: Tables,
}

impl SqliteAccountStore {
    /// The accounts in `database`.
    pub fn new(database: Database) -> Self {
        Self {
            tables: Tables::of(database),
        }
    }
}

#[async_trait]
impl AccountStore for SqliteAccountStore {
    async fn add(&self, account: StoredAccount, only_as_first: bool) -> Result<Added, Unavailable> {
        self.tables.write(move |transaction| {
            if only_as_first && count(transaction)? > 0 {
                return Ok(Added::NotTheFirst);
            }
            // The one writer has the database to itself, so nothing can come between question and answer.
            if find_by_name(transaction, &account.name.key())?.is_some() {
                return Ok(Added::NameTaken);
            }
            transaction.prepare_cached(
                "INSERT INTO built_in_account (id, name, name_key, password_hash, disabled, version, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                account.id.as_str(),
                account.name.as_str(),
                account.name.key().as_str(),
                account.password_hash.as_str(),
                account.disabled,
                account.version,
                account.created_at.as_millisecond(),
            ])?;
            Ok(Added::Done)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<StoredAccount>, Unavailable> {
        self.tables
            .read(|transaction| {
                let mut statement = transaction.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM built_in_account ORDER BY name_key"
                ))?;
                statement
                    .query_map([], read_account)?
                    .map(|row| row?)
                    .collect()
            })
            .await
    }

    async fn find_by_name(&self, key: &NameKey) -> Result<Option<StoredAccount>, Unavailable> {
        let key = key.clone();
        self.tables
            .read(move |transaction| find_by_name(transaction, &key))
            .await
    }

    async fn find(&self, id: &AccountId) -> Result<Option<StoredAccount>, Unavailable> {
        let id = id.clone();
        self.tables
            .read(move |transaction| {
                transaction
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM built_in_account WHERE id = ?1"
                    ))?
                    .query_row([id.as_str()], read_account)
                    .optional()?
                    .transpose()
            })
            .await
    }

    async fn hash_for_show(&self, key: &[u8; 16]) -> Result<Option<PasswordHash>, Unavailable> {
        let from = super::id_text(key);
        self.tables
            .read(move |transaction| {
                let mut next = transaction.prepare_cached(
                    "SELECT password_hash FROM built_in_account WHERE id >= ?1 ORDER BY id LIMIT 1",
                )?;
                let hash: Option<String> =
                    match next.query_row([&from], |row| row.get(0)).optional()? {
                        Some(hash) => Some(hash),
                        // After the last account comes the first one again.
                        None => next.query_row([""], |row| row.get(0)).optional()?,
                    };
                Ok(hash.map(|hash| PasswordHash::from_text(&hash)))
            })
            .await
    }

    async fn change(
        &self,
        id: &AccountId,
        version: i64,
        change: Change,
    ) -> Result<bool, Unavailable> {
        let id = id.clone();
        self.tables.write(move |transaction| {
            let (hash, disabled) = match change {
                Change::Password(hash) => (Some(hash), None),
                Change::Disabled(disabled) => (None, Some(disabled)),
            };
            let changed = transaction
                .prepare_cached(
                    "UPDATE built_in_account
                     SET password_hash = coalesce(?3, password_hash), disabled = coalesce(?4, disabled),
                         version = version + 1
                     WHERE id = ?1 AND version = ?2",
                )?
                .execute(params![id.as_str(), version, hash.as_ref().map(PasswordHash::as_str), disabled])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn strengthen(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), Unavailable> {
        let (id, old, new) = (id.clone(), old.clone(), new.clone());
        self.tables.write(move |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE built_in_account SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
                )?
                .execute(params![id.as_str(), old.as_str(), new.as_str()])?;
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: &AccountId) -> Result<bool, Unavailable> {
        let id = id.clone();
        self.tables
            .write(move |transaction| {
                let removed = transaction
                    .prepare_cached("DELETE FROM built_in_account WHERE id = ?1")?
                    .execute([id.as_str()])?;
                Ok(removed > 0)
            })
            .await
    }

    async fn count(&self) -> Result<u64, Unavailable> {
        self.tables.read(count).await
    }
}

fn count(transaction: &Transaction<'_>) -> Result<u64, Error> {
    let count: i64 = transaction
        .prepare_cached("SELECT count(*) FROM built_in_account")?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn find_by_name(
    transaction: &Transaction<'_>,
    key: &NameKey,
) -> Result<Option<StoredAccount>, Error> {
    transaction
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM built_in_account WHERE name_key = ?1"
        ))?
        .query_row([key.as_str()], read_account)
        .optional()?
        .transpose()
}

/// Reads a row; the inner error says that it cannot have been written by this program.
fn read_account(row: &Row<'_>) -> rusqlite::Result<Result<StoredAccount, Error>> {
    let id: String = row.get(0)?;
    let name: String = row.get(1)?;
    let password_hash: String = row.get(2)?;
    let (Ok(id), Ok(name)) = (AccountId::new(&id), AccountName::new(&name)) else {
        return Ok(Err(Error::Corrupt(
            "an account has an id or a name that none can have".into(),
        )));
    };
    Ok(Ok(StoredAccount {
        id,
        name,
        password_hash: PasswordHash::from_text(&password_hash),
        disabled: row.get(3)?,
        version: row.get(4)?,
        created_at: Timestamp::from_millisecond(row.get(5)?),
    }))
}
