//! The database itself: how it is opened, migrated and reached, on a real PostgreSQL.

mod cluster;
mod migrations;
mod patience;
mod pgbouncer;
mod reach;
mod tls;
mod transactions;

use lastseen_postgres::testing::TestDatabase;
use lastseen_postgres::{Database, MigrationSet, Options};

/// The database, opened with few connections, as tests run beside each other.
async fn open(place: &TestDatabase<'_>) -> Database {
    open_with(place, &[]).await
}

/// The same with tables.
async fn open_with(place: &TestDatabase<'_>, sets: &[MigrationSet]) -> Database {
    let options = Options {
        connections: 4,
        ..Options::new(place.address())
    };
    Database::open(options, sets)
        .await
        .expect("the database can be opened")
}
