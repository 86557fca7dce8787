//! The verbs: the one way in to sessions.

mod cache;
mod create;
mod devices;
mod list;
mod reads;
mod renew;
mod statistics;
mod terminate;
mod tidy;
mod touch;
mod validate;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use create::{Created, NewSession};
pub use list::{Cursor, NoCursor, Overview, Page, Scan};
pub use statistics::Statistics;
pub use terminate::TerminateError;
pub use tidy::Tidied;
pub use validate::{Refusal, Verdict};

use crate::policy::{PolicyHistory, Settings};
use crate::session::{Session, SessionId};
use crate::store::{Opened, Record, Store, Unavailable};
use crate::time::Timestamp;
use cache::Cache;
use devices::Devices;
use reads::Reads;
use statistics::Counters;

/// Every session of one store: creates, validates, lists, expires and terminates them.
///
/// A handle, cheap to clone. There is one set of sessions over a store: what it has confirmed it may
/// answer from memory.
///
/// The verbs run on tokio. One that writes runs to its end even where whoever asked stops listening, so
/// that memory never knows less than the store.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    settings: Settings,
    history: PolicyHistory,
    cache: Cache,
    devices: Devices,
    reads: Reads,
    time: Time,
    counters: Counters,
    /// Held by the one flush that is under way.
    flushing: tokio::sync::Mutex<()>,
}

/// What is known of the time, so that a clock set back revives nothing.
struct Time {
    /// The latest time that any verb was told of.
    latest: AtomicI64,
    /// The latest time that the store has recorded.
    recorded: AtomicI64,
}

impl Sessions {
    /// The sessions that `store` keeps, under `settings`.
    ///
    /// # Errors
    /// [`Unavailable`] where the store cannot be opened, or says nonsense of its policies.
    pub async fn open(
        store: Arc<dyn Store>,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, Unavailable> {
        let opened = store.open(Some(&settings.policy), now).await?;
        Self::over(store, settings, &opened)
    }

    /// The sessions that `store` keeps, under the policy that was last in force: for a command that must
    /// not change it. In a new store the policy of the settings comes into force.
    ///
    /// # Errors
    /// As [`Sessions::open`].
    pub async fn open_as_it_was(
        store: Arc<dyn Store>,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, Unavailable> {
        let opened = store.open(None, now).await?;
        match opened.policies.last() {
            Some(&policy) => Self::over(store, Settings { policy, ..settings }, &opened),
            None => Self::open(store, settings, now).await,
        }
    }

    fn over(
        store: Arc<dyn Store>,
        settings: Settings,
        opened: &Opened,
    ) -> Result<Self, Unavailable> {
        let history = PolicyHistory::new(&opened.policies).ok_or_else(|| {
            Unavailable::because("the store knows no policy, not even the one in force")
        })?;
        let latest = opened.latest.as_millisecond();
        let time = Time {
            latest: AtomicI64::new(latest),
            recorded: AtomicI64::new(latest),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                settings,
                history,
                cache: Cache::new(settings.cache_memory),
                devices: Devices::default(),
                reads: Reads::default(),
                time,
                counters: Counters::default(),
                flushing: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// What these sessions were opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The time that verdicts go by: `now`, or the latest time ever seen over this store where that is later.
    ///
    /// Whoever shows a session must judge it by this time, else a clock set back shows it as active again.
    pub fn observe(&self, now: Timestamp) -> Timestamp {
        let now = now.as_millisecond();
        let latest = &self.inner.time.latest;
        let known = latest.load(Ordering::Acquire);
        // The write is skipped where it changes nothing: most calls share a millisecond with another.
        let known = if known < now {
            latest.fetch_max(now, Ordering::AcqRel)
        } else {
            known
        };
        Timestamp::from_millisecond(known.max(now))
    }

    /// Whether the store can be read and written at this moment.
    ///
    /// # Errors
    /// [`Unavailable`] where it cannot.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        self.inner.store.check().await
    }
}

impl Inner {
    /// Sees to it that the store knows that `deadline` has passed, so that nobody who restarts with an
    /// earlier clock believes otherwise. Costs a write only for the first that asks.
    async fn record_passed(&self, deadline: Timestamp) -> Result<(), Unavailable> {
        if self.time.recorded.load(Ordering::Acquire) >= deadline.as_millisecond() {
            return Ok(());
        }
        self.record_time(Vec::new()).await
    }

    /// Writes uses together with the latest time.
    async fn record_time(&self, uses: Vec<crate::store::Use>) -> Result<(), Unavailable> {
        let latest = self.time.latest.load(Ordering::Acquire);
        self.store
            .touch(uses, Timestamp::from_millisecond(latest))
            .await?;
        self.time.recorded.fetch_max(latest, Ordering::AcqRel);
        Ok(())
    }

    /// A record as those outside see it, with the use that only memory knows.
    fn session(&self, record: &Record) -> Session {
        let used = self
            .cache
            .unwritten_use(record.id)
            .filter(|used| used.at >= record.last_used_at);
        let (last_used_at, origin) = match used {
            Some(used) => (used.at, used.origin),
            None => (record.last_used_at, record.last.clone()),
        };
        let deadlines = self.history.deadlines(
            record.policy,
            record.remembered,
            record.created_at,
            last_used_at,
        );
        Session {
            id: record.id,
            account: Arc::clone(&record.account),
            remembered: record.remembered,
            created_at: record.created_at,
            last_used_at,
            ip_address: origin.ip_address,
            device: origin.device,
            expires_at: deadlines.expires_at(),
            absolute_deadline: deadlines.absolute,
            expired: record.expired,
        }
    }

    /// The session called `id`, unless it has ended or is unknown. No use of it.
    async fn find(&self, id: SessionId) -> Result<Option<Session>, Unavailable> {
        if let Some(session) = self.cache.peek(id, &self.history) {
            return Ok(Some(session));
        }
        let record = self.store.find(id).await?;
        Ok(record
            .filter(|record| record.ended.is_none())
            .map(|record| self.session(&record)))
    }
}

/// Runs `write` to its end, also where the one that waits for it goes away.
///
/// A request may be broken off between the store's answer and the cache's hearing of it; then a
/// terminated session would stay cached. Hence a task of its own.
async fn to_the_end<Answer: Send + 'static>(
    write: impl Future<Output = Result<Answer, Unavailable>> + Send + 'static,
) -> Result<Answer, Unavailable> {
    match tokio::spawn(write).await {
        Ok(answer) => answer,
        Err(lost) => Err(Unavailable::because(lost)),
    }
}

#[cfg(test)]
mod tests;
