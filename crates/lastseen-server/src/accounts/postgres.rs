//! Accounts in PostgreSQL, where several nodes add and change them at once.

use async_trait::async_trait;
use lastseen::{AccountId, Timestamp, Unavailable};
use lastseen_postgres::tokio_postgres::Row;
use lastseen_postgres::tokio_postgres::types::Type;
use lastseen_postgres::{Database, Error, Migration, MigrationSet, Transaction};

use super::hashing::PasswordHash;
use super::name::{AccountName, NameKey};
use super::store::{AccountStore, Added, Change, StoredAccount};

/// The tables of accounts and sign-in.
pub const POSTGRES_MIGRATIONS: MigrationSet = MigrationSet {
    name: "accounts",
    migrations: &[Migration {
        name: "accounts",
        sql: include_str!("migrations/postgres/0001_accounts.sql"),
        only_adds: true,
    }],
};

/// What is read of an account, in the order in which [`read_account`] takes it.
const COLUMNS: &str = "id, name, password_hash, disabled, version, created_at";

/// The accounts in one database, which must have been opened with [`POSTGRES_MIGRATIONS`].
#[derive(Clone)]
pub struct PostgresAccountStore {
    database: Database,
}

impl PostgresAccountStore {
    /// The accounts in `database`.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl AccountStore for PostgresAccountStore {
    async fn add(&self, account: StoredAccount, only_as_first: bool) -> Result<Added, Unavailable> {
        let added = self
            .database
            .change(async |transaction| add(&transaction, &account, only_as_first).await);
        Ok(added.await?)
    }

    async fn list(&self) -> Result<Vec<StoredAccount>, Unavailable> {
        let statement = format!("SELECT {COLUMNS} FROM built_in_account ORDER BY name_key");
        let rows = self.database.query(&statement, &[]).await?;
        Ok(rows.iter().map(read_account).collect::<Result<_, _>>()?)
    }

    async fn find_by_name(&self, key: &NameKey) -> Result<Option<StoredAccount>, Unavailable> {
        let statement = format!("SELECT {COLUMNS} FROM built_in_account WHERE name_key = $1");
        let key = key.as_str().as_bytes();
        let rows = self
            .database
            .query(&statement, &[(&key, Type::BYTEA)])
            .await?;
        Ok(rows.first().map(read_account).transpose()?)
    }

    async fn find(&self, id: &AccountId) -> Result<Option<StoredAccount>, Unavailable> {
        let statement = format!("SELECT {COLUMNS} FROM built_in_account WHERE id = $1");
        let rows = self
            .database
            .query(&statement, &[(&id.as_str(), Type::TEXT)])
            .await?;
        Ok(rows.first().map(read_account).transpose()?)
    }

    async fn hash_for_show(&self, key: &[u8; 16]) -> Result<Option<PasswordHash>, Unavailable> {
        let from = super::id_text(key);
        // After the last account comes the first one again.
        let rows = self
            .database
            .query(
                "(SELECT password_hash, 0 AS turn FROM built_in_account WHERE id >= $1 ORDER BY id LIMIT 1)
                 UNION ALL
                 (SELECT password_hash, 1 AS turn FROM built_in_account ORDER BY id LIMIT 1)
                 ORDER BY turn LIMIT 1",
                &[(&from, Type::TEXT)],
            )
            .await?;
        let hash = rows.first().map(|row| row.try_get::<_, String>(0));
        let hash = hash.transpose().map_err(Error::from)?;
        Ok(hash.map(|hash| PasswordHash::from_text(&hash)))
    }

    async fn change(
        &self,
        id: &AccountId,
        version: i64,
        change: Change,
    ) -> Result<bool, Unavailable> {
        let (hash, disabled) = match &change {
            Change::Password(hash) => (Some(hash.as_str()), None),
            Change::Disabled(disabled) => (None, Some(*disabled)),
        };
        // A change that has to wait for another one looks at the version anew when it is its turn.
        let changed = self.database.change(async |transaction| {
            transaction
                .execute(
                    "UPDATE built_in_account
                     SET password_hash = coalesce($3, password_hash), disabled = coalesce($4, disabled),
                         version = version + 1
                     WHERE id = $1 AND version = $2",
                    &[
                        (&id.as_str(), Type::TEXT),
                        (&version, Type::INT8),
                        (&hash, Type::TEXT),
                        (&disabled, Type::BOOL),
                    ],
                )
                .await
        });
        Ok(changed.await? > 0)
    }

    async fn strengthen(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), Unavailable> {
        let strengthened = self.database.change(async |transaction| {
            transaction
                .execute(
                    "UPDATE built_in_account SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
                    &[
                        (&id.as_str(), Type::TEXT),
                        (&old.as_str(), Type::TEXT),
                        (&new.as_str(), Type::TEXT),
                    ],
                )
                .await
        });
        strengthened.await?;
        Ok(())
    }

    async fn remove(&self, id: &AccountId) -> Result<bool, Unavailable> {
        let removed = self.database.change(async |transaction| {
            transaction
                .execute(
                    "DELETE FROM built_in_account WHERE id = $1",
                    &[(&id.as_str(), Type::TEXT)],
                )
                .await
        });
        Ok(removed.await? > 0)
    }

    async fn count(&self) -> Result<u64, Unavailable> {
        let rows = self
            .database
            .query("SELECT count(*) FROM built_in_account", &[])
            .await?;
        Ok(read_count(&rows)?)
    }
}

async fn add(
    transaction: &Transaction,
    account: &StoredAccount,
    only_as_first: bool,
) -> Result<Added, Error> {
    // Who comes second waits here until the first has committed, and counts after that.
    transaction
        .query("SELECT FROM built_in_account_gate FOR UPDATE", &[])
        .await?;
    if only_as_first {
        let rows = transaction
            .query("SELECT count(*) FROM built_in_account", &[])
            .await?;
        if read_count(&rows)? > 0 {
            return Ok(Added::NotTheFirst);
        }
    }
    let key = account.name.key();
    let added = transaction
        .execute(
            "INSERT INTO built_in_account (id, name, name_key, password_hash, disabled, version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name_key) DO NOTHING",
            &[
                (&account.id.as_str(), Type::TEXT),
                (&account.name.as_str(), Type::TEXT),
                (&key.as_str().as_bytes(), Type::BYTEA),
                (&account.password_hash.as_str(), Type::TEXT),
                (&account.disabled, Type::BOOL),
                (&account.version, Type::INT8),
                (&account.created_at.as_millisecond(), Type::INT8),
            ],
        )
        .await?;
    Ok(if added > 0 {
        Added::Done
    } else {
        Added::NameTaken
    })
}

fn read_count(rows: &[Row]) -> Result<u64, Error> {
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn read_account(row: &Row) -> Result<StoredAccount, Error> {
    let id: &str = row.try_get(0)?;
    let name: &str = row.try_get(1)?;
    let password_hash: &str = row.try_get(2)?;
    let (Ok(id), Ok(name)) = (AccountId::new(id), AccountName::new(name)) else {
        return Err(Error::Corrupt(
            "an account has an id or a name that none can have".into(),
        ));
    };
    Ok(StoredAccount {
        id,
        name,
        password_hash: PasswordHash::from_text(password_hash),
        disabled: row.try_get(3)?,
        version: row.try_get(4)?,
        created_at: Timestamp::from_millisecond(row.try_get(5)?),
    })
}
