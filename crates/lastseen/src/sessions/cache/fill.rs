//! A read of the store that is to be cached: what was known before it began.

use crate::store::Term;

/// The right to cache what is about to be read, as long as nothing was written since.
#[derive(Debug)]
#[must_use]
pub(in crate::sessions) struct Fill {
    pub(super) partition: u16,
    pub(super) generation: u64,
    /// How many of the writes up to that generation were sign-ins.
    pub(super) creations: u64,
    /// How often sessions were left out until then.
    pub(super) omissions: u64,
    /// The term that ran before the read, where others write too and a lease was running.
    pub(super) term: Option<Term>,
}

impl Fill {
    /// What was known before the read: the generation of the partition, and the term.
    pub(in crate::sessions) fn known_before(&self) -> (u64, Option<Term>) {
        (self.generation, self.term)
    }

    /// A fill from any time, for tests of what goes by it.
    #[cfg(test)]
    pub(in crate::sessions) fn of_generation(partition: u16, generation: u64) -> Self {
        Self {
            partition,
            generation,
            creations: 0,
            omissions: 0,
            term: None,
        }
    }
}
