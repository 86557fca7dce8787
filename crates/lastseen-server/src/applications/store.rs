//! What a store of applications must do.

use std::sync::Weak;

use async_trait::async_trait;
use lastseen::store::Authority;
use lastseen::token::SecretHash;
use lastseen::{ApplicationId, SessionId, Timestamp, Unavailable};

use super::name::ApplicationName;

/// An application as a store keeps it.
#[derive(Clone, Debug)]
pub struct StoredApplication {
    /// Its number: never another application's, also after its removal.
    pub id: ApplicationId,
    /// What it is called.
    pub name: ApplicationName,
    /// What is kept of its key.
    pub key_hash: SecretHash,
    /// When it was added.
    pub added_at: Timestamp,
    /// Its removal has begun: its key is refused.
    pub is_leaving: bool,
}

/// Whether an application was added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Added {
    /// It is there, durably, under this number.
    Done(ApplicationId),
    /// Another application has that name, perhaps one that is being removed.
    NameTaken,
}

/// A link into the pages that was given out.
#[derive(Clone, Copy, Debug)]
pub struct StoredLink {
    /// Its public name.
    pub id: [u8; 16],
    /// What is kept of its secret.
    pub secret_hash: SecretHash,
    /// Whose it is.
    pub application: ApplicationId,
    /// The session that it signs in to the pages.
    pub session: SessionId,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// Where somebody goes back to who came into the pages by a link.
#[derive(Clone, Debug)]
pub struct StoredWayBack {
    /// The session that the link opened.
    pub session: SessionId,
    /// Whose it is.
    pub application: ApplicationId,
    /// The address.
    pub address: Box<str>,
    /// From when on the session cannot be used any more.
    pub expires_at: Timestamp,
}

/// Whoever keeps applications in memory, and follows what other processes do to them.
pub trait ApplicationFollower: Send + Sync {
    /// Forgets them: when this returns, memory answers nothing that was read before. Never waits.
    fn forget_applications(&self);
}

/// Keeps applications and their links, and judges nothing. What it answers is durable.
#[async_trait]
pub trait ApplicationStore: Send + Sync + 'static {
    /// Whose word counts besides that of this process: how long memory may answer in the store's place.
    fn authority(&self) -> Authority {
        Authority::Sole
    }

    /// Names the one that follows what others do to the applications. While a lease of
    /// [`Self::authority`] runs, it has followed every change that any process has answered.
    ///
    /// A store that this process alone writes has nothing to tell.
    fn set_follower(&self, _follower: Weak<dyn ApplicationFollower>) {}

    /// Adds an application, if there is none of that name.
    async fn add(
        &self,
        name: &ApplicationName,
        key_hash: SecretHash,
        added_at: Timestamp,
    ) -> Result<Added, Unavailable>;

    /// Every application, by name; those that are being removed, too.
    async fn list(&self) -> Result<Vec<StoredApplication>, Unavailable>;

    /// Notes that the removal of an application has begun, and forgets its links. It is given no more.
    ///
    /// Once this has answered, no process accepts the application's key.
    async fn begin_removal(&self, id: ApplicationId) -> Result<(), Unavailable>;

    /// Removes an application. Its number is not given away again.
    async fn finish_removal(&self, id: ApplicationId) -> Result<(), Unavailable>;

    /// Keeps a link, if its application is there and stays; says whether it is. Forgets those that are worth
    /// nothing at `now`.
    async fn add_link(&self, link: StoredLink, now: Timestamp) -> Result<bool, Unavailable>;

    /// The link with this name, used by nobody yet.
    async fn find_link(&self, id: &[u8; 16]) -> Result<Option<StoredLink>, Unavailable>;

    /// Takes the link with this name away, if its secret is the one with this hash and it is still good at
    /// `now`. In one step: of many who ask at once one gets it.
    async fn take_link(
        &self,
        id: &[u8; 16],
        secret_hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<StoredLink>, Unavailable>;

    /// Up to `limit` links that nobody has used, good or not, which follow `after` in the store's order. Fewer than
    /// `limit` are the last.
    async fn links(
        &self,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<StoredLink>, Unavailable>;

    /// Keeps the way back from a session's pages in place of an earlier one, if its application is there.
    /// Forgets those that are of no use at `now`.
    async fn set_way_back(
        &self,
        way_back: StoredWayBack,
        now: Timestamp,
    ) -> Result<(), Unavailable>;

    /// The way back from a session's pages.
    async fn way_back(&self, session: SessionId) -> Result<Option<Box<str>>, Unavailable>;

    /// Up to `limit` ways back that follow the one of the session `after` in the store's order. Fewer than `limit`
    /// are the last.
    async fn ways_back(
        &self,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<StoredWayBack>, Unavailable>;

    /// The number that was given to an application last; 0 where none was.
    async fn last_number(&self) -> Result<ApplicationId, Unavailable>;

    /// Keeps applications as another store had them; the next one gets a number after `last`.
    async fn restore(
        &self,
        applications: Vec<StoredApplication>,
        last: ApplicationId,
    ) -> Result<(), Unavailable>;
}
