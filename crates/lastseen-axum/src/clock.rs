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
    /// The monotonic reading up to which the wall clock need not be asked again.
    fresh_until: AtomicI64,
}

/// How long the wall clock is not asked again, in nanoseconds. It may step at any time, and a millisecond is the
/// precision of time here; asking it for each of a hundred thousand requests a second buys nothing.
const FRESH: i64 = 1_000_000;

impl SystemClock {
    /// A clock that has seen the wall clock's present reading.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self::unread();
        clock.now();
        clock
    }

    fn unread() -> Self {
        Self {
            start: monotonic(),
            offset: AtomicI64::new(i64::MIN),
            fresh_until: AtomicI64::new(i64::MIN),
        }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(monotonic().duration_since(self.start).as_nanos()).unwrap_or(i64::MAX)
    }

    /// The instant that lies `elapsed` nanoseconds behind the monotonic clock's zero, by what is known of the wall clock.
    fn at(&self, elapsed: i64) -> Timestamp {
        const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;
        let nanoseconds = elapsed.saturating_add(self.offset.load(Ordering::Relaxed));
        Timestamp::from_millisecond(nanoseconds.div_euclid(NANOSECONDS_PER_MILLISECOND))
    }

    /// Takes note of a reading of the wall clock, where it is ahead of all before it.
    ///
    /// Relaxed, as all here: these numbers guard no other memory, and either one may be a little old.
    fn note(&self, wall: i64, elapsed: i64) {
        self.offset
            .fetch_max(wall.saturating_sub(elapsed), Ordering::Relaxed);
        self.fresh_until
            .store(elapsed.saturating_add(FRESH), Ordering::Relaxed);
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.elapsed();
        if elapsed < self.fresh_until.load(Ordering::Relaxed) {
            return self.at(elapsed);
        }
        // The wall clock first: a pause between the two readings then makes the difference smaller, never larger, and
        // so cannot push this clock ahead for good.
        let wall = wall_nanoseconds();
        let elapsed = self.elapsed();
        self.note(wall, elapsed);
        self.at(elapsed)
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

    fn reading(clock: &SystemClock, wall: i64, elapsed: i64) -> i64 {
        clock.note(wall, elapsed);
        clock.at(elapsed).as_millisecond()
    }

    #[test]
    fn it_follows_the_wall_clock_forwards() {
        let clock = SystemClock::unread();
        assert_eq!(reading(&clock, 100 * SECOND, 0), 100_000);
        assert_eq!(reading(&clock, 500 * SECOND, SECOND), 500_000);
    }

    #[test]
    fn where_the_wall_clock_is_set_back_it_goes_on_at_the_monotonic_pace() {
        let clock = SystemClock::unread();
        reading(&clock, 100 * SECOND, 0);
        assert_eq!(reading(&clock, 10 * SECOND, SECOND), 101_000);
        assert_eq!(reading(&clock, 11 * SECOND, 2 * SECOND), 102_000);
    }

    #[test]
    fn between_two_looks_at_the_wall_clock_time_goes_on() {
        let clock = SystemClock::unread();
        reading(&clock, 100 * SECOND, 0);
        assert_eq!(clock.at(SECOND / 2).as_millisecond(), 100_500);
    }

    #[test]
    fn the_system_clock_is_near_the_present() {
        // 2026-01-01: later than that this was written.
        assert!(SystemClock::new().now().as_millisecond() > 1_767_225_600_000);
    }

    proptest! {
        #[test]
        fn it_never_steps_back(walls in proptest::collection::vec((any::<u32>(), 0_u32..1_000_000), 1..50)) {
            let clock = SystemClock::unread();
            let mut elapsed = 0;
            let mut latest = i64::MIN;
            for (wall, step) in walls {
                elapsed += i64::from(step);
                let now = reading(&clock, i64::from(wall) * SECOND, elapsed);
                prop_assert!(now >= latest);
                latest = now;
            }
        }
    }
}
