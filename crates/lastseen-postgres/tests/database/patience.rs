//! One request has one patience, however often it asks, and behind whom it stands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lastseen::SessionId;
use lastseen::conformance::people::{Dice, MORNING, person, record};
use lastseen::session::{EndedBy, Ending};
use lastseen::store::{End, Store};
use lastseen_postgres::testing::Cluster;
use lastseen_postgres::{
    Committed, Confirm, Database, Durability, Error, Options, PostgresStore, one_request,
};
use parking_lot::Mutex;
use tokio::sync::Barrier;
use tokio::time::timeout;

/// A statement that nobody lives to see answered.
const FOR_EVER: &str = "SELECT pg_sleep(3600)";
/// Longer than any machine needs for what does not wait, and shorter than what waits one after the other.
const AT_ONCE: Duration = Duration::from_secs(30);

async fn store(
    cluster: &'static Cluster,
    patience: Duration,
    connections: usize,
) -> (
    PostgresStore,
    lastseen_postgres::testing::TestDatabase<'static>,
) {
    let place = cluster.database();
    let options = Options {
        connections,
        patience,
        ..Options::new(place.address())
    };
    let database = Database::open(options, &[PostgresStore::MIGRATIONS]).await;
    let database = database.expect("a new database can be opened");
    (PostgresStore::new(database), place)
}

fn end_of(id: SessionId) -> End {
    let ending = Ending {
        at: MORNING,
        by: EndedBy::Command,
        left_list_at: MORNING,
    };
    End {
        id,
        ending,
        last_use: None,
    }
}

/// Asks everything there is once more; all of it is refused.
async fn nothing_is_waited_for(store: &PostgresStore) {
    let ada = record(&person("ada"), MORNING, &Dice::default());
    let (id, key) = (ada.id, ada.account.key.clone());
    let database = store.database();
    assert!(store.find(id).await.is_err());
    assert!(store.list(&key).await.is_err());
    assert!(store.insert(ada, None).await.is_err());
    assert!(store.end(None, vec![end_of(id)]).await.is_err());
    assert!(store.touch(Vec::new(), MORNING).await.is_err());
    assert!(store.settle_account(&key).await.is_err());
    assert!(store.check().await.is_err());
    assert!(database.begin(Durability::Soon).await.is_err());
    assert!(database.wait_behind(std::future::ready(())).await.is_err());
}

#[tokio::test]
async fn a_request_that_was_not_answered_once_does_not_wait_again() {
    let patience = AT_ONCE / 3;
    let (store, _place) = store(Cluster::shared(), patience, 4).await;
    let again = one_request(async {
        let unanswered = store.database().query(FOR_EVER, &[]).await;
        assert!(matches!(unanswered, Err(Error::TimedOut)), "{unanswered:?}");
        nothing_is_waited_for(&store).await;
    });
    timeout(AT_ONCE, again).await.expect("it waits once");
    // Of another request that says nothing.
    store.check().await.unwrap();
}

#[tokio::test]
async fn nor_one_that_stood_behind_somebody_in_vain() {
    let patience = AT_ONCE / 3;
    let (store, _place) = store(Cluster::shared(), patience, 4).await;
    let again = one_request(async {
        let behind = store.wait_behind(Box::pin(std::future::pending()));
        behind.await.unwrap_err();
        nothing_is_waited_for(&store).await;
    });
    timeout(AT_ONCE, again).await.expect("it waits once");
}

#[tokio::test]
async fn a_request_whose_questions_are_answered_asks_as_many_as_it_likes() {
    let (store, _place) = store(Cluster::shared(), Duration::from_secs(40), 4).await;
    one_request(async {
        for _ in 0..500 {
            store.check().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_hangs_up_leaves_no_question_that_others_wait_for() {
    let (store, _place) = store(Cluster::shared(), Duration::from_secs(3600), 1).await;
    let hung_up = timeout(
        Duration::from_millis(100),
        store.database().query(FOR_EVER, &[]),
    );
    hung_up.await.unwrap_err();
    timeout(AT_ONCE, store.check())
        .await
        .expect("nobody is in the way")
        .unwrap();
}

/// Confirms when so many changes wait to be confirmed, or never.
#[derive(Debug)]
struct Nodes {
    wait: Option<Barrier>,
    patience: Mutex<Vec<Duration>>,
}

impl Nodes {
    fn of(store: &PostgresStore, wait: Option<usize>) -> Arc<Self> {
        let nodes = Arc::new(Self {
            wait: wait.map(Barrier::new),
            patience: Mutex::default(),
        });
        store.database().set_confirm(Arc::clone(&nodes) as _);
        nodes
    }
}

#[async_trait]
impl Confirm for Nodes {
    fn origin(&self) -> Option<Arc<str>> {
        None
    }

    async fn confirm(&self, committed: Committed) -> Result<(), Error> {
        self.patience.lock().push(committed.patience);
        match &self.wait {
            Some(wait) => {
                wait.wait().await;
                Ok(())
            }
            None => Err(Error::TimedOut),
        }
    }
}

#[tokio::test]
async fn nodes_that_could_not_be_read_are_not_waited_for_once_more() {
    let patience = Duration::from_secs(3600);
    let (store, _place) = store(Cluster::shared(), patience, 4).await;
    let nodes = Nodes::of(&store, None);
    let dice = Dice::default();
    let ada = record(&person("ada"), MORNING, &dice);
    let (id, key) = (ada.id, ada.account.key.clone());
    store.insert(ada, None).await.unwrap();
    one_request(async {
        store.settle_account(&key).await.unwrap_err();
        nothing_is_waited_for(&store).await;
    })
    .await;
    one_request(async {
        store.end(None, vec![end_of(id)]).await.unwrap_err();
        nothing_is_waited_for(&store).await;
    })
    .await;
    // The nodes are given what the commit has left.
    let given = nodes.patience.lock().clone();
    assert_eq!(given.len(), 2);
    assert!(given.iter().all(|given| *given < patience), "{given:?}");
}

#[tokio::test]
async fn terminations_beside_one_that_is_refused_wait_for_the_nodes_together() {
    let (store, place) = store(Cluster::shared(), Duration::from_secs(3600), 4).await;
    let dice = Dice::default();
    let records: Vec<_> = (0..10)
        .map(|_| record(&person("ada"), MORNING, &dice))
        .collect();
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    for record in records {
        store.insert(record, None).await.unwrap();
    }
    place.psql("ALTER TABLE session ADD CHECK (ended_at <> 13)");
    // Each of the nine is answered only when all of them wait.
    Nodes::of(&store, Some(9));
    let ends = ids.iter().enumerate().map(|(number, id)| {
        let mut end = end_of(*id);
        if number == 4 {
            end.ending.at = lastseen::Timestamp::from_millisecond(13);
        }
        store.end(None, vec![end])
    });
    let ended = timeout(AT_ONCE, futures_util::future::join_all(ends))
        .await
        .expect("nobody waits behind another one's nodes");
    let refused: Vec<_> = ended.iter().map(Result::is_err).collect();
    assert_eq!(refused.iter().filter(|refused| **refused).count(), 1);
    assert!(refused[4]);
}
