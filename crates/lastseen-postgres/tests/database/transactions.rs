//! Statements that stand or fall together, and changes that nodes follow.

use std::sync::Arc;

use async_trait::async_trait;
use lastseen_postgres::testing::Cluster;
use lastseen_postgres::tokio_postgres::types::Type;
use lastseen_postgres::{Committed, Confirm, Database, Durability, Error};
use parking_lot::Mutex;

use super::open;

const WRITE: &str = "UPDATE probe SET written = $1";

async fn written(database: &Database) -> i64 {
    let rows = database.query("SELECT written FROM probe", &[]).await;
    rows.expect("the probe can be read")[0].get(0)
}

/// Notes what it was asked to confirm.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<Committed>>);

#[async_trait]
impl Confirm for Noting {
    fn origin(&self) -> Option<Arc<str>> {
        Some("n1".into())
    }

    async fn confirm(&self, committed: Committed) -> Result<(), Error> {
        self.0.lock().push(committed);
        Ok(())
    }
}

#[tokio::test]
async fn what_was_committed_stays_and_what_was_dropped_or_rolled_back_does_not() {
    let place = Cluster::shared().database();
    let database = open(&place).await;
    for (number, end) in ["commit", "drop", "roll back"].iter().enumerate() {
        let transaction = database.begin(Durability::Durable).await.unwrap();
        let number = i64::try_from(number).unwrap() + 7;
        let changed = transaction.execute(WRITE, &[(&number, Type::INT8)]).await;
        assert_eq!(changed, Ok(1));
        match *end {
            "commit" => transaction.commit().await.unwrap(),
            "drop" => drop(transaction),
            _ => transaction.roll_back().await,
        }
    }
    assert_eq!(written(&database).await, 7);
}

#[tokio::test]
async fn a_durable_transaction_says_so_itself_whatever_the_database_is_set_to() {
    let place = Cluster::shared().database();
    place.psql(&format!(
        "ALTER DATABASE {} SET synchronous_commit TO off",
        place.name()
    ));
    let database = open(&place).await;
    for (durability, setting) in [(Durability::Durable, "on"), (Durability::Soon, "off")] {
        let transaction = database.begin(durability).await.unwrap();
        let rows = transaction.query("SHOW synchronous_commit", &[]).await;
        assert_eq!(rows.unwrap()[0].get::<_, &str>(0), setting);
    }
}

#[tokio::test]
async fn a_change_that_was_noted_is_confirmed_after_its_commit_and_another_is_not() {
    let place = Cluster::shared().database();
    let database = open(&place).await;
    let noting = Arc::new(Noting::default());
    database.set_confirm(Arc::clone(&noting) as _);
    let answer = database
        .change(
            |transaction| async move { transaction.execute(WRITE, &[(&5_i64, Type::INT8)]).await },
        )
        .await;
    assert_eq!(answer, Ok(1));
    assert!(noting.0.lock().is_empty());
    // As a task: a change has to go wherever requests go.
    let clone = database.clone();
    let noted = tokio::spawn(async move {
        clone
            .change(|transaction| async move {
                transaction
                    .query("SELECT note_change('everything')", &[])
                    .await
                    .map(|rows| rows.len())
            })
            .await
    });
    assert_eq!(noted.await.unwrap(), Ok(1));
    let confirmed = noting.0.lock().clone();
    assert_eq!(confirmed.len(), 1);
    let row = place.psql("SELECT xid, kind, origin FROM change_log");
    assert_eq!(row, format!("{}|everything|n1", confirmed[0].xid.0));
}
