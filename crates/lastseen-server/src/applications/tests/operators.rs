//! What an operator does with applications.

use super::*;
use crate::applications::ApplicationError;

#[tokio::test]
async fn a_key_is_told_once_and_kept_as_a_hash() {
    let server = Server::new(Kind::Sqlite).await;
    let shop = server.application("Shop").await;
    assert!(shop.key.starts_with("lsa_"));
    let listed = server.applications.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name.as_str(), "Shop");
    assert!(!format!("{listed:?}").contains("lsa_"));
    server.database.storage.close().await;
    let secret = data_encoding::BASE64URL_NOPAD
        .decode(&shop.key.as_bytes()[4..])
        .unwrap();
    for file in std::fs::read_dir(server.database.folder()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        for needle in [shop.key.as_bytes(), &secret[16..32]] {
            assert!(!content.windows(needle.len()).any(|window| window == needle));
        }
    }
}

#[rstest]
#[tokio::test]
async fn names_are_unique_in_any_spelling(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    server.application("Shop").await;
    for name in ["Shop", "shop", "ＳＨＯＰ"] {
        let added = server.applications.add(name).await;
        assert!(matches!(added, Err(ApplicationError::NameTaken)), "{name}");
    }
    for name in ["", "a\nb", &"x".repeat(129)] {
        let added = server.applications.add(name).await;
        assert!(matches!(added, Err(ApplicationError::Name(_))), "{name:?}");
    }
    assert_eq!(server.applications.list().await.unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_removed_application_is_refused_at_once_and_every_session_of_it_ends(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let (shop, forum) = (
        server.application("Shop").await,
        server.application("Forum").await,
    );
    let (ada, _) = shop.begin("ada").await;
    let (bob, _) = shop.begin("bob").await;
    let (other, _) = forum.begin("ada").await;
    let built_in = server.built_in("ada").await.token.reveal();
    assert_eq!(server.applications.remove("SHOP").await.unwrap(), 2);
    shop.get(&sessions_of("ada"))
        .await
        .assert_problem("not_signed_in");
    for (token, accepted) in [(ada, false), (bob, false), (other, true), (built_in, true)] {
        assert_eq!(server.accepts(&token).await, accepted);
    }
    let again = server.applications.remove("Shop").await;
    assert!(matches!(again, Err(ApplicationError::Unknown)));
}

#[rstest]
#[tokio::test]
async fn keys_and_removals_outlive_a_restart(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let server = Server::new(kind).await;
    let shop = server.application("Shop").await.key;
    let gone = server.application("Gone").await.key;
    server.applications.remove("Gone").await.unwrap();
    let server = server.restarted().await;
    let name_of = async |key: &str| {
        let application = server.applications.authenticate(key.as_bytes()).await;
        application
            .unwrap()
            .map(|application| application.name.as_str().to_owned())
    };
    assert_eq!(name_of(&shop).await.as_deref(), Some("Shop"));
    assert_eq!(name_of(&gone).await, None);
}

#[rstest]
#[tokio::test]
async fn the_number_of_a_removed_application_is_not_given_away_again(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let mut numbers = std::collections::HashSet::new();
    for _ in 0..3 {
        let key = server.application("Shop").await.key;
        let shop = server
            .applications
            .authenticate(key.as_bytes())
            .await
            .unwrap()
            .unwrap();
        assert!(shop.id.0 > 0);
        assert!(numbers.insert(shop.id));
        server.applications.remove("Shop").await.unwrap();
    }
    // Nor after a restart.
    let server = server.restarted().await;
    let key = server.application("Shop").await.key;
    let shop = server
        .applications
        .authenticate(key.as_bytes())
        .await
        .unwrap()
        .unwrap();
    assert!(numbers.insert(shop.id));
}

#[rstest]
#[tokio::test]
async fn a_removal_that_broke_off_is_finished_when_it_is_asked_for_again_or_at_the_next_start(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let server = Server::new(kind).await;
    let (ada, _) = server.application("Shop").await.begin("ada").await;
    let (bob, _) = server.application("Forum").await.begin("bob").await;
    // What a kill leaves behind that comes right after the first step.
    let store = Arc::clone(&server.database.storage.applications);
    for application in store.list().await.unwrap() {
        store.begin_removal(application.id).await.unwrap();
    }
    assert!(server.applications.list().await.unwrap()[0].is_leaving);
    assert_eq!(server.applications.remove("Shop").await.unwrap(), 1);
    assert!(!server.accepts(&ada).await);
    let server = server.restarted().await;
    assert!(!server.accepts(&bob).await);
    assert!(server.applications.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_removal_that_the_store_interrupts_leaves_a_key_that_is_refused_and_can_be_repeated() {
    let store = memory();
    let database = TestStorage::new(Kind::Sqlite).await;
    let clock = Arc::new(TestClock::new());
    let server = Server::over(store.clone(), database, clock, Arc::default()).await;
    let shop = server.application("Shop").await;
    let (ada, _) = shop.begin("ada").await;
    store.set_unavailable(true);
    let removed = server.applications.remove("Shop").await;
    assert!(matches!(removed, Err(ApplicationError::Unavailable(_))));
    shop.get(&sessions_of("ada"))
        .await
        .assert_problem("not_signed_in");
    store.set_unavailable(false);
    assert_eq!(server.applications.remove("Shop").await.unwrap(), 1);
    assert!(!server.accepts(&ada).await);
}

/// A store in which a session is inserted only when the test lets it.
struct Slow {
    inner: MemoryStore,
    holds: AtomicBool,
    arrived: tokio::sync::Notify,
    go_on: tokio::sync::Notify,
}

#[async_trait]
impl Store for Slow {
    async fn open(
        &self,
        policy: Option<&lastseen::Policy>,
        now: lastseen::Timestamp,
    ) -> Result<lastseen::store::Opened, lastseen::Unavailable> {
        self.inner.open(policy, now).await
    }

    async fn insert(
        &self,
        record: lastseen::store::Record,
        replaces: Option<lastseen::store::End>,
    ) -> Result<lastseen::store::Inserted, lastseen::Unavailable> {
        if self.holds.load(Ordering::SeqCst) {
            self.arrived.notify_one();
            self.go_on.notified().await;
        }
        self.inner.insert(record, replaces).await
    }

    async fn find(
        &self,
        id: lastseen::SessionId,
    ) -> Result<Option<lastseen::store::Record>, lastseen::Unavailable> {
        self.inner.find(id).await
    }

    async fn list(
        &self,
        account: &lastseen::AccountKey,
    ) -> Result<Vec<lastseen::store::Record>, lastseen::Unavailable> {
        self.inner.list(account).await
    }

    async fn walk(
        &self,
        after: Option<lastseen::SessionId>,
        limit: usize,
    ) -> Result<Vec<lastseen::store::Record>, lastseen::Unavailable> {
        self.inner.walk(after, limit).await
    }

    async fn touch(
        &self,
        uses: Vec<lastseen::store::Use>,
        now: lastseen::Timestamp,
    ) -> Result<(), lastseen::Unavailable> {
        self.inner.touch(uses, now).await
    }

    async fn end(
        &self,
        account: Option<lastseen::AccountKey>,
        ends: Vec<lastseen::store::End>,
    ) -> Result<lastseen::store::Ended, lastseen::Unavailable> {
        self.inner.end(account, ends).await
    }

    async fn renew(
        &self,
        id: lastseen::SessionId,
        hash: lastseen::token::SecretHash,
        generation: u32,
    ) -> Result<bool, lastseen::Unavailable> {
        self.inner.renew(id, hash, generation).await
    }

    async fn set_page_token(
        &self,
        id: lastseen::SessionId,
        hash: lastseen::token::SecretHash,
    ) -> Result<bool, lastseen::Unavailable> {
        self.inner.set_page_token(id, hash).await
    }

    async fn purge(&self, ids: Vec<lastseen::SessionId>) -> Result<u64, lastseen::Unavailable> {
        self.inner.purge(ids).await
    }

    async fn check(&self) -> Result<(), lastseen::Unavailable> {
        self.inner.check().await
    }
}

#[tokio::test]
async fn a_session_that_is_being_created_while_its_application_is_removed_ends_too() {
    let store = Arc::new(Slow {
        inner: MemoryStore::new(),
        holds: AtomicBool::new(false),
        arrived: tokio::sync::Notify::new(),
        go_on: tokio::sync::Notify::new(),
    });
    let database = TestStorage::new(Kind::Sqlite).await;
    let clock = Arc::new(TestClock::new());
    let server = Server::over(store.clone(), database, clock, Arc::default()).await;
    let shop = server.application("Shop").await;
    store.holds.store(true, Ordering::SeqCst);
    let path = sessions_of("ada");
    let creating = shop.post(&path, json!({}));
    let removing = async {
        store.arrived.notified().await;
        assert_eq!(server.applications.remove("Shop").await.unwrap(), 0);
        store.go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(creating, removing);
    answer.assert_problem("not_signed_in");
    let records = store.inner.walk(None, 10).await.unwrap();
    assert_eq!(records.len(), 1);
    assert!(records[0].ended.is_some());
}
