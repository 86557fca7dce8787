//! Sessions kept ready, so that a validation need not ask the store.
//!
//! The cache answers for the store, so it must never know less than the store has said: **terminated
//! stays terminated**. Three rules see to that.
//!
//! 1. What the store has confirmed is applied here before anybody is told of it. What is to end is in doubt
//!    from before the store is asked: others may read there that it has ended, and rely on it.
//! 2. Every write moves its partition's generation. A [`Fill`] remembers the generation from before its
//!    read, and is thrown away where it has moved since: what was read before a termination is never
//!    cached after it. That others have signed in changes nothing about a session that was read, so these
//!    writes are counted apart; about what *all* the sessions of an account are it does.
//! 3. A use changes a cached session and never brings one back.
//!
//! May it answer from memory at this instant? Over a store that this process alone writes the answer is
//! yes. Over one that others write too, it is yes as long as a lease runs, and [`Basis::answers`] is the
//! one place that gives it: at each look-up, after the request was read. Three more rules hold there.
//!
//! 4. What others have done arrives through [`Cache::follow`], which moves generations as a write does.
//!    Before a term begins everything is followed, so that nothing cached outlives a lost lease unseen.
//! 5. A fill is trusted only where the term from before its read still runs. Otherwise the session is put
//!    as doubtful: it holds its use until that is written, and is read again before it answers.
//! 6. A use is written before it is answered where the deadline that the store knows is near
//!    ([`Haste`]), so that no other process finds a session expired that is used here.

mod basis;
mod brought;
mod ending;
mod entry;
mod fill;
mod follow;
mod index;
mod judged;
mod lock;
mod partition;
mod places;
mod unwritten;

use std::sync::Arc;

use crate::account::AccountKey;
use crate::policy::PolicyHistory;
use crate::session::{Session, SessionId, SessionView};
use crate::store::{Record, Use};
use crate::time::Timestamp;
use crate::token::SecretHash;

pub(super) use basis::{Basis, Policies};
pub(super) use brought::{Brought, Haste};
use entry::{DeviceMark, Entry};
pub(super) use fill::Fill;
pub(super) use judged::{Known, Passed, Shown};
use lock::{Aligned, Lock};
pub(super) use partition::Partition;
use partition::Place;
pub(super) use unwritten::Unwritten;

/// Bits of a session id that choose its partition: enough locks that two processors hardly meet, few
/// enough that what leads to the sessions, a table to each partition, is small beside them.
const PARTITION_BITS: u32 = 8;

/// What a cached session takes at most, in bytes, its share of tables and of its account included.
/// Measured by `bench/`; turns `cache_memory` into a number of sessions.
const BYTES_PER_SESSION: u64 = 200;

/// Sessions a partition may hold at least, so that a fill is never pushed out by its own shrinking.
const SMALLEST_LIMIT: usize = 16;

/// Sessions in memory, in partitions by the first bits of their ids.
#[derive(Debug)]
pub(super) struct Cache<Guard = parking_lot::Mutex<Partition>> {
    partitions: Box<[Aligned<Guard>]>,
    /// How many sessions a partition may hold.
    limit: usize,
    /// What answers rest on.
    basis: Basis,
}

impl<Guard: Lock> Cache<Guard> {
    /// An empty cache of about `memory` bytes, that answers on this basis.
    pub(super) fn new(memory: u64, basis: Basis) -> Self {
        let partitions = 1 << PARTITION_BITS;
        let limit = memory / BYTES_PER_SESSION / partitions;
        Self {
            partitions: (0..partitions)
                .map(|_| Lock::new(Partition::default()))
                .collect(),
            limit: usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .max(SMALLEST_LIMIT),
            basis,
        }
    }

    /// What answers rest on.
    pub(super) fn basis(&self) -> &Basis {
        &self.basis
    }

    fn partition(&self, bits: u16) -> &Aligned<Guard> {
        &self.partitions[(usize::from(bits) * self.partitions.len()) >> u16::BITS]
    }

    /// Judges a token by what is cached and, where it is accepted, records the use, and counts it where nothing is left
    /// to be done.
    ///
    /// `work_out` says what was shown and what it brings, the hash of a secret above all. It is asked where the session
    /// is cached, and works while the processor fetches that from memory, which takes longer.
    #[inline]
    pub(super) fn use_session<'a, Answer>(
        &self,
        id: SessionId,
        work_out: impl FnOnce() -> (&'a Shown, &'a Brought),
        read: impl Fn(SessionView<'_>) -> Answer,
    ) -> Known<Answer> {
        let Some(history) = self.basis.answers() else {
            return Known::Nothing;
        };
        self.partition(id.partition()).with(|partition| {
            let Some(place) = partition.approach(id) else {
                return Known::Nothing;
            };
            let (shown, brought) = work_out();
            let known = judge(partition, place, shown, brought, &history, read);
            partition.accepted += u64::from(matches!(known, Known::Active(_)));
            known
        })
    }

    /// Caches a session that was read, and judges a token by it, in one step: whether or not memory may
    /// answer the next one, this one is answered by the read.
    ///
    /// `None` where the partition was written since the read began, and the read does not count; unless it
    /// counts `regardless`, as one that began after the request came in: the promise lets it overlap a write.
    pub(super) fn use_read<Answer>(
        &self,
        fill: &Fill,
        record: &Record,
        shown: &Shown,
        brought: &Brought,
        regardless: bool,
        read: impl Fn(SessionView<'_>) -> Answer,
    ) -> Option<Known<Answer>> {
        let trusted = self.basis.still_runs(fill.term);
        let history = self.basis.policies();
        self.partition(fill.partition).with(|partition| {
            let current = partition.has_only_grown_since(fill);
            if !current && !regardless {
                return None;
            }
            let trusted = trusted && current && partition.ending == 0;
            let place = partition.put(record, !trusted);
            self.keep_within_limit(partition, Some(record.id));
            Some(judge(partition, place, shown, brought, &history, read))
        })
    }

    /// The session as it is cached, without a use.
    pub(super) fn peek(&self, id: SessionId) -> Option<Session> {
        let history = self.basis.answers()?;
        self.partition(id.partition()).with(|partition| {
            let entry = partition.get(id).filter(|entry| !entry.doubtful)?;
            Some(entry.session(&history))
        })
    }

    /// Whether a secret with this hash authenticates the session, as far as that is cached.
    pub(super) fn is_authenticated_by(&self, id: SessionId, hash: &SecretHash) -> Option<bool> {
        self.peek_entry(id, |partition, place| {
            partition.is_authenticated_by(place, hash)
        })
    }

    /// How often the session's token was renewed, as far as that is cached.
    pub(super) fn token_generation(&self, id: SessionId) -> Option<u32> {
        self.peek_entry(id, |partition, place| partition.at(place).token_generation)
    }

    fn peek_entry<Answer>(
        &self,
        id: SessionId,
        read: impl FnOnce(&Partition, Place) -> Answer,
    ) -> Option<Answer> {
        self.basis.answers()?;
        self.partition(id.partition()).with(|partition| {
            let (_, place) = partition
                .get_with_place(id)
                .filter(|(entry, _)| !entry.doubtful)?;
            Some(read(partition, place))
        })
    }

    /// The policies, where memory may say what *all* the sessions of an account are. Over a store that
    /// others write too it never may: of a session that another process begins nobody is told.
    fn answers_for_accounts(&self) -> Option<Policies<'_>> {
        (!self.basis.is_leased())
            .then(|| self.basis.answers())
            .flatten()
    }

    /// Reads the sessions of an account, newest use first, from those that follow `after` on; `None`
    /// where not all of them are cached.
    pub(super) fn read_account<Answer>(
        &self,
        key: &AccountKey,
        after: Option<(Timestamp, SessionId)>,
        read: impl FnOnce(&mut dyn Iterator<Item = Session>) -> Answer,
    ) -> Option<Answer> {
        let history = self.answers_for_accounts()?;
        self.partition(key.partition()).with(|partition| {
            let entries = partition.of_account(key)?;
            let follows = |entry: &&Entry| after.is_none_or(|after| entry.order() < after);
            let mut sessions = entries.filter(follows).map(|entry| entry.session(&history));
            Some(read(&mut sessions))
        })
    }

    /// What the account is called, where a session of it is cached.
    pub(super) fn name_of(&self, key: &AccountKey) -> Option<Arc<str>> {
        self.answers_for_accounts()?;
        self.partition(key.partition())
            .with(|partition| partition.name_of(key))
    }

    /// How many sessions of the account have not ended, where all of them are cached.
    pub(super) fn count_of_account(&self, key: &AccountKey) -> Option<usize> {
        self.answers_for_accounts()?;
        self.partition(key.partition()).with(|partition| {
            let count = partition.count_of_account(key)?;
            usize::try_from(count).ok()
        })
    }

    /// Takes the right to cache what is read from the store from now on.
    pub(super) fn begin_fill(&self, partition: u16) -> Fill {
        let term = self.basis.term();
        self.partition(partition).with(|known| Fill {
            partition,
            generation: known.generation,
            creations: known.creations,
            omissions: known.omissions,
            term,
        })
    }

    /// Caches all the sessions of an account; false where they may be out of date, and are not cached.
    pub(super) fn finish_account_fill(
        &self,
        fill: &Fill,
        key: &AccountKey,
        records: &[Record],
    ) -> bool {
        // Where others write too, a list is no reason to keep sessions ready that are used elsewhere.
        !self.basis.is_leased()
            && records.len() <= self.limit
            && self.fill(fill, |partition| {
                // From the oldest use on, so that each is linked at the front.
                let mut newest_last: Vec<&Record> = records.iter().collect();
                newest_last.sort_unstable_by_key(|record| (record.last_used_at, record.id));
                for record in newest_last {
                    partition.put(record, false);
                }
                partition.keep_only(key, records);
                partition.complete(key);
                self.keep_within_limit(partition, None);
            })
    }

    fn fill(&self, fill: &Fill, put: impl FnOnce(&mut Partition)) -> bool {
        let trusted = self.basis.still_runs(fill.term);
        self.partition(fill.partition).with(|partition| {
            if !trusted || partition.ending > 0 || partition.was_written_since(fill) {
                return false;
            }
            put(partition);
            true
        })
    }

    /// Drops what is too much, but not the session that somebody is just asking for.
    fn keep_within_limit(&self, partition: &mut Partition, wanted: Option<SessionId>) {
        if partition.len() > self.limit.max(partition.full_at) {
            // An eighth at a time: the scan is paid once in many fills.
            let eighth = self.limit / 8;
            partition.shrink_to(self.limit - eighth, wanted);
            // Where most have uses that are not written, it found nothing, and would find nothing at the next fill.
            partition.full_at = partition.len() + eighth;
        }
    }

    /// The store has confirmed a new session; `fill` was begun before it was asked. `first` where nothing else is on
    /// record of its account.
    ///
    /// Whoever has listed its account since then may have ended it already, in this process too. So it is like any
    /// session that was read, and cached only where nothing came in between but other sign-ins.
    pub(super) fn created(&self, fill: &Fill, record: &Record, first: bool) {
        let key = &record.account.key;
        let put = |partition: &mut Partition, is_all: bool| {
            partition.put(record, false);
            if is_all {
                partition.complete(key);
            }
            // After that: what it drops may be of this account.
            self.keep_within_limit(partition, Some(record.id));
        };
        if self.basis.is_leased() {
            self.fill(fill, |partition| put(partition, false));
            return;
        }
        self.partition(record.id.partition()).with(|partition| {
            let current = partition.has_only_grown_since(fill);
            // Others that signed in meanwhile may be of this account: then they are cached.
            let is_all = first && !partition.has_omitted_since(fill);
            partition.generation += 1;
            partition.creations += 1;
            if !current {
                partition.omissions += 1;
                partition.incomplete(key);
                return;
            }
            put(partition, is_all);
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
        self.written(id, |partition| partition.doubt(id));
    }

    /// The way in which every write but a sign-in reaches the cache: fills that began before it are void.
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

    /// Uses that the store has not recorded, as they are gathered partition by partition; they stay unwritten until
    /// [`Cache::recorded`] says otherwise.
    pub(super) fn unwritten(&self) -> Unwritten<'_, Guard> {
        Unwritten::new(self)
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

    /// Drops what is too much, now that more of it may be dropped: what was used is written. A partition at a time, so
    /// that whoever goes through them can give way to requests.
    pub(super) fn shrink(&self) -> impl Iterator<Item = ()> {
        self.partitions.iter().map(|partition| {
            partition.with(|partition| {
                partition.full_at = 0;
                self.keep_within_limit(partition, None);
            });
        })
    }

    /// How many tokens were accepted by memory alone.
    pub(super) fn accepted(&self) -> u64 {
        self.partitions
            .iter()
            .map(|partition| partition.with(|partition| partition.accepted))
            .sum()
    }

    /// How many sessions are cached.
    pub(super) fn len(&self) -> usize {
        self.partitions
            .iter()
            .map(|partition| partition.with(|partition| partition.len()))
            .sum()
    }
}

/// Judges a token by the entry at `place` and, where it is accepted, records the use and lets `read` look at the
/// session.
#[inline]
fn judge<Answer>(
    partition: &mut Partition,
    place: Place,
    shown: &Shown,
    brought: &Brought,
    history: &PolicyHistory,
    read: impl Fn(SessionView<'_>) -> Answer,
) -> Known<Answer> {
    let entry = partition.at(place);
    if !partition.is_authenticated_by(place, &shown.hash) {
        return Known::WrongSecret;
    }
    if (shown.source).is_some_and(|source| entry.account.key.source != source) {
        return Known::OtherSource;
    }
    let before = history.deadlines(
        entry.policy,
        entry.remembered,
        entry.created_at,
        entry.last_used_at,
    );
    if before.expires_at() <= brought.at {
        return Known::Expired(Passed {
            last_used_at: entry.last_used_at,
            expires_at: before.expires_at(),
        });
    }
    let same_device = brought.device_fingerprint == 0
        || DeviceMark::of(brought.device_fingerprint) == entry.device_mark;
    if !same_device && brought.device.is_none() {
        return Known::DeviceWanted;
    }
    let hurry = before.idle < brought.haste.near || brought.haste.overdue;
    if hurry && !brought.can_wait {
        return Known::Nothing;
    }
    partition.record_use(place, brought);
    let answer = read(partition.at(place).view(history));
    if hurry {
        Known::ActiveOnceWritten(answer)
    } else {
        Known::Active(answer)
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
