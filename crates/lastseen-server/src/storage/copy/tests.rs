//! Moving a grown installation, between databases of every kind.

use lastseen::{EndedBy, Verdict, Visit};
use rstest::rstest;
use zeroize::Zeroizing;

use super::*;
use crate::accounts::Password;
use crate::accounts::testing::{GOOD_PASSWORD, visitor};
use crate::app::{self, Limits, Services};
use crate::applications::service::{ApplicationSignIn, OwnedClient};
use crate::sign_in::{Refused, SignedIn, Visitor};
use crate::storage::testing::{Kind, TestStorage, settings};

async fn services(database: &TestStorage, idle_timeout: &str) -> Services {
    let mut effective = settings("sqlite:unused.db");
    effective.sessions.policy.idle_timeout = match idle_timeout {
        "1h" => Duration::from_hours(1),
        _ => Duration::from_hours(12),
    };
    app::open(database.storage.clone(), &effective, Limits::OfSettings)
        .await
        .unwrap()
}

async fn sign_in(services: &Services, name: &str, visitor: Visitor) -> SignedIn {
    let password = Password::new(GOOD_PASSWORD);
    services
        .sign_in
        .sign_in(name.to_owned(), password, false, visitor)
        .await
        .unwrap()
}

async fn accepts(services: &Services, token: &str) -> bool {
    let now = services.clock.now();
    let verdict = services
        .sessions
        .validate(token.as_bytes(), &Visit::default(), now)
        .await;
    matches!(verdict.unwrap(), Verdict::Active(_))
}

/// What is left of an installation when its servers have stopped: tokens, a browser's mark, a key.
struct Grown {
    good: Vec<String>,
    ended: Vec<String>,
    mark: Option<crate::sign_in::known_browser::BrowserMark>,
    key: String,
    /// The secret of a link into the pages.
    link: String,
}

/// The address that has guessed too often.
const GUESSER: &str = "198.51.100.66";

/// Accounts, sessions of every kind and applications, under two policies.
async fn grow(database: &TestStorage) -> Grown {
    // An earlier server was looser.
    let earlier = services(database, "12h").await;
    for name in ["ada", "grace"] {
        let password = Password::new(GOOD_PASSWORD);
        earlier.accounts.add(name, &password).await.unwrap();
    }
    let old = sign_in(&earlier, "ada", visitor("203.0.113.7")).await;
    let services = services(database, "1h").await;
    let mut good = vec![old.token.reveal()];
    let new = sign_in(&services, "ada", visitor("2001:db8::7")).await;
    let ended = sign_in(&services, "ada", visitor("203.0.113.8")).await;
    let of_grace = sign_in(&services, "grace", visitor("203.0.113.9")).await;
    good.push(new.token.reveal());
    let now = services.clock.now();
    let key = &ended.session.account.key;
    let ids = [ended.session.id];
    let terminated = services
        .sessions
        .terminate(key, &ids, EndedBy::Command, now);
    assert_eq!(terminated.await.unwrap(), 1);
    services.accounts.disable("grace").await.unwrap();

    services.applications.add("Shop").await.unwrap();
    services.applications.remove("Shop").await.unwrap();
    let key = services.applications.add("Forum").await.unwrap().reveal();
    let forum = services.applications.authenticate(key.as_bytes()).await;
    let of_bob = ApplicationSignIn {
        account: lastseen::AccountId::new("bob\0").unwrap(),
        name: Some("Bob".into()),
        remembered: true,
        ip_address: None,
        client: OwnedClient::default(),
    };
    let begun = services
        .applications
        .begin_session(forum.unwrap().unwrap(), of_bob)
        .await;
    let (begun, _) = begun.unwrap();
    good.push(begun.token.reveal());
    let forum = services.applications.authenticate(key.as_bytes()).await;
    let link = services
        .applications
        .make_link(
            &forum.unwrap().unwrap(),
            &begun.session.account.key,
            begun.session.id,
        )
        .await
        .unwrap();
    let link = link.path.rsplit('/').next().unwrap().to_owned();
    for _ in 0..10 {
        let wrong = Password::new("wrong");
        let guesser = visitor(GUESSER);
        let refused = services
            .sign_in
            .sign_in("ada".into(), wrong, false, guesser);
        assert!(refused.await.is_err());
    }
    // A use that is on record apart from the sign-in.
    assert!(accepts(&services, &good[0]).await);
    services.sessions.flush(services.clock.now()).await.unwrap();
    Grown {
        good,
        ended: vec![ended.token.reveal(), of_grace.token.reveal()],
        mark: new.mark,
        key,
        link,
    }
}

/// Every record of a database, in the order of their ids.
async fn records(database: &TestStorage) -> Vec<String> {
    let mut records = database.storage.sessions.walk(None, 1_000).await.unwrap();
    records.sort_by_key(|record| record.id);
    records.iter().map(|record| format!("{record:?}")).collect()
}

/// The clock was set back since: on the way nobody must forget how late it was.
#[rstest]
#[case(Kind::Sqlite, Kind::Postgres)]
#[case(Kind::Postgres, Kind::Sqlite)]
#[case(Kind::Postgres, Kind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_refused_for_its_deadline_stays_refused_where_it_moves_to(
    #[case] from: Kind,
    #[case] to: Kind,
) {
    let from = TestStorage::new(from).await;
    let to = TestStorage::new(to).await;
    let before = services(&from, "1h").await;
    let password = Password::new(GOOD_PASSWORD);
    before.accounts.add("ada", &password).await.unwrap();
    let session = sign_in(&before, "ada", visitor("203.0.113.7")).await;
    let token = session.token.reveal();
    let late = before.clock.now().saturating_add(Duration::from_hours(2));
    let verdict = before
        .sessions
        .validate(token.as_bytes(), &Visit::default(), late)
        .await;
    assert!(matches!(verdict.unwrap(), Verdict::Refused(_)));
    copy(&from.storage, &to.storage, |_| {}).await.unwrap();
    let moved = services(&to, "1h").await;
    assert!(!accepts(&moved, &token).await);
}

#[rstest]
#[case(Kind::Sqlite, Kind::Postgres)]
#[case(Kind::Postgres, Kind::Sqlite)]
#[case(Kind::Postgres, Kind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_grown_installation_moves_and_everybody_stays_signed_in(
    #[case] from: Kind,
    #[case] to: Kind,
) {
    let from = TestStorage::new(from).await;
    let to = TestStorage::new(to).await;
    let grown = grow(&from).await;
    let copied = copy(&from.storage, &to.storage, |_| {}).await.unwrap();
    let expected = Copied {
        accounts: 2,
        browsers: 4,
        applications: 1,
        sessions: 5,
    };
    assert_eq!(copied, expected);
    assert_eq!(records(&from).await, records(&to).await);
    let policies = |database: &TestStorage| {
        let sessions = std::sync::Arc::clone(&database.storage.sessions);
        async move { sessions.policies().await.unwrap() }
    };
    assert_eq!(policies(&from).await, policies(&to).await);

    let moved = services(&to, "1h").await;
    for token in &grown.good {
        assert!(accepts(&moved, token).await);
    }
    for token in &grown.ended {
        assert!(!accepts(&moved, token).await);
    }
    // Her password opens, and her browser is no stranger: what strangers fail at does not slow it down.
    for _ in 0..10 {
        let wrong = Password::new("wrong");
        let stranger = visitor("203.0.113.7");
        let refused = moved.sign_in.sign_in("ada".into(), wrong, false, stranger);
        assert!(refused.await.is_err());
    }
    let back = Visitor {
        mark: grown.mark,
        token: Some(Zeroizing::new(grown.good[1].clone().into_bytes())),
        ..visitor("203.0.113.7")
    };
    let again = sign_in(&moved, "ada", back).await;
    assert!(accepts(&moved, &again.token.reveal()).await);
    assert!(!accepts(&moved, &grown.good[1]).await);
    // Who has guessed too often has, also where it moved to.
    let password = Password::new(GOOD_PASSWORD);
    let guesser = visitor(GUESSER);
    let refused = moved
        .sign_in
        .sign_in("ada".into(), password, false, guesser);
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, Refused::TooMany(_)), "{refused:?}");
    // A link that was given out before still leads to its session, once.
    let secret = grown.link.as_bytes();
    let followed = moved.applications.follow_link(secret, None).await.unwrap();
    assert_eq!(&*followed.unwrap().session.account.name, "Bob");
    let again = moved.applications.follow_link(secret, None).await.unwrap();
    assert!(again.is_none());
    assert!(moved.accounts.find("grace").await.unwrap().disabled);
    // The key counts, and no number of an application is given away twice.
    let key = grown.key.as_bytes();
    let forum = moved.applications.authenticate(key).await.unwrap().unwrap();
    let next = moved.applications.add("Wiki").await.unwrap().reveal();
    let next = moved.applications.authenticate(next.as_bytes()).await;
    assert_eq!(next.unwrap().unwrap().id.0, forum.id.0 + 1);
}

#[rstest]
#[tokio::test]
async fn a_database_that_is_not_empty_is_refused_and_stays_as_it_was(
    #[values(Kind::Sqlite, Kind::Postgres)] to: Kind,
) {
    let from = TestStorage::new(Kind::Sqlite).await;
    let to = TestStorage::new(to).await;
    let password = Password::new(GOOD_PASSWORD);
    services(&to, "1h")
        .await
        .accounts
        .add("ada", &password)
        .await
        .unwrap();
    let refused = copy(&from.storage, &to.storage, |_| {}).await;
    assert!(matches!(refused, Err(NotCopied::NotEmpty)), "{refused:?}");
    assert_eq!(to.rows("built_in_account"), 1);
    assert_eq!(to.rows("copy_under_way"), 0);
}

#[rstest]
#[tokio::test]
async fn a_copy_that_broke_off_is_opened_by_nobody_and_begun_anew(
    #[values(Kind::Sqlite, Kind::Postgres)] to: Kind,
) {
    let from = TestStorage::new(Kind::Sqlite).await;
    let to = TestStorage::new(to).await;
    let grown = grow(&from).await;
    // It broke off after the accounts.
    to.storage.whole.begin_copy().await.unwrap();
    copy_accounts(&from.storage, &to.storage).await.unwrap();
    let refused = to.open_refused().await;
    assert!(refused.contains("migrate-store"), "{refused}");
    copy(&from.storage, &to.storage, |_| {}).await.unwrap();
    let to = to.reopened().await;
    assert_eq!(records(&from).await, records(&to).await);
    assert!(accepts(&services(&to, "1h").await, &grown.good[0]).await);
}
