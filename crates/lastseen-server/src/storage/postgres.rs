//! Everything in one PostgreSQL database, which any number of nodes share.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lastseen::{Store as _, Unavailable};
use lastseen_postgres::{Database, Error, Migration, MigrationSet, Options, PostgresStore};

use super::{NotOpened, Role, Storage, Whole};
use crate::accounts::{self, PostgresAccountStore};
use crate::applications::{self, PostgresApplicationStore};
use crate::config::{NodeSettings, PostgresUrl};
use crate::failure::Failure;
use crate::sign_in::PostgresSignInStore;

/// All tables.
const MIGRATIONS: [MigrationSet; 4] = [
    PostgresStore::MIGRATIONS,
    accounts::POSTGRES_MIGRATIONS,
    applications::POSTGRES_MIGRATIONS,
    MigrationSet {
        name: "copies",
        migrations: &[Migration {
            name: "copy",
            sql: include_str!("migrations/postgres_0001_copy.sql"),
            only_adds: true,
        }],
    },
];

/// Makes the database as if it were new.
const EMPTY: [&str; 4] = [
    "TRUNCATE session, last_use, account, policy, built_in_account, known_browser, sign_in_failure,
        sign_in_pressure, set_up_link, application, application_link, application_way_back",
    "UPDATE latest_time SET at = 0",
    "UPDATE application_number SET last = 0",
    "INSERT INTO copy_under_way (row) VALUES (1) ON CONFLICT DO NOTHING",
];

/// Opens the database, makes its tables where there are none, and brings them up to date.
pub(super) async fn open(
    url: &PostgresUrl,
    node: &NodeSettings,
    _role: Role,
) -> Result<Storage, NotOpened> {
    let failed = |line: String| NotOpened::Failed(Failure::refused(line));
    let read = |url: &PostgresUrl| {
        url.address()
            .map_err(|error| failed(format!("{url}: {error}")))
    };
    let options = Options {
        direct: node.direct.as_ref().map(read).transpose()?,
        connections: usize::try_from(node.connections).unwrap_or(Options::CONNECTIONS),
        ..Options::new(read(url)?)
    };
    let database = Database::open(options, &MIGRATIONS)
        .await
        .map_err(|error| NotOpened::Failed(Failure::refused(error)))?;
    let sessions = Arc::new(PostgresStore::new(database.clone()));
    Ok(Storage {
        accounts: Arc::new(PostgresAccountStore::new(database.clone())),
        sign_in: Arc::new(PostgresSignInStore::new(database.clone())),
        applications: Arc::new(PostgresApplicationStore::new(
            database.clone(),
            sessions.authority(),
        )),
        sessions,
        whole: Arc::new(Shared(database)),
    })
}

struct Shared(Database);

impl Shared {
    /// What one statement says of the whole.
    async fn is(&self, statement: &str) -> Result<bool, Unavailable> {
        let rows = self.0.query(statement, &[]).await?;
        let is = rows.first().map(|row| row.try_get(0)).transpose();
        Ok(is.map_err(Error::from)?.unwrap_or(false))
    }

    /// Carries statements out, all or none.
    async fn write(&self, statements: &[&str]) -> Result<(), Unavailable> {
        let written = self.0.change(|transaction| async move {
            for statement in statements {
                transaction.execute(statement, &[]).await?;
            }
            Ok(())
        });
        Ok(written.await?)
    }
}

#[async_trait]
impl Whole for Shared {
    fn owned_file(&self) -> Option<&Path> {
        None
    }

    async fn back_up(&self, _destination: &Path) -> Result<(), Failure> {
        Err(Failure::refused(
            "the database is PostgreSQL's: make the copy with pg_dump, while the nodes go on",
        ))
    }

    async fn user(&self) -> Result<Option<String>, Unavailable> {
        Ok(None)
    }

    async fn is_empty(&self) -> Result<bool, Unavailable> {
        self.is(
            "SELECT NOT EXISTS (SELECT FROM session) AND NOT EXISTS (SELECT FROM built_in_account)
                AND NOT EXISTS (SELECT FROM application)",
        )
        .await
    }

    async fn is_half_copied(&self) -> Result<bool, Unavailable> {
        self.is("SELECT EXISTS (SELECT FROM copy_under_way)").await
    }

    async fn begin_copy(&self) -> Result<(), Unavailable> {
        self.write(&EMPTY).await
    }

    async fn end_copy(&self) -> Result<(), Unavailable> {
        self.write(&["DELETE FROM copy_under_way"]).await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
