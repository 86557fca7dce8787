//! A store that forgets everything when it goes: for tests, and for trying things out.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{End, Ended, Inserted, Opened, Record, Store, Unavailable, Use};
use crate::account::{Account, AccountKey};
use crate::policy::Policy;
use crate::session::SessionId;
use crate::time::Timestamp;
use crate::token::SecretHash;

/// Sessions in memory, behind one lock.
#[derive(Debug, Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

#[derive(Debug)]
struct Contents {
    /// By sequence, as an embedded database would keep them: that is also the order of a walk.
    records: BTreeMap<i64, Record>,
    policies: Vec<Policy>,
    latest: Timestamp,
    /// Set by a test that wants to see what a fault does.
    unavailable: bool,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            policies: Vec::new(),
            latest: Timestamp::EPOCH,
            unavailable: false,
        }
    }
}

impl Contents {
    fn get(&self, id: SessionId) -> Option<&Record> {
        self.records
            .get(&id.sequence())
            .filter(|record| record.id == id)
    }

    fn get_mut(&mut self, id: SessionId) -> Option<&mut Record> {
        self.records
            .get_mut(&id.sequence())
            .filter(|record| record.id == id)
    }

    fn touch(&mut self, used: Use) {
        if let Some(record) = self.get_mut(used.id)
            && record.ended.is_none()
            && !record.expired
            && record.last_used_at <= used.at
        {
            record.last_used_at = used.at;
            record.last = used.origin;
        }
    }

    /// Ends one session; whether that made a difference.
    fn end(&mut self, end: End) -> bool {
        if let Some(used) = end.last_use {
            self.touch(used);
        }
        match self.get_mut(end.id) {
            Some(record) if record.ended.is_none() => {
                record.ended = Some(end.ending);
                true
            }
            _ => false,
        }
    }

    /// Every record of the account shows the name it was last given.
    fn rename(&mut self, account: &Arc<Account>) {
        for record in self
            .records
            .values_mut()
            .filter(|record| record.account.key == account.key)
        {
            if record.account.name != account.name {
                record.account = Arc::clone(account);
            }
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every call fail, until it is told otherwise: what a lost disk looks like to a test.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.contents.lock().unavailable = unavailable;
    }

    fn with<Answer>(
        &self,
        act: impl FnOnce(&mut Contents) -> Answer,
    ) -> Result<Answer, Unavailable> {
        let mut contents = self.contents.lock();
        if contents.unavailable {
            return Err(Unavailable::because("it was told to be"));
        }
        Ok(act(&mut contents))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self, policy: Option<&Policy>, now: Timestamp) -> Result<Opened, Unavailable> {
        self.with(|contents| {
            if let Some(policy) = policy
                && contents.policies.last() != Some(policy)
            {
                contents.policies.push(*policy);
            }
            contents.latest = contents.latest.max(now);
            Opened {
                policies: contents.policies.clone(),
                latest: contents.latest,
            }
        })
    }

    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable> {
        self.with(|contents| {
            if contents.records.contains_key(&record.id.sequence()) {
                return Inserted::IdTaken;
            }
            if let Some(end) = replaces {
                contents.end(end);
            }
            let account = Arc::clone(&record.account);
            contents.records.insert(record.id.sequence(), record);
            contents.rename(&account);
            Inserted::Done
        })
    }

    async fn find(&self, id: SessionId) -> Result<Option<Record>, Unavailable> {
        self.with(|contents| contents.get(id).cloned())
    }

    async fn list(&self, account: &AccountKey) -> Result<Vec<Record>, Unavailable> {
        self.with(|contents| {
            let own = |record: &&Record| record.account.key == *account && record.ended.is_none();
            contents.records.values().filter(own).cloned().collect()
        })
    }

    async fn count(&self, account: &AccountKey) -> Result<usize, Unavailable> {
        self.with(|contents| {
            let own = |record: &&Record| record.account.key == *account && record.ended.is_none();
            contents.records.values().filter(own).count()
        })
    }

    async fn policies(&self) -> Result<Vec<Policy>, Unavailable> {
        self.with(|contents| contents.policies.clone())
    }

    async fn name_of(&self, account: &AccountKey) -> Result<Option<Arc<str>>, Unavailable> {
        self.with(|contents| {
            contents
                .records
                .values()
                .find(|record| record.account.key == *account)
                .map(|record| Arc::clone(&record.account.name))
        })
    }

    async fn walk(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Record>, Unavailable> {
        self.with(|contents| {
            let from = after.map_or(i64::MIN, |id| id.sequence().saturating_add(1));
            contents
                .records
                .range(from..)
                .map(|(_, record)| record)
                .take(limit)
                .cloned()
                .collect()
        })
    }

    async fn touch(&self, uses: Vec<Use>, now: Timestamp) -> Result<(), Unavailable> {
        self.with(|contents| {
            contents.latest = contents.latest.max(now);
            for used in uses {
                contents.touch(used);
            }
        })
    }

    async fn expire(
        &self,
        passed: Vec<(SessionId, Timestamp)>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Unavailable> {
        self.with(|contents| {
            contents.latest = contents.latest.max(now);
            let mut expired = Vec::with_capacity(passed.len());
            for (id, last_used_at) in passed {
                if let Some(record) = contents.get_mut(id)
                    && record.ended.is_none()
                    && (record.expired || record.last_used_at <= last_used_at)
                {
                    record.expired = true;
                    expired.push(id);
                }
            }
            expired
        })
    }

    async fn end(&self, account: Option<AccountKey>, ends: Vec<End>) -> Result<Ended, Unavailable> {
        self.with(|contents| {
            if let Some(account) = account {
                let own = |end: &End| {
                    contents
                        .get(end.id)
                        .is_some_and(|record| record.account.key == account)
                };
                if !ends.iter().all(own) {
                    return Ended::NotFound;
                }
            }
            let ended = ends.into_iter().filter_map(|end| {
                let id = end.id;
                contents.end(end).then_some(id)
            });
            Ended::Done(ended.collect())
        })
    }

    async fn renew(
        &self,
        id: SessionId,
        hash: SecretHash,
        generation: u32,
    ) -> Result<bool, Unavailable> {
        self.with(|contents| match contents.get_mut(id) {
            Some(record) if record.ended.is_none() && record.token_generation < generation => {
                record.token_hash = hash;
                record.token_generation = generation;
                true
            }
            _ => false,
        })
    }

    async fn set_page_token(&self, id: SessionId, hash: SecretHash) -> Result<bool, Unavailable> {
        self.with(|contents| match contents.get_mut(id) {
            Some(record) if record.ended.is_none() => {
                record.page_token_hash = Some(hash);
                true
            }
            _ => false,
        })
    }

    async fn purge(&self, ids: Vec<SessionId>) -> Result<u64, Unavailable> {
        self.with(|contents| {
            let mut purged = 0;
            for id in ids {
                if contents
                    .get(id)
                    .is_some_and(|record| record.ended.is_some())
                {
                    contents.records.remove(&id.sequence());
                    purged += 1;
                }
            }
            purged
        })
    }

    async fn check(&self) -> Result<(), Unavailable> {
        self.with(|_| ())
    }
}
