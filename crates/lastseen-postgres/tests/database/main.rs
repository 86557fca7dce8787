//! The database itself: how it is opened, migrated and reached, on a real PostgreSQL.

mod transactions;

use lastseen_postgres::testing::TestDatabase;
use lastseen_postgres::{Database, Options};

/// The database, opened with few connections, as tests run beside each other.
async fn open(place: &TestDatabase<'_>) -> Database {
    let options = Options {
        connections: 4,
        ..Options::new(place.address())
    };
    Database::open(options, &[])
        .await
        .expect("a new database can be opened")
}
