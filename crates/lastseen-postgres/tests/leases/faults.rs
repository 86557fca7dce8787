//! What goes wrong with connections, notifications and servers.

use std::time::Duration;

use lastseen_postgres::testing::Cluster;

use crate::house::{Kind, Running, id, until, uuid};
use crate::link::Link;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_ear_is_cut_loses_nothing() {
    let place = Cluster::shared().database();
    let link = Link::to(Cluster::shared()).await;
    let ada = Running::start(&place, Kind::default()).await;
    let deaf = Kind {
        direct: Some(link.address(&place)),
        lease: Duration::from_secs(5),
        ..Kind::default()
    };
    let lise = Running::start(&place, deaf).await;
    let (forgotten, term) = (lise.forgotten(), lise.lease.term());
    link.refuse();
    let ears = place.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'lastseen hearing'",
    );
    assert!(ears.lines().count() >= 2, "{ears}");
    for number in 0..5 {
        let taken = ada.end(id(number)).await.unwrap();
        assert!(lise.knows_of(id(number)));
        // A deaf node renews ten times in a lease; whoever waits for it reads its row twenty times in one of his own.
        assert!(taken < Duration::from_secs(2), "{taken:?}");
    }
    assert_eq!(ada.nodes.figures().waited_out, 0);
    assert_eq!(
        (lise.forgotten(), lise.lease.term()),
        (forgotten, term),
        "the lease went on"
    );
    // It hears again once it can.
    let opened = link.opened();
    link.let_go();
    until("it has another ear", || link.opened() > opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ear_that_went_deaf_without_a_word_is_noticed() {
    let place = Cluster::shared().database();
    let link = Link::to(Cluster::shared()).await;
    let ada = Running::start(&place, Kind::default()).await;
    let deaf = Kind {
        direct: Some(link.address(&place)),
        ..Kind::default()
    };
    let lise = Running::start(&place, deaf).await;
    let term = lise.lease.term();
    link.hold_one(1);
    ada.end(id(1)).await.unwrap();
    assert!(lise.knows_of(id(1)));
    until("it has another ear", || link.opened() > 2).await;
    assert_eq!(lise.lease.term(), term, "the lease went on");
    ada.end(id(2)).await.unwrap();
    assert!(lise.knows_of(id(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_takes_lease_and_memory_with_it() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let (forgotten, term) = (ada.forgotten(), ada.lease.term());
    place.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    until("memory is told to forget", || ada.forgotten() > forgotten).await;
    until("another term runs", || {
        ada.lease.term().is_some_and(|now| Some(now) != term)
    })
    .await;
    ada.end(id(1)).await.unwrap();
    assert!(ada.knows_of(id(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_of_the_program_costs_the_node_its_term_and_nothing_else() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let long = Kind {
        lease: Duration::from_secs(5),
        ..Kind::default()
    };
    let grace = Running::start(&place, long).await;
    let (forgotten, term) = (grace.forgotten(), grace.lease.term());
    grace.memory.stumble_over(id(1));
    let taken = ada.end(id(1)).await.unwrap();
    assert!(
        taken < Duration::from_secs(5),
        "{taken:?}: the lease ended with the mistake, and was not waited out"
    );
    until("another term runs", || {
        grace.lease.term().is_some_and(|now| Some(now) > term)
    })
    .await;
    assert!(grace.forgotten() > forgotten);
    ada.end(id(2)).await.unwrap();
    assert!(grace.knows_of(id(2)));
    grace.end(id(3)).await.unwrap();
    assert!(ada.knows_of(id(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_takes_every_lease_and_all_come_back() {
    let cluster = Cluster::start(&[]);
    let place = cluster.new_database();
    let ada = Running::start(&place, Kind::default()).await;
    let grace = Running::start(&place, Kind::default()).await;
    cluster.stop();
    until("no lease runs", || {
        ada.lease.term().is_none() && grace.lease.term().is_none()
    })
    .await;
    assert!(ada.end(id(1)).await.is_err());
    cluster.start_again();
    ada.until_leased().await;
    grace.until_leased().await;
    ada.end(id(2)).await.unwrap();
    assert!(grace.knows_of(id(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_given_up_within_the_lease() {
    let cluster = Cluster::start(&[]);
    let place = cluster.new_database();
    let ada = Running::start(&place, Kind::default()).await;
    cluster.pause();
    until("no lease runs", || ada.lease.term().is_none()).await;
    assert!(ada.end(id(1)).await.is_err());
    cluster.resume();
    ada.until_leased().await;
    ada.end(id(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_hides_no_later_commit() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let grace = Running::start(&place, Kind::default()).await;
    let note = |number| {
        format!(
            "SELECT note_change('sessions', ARRAY['{}'::uuid])",
            uuid(id(number))
        )
    };
    // It has its number before the others and commits after them, while renewals come and go; it makes no noise.
    let held = ada
        .database
        .begin(lastseen_postgres::Durability::Durable)
        .await
        .unwrap();
    held.execute("SET LOCAL lastseen.notify TO 'off'", &[])
        .await
        .unwrap();
    held.execute(&note(1), &[]).await.unwrap();
    for number in 2..5 {
        ada.end(id(number)).await.unwrap();
        assert!(grace.knows_of(id(number)));
    }
    let renewals = grace.nodes.figures().renewals;
    until("renewals go by", || {
        grace.nodes.figures().renewals > renewals + 3
    })
    .await;
    assert!(!grace.knows_of(id(1)));
    held.commit().await.unwrap();
    until("what committed late is known", || grace.knows_of(id(1))).await;
    until("and elsewhere", || ada.knows_of(id(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_notifications_ends_in_waiting_and_not_in_a_failure() {
    // 8 kB pages of 4 segments of 32: the smallest queue that there is would still take long to fill, so it is said
    // to be full. What a full queue does to a commit is the error that this trigger raises.
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let grace = Running::start(&place, Kind::default()).await;
    place.psql(
        "CREATE FUNCTION full_queue() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
            IF current_setting('lastseen.notify', true) IS DISTINCT FROM 'off' THEN
                RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000';
            END IF;
            RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER full_queue AFTER INSERT ON change_log
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION full_queue()",
    );
    ada.end(id(1)).await.unwrap();
    assert!(
        grace.knows_of(id(1)),
        "a renewal has brought it, or its lease is over"
    );
    assert_eq!(ada.nodes.figures().confirmed.count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_nobody_was_told_of_is_known_everywhere_before_it_is_answered() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let grace = Running::start(&place, Kind::default()).await;
    for number in 0..4_u8 {
        let insert = format!("INSERT INTO policy VALUES ({number}, 1, 1, 1)");
        let insert = &insert;
        ada.database
            .change(|transaction| async move {
                transaction
                    .execute("SET LOCAL lastseen.notify TO 'off'", &[])
                    .await?;
                transaction.execute(insert, &[]).await
            })
            .await
            .unwrap();
        let known = Some(usize::from(number) + 1);
        assert_eq!((ada.policies(), grace.policies()), (known, known));
    }
    assert_eq!(ada.nodes.figures().waited_out, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_timeline_takes_every_lease_and_terminations_wait_until_it_is_settled() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let (forgotten, term) = (ada.forgotten(), ada.lease.term());
    // As after a failover: the server says another number than when the nodes registered, and one of them is unknown.
    place.psql("CREATE OR REPLACE FUNCTION primary_timeline() RETURNS bigint LANGUAGE sql AS 'SELECT 77::bigint'");
    until("memory is told to forget", || ada.forgotten() > forgotten).await;
    until("another term runs", || {
        ada.lease.term().is_some_and(|now| Some(now) != term)
    })
    .await;
    let taken = ada.end(id(1)).await.unwrap();
    assert!(
        taken > Duration::from_secs(1),
        "{taken:?}: an unknown node may have held a lease"
    );
    until("it is settled", || {
        place.psql("SELECT timeline FROM settled_timeline") == "77"
    })
    .await;
    let taken = ada.end(id(2)).await.unwrap();
    assert!(taken < Duration::from_secs(1), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_pruned_of_what_every_node_has_applied_and_of_nothing_else() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, Kind::default()).await;
    let (held, stream) = place.address().connect().await.unwrap();
    let stream = tokio::spawn(stream);
    held.batch_execute("BEGIN; INSERT INTO policy VALUES (0, 1, 1, 1)")
        .await
        .unwrap();
    for number in 0..10 {
        ada.end(id(number)).await.unwrap();
    }
    until("what was applied is gone", || {
        place.psql("SELECT count(*) FROM change_log") == "0"
    })
    .await;
    held.batch_execute("COMMIT").await.unwrap();
    until("what came late was applied before it went", || {
        ada.policies() == Some(1)
    })
    .await;
    drop(held);
    stream.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_say_which_node_holds_terminations_up() {
    let place = Cluster::shared().database();
    let link = Link::to(Cluster::shared()).await;
    let ada = Running::start(
        &place,
        Kind {
            name: "ada",
            ..Kind::default()
        },
    )
    .await;
    let slow = Kind {
        direct: Some(link.address(&place)),
        name: "lise",
        lease: Duration::from_secs(5),
        ..Kind::default()
    };
    let _lise = Running::start(&place, slow).await;
    ada.end(id(1)).await.unwrap();
    link.hold();
    let ending = {
        let ending = ada.end(id(2));
        tokio::pin!(ending);
        let mut seen = false;
        loop {
            tokio::select! {
                ended = &mut ending => break (ended, seen),
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    let nodes = ada.database.nodes().await.unwrap();
                    seen |= nodes.iter().any(|node| node.name == "lise" && node.holds_up());
                    assert!(!nodes.iter().any(|node| node.name == "ada" && node.holds_up()));
                }
            }
        }
    };
    let (ended, seen) = ending;
    ended.unwrap();
    assert!(seen, "it was seen to hold the termination up");
    let nodes = ada.database.nodes().await.unwrap();
    let facts = nodes.iter().find(|node| node.name == "ada").unwrap();
    assert_eq!(
        (&*facts.version, facts.lease),
        ("1.2.3", Duration::from_secs(1))
    );
    assert!(facts.lease_left() > Duration::ZERO && facts.current);
}
