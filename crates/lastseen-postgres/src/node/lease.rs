//! The lease, where everybody can see it.

use std::sync::atomic::{AtomicU64, Ordering};

use lastseen::store::{Lease, Term};

use super::clock;
use super::protocol::{Moment, Running};

/// The lease of this process. One thread writes it, and every validation reads it: with the clock, and without a lock.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The term's number; 0 where there is none.
    term: AtomicU64,
    /// The first moment at which its lease is over.
    until: AtomicU64,
}

impl Shown {
    /// Shows what there is now; for the one thread that knows.
    pub(super) fn show(&self, running: Option<Running>) {
        let term = running.map_or(0, |running| running.term.0);
        let until = running.map_or(0, |running| running.until.0);
        if self.term.load(Ordering::Acquire) != term {
            // In between nobody may see one term's number beside another one's end.
            self.until.store(0, Ordering::Release);
            self.term.store(term, Ordering::Release);
        }
        self.until.store(until, Ordering::Release);
    }

    /// The term and the end of its lease, run out or not.
    pub(super) fn running(&self) -> Option<Running> {
        loop {
            let term = self.term.load(Ordering::Acquire);
            let until = self.until.load(Ordering::Acquire);
            if self.term.load(Ordering::Acquire) == term {
                let until = Moment(until);
                return (term > 0 && until > Moment(0)).then_some(Running {
                    term: Term(term),
                    until,
                });
            }
        }
    }
}

impl Lease for Shown {
    fn term(&self) -> Option<Term> {
        let running = self.running()?;
        // The clock comes last: whatever held this thread up before counts.
        running.runs_at(clock::now()).then_some(running.term)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lease_that_is_over_is_none_and_so_is_one_that_was_taken_away() {
        let shown = Shown::default();
        assert_eq!(shown.term(), None);
        let (term, now) = (Term(3), clock::now());
        let until = now.after(Duration::from_secs(60));
        shown.show(Some(Running { term, until }));
        assert_eq!(shown.term(), Some(term));
        shown.show(Some(Running { term, until: now }));
        assert_eq!(shown.term(), None);
        shown.show(Some(Running { term, until }));
        shown.show(None);
        assert_eq!(shown.term(), None);
    }
}
