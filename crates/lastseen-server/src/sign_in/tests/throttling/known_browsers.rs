//! Browsers that have signed in before, and what that spares them.

use super::*;
use crate::sign_in::known_browser::{BrowserMark, new_mark};

#[rstest]
#[tokio::test]
async fn a_browser_that_has_signed_in_before_is_never_slowed_down_by_strangers(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    house.add("grace").await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let foreign = house
        .try_from("203.0.113.9", "grace", GOOD_PASSWORD)
        .await
        .unwrap();
    fail_from_everywhere(&house).await;
    fail(&house, "203.0.113.7", "grace", 1).await;
    // Known to one account is not known to another.
    assert!(
        waits(
            &house
                .try_as(coming_back("203.0.113.9", foreign), "ada", GOOD_PASSWORD)
                .await
        )
        .is_some()
    );
    // From any address, as people move about.
    let again = house
        .try_as(coming_back("192.0.2.55", own), "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    // And again with the new mark, also after a restart.
    let house = house.restarted(HashingSettings::cheap()).await;
    assert!(
        house
            .try_as(coming_back("192.0.2.56", again), "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_stranger_behind_the_same_address_cannot_lock_the_owner_out(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    fail(&house, "203.0.113.7", "ada", 10).await;
    assert!(waits(&house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await).is_some());
    assert!(
        house
            .try_as(coming_back("203.0.113.7", own), "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_known_browser_has_ten_failures_of_its_own(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let known = |number: u8| Visitor {
        mark: own
            .mark
            .as_ref()
            .map(BrowserMark::reveal)
            .and_then(|mark| BrowserMark::parse(mark.as_bytes())),
        ..visitor(&format!("192.0.2.{number}"))
    };
    for number in 0..10 {
        let refused = house
            .try_as(known(number), "ada", "wrong")
            .await
            .unwrap_err();
        assert!(matches!(refused, Refused::Credentials), "{refused:?}");
    }
    assert!(waits(&house.try_as(known(99), "ada", GOOD_PASSWORD).await).is_some());
}

#[rstest]
#[tokio::test]
async fn a_mark_is_worth_nothing_once_the_browser_has_another(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let first = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let old = first.mark.as_ref().unwrap().reveal();
    let parse = |text: &str| BrowserMark::parse(text.as_bytes());
    let second = house
        .try_as(coming_back("203.0.113.7", first), "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    fail_from_everywhere(&house).await;
    let planted = Visitor {
        mark: parse(&old),
        ..visitor("192.0.2.1")
    };
    assert!(waits(&house.try_as(planted, "ada", GOOD_PASSWORD).await).is_some());
    let made_up = new_mark(house.entropy.as_ref());
    let stranger = Visitor {
        mark: Some(made_up),
        ..visitor("192.0.2.1")
    };
    assert!(waits(&house.try_as(stranger, "ada", GOOD_PASSWORD).await).is_some());
    assert!(
        house
            .try_as(coming_back("192.0.2.1", second), "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_browser_of_two_accounts_is_known_to_both(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    house.add("grace").await;
    let ada = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let grace = house
        .try_as(coming_back("203.0.113.7", ada), "grace", GOOD_PASSWORD)
        .await
        .unwrap();
    fail_from_everywhere(&house).await;
    assert!(
        house
            .try_as(coming_back("203.0.113.7", grace), "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn an_account_knows_a_bounded_number_of_browsers_and_keeps_those_that_came_back(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let own = house
        .try_as(coming_back("203.0.113.7", own), "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    for _ in 0..510 {
        house.clock.pass(Duration::from_secs(60));
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .unwrap();
    }
    assert_eq!(house.rows("known_browser"), 500);
    fail_from_everywhere(&house).await;
    assert!(
        house
            .try_as(coming_back("203.0.113.7", own), "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}
