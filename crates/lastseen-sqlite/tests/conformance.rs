//! The tests that every store must pass, on SQLite.

use std::sync::Arc;

use lastseen::Store;
use lastseen_sqlite::{Database, Options, SqliteStore};
use tempfile::TempDir;

fn empty_store() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let path = folder.path().join("sessions.db");
    let database = Database::open(path, &[SqliteStore::MIGRATIONS], Options::default())
        .expect("a new database");
    (Arc::new(SqliteStore::new(database)), folder)
}

lastseen::conformance_tests!(empty_store());
