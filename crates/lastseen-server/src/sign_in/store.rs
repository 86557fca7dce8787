//! What a store must do for sign-in: keep failures, and the browsers that an account knows.

use async_trait::async_trait;
use lastseen::{AccountId, Timestamp, Unavailable};

use super::known_browser::BrowserMark;
use super::throttle::{Counters, Counts};

/// Keeps what sign-in has to remember over a restart. What it answers is durable.
///
/// Its size is bounded by the work that went in: a failure is counted once a hash was paid for, and
/// forgotten when it does not count any more.
#[async_trait]
pub trait SignInStore: Send + Sync + 'static {
    /// The failures that count against a try at `now`: every one whose counting was answered before.
    ///
    /// Where it is known that none could be counted, this fails: what cannot be counted is not judged.
    async fn failures(&self, counters: Counters, now: Timestamp) -> Result<Counts, Unavailable>;

    /// Counts a failure at `now`.
    async fn count_failure(&self, counters: Counters, now: Timestamp) -> Result<(), Unavailable>;

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
