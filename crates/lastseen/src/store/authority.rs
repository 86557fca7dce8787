//! Whose word counts, and how memory hears of what others did.
//!
//! A store that one process writes needs none of this: its process knows all that the store knows. A
//! store that several processes write lends each of them a lease, the right to answer from memory, and
//! takes it back where it cannot tell that process what the others did.

use std::fmt;
use std::sync::Arc;

use crate::policy::Policy;
use crate::session::SessionId;

/// Whose word counts besides that of this process.
#[derive(Clone, Debug, Default)]
pub enum Authority {
    /// Nobody's: this process alone writes the store, and may always answer from memory.
    #[default]
    Sole,
    /// Other processes write the store too: this one may answer from memory as long as a lease runs.
    Leased(Arc<dyn Lease>),
}

/// The right of one process to answer from memory, lent by the store for a short while again and again.
///
/// The store keeps these promises; all that is answered from memory rests on them.
///
/// 1. While a term runs, whatever any process has answered to have done (an end, an expiry, another
///    token, a policy) was followed by this process before, by way of [`Follower::follow`].
/// 2. Before a term begins, the [`Follower`] has followed [`Change::Policies`] with all that there are and
///    then [`Change::Everything`], both of which were read or called for after the former term was over.
///    No term begins before [`Store::set_follower`](super::Store::set_follower) was called.
/// 3. A term that is over does not come back: the next one has another number.
pub trait Lease: fmt::Debug + Send + Sync {
    /// The term whose lease runs at this instant; `None` where none does, and only the store may answer.
    ///
    /// Reads the clock at each call: the answer is worth nothing a moment later.
    fn term(&self) -> Option<Term>;
}

/// One unbroken run of leases of one process, by number: another one after every loss.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Term(pub u64);

/// What some process has done to the store, and memory has to follow.
///
/// New sessions and uses are none of these: memory never says that there is no session, and a verdict
/// that rests on a passed deadline asks the store first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// These sessions have ended, expired, or have another token.
    Sessions(Vec<SessionId>),
    /// Any sessions may have, whose ids begin with one of these
    /// ([`SessionId::partition`]); or their accounts have another name.
    Partitions(Vec<u16>),
    /// Every policy that was ever in force, oldest first: the whole history, the new one too.
    Policies(Vec<Policy>),
    /// Anything at all, but for policies: nobody knows what was missed.
    Everything,
}

/// Whoever keeps sessions in memory, and follows what others do to the store.
pub trait Follower: Send + Sync {
    /// Follows a change: when this returns, memory answers nothing that it contradicts, and no read of
    /// the store that began earlier is cached any more.
    ///
    /// Takes microseconds ([`Change::Everything`]: milliseconds), never waits for the store or a
    /// network, and may be called from any thread, also for a change of this process's own.
    fn follow(&self, change: &Change);
}
