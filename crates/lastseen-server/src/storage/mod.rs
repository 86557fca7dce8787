//! The database that everything is kept in.
//!
//! This is the one room that knows of which kind it is: everybody else is handed stores. `sqlite.rs` is the file that one
//! process owns, `postgres.rs` the database that any number of nodes share,
//! `copy.rs` the way from one to another, `patience.rs` how long one request may wait for any.

pub(crate) mod copy;
mod patience;
mod postgres;
pub(crate) mod sqlite;
#[cfg(test)]
pub(crate) mod testing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lastseen::{Store, Unavailable};
use lastseen_postgres::{Facts, Figures};
use tokio::time::{Instant, sleep};

pub(crate) use self::patience::{Patience, one_request};
use crate::accounts::AccountStore;
use crate::applications::ApplicationStore;
use crate::config::{DatabaseLocation, Effective};
use crate::failure::Failure;
use crate::sign_in::SignInStore;

/// How long a server waits for a database that another process owns: a command that is being carried out without a
/// server soon lets go of it. Another server does not.
const WAIT_FOR_DATABASE: Duration = Duration::from_secs(5);

/// How often it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who opens a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// A server, which may answer from memory as long as the database lets it.
    Node,
    /// A command, which asks the database each time and soon goes.
    Command,
}

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

    /// Who else works with it at this moment, in words for a person.
    async fn user(&self) -> Result<Option<String>, Unavailable>;

    /// The nodes that share it.
    async fn nodes(&self) -> Result<Vec<Facts>, Failure>;

    /// What this process has counted as one of the nodes, where there are any.
    fn figures(&self) -> Option<Figures>;

    /// Whether there are no accounts, applications and sessions in it.
    async fn is_empty(&self) -> Result<bool, Unavailable>;

    /// Whether a copy into it has begun and not ended.
    async fn is_half_copied(&self) -> Result<bool, Unavailable>;

    /// Empties it, and notes that a copy into it begins. In one step.
    async fn begin_copy(&self) -> Result<(), Unavailable>;

    /// Notes that the copy is complete.
    async fn end_copy(&self) -> Result<(), Unavailable>;

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
    pub(crate) async fn open(effective: &Effective, role: Role) -> Result<Self, NotOpened> {
        let storage = Self::open_to_copy(effective, role).await?;
        let failed = |failure| NotOpened::Failed(failure);
        let is_half_copied = storage.whole.is_half_copied().await;
        if is_half_copied.map_err(|error| failed(Failure::refused(error)))? {
            storage.close().await;
            return Err(failed(Failure::refused(format_args!(
                "{}: a migration into it broke off, and must be asked for again: lastseen migrate-store",
                effective.database
            ))));
        }
        Ok(storage)
    }

    /// As [`Self::open`], also where it holds a part of a copy only.
    pub(crate) async fn open_to_copy(effective: &Effective, role: Role) -> Result<Self, NotOpened> {
        match &effective.database {
            DatabaseLocation::Sqlite(path) => sqlite::open(path).await,
            DatabaseLocation::Postgres(url) => postgres::open(url, &effective.node, role).await,
        }
    }

    /// Opens the database as the server does: waits for a command that owns it.
    pub(crate) async fn open_in_turn(effective: &Effective) -> Result<Self, Failure> {
        let deadline = Instant::now() + WAIT_FOR_DATABASE;
        loop {
            match Self::open(effective, Role::Node).await {
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

    /// The nodes that share the database, those that have gone silent too.
    pub(crate) async fn nodes(&self) -> Result<Vec<Facts>, Failure> {
        self.whole.nodes().await
    }

    /// What this process has counted as one of the nodes, where the database is shared.
    pub(crate) fn figures(&self) -> Option<Figures> {
        self.whole.figures()
    }

    /// Finishes what waits, and lets go of the database.
    pub(crate) async fn close(&self) {
        self.whole.close().await;
    }
}
