//! Tidying: what has expired leaves the list, what has ended is purged.
//!
//! No verdict depends on it. An expired session is refused because of its deadline, a list leaves out
//! what is to be left out; here only the records follow.

use super::{Sessions, to_the_end};
use crate::session::{EndedBy, Status};
use crate::store::Unavailable;
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Records looked at in one step. Purging a thousand rows at once was measured to hold up other writes
/// for 50 to 136 ms; a quarter of that stays below what a person notices.
const STEP: usize = 250;

/// The rest between two steps, so that requests go first: ten million records take a few minutes.
const REST: Duration = Duration::from_millis(5);

/// What a round of tidying met.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tidied {
    /// Sessions that can be used.
    pub active: u64,
    /// Expired sessions that are still listed.
    pub expired: u64,
    /// Records of sessions that left the list, in this round too.
    pub ended: u64,
    /// Records that were deleted.
    pub purged: u64,
}

impl Sessions {
    /// Walks over every record once: ends what has been expired for longer than it is listed, and purges
    /// what ended longer ago than it is kept.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked; the next round does the rest.
    pub async fn tidy(&self, now: Timestamp) -> Result<Tidied, Unavailable> {
        let now = self.observe(now);
        let inner = &self.inner;
        let mut tidied = Tidied::default();
        let mut after = None;
        loop {
            let records = inner.store.walk(after, STEP).await?;
            let (mut ends, mut outdated) = (Vec::new(), Vec::new());
            for record in &records {
                let session = inner.session(record);
                match &record.ended {
                    Some(ending)
                        if ending
                            .left_list_at
                            .saturating_add(inner.settings.keep_ended)
                            <= now =>
                    {
                        outdated.push(record.id);
                    }
                    Some(_) => tidied.ended += 1,
                    None if !inner.settings.lists(&session, now) => {
                        ends.push(inner.end_of(&session, EndedBy::Deadline, now));
                        tidied.ended += 1;
                    }
                    None => match session.status(now) {
                        Status::Active => tidied.active += 1,
                        Status::Expired => tidied.expired += 1,
                    },
                }
            }
            inner.end_all(None, ends).await?;
            if !outdated.is_empty() {
                let inner = Arc::clone(inner);
                tidied.purged +=
                    to_the_end(async move { inner.store.purge(outdated).await }).await?;
            }
            after = records.last().map(|record| record.id);
            if records.len() < STEP {
                inner.counters.set_tidied(tidied);
                return Ok(tidied);
            }
            tokio::time::sleep(REST).await;
        }
    }
}
