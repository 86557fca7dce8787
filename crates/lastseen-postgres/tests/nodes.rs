//! The tests of several nodes over one store, on PostgreSQL.

use std::sync::Arc;

use lastseen::Store;
use lastseen_postgres::testing::{Cluster, TestDatabase};
use lastseen_postgres::{Database, Options, PostgresStore};

async fn empty_store() -> (Arc<dyn Store>, TestDatabase<'static>) {
    let place = Cluster::shared().database();
    let options = Options {
        connections: 4,
        ..Options::new(place.address())
    };
    let database = Database::open(options, &[PostgresStore::MIGRATIONS])
        .await
        .expect("a new database can be opened");
    (Arc::new(PostgresStore::new(database)), place)
}

lastseen::conformance_tests_of_nodes!(empty_store().await);
