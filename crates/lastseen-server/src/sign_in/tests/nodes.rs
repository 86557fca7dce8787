//! Signing in at several nodes of one database.

use std::time::Duration;

use lastseen::Timestamp;
use lastseen_postgres::{Database, Durability, Options};
use tokio::task::JoinSet;

use super::*;
use crate::accounts::POSTGRES_MIGRATIONS;
use crate::sign_in::PostgresSignInStore;
use crate::sign_in::in_flight::InFlight;
use crate::sign_in::throttle::{Counter, Counters};
use crate::storage::testing::cluster;

/// Ada's account, and two nodes that know it.
async fn two_nodes() -> [Arc<House>; 2] {
    let first = House::with_ada(Kind::Postgres).await;
    let second = first.another_node().await;
    [Arc::new(first), Arc::new(second)]
}

#[tokio::test]
async fn failures_at_one_node_count_at_the_other() {
    let [first, second] = two_nodes().await;
    for _ in 0..5 {
        for house in [&first, &second] {
            let refused = house.try_from("203.0.113.7", "ada", "wrong").await;
            assert!(matches!(refused, Err(Refused::Credentials)), "{refused:?}");
        }
    }
    for house in [&first, &second] {
        let refused = house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await;
        assert!(matches!(refused, Err(Refused::TooMany(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_tries_at_two_nodes_at_once_no_more_are_told_than_at_one() {
    let nodes = two_nodes().await;
    let tries = (0..40).map(|number: usize| {
        let house = Arc::clone(&nodes[number % 2]);
        tokio::spawn(async move { house.try_from("203.0.113.7", "ada", "wrong").await })
    });
    let (mut refused, mut throttled) = (0, 0);
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap().unwrap_err() {
            Refused::Credentials => refused += 1,
            Refused::TooMany(_) => throttled += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((refused, throttled), (10, 30));
    for house in &nodes {
        let right = house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await;
        assert!(matches!(right, Err(Refused::TooMany(_))), "{right:?}");
    }
}

#[tokio::test]
async fn a_browser_that_signed_in_at_one_node_is_known_at_the_other() {
    let [first, second] = two_nodes().await;
    let signed_in = first.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await;
    let back = coming_back("203.0.113.7", signed_in.unwrap());
    for _ in 0..10 {
        assert!(
            second
                .try_from("203.0.113.7", "ada", "wrong")
                .await
                .is_err()
        );
    }
    let strangers = second.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await;
    assert!(matches!(strangers, Err(Refused::TooMany(_))));
    assert!(second.try_as(back, "ada", GOOD_PASSWORD).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_left_signed_in_to_an_account_that_is_disabled_at_another_node_meanwhile() {
    for _ in 0..10 {
        let [first, second] = two_nodes().await;
        let signing_in: Vec<_> = (0..4)
            .map(|number| {
                let first = Arc::clone(&first);
                let address = format!("203.0.113.{number}");
                tokio::spawn(async move { first.try_from(&address, "ada", GOOD_PASSWORD).await })
            })
            .collect();
        tokio::task::yield_now().await;
        second.accounts.disable("ada").await.unwrap();
        for signing_in in signing_in {
            if let Ok(signed_in) = signing_in.await.unwrap() {
                assert!(!second.accepts(&signed_in.token).await);
            }
        }
    }
}

#[tokio::test]
async fn tries_that_stand_in_line_for_a_database_that_does_not_answer_do_not_wait_one_after_another()
 {
    let place = cluster().database();
    let open = async |patience| {
        let options = Options {
            connections: 4,
            patience,
            ..Options::new(place.address())
        };
        Database::open(options, &[POSTGRES_MIGRATIONS])
            .await
            .unwrap()
    };
    // Somebody else holds the table, and nobody is answered as long as he does.
    let others = open(Duration::from_secs(3600)).await;
    let held = others.begin(Durability::Soon).await.unwrap();
    held.execute("LOCK TABLE sign_in_failure", &[])
        .await
        .unwrap();
    let patience = Duration::from_secs(3);
    let store = Arc::new(PostgresSignInStore::new(open(patience).await));
    let in_flight = Arc::new(InFlight::default());
    let mut tries = JoinSet::new();
    for number in 0..20 {
        let name = NameKey::of(&format!("ada-{number}"));
        let counters = Counters {
            pair: Counter::of_pair(&name, None),
            name: Counter::of_name(&name),
            known_visitor: None,
        };
        let (in_flight, store) = (Arc::clone(&in_flight), Arc::clone(&store));
        tries.spawn(async move {
            let admitted = in_flight.admit(counters, &*store, Timestamp::EPOCH);
            admitted.await.is_err()
        });
    }
    let tries = tokio::time::timeout(5 * patience, tries.join_all()).await;
    assert_eq!(tries.unwrap(), [true; 20]);
}
