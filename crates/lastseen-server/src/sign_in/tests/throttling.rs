//! Limits on failures.

mod known_browsers;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::sign_in::throttle::Wait;

const QUARTER: Duration = Duration::from_secs(900);

fn waits(outcome: &Result<SignedIn, Refused>) -> Option<Wait> {
    match outcome {
        Err(Refused::TooMany(wait)) => Some(*wait),
        _ => None,
    }
}

async fn fail(house: &House, address: &str, name: &str, times: usize) {
    for _ in 0..times {
        let refused = house.try_from(address, name, "wrong").await.unwrap_err();
        assert!(matches!(refused, Refused::Credentials), "{refused:?}");
    }
}

/// Fails a hundred times, from as many addresses.
async fn fail_from_everywhere(house: &House) {
    for number in 0..100 {
        fail(house, &format!("198.51.{number}.7"), "ada", 1).await;
    }
}

#[rstest]
#[tokio::test]
async fn after_ten_failures_a_pair_waits_even_with_the_right_password(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    fail(&house, "203.0.113.7", "ada", 10).await;
    let before = house.hashing.hashed();
    assert_eq!(
        waits(&house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await)
            .unwrap()
            .as_seconds(),
        900
    );
    assert_eq!(house.hashing.hashed(), before);
    // Whatever the spelling; another address and another name are another pair.
    assert!(waits(&house.try_from("203.0.113.7", "ADA", GOOD_PASSWORD).await).is_some());
    assert!(
        house
            .try_from("203.0.113.8", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
    fail(&house, "203.0.113.7", "grace", 1).await;
    house.clock.pass(Duration::from_millis(899_999));
    assert_eq!(
        waits(&house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await)
            .unwrap()
            .as_seconds(),
        1
    );
    house.clock.pass(Duration::from_millis(1));
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
    assert_eq!(house.sign_in.statistics().throttled, 3);
}

#[rstest]
#[tokio::test]
async fn a_name_without_account_waits_like_any_other(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    fail(&house, "203.0.113.7", "nobody", 10).await;
    assert_eq!(
        waits(&house.try_from("203.0.113.7", "nobody", "x").await)
            .unwrap()
            .as_seconds(),
        900
    );
    let impossible = "x".repeat(1_000);
    fail(&house, "203.0.113.7", &impossible, 10).await;
    assert!(waits(&house.try_from("203.0.113.7", &impossible, "x").await).is_some());
}

#[rstest]
#[tokio::test]
async fn only_failures_count_and_no_success_takes_them_back(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    for _ in 0..30 {
        assert!(
            house
                .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
                .await
                .is_ok()
        );
    }
    assert_eq!(house.rows("sign_in_failure"), 0);
    assert_eq!(house.rows("sign_in_pressure"), 0);
    fail(&house, "203.0.113.7", "ada", 9).await;
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
    fail(&house, "203.0.113.7", "ada", 1).await;
    assert!(waits(&house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await).is_some());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_among_two_dozen_tries_makes_no_room_for_others(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    for _ in 0..10 {
        let house = Arc::new(House::with_ada(kind).await);
        let tries = (0..24).map(|number| {
            let house = Arc::clone(&house);
            let password = if number % 2 == 0 {
                "wrong"
            } else {
                GOOD_PASSWORD
            };
            tokio::spawn(async move { house.try_from("203.0.113.7", "ada", password).await })
        });
        let mut refused = 0;
        for tried in tries.collect::<Vec<_>>() {
            refused += u32::from(matches!(tried.await.unwrap(), Err(Refused::Credentials)));
        }
        assert!(refused <= 10, "{refused}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn two_dozen_tries_at_once_are_two_dozen_tries(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = Arc::new(House::with_ada(kind).await);
    let tries = (0..24).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            house
                .try_from("203.0.113.7", "ada", "wrong")
                .await
                .unwrap_err()
        })
    });
    let (mut refused, mut throttled) = (0, 0);
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Refused::Credentials => refused += 1,
            Refused::TooMany(_) => throttled += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((refused, throttled), (10, 14));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn two_dozen_right_passwords_at_once_are_no_failure(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = Arc::new(House::with_ada(kind).await);
    for _ in 0..5 {
        let tries = (0..24).map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await })
        });
        for tried in tries.collect::<Vec<_>>() {
            assert!(tried.await.unwrap().is_ok());
        }
    }
    assert_eq!(house.rows("sign_in_failure"), 0);
    assert_eq!(house.rows("sign_in_pressure"), 0);
}

/// A copy of the database at some instant is what a kill at that instant leaves behind.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_right_passwords_are_being_judged_leaves_no_failure_behind(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let slow = HashingSettings {
        memory: 8_192,
        at_once: 1,
        ..HashingSettings::cheap()
    };
    let house = Arc::new(House::with(kind, slow).await);
    house.add("ada").await;
    let tries = (0..24).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await })
    });
    let tries = tries.collect::<Vec<_>>();
    let mut seen_under_way = 0;
    while !tries.iter().all(tokio::task::JoinHandle::is_finished) {
        seen_under_way += 1;
        assert_eq!(house.rows("sign_in_failure"), 0);
        assert_eq!(house.rows("sign_in_pressure"), 0);
    }
    assert!(seen_under_way > 0);
    for tried in tries {
        assert!(tried.await.unwrap().is_ok());
    }
}

#[rstest]
#[tokio::test]
async fn a_failure_is_on_the_disk_before_it_is_answered_and_a_wrong_password_is_not_told_without(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    fail(&house, "203.0.113.7", "ada", 1).await;
    assert_eq!(house.rows("sign_in_failure"), 1);
    house.database.refuse_updates("sign_in_failure");
    for _ in 0..20 {
        let refused = house.try_from("203.0.113.7", "ada", "wrong").await;
        assert!(
            matches!(refused, Err(Refused::Unavailable(_))),
            "{refused:?}"
        );
    }
    // They left no try under way behind them, for which the next would wait in vain.
    let right = house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await;
    assert!(right.is_ok());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_fifty_tries_for_one_name_from_anywhere_at_once_are_a_hundred_failures(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = Arc::new(House::with_ada(kind).await);
    let tries = (0..150).map(|number| {
        let house = Arc::clone(&house);
        let address = format!("198.51.{number}.7");
        tokio::spawn(async move { house.try_from(&address, "ada", "wrong").await.unwrap_err() })
    });
    let (mut refused, mut throttled) = (0, 0);
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Refused::Credentials => refused += 1,
            Refused::TooMany(_) => throttled += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((refused, throttled), (100, 50));
}

#[rstest]
#[tokio::test]
async fn addresses_of_one_ipv6_network_are_one_address(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    for number in 0..10 {
        fail(&house, &format!("2001:db8:1:2::{number}"), "ada", 1).await;
    }
    assert!(
        waits(
            &house
                .try_from("2001:db8:1:2:ffff::1", "ada", GOOD_PASSWORD)
                .await
        )
        .is_some()
    );
    assert!(
        house
            .try_from("2001:db8:1:3::1", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn the_counts_survive_a_restart(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::with_ada(kind).await;
    fail(&house, "203.0.113.7", "ada", 10).await;
    let house = house.restarted(HashingSettings::cheap()).await;
    assert!(waits(&house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await).is_some());
}

#[rstest]
#[tokio::test]
async fn a_flood_of_other_names_resets_nothing(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::with_ada(kind).await;
    fail(&house, "203.0.113.7", "ada", 10).await;
    for number in 0..600 {
        fail(&house, "203.0.113.7", &format!("name {number}"), 1).await;
    }
    assert!(waits(&house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await).is_some());
}

#[rstest]
#[tokio::test]
async fn what_does_not_count_any_more_is_forgotten(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    for number in 0..50 {
        fail(&house, "203.0.113.7", &format!("name {number}"), 1).await;
    }
    assert_eq!(house.rows("sign_in_failure"), 50);
    house.clock.pass(QUARTER);
    // A try clears away more rows than it makes, so the table shrinks without any job.
    fail(&house, "203.0.113.7", "ada", 1).await;
    assert_eq!(house.rows("sign_in_failure"), 43);
    assert!(house.sign_in.tidy().await.unwrap() > 0);
    assert_eq!(house.rows("sign_in_failure"), 1);
    assert_eq!(house.rows("sign_in_pressure"), 1);
}

#[rstest]
#[tokio::test]
async fn a_hundred_failures_from_anywhere_slow_strangers_down(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    fail_from_everywhere(&house).await;
    let wait = waits(&house.try_from("192.0.2.1", "ada", GOOD_PASSWORD).await).unwrap();
    assert_eq!(wait.as_seconds(), 900);
    house.clock.pass(QUARTER);
    fail(&house, "192.0.2.2", "ada", 1).await;
    assert!(waits(&house.try_from("192.0.2.3", "ada", GOOD_PASSWORD).await).is_some());
    house.clock.pass(QUARTER);
    assert!(
        house
            .try_from("192.0.2.3", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}
