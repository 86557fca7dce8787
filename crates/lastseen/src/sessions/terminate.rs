//! An end on purpose. When one of these verbs has answered, what it ended is refused everywhere.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::{Inner, Sessions, to_the_end};
use crate::account::{AccountKey, AccountSource};
use crate::session::{EndedBy, Ending, Session, SessionId};
use crate::store::{End, Ended, Unavailable};
use crate::time::Timestamp;

/// Sessions ended in one step where an account, or a store, has more: such a step holds up other
/// writes for a few milliseconds.
const STEP: usize = 1_000;

/// Sessions that are read one by one over a store that others write too; beyond it their account is listed.
const SINGLE_READS: usize = 4;

/// Why nothing was terminated.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TerminateError {
    /// One of the sessions is unknown, or somebody else's; none has ended.
    #[error("there is no such session")]
    NotFound,
    /// The store could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Sessions {
    /// Ends these sessions of the account, all or none; removes from the list those that have expired.
    ///
    /// Answers how many left the list through this call: one named twice counts once, one that had ended
    /// before does not count.
    ///
    /// # Errors
    /// [`TerminateError`]; then none of them has ended, or nobody knows.
    pub async fn terminate(
        &self,
        account: &AccountKey,
        ids: &[SessionId],
        by: EndedBy,
        now: Timestamp,
    ) -> Result<u64, TerminateError> {
        let now = self.observe(now);
        let ids: HashSet<SessionId> = ids.iter().copied().collect();
        let mut ends = Vec::with_capacity(ids.len());
        let mut listed = HashSet::with_capacity(ids.len());
        let found = self.inner.find_several(account, &ids).await?;
        for (id, session) in found {
            match session {
                Some(session) => {
                    if self.inner.settings.lists(&session, now) {
                        listed.insert(id);
                    }
                    ends.push(self.inner.end_of(&session, by, now));
                }
                // It has ended, or is unknown: the store knows which.
                None => {
                    ends.push(End {
                        id,
                        ending: Ending {
                            at: now,
                            by,
                            left_list_at: now,
                        },
                        last_use: None,
                    });
                }
            }
        }
        match self.inner.end_all(Some(account.clone()), ends).await? {
            Ended::NotFound => Err(TerminateError::NotFound),
            Ended::Done(ended) => Ok(count(ended.iter().filter(|id| listed.contains(*id)))),
        }
    }

    /// Ends every session in the account's list but `keep`, which must be one of them. Of two that want to be
    /// kept at once, one is.
    ///
    /// # Errors
    /// [`TerminateError::NotFound`] where `keep` is no session in the account's list.
    pub async fn terminate_others(
        &self,
        account: &AccountKey,
        keep: Option<SessionId>,
        by: EndedBy,
        now: Timestamp,
    ) -> Result<u64, TerminateError> {
        let now = self.observe(now);
        let Some(keep) = keep else {
            return Ok(self.terminate_account(account, by, now).await?);
        };
        let end = async {
            let mut sessions = self.inner.listed(account, now).await?;
            let all = sessions.len();
            sessions.retain(|session| session.id != keep);
            if sessions.len() == all {
                return Err(TerminateError::NotFound);
            }
            Ok(self.end_all_of(account, &sessions, by, now).await?)
        };
        let store = self.inner.store.as_ref();
        self.inner.turns.take(account, store, end).await
    }

    /// Ends every session in the account's list.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked: some may have ended.
    pub async fn terminate_account(
        &self,
        account: &AccountKey,
        by: EndedBy,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        let now = self.observe(now);
        let sessions = self.inner.listed(account, now).await?;
        self.end_all_of(account, &sessions, by, now).await
    }

    /// Ends what is left of an account's list. Where that is nothing, somebody else may just be ending it:
    /// then nobody is answered before that counts everywhere.
    async fn end_all_of(
        &self,
        account: &AccountKey,
        sessions: &[Session],
        by: EndedBy,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        if sessions.is_empty() {
            self.inner.store.settle_account(account).await?;
        }
        self.end_in_steps(sessions, by, now).await
    }

    /// Ends these sessions, whose ever they are, all or none: for operators.
    ///
    /// # Errors
    /// [`TerminateError::NotFound`] where one of them is in no list.
    pub async fn terminate_anybodys(
        &self,
        ids: &[SessionId],
        now: Timestamp,
    ) -> Result<u64, TerminateError> {
        let now = self.observe(now);
        let ids: HashSet<SessionId> = ids.iter().copied().collect();
        let mut sessions = Vec::with_capacity(ids.len());
        for id in ids {
            let session = self.find(id, now).await?.ok_or(TerminateError::NotFound)?;
            sessions.push(session);
        }
        Ok(self.end_in_steps(&sessions, EndedBy::Command, now).await?)
    }

    /// Ends every session of every account that began before now: for operators.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked: some may have ended.
    pub async fn terminate_everything(&self, now: Timestamp) -> Result<u64, Unavailable> {
        self.terminate_where(|_| true, now).await
    }

    /// Ends every session of every account of `source` that began before now: for operators.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked: some may have ended.
    pub async fn terminate_source(
        &self,
        source: AccountSource,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        self.terminate_where(|session| session.account.key.source == source, now)
            .await
    }

    async fn terminate_where(
        &self,
        wanted: impl Fn(&Session) -> bool + Send,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        let now = self.observe(now);
        let (mut terminated, mut after) = (0, None);
        loop {
            let mut scan = self.scan(after, STEP, now).await?;
            scan.sessions.retain(&wanted);
            terminated += self
                .end_in_steps(&scan.sessions, EndedBy::Command, now)
                .await?;
            after = scan.next;
            if after.is_none() {
                return Ok(terminated);
            }
        }
    }

    async fn end_in_steps(
        &self,
        sessions: &[Session],
        by: EndedBy,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        let mut terminated = 0;
        for step in sessions.chunks(STEP) {
            let ends = step
                .iter()
                .map(|session| self.inner.end_of(session, by, now))
                .collect();
            if let Ended::Done(ended) = self.inner.end_all(None, ends).await? {
                terminated += count(ended.iter());
            }
        }
        Ok(terminated)
    }
}

fn count<Item>(items: impl Iterator<Item = Item>) -> u64 {
    items.fold(0, |count, _| count + 1)
}

impl Inner {
    /// These sessions, as far as they are of the account or are cached, and have not ended.
    async fn find_several(
        &self,
        account: &AccountKey,
        ids: &HashSet<SessionId>,
    ) -> Result<Vec<(SessionId, Option<Session>)>, Unavailable> {
        // Over a network one list is faster than several reads.
        if self.cache.basis().is_leased() && ids.len() > SINGLE_READS {
            let mut known: HashMap<SessionId, Session> = self
                .read_account(account, None, |sessions| {
                    sessions.map(|session| (session.id, session)).collect()
                })
                .await?;
            return Ok(ids.iter().map(|&id| (id, known.remove(&id))).collect());
        }
        let mut found = Vec::with_capacity(ids.len());
        for &id in ids {
            found.push((id, self.find(id).await?));
        }
        Ok(found)
    }

    /// The one way in which sessions end: the store first, then memory, then the answer.
    pub(super) async fn end_all(
        self: &Arc<Self>,
        account: Option<AccountKey>,
        ends: Vec<End>,
    ) -> Result<Ended, Unavailable> {
        if ends.is_empty() {
            return Ok(Ended::Done(Vec::new()));
        }
        let inner = Arc::clone(self);
        to_the_end(async move {
            let endings: Vec<(SessionId, Ending)> = ends.iter().map(|end| (end.id, end.ending)).collect();
            let under_way = inner.cache.begin_ending(endings.iter().map(|(id, _)| *id).collect());
            let ended = inner.store.end(account, ends).await;
            for (id, ending) in &endings {
                match &ended {
                    // Also what had ended before: whatever memory says, it has no right to.
                    Ok(Ended::Done(_)) => inner.cache.ended(*id),
                    Ok(Ended::NotFound) => {}
                    Err(_) => inner.cache.doubt(*id),
                }
                if matches!(&ended, Ok(Ended::Done(done)) if done.len() == endings.len() || done.contains(id)) {
                    let (cause, by) = ending.by.to_parts();
                    inner.counters.count_ended(cause, 1);
                    tracing::info!(session = %id, cause, by = by.map(tracing::field::display), "session ended");
                }
            }
            drop(under_way);
            ended
        })
        .await
    }
}
