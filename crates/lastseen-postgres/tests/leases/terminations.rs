//! When a termination is answered.

use std::time::Duration;

use lastseen_postgres::Notify;
use lastseen_postgres::testing::Cluster;

use crate::house::{Kind, Running, id, until, uuid};
use crate::link::Link;

/// A lease so long that nothing is fast by way of a renewal, a third of it later.
const LONG: Duration = Duration::from_secs(5);
/// Less than a third of that, and more than any busy machine needs for a few messages.
const FAST: Duration = Duration::from_secs(1);

fn long() -> Kind {
    Kind {
        lease: LONG,
        ..Kind::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_is_answered_once_every_node_has_forgotten_the_session() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, long()).await;
    let grace = Running::start(&place, long()).await;
    let lise = Running::start(&place, long()).await;
    for number in 0..50 {
        let taken = ada.end(id(number)).await.unwrap();
        for node in [&ada, &grace, &lise] {
            assert!(node.knows_of(id(number)));
        }
        assert!(taken < FAST, "{taken:?}: it waited for a renewal");
    }
    let figures = ada.nodes.figures();
    assert_eq!((figures.waited_out, figures.confirmed.count), (0, 50));
    assert!(figures.acknowledgements_received >= 150);
    assert!(grace.nodes.figures().acknowledgements_sent >= 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn terminations_of_three_nodes_at_once_are_all_answered() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, long()).await;
    let grace = Running::start(&place, long()).await;
    let lise = Running::start(&place, long()).await;
    let all = (0..60_u8).map(|number| {
        let node = [&ada, &grace, &lise][usize::from(number % 3)];
        async move { node.end(id(number)).await.unwrap() }
    });
    let taken = futures_util::future::join_all(all).await;
    for number in 0..60 {
        assert!(
            [&ada, &grace, &lise]
                .iter()
                .all(|node| node.knows_of(id(number)))
        );
    }
    assert!(
        taken.iter().all(|taken| *taken < LONG),
        "nobody was waited out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_costs_one_lease_once() {
    let place = Cluster::shared().database();
    let link = Link::to(Cluster::shared()).await;
    let ada = Running::start(&place, Kind::default()).await;
    let grace = Running::start(&place, Kind::default()).await;
    let dead = Kind {
        direct: Some(link.address(&place)),
        ..Kind::default()
    };
    let lise = Running::start(&place, dead).await;
    link.hold();
    let first = ada.end(id(1)).await.unwrap();
    assert!(lise.lease.term().is_none(), "its lease has run out");
    assert!(first < Duration::from_secs(3), "{first:?}");
    until("it is evicted", || {
        place.psql("SELECT count(*) FROM node") == "2"
    })
    .await;
    let second = ada.end(id(2)).await.unwrap();
    let third = grace.end(id(3)).await.unwrap();
    assert!(
        second + third < Duration::from_secs(1),
        "{second:?} {third:?}"
    );
    assert_eq!(ada.nodes.figures().waited_out, 1);
    assert!(!lise.knows_of(id(1)));
    // It comes back by itself, with an empty memory.
    let forgotten = lise.forgotten();
    link.let_go();
    lise.until_leased().await;
    assert!(lise.forgotten() > forgotten);
    ada.end(id(4)).await.unwrap();
    assert!(lise.knows_of(id(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_believes_in_its_lease_for_less_than_others_wait() {
    let place = Cluster::shared().database();
    let link = Link::to(Cluster::shared()).await;
    let ada = Running::start(&place, Kind::default()).await;
    let cut = Kind {
        direct: Some(link.address(&place)),
        ..Kind::default()
    };
    let lise = Running::start(&place, cut).await;
    link.hold();
    let lease = std::sync::Arc::clone(&lise.lease);
    let over = tokio::spawn(async move {
        until("its lease is over", || lease.term().is_none()).await;
        tokio::time::Instant::now()
    });
    ada.end(id(1)).await.unwrap();
    let answered = tokio::time::Instant::now();
    // Both look at clocks at their own pace: it is over first by two margins, 200 ms.
    assert!(over.await.unwrap() <= answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_is_not_waited_for() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, long()).await;
    let grace = Running::start(&place, long()).await;
    let lise = Running::start(&place, long()).await;
    lise.nodes.leave().await;
    assert!(lise.lease.term().is_none());
    drop(grace);
    until("both have left", || {
        place.psql("SELECT count(*) FROM node") == "1"
    })
    .await;
    assert!(ada.end(id(1)).await.unwrap() < FAST);
    // One that has left goes on ending sessions.
    lise.end(id(2)).await.unwrap();
    assert!(ada.knows_of(id(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_nodes_waits_for_them() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, long()).await;
    let command = Kind {
        registers: false,
        ..long()
    };
    let command = Running::start(&place, command).await;
    assert!(command.end(id(1)).await.unwrap() < FAST);
    assert!(ada.knows_of(id(1)));
    assert_eq!(place.psql("SELECT count(*) FROM node"), "1");
    assert!(command.lease.term().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_with_psql_is_followed() {
    let place = Cluster::shared().database();
    let ada = Running::start(&place, long()).await;
    let id = id(7);
    place.psql(&format!(
        "SELECT note_change('sessions', ARRAY['{}'::uuid])",
        uuid(id)
    ));
    until("the node was told", || ada.knows_of(id)).await;
    let policies = ada.policies();
    assert_eq!(policies, Some(0));
    place.psql("INSERT INTO policy VALUES (0, 1000, 1000, 1000)");
    until("the policy is known", || ada.policies() == Some(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_parts_of_the_program_are_told_of_their_changes() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let place = Cluster::shared().database();
    let ada = Running::start(&place, long()).await;
    let told = Arc::new(AtomicU64::new(0));
    let hook = Arc::clone(&told);
    ada.nodes.follow_kind("applications", move || {
        hook.fetch_add(1, Ordering::Relaxed);
    });
    place.psql("SELECT note_change('applications')");
    until("it was told", || told.load(Ordering::Relaxed) == 1).await;
    place.psql("SELECT note_change('accounts')");
    ada.end(id(1)).await.unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_heard_renewals_and_rows_tell_everything() {
    let place = Cluster::shared().database();
    let kind = Kind {
        notify: Notify::Poll,
        ..Kind::default()
    };
    let ada = Running::start(&place, kind.clone()).await;
    let grace = Running::start(&place, kind).await;
    for number in 0..3 {
        ada.end(id(number)).await.unwrap();
        assert!(ada.knows_of(id(number)) && grace.knows_of(id(number)));
    }
    assert_eq!(ada.nodes.figures().waited_out, 0);
}
