//! What is counted, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes that durations are counted in. A millisecond is usual, a lease is the worst.
const BOUNDS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(3),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(6),
];

/// How long things took, as Prometheus counts it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Upper bounds and how many were within them; each counts those of the bounds before it too.
    pub within: Vec<(Duration, u64)>,
    /// How many there were, longer ones too.
    pub count: u64,
    /// How long they took together.
    pub sum: Duration,
}

/// What this process has counted, as a node and as one that waits for nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Whether a lease runs at this moment: without one, each validation asks the database.
    pub leased: bool,
    /// How long the lease goes on running if it is not renewed.
    pub lease_left: Duration,
    /// Terms that began: more than one says that leases were lost.
    pub terms: u64,
    /// Renewals that were answered.
    pub renewals: u64,
    /// Changes by anybody that memory has followed.
    pub changes_followed: u64,
    /// Changes that this node has told others it has applied.
    pub acknowledgements_sent: u64,
    /// Acknowledgements of other nodes.
    pub acknowledgements_received: u64,
    /// Nodes that changes of this process were waiting for until their leases had run out.
    pub waited_out: u64,
    /// How long changes of this process took from their commit until no node could act on the state before.
    pub confirmed: Histogram,
    /// Changes of this process that wait for nodes at this moment.
    pub waiting: u64,
}

/// The counters behind [`Figures`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) terms: AtomicU64,
    pub(super) renewals: AtomicU64,
    pub(super) changes_followed: AtomicU64,
    pub(super) acknowledgements_sent: AtomicU64,
    pub(super) acknowledgements_received: AtomicU64,
    pub(super) waited_out: AtomicU64,
    pub(super) waiting: AtomicU64,
    /// How many were within a bound and not within the one before; the last are longer than all.
    confirmed: [AtomicU64; BOUNDS.len() + 1],
    confirmed_nanoseconds: AtomicU64,
}

impl Counters {
    /// Counts a change that was confirmed after `taken`.
    pub(super) fn confirmed(&self, taken: Duration) {
        let place = BOUNDS.partition_point(|&bound| bound < taken);
        add(&self.confirmed[place], 1);
        let nanoseconds = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        add(&self.confirmed_nanoseconds, nanoseconds);
    }

    /// All but what is known of the lease.
    pub(super) fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut count = 0;
        let mut within = Vec::with_capacity(BOUNDS.len());
        for (bound, counter) in BOUNDS.iter().zip(&self.confirmed) {
            count += read(counter);
            within.push((*bound, count));
        }
        Figures {
            terms: read(&self.terms),
            renewals: read(&self.renewals),
            changes_followed: read(&self.changes_followed),
            acknowledgements_sent: read(&self.acknowledgements_sent),
            acknowledgements_received: read(&self.acknowledgements_received),
            waited_out: read(&self.waited_out),
            waiting: read(&self.waiting),
            confirmed: Histogram {
                within,
                count: count + read(&self.confirmed[BOUNDS.len()]),
                sum: Duration::from_nanos(read(&self.confirmed_nanoseconds)),
            },
            ..Figures::default()
        }
    }
}

/// Relaxed: these numbers guard nothing.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_counts_those_before_it_and_the_longest_are_counted_too() {
        let counters = Counters::default();
        for milliseconds in [1, 2, 4, 7_000] {
            counters.confirmed(Duration::from_millis(milliseconds));
        }
        let confirmed = counters.figures().confirmed;
        let within = |milliseconds| {
            let bound = Duration::from_millis(milliseconds);
            confirmed
                .within
                .iter()
                .find(|(at, _)| *at == bound)
                .unwrap()
                .1
        };
        assert_eq!(
            (within(1), within(2), within(5), within(6_000)),
            (1, 2, 3, 3)
        );
        assert_eq!(confirmed.count, 4);
        assert_eq!(confirmed.sum, Duration::from_millis(7_007));
    }
}
