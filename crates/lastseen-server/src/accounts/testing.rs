//! What the tests of accounts and sign-in share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use lastseen::store::memory::MemoryStore;
use lastseen::{Clock, Entropy, SessionToken, Sessions, Settings, Timestamp, Verdict, Visit};
use lastseen_sqlite::{Database, Options};
use sha2::{Digest as _, Sha256};

use super::{Accounts, Hashing, HashingSettings, MIGRATIONS, Password, SqliteAccountStore};
use crate::sign_in::{Refused, SignIn, SignedIn, SqliteSignInStore, Visitor};

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
    pub(crate) database: Database,
    pub(crate) sessions: Sessions,
    pub(crate) hashing: Hashing,
    pub(crate) accounts: Accounts,
    pub(crate) sign_in: SignIn,
    folder: tempfile::TempDir,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(HashingSettings::cheap()).await
    }

    pub(crate) async fn with(settings: HashingSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, entropy) = (
            Arc::new(TestClock::new()),
            Arc::new(CountingEntropy::default()),
        );
        Self::open(folder, clock, entropy, settings).await
    }

    /// The same after a restart of the server, with other settings for hashing perhaps. Sessions are gone.
    pub(crate) async fn restarted(self, settings: HashingSettings) -> Self {
        self.database.close().await;
        Self::open(self.folder, self.clock, self.entropy, settings).await
    }

    async fn open(
        folder: tempfile::TempDir,
        clock: Arc<TestClock>,
        entropy: Arc<CountingEntropy>,
        settings: HashingSettings,
    ) -> Self {
        let path = folder.path().join("test.db");
        let database = Database::open(path, &[MIGRATIONS], Options::default()).unwrap();
        let store = Arc::new(MemoryStore::new());
        let sessions = Sessions::open(store, Settings::default(), clock.now())
            .await
            .unwrap();
        let hashing = Hashing::new(settings, entropy.clone()).unwrap();
        let accounts = Accounts::new(
            Arc::new(SqliteAccountStore::new(database.clone())),
            sessions.clone(),
            hashing.clone(),
            clock.clone(),
            entropy.clone(),
        );
        let sign_in = SignIn::new(
            accounts.clone(),
            sessions.clone(),
            hashing.clone(),
            Arc::new(SqliteSignInStore::new(database.clone())),
            clock.clone(),
            entropy.clone(),
        );
        Self {
            clock,
            entropy,
            database,
            sessions,
            hashing,
            accounts,
            sign_in,
            folder,
        }
    }

    /// The same with an account called `ada`.
    pub(crate) async fn with_ada() -> Self {
        let house = Self::new().await;
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
    pub(crate) async fn rows(&self, table: &'static str) -> i64 {
        let count = move |transaction: &lastseen_sqlite::rusqlite::Transaction<'_>| {
            Ok(
                transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get(0)
                })?,
            )
        };
        self.database.read(count).await.unwrap()
    }
}

/// A visitor from an address, without a cookie.
pub(crate) fn visitor(address: &str) -> Visitor {
    Visitor {
        ip_address: Some(address.parse().unwrap()),
        ..Visitor::default()
    }
}
