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
mod to_the_end;
mod touch;
mod turns;
mod validate;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use create::{Created, NewSession};
pub use list::{Cursor, NoCursor, Overview, Page, Scan};
pub use statistics::Statistics;
pub use terminate::TerminateError;
pub use tidy::Tidied;
pub use to_the_end::to_the_end;
pub use validate::{Refusal, Verdict};

use crate::policy::{PolicyHistory, Settings};
use crate::session::{Session, SessionId, Status};
use crate::store::{Authority, Change, Follower, Opened, Record, Store, Unavailable};
use crate::time::Timestamp;
use cache::{Basis, Cache};
use devices::Devices;
use reads::Reads;
use statistics::Counters;
use turns::Turns;

/// Every session of one store: creates, validates, lists, expires and terminates them.
///
/// A handle, cheap to clone. A process has one set of sessions over a store: what that has confirmed it
/// may answer from memory, as far as the store's [`Authority`] lets it.
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
    cache: Cache,
    devices: Devices,
    reads: Reads,
    turns: Turns,
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
    /// When the last round of writing uses began that wrote them all.
    flushed: AtomicI64,
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
        Self::over(store, settings, &opened, now)
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
            Some(&policy) => Self::over(store, Settings { policy, ..settings }, &opened, now),
            None => Self::open(store, settings, now).await,
        }
    }

    fn over(
        store: Arc<dyn Store>,
        settings: Settings,
        opened: &Opened,
        now: Timestamp,
    ) -> Result<Self, Unavailable> {
        let history = PolicyHistory::new(&opened.policies).ok_or_else(|| {
            Unavailable::because("the store knows no policy, not even the one in force")
        })?;
        let authority = store.authority();
        // Where others write too, the latest time may be that of a clock which goes wrong on another node.
        // What was refused is marked there, one by one, and no clock but one's own is gone by.
        let latest = match authority {
            Authority::Sole => opened.latest.max(now),
            Authority::Leased(_) => now,
        };
        let latest = latest.as_millisecond();
        let time = Time {
            latest: AtomicI64::new(latest),
            recorded: AtomicI64::new(latest),
            flushed: AtomicI64::new(latest),
        };
        let basis = Basis::new(authority, history);
        let inner = Arc::new(Inner {
            store,
            settings,
            cache: Cache::new(settings.cache_memory, basis),
            devices: Devices::default(),
            reads: Reads::default(),
            turns: Turns::default(),
            time,
            counters: Counters::default(),
            flushing: tokio::sync::Mutex::default(),
        });
        let follower: Arc<dyn Follower> = Arc::clone(&inner) as Arc<dyn Follower>;
        inner.store.set_follower(Arc::downgrade(&follower));
        Ok(Self { inner })
    }

    /// What these sessions were opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The time that verdicts go by: `now`, or the latest time ever seen over this store where that is later;
    /// over a store that others write too, ever seen by these sessions.
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
    /// earlier clock believes otherwise. Costs a write only for the first that asks. Where others write the store
    /// too, it is not the time that is gone by: see [`Inner::expire`].
    async fn record_passed(&self, deadline: Timestamp) -> Result<(), Unavailable> {
        if self.time.recorded.load(Ordering::Acquire) >= deadline.as_millisecond() {
            return Ok(());
        }
        self.record_time(Vec::new()).await
    }

    /// Writes uses together with the latest time.
    async fn record_time(&self, uses: Vec<crate::store::Use>) -> Result<(), Unavailable> {
        let latest = self.latest();
        self.store.touch(uses, latest).await?;
        self.time
            .recorded
            .fetch_max(latest.as_millisecond(), Ordering::AcqRel);
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
        let deadlines = self.cache.basis().policies().deadlines(
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
    ///
    /// Where others write the store too, one of them may know of a later use: so what memory takes for
    /// expired is read.
    async fn find(&self, id: SessionId) -> Result<Option<Session>, Unavailable> {
        if let Some(session) = self.cache.peek(id)
            && (!self.cache.basis().is_leased() || session.status(self.latest()) == Status::Active)
        {
            return Ok(Some(session));
        }
        self.learn_policies().await?;
        let record = self.store.find(id).await?;
        Ok(record
            .filter(|record| record.ended.is_none())
            .map(|record| self.session(&record)))
    }

    fn latest(&self) -> Timestamp {
        Timestamp::from_millisecond(self.time.latest.load(Ordering::Acquire))
    }

    /// Sees to it that every policy is known that somebody was told is in force. As long as memory may answer,
    /// they are; without a lease nobody tells of others, and the store is asked.
    ///
    /// Belongs before whatever is judged by what was read.
    async fn learn_policies(&self) -> Result<(), Unavailable> {
        if self.cache.basis().answers().is_none() {
            self.cache
                .follow(&Change::Policies(self.store.policies().await?));
        }
        Ok(())
    }

    /// Sees to it that these sessions, which are refused because their deadlines have passed, are so on every
    /// node. Answers those that are: of the others somebody has recorded a later use meanwhile, or an end.
    ///
    /// A use that only memory knows is written first: afterwards the store takes none.
    async fn expire(
        self: &Arc<Self>,
        passed: Vec<(SessionId, Timestamp)>,
    ) -> Result<Vec<SessionId>, Unavailable> {
        if passed.is_empty() {
            return Ok(Vec::new());
        }
        let inner = Arc::clone(self);
        to_the_end(async move {
            let unwritten = passed
                .iter()
                .filter_map(|(id, _)| inner.cache.unwritten_use(*id));
            let unwritten: Vec<_> = unwritten.collect();
            if !unwritten.is_empty() {
                inner.record(unwritten).await?;
            }
            let expired = inner.store.expire(passed, inner.latest()).await?;
            for &id in &expired {
                inner.cache.ended(id);
            }
            Ok(expired)
        })
        .await
    }
}

impl Follower for Inner {
    fn follow(&self, change: &Change) {
        self.cache.follow(change);
    }
}

#[cfg(test)]
mod tests;
