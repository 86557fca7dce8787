//! What an answer may rest on: the right to give it from memory, and the policies to judge by.
//!
//! The two belong together, because their order matters. The right is asked for first, the policies are
//! taken after it, and what is cached is looked at last. Whatever was answered anywhere before the right
//! was found to hold is then in the policies and in the cache; taken in another order, what is old could
//! pass under the right of a term that began in between.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::policy::{Policy, PolicyHistory};
use crate::store::{Authority, Lease, Term};

/// Whose word counts, and the policies that were ever in force, as far as this process knows.
#[derive(Debug)]
pub(in crate::sessions) enum Basis {
    /// Nobody else writes: memory may always answer, and the policies stay what they were at the opening.
    Sole(PolicyHistory),
    /// Others write too.
    Leased {
        /// Says whether memory may answer at this instant.
        lease: Arc<dyn Lease>,
        /// Only ever grows.
        history: ArcSwap<PolicyHistory>,
    },
}

/// The policies that verdicts go by, as they are known at one instant.
pub(in crate::sessions) enum Policies<'a> {
    Fixed(&'a PolicyHistory),
    Followed(Guard<Arc<PolicyHistory>>),
}

impl Deref for Policies<'_> {
    type Target = PolicyHistory;

    #[inline]
    fn deref(&self) -> &PolicyHistory {
        match self {
            Self::Fixed(history) => history,
            Self::Followed(history) => history,
        }
    }
}

impl Basis {
    pub(in crate::sessions) fn new(authority: Authority, history: PolicyHistory) -> Self {
        match authority {
            Authority::Sole => Self::Sole(history),
            Authority::Leased(lease) => Self::Leased {
                lease,
                history: ArcSwap::from_pointee(history),
            },
        }
    }

    /// Whether others write too.
    pub(in crate::sessions) fn is_leased(&self) -> bool {
        matches!(self, Self::Leased { .. })
    }

    /// The one question: may memory answer at this instant? Where it may, the policies to judge by.
    /// Asked after the request was read, at each look-up, before anything is looked at.
    #[expect(
        clippy::inline_always,
        reason = "as a call it writes two words that are read as one: the processor waits until both have gone to memory"
    )]
    #[inline(always)]
    pub(in crate::sessions) fn answers(&self) -> Option<Policies<'_>> {
        match self {
            Self::Sole(history) => Some(Policies::Fixed(history)),
            Self::Leased { lease, history } => {
                lease.term()?;
                Some(Policies::Followed(history.load()))
            }
        }
    }

    /// The policies as they are known, whether or not memory may answer.
    pub(in crate::sessions) fn policies(&self) -> Policies<'_> {
        match self {
            Self::Sole(history) => Policies::Fixed(history),
            Self::Leased { history, .. } => Policies::Followed(history.load()),
        }
    }

    /// The term that runs at this instant, where others write too.
    pub(super) fn term(&self) -> Option<Term> {
        match self {
            Self::Sole(_) => None,
            Self::Leased { lease, .. } => lease.term(),
        }
    }

    /// Whether what was read under `term` may be trusted as long as it is followed: nobody else writes, or
    /// that very term still runs.
    pub(super) fn still_runs(&self, term: Option<Term>) -> bool {
        match self {
            Self::Sole(_) => true,
            Self::Leased { lease, .. } => term.is_some() && lease.term() == term,
        }
    }

    /// Other policies are known. A history that is shorter is an older one that was overtaken.
    pub(super) fn follow(&self, policies: &[Policy]) {
        if let Self::Leased { history, .. } = self
            && let Some(followed) = PolicyHistory::new(policies)
        {
            let followed = Arc::new(followed);
            history.rcu(|known| {
                if followed.current() > known.current() {
                    Arc::clone(&followed)
                } else {
                    Arc::clone(known)
                }
            });
        }
    }
}
