//! What an operator does with accounts, over a real database.

use std::sync::Arc;

use lastseen_sqlite::{Database, Options};
use rstest::rstest;

use super::hashing::HashingSettings;
use super::service::AccountError;
use super::store::{AccountStore as _, Added};
use super::testing::{GOOD_PASSWORD, House};
use super::{MIGRATIONS, Password, PasswordRefusal, SqliteAccountStore};
use crate::sign_in::Refused;
use crate::storage::testing::Kind;

#[rstest]
#[tokio::test]
async fn accounts_are_listed_by_name_without_anything_secret(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    for name in ["grace", "Ada", "édith"] {
        house.add(name).await;
    }
    let listed = house.accounts.list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["Ada", "édith", "grace"]);
    assert!(
        listed
            .iter()
            .all(|account| account.id.as_str().len() == 32 && !account.disabled)
    );
    assert!(!format!("{listed:?}").contains("argon2"));
}

#[rstest]
#[tokio::test]
async fn another_spelling_of_a_name_is_taken(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::with_ada(kind).await;
    for spelling in ["ada", "ADA", "ａｄａ"] {
        let added = house
            .accounts
            .add(spelling, &Password::new(GOOD_PASSWORD))
            .await;
        assert!(matches!(added, Err(AccountError::NameTaken)), "{spelling}");
    }
    assert!(
        house
            .try_from("203.0.113.7", "ADA", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn the_rules_for_names_and_passwords_hold_for_the_operator_too(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    let bad_name = house
        .accounts
        .add("a\nb", &Password::new(GOOD_PASSWORD))
        .await;
    assert!(matches!(bad_name, Err(AccountError::Name(_))));
    let bad_password = house.accounts.add("ada", &Password::new("password1")).await;
    assert!(matches!(
        bad_password,
        Err(AccountError::Password(PasswordRefusal::Common))
    ));
    assert_eq!(house.accounts.count().await.unwrap(), 0);
}

#[rstest]
#[tokio::test]
async fn what_is_done_to_an_account_that_is_not_there_is_refused(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let password = Password::new(GOOD_PASSWORD);
    assert!(matches!(
        house.accounts.disable("grace").await,
        Err(AccountError::Unknown)
    ));
    assert!(matches!(
        house.accounts.enable("grace").await,
        Err(AccountError::Unknown)
    ));
    assert!(matches!(
        house.accounts.remove("grace").await,
        Err(AccountError::Unknown)
    ));
    assert!(matches!(
        house.accounts.set_password("grace", &password).await,
        Err(AccountError::Unknown)
    ));
}

#[rstest]
#[tokio::test]
async fn a_new_password_ends_the_sessions_and_the_old_one_opens_nothing(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let one = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let other = house
        .try_from("203.0.113.8", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    let ended = house
        .accounts
        .set_password("ada", &Password::new("four grey herons"))
        .await
        .unwrap();
    assert_eq!(ended, 2);
    assert!(!house.accepts(&one.token).await && !house.accepts(&other.token).await);
    assert!(matches!(
        house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await,
        Err(Refused::Credentials)
    ));
    assert!(
        house
            .try_from("203.0.113.7", "ada", "four grey herons")
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_disabled_account_has_no_sessions_and_gets_none_until_it_is_enabled(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let before = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    assert_eq!(house.accounts.disable("ada").await.unwrap(), 1);
    assert!(!house.accepts(&before.token).await);
    assert!(house.accounts.list().await.unwrap()[0].disabled);
    assert!(matches!(
        house.try_from("203.0.113.7", "ada", GOOD_PASSWORD).await,
        Err(Refused::Credentials)
    ));
    assert_eq!(house.accounts.disable("ada").await.unwrap(), 0);
    house.accounts.enable("ada").await.unwrap();
    house.accounts.enable("ada").await.unwrap();
    assert!(!house.accepts(&before.token).await);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn a_removed_account_is_gone_with_its_sessions_and_its_name_is_free(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let before = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    assert_eq!(house.rows("known_browser"), 1);
    assert_eq!(house.accounts.remove("ada").await.unwrap(), 1);
    assert!(!house.accepts(&before.token).await);
    assert_eq!(house.accounts.count().await.unwrap(), 0);
    assert_eq!(house.rows("known_browser"), 0);
    house.add("ada").await;
    let after = house
        .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
        .await
        .unwrap();
    assert_ne!(after.session.account.key, before.session.account.key);
}

#[rstest]
#[tokio::test]
async fn accounts_survive_a_restart(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let house = House::with_ada(kind).await;
    let before = house.accounts.list().await.unwrap();
    let house = house.restarted(HashingSettings::cheap()).await;
    assert_eq!(house.accounts.list().await.unwrap(), before);
    assert!(
        house
            .try_from("203.0.113.7", "ada", GOOD_PASSWORD)
            .await
            .is_ok()
    );
}

#[rstest]
#[tokio::test]
async fn of_many_first_accounts_at_once_one_is_the_first(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    house.add("ada").await;
    let store = house.account_store();
    let found = store
        .find_by_name(&super::NameKey::of("ada"))
        .await
        .unwrap()
        .unwrap();
    house.accounts.remove("ada").await.unwrap();
    let adding = (0..50).map(|number| {
        let (store, mut account) = (Arc::clone(&store), found.clone());
        account.id = lastseen::AccountId::new(&format!("{number}")).unwrap();
        account.name = super::AccountName::new(&format!("ada{number}")).unwrap();
        tokio::spawn(async move { store.add(account, true).await.unwrap() })
    });
    let mut done = 0;
    for added in adding.collect::<Vec<_>>() {
        match added.await.unwrap() {
            Added::Done => done += 1,
            other => assert_eq!(other, Added::NotTheFirst),
        }
    }
    assert_eq!(done, 1);
}

#[rstest]
#[tokio::test]
async fn a_change_by_an_old_version_is_not_made(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::with_ada(kind).await;
    let store = house.account_store();
    let account = store
        .find_by_name(&super::NameKey::of("ada"))
        .await
        .unwrap()
        .unwrap();
    assert!(
        store
            .change(&account.id, account.version, super::Change::Disabled(true))
            .await
            .unwrap()
    );
    assert!(
        !store
            .change(&account.id, account.version, super::Change::Disabled(false))
            .await
            .unwrap()
    );
    assert!(store.find(&account.id).await.unwrap().unwrap().disabled);
}

#[rstest]
#[tokio::test]
async fn what_is_imitated_for_a_name_without_account_is_always_the_same(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let house = House::new(kind).await;
    let store = house.account_store();
    assert!(store.hash_for_show(&[7; 16]).await.unwrap().is_none());
    for name in ["ada", "grace", "edith"] {
        house.add(name).await;
    }
    for key in [[0; 16], [0x7f; 16], [0xff; 16]] {
        let shown = store.hash_for_show(&key).await.unwrap().unwrap();
        assert_eq!(store.hash_for_show(&key).await.unwrap().unwrap(), shown);
    }
}

#[tokio::test]
async fn an_older_database_with_accounts_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let older = Database::open(&path, &[MIGRATIONS.first(1)], Options::default()).unwrap();
    let insert = |transaction: &lastseen_sqlite::Transaction<'_>| {
        Ok(transaction.execute(
            "INSERT INTO built_in_account VALUES ('1', 'Ada', 'ada', '$argon2id$', 0, 1, 1000)",
            [],
        )?)
    };
    older.write(insert).await.unwrap();
    older.close().await;
    let newer = Database::open(&path, &[MIGRATIONS], Options::default()).unwrap();
    let listed = SqliteAccountStore::new(newer).list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name.as_str(), "Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_of_one_name_added_at_two_nodes_one_is_made() {
    let first = Arc::new(House::new(Kind::Postgres).await);
    let second = Arc::new(first.another_node().await);
    for number in 0..10 {
        let adding = [
            (&first, format!("Ada{number}")),
            (&second, format!("ADA{number}")),
        ];
        let adding = adding.map(|(house, name)| {
            let house = Arc::clone(house);
            tokio::spawn(async move {
                house
                    .accounts
                    .add(&name, &Password::new(GOOD_PASSWORD))
                    .await
            })
        });
        let mut added = 0;
        for outcome in adding {
            match outcome.await.unwrap() {
                Ok(_) => added += 1,
                Err(error) => assert!(matches!(error, AccountError::NameTaken), "{error:?}"),
            }
        }
        assert_eq!(added, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_by_one_version_at_two_nodes_one_is_made() {
    let house = House::with_ada(Kind::Postgres).await;
    let stores = [
        house.account_store(),
        house.another_node().await.account_store(),
    ];
    let ada = house.accounts.find("ada").await.unwrap().id;
    for _ in 0..20 {
        let version = stores[0].find(&ada).await.unwrap().unwrap().version;
        let change = |number: usize| {
            let (store, ada) = (Arc::clone(&stores[number]), ada.clone());
            let change = super::Change::Disabled(number == 1);
            tokio::spawn(async move { store.change(&ada, version, change).await.unwrap() })
        };
        let (one, other) = (change(0), change(1));
        assert!(one.await.unwrap() != other.await.unwrap());
    }
}
