//! What a store must do for sign-in: keep failures, the browsers that an account knows, and the set-up link.

use async_trait::async_trait;
use lastseen::store::Others;
use lastseen::token::SecretHash;
use lastseen::{AccountId, Timestamp, Unavailable};

use super::known_browser::BrowserMark;
use super::throttle::{Counter, Counters, Counts};

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

    /// Counts a failure at `now`. Answers with those that counted before it: no two are told the same.
    async fn count_failure(
        &self,
        counters: Counters,
        now: Timestamp,
    ) -> Result<Counts, Unavailable>;

    /// Whether other processes let tries in beside this one, so that more may be under way than there is room for.
    fn is_shared(&self) -> bool;

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

    /// Up to `limit` browsers that accounts know, which follow `after` in the store's order. Fewer than `limit` are
    /// the last.
    async fn known_browsers(
        &self,
        after: Option<&StoredBrowser>,
        limit: u32,
    ) -> Result<Vec<StoredBrowser>, Unavailable>;

    /// Keeps browsers as another store had them; their accounts are there.
    async fn restore_browsers(&self, browsers: Vec<StoredBrowser>) -> Result<(), Unavailable>;

    /// Up to `limit` counts of failures, whether they still count or not, which follow the one of `after` in the store's
    /// order. Fewer than `limit` are the last.
    async fn counted(
        &self,
        after: Option<Counter>,
        limit: u32,
    ) -> Result<Vec<(Counter, StoredCount)>, Unavailable>;

    /// Keeps counts of failures as another store had them.
    async fn restore_counted(
        &self,
        counted: Vec<(Counter, StoredCount)>,
    ) -> Result<(), Unavailable>;

    /// Keeps what is left of a set-up link, for whichever process it is shown to; in place of `before`, one that
    /// this process offered earlier.
    ///
    /// One process alone keeps it in memory: then a restart is the end of the link.
    async fn offer_set_up(
        &self,
        link: OfferedLink,
        before: Option<[u8; 16]>,
    ) -> Result<(), Unavailable>;

    /// The set-up link with this public name that was offered.
    async fn find_set_up(&self, id: &[u8; 16]) -> Result<Option<OfferedLink>, Unavailable>;

    /// Forgets every set-up link: there is an account.
    async fn forget_set_up(&self) -> Result<(), Unavailable>;

    /// As [`lastseen::Store::wait_behind`].
    async fn wait_behind(&self, others: Others<'_>) -> Result<(), Unavailable> {
        others.await;
        Ok(())
    }
}

/// A browser that an account knows, as a store keeps it.
#[derive(Clone, Debug)]
pub struct StoredBrowser {
    /// The account.
    pub account: AccountId,
    /// The public name of the browser's mark.
    pub id: [u8; 16],
    /// What is kept of the mark's secret.
    pub secret_hash: SecretHash,
    /// Whether the browser has ever brought a mark back.
    pub returned: bool,
    /// When it last signed in.
    pub last_used_at: Timestamp,
}

/// What is counted under one counter, as a store keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoredCount {
    /// When failures of a pair or of a known visitor were, oldest first; never none.
    Failures(Vec<Timestamp>),
    /// When all failures for a name are forgiven.
    Pressure(Timestamp),
}

/// What is kept of a link that makes the first account.
#[derive(Clone, Copy, Debug)]
pub struct OfferedLink {
    /// Its public name.
    pub id: [u8; 16],
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// Until when it is good.
    pub expires_at: Timestamp,
}
