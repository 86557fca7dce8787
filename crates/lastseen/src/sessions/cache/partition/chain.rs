//! The order in which an account used its cached sessions: a chain through them, newest use first.

use super::super::entry::Entry;
use super::super::places::NOWHERE;
use super::Partition;
use crate::account::AccountKey;

impl Partition {
    /// The cached sessions of an account, newest use first; `None` where they are not all of them.
    pub(in crate::sessions::cache) fn of_account(
        &mut self,
        key: &AccountKey,
    ) -> Option<impl Iterator<Item = &Entry>> {
        let account = self.find_account(key)?;
        if !self.accounts[account].complete {
            return None;
        }
        self.settle_order(account);
        Some(self.chain(account).map(|(_, entry)| entry))
    }

    /// The sessions in an account's chain, and where they are.
    pub(super) fn chain(&self, account: u32) -> impl Iterator<Item = (u32, &Entry)> {
        let mut next = self.accounts[account].newest;
        std::iter::from_fn(move || {
            let at = next;
            let entry = (at != NOWHERE).then(|| &self.entries[at])?;
            next = entry.older;
            Some((at, entry))
        })
    }

    /// Puts an entry into its account's chain, where its last use belongs: almost always at the front.
    pub(super) fn link(&mut self, at: u32) {
        let account = self.entries[at].account_at;
        let key = self.entries[at].order();
        let (mut newer, mut older) = (NOWHERE, self.accounts[account].newest);
        while older != NOWHERE && self.entries[older].order() > key {
            (newer, older) = (older, self.entries[older].older);
        }
        let entry = &mut self.entries[at];
        (entry.newer, entry.older) = (newer, older);
        match newer {
            NOWHERE => self.accounts[account].newest = at,
            newer => self.entries[newer].older = at,
        }
        if older != NOWHERE {
            self.entries[older].newer = at;
        }
    }

    pub(super) fn unlink(&mut self, at: u32) {
        let Entry {
            newer,
            older,
            account_at: account,
            ..
        } = self.entries[at];
        match newer {
            NOWHERE => self.accounts[account].newest = older,
            newer => self.entries[newer].older = older,
        }
        if older != NOWHERE {
            self.entries[older].newer = newer;
        }
    }

    /// Notes that a session was used, and stands in its account's chain where it stood before. The first of a chain
    /// stays the first for as long as nobody else was used.
    #[inline]
    pub(super) fn misplace(&mut self, at: u32) {
        let entry = &mut self.entries[at];
        if entry.newer != NOWHERE && !entry.misplaced {
            entry.misplaced = true;
            self.misplaced.push(at);
            // More than there are sessions: some have gone, or are there twice.
            if self.misplaced.len() > self.entries.len() {
                self.drop_settled();
            }
        }
    }

    #[cold]
    fn drop_settled(&mut self) {
        let entries = &self.entries;
        self.misplaced.sort_unstable();
        self.misplaced.dedup();
        self.misplaced
            .retain(|&at| entries.get(at).is_some_and(|entry| entry.misplaced));
    }

    /// Puts the sessions of an account where their last uses belong in its chain.
    ///
    /// Whoever looks at a chain does this first. A use does not: its neighbours lie elsewhere in memory, and to fetch
    /// them takes longer than the rest of a validation. At all times a chain without its misplaced sessions is in order.
    ///
    /// Where fewer sessions are misplaced than the account has, all of them are put where they belong. Where more are,
    /// nobody waits for the order of what others look at: the account's own are found in its chain.
    fn settle_order(&mut self, account: u32) {
        if self.misplaced.is_empty() {
            return;
        }
        let few = self.misplaced.len() <= self.accounts[account].sessions as usize;
        let mut found = if few {
            std::mem::take(&mut self.misplaced)
        } else {
            self.chain(account).map(|(at, _)| at).collect()
        };
        // Each once, though it may be there twice.
        found.retain(|&at| {
            let is_misplaced = self.entries.get(at).is_some_and(|entry| entry.misplaced);
            if is_misplaced {
                self.entries[at].misplaced = false;
            }
            is_misplaced
        });
        for &at in &found {
            self.unlink(at);
        }
        // From the oldest use on, so that each is linked at the front.
        found.sort_unstable_by_key(|&at| self.entries[at].order());
        for at in found {
            self.link(at);
        }
    }
}
