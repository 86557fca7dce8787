//! Instants, and where they come from.

use std::time::Duration;

/// An instant: whole milliseconds since the Unix epoch, in UTC, leap seconds not counted.
///
/// The wire form is RFC 3339 and belongs to whoever speaks to the outside; inside, time is a number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch: earlier than anything that a store has seen.
    pub const EPOCH: Self = Self(0);

    /// The instant that lies `millisecond` milliseconds after the Unix epoch.
    pub const fn from_millisecond(millisecond: i64) -> Self {
        Self(millisecond)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millisecond(self) -> i64 {
        self.0
    }

    /// The instant `duration` later, or the last one that can be told.
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.saturating_add_milliseconds(milliseconds(duration))
    }

    /// The instant so many milliseconds later, or the last one that can be told.
    pub(crate) fn saturating_add_milliseconds(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// The instant `duration` earlier, or the first one that can be told.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }

    /// The time from `earlier` until this instant; zero where `earlier` is later.
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A duration in whole milliseconds, the precision of [`Timestamp`].
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A source of the current time.
///
/// Nothing in this crate reads a clock: every verb takes `now`. The trait is here so that those who
/// call the verbs agree on its shape, and so that a test can hold the time in its hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` tells no time",
    label = "not a `Clock`",
    note = "a service takes `lastseen_axum::SystemClock`; a test implements `Clock` for a time that it holds in its hand"
)]
pub trait Clock: Send + Sync + 'static {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// A source of randomness that is fit for secrets.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no source of secrets",
    label = "not an `Entropy`",
    note = "a service takes `lastseen_axum::SystemEntropy`"
)]
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes` with random bytes that nobody can predict.
    fn fill(&self, bytes: &mut [u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_to_an_earlier_instant_is_zero() {
        let noon = Timestamp::from_millisecond(1_000);
        let later = noon.saturating_add(Duration::from_millis(5));
        assert_eq!(noon.duration_since(later), Duration::ZERO);
        assert_eq!(later.duration_since(noon), Duration::from_millis(5));
    }

    #[test]
    fn the_edges_of_time_saturate() {
        let last = Timestamp::from_millisecond(i64::MAX);
        assert_eq!(last.saturating_add(Duration::MAX), last);
        assert_eq!(
            Timestamp::EPOCH
                .saturating_sub(Duration::MAX)
                .as_millisecond(),
            -i64::MAX
        );
    }
}
