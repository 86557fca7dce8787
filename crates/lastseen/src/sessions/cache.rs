//! Sessions kept ready, so that a validation need not ask the store.
//!
//! The cache answers for the store, so it must never know less than the store has said: **terminated
//! stays terminated**. Three rules see to that.
//!
//! 1. What the store has confirmed is applied here before anybody is told of it.
//! 2. Every write moves its partition's generation. A [`Fill`] remembers the generation from before its
//!    read, and is thrown away where it has moved since: what was read before a termination is never
//!    cached after it.
//! 3. A use changes a cached session and never brings one back.
//!
//! May it answer from memory at this instant? Over a store that this process alone writes the answer is
//! yes, and [`Cache::answers`] is the one place that gives it; a store with several writers would ask
//! for a lease there.

mod partition;

use std::sync::Arc;

use crate::account::{AccountKey, AccountSource};
use crate::policy::PolicyHistory;
use crate::session::{Session, SessionId};
use crate::store::{Record, Use};
use crate::time::Timestamp;
use crate::token::SecretHash;

pub(super) use partition::{Brought, Partition};

/// Bits of a session id that choose its partition: enough locks that two processors hardly meet, few
/// enough that an empty cache is small.
const PARTITION_BITS: u32 = 10;

/// What a cached session takes at most, in bytes, its share of tables and of its account included.
/// Measured by `bench/`; turns `cache_memory` into a number of sessions.
const BYTES_PER_SESSION: u64 = 224;

/// Sessions a partition may hold at least, so that a fill is never pushed out by its own shrinking.
const SMALLEST_LIMIT: usize = 16;

/// A lock around a partition. A trait, so that an interleaving checker can bring its own.
pub(super) trait Lock: Send + Sync {
    fn new(partition: Partition) -> Self;
    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer;
}

impl Lock for parking_lot::Mutex<Partition> {
    fn new(partition: Partition) -> Self {
        Self::new(partition)
    }

    fn with<Answer>(&self, act: impl FnOnce(&mut Partition) -> Answer) -> Answer {
        act(&mut self.lock())
    }
}

/// Sessions in memory, in partitions by the first bits of their ids.
#[derive(Debug)]
pub(super) struct Cache<Guard = parking_lot::Mutex<Partition>> {
    partitions: Box<[Guard]>,
    /// How many sessions a partition may hold.
    limit: usize,
}

/// The right to cache what is about to be read, as long as nothing was written since.
#[derive(Debug)]
#[must_use]
pub(super) struct Fill {
    partition: u16,
    generation: u64,
}

impl Fill {
    /// The generation of the partition from before the read.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// A fill from any time, for tests of what goes by it.
    #[cfg(test)]
    pub(super) fn of_generation(partition: u16, generation: u64) -> Self {
        Self {
            partition,
            generation,
        }
    }
}

/// What the cache knows of a token.
#[derive(Debug)]
pub(super) enum Known {
    /// Active, and its use is recorded.
    Active(Session),
    /// Its deadline has passed: it is refused.
    Expired(Session),
    /// The session is there; the secret is not its secret.
    WrongSecret,
    /// The session is there; its account is of another source than that of whoever asks.
    OtherSource,
    /// It is active, and comes from another device than before: say which, then ask again.
    DeviceWanted,
    /// Nothing is cached: ask the store.
    Nothing,
}

impl<Guard: Lock> Cache<Guard> {
    /// An empty cache of about `memory` bytes.
    pub(super) fn new(memory: u64) -> Self {
        let partitions = 1 << PARTITION_BITS;
        let limit = memory / BYTES_PER_SESSION / partitions;
        Self {
            partitions: (0..partitions)
                .map(|_| Guard::new(Partition::default()))
                .collect(),
            limit: usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .max(SMALLEST_LIMIT),
        }
    }

    fn partition(&self, bits: u16) -> &Guard {
        &self.partitions[(usize::from(bits) * self.partitions.len()) >> u16::BITS]
    }

    /// Whether memory may answer at this instant. See the head of this file.
    fn answers() -> bool {
        true
    }

    /// Judges a token by what is cached and, where it is accepted, records the use. Where `source` is given,
    /// a session of another source is none.
    pub(super) fn use_session(
        &self,
        id: SessionId,
        hash: &SecretHash,
        source: Option<AccountSource>,
        brought: &Brought,
        history: &PolicyHistory,
    ) -> Known {
        self.partition(id.partition()).with(|partition| {
            let Some((entry, place)) = partition
                .get_with_place(id)
                .filter(|(entry, _)| Self::answers() && !entry.doubtful)
            else {
                return Known::Nothing;
            };
            if !entry.is_authenticated_by(hash) {
                return Known::WrongSecret;
            }
            if source.is_some_and(|source| partition.source_of(entry) != source) {
                return Known::OtherSource;
            }
            let before = history.deadlines(
                entry.policy,
                entry.remembered,
                entry.created_at,
                entry.last_used_at,
            );
            if before.expires_at() <= brought.at {
                return Known::Expired(partition.session(entry, history));
            }
            let same_device = brought.device_fingerprint == 0
                || brought.device_fingerprint == entry.device_fingerprint;
            if !same_device && brought.device.is_none() {
                return Known::DeviceWanted;
            }
            partition.record_use(place, brought);
            Known::Active(partition.session(partition.at(place), history))
        })
    }

    /// The session as it is cached, without a use.
    pub(super) fn peek(&self, id: SessionId, history: &PolicyHistory) -> Option<Session> {
        self.partition(id.partition()).with(|partition| {
            let entry = partition
                .get(id)
                .filter(|entry| Self::answers() && !entry.doubtful)?;
            Some(partition.session(entry, history))
        })
    }

    /// Whether a secret with this hash authenticates the session, as far as that is cached.
    pub(super) fn is_authenticated_by(&self, id: SessionId, hash: &SecretHash) -> Option<bool> {
        self.peek_entry(id, |entry| entry.is_authenticated_by(hash))
    }

    /// How often the session's token was renewed, as far as that is cached.
    pub(super) fn token_generation(&self, id: SessionId) -> Option<u32> {
        self.peek_entry(id, |entry| entry.token_generation)
    }

    fn peek_entry<Answer>(
        &self,
        id: SessionId,
        read: impl FnOnce(&partition::Entry) -> Answer,
    ) -> Option<Answer> {
        self.partition(id.partition()).with(|partition| {
            partition
                .get(id)
                .filter(|entry| Self::answers() && !entry.doubtful)
                .map(read)
        })
    }

    /// Reads the sessions of an account, newest use first, from those that follow `after` on; `None`
    /// where not all of them are cached.
    pub(super) fn read_account<Answer>(
        &self,
        key: &AccountKey,
        after: Option<(Timestamp, SessionId)>,
        history: &PolicyHistory,
        read: impl FnOnce(&mut dyn Iterator<Item = Session>) -> Answer,
    ) -> Option<Answer> {
        self.partition(key.partition()).with(|partition| {
            let entries = partition.of_account(key).filter(|_| Self::answers())?;
            let follows = |entry: &&partition::Entry| {
                after.is_none_or(|after| partition::order(entry) < after)
            };
            let mut sessions = entries
                .filter(follows)
                .map(|entry| partition.session(entry, history));
            Some(read(&mut sessions))
        })
    }

    /// What the account is called, where a session of it is cached.
    pub(super) fn name_of(&self, key: &AccountKey) -> Option<Arc<str>> {
        self.partition(key.partition())
            .with(|partition| partition.name_of(key).filter(|_| Self::answers()))
    }

    /// Takes the right to cache what is read from the store from now on.
    pub(super) fn begin_fill(&self, partition: u16) -> Fill {
        Fill {
            partition,
            generation: self
                .partition(partition)
                .with(|partition| partition.generation),
        }
    }

    /// Caches a session that was read; false where it may be out of date, and is not cached.
    pub(super) fn finish_fill(&self, fill: &Fill, record: &Record) -> bool {
        self.fill(fill, |partition| {
            partition.put(record);
            self.keep_within_limit(partition, Some(record.id));
        })
    }

    /// Caches all the sessions of an account; false where they may be out of date, and are not cached.
    pub(super) fn finish_account_fill(
        &self,
        fill: &Fill,
        key: &AccountKey,
        records: &[Record],
    ) -> bool {
        records.len() <= self.limit
            && self.fill(fill, |partition| {
                // From the oldest use on, so that each is linked at the front.
                let mut newest_last: Vec<&Record> = records.iter().collect();
                newest_last.sort_unstable_by_key(|record| (record.last_used_at, record.id));
                for record in newest_last {
                    partition.put(record);
                }
                partition.complete(key);
                self.keep_within_limit(partition, None);
            })
    }

    fn fill(&self, fill: &Fill, put: impl FnOnce(&mut Partition)) -> bool {
        self.partition(fill.partition).with(|partition| {
            if partition.generation != fill.generation {
                return false;
            }
            put(partition);
            true
        })
    }

    /// Drops what is too much, but not the session that somebody is just asking for.
    fn keep_within_limit(&self, partition: &mut Partition, wanted: Option<SessionId>) {
        if partition.len() > self.limit {
            // An eighth at a time: the scan is paid once in many fills.
            partition.shrink_to(self.limit - self.limit / 8, wanted);
        }
    }

    /// The store has confirmed a new session.
    pub(super) fn created(&self, record: &Record) {
        self.written(record.id, |partition| {
            partition.put(record);
            self.keep_within_limit(partition, Some(record.id));
        });
    }

    /// The store has confirmed that a session has ended.
    pub(super) fn ended(&self, id: SessionId) {
        self.written(id, |partition| partition.remove(id));
    }

    /// The store has confirmed another token for a session.
    pub(super) fn renewed(&self, id: SessionId, hash: SecretHash, generation: u32) {
        self.written(id, |partition| {
            if let Some(entry) = partition.get_mut(id)
                && entry.token_generation < generation
            {
                entry.token_hash = hash;
                entry.token_generation = generation;
            }
        });
    }

    /// The store has confirmed a token for the pages. Of two at once the store knows which came last: it is
    /// asked before this session answers again.
    pub(super) fn page_token_set(&self, id: SessionId) {
        self.doubt(id);
    }

    /// A write has failed, and nobody knows whether it happened: the store is asked before this session
    /// answers again.
    pub(super) fn doubt(&self, id: SessionId) {
        self.written(id, |partition| {
            if let Some(entry) = partition.get_mut(id) {
                entry.doubtful = true;
            }
        });
    }

    /// The one way in which a write reaches the cache: fills that began before it are void.
    fn written(&self, id: SessionId, apply: impl FnOnce(&mut Partition)) {
        self.partition(id.partition()).with(|partition| {
            partition.generation += 1;
            apply(partition);
        });
    }

    /// The use of a session that the store has not recorded.
    pub(super) fn unwritten_use(&self, id: SessionId) -> Option<Use> {
        self.partition(id.partition())
            .with(|partition| partition.unwritten_use(id))
    }

    /// Uses that the store has not recorded, of one partition after the other; they stay unwritten until
    /// [`Cache::recorded`] says otherwise.
    pub(super) fn unwritten_uses(&self) -> impl Iterator<Item = Vec<Use>> {
        self.partitions
            .iter()
            .map(|partition| partition.with(Partition::take_unwritten))
    }

    /// The store has recorded these uses. A session that was used again meanwhile stays unwritten.
    pub(super) fn recorded(&self, uses: &[Use]) {
        for used in uses {
            self.settle(used, |now_at| now_at > used.at);
        }
    }

    /// The store has not recorded these uses: they stay unwritten.
    pub(super) fn not_recorded(&self, uses: &[Use]) {
        for used in uses {
            self.settle(used, |_| true);
        }
    }

    fn settle(&self, used: &Use, stays_unwritten: impl FnOnce(Timestamp) -> bool) {
        self.partition(used.id.partition())
            .with(|partition| partition.settle(used.id, stays_unwritten));
    }

    /// How many sessions of the account have not ended, where all of them are cached.
    pub(super) fn count_of_account(&self, key: &AccountKey) -> Option<usize> {
        self.partition(key.partition()).with(|partition| {
            let count = partition
                .count_of_account(key)
                .filter(|_| Self::answers())?;
            usize::try_from(count).ok()
        })
    }

    /// Drops what is too much, now that more of it may be dropped: what was used is written.
    pub(super) fn shrink(&self) {
        for partition in &self.partitions {
            partition.with(|partition| self.keep_within_limit(partition, None));
        }
    }

    /// How many sessions are cached.
    pub(super) fn len(&self) -> usize {
        self.partitions
            .iter()
            .map(|partition| partition.with(|partition| partition.len()))
            .sum()
    }
}

/// The device that stands for "nothing is known", shared.
pub(super) fn unknown_device() -> Arc<crate::device::Device> {
    static UNKNOWN: std::sync::LazyLock<Arc<crate::device::Device>> =
        std::sync::LazyLock::new(Arc::default);
    Arc::clone(&UNKNOWN)
}

#[cfg(test)]
mod interleavings;
