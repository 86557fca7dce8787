//! The one clock that leases go by.

use rustix::time::{ClockId, clock_gettime};

use super::protocol::Moment;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// The present, by a clock that nobody sets and that counts on while the machine sleeps. Rust's `Instant` is not it:
/// on Linux that one stands still during suspend, and a lease would outlive the night.
pub(super) fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    // It begins with the machine: neither part is ever negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Moment(
        seconds
            .saturating_mul(NANOSECONDS_PER_SECOND)
            .saturating_add(nanoseconds),
    )
}
