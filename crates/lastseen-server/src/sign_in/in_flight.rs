//! Tries that were let in and of which nobody knows yet whether they are failures.
//!
//! They take up room beside the failures, or any number of tries at once would pass. But a limit that is
//! reached only through them says nothing yet: half of them may succeed, and only failures count. Whoever
//! comes in that moment waits for one of them to be judged.
//!
//! This is memory of one process, and nothing of it is ever written: what it was judging when it was killed
//! was no failure. Where several processes share the database each lets in as many as there is room for, and
//! what is too much of that is found out before a verdict is told: see [`super::service`].

use std::collections::HashMap;
use std::sync::Arc;

use lastseen::{Timestamp, Unavailable};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::store::SignInStore;
use super::throttle::{Counter, Counters, NotNow, Tries};

/// The tries that are under way.
#[derive(Debug, Default)]
pub struct InFlight {
    /// Held by the one try of which it is being decided whether it may come: no two see the same room.
    admission: tokio::sync::Mutex<()>,
    counts: Mutex<HashMap<Counter, usize>>,
    /// Told whenever one of them was judged.
    judged: Notify,
}

impl InFlight {
    /// Lets a try in, if the failures in `store` and the tries under way leave room for it. In one step.
    ///
    /// # Errors
    /// [`Unavailable`] where the store cannot tell.
    pub async fn admit(
        self: &Arc<Self>,
        counters: Counters,
        store: &dyn SignInStore,
        now: Timestamp,
    ) -> Result<Result<Reservation, NotNow>, Unavailable> {
        let mut alone = None;
        let turn = async { alone = Some(self.admission.lock().await) };
        store.wait_behind(Box::pin(turn)).await?;
        // First those under way, then the failures: one that turns from the former into the latter meanwhile
        // is seen twice, and whoever has to wait for that is told at once. The other way it might be missed.
        let under_way = self.count(&counters);
        let failures = store.failures(counters, now).await?;
        Ok(failures
            .admit(under_way, now)
            .map(|()| self.enter(counters)))
    }

    /// How many tries of these counters are under way.
    fn count(&self, counters: &Counters) -> Tries {
        let counts = self.counts.lock();
        let count = |counter| counts.get(&counter).copied().unwrap_or(0);
        Tries {
            pair: count(counters.pair),
            name: count(counters.name),
            known_visitor: counters.known_visitor.map_or(0, count),
        }
    }

    /// One more try is under way.
    fn enter(self: &Arc<Self>, counters: Counters) -> Reservation {
        let mut counts = self.counts.lock();
        for counter in counters.each() {
            *counts.entry(counter).or_default() += 1;
        }
        Reservation {
            counters,
            in_flight: Arc::clone(self),
        }
    }

    /// Resolves when a try has been judged after this call.
    pub fn next_judged(&self) -> tokio::sync::futures::Notified<'_> {
        self.judged.notified()
    }
}

/// The room of a try that is under way. Dropped, it is free again: whoever judges the try a failure counts
/// that in the store first.
#[derive(Debug)]
#[must_use = "once it is dropped the try is not under way any more"]
pub struct Reservation {
    /// What the try is counted under.
    pub counters: Counters,
    in_flight: Arc<InFlight>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut counts = self.in_flight.counts.lock();
        for counter in self.counters.each() {
            if let Some(count) = counts.get_mut(&counter) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&counter);
                }
            }
        }
        drop(counts);
        self.in_flight.judged.notify_waiters();
    }
}
