//! The uses that the store has not recorded, in the order of its rows.
//!
//! Rows lie in the order in which the sessions began. Written in the order of the partitions, or of the uses, each use
//! dirties a page of its own; in this one those of neighbours share it. Where most sessions were used, that is a
//! fiftieth of what has to be put on the disk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lock::Lock;
use super::{Cache, Entry, Partition};
use crate::session::SessionId;
use crate::store::Use;

/// Sessions that are looked at in one hold of a partition's lock, each somewhere else in memory: a tenth of a
/// millisecond.
const LOOK: usize = 1_000;

/// Uses to be written. What was gathered and not handed out by [`Unwritten::next`] goes back when this goes.
pub(in crate::sessions) struct Unwritten<'a, Guard: Lock> {
    cache: &'a Cache<Guard>,
    /// By partition, as far as they were gathered: the sessions with uses, last in order first.
    rest: Vec<Vec<Waiting>>,
    /// The first of each of them, and the partition.
    first: BinaryHeap<Reverse<(Waiting, usize)>>,
}

/// A session that waits for its use to be written: when it began, to the second, and the place where it is cached.
///
/// Eight bytes, because there may be one for every cached session. Within a second order does not matter: a step is
/// put in the exact order by the store.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Waiting {
    began: u32,
    at: u32,
}

impl Waiting {
    fn new(id: SessionId, at: u32) -> Self {
        Self {
            began: id.second(),
            at,
        }
    }
}

impl<'a, Guard: Lock> Unwritten<'a, Guard> {
    pub(super) fn new(cache: &'a Cache<Guard>) -> Self {
        Self {
            cache,
            rest: Vec::new(),
            first: BinaryHeap::new(),
        }
    }

    /// Gathers what one more partition has; false where that was the last one. It takes some milliseconds where many
    /// sessions were used, and holds the partition for a small part of them at a time.
    pub(in crate::sessions) fn gather(&mut self) -> bool {
        let number = self.rest.len();
        let Some(partition) = self.cache.partitions.get(number) else {
            return false;
        };
        let places = partition.with(Partition::take_unwritten);
        let mut waiting = Vec::with_capacity(places.len());
        for look in places.chunks(LOOK) {
            partition.with(|partition| {
                let of = |&at| Some(Waiting::new(partition.unwritten_at(at)?.id, at));
                waiting.extend(look.iter().filter_map(of));
            });
        }
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        self.rest.push(waiting);
        self.advance(number);
        self.rest.len() < self.cache.partitions.len()
    }

    /// The next uses of what was gathered, `limit` at most; none where there are no more.
    pub(in crate::sessions) fn next(&mut self, limit: usize) -> Vec<Use> {
        let mut uses = Vec::new();
        while uses.len() < limit
            && let Some(Reverse((waiting, number))) = self.first.pop()
        {
            self.advance(number);
            uses.extend(self.cache.partitions[number].with(|partition| {
                partition
                    .unwritten_at(waiting.at)
                    .and_then(Entry::unwritten_use)
            }));
        }
        uses
    }

    /// Brings the next of a partition to where it is compared with those of others.
    fn advance(&mut self, number: usize) {
        let next = self.rest[number].pop();
        self.first.extend(next.map(|next| Reverse((next, number))));
    }
}

impl<Guard: Lock> Drop for Unwritten<'_, Guard> {
    fn drop(&mut self) {
        for Reverse((waiting, number)) in self.first.drain() {
            self.rest[number].push(waiting);
        }
        for (waiting, partition) in self.rest.iter().zip(&self.cache.partitions) {
            if !waiting.is_empty() {
                partition.with(|partition| {
                    partition.put_back(waiting.iter().map(|waiting| waiting.at));
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
