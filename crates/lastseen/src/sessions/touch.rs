//! Last use: exact in memory, written in batches.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cache::Haste;
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
        let mut batch = Vec::new();
        for uses in self.inner.cache.unwritten_uses() {
            batch.extend(uses);
            while batch.len() >= STEP {
                let rest = batch.split_off(STEP);
                let step = std::mem::replace(&mut batch, rest);
                if let Err(unavailable) = self.inner.record(step).await {
                    self.inner.cache.not_recorded(&batch);
                    return Err(unavailable);
                }
            }
        }
        // The last step is written also where it is empty: it carries the time.
        self.inner.record(batch).await?;
        self.inner.cache.shrink();
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

    pub(super) async fn record(&self, uses: Vec<Use>) -> Result<(), Unavailable> {
        let written = self.record_time(uses.clone()).await;
        match &written {
            Ok(()) => self.cache.recorded(&uses),
            Err(_) => self.cache.not_recorded(&uses),
        }
        self.counters.count_batch(uses.len());
        written
    }
}
