//! Last use: exact in memory, written in batches.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cache::{Cache, Haste};
use super::{Inner, Sessions};
use crate::session::SessionId;
use crate::store::{Unavailable, Use};
use crate::time::Timestamp;

/// Uses written in one step: more would hold up other writes for longer than they bear.
const STEP: usize = 1_000;

impl Sessions {
    /// Writes every use that the store has not recorded. Call it at least once in a touch interval, and
    /// before the end: what it has not written, a crash loses.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked: what is not written stays to be written.
    pub async fn flush(&self, now: Timestamp) -> Result<(), Unavailable> {
        let begun = self.observe(now);
        let _one_at_a_time = self.inner.flushing.lock().await;
        // Where this process alone writes, all of it lies in one table, and its order is worth gathering everything
        // first. Elsewhere the rows are parted by account, as partitions are: then one partition after the other.
        let all_together = !self.inner.cache.basis().is_leased();
        let mut unwritten = self.inner.cache.unwritten();
        let mut batch = Taken::new(&self.inner.cache);
        let mut more = true;
        while more {
            more = unwritten.gather();
            // To gather takes a while, and requests wait for this thread.
            tokio::task::yield_now().await;
            if more && all_together {
                continue;
            }
            loop {
                batch.uses.extend(unwritten.next(STEP - batch.uses.len()));
                if batch.uses.len() < STEP {
                    break;
                }
                self.inner.record(std::mem::take(&mut batch.uses)).await?;
            }
        }
        // The last step is written also where it is empty: it carries the time.
        self.inner.record(std::mem::take(&mut batch.uses)).await?;
        // As long as no use was written, none of those could be dropped.
        for () in self.inner.cache.shrink() {
            tokio::task::yield_now().await;
        }
        let flushed = &self.inner.time.flushed;
        flushed.fetch_max(begun.as_millisecond(), Ordering::AcqRel);
        Ok(())
    }

    /// How often [`Sessions::flush`] is to be called, under the settings and the policy in force.
    pub fn flush_period(&self) -> Duration {
        self.inner.flush_period()
    }
}

impl Inner {
    fn flush_period(&self) -> Duration {
        let basis = self.cache.basis();
        let idle = basis.is_leased().then(|| basis.policies().shortest_idle());
        self.settings.flush_period(idle)
    }

    /// How soon a use at `now` has to be written.
    pub(super) fn haste(&self, now: Timestamp) -> Haste {
        if !self.cache.basis().is_leased() {
            return Haste::NONE;
        }
        let period = self.flush_period();
        let flushed = self.time.flushed.load(Ordering::Acquire);
        Haste {
            near: now.saturating_add(3 * period),
            // A round takes a while too, and comes a little late: one period is for that, and one is left.
            overdue: Timestamp::from_millisecond(flushed).saturating_add(2 * period) < now,
        }
    }

    /// Writes the use of one session, where it is not written yet.
    pub(super) async fn write_use(&self, id: SessionId) -> Result<(), Unavailable> {
        match self.cache.unwritten_use(id) {
            Some(used) => self.record(vec![used]).await,
            None => Ok(()),
        }
    }

    /// Writes uses that were taken from the cache. Where that fails, or is broken off, they are unwritten as before.
    pub(super) async fn record(&self, uses: Vec<Use>) -> Result<(), Unavailable> {
        let mut taken = Taken::new(&self.cache);
        taken.uses.clone_from(&uses);
        self.record_time(uses).await?;
        let uses = std::mem::take(&mut taken.uses);
        self.cache.recorded(&uses);
        self.counters.count_batch(uses.len());
        Ok(())
    }
}

/// Uses that were taken and of which nobody has heard yet whether they are recorded.
struct Taken<'a> {
    cache: &'a Cache,
    uses: Vec<Use>,
}

impl<'a> Taken<'a> {
    fn new(cache: &'a Cache) -> Self {
        Self {
            cache,
            uses: Vec::new(),
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.cache.not_recorded(&self.uses);
    }
}
