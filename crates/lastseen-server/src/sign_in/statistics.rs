//! What is counted of sign-in.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often what came of a sign-in, or of the current password at `/password`, since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SignInStatistics {
    /// A session began.
    pub succeeded: u64,
    /// Name and password did not open an account.
    pub refused: u64,
    /// Too many failures had come before.
    pub throttled: u64,
    /// Too many passwords were being checked, or the store could not be asked.
    pub unavailable: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) succeeded: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) unavailable: AtomicU64,
}

impl Counted {
    pub(super) fn one_more(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn statistics(&self) -> SignInStatistics {
        SignInStatistics {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }
}
