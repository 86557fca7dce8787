//! The embedded store of Lastseen: sessions in one SQLite file, durable before they are answered.
//!
//! ```
//! use std::sync::Arc;
//! use lastseen_sqlite::{Database, Options, SqliteStore};
//!
//! # fn main() -> Result<(), lastseen_sqlite::OpenError> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("sessions.db");
//! let database = Database::open(path, &[SqliteStore::MIGRATIONS], Options::default())?;
//! let store: Arc<dyn lastseen::Store> = Arc::new(SqliteStore::new(database));
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//! | file | what lives there |
//! | --- | --- |
//! | `database.rs` | [`Database`]: the handle; starts and ends the threads |
//! | `database/writer.rs` | the one thread that writes: what is queued shares one commit |
//! | `database/turn.rs` | [`Turn`]: how long work goes on that nobody waits for |
//! | `database/reader.rs` | the threads that read: what is queued shares one look |
//! | `transaction.rs` | [`Transaction`]: what jobs work in |
//! | `database/checkpoint.rs` | copies the log into the file, beside the writer |
//! | `database/health.rs` | whether it works, told to any number of askers for one probe |
//! | `file.rs` | the file: its one name, the lock, whose it is, how it comes to be |
//! | `connection.rs` | how each connection is set up |
//! | `migration.rs`, `migrations/` | numbered steps, several sets of them, never edited |
//! | `backup.rs` | [`backup_file`]: a consistent copy while others read and write |
//! | `error.rs` | [`Error`] of a job, [`OpenError`] of a file |
//! | `store.rs`, `store/{read,write,devices}.rs` | [`SqliteStore`]: sessions as rows |
//!
//! # What holds
//! - **One process.** It holds a lock beside the file; a second one is told so. So whoever answers from
//!   memory over this store need not fear another writer.
//! - **Durable, then answered.** A write is answered once its transaction is on the disk
//!   (`synchronous=FULL`), together with those that were queued with it. One that fails undoes itself only.
//! - **A read begins after it was asked for**, hence sees every write that was answered before.
//! - **Nothing grows without bound**: queues refuse what is too much, the log begins anew.
//! - **A fault passes.** A full disk makes writes fail, and [`Database::health`] with them, until there is
//!   room; nothing has to be restarted.
//! - No clock and no randomness: times come from the caller. Only how much of the upkeep is done at once goes by the time
//!   that it takes.
//!
//! Why it is built this way: `docs/decisions/one-writer.md` and `docs/decisions/sessions-tables.md`.

mod backup;
mod connection;
mod database;
mod error;
mod file;
mod migration;
mod store;
mod transaction;

pub use backup::backup_file;
pub use database::{Database, Options, Statistics, Turn};
pub use error::{Error, OpenError};
pub use file::resolve;
pub use migration::{Migration, MigrationSet};
/// The library whose transactions the jobs get.
pub use rusqlite;
pub use store::SqliteStore;
pub use transaction::Transaction;

/// Its examples are tested like all others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
