//! Where is this account signed in?

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;

use super::{Inner, Sessions};
use crate::account::AccountKey;
use crate::session::{Session, SessionId, Status};
use crate::store::{Record, Unavailable};
use crate::time::Timestamp;

/// Sessions of one account, a part of its list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The current session first, then newest use first.
    pub sessions: Vec<Session>,
    /// Where the list goes on, if it does.
    pub next: Option<Cursor>,
}

/// Sessions of every account, in the store's order.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Those that are in their owners' lists. May be none, and the scan goes on all the same.
    pub sessions: Vec<Session>,
    /// Where it goes on, if it does.
    pub next: Option<SessionId>,
}

/// How many sessions an account's list has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Overview {
    /// Those that can be used.
    pub active: usize,
    /// Those whose deadline has passed.
    pub expired: usize,
}

/// A place in an account's list: the last session that was shown. Holds no secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    last_used_at: Timestamp,
    id: SessionId,
}

/// Text that is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is no cursor that a list has given")]
pub struct NoCursor;

/// How often a list is read again because others used what was to be shown as expired.
const LIST_TRIES: usize = 8;

const CURSOR_BYTES: usize = 24;
const CURSOR_TEXT_BYTES: usize = CURSOR_BYTES / 3 * 4;

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; CURSOR_BYTES];
        bytes[..8].copy_from_slice(&self.last_used_at.as_millisecond().to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        formatter.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        if text.len() != CURSOR_TEXT_BYTES {
            return Err(NoCursor);
        }
        let mut bytes = [0; CURSOR_BYTES];
        BASE64URL_NOPAD
            .decode_mut(text.as_bytes(), &mut bytes)
            .map_err(|_| NoCursor)?;
        let mut last_used_at = [0; 8];
        let mut id = [0; 16];
        last_used_at.copy_from_slice(&bytes[..8]);
        id.copy_from_slice(&bytes[8..]);
        Ok(Self {
            last_used_at: Timestamp::from_millisecond(i64::from_be_bytes(last_used_at)),
            id: SessionId::from_bytes(id),
        })
    }
}

impl Sessions {
    /// Up to `limit` sessions of the account's list from `after` on, or from its beginning.
    ///
    /// The list holds active and expired sessions. The `current` one comes first; it, too, is of this
    /// account, or it is left out.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store could tell, and cannot.
    pub async fn list(
        &self,
        account: &AccountKey,
        current: Option<SessionId>,
        limit: usize,
        after: Option<Cursor>,
        now: Timestamp,
    ) -> Result<Page, Unavailable> {
        let inner = &self.inner;
        let now = self.observe(now);
        for _ in 0..LIST_TRIES {
            let page = inner.page(account, current, limit, after, now).await?;
            if inner.make_final(&page.sessions, now).await? {
                return Ok(page);
            }
        }
        Err(Unavailable::because(
            "sessions were used whenever they were found expired",
        ))
    }

    /// How many sessions the account's list has.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store could tell, and cannot.
    pub async fn overview(
        &self,
        account: &AccountKey,
        now: Timestamp,
    ) -> Result<Overview, Unavailable> {
        let now = self.observe(now);
        let settings = &self.inner.settings;
        self.inner
            .read_account(account, None, |sessions| {
                let mut overview = Overview::default();
                for session in sessions.filter(|session| settings.lists(session, now)) {
                    match session.status(now) {
                        Status::Active => overview.active += 1,
                        Status::Expired => overview.expired += 1,
                    }
                }
                overview
            })
            .await
    }

    /// The name that the account was last given, as long as a record of one of its sessions is kept.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store could tell, and cannot.
    pub async fn name_of(&self, account: &AccountKey) -> Result<Option<Arc<str>>, Unavailable> {
        match self.inner.cache.name_of(account) {
            Some(name) => Ok(Some(name)),
            None => self.inner.store.name_of(account).await,
        }
    }

    /// The session called `id`, where it is in the list of its account; no use of it.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store could tell, and cannot.
    pub async fn find(
        &self,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, Unavailable> {
        let now = self.observe(now);
        Ok(self
            .inner
            .find(id)
            .await?
            .filter(|session| self.inner.settings.lists(session, now)))
    }

    /// Sessions of every account, after looking at up to `limit` of the store's records: for operators.
    ///
    /// # Errors
    /// [`Unavailable`] where the store cannot be asked.
    pub async fn scan(
        &self,
        after: Option<SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Scan, Unavailable> {
        let now = self.observe(now);
        self.inner.learn_policies().await?;
        let records = self.inner.store.walk(after, limit).await?;
        let next = if records.len() < limit {
            None
        } else {
            records.last().map(|record| record.id)
        };
        let listed = records
            .iter()
            .filter(|record| record.ended.is_none())
            .map(|record| self.inner.session(record));
        let sessions = listed
            .filter(|session| self.inner.settings.lists(session, now))
            .collect();
        Ok(Scan { sessions, next })
    }
}

/// The first `limit` sessions, and where the list goes on behind them.
fn cut(mut sessions: Vec<Session>, limit: usize, current: Option<SessionId>) -> Page {
    if sessions.len() <= limit {
        return Page {
            sessions,
            next: None,
        };
    }
    sessions.truncate(limit);
    let next = sessions.last().map(|last| match current {
        // Behind the current one everything is still to come.
        Some(current) if last.id == current => Cursor {
            last_used_at: Timestamp::from_millisecond(i64::MAX),
            id: SessionId::from_bytes([u8::MAX; 16]),
        },
        _ => Cursor {
            last_used_at: last.last_used_at,
            id: last.id,
        },
    });
    Page { sessions, next }
}

impl Inner {
    /// A part of an account's list, as it is at this moment.
    async fn page(
        &self,
        account: &AccountKey,
        current: Option<SessionId>,
        limit: usize,
        after: Option<Cursor>,
        now: Timestamp,
    ) -> Result<Page, Unavailable> {
        let first = match (current, after) {
            (Some(current), None) => {
                let found = self.find(current).await?;
                found.filter(|session| {
                    session.account.key == *account && self.settings.lists(session, now)
                })
            }
            _ => None,
        };
        let after = after.map(|cursor| (cursor.last_used_at, cursor.id));
        let page = self
            .read_account(account, after, |sessions| {
                let mut others = sessions.filter(|session| {
                    Some(session.id) != current && self.settings.lists(session, now)
                });
                let mut page: Vec<Session> = Vec::with_capacity(limit.min(64));
                page.extend(first);
                // One more than is asked for tells whether the list goes on.
                page.extend(others.by_ref().take((limit + 1).saturating_sub(page.len())));
                page
            })
            .await?;
        Ok(cut(page, limit, current))
    }

    /// Sees to it that what is shown as expired is never accepted again. False where others have used one of
    /// these sessions meanwhile: then it is not expired, and must not be shown as if it were.
    async fn make_final(
        self: &Arc<Self>,
        sessions: &[Session],
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        let expired = sessions
            .iter()
            .filter(|session| !session.expired && session.status(now) == Status::Expired);
        if self.cache.basis().is_leased() {
            let passed: Vec<_> = expired
                .map(|session| (session.id, session.last_used_at))
                .collect();
            let all = passed.len();
            return Ok(self.expire(passed).await?.len() == all);
        }
        if let Some(deadline) = expired.map(|session| session.expires_at).max() {
            self.record_passed(deadline).await?;
        }
        Ok(true)
    }

    /// Reads an account's sessions that have not ended, newest use first, from those that follow `after` on:
    /// from memory where all of them are there, else from the store.
    pub(super) async fn read_account<Answer>(
        &self,
        account: &AccountKey,
        after: Option<(Timestamp, SessionId)>,
        read: impl FnOnce(&mut dyn Iterator<Item = Session>) -> Answer,
    ) -> Result<Answer, Unavailable> {
        let mut read = Some(read);
        // `read` is called once: in memory, or on what the store says.
        let mut take =
            |sessions: &mut dyn Iterator<Item = Session>| read.take().map(|read| read(sessions));
        if let Some(Some(answer)) = self.cache.read_account(account, after, &mut take) {
            return Ok(answer);
        }
        self.learn_policies().await?;
        let fill = self.cache.begin_fill(account.partition());
        let records = self.store.list(account).await?;
        self.cache.finish_account_fill(&fill, account, &records);
        let mut sessions = self.newest_first(&records);
        sessions
            .retain(|session| after.is_none_or(|after| (session.last_used_at, session.id) < after));
        take(&mut sessions.into_iter())
            .ok_or_else(|| Unavailable::because("the list was read twice"))
    }

    fn newest_first(&self, records: &[Record]) -> Vec<Session> {
        let mut sessions: Vec<Session> =
            records.iter().map(|record| self.session(record)).collect();
        sessions
            .sort_unstable_by_key(|session| std::cmp::Reverse((session.last_used_at, session.id)));
        sessions
    }

    /// All the sessions of an account's list.
    pub(super) async fn listed(
        &self,
        account: &AccountKey,
        now: Timestamp,
    ) -> Result<Vec<Session>, Unavailable> {
        self.read_account(account, None, |sessions| {
            sessions
                .filter(|session| self.settings.lists(session, now))
                .collect()
        })
        .await
    }

    /// How many sessions the account's list has; counting ends one above `most`.
    pub(super) async fn count_at_most(
        &self,
        account: &AccountKey,
        most: usize,
        now: Timestamp,
    ) -> Result<usize, Unavailable> {
        let count = match self.cache.count_of_account(account) {
            None if self.cache.basis().is_leased() => Some(self.store.count(account).await?),
            count => count,
        };
        // Those that have left the list by their age are counted here too: fewer than `most` is certain.
        if let Some(count) = count
            && count <= most
        {
            return Ok(count);
        }
        self.read_account(account, None, |sessions| {
            sessions
                .filter(|session| self.settings.lists(session, now))
                .take(most.saturating_add(1))
                .count()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_its_text(millisecond in any::<i64>(), id in any::<[u8; 16]>()) {
            let cursor =
                Cursor { last_used_at: Timestamp::from_millisecond(millisecond), id: SessionId::from_bytes(id) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
