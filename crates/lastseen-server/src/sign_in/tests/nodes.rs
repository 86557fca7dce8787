//! Signing in at several nodes of one database.

use super::*;

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
