//! Signing in, over a real database and by a clock that stands still.

mod nodes;
mod passwords;
mod requests;
mod set_up;
mod throttling;

use std::sync::Arc;

use lastseen::EndedBy;
use rstest::rstest;
use zeroize::Zeroizing;

use super::Refused;
use super::service::{SignedIn, Visitor};
use crate::accounts::testing::{GOOD_PASSWORD, House, visitor};
use crate::accounts::{HashingSettings, NameKey, Password};
use crate::storage::testing::Kind;

/// The same visitor, with the session cookie and the mark that a sign-in gave.
fn coming_back(address: &str, signed_in: SignedIn) -> Visitor {
    Visitor {
        token: Some(Zeroizing::new(signed_in.token.reveal().into_bytes())),
        mark: signed_in.mark,
        ..visitor(address)
    }
}

#[rstest]
#[tokio::test]
async fn the_right_name_and_password_begin_a_session(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let signed_in = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    assert_eq!(&*signed_in.session.account.name, "ada");
    assert_eq!(
        signed_in.session.ip_address,
        Some("203.0.113.7".parse().unwrap())
    );
    assert!(!signed_in.session.remembered);
    assert!(house.accepts(&signed_in.token).await);
    assert_eq!(house.sign_in.statistics().succeeded, 1);
}

#[rstest]
#[tokio::test]
async fn remember_this_device_is_remembered(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::with_ada(kind).await;
    let password = Password::new(GOOD_PASSWORD);
    let remembered = house
        .sign_in
        .sign_in("ada".into(), password, true, Visitor::default())
        .await
        .unwrap();
    assert!(remembered.session.remembered);
}

#[rstest]
#[tokio::test]
async fn unknown_name_wrong_password_and_disabled_account_take_the_same_steps(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    house.add("grace").await;
    house.accounts.disable("grace").await.unwrap();
    let too_long = "x".repeat(129);
    for (name, password) in [
        ("nobody", GOOD_PASSWORD),
        ("ada", "wrong"),
        ("ada", ""),
        ("ada", too_long.as_str()),
        ("grace", GOOD_PASSWORD),
        ("grace", "wrong"),
        ("", GOOD_PASSWORD),
        ("a\0b", GOOD_PASSWORD),
        (too_long.as_str(), GOOD_PASSWORD),
    ] {
        let before = house.hashing.hashed();
        let refused = house
            .try_from("203.0.113.7", name, password)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, Refused::Credentials),
            "{name:?} {password:?}: {refused:?}"
        );
        assert_eq!(house.hashing.hashed() - before, 1, "{name:?} {password:?}");
    }
    assert_eq!(house.sign_in.statistics().refused, 9);
}

#[rstest]
#[tokio::test]
async fn the_same_browser_signing_in_again_has_one_session(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    house.add("grace").await;
    let first = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let first_token = lastseen::SessionToken::parse(first.token.reveal().as_bytes()).unwrap();
    let back = coming_back("203.0.113.7", first);
    let second = house.try_as(back, "ada", GOOD_PASSWORD).await.unwrap();
    assert!(!house.accepts(&first_token).await);
    assert!(house.accepts(&second.token).await);
    // Also where it was another account's.
    let second_token = lastseen::SessionToken::parse(second.token.reveal().as_bytes()).unwrap();
    let back = coming_back("203.0.113.7", second);
    let third = house.try_as(back, "grace", GOOD_PASSWORD).await.unwrap();
    assert!(!house.accepts(&second_token).await);
    assert!(house.accepts(&third.token).await);
}

#[rstest]
#[tokio::test]
async fn a_failed_sign_in_leaves_the_session_of_the_browser_alone(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let first = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let token = lastseen::SessionToken::parse(first.token.reveal().as_bytes()).unwrap();
    assert!(
        house
            .try_as(coming_back("203.0.113.7", first), "ada", "wrong")
            .await
            .is_err()
    );
    assert!(house.accepts(&token).await);
}

#[rstest]
#[tokio::test]
async fn a_token_that_this_server_did_not_make_is_neither_accepted_nor_harmful(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let planted = lastseen::SessionToken::generate([7; 16], house.entropy.as_ref());
    for token in [planted.reveal(), "garbage".to_owned(), String::new()] {
        let visitor = Visitor {
            token: Some(Zeroizing::new(token.clone().into_bytes())),
            ..visitor("203.0.113.7")
        };
        let signed_in = house.try_as(visitor, "ada", GOOD_PASSWORD).await.unwrap();
        assert_ne!(signed_in.token.reveal(), token);
    }
    assert!(!house.accepts(&planted).await);
}

#[rstest]
#[tokio::test]
async fn a_weaker_hash_is_replaced_at_sign_in(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::with_ada(kind).await;
    let risen = HashingSettings {
        passes: 3,
        ..HashingSettings::cheap()
    };
    let house = house.restarted(risen).await;
    let store = house.account_store();
    let hash = async || {
        let account = store
            .find_by_name(&NameKey::of("ada"))
            .await
            .unwrap()
            .unwrap();
        (account.password_hash.as_str().to_owned(), account.version)
    };
    let (before, version) = hash().await;
    assert!(house.try_from("203.0.113.7", "ada", "wrong").await.is_err());
    assert_eq!(hash().await.0, before);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
    let (after, same_version) = hash().await;
    assert!(
        before.contains("t=1") && after.contains("t=3"),
        "{before} {after}"
    );
    assert_eq!(version, same_version);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
    assert_eq!(hash().await.0, after);
}

#[rstest]
#[tokio::test]
async fn past_the_bound_of_hashing_a_try_is_turned_away_and_not_counted(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let settings = HashingSettings {
        memory: 8_192,
        passes: 2,
        at_once: 1,
        waiting: 2,
        ..HashingSettings::cheap()
    };
    let house = Arc::new(House::with(kind, settings).await);
    house.add("ada").await;
    let tries = (0..8).map(|_| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            house
                .try_from("203.0.113.7", "ada", "wrong")
                .await
                .unwrap_err()
        })
    });
    let (mut refused, mut busy) = (0, 0);
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Refused::Credentials => refused += 1,
            Refused::Busy(_) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(busy > 0, "{refused} {busy}");
    // Ten failures in all are looked at: those that were turned away do not count among them.
    for _ in refused..10 {
        assert!(matches!(
            house.try_from("203.0.113.7", "ada", "wrong").await,
            Err(Refused::Credentials)
        ));
    }
    assert!(matches!(
        house.try_from("203.0.113.7", "ada", "wrong").await,
        Err(Refused::TooMany(_))
    ));
}

#[rstest]
#[tokio::test]
async fn a_sign_in_that_nobody_waits_for_counts_all_the_same(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    for _ in 0..10 {
        tokio::select! {
            biased;
            _ = house.try_from("203.0.113.7", "ada", "wrong") => {}
            () = std::future::ready(()) => {}
        }
    }
    while house.sign_in.statistics().refused < 10 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(
        house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await,
        Err(Refused::TooMany(_))
    ));
}

/// Disables an account while people sign in to it, over and over: nobody is left signed in.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_left_signed_in_to_an_account_that_is_disabled_meanwhile(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    for _ in 0..20 {
        let house = Arc::new(House::with_ada(kind).await);
        let signing_in: Vec<_> = (0..8)
            .map(|number| {
                let house = Arc::clone(&house);
                let address = format!("203.0.113.{number}");
                tokio::spawn(async move { house.try_from(&address, "ada", GOOD_PASSWORD).await })
            })
            .collect();
        tokio::task::yield_now().await;
        house.accounts.disable("ada").await.unwrap();
        for signing_in in signing_in {
            if let Ok(signed_in) = signing_in.await.unwrap() {
                assert!(!house.accepts(&signed_in.token).await);
            }
        }
        let key = house.accounts.find("ada").await.unwrap().id;
        let key = lastseen::AccountKey {
            source: lastseen::AccountSource::BuiltIn,
            id: key,
        };
        let left = house
            .sessions
            .terminate_account(&key, EndedBy::Command, house.sign_in.inner.now())
            .await;
        assert_eq!(left.unwrap(), 0);
    }
}
