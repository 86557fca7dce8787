//! Tidying: what has expired leaves the list, what has ended is purged.
//!
//! No verdict depends on it. An expired session is refused because of its deadline, a list leaves out
//! what is to be left out; here only the records follow.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;

use super::{Sessions, to_the_end};
use crate::session::{EndedBy, Session, SessionId, Status};
use crate::store::{Record, Unavailable};
use crate::time::Timestamp;

/// Records looked at in one step: a few milliseconds for a reader of the store.
const STEP: usize = 250;

/// Sessions ended in one step. An end is one of those writes that somebody waits for, and others wait behind it.
const ENDS: usize = 50;

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
            inner.learn_policies().await?;
            let records = inner.store.walk(after, STEP).await?;
            let sessions: Vec<Session> =
                records.iter().map(|record| inner.session(record)).collect();
            let used_elsewhere = self.used_elsewhere(&records, &sessions, now).await?;
            let (mut ends, mut outdated) = (Vec::new(), Vec::new());
            for (record, session) in records.iter().zip(&sessions) {
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
                    None if used_elsewhere.contains(&record.id) => tidied.active += 1,
                    None if !inner.settings.lists(session, now) => {
                        ends.push(inner.end_of(session, EndedBy::Deadline, now));
                        tidied.ended += 1;
                    }
                    None => match session.status(now) {
                        Status::Active => tidied.active += 1,
                        Status::Expired => tidied.expired += 1,
                    },
                }
            }
            while !ends.is_empty() {
                let later = ends.split_off(ENDS.min(ends.len()));
                inner
                    .end_all(None, std::mem::replace(&mut ends, later))
                    .await?;
            }
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

    /// Those of the sessions to be ended because of their deadline that others have used meanwhile. Where
    /// nobody else writes there are none; where others do, the rest is marked as expired first.
    async fn used_elsewhere(
        &self,
        records: &[Record],
        sessions: &[Session],
        now: Timestamp,
    ) -> Result<HashSet<SessionId>, Unavailable> {
        let inner = &self.inner;
        if !inner.cache.basis().is_leased() {
            return Ok(HashSet::new());
        }
        let passed: Vec<(SessionId, Timestamp)> = records
            .iter()
            .zip(sessions)
            .filter(|(record, session)| {
                record.ended.is_none() && !record.expired && !inner.settings.lists(session, now)
            })
            .map(|(record, session)| (record.id, session.last_used_at))
            .collect();
        let mut used: HashSet<SessionId> = passed.iter().map(|(id, _)| *id).collect();
        for expired in inner.expire(passed).await? {
            used.remove(&expired);
        }
        Ok(used)
    }
}
