//! Between a commit and its answer: the other nodes.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lastseen::SessionId;

use crate::error::Error;

/// The number of a transaction, as PostgreSQL counts them (`xid8`): none is used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Xid(pub u64);

/// A change that other nodes' memory has to follow, and that has been committed. Whether anybody was notified of it is
/// not known: where PostgreSQL's queue of notifications was full nobody was, and only the end of the leases tells that
/// nobody answers from before.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The transaction: its rows of `change_log` say what changed.
    pub xid: Xid,
    /// Where it is known here what changed, these sessions and nothing else: this process's memory need not wait
    /// to hear of them. Empty: nothing is known.
    pub sessions: Vec<SessionId>,
    /// How long, from the commit on, whoever waits may be kept waiting without anybody knowing for whom. Known nodes are
    /// waited for as long as their leases run.
    pub patience: Duration,
}

/// Whoever makes sure that a change has reached every node before it is answered.
///
/// [`Database::change`](crate::Database::change) asks it: before a transaction under which name its
/// acknowledgements are to come ([`Confirm::origin`]), and after the commit, with nothing in between, to wait
/// ([`Confirm::confirm`]). It stays the same for a database's life, and is set at its start with
/// [`Database::set_confirm`](crate::Database::set_confirm).
#[async_trait]
pub trait Confirm: Debug + Send + Sync {
    /// What the transaction sets as `lastseen.origin`: it stands in the log and in the notification, and says
    /// who wants acknowledgements. Letters, digits and `-` only. `None` where nobody listens for them.
    fn origin(&self) -> Option<Arc<str>>;

    /// Answers once no node can act on the state before `committed`, this one included.
    ///
    /// Called at once after the commit was answered, so that a clock read at its start is no earlier than the
    /// commit. It has to end in bounded time whatever happens to the nodes and the database.
    ///
    /// # Errors
    /// Where that cannot be told. What was committed stays.
    async fn confirm(&self, committed: Committed) -> Result<(), Error>;
}

/// No node answers from memory, so there is nobody to wait for.
#[derive(Clone, Copy, Debug)]
pub struct NobodyElse;

#[async_trait]
impl Confirm for NobodyElse {
    fn origin(&self) -> Option<Arc<str>> {
        None
    }

    async fn confirm(&self, _committed: Committed) -> Result<(), Error> {
        Ok(())
    }
}
