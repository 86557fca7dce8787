//! What happens at once.

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::confirm::{Committed, Confirm};

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_come_at_once_share_commits_and_are_all_there() {
    let (store, place) = store().await;
    let accounts: Vec<_> = (0..50)
        .map(|number| account(&format!("account-{number}")))
        .collect();
    let before: i64 = place
        .psql("SELECT pg_current_xact_id()::text")
        .parse()
        .unwrap();
    filled(&store, &accounts, 20).await;
    let after: i64 = place
        .psql("SELECT pg_current_xact_id()::text")
        .parse()
        .unwrap();
    assert_eq!(place.psql("SELECT count(*) FROM session"), "1000");
    assert!(after - before < 200, "{} transactions", after - before);
}

#[tokio::test]
async fn of_two_sign_ins_with_one_id_that_come_at_once_one_is_told_that_it_is_taken() {
    let (store, _place) = store().await;
    let entropy = Counting::default();
    let one = record(&account("ada"), &entropy);
    let answers =
        futures_util::future::join_all((0..4).map(|_| store.insert(one.clone(), None))).await;
    let done = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Inserted::Done)))
        .count();
    assert_eq!(done, 1, "{answers:?}");
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_sign_in_that_the_database_refuses_takes_no_other_with_it() {
    let (store, place) = store().await;
    place.psql("ALTER TABLE session ADD CHECK (policy <> 13)");
    let entropy = Counting::default();
    let mut bad = record(&account("eve"), &entropy);
    bad.policy = PolicyNumber(13);
    let mut records: Vec<_> = (0..20).map(|_| record(&account("ada"), &entropy)).collect();
    records.insert(10, bad);
    let answers =
        futures_util::future::join_all(records.into_iter().map(|one| store.insert(one, None)))
            .await;
    let refused: Vec<_> = answers.iter().map(Result::is_err).collect();
    assert_eq!(refused.iter().filter(|refused| **refused).count(), 1);
    assert!(refused[10]);
    assert_eq!(place.psql("SELECT count(*) FROM session"), "20");
}

#[tokio::test]
async fn an_account_that_is_purged_while_it_signs_in_keeps_its_name() {
    let (store, place) = store().await;
    let ada = account("ada");
    let old = filled(&store, &[Arc::clone(&ada)], 1).await;
    store.end(None, vec![end_of(old[0])]).await.unwrap();
    let entropy = Counting(AtomicU64::new(1000));
    for _ in 0..20 {
        let new = record(&ada, &entropy);
        let id = new.id;
        let (inserted, purged) = tokio::join!(store.insert(new, None), store.purge(old.clone()));
        assert_eq!(inserted.unwrap(), Inserted::Done);
        purged.unwrap();
        let found = store.find(id).await.unwrap().expect("it is there");
        assert_eq!(found.account, ada);
        store.end(None, vec![end_of(id)]).await.unwrap();
        assert_eq!(store.purge(vec![id]).await.unwrap(), 1);
        assert_eq!(place.psql("SELECT count(*) FROM account"), "0");
    }
}

#[tokio::test]
async fn a_session_that_was_used_meanwhile_is_not_expired_and_one_that_was_is_not_used() {
    let (store, _place) = store().await;
    let ids = filled(&store, &[account("ada")], 2).await;
    store
        .touch(vec![use_of(ids[0], after(5))], after(5))
        .await
        .unwrap();
    let passed = vec![(ids[0], MORNING), (ids[1], MORNING)];
    assert_eq!(store.expire(passed, after(9)).await.unwrap(), [ids[1]]);
    let late = ids.iter().map(|id| use_of(*id, after(7))).collect();
    store.touch(late, after(9)).await.unwrap();
    let found = |id| {
        let store = store.clone();
        async move { store.find(id).await.unwrap().unwrap() }
    };
    let (used, expired) = (found(ids[0]).await, found(ids[1]).await);
    assert_eq!((used.expired, used.last_used_at), (false, after(7)));
    assert_eq!((expired.expired, expired.last_used_at), (true, MORNING));
}

#[tokio::test]
async fn a_use_that_is_being_written_is_waited_for_before_a_session_is_expired() {
    let (store, place) = store().await;
    let ids = filled(&store, &[account("ada")], 2).await;
    // One was used before, of the other this is the first use.
    store
        .touch(vec![use_of(ids[0], after(1))], after(1))
        .await
        .unwrap();
    let writing = store.database().begin(Durability::Durable).await.unwrap();
    let uses: Vec<_> = ids.iter().map(|id| use_of(*id, after(5))).collect();
    write::record_uses(&writing, &uses).await.unwrap();
    let expiring = tokio::spawn({
        let (store, ids) = (store.clone(), ids.clone());
        async move {
            let passed = ids.into_iter().map(|id| (id, after(1))).collect();
            store.expire(passed, after(9)).await
        }
    });
    until(&place, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", "1").await;
    writing.commit().await.unwrap();
    assert_eq!(expiring.await.unwrap().unwrap(), []);
}

/// Asks until it is answered so.
async fn until(place: &TestDatabase<'_>, question: &str, answer: &str) {
    while place.psql(question) != answer {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn of_two_who_end_the_same_sessions_in_two_orders_neither_fails() {
    let (store, _place) = store().await;
    for round in 0..10 {
        let accounts: Vec<_> = (0..10)
            .map(|number| account(&format!("account-{round}-{number}")))
            .collect();
        let ids = filled(&store, &accounts, 5).await;
        let there: Vec<_> = ids.iter().map(|id| end_of(*id)).collect();
        let back: Vec<_> = ids.iter().rev().map(|id| end_of(*id)).collect();
        let (one, other) = tokio::join!(store.end(None, there), store.end(None, back));
        let (Ended::Done(one), Ended::Done(other)) = (one.unwrap(), other.unwrap()) else {
            panic!("all of them are known");
        };
        assert_eq!(one.len() + other.len(), ids.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terminations_that_come_at_once_share_commits_and_each_is_told_its_own() {
    let (store, place) = store().await;
    let (ada, bob) = (account("ada"), account("bob"));
    let ids = filled(&store, &[Arc::clone(&ada), Arc::clone(&bob)], 100).await;
    let (of_ada, of_bob) = ids.split_at(100);
    let number = "SELECT pg_current_xact_id()::text";
    let before: i64 = place.psql(number).parse().unwrap();
    let ends = |id: &SessionId| vec![end_of(*id)];
    let asked = of_ada.iter().zip(of_bob).flat_map(|(own, foreign)| {
        [
            store.end(Some(ada.key.clone()), ends(own)),
            // Somebody else asks for the same, somebody for what is not his, and one for nobody's.
            store.end(None, ends(own)),
            store.end(Some(ada.key.clone()), [ends(own), ends(foreign)].concat()),
            store.end(None, ends(foreign)),
        ]
    });
    let answers = futures_util::future::join_all(asked).await;
    let after: i64 = place.psql(number).parse().unwrap();
    for (place, answer) in answers.chunks(4).enumerate() {
        let [own, again, mixed, foreign] = answer else {
            panic!("four were asked");
        };
        let told = |answer: &Result<Ended, Unavailable>| answer.clone().unwrap();
        assert_eq!(told(own), Ended::Done(vec![of_ada[place]]));
        assert_eq!(told(again), Ended::Done(Vec::new()));
        assert_eq!(told(mixed), Ended::NotFound);
        assert_eq!(told(foreign), Ended::Done(vec![of_bob[place]]));
    }
    assert!(after - before < 100, "{} transactions", after - before);
    let left = place.psql("SELECT count(*) FROM session WHERE left_list_at IS NULL");
    assert_eq!(left, "0");
}

/// Notes what it was asked to confirm, and can be told to fail.
#[derive(Debug, Default)]
struct Nodes {
    confirmed: Mutex<Vec<Committed>>,
    lost: Mutex<bool>,
}

#[async_trait]
impl Confirm for Nodes {
    fn origin(&self) -> Option<Arc<str>> {
        None
    }

    async fn confirm(&self, committed: Committed) -> Result<(), Error> {
        if *self.lost.lock() {
            return Err(Error::TimedOut);
        }
        self.confirmed.lock().push(committed);
        Ok(())
    }
}

#[tokio::test]
async fn a_session_is_not_shown_as_expired_before_every_node_knows_it() {
    let (store, _place) = store().await;
    let nodes = Arc::new(Nodes::default());
    store.database().set_confirm(Arc::clone(&nodes) as _);
    let ids = filled(&store, &[account("ada")], 1).await;
    let passed = vec![(ids[0], MORNING)];

    // Marked, and then nobody knows whether the nodes have heard of it.
    *nodes.lost.lock() = true;
    store.expire(passed.clone(), after(9)).await.unwrap_err();
    store.find(ids[0]).await.unwrap_err();
    store.list(&account("ada").key).await.unwrap_err();
    store.expire(passed.clone(), after(9)).await.unwrap_err();

    // Whoever asks next tells them again, once.
    *nodes.lost.lock() = false;
    assert!(store.find(ids[0]).await.unwrap().unwrap().expired);
    assert_eq!(nodes.confirmed.lock().len(), 1);
    assert!(store.find(ids[0]).await.unwrap().unwrap().expired);
    assert_eq!(store.expire(passed, after(9)).await.unwrap(), ids);
    assert_eq!(nodes.confirmed.lock().len(), 1);
}

#[tokio::test]
async fn a_second_end_is_not_answered_before_every_node_knows_of_the_first() {
    let (store, _place) = store().await;
    let nodes = Arc::new(Nodes::default());
    store.database().set_confirm(Arc::clone(&nodes) as _);
    let ids = filled(&store, &[account("ada")], 1).await;
    *nodes.lost.lock() = true;
    store.end(None, vec![end_of(ids[0])]).await.unwrap_err();
    store.end(None, vec![end_of(ids[0])]).await.unwrap_err();
    *nodes.lost.lock() = false;
    let again = store.end(None, vec![end_of(ids[0])]).await.unwrap();
    assert_eq!(again, Ended::Done(Vec::new()));
    assert_eq!(nodes.confirmed.lock().len(), 1);
}

#[tokio::test]
async fn a_full_queue_of_notifications_fails_no_change() {
    let (store, place) = store().await;
    let nodes = Arc::new(Nodes::default());
    store.database().set_confirm(Arc::clone(&nodes) as _);
    let ids = filled(&store, &[account("ada")], 1).await;
    // What PostgreSQL says at the commit, when eight gigabytes of notifications wait for a listener.
    place.psql(
        "CREATE FUNCTION full_queue() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF current_setting('lastseen.notify', true) = 'off' THEN RETURN NULL; END IF;
             RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000';
         END $$;
         CREATE CONSTRAINT TRIGGER full_queue AFTER INSERT ON change_log
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION full_queue()",
    );
    let hash = SecretHash::from_bytes([9; 32]);
    assert!(store.renew(ids[0], hash, 1).await.unwrap());
    assert_eq!(nodes.confirmed.lock().len(), 1);
    assert_eq!(place.psql("SELECT count(*) FROM change_log"), "1");
}

#[tokio::test]
async fn a_termination_that_nobody_can_be_told_of_is_committed_and_waits_for_the_leases() {
    let (store, place) = store().await;
    let nodes = Arc::new(Nodes::default());
    store.database().set_confirm(Arc::clone(&nodes) as _);
    let ids = filled(&store, &[account("ada")], 2).await;
    place.psql("ALTER FUNCTION pg_notify(text, text) RENAME TO pg_notify_elsewhere");
    let ended = store.end(None, vec![end_of(ids[0])]).await.unwrap();
    assert_eq!(ended, Ended::Done(vec![ids[0]]));
    place.psql("ALTER FUNCTION pg_notify_elsewhere(text, text) RENAME TO pg_notify");
    store.end(None, vec![end_of(ids[1])]).await.unwrap();
    let confirmed = nodes.confirmed.lock().clone();
    let told: Vec<_> = confirmed
        .into_iter()
        .flat_map(|committed| committed.sessions)
        .collect();
    assert_eq!(told, ids);
}

#[tokio::test]
async fn nobody_waits_for_a_notification_that_does_not_go_out() {
    let (store, place) = store_with(|options| options.patience = Duration::from_secs(3600)).await;
    let nodes = Arc::new(Nodes::default());
    store.database().set_confirm(Arc::clone(&nodes) as _);
    let ids = filled(&store, &[account("ada")], 1).await;
    place.psql(
        "ALTER FUNCTION pg_notify(text, text) RENAME TO pg_notify_elsewhere;
         CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(3600)'",
    );
    let ended = tokio::time::timeout(
        Duration::from_secs(60),
        store.end(None, vec![end_of(ids[0])]),
    );
    let ended = ended.await.expect("an answer, without the notification");
    assert_eq!(ended.unwrap(), Ended::Done(vec![ids[0]]));
    assert_eq!(nodes.confirmed.lock()[0].sessions, ids);
}

#[tokio::test]
async fn a_termination_of_one_session_ends_it_only_for_its_own_account() {
    let (store, place) = store().await;
    let (ada, bob) = (account("ada"), account("bob"));
    let ids = filled(&store, &[Arc::clone(&ada), Arc::clone(&bob)], 1).await;
    let asked = |whose: &Arc<Account>, id| store.end(Some(whose.key.clone()), vec![end_of(id)]);
    // At once, so that they go together; and each by itself.
    let (foreign, own) = tokio::join!(asked(&bob, ids[0]), asked(&ada, ids[0]));
    assert_eq!(foreign.unwrap(), Ended::NotFound);
    assert_eq!(own.unwrap(), Ended::Done(vec![ids[0]]));
    assert_eq!(asked(&ada, ids[1]).await.unwrap(), Ended::NotFound);
    assert_eq!(asked(&bob, ids[0]).await.unwrap(), Ended::NotFound);
    assert_eq!(asked(&ada, ids[0]).await.unwrap(), Ended::Done(Vec::new()));
    let left = place.psql("SELECT count(*) FROM session WHERE left_list_at IS NULL");
    assert_eq!(left, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_crash_of_a_server_that_is_set_to_lose_it() {
    let cluster = Cluster::start(&["synchronous_commit=off", "wal_writer_delay=10s"]);
    let place = cluster.new_database();
    let options = Options {
        connections: 4,
        ..Options::new(place.address())
    };
    let database = Database::open(options, &[PostgresStore::MIGRATIONS])
        .await
        .unwrap();
    let store = PostgresStore::new(database);
    let ids = filled(&store, &[account("ada")], 3).await;
    cluster.crash();
    cluster.start_again();
    while store.check().await.is_err() {}
    store
        .touch(vec![use_of(ids[0], after(5))], after(5))
        .await
        .unwrap();
    cluster.crash();
    cluster.start_again();
    while store.check().await.is_err() {}
    let found = store.find(ids[0]).await.unwrap().unwrap();
    assert_eq!(found.last_used_at, after(5));
    store.end(None, vec![end_of(ids[1])]).await.unwrap();
    cluster.crash();
    cluster.start_again();
    while store.check().await.is_err() {}
    assert!(store.find(ids[1]).await.unwrap().unwrap().ended.is_some());
    assert!(store.find(ids[2]).await.unwrap().is_some());
    store.database().close().await;
}

#[tokio::test]
async fn purging_leaves_nothing_of_a_session_nor_of_an_account_that_has_no_other() {
    let (store, place) = store().await;
    let ids = filled(&store, &[account("ada"), account("bob")], 300).await;
    let uses: Vec<_> = ids.iter().map(|id| use_of(*id, after(1))).collect();
    store.touch(uses, after(1)).await.unwrap();
    assert_eq!(place.psql("SELECT count(*) FROM last_use"), "600");
    let (last, others) = ids.split_last().unwrap();
    let ends = others.iter().map(|id| end_of(*id)).collect();
    store.end(None, ends).await.unwrap();
    assert_eq!(store.purge(ids.clone()).await.unwrap(), 599);
    let left = "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM last_use), (SELECT count(*) FROM account)";
    assert_eq!(place.psql(left), "1|1|1");
    store.end(None, vec![end_of(*last)]).await.unwrap();
    assert_eq!(store.purge(ids).await.unwrap(), 1);
    assert_eq!(place.psql(left), "0|0|0");
}
