//! Ends that the store was asked for, and has not confirmed.

use super::{Cache, Lock};
use crate::session::SessionId;

/// Ends that are under way, from before the store is asked until memory has heard what came of them.
#[must_use]
pub(in crate::sessions) struct UnderWay<'a, Guard: Lock> {
    cache: &'a Cache<Guard>,
    ids: Vec<SessionId>,
}

impl<Guard: Lock> Drop for UnderWay<'_, Guard> {
    fn drop(&mut self) {
        for id in &self.ids {
            self.cache
                .partition(id.partition())
                .with(|partition| partition.ending -= 1);
        }
    }
}

impl<Guard: Lock> Cache<Guard> {
    /// The store is about to be asked to end these sessions. They answer nothing until it is known what
    /// came of that: whoever does not find one of them in the store any more has to rely on that at once.
    pub(in crate::sessions) fn begin_ending(&self, ids: Vec<SessionId>) -> UnderWay<'_, Guard> {
        for &id in &ids {
            self.written(id, |partition| {
                partition.ending += 1;
                if let Some(entry) = partition.get_mut(id) {
                    entry.doubtful = true;
                }
            });
        }
        UnderWay { cache: self, ids }
    }
}
