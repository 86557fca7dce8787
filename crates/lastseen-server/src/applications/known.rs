//! The applications whose keys are accepted, kept in memory as long as memory may answer.

use std::collections::HashMap;
use std::sync::Arc;

use lastseen::ApplicationId;
use lastseen::store::{Authority, Term};
use parking_lot::RwLock;

use super::service::Application;
use super::store::ApplicationFollower;

/// The term of a process whose word counts alone: it has one, for as long as it runs.
const ALONE: Term = Term(0);

/// What was read of the store, and whether it still counts.
pub(super) struct Known {
    authority: Authority,
    held: RwLock<Held>,
}

/// All applications whose keys are accepted, as one reading found them.
pub(super) type Accepted = HashMap<ApplicationId, Arc<Application>>;

#[derive(Default)]
struct Held {
    /// The term in which it was read; `None` where nothing is held.
    term: Option<Term>,
    /// Grows with every change: what was read before one is not held after it.
    generation: u64,
    accepted: Accepted,
}

/// Memory may not say; the store can.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AskTheStore;

/// A reading of the store that has begun.
pub(super) struct Reading {
    term: Option<Term>,
    generation: u64,
}

impl Known {
    pub(super) fn new(authority: Authority) -> Self {
        Self {
            authority,
            held: RwLock::default(),
        }
    }

    /// The application with this number, or that there is none, as far as memory may say so.
    pub(super) fn find(&self, id: ApplicationId) -> Result<Option<Arc<Application>>, AskTheStore> {
        // The lease's clock is read for each question, before what is held is looked at.
        let term = self.term().ok_or(AskTheStore)?;
        let held = self.held.read();
        if held.term == Some(term) {
            Ok(held.accepted.get(&id).cloned())
        } else {
            Err(AskTheStore)
        }
    }

    /// Begins to read the store.
    pub(super) fn begin_reading(&self) -> Reading {
        // First the generation, so that whatever is followed from here on voids the reading.
        let generation = self.held.read().generation;
        Reading {
            term: self.term(),
            generation,
        }
    }

    /// Holds what was read, if the lease has run since before the reading and nothing was changed meanwhile.
    pub(super) fn hold(&self, reading: &Reading, accepted: &Accepted) {
        if reading.term.is_none() || reading.term != self.term() {
            return;
        }
        let mut held = self.held.write();
        if held.generation == reading.generation {
            held.term = reading.term;
            held.accepted.clone_from(accepted);
        }
    }

    fn term(&self) -> Option<Term> {
        match &self.authority {
            Authority::Sole => Some(ALONE),
            Authority::Leased(lease) => lease.term(),
        }
    }
}

impl ApplicationFollower for Known {
    fn forget_applications(&self) {
        let mut held = self.held.write();
        held.generation += 1;
        held.term = None;
        held.accepted.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use lastseen::store::Lease;

    use super::*;
    use crate::applications::ApplicationName;

    /// A lease whose term a test says; 0 is none.
    #[derive(Debug, Default)]
    struct Scripted(AtomicU64);

    impl Lease for Scripted {
        fn term(&self) -> Option<Term> {
            let term = self.0.load(Ordering::SeqCst);
            (term > 0).then_some(Term(term))
        }
    }

    const SHOP: ApplicationId = ApplicationId(1);

    fn shop() -> Accepted {
        let shop = Application::for_tests(SHOP, ApplicationName::new("Shop").unwrap());
        HashMap::from([(SHOP, Arc::new(shop))])
    }

    fn leased() -> (Arc<Scripted>, Known) {
        let lease = Arc::new(Scripted::default());
        (Arc::clone(&lease), Known::new(Authority::Leased(lease)))
    }

    #[test]
    fn a_process_alone_goes_by_what_it_has_read_until_something_changes() {
        let known = Known::new(Authority::Sole);
        assert!(known.find(SHOP).is_err());
        known.hold(&known.begin_reading(), &shop());
        assert!(known.find(SHOP).unwrap().is_some());
        assert!(known.find(ApplicationId(2)).unwrap().is_none());
        known.forget_applications();
        assert!(known.find(SHOP).is_err());
    }

    #[test]
    fn without_a_lease_only_the_store_can_tell() {
        let (lease, known) = leased();
        known.hold(&known.begin_reading(), &shop());
        assert!(known.find(SHOP).is_err());
        lease.0.store(1, Ordering::SeqCst);
        assert!(known.find(SHOP).is_err());
        known.hold(&known.begin_reading(), &shop());
        assert!(known.find(SHOP).unwrap().is_some());
        lease.0.store(0, Ordering::SeqCst);
        assert!(known.find(SHOP).is_err());
    }

    #[test]
    fn what_was_read_in_an_earlier_term_does_not_count_in_the_next() {
        let (lease, known) = leased();
        lease.0.store(1, Ordering::SeqCst);
        known.hold(&known.begin_reading(), &shop());
        let reading = known.begin_reading();
        lease.0.store(2, Ordering::SeqCst);
        assert!(known.find(SHOP).is_err());
        known.hold(&reading, &shop());
        assert!(known.find(SHOP).is_err());
    }

    #[test]
    fn a_reading_that_was_overtaken_by_a_change_is_not_held() {
        let (lease, known) = leased();
        lease.0.store(1, Ordering::SeqCst);
        let reading = known.begin_reading();
        known.forget_applications();
        known.hold(&reading, &shop());
        assert!(known.find(SHOP).is_err());
    }
}
