//! What a store must do.
//!
//! A store keeps records and judges nothing: it reads no clock, knows no deadline and opens no token.
//! The tests that every store must pass are in `conformance`, a module of its own feature.

mod authority;
pub mod devices;
pub mod memory;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::account::{Account, AccountKey};
use crate::device::Device;
use crate::policy::{Policy, PolicyNumber};
use crate::session::{EndedBy, Ending, SessionId};
use crate::time::Timestamp;
use crate::token::SecretHash;

pub use authority::{Authority, Change, Follower, Lease, Term};

/// A store that cannot be asked, or could not do what it was asked.
///
/// The text is for the operator; nothing of it goes to a visitor. What was asked may or may not have
/// happened, as with any answer that gets lost.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store is unavailable: {reason}")]
pub struct Unavailable {
    /// What went wrong, for the operator.
    pub reason: Arc<str>,
}

impl Unavailable {
    /// A store that is unavailable because of `reason`.
    pub fn because(reason: impl std::fmt::Display) -> Self {
        Self {
            reason: reason.to_string().into(),
        }
    }
}

/// A session as a store keeps it, from its creation until its record is purged.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its public name.
    pub id: SessionId,
    /// Whose it is.
    pub account: Arc<Account>,
    /// What is kept of its token.
    pub token_hash: SecretHash,
    /// How often its token was renewed.
    pub token_generation: u32,
    /// What is kept of the token that a link into the pages was exchanged for, where there is one.
    pub page_token_hash: Option<SecretHash>,
    /// The policy it was created under.
    pub policy: PolicyNumber,
    /// Whether the device was to be remembered.
    pub remembered: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// Address and device of the sign-in.
    pub first: Origin,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// Address and device of the last use.
    pub last: Origin,
    /// A verdict has refused it because its deadline had passed, and [`Store::expire`] has said so: it is
    /// expired on every node, whatever its clock. It reads so only once every node has followed. A store that one process alone writes need not keep it; there
    /// the latest time that the store was told of does that work.
    pub expired: bool,
    /// Its end, where it has left its owner's list.
    pub ended: Option<Ending>,
}

/// Where a use came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The visitor's address, where it was known.
    pub ip_address: Option<IpAddr>,
    /// The visitor's device.
    pub device: Arc<Device>,
}

/// A use of a session that the store has not recorded yet.
#[derive(Clone, Debug)]
pub struct Use {
    /// The session.
    pub id: SessionId,
    /// When it was used.
    pub at: Timestamp,
    /// From where.
    pub origin: Origin,
}

/// What a store tells when it is opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Every policy that was ever in force, oldest first; the last one is in force.
    pub policies: Vec<Policy>,
    /// The latest time that the store was told of, in any call that carries one.
    pub latest: Timestamp,
}

/// Whether a record was inserted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// It is there, durably.
    Done,
    /// The same, and nothing else is on record of its account. A store that knows without looking says so, and spares
    /// memory to ask; [`Inserted::Done`] is never wrong.
    First,
    /// Its id, or the id's sequence, belongs to another session; nothing was changed. Draw another.
    IdTaken,
}

/// One session to end.
#[derive(Clone, Debug)]
pub struct End {
    /// The session.
    pub id: SessionId,
    /// How it is recorded.
    pub ending: Ending,
    /// A use of it that is not recorded yet, to be recorded with the end.
    pub last_use: Option<Use>,
}

/// What came of a request to end sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// These ended through this call; the others had ended before. All of it is durable.
    Done(Vec<SessionId>),
    /// One of the ids is unknown, or not of the account: nothing was changed.
    NotFound,
}

/// Keeps sessions.
///
/// What a method has answered is durable, except where it says otherwise. Each method is one step: no
/// other call sees half of it. Times only ever come from the caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` keeps no sessions",
    label = "not a `Store`",
    note = "stores there are: `lastseen::store::memory::MemoryStore`, and `lastseen_sqlite::SqliteStore` around a `Database`",
    note = "`Sessions::open` takes an `Arc` of one"
)]
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins to use the store under `policy`: records it, unless it is the newest one already, and `now`.
    ///
    /// Without a policy the recorded ones stay as they are; of a new store there are none then.
    async fn open(&self, policy: Option<&Policy>, now: Timestamp) -> Result<Opened, Unavailable>;

    /// Whose word counts besides that of this process; stays the same from `open` on.
    fn authority(&self) -> Authority {
        Authority::Sole
    }

    /// Names the one that follows what others do to this store. [`Sessions::open`](crate::Sessions::open)
    /// calls it, after `open` and before any other call; a later call takes the place of an earlier one, whose
    /// term is over then.
    ///
    /// A store that this process alone writes has nothing to tell.
    fn set_follower(&self, _follower: Weak<dyn Follower>) {}

    /// Every policy that was ever in force, oldest first. Asked where no lease runs.
    async fn policies(&self) -> Result<Vec<Policy>, Unavailable> {
        Ok(self.open(None, Timestamp::EPOCH).await?.policies)
    }

    /// Inserts a session; in the same step ends another one, that it takes the place of.
    ///
    /// The account becomes known under the name that the record says, also where it had another.
    /// A session to end that is unknown or has ended is left alone.
    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable>;

    /// The session called `id`, also where it has ended; `None` where there is none, or it was purged.
    async fn find(&self, id: SessionId) -> Result<Option<Record>, Unavailable>;

    /// Every session of the account that has not ended, in any order.
    async fn list(&self, account: &AccountKey) -> Result<Vec<Record>, Unavailable>;

    /// How many sessions of the account have not ended.
    async fn count(&self, account: &AccountKey) -> Result<usize, Unavailable> {
        Ok(self.list(account).await?.len())
    }

    /// The name that the account was last given, as long as a record of one of its sessions is kept, ended or not.
    ///
    /// As it is written here it is found while a session of the account has not ended; a store that keeps names
    /// should say them.
    async fn name_of(&self, account: &AccountKey) -> Result<Option<Arc<str>>, Unavailable> {
        let records = self.list(account).await?;
        Ok(records
            .first()
            .map(|record| Arc::clone(&record.account.name)))
    }

    /// Up to `limit` sessions of every account, ended ones too, that follow `after` in the store's order.
    ///
    /// A session that is there throughout a walk is met once. No session or fewer than `limit` are the end.
    async fn walk(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Record>, Unavailable>;

    /// Records uses, and that the time is `now`.
    ///
    /// A use that is earlier than the recorded one changes nothing, nor does one of a session that has
    /// ended, has [expired](Record::expired) or is unknown. Of two uses in one millisecond the one that comes last counts. No uses at all are a valid call: it records the time.
    async fn touch(&self, uses: Vec<Use>, now: Timestamp) -> Result<(), Unavailable>;

    /// Records that these sessions are refused because their deadlines have passed at `now`: what this has
    /// answered is final on every node, whatever its clock. Each comes with the last use that the verdict
    /// went by.
    ///
    /// Answers those for which it holds now, those that were marked before too. One that the store knows a
    /// later use of is left out and stays as it was, as are those that have ended or are unknown: read them
    /// again. No other method takes the mark away. A store that one process alone writes may do with the time, as
    /// it is done here.
    async fn expire(
        &self,
        passed: Vec<(SessionId, Timestamp)>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Unavailable> {
        self.touch(Vec::new(), now).await?;
        Ok(passed.into_iter().map(|(id, _)| id).collect())
    }

    /// Ends sessions, all or none.
    ///
    /// Where `account` is given, every id must be one of that account's, ended or not; where it is not,
    /// ids that are unknown are left alone. A session that has ended keeps the end that it has.
    async fn end(&self, account: Option<AccountKey>, ends: Vec<End>) -> Result<Ended, Unavailable>;

    /// Sees to it that whatever was done to the account's sessions before this call is followed by every
    /// process when it returns: what one that is still waiting for the others has ended, a list does not show
    /// any more, and whoever finds nothing left to end must not answer sooner.
    ///
    /// A store that one process alone writes has nothing to do.
    async fn settle_account(&self, _account: &AccountKey) -> Result<(), Unavailable> {
        Ok(())
    }

    /// Gives a session another token, unless it has ended or has a token of this generation or a later one.
    ///
    /// True where it has the token now.
    async fn renew(
        &self,
        id: SessionId,
        hash: SecretHash,
        generation: u32,
    ) -> Result<bool, Unavailable>;

    /// Gives a session a second token, for the pages, in place of an earlier second one; unless it has ended.
    ///
    /// True where it has the token now.
    async fn set_page_token(&self, id: SessionId, hash: SecretHash) -> Result<bool, Unavailable>;

    /// Deletes the records of these sessions, as far as they have ended; how many that were.
    async fn purge(&self, ids: Vec<SessionId>) -> Result<u64, Unavailable>;

    /// Whether the store can be read and written at this moment.
    async fn check(&self) -> Result<(), Unavailable>;

    /// Waits for others who ask this store, and behind whom somebody stands. [`Unavailable`] where that takes longer
    /// than anybody may wait for the store: in turn they would wait for one that does not answer one after the other.
    ///
    /// A store whose answers always come has nothing to bound.
    async fn wait_behind(&self, others: Others<'_>) -> Result<(), Unavailable> {
        others.await;
        Ok(())
    }
}

/// What somebody waits for who stands behind others, see [`Store::wait_behind`].
pub type Others<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The name of a cause, as stores keep it. Stable.
impl EndedBy {
    /// The cause as one word and, where it has one, the session that was used.
    pub fn to_parts(self) -> (&'static str, Option<SessionId>) {
        match self {
            Self::Session(by) => ("session", Some(by)),
            Self::Command => ("command", None),
            Self::Deadline => ("deadline", None),
            Self::Limit => ("limit", None),
            Self::Password(by) => ("password", by),
            Self::Application => ("application", None),
        }
    }

    /// The cause that [`EndedBy::to_parts`] wrote; `None` where it never wrote that.
    pub fn from_parts(cause: &str, by: Option<SessionId>) -> Option<Self> {
        Some(match (cause, by) {
            ("session", Some(by)) => Self::Session(by),
            ("command", None) => Self::Command,
            ("deadline", None) => Self::Deadline,
            ("limit", None) => Self::Limit,
            ("password", by) => Self::Password(by),
            ("application", None) => Self::Application,
            _ => return None,
        })
    }
}
