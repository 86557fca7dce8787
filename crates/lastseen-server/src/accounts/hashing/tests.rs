//! How passwords are hashed.

use super::*;
use crate::accounts::testing::CountingEntropy;

fn hashing(settings: HashingSettings) -> Hashing {
    Hashing::new(settings, Arc::new(CountingEntropy::default())).unwrap()
}

async fn hash(hashing: &Hashing, password: &str) -> PasswordHash {
    hashing
        .hash_new(Asker::Visitor, Password::new(password), "ada")
        .await
        .unwrap()
        .unwrap()
}

#[test]
fn the_settings_are_not_below_those_of_owasp() {
    let settings = HashingSettings::for_processors(2);
    assert!(settings.memory >= 19 * 1024 && settings.passes >= 2 && settings.lanes >= 1);
    assert_eq!(settings.at_once, 1);
    assert_eq!(HashingSettings::for_processors(1).at_once, 1);
}

#[tokio::test]
async fn a_hash_is_an_argon2id_phc_string_with_a_salt_of_its_own() {
    let hashing = hashing(HashingSettings::cheap());
    let one = hash(&hashing, "violet otter chess").await;
    assert!(
        one.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"),
        "{}",
        one.as_str()
    );
    assert_ne!(one, hash(&hashing, "violet otter chess").await);
    assert_eq!(format!("{one:?}"), "PasswordHash(…)");
}

#[tokio::test]
async fn the_right_password_matches_and_no_other() {
    let hashing = hashing(HashingSettings::cheap());
    let kept = hash(&hashing, "violet otter chess").await;
    for (password, expected) in [
        ("violet otter chess", true),
        ("violet otter ches", false),
        ("Violet otter chess", false),
        ("", false),
    ] {
        let verdict = hashing
            .verify(Password::new(password), Some(kept.clone()), None)
            .await
            .unwrap();
        assert_eq!(verdict.matches, expected, "{password}");
        assert!(verdict.stronger.is_none());
    }
}

#[tokio::test]
async fn a_weaker_hash_is_replaced_when_the_password_is_at_hand() {
    let weak = hash(&hashing(HashingSettings::cheap()), "violet otter chess").await;
    let risen = hashing(HashingSettings {
        passes: 2,
        ..HashingSettings::cheap()
    });
    let wrong = risen
        .verify(Password::new("another"), Some(weak.clone()), None)
        .await
        .unwrap();
    assert!(wrong.stronger.is_none());
    let right = risen
        .verify(Password::new("violet otter chess"), Some(weak), None)
        .await
        .unwrap();
    let stronger = right.stronger.unwrap();
    assert!(stronger.as_str().contains("t=2"));
    let again = risen
        .verify(Password::new("violet otter chess"), Some(stronger), None)
        .await
        .unwrap();
    assert!(again.matches && again.stronger.is_none());
}

#[tokio::test]
async fn no_account_costs_as_many_hashes_as_one() {
    let hashing = hashing(HashingSettings::cheap());
    let kept = hash(&hashing, "violet otter chess").await;
    let before = hashing.hashed();
    hashing
        .verify(Password::new("wrong"), Some(kept.clone()), None)
        .await
        .unwrap();
    let with_account = hashing.hashed() - before;
    let verdict = hashing
        .verify(Password::new("wrong"), None, Some(kept))
        .await
        .unwrap();
    assert!(!verdict.matches);
    assert_eq!(hashing.hashed() - before, 2 * with_account);
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_matches_nothing() {
    let hashing = hashing(HashingSettings::cheap());
    for unreadable in [
        "",
        "$argon2id$v=19$m=8,t=1,p=1$",
        "$2b$12$abcdefghijklmnopqrstuv",
        "x",
    ] {
        let hash = PasswordHash::from_text(unreadable);
        assert!(
            !hashing
                .verify(Password::new(""), Some(hash), None)
                .await
                .unwrap()
                .matches,
            "{unreadable}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_askers_are_turned_away_and_nobody_else() {
    let settings = HashingSettings {
        memory: 4_096,
        passes: 3,
        at_once: 1,
        waiting: 3,
        ..HashingSettings::cheap()
    };
    let hashing = hashing(settings);
    let kept = hash(&hashing, "violet otter chess").await;
    let tries = (0..40).map(|_| {
        let (hashing, kept) = (hashing.clone(), kept.clone());
        tokio::spawn(async move {
            hashing
                .verify(Password::new("wrong"), Some(kept), None)
                .await
                .is_ok()
        })
    });
    let (mut served, mut refused) = (0, 0);
    for asked in tries.collect::<Vec<_>>() {
        if asked.await.unwrap() {
            served += 1;
        } else {
            refused += 1;
        }
    }
    assert!(served >= 1 && refused >= 1, "{served} {refused}");
    assert_eq!(hashing.turned_away(), refused);
    assert!(
        hashing
            .verify(Password::new("violet otter chess"), Some(kept), None)
            .await
            .unwrap()
            .matches
    );
}

#[tokio::test]
async fn an_asker_who_leaves_gives_the_place_back() {
    let hashing = hashing(HashingSettings {
        at_once: 1,
        waiting: 1,
        ..HashingSettings::cheap()
    });
    for _ in 0..20 {
        // Asks, is told to wait, and leaves.
        tokio::select! {
            biased;
            _ = hashing.verify(Password::new("wrong"), None, None) => {}
            () = std::future::ready(()) => {}
        }
    }
    assert!(
        hashing
            .verify(Password::new("wrong"), None, None)
            .await
            .is_ok()
    );
}
