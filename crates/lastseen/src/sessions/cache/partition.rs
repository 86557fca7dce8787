//! The sessions of one partition, kept ready, and the order in which each account used them.

mod chain;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet, HashTable};

use super::Fill;
use super::brought::Brought;
use super::entry::{DeviceMark, Entry};
use super::index::{PlaceIndex, Tag};
use super::places::{NOWHERE, Places};
use crate::account::{Account, AccountKey};
use crate::session::SessionId;
use crate::store::{Record, Use};
use crate::time::Timestamp;
use crate::token::SecretHash;

/// Where a session is, while its partition is locked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u32);

/// An account that has cached sessions.
#[derive(Debug)]
struct AccountEntry {
    account: Arc<Account>,
    newest: u32,
    sessions: u32,
    /// Every session of the account that has not ended is cached.
    complete: bool,
}

/// The cached sessions whose ids begin with the same bits; behind one lock.
///
/// In this order, so that what every validation looks at lies together, beside the lock.
#[derive(Debug, Default)]
#[repr(C)]
pub(in crate::sessions) struct Partition {
    /// How many tokens were accepted by what is cached here: counted under the lock that is held anyway, so that
    /// processors do not pass one counter around.
    pub(super) accepted: u64,
    by_id: PlaceIndex,
    entries: Places<Entry>,
    accounts: Places<AccountEntry>,
    by_account: HashTable<u32>,
    /// By the places of the few sessions that have a token for the pages.
    page_token_hashes: HashMap<u32, SecretHash>,
    /// Ends that the store was asked for and has not confirmed: meanwhile nothing that is read is trusted.
    pub(super) ending: usize,
    /// Moves whenever the store was written: what was read before is not cached any more.
    pub(super) generation: u64,
    /// How many of these writes were sign-ins.
    pub(super) creations: u64,
    /// How often a new session was not cached, or cached ones were dropped.
    pub(super) omissions: u64,
    /// How many sessions there were when nothing more could be dropped, and some: below it nobody looks again.
    pub(super) full_at: usize,
    /// Where sessions with a use that the store has not recorded were, when they were used. One that has
    /// gone since has no use to be written; one that took its place says itself whether it has.
    unwritten: Vec<u32>,
    /// Where sessions were that have been used and still stand in their account's chain where they stood before: see
    /// [`Partition::settle_order`]. One that took the place of another says itself whether it is one of them.
    misplaced: Vec<u32>,
}

/// The hash of an account, seeded: its id may be chosen by a stranger.
fn hash_of_account(key: &AccountKey) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static STATE: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    STATE.hash_one(key)
}

impl Partition {
    /// How many sessions are cached.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether anything was written since before a read.
    pub(super) fn was_written_since(&self, fill: &Fill) -> bool {
        self.generation != fill.generation
    }

    /// Whether nothing was written since before a read but new sessions: those that were there are what they were.
    pub(super) fn has_only_grown_since(&self, fill: &Fill) -> bool {
        self.generation - fill.generation == self.creations - fill.creations
    }

    /// Whether a session was left out or dropped since before a read, whatever account it is of.
    pub(super) fn has_omitted_since(&self, fill: &Fill) -> bool {
        self.omissions != fill.omissions
    }

    #[inline]
    fn find(&self, id: SessionId) -> Option<u32> {
        self.by_id.find(Tag::of(id), |at| {
            self.entries.get(at).is_some_and(|entry| entry.id == id)
        })
    }

    fn find_account(&self, key: &AccountKey) -> Option<u32> {
        self.by_account
            .find(hash_of_account(key), |&at| {
                self.accounts[at].account.key == *key
            })
            .copied()
    }

    /// Whether a secret with this hash authenticates the session at a place: its own, or that of the pages.
    #[inline]
    pub(super) fn is_authenticated_by(&self, place: Place, hash: &SecretHash) -> bool {
        self.at(place).token_hash == *hash
            || self
                .page_token_hashes
                .get(&place.0)
                .is_some_and(|pages| pages == hash)
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Entry> {
        self.find(id).map(|at| &self.entries[at])
    }

    /// A session and its place, which stays the same as long as the partition is locked.
    pub(super) fn get_with_place(&self, id: SessionId) -> Option<(&Entry, Place)> {
        self.find(id).map(|at| (&self.entries[at], Place(at)))
    }

    /// The place of a session that may answer. What a validation looks at next is fetched meanwhile: nobody waits
    /// for it here.
    #[inline]
    pub(super) fn approach(&self, id: SessionId) -> Option<Place> {
        let at = self.find(id)?;
        let entry = &self.entries[at];
        // What it says of the account does not matter, only that it is read.
        std::hint::black_box(entry.account.key.source);
        (!entry.doubtful).then_some(Place(at))
    }

    /// The session at a place.
    pub(super) fn at(&self, place: Place) -> &Entry {
        &self.entries[place.0]
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.find(id).map(|at| &mut self.entries[at])
    }

    /// What the account is called, where a session of it is cached.
    pub(super) fn name_of(&self, key: &AccountKey) -> Option<Arc<str>> {
        self.find_account(key)
            .map(|at| Arc::clone(&self.accounts[at].account.name))
    }

    /// Caches what the store has said of a session that has not ended; a later use that only the cache
    /// knows stays. Where that is `doubtful`, it is kept for the sake of its use, and answers nothing.
    pub(super) fn put(&mut self, record: &Record, doubtful: bool) -> Place {
        let at = match self.find(record.id) {
            Some(at) => {
                self.put_again(at, record, doubtful);
                at
            }
            None => self.insert(record, doubtful),
        };
        match record.page_token_hash {
            Some(hash) => _ = self.page_token_hashes.insert(at, hash),
            None => _ = self.page_token_hashes.remove(&at),
        }
        Place(at)
    }

    fn insert(&mut self, record: &Record, doubtful: bool) -> u32 {
        let account_at = self.account_of(&record.account);
        let account = &mut self.accounts[account_at];
        account.sessions += 1;
        let entry = Entry::new(record, Arc::clone(&account.account), account_at, doubtful);
        let at = self.entries.insert(entry);
        self.by_id.insert(Tag::of(record.id), at);
        self.link(at);
        at
    }

    /// What the store says now of a session that is cached already.
    fn put_again(&mut self, at: u32, record: &Record, doubtful: bool) {
        self.account_of(&record.account);
        let entry = &mut self.entries[at];
        if entry.token_generation <= record.token_generation {
            entry.token_hash = record.token_hash;
            entry.token_generation = record.token_generation;
        }
        entry.doubtful = doubtful;
        if entry.last_used_at < record.last_used_at {
            // Another process has recorded a later use. An earlier one of our own is of no use any more.
            entry.last_used_at = record.last_used_at;
            entry.ip_address = record.last.ip_address;
            entry.device = Arc::clone(&record.last.device);
            entry.device_mark = DeviceMark::NONE;
            entry.unwritten = false;
            self.misplace(at);
        }
    }

    /// The place of the account, under the name it was last given.
    fn account_of(&mut self, account: &Arc<Account>) -> u32 {
        if let Some(at) = self.find_account(&account.key) {
            self.call(at, account);
            return at;
        }
        let at = self.accounts.insert(AccountEntry {
            account: Arc::clone(account),
            newest: NOWHERE,
            sessions: 0,
            complete: false,
        });
        let accounts = &self.accounts;
        let hash = hash_of_account(&account.key);
        self.by_account.insert_unique(hash, at, |&other| {
            hash_of_account(&accounts[other].account.key)
        });
        at
    }

    /// Calls an account as it was last called, wherever it stands.
    fn call(&mut self, at: u32, account: &Arc<Account>) {
        let known = &mut self.accounts[at];
        if known.account.name == account.name {
            return;
        }
        known.account = Arc::clone(account);
        let mut next = known.newest;
        while next != NOWHERE {
            let entry = &mut self.entries[next];
            entry.account = Arc::clone(account);
            next = entry.older;
        }
    }

    /// Forgets a session that has ended.
    pub(super) fn remove(&mut self, id: SessionId) {
        if let Some(at) = self.find(id) {
            self.remove_at(at);
        }
    }

    /// Forgets a session, but for a use that the store has not recorded: with that it stays, doubtful.
    pub(super) fn forget(&mut self, id: SessionId) {
        if let Some(at) = self.find(id) {
            self.forget_at(at);
        }
    }

    /// The same for every session that is `gone`.
    pub(super) fn forget_where(&mut self, gone: impl Fn(SessionId) -> bool) {
        let places: Vec<u32> = (self.entries.iter())
            .filter(|(_, entry)| gone(entry.id))
            .map(|(at, _)| at)
            .collect();
        for at in places {
            self.forget_at(at);
        }
    }

    fn forget_at(&mut self, at: u32) {
        let entry = &mut self.entries[at];
        entry.doubtful = true;
        if !entry.unwritten {
            let account = entry.account_at;
            self.accounts[account].complete = false;
            self.remove_at(at);
        }
    }

    fn remove_at(&mut self, at: u32) {
        self.unlink(at);
        let Some(entry) = self.entries.remove(at) else {
            return;
        };
        self.page_token_hashes.remove(&at);
        self.by_id.remove(Tag::of(entry.id), at);
        let account = &mut self.accounts[entry.account_at];
        account.sessions -= 1;
        // A complete account without a session is worth nothing: the store says so as fast.
        if account.sessions == 0 {
            let hash = hash_of_account(&account.account.key);
            if let Ok(found) = self
                .by_account
                .find_entry(hash, |&other| other == entry.account_at)
            {
                found.remove();
            }
            self.accounts.remove(entry.account_at);
        }
    }

    /// Records a use, unless a later one is known.
    #[inline]
    pub(super) fn record_use(&mut self, Place(at): Place, brought: &Brought) {
        let entry = &mut self.entries[at];
        if brought.at < entry.last_used_at {
            return;
        }
        if let Some(ip_address) = brought.ip_address {
            entry.ip_address = Some(ip_address);
        }
        if let Some(device) = &brought.device {
            entry.device = Arc::clone(device);
            entry.device_mark = DeviceMark::of(brought.device_fingerprint);
        }
        if !entry.unwritten {
            entry.unwritten = true;
            self.unwritten.push(at);
        }
        if entry.last_used_at < brought.at {
            entry.last_used_at = brought.at;
            self.misplace(at);
        }
    }

    /// The use of a session that the store has not recorded, where there is one.
    pub(super) fn unwritten_use(&self, id: SessionId) -> Option<Use> {
        self.get(id).and_then(Entry::unwritten_use)
    }

    /// Where sessions are with uses that the store has not recorded, to be looked at one by one. They stay unwritten
    /// until they are settled.
    pub(super) fn take_unwritten(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.unwritten)
    }

    /// The session at a place that was taken, where it has a use that the store has not recorded.
    pub(super) fn unwritten_at(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at).filter(|entry| entry.unwritten)
    }

    /// Puts back places that were taken, and not looked at.
    pub(super) fn put_back(&mut self, places: impl IntoIterator<Item = u32>) {
        self.unwritten.extend(places);
    }

    /// What the store has made of a use that was taken: whether the session `stays_unwritten` follows from
    /// its last use.
    pub(super) fn settle(
        &mut self,
        id: SessionId,
        stays_unwritten: impl FnOnce(Timestamp) -> bool,
    ) {
        let Some(at) = self.find(id) else { return };
        let entry = &mut self.entries[at];
        entry.unwritten = stays_unwritten(entry.last_used_at);
        if entry.unwritten {
            self.unwritten.push(at);
        }
    }

    /// How many sessions of the account there are, where all of them are cached.
    pub(super) fn count_of_account(&self, key: &AccountKey) -> Option<u32> {
        let account = self.find_account(key).map(|at| &self.accounts[at])?;
        account.complete.then_some(account.sessions)
    }

    /// Puts a session in doubt: the store is asked before it answers again, or is listed.
    pub(super) fn doubt(&mut self, id: SessionId) {
        if let Some(at) = self.find(id) {
            let entry = &mut self.entries[at];
            entry.doubtful = true;
            let account = entry.account_at;
            self.accounts[account].complete = false;
        }
    }

    /// Removes the sessions of the account that are none of `records`: the store has said that they ended.
    pub(super) fn keep_only(&mut self, key: &AccountKey, records: &[Record]) {
        let Some(account) = self.find_account(key).map(|at| &self.accounts[at]) else {
            return;
        };
        // Almost always there is nothing to be removed, and nothing to be compared.
        if account.sessions as usize == records.len() {
            return;
        }
        let listed: HashSet<SessionId> = records.iter().map(|record| record.id).collect();
        let mut next = account.newest;
        while next != NOWHERE {
            let (at, entry) = (next, &self.entries[next]);
            next = entry.older;
            if !listed.contains(&entry.id) {
                self.remove_at(at);
            }
        }
    }

    /// Says that every session of the account is cached.
    pub(super) fn complete(&mut self, key: &AccountKey) {
        if let Some(at) = self.find_account(key) {
            self.accounts[at].complete = true;
        }
    }

    /// Says that the account may have sessions that are not cached.
    pub(super) fn incomplete(&mut self, key: &AccountKey) {
        if let Some(at) = self.find_account(key) {
            self.accounts[at].complete = false;
        }
    }

    /// Drops the sessions unused for longest, down to `keep`, but neither one with an unwritten use nor
    /// the `wanted` one.
    pub(super) fn shrink_to(&mut self, keep: usize, wanted: Option<SessionId>) {
        let mut idle: Vec<(Timestamp, u32)> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.unwritten && Some(entry.id) != wanted)
            .map(|(at, entry)| (entry.last_used_at, at))
            .collect();
        let surplus = self.entries.len().saturating_sub(keep).min(idle.len());
        if surplus == 0 {
            return;
        }
        self.omissions += 1;
        idle.select_nth_unstable(surplus - 1);
        for &(_, at) in &idle[..surplus] {
            let account = self.entries[at].account_at;
            self.accounts[account].complete = false;
            self.remove_at(at);
        }
    }
}

#[cfg(test)]
mod tests;
