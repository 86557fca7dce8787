//! Everything in one SQLite file, which this process alone has open.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use lastseen::Unavailable;
use lastseen_sqlite::{Database, Error, MigrationSet, OpenError, Options, SqliteStore};
use rusqlite::Transaction;

use super::{NotOpened, Storage, Whole};
use crate::accounts::{self, SqliteAccountStore};
use crate::applications::{self, SqliteApplicationStore};
use crate::failure::Failure;
use crate::sign_in::SqliteSignInStore;

/// All tables.
const MIGRATIONS: [MigrationSet; 3] = [
    SqliteStore::MIGRATIONS,
    accounts::MIGRATIONS,
    applications::MIGRATIONS,
];

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
        whole: Arc::new(File(database)),
    }
}

struct File(Database);

#[async_trait]
impl Whole for File {
    fn owned_file(&self) -> Option<&Path> {
        Some(self.0.path())
    }

    async fn back_up(&self, destination: &Path) -> Result<(), Failure> {
        self.0.backup(destination).await.map_err(Failure::refused)
    }

    async fn close(&self) {
        self.0.close().await;
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
