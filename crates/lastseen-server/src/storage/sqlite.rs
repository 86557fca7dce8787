//! Everything in one SQLite file, which this process alone has open.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lastseen::Unavailable;
use lastseen_postgres::{Facts, Figures};
use lastseen_sqlite::{
    Database, Error, Migration, MigrationSet, OpenError, Options, SqliteStore, Transaction,
};

use super::{NotOpened, Storage, Whole};
use crate::accounts::{self, SqliteAccountStore};
use crate::applications::{self, SqliteApplicationStore};
use crate::failure::Failure;
use crate::sign_in::SqliteSignInStore;

/// All tables.
const MIGRATIONS: [MigrationSet; 4] = [
    SqliteStore::MIGRATIONS,
    accounts::MIGRATIONS,
    applications::MIGRATIONS,
    MigrationSet {
        name: "copies",
        migrations: &[Migration {
            name: "copy",
            sql: include_str!("migrations/sqlite_0001_copy.sql"),
        }],
    },
];

/// Makes the database as if it were new. What belongs to accounts and applications goes with them.
const EMPTY: &str = "
    DELETE FROM last_use;
    DELETE FROM session;
    DELETE FROM account;
    DELETE FROM policy;
    UPDATE latest_time SET at = 0;
    DELETE FROM built_in_account;
    DELETE FROM sign_in_failure;
    DELETE FROM sign_in_pressure;
    DELETE FROM application;
    DELETE FROM sqlite_sequence WHERE name = 'application';
    INSERT OR IGNORE INTO copy_under_way (row) VALUES (1);
";

/// Opens the file, makes it where there is none, and brings it up to date.
pub(super) async fn open(path: &Path) -> Result<Storage, NotOpened> {
    let path = path.to_path_buf();
    let shown = path.clone();
    let opened =
        tokio::task::spawn_blocking(move || Database::open(path, &MIGRATIONS, Options::default()));
    let opened = opened.await.unwrap_or_else(|fault| {
        Err(OpenError::Failed {
            path: shown,
            reason: fault.to_string().into(),
        })
    });
    match opened {
        Ok(database) => Ok(storage(database)),
        Err(OpenError::InUse { path }) => Err(NotOpened::InUse {
            failure: Failure::refused(OpenError::InUse { path: path.clone() }),
            file: path,
        }),
        Err(error) => Err(NotOpened::Failed(Failure::refused(error))),
    }
}

fn storage(database: Database) -> Storage {
    Storage {
        sessions: Arc::new(SqliteStore::new(database.clone())),
        accounts: Arc::new(SqliteAccountStore::new(database.clone())),
        sign_in: Arc::new(SqliteSignInStore::new(database.clone())),
        applications: Arc::new(SqliteApplicationStore::new(database.clone())),
        whole: Arc::new(File {
            tables: Tables::of(database.clone()),
            database,
        }),
    }
}

struct File {
    database: Database,
    tables: Tables,
}

impl File {
    /// What one statement says of the whole.
    async fn is(&self, statement: &'static str) -> Result<bool, Unavailable> {
        let is = self.tables.read(move |transaction| {
            let mut statement = transaction.prepare_cached(statement)?;
            Ok(statement.query_row([], |row| row.get(0))?)
        });
        is.await
    }

    /// Carries statements out.
    async fn write(&self, statements: &'static str) -> Result<(), Unavailable> {
        self.tables
            .write(move |transaction| Ok(transaction.execute_batch(statements)?))
            .await
    }
}

#[async_trait]
impl Whole for File {
    fn owned_file(&self) -> Option<&Path> {
        Some(self.database.path())
    }

    async fn back_up(&self, destination: &Path) -> Result<(), Failure> {
        self.database
            .backup(destination)
            .await
            .map_err(Failure::refused)
    }

    async fn user(&self) -> Result<Option<String>, Unavailable> {
        // Nobody else can have it open.
        Ok(None)
    }

    async fn nodes(&self) -> Result<Vec<Facts>, Failure> {
        Err(Failure::refused(format_args!(
            "{} is a file, which one process has open: nodes share a database of PostgreSQL's",
            self.database.path().display()
        )))
    }

    fn figures(&self) -> Option<Figures> {
        None
    }

    async fn is_empty(&self) -> Result<bool, Unavailable> {
        self.is(
            "SELECT NOT EXISTS (SELECT 1 FROM session) AND NOT EXISTS (SELECT 1 FROM built_in_account)
                AND NOT EXISTS (SELECT 1 FROM application)",
        )
        .await
    }

    async fn is_half_copied(&self) -> Result<bool, Unavailable> {
        self.is("SELECT EXISTS (SELECT 1 FROM copy_under_way)")
            .await
    }

    async fn begin_copy(&self) -> Result<(), Unavailable> {
        self.write(EMPTY).await
    }

    async fn end_copy(&self) -> Result<(), Unavailable> {
        self.write("DELETE FROM copy_under_way").await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

/// The server's own tables in a database; their stores work through this.
#[derive(Clone)]
pub(crate) struct Tables {
    database: Database,
}

impl Tables {
    pub(crate) fn of(database: Database) -> Self {
        Self { database }
    }

    /// Runs `work` on one unchanging state of the tables.
    pub(crate) async fn read<Answer: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<Answer, Error> + Send + 'static,
    ) -> Result<Answer, Unavailable> {
        Ok(self.database.read(work).await?)
    }

    /// Runs `work` and answers once what it did is on the disk. The one writer has the database to itself meanwhile.
    pub(crate) async fn write<Answer: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<Answer, Error> + Send + 'static,
    ) -> Result<Answer, Unavailable> {
        Ok(self.database.write(work).await?)
    }

    /// Whether they can be read and, as far as is known, written.
    pub(crate) async fn health(&self) -> Result<(), Unavailable> {
        Ok(self.database.health().await?)
    }
}
