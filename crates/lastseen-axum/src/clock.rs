//! The one place that reads the system's clocks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lastseen::{Clock, Timestamp};

/// The system's clock, made so that it never steps back while the process runs.
///
/// It follows the wall clock forwards. Where the wall clock is set back, it goes on at the pace of the monotonic clock
/// instead, so that no deadline that has passed lies in the future again. What a restart would forget, `Sessions`
/// remembers in its store.
///
/// ```
/// use lastseen::Clock;
/// use lastseen_axum::SystemClock;
///
/// let clock = SystemClock::new();
/// let earlier = clock.now();
/// assert!(clock.now() >= earlier);
/// ```
#[derive(Debug)]
pub struct SystemClock {
    /// The monotonic clock's zero.
    start: Instant,
    /// The most that the wall clock was ever ahead of the monotonic one, in nanoseconds.
    offset: AtomicI64,
}

impl SystemClock {
    /// A clock that has seen the wall clock's present reading.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self {
            start: monotonic(),
            offset: AtomicI64::new(i64::MIN),
        };
        clock.now();
        clock
    }

    fn reading(&self, wall_nanoseconds: i64, monotonic_nanoseconds: i64) -> Timestamp {
        const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;
        let ahead = wall_nanoseconds.saturating_sub(monotonic_nanoseconds);
        // Relaxed: the maximum alone matters, and it guards no other memory. Written only when the wall clock steps
        // forwards, so that readers share the line.
        let mut offset = self.offset.load(Ordering::Relaxed);
        if ahead > offset {
            offset = self.offset.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        }
        let nanoseconds = monotonic_nanoseconds.saturating_add(offset);
        Timestamp::from_millisecond(nanoseconds.div_euclid(NANOSECONDS_PER_MILLISECOND))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // The wall clock first: a pause between the two readings then makes the difference smaller, never larger, and
        // so cannot push this clock ahead for good.
        let wall = wall_nanoseconds();
        let elapsed = monotonic().duration_since(self.start).as_nanos();
        self.reading(wall, i64::try_from(elapsed).unwrap_or(i64::MAX))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock file")]
fn monotonic() -> Instant {
    Instant::now()
}

/// Nanoseconds since the Unix epoch; zero where the clock stands before it.
#[expect(clippy::disallowed_methods, reason = "this is the clock file")]
fn wall_nanoseconds() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn clock() -> SystemClock {
        SystemClock {
            start: monotonic(),
            offset: AtomicI64::new(i64::MIN),
        }
    }

    #[test]
    fn it_follows_the_wall_clock_forwards() {
        let clock = clock();
        assert_eq!(clock.reading(100 * SECOND, 0).as_millisecond(), 100_000);
        assert_eq!(
            clock.reading(500 * SECOND, SECOND).as_millisecond(),
            500_000
        );
    }

    #[test]
    fn where_the_wall_clock_is_set_back_it_goes_on_at_the_monotonic_pace() {
        let clock = clock();
        clock.reading(100 * SECOND, 0);
        assert_eq!(clock.reading(10 * SECOND, SECOND).as_millisecond(), 101_000);
        assert_eq!(
            clock.reading(11 * SECOND, 2 * SECOND).as_millisecond(),
            102_000
        );
    }

    #[test]
    fn the_system_clock_is_near_the_present() {
        // 2026-01-01: later than that this was written.
        assert!(SystemClock::new().now().as_millisecond() > 1_767_225_600_000);
    }

    proptest! {
        #[test]
        fn it_never_steps_back(walls in proptest::collection::vec((any::<u32>(), 0_u32..1_000_000), 1..50)) {
            let clock = clock();
            let mut elapsed = 0;
            let mut latest = i64::MIN;
            for (wall, step) in walls {
                elapsed += i64::from(step);
                let now = clock.reading(i64::from(wall) * SECOND, elapsed).as_millisecond();
                prop_assert!(now >= latest);
                latest = now;
            }
        }
    }
}
