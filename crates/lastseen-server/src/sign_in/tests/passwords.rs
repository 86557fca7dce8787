//! Changing the password.

use super::*;
use crate::accounts::PasswordRefusal;
use crate::sign_in::ChangeRefused;

const NEW_PASSWORD: &str = "four grey herons at dusk";

async fn change(
    house: &House,
    signed_in: &SignedIn,
    current: &str,
    new: &str,
) -> Result<SignedIn, ChangeRefused> {
    let (current, new) = (Password::new(current), Password::new(new));
    house
        .sign_in
        .change_password(
            signed_in.session.clone(),
            current,
            new,
            visitor("203.0.113.7"),
        )
        .await
}

#[rstest]
#[tokio::test]
async fn a_change_of_the_password_ends_every_other_session_and_renews_this_ones_token(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let other = house
        .try_from("203.0.113.8", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let changed = change(&house, &own, GOOD_PASSWORD, NEW_PASSWORD)
        .await
        .unwrap();
    assert_eq!(changed.session.id, own.session.id);
    assert!(house.accepts(&changed.token).await);
    assert!(!house.accepts(&own.token).await && !house.accepts(&other.token).await);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_err()
    );
    assert!(
        house
            .try_from("203.0.113.7", "ada", NEW_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_wrong_current_password_changes_nothing(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let other = house
        .try_from("203.0.113.8", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let refused = change(&house, &own, "wrong", NEW_PASSWORD)
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        ChangeRefused::Refused(Refused::Credentials)
    ));
    assert!(house.accepts(&own.token).await && house.accepts(&other.token).await);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_new_password_that_may_not_be_one_changes_nothing(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let too_long = "ab cd".repeat(26);
    for (new, expected) in [
        ("short", PasswordRefusal::TooShort),
        (too_long.as_str(), PasswordRefusal::TooLong),
        ("password1", PasswordRefusal::Common),
    ] {
        let refused = change(&house, &own, GOOD_PASSWORD, new).await.unwrap_err();
        assert!(
            matches!(refused, ChangeRefused::Password(found) if found == expected),
            "{new}: {refused:?}"
        );
    }
    assert!(house.accepts(&own.token).await);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn wrong_current_passwords_count_as_failures_of_the_session_and_of_the_name(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    for _ in 0..10 {
        let refused = change(&house, &own, "wrong", NEW_PASSWORD)
            .await
            .unwrap_err();
        assert!(matches!(
            refused,
            ChangeRefused::Refused(Refused::Credentials)
        ));
    }
    let refused = change(&house, &own, GOOD_PASSWORD, NEW_PASSWORD)
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        ChangeRefused::Refused(Refused::TooMany(_))
    ));
    // Not of the pair: the person can sign in. But ten of the hundred failures of the name are gone.
    for number in 0..90 {
        let failed = house
            .try_from(&format!("198.51.{number}.7"), "ada", "wrong")
            .await;
        assert!(matches!(failed, Err(Refused::Credentials)));
        if number == 0 {
            assert!(
                house
                    .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
                    .await
                    .is_ok()
            );
        }
    }
    let stranger = house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await;
    assert!(matches!(stranger, Err(Refused::TooMany(_))));
}

#[rstest]
#[tokio::test]
async fn failures_of_strangers_do_not_keep_the_owner_from_changing_the_password(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    for number in 0..110 {
        let _ = house
            .try_from(&format!("198.51.{number}.7"), "ada", "wrong")
            .await;
    }
    for _ in 0..10 {
        let _ = house.try_from("203.0.113.7", "ada", "wrong").await;
    }
    assert!(
        change(&house, &own, GOOD_PASSWORD, NEW_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_session_that_has_ended_changes_no_password(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let own = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let key = &own.session.account.key;
    let now = house.sign_in.inner.now();
    house
        .sessions
        .terminate(key, &[own.session.id], EndedBy::Command, now)
        .await
        .unwrap();
    let refused = change(&house, &own, GOOD_PASSWORD, NEW_PASSWORD)
        .await
        .unwrap_err();
    assert!(matches!(refused, ChangeRefused::NotSignedIn), "{refused:?}");
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_wins_and_its_session_alone_is_left(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    for _ in 0..10 {
        let house = Arc::new(House::with_ada(kind).await);
        let one = house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .unwrap();
        let other = house
            .try_from("203.0.113.8", "ada", GOOD_PASSWORD)
            .await
            .unwrap();
        let changes: Vec<_> = [(one, "four grey herons"), (other, "nine brown foxes")]
            .into_iter()
            .map(|(session, new)| {
                let house = Arc::clone(&house);
                tokio::spawn(async move {
                    change(&house, &session, GOOD_PASSWORD, new)
                        .await
                        .map(|done| (done, new))
                })
            })
            .collect();
        let mut won = Vec::new();
        for change in changes {
            won.extend(change.await.unwrap());
        }
        assert!(won.len() <= 1);
        for (done, new) in won {
            assert!(house.accepts(&done.token).await);
            assert!(house.try_from("203.0.113.9", "ada", new).await.is_ok());
        }
        assert_eq!(house.accounts.count().await.unwrap(), 1);
    }
}
