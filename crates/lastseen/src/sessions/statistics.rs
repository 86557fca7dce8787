//! What the sessions have done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Refusal, Sessions, Tidied, Verdict};
use crate::store::Unavailable;

/// Causes of an end, in the order of [`Statistics::ended`].
pub(super) const CAUSES: [&str; 6] = [
    "session",
    "command",
    "deadline",
    "limit",
    "password",
    "application",
];

/// Numbers since the sessions were opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Tokens that were accepted.
    pub active: u64,
    /// Tokens that were refused: malformed, unknown, with a wrong secret, expired, ended.
    pub malformed: u64,
    /// See [`Refusal::Unknown`].
    pub unknown: u64,
    /// See [`Refusal::WrongSecret`].
    pub wrong_secret: u64,
    /// See [`Refusal::Expired`].
    pub expired: u64,
    /// See [`Refusal::Ended`].
    pub ended_token: u64,
    /// Validations that the store could not answer.
    pub unavailable: u64,
    /// Accepted tokens that were answered from memory.
    pub cache_hits: u64,
    /// Accepted tokens that had to be read from the store.
    pub cache_misses: u64,
    /// Sessions that were looked up in the store by their id; several that asked at once share one.
    pub look_ups: u64,
    /// Sessions that are kept in memory.
    pub cached: u64,
    /// Sessions that began.
    pub created: u64,
    /// Sessions that ended, by cause.
    pub ended: [(&'static str, u64); CAUSES.len()],
    /// Batches of uses that were written.
    pub write_batches: u64,
    /// Uses that were written in them.
    pub uses_written: u64,
    /// What the last round of tidying met, where there was one.
    pub tidied: Option<Tidied>,
}

#[derive(Default)]
pub(super) struct Counters {
    /// All but those that memory alone has accepted, which are counted there.
    verdicts: [AtomicU64; 7],
    hits: [AtomicU64; 2],
    created: AtomicU64,
    ended: [AtomicU64; CAUSES.len()],
    batches: AtomicU64,
    uses: AtomicU64,
    tidied: Mutex<Option<Tidied>>,
}

/// Counters are read by people, seconds later: no order among them is needed.
fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn count_verdict<Answer>(&self, verdict: &Result<Verdict<Answer>, Unavailable>) {
        let place = match verdict {
            Ok(Verdict::Active(_)) => 0,
            Ok(Verdict::Refused(Refusal::Malformed)) => 1,
            Ok(Verdict::Refused(Refusal::Unknown)) => 2,
            Ok(Verdict::Refused(Refusal::WrongSecret)) => 3,
            Ok(Verdict::Refused(Refusal::Expired)) => 4,
            Ok(Verdict::Refused(Refusal::Ended)) => 5,
            Err(_) => 6,
        };
        add(&self.verdicts[place], 1);
    }

    pub(super) fn count_hit(&self, hit: bool) {
        add(&self.hits[usize::from(hit)], 1);
    }

    pub(super) fn count_created(&self) {
        add(&self.created, 1);
    }

    pub(super) fn count_ended(&self, cause: &str, number: u64) {
        if let Some(place) = CAUSES.iter().position(|known| *known == cause) {
            add(&self.ended[place], number);
        }
    }

    pub(super) fn count_batch(&self, uses: usize) {
        add(&self.batches, 1);
        add(&self.uses, uses as u64);
    }

    pub(super) fn set_tidied(&self, tidied: Tidied) {
        *self.tidied.lock() = Some(tidied);
    }
}

impl Sessions {
    /// The numbers at this moment.
    pub fn statistics(&self) -> Statistics {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [
            active,
            malformed,
            unknown,
            wrong_secret,
            expired,
            ended_token,
            unavailable,
        ] = counters.verdicts.each_ref().map(read);
        let [cache_misses, hits_that_were_written] = counters.hits.each_ref().map(read);
        let by_memory_alone = self.inner.cache.accepted();
        let mut ended = CAUSES.map(|cause| (cause, 0));
        for (place, counter) in counters.ended.iter().enumerate() {
            ended[place].1 = read(counter);
        }
        Statistics {
            active: active + by_memory_alone,
            malformed,
            unknown,
            wrong_secret,
            expired,
            ended_token,
            unavailable,
            cache_hits: hits_that_were_written + by_memory_alone,
            cache_misses,
            look_ups: self.inner.reads.begun(),
            cached: self.inner.cache.len() as u64,
            created: read(&counters.created),
            ended,
            write_batches: read(&counters.batches),
            uses_written: read(&counters.uses),
            tidied: *counters.tidied.lock(),
        }
    }
}
