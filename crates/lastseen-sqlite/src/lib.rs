//! Under construction.
mod backup;
mod connection;
mod database;
mod error;
mod file;
mod migration;
pub use backup::backup_file;
pub use database::{Database, Options, Statistics};
pub use error::{Error, OpenError};
pub use file::resolve;
pub use migration::{Migration, MigrationSet};
pub use rusqlite;
