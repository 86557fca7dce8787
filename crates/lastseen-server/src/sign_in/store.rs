//! What a store must do for sign-in: keep failures, and the browsers that an account knows.

use std::sync::Arc;

use async_trait::async_trait;
use lastseen::{AccountId, Timestamp, Unavailable};

use super::in_flight::{InFlight, Reservation};
use super::known_browser::BrowserMark;
use super::throttle::{Counters, NotNow};

/// Keeps what sign-in has to remember over a restart. What it answers is durable.
///
/// Its size is bounded by the work that went in: a failure is counted once a hash was paid for, and
/// forgotten when it does not count any more.
#[async_trait]
pub trait SignInStore: Send + Sync + 'static {
    /// Judges one try and, where it may come, counts it as a failure for the time being and enters it in
    /// `in_flight`. In one step.
    async fn reserve(
        &self,
        counters: Counters,
        in_flight: &Arc<InFlight>,
        now: Timestamp,
    ) -> Result<Result<Reservation, NotNow>, Unavailable>;

    /// The try was no failure: it succeeded, or was never judged.
    async fn take_back(&self, reservation: Reservation, now: Timestamp) -> Result<(), Unavailable>;

    /// Forgets every failure that does not count any more. Says how many rows went.
    async fn forget(&self, now: Timestamp) -> Result<u64, Unavailable>;

    /// Whether the browser that brought `mark` has signed in to `account` before.
    async fn knows_browser(
        &self,
        account: &AccountId,
        mark: &BrowserMark,
    ) -> Result<bool, Unavailable>;

    /// Notes that a browser has signed in to `account`, and is known by `new` from now on.
    ///
    /// The accounts that know it by `brought`, the mark that it came with, know it by the new one, too; the
    /// old one is worth nothing any more. Where an account knows too many browsers it forgets one.
    async fn know_browser(
        &self,
        account: &AccountId,
        brought: Option<&BrowserMark>,
        new: &BrowserMark,
        now: Timestamp,
    ) -> Result<(), Unavailable>;
}
