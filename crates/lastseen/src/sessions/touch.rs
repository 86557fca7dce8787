//! Last use: exact in memory, written in batches.

use super::Sessions;
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
        self.observe(now);
        let _one_at_a_time = self.inner.flushing.lock().await;
        let mut batch = Vec::new();
        for uses in self.inner.cache.unwritten_uses() {
            batch.extend(uses);
            while batch.len() >= STEP {
                let rest = batch.split_off(STEP);
                let step = std::mem::replace(&mut batch, rest);
                if let Err(unavailable) = self.record(step).await {
                    self.inner.cache.not_recorded(&batch);
                    return Err(unavailable);
                }
            }
        }
        // The last step is written also where it is empty: it carries the time.
        self.record(batch).await?;
        self.inner.cache.shrink();
        Ok(())
    }

    async fn record(&self, uses: Vec<Use>) -> Result<(), Unavailable> {
        let written = self.inner.record_time(uses.clone()).await;
        match &written {
            Ok(()) => self.inner.cache.recorded(&uses),
            Err(_) => self.inner.cache.not_recorded(&uses),
        }
        self.inner.counters.count_batch(uses.len());
        written
    }
}
