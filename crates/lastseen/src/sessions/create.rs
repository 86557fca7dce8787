//! Sign-in: a session begins.

use std::sync::Arc;

use super::devices::fingerprint_of;
use super::{Inner, Sessions, to_the_end};
use crate::account::{Account, AccountKey};
use crate::session::{EndedBy, Ending, Session, SessionId, Status, Visit};
use crate::store::{End, Inserted, Origin, Record, Unavailable};
use crate::time::{Entropy, Timestamp};
use crate::token::SessionToken;

/// How often another id is drawn. An id is taken once in a million within one millisecond.
const ID_TRIES: usize = 8;

/// A sign-in that may begin a session.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// Whose it will be.
    pub account: &'a Arc<Account>,
    /// Whether the device is to be remembered: the longer idle timeout counts.
    pub remembered: bool,
    /// From where, and by what.
    pub visit: Visit<'a>,
    /// The session token that came along: its session, whose ever it is, gives way to the new one.
    pub replaces: Option<&'a [u8]>,
}

/// A session that has begun, and the only sight of its token.
#[derive(Debug)]
pub struct Created {
    /// What the device must keep.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
}

impl Sessions {
    /// Begins a session: durable, when this returns, and the one it replaces has ended.
    ///
    /// Where the account then has more sessions than it may have, those unused for longest end.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked; then no token is given away.
    pub async fn create(
        &self,
        new: NewSession<'_>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Created, Unavailable> {
        let now = self.observe(now);
        let replaced = match new.replaces {
            Some(token) => self.inner.authentic(token).await?,
            None => None,
        };
        let origin = Origin {
            ip_address: new.visit.ip_address,
            device: self
                .inner
                .devices
                .resolve(&new.visit.client, fingerprint_of(&new.visit.client)),
        };
        self.inner.learn_policies().await?;
        for _ in 0..ID_TRIES {
            let id = SessionId::generate(&new.account.key, now, entropy);
            let token = SessionToken::generate(*id.as_bytes(), entropy);
            let record = Record {
                id,
                account: Arc::clone(new.account),
                token_hash: token.hash(),
                token_generation: 0,
                page_token_hash: None,
                policy: self.inner.cache.basis().policies().current(),
                remembered: new.remembered,
                created_at: now,
                first: origin.clone(),
                last_used_at: now,
                last: origin.clone(),
                expired: false,
                ended: None,
            };
            let session = self.inner.session(&record);
            let replaces = replaced
                .as_ref()
                .map(|replaced| self.inner.end_of(replaced, EndedBy::Session(id), now));
            let inner = Arc::clone(&self.inner);
            match to_the_end(async move { inner.insert(record, replaces).await }).await? {
                Inserted::IdTaken => continue,
                // No limit is below one.
                Inserted::First => {}
                Inserted::Done => self.keep_within_limit(&new.account.key, id, now).await?,
            }
            return Ok(Created { token, session });
        }
        Err(Unavailable::because("every id that was drawn is taken"))
    }

    /// Ends the sessions unused for longest, as long as the account has more than it may have.
    async fn keep_within_limit(
        &self,
        account: &AccountKey,
        new: SessionId,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let Some(limit) = self.inner.settings.max_sessions_per_account else {
            return Ok(());
        };
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        if self.inner.count_at_most(account, limit, now).await? <= limit {
            return Ok(());
        }
        let mut others = self.inner.listed(account, now).await?;
        others.retain(|session| session.id != new);
        // Expired ones go first: they are of no use to anybody. Then those unused for longest.
        others.sort_by_key(|session| {
            (
                session.status(now) == Status::Active,
                session.last_used_at,
                session.id,
            )
        });
        others.truncate((others.len() + 1).saturating_sub(limit));
        let ends = others
            .iter()
            .map(|session| self.inner.end_of(session, EndedBy::Limit, now))
            .collect();
        self.inner.end_all(None, ends).await.map(drop)
    }
}

impl Inner {
    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable> {
        let replaced = replaces.as_ref().map(|end| end.id);
        let under_way = self.cache.begin_ending(replaced.into_iter().collect());
        let fill = self.cache.begin_fill(record.id.partition());
        let inserted = self.store.insert(record.clone(), replaces).await;
        match (&inserted, replaced) {
            (Ok(done @ (Inserted::Done | Inserted::First)), replaced) => {
                self.counters.count_created();
                self.cache.created(&fill, &record, *done == Inserted::First);
                if let Some(replaced) = replaced {
                    self.cache.ended(replaced);
                    self.counters.count_ended("session", 1);
                }
            }
            (Err(_), Some(replaced)) => self.cache.doubt(replaced),
            (Err(_), None) | (Ok(Inserted::IdTaken), _) => {}
        }
        drop(under_way);
        inserted
    }

    /// The session that a token authenticates, active or expired. No use of it.
    pub(super) async fn authentic(&self, token: &[u8]) -> Result<Option<Session>, Unavailable> {
        let Some(token) = SessionToken::parse(token) else {
            return Ok(None);
        };
        let id = token.session_id();
        let hash = token.hash();
        let authentic = match self.cache.is_authenticated_by(id, &hash) {
            Some(authentic) => authentic,
            None => self.store.find(id).await?.is_some_and(|record| {
                record.token_hash == hash || record.page_token_hash == Some(hash)
            }),
        };
        if !authentic {
            return Ok(None);
        }
        self.find(id).await
    }

    /// How `session` ends at `now` by `by`: by its deadline, where that has passed.
    pub(super) fn end_of(&self, session: &Session, by: EndedBy, now: Timestamp) -> End {
        let ending = match session.status(now) {
            Status::Active => Ending {
                at: now,
                by,
                left_list_at: now,
            },
            Status::Expired => {
                let leaves = session
                    .expires_at
                    .saturating_add(self.settings.keep_expired);
                Ending {
                    at: session.expires_at,
                    by: EndedBy::Deadline,
                    left_list_at: leaves.min(now),
                }
            }
        };
        End {
            id: session.id,
            ending,
            last_use: self.cache.unwritten_use(session.id),
        }
    }
}
