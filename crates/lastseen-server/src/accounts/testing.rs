//! What the tests of accounts and sign-in share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use lastseen::store::memory::MemoryStore;
use lastseen::{Clock, Entropy, SessionToken, Sessions, Settings, Timestamp, Verdict, Visit};
use sha2::{Digest as _, Sha256};

use super::{AccountStore, Accounts, Hashing, HashingSettings, Password};
use crate::sign_in::{Refused, SignIn, SignedIn, Visitor};
use crate::storage::testing::{Kind, TestStorage};

/// Randomness for tests: every draw differs, and every run draws the same.
#[derive(Default)]
pub(crate) struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let drawn = self.0.fetch_add(1, Ordering::Relaxed);
            let digest = Sha256::digest(drawn.to_be_bytes());
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    }
}

/// A clock that stands still until a test moves it.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(1_795_510_800_000))
    }

    /// Moves it on.
    pub(crate) fn pass(&self, duration: Duration) {
        self.0.fetch_add(
            i64::try_from(duration.as_millis()).unwrap(),
            Ordering::SeqCst,
        );
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst))
    }
}

/// A password that may be one.
pub(crate) const GOOD_PASSWORD: &str = "violet otter plays chess";

/// Accounts, sessions and sign-in over a database in a folder that vanishes.
pub(crate) struct House {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) entropy: Arc<CountingEntropy>,
    pub(crate) sessions: Sessions,
    pub(crate) hashing: Hashing,
    pub(crate) accounts: Accounts,
    pub(crate) sign_in: SignIn,
    pub(crate) database: TestStorage,
}

impl House {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with(kind, HashingSettings::cheap()).await
    }

    pub(crate) async fn with(kind: Kind, settings: HashingSettings) -> Self {
        let database = TestStorage::new(kind).await;
        let (clock, entropy) = (
            Arc::new(TestClock::new()),
            Arc::new(CountingEntropy::default()),
        );
        Self::over(database, clock, entropy, settings).await
    }

    /// The same after a restart of the server, with other settings for hashing perhaps. Sessions are gone.
    pub(crate) async fn restarted(self, settings: HashingSettings) -> Self {
        let database = self.database.reopened().await;
        Self::over(database, self.clock, self.entropy, settings).await
    }

    async fn over(
        database: TestStorage,
        clock: Arc<TestClock>,
        entropy: Arc<CountingEntropy>,
        settings: HashingSettings,
    ) -> Self {
        let store = Arc::new(MemoryStore::new());
        let sessions = Sessions::open(store, Settings::default(), clock.now());
        let sessions = sessions.await.unwrap();
        Self::with_sessions(database, sessions, clock, entropy, settings)
    }

    /// Another node over the same database. That sessions are one is the business of their own store's tests.
    pub(crate) async fn another_node(&self) -> Self {
        let database = self.database.another().await;
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let settings = HashingSettings::cheap();
        Self::with_sessions(database, self.sessions.clone(), clock, entropy, settings)
    }

    fn with_sessions(
        database: TestStorage,
        sessions: Sessions,
        clock: Arc<TestClock>,
        entropy: Arc<CountingEntropy>,
        settings: HashingSettings,
    ) -> Self {
        let hashing = Hashing::new(settings, entropy.clone()).unwrap();
        let accounts = Accounts::new(
            Arc::clone(&database.storage.accounts),
            sessions.clone(),
            hashing.clone(),
            clock.clone(),
            entropy.clone(),
        );
        let sign_in = SignIn::new(
            accounts.clone(),
            sessions.clone(),
            hashing.clone(),
            Arc::clone(&database.storage.sign_in),
            clock.clone(),
            entropy.clone(),
        );
        Self {
            clock,
            entropy,
            sessions,
            hashing,
            accounts,
            sign_in,
            database,
        }
    }

    /// The same with an account called `ada`.
    pub(crate) async fn with_ada(kind: Kind) -> Self {
        let house = Self::new(kind).await;
        house.add("ada").await;
        house
    }

    pub(crate) async fn add(&self, name: &str) {
        self.accounts
            .add(name, &Password::new(GOOD_PASSWORD))
            .await
            .unwrap();
    }

    /// Tries to sign in from an address.
    pub(crate) async fn try_from(
        &self,
        address: &str,
        name: &str,
        password: &str,
    ) -> Result<SignedIn, Refused> {
        self.try_as(visitor(address), name, password).await
    }

    pub(crate) async fn try_as(
        &self,
        visitor: Visitor,
        name: &str,
        password: &str,
    ) -> Result<SignedIn, Refused> {
        self.sign_in
            .sign_in(name.to_owned(), Password::new(password), false, visitor)
            .await
    }

    /// Whether a token is accepted.
    pub(crate) async fn accepts(&self, token: &SessionToken) -> bool {
        let visit = Visit::default();
        let verdict = self
            .sessions
            .validate(token.reveal().as_bytes(), &visit, self.clock.now())
            .await;
        matches!(verdict.unwrap(), Verdict::Active(_))
    }

    /// How many rows a table of the database has.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        self.database.rows(table)
    }

    /// The store of the accounts.
    pub(crate) fn account_store(&self) -> Arc<dyn AccountStore> {
        Arc::clone(&self.database.storage.accounts)
    }
}

/// A visitor from an address, without a cookie.
pub(crate) fn visitor(address: &str) -> Visitor {
    Visitor {
        ip_address: Some(address.parse().unwrap()),
        ..Visitor::default()
    }
}
