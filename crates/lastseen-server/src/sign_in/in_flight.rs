//! Tries that were counted as failures and of which nobody knows yet whether they are.
//!
//! A limit that is reached only through such tries says nothing yet: half of them may succeed, and only
//! failures count. Whoever comes in that moment waits for one of them to be judged. This is memory of one
//! process; after a restart all that is stored was a failure.

use std::collections::HashMap;
use std::sync::Arc;

use lastseen::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::throttle::{Counter, Counters};

/// The tries that are under way.
#[derive(Debug, Default)]
pub struct InFlight {
    counts: Mutex<HashMap<Counter, usize>>,
    /// Told whenever one of them was judged.
    judged: Notify,
}

/// How many tries under way are among the counts of each kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Undecided {
    /// Among those of name and address.
    pub pair: usize,
    /// Among those of the name.
    pub name: usize,
    /// Among those of the visitor.
    pub known_visitor: usize,
}

impl InFlight {
    /// How many tries of these counters are under way.
    pub fn count(&self, counters: &Counters) -> Undecided {
        let counts = self.counts.lock();
        let count = |counter| counts.get(&counter).copied().unwrap_or(0);
        Undecided {
            pair: count(counters.pair),
            name: count(counters.name),
            known_visitor: counters.known_visitor.map_or(0, count),
        }
    }

    /// One more try is under way; it was counted at `counted_at`.
    pub fn enter(self: &Arc<Self>, counters: Counters, counted_at: Timestamp) -> Reservation {
        let mut counts = self.counts.lock();
        for counter in counters.each() {
            *counts.entry(counter).or_default() += 1;
        }
        Reservation {
            counters,
            counted_at,
            in_flight: Arc::clone(self),
        }
    }

    /// Resolves when a try has been judged after this call.
    pub fn next_judged(&self) -> tokio::sync::futures::Notified<'_> {
        self.judged.notified()
    }
}

/// A try that was counted. Dropped, it was a failure, or nobody will ever know: it stays counted.
#[derive(Debug)]
pub struct Reservation {
    /// What it was counted under.
    pub counters: Counters,
    /// When.
    pub counted_at: Timestamp,
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
