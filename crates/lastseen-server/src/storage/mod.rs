//! The database that everything is kept in.
//!
//! This is the one room that knows of which kind it is: everybody else is handed stores. `sqlite.rs` is the file that one
//! process owns.

pub(crate) mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lastseen::Store;
use tokio::time::{Instant, sleep};

use crate::accounts::AccountStore;
use crate::applications::ApplicationStore;
use crate::config::DatabaseLocation;
use crate::failure::Failure;
use crate::sign_in::SignInStore;

/// How long a server waits for a database that another process owns: a command that is being carried out without a
/// server soon lets go of it. Another server does not.
const WAIT_FOR_DATABASE: Duration = Duration::from_secs(5);

/// How often it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An open database: the stores in it, and what it can do as a whole. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    /// Where the sessions are.
    pub sessions: Arc<dyn Store>,
    /// Where the accounts are.
    pub accounts: Arc<dyn AccountStore>,
    /// Where sign-in remembers what it must.
    pub sign_in: Arc<dyn SignInStore>,
    /// Where the applications are.
    pub applications: Arc<dyn ApplicationStore>,
    whole: Arc<dyn Whole>,
}

/// What a database of one kind does as a whole.
#[async_trait]
trait Whole: Send + Sync {
    /// The file that this process alone has open; `None` where others share the database.
    fn owned_file(&self) -> Option<&Path>;

    /// Writes a consistent copy to a new file.
    async fn back_up(&self, destination: &Path) -> Result<(), Failure>;

    /// Finishes what waits, and lets go.
    async fn close(&self);
}

/// Why a database was not opened.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// Another process owns it.
    InUse {
        /// The file, under its one name.
        file: PathBuf,
        /// The same for a person.
        failure: Failure,
    },
    /// Anything else.
    Failed(Failure),
}

impl From<NotOpened> for Failure {
    fn from(not_opened: NotOpened) -> Self {
        match not_opened {
            NotOpened::InUse { failure, .. } | NotOpened::Failed(failure) => failure,
        }
    }
}

impl Storage {
    /// Opens the database, makes its tables where there are none, and brings them up to date.
    pub(crate) async fn open(location: &DatabaseLocation) -> Result<Self, NotOpened> {
        match location {
            DatabaseLocation::Sqlite(path) => sqlite::open(path).await,
        }
    }

    /// Opens the database as the server does: waits for a command that owns it.
    pub(crate) async fn open_in_turn(location: &DatabaseLocation) -> Result<Self, Failure> {
        let deadline = Instant::now() + WAIT_FOR_DATABASE;
        loop {
            match Self::open(location).await {
                Ok(storage) => return Ok(storage),
                Err(NotOpened::InUse { .. }) if Instant::now() < deadline => {
                    sleep(LOOK_AGAIN).await;
                }
                Err(not_opened) => return Err(not_opened.into()),
            }
        }
    }

    /// The file that this process alone has open, where that is how the database is kept. Commands reach its owner
    /// beside it; where there is none they go to the database themselves.
    pub(crate) fn owned_file(&self) -> Option<&Path> {
        self.whole.owned_file()
    }

    /// Writes a consistent copy to a new file, while others read and write.
    pub(crate) async fn back_up(&self, destination: &Path) -> Result<(), Failure> {
        self.whole.back_up(destination).await
    }

    /// Finishes what waits, and lets go of the database.
    pub(crate) async fn close(&self) {
        self.whole.close().await;
    }
}
