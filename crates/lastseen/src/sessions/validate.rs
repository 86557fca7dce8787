//! Is this token accepted?

use std::sync::Arc;

use super::cache::{Brought, Fill, Known, Shown};
use super::devices::fingerprint_of;
use super::{Inner, Sessions};
use crate::account::AccountSource;
use crate::device::Device;
use crate::session::{Session, SessionId, SessionView, Status, Visit};
use crate::store::{Record, Unavailable};
use crate::time::Timestamp;
use crate::token::SessionToken;

/// How often a session is read again because its partition was written meanwhile. A read takes
/// microseconds; so many writes in a row, each in the same part of the ids, are a fault.
const FILL_TRIES: usize = 64;

/// How many of them may be shared with others where others write the store too, and must not have been
/// overtaken. Reads over a network are slower, and one partition may be written all the time; the reads after
/// these began for this request alone, and count whatever was written meanwhile.
const SHARED_READS: usize = 4;

/// What became of a token.
#[derive(Clone, Debug)]
pub enum Verdict<Answer = Session> {
    /// It is accepted, and its use is recorded. With the session, or what was read of it.
    Active(Answer),
    /// It is refused. To the outside all refusals are one.
    Refused(Refusal),
}

/// Why a token was refused: for counters and tests, never for the one who sent it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// It is no token of ours.
    Malformed,
    /// There is no such session, its record was purged, or it is none of those that were asked about.
    Unknown,
    /// There is such a session; the secret is not its secret.
    WrongSecret,
    /// Its deadline has passed.
    Expired,
    /// It was terminated.
    Ended,
}

impl Sessions {
    /// Judges a token that came with a request, and records the use where it is accepted.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store could tell, and cannot.
    pub async fn validate(
        &self,
        token: &[u8],
        visit: &Visit<'_>,
        now: Timestamp,
    ) -> Result<Verdict, Unavailable> {
        self.validate_with(token, visit, now, |session| session.to_session())
            .await
    }

    /// The same for whoever needs the session only to look at it: `read` is shown it where it lies, and what `read`
    /// answers is the verdict's answer. It saves a share in account and device, which is a third of what a
    /// validation costs.
    ///
    /// `read` is called once at most, and only where the token is accepted. Other validations wait meanwhile, those
    /// of one in some hundred accounts: it must neither wait for anything nor do input or output, and not call
    /// these sessions, which would wait for itself. To render an answer is what it is for.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use lastseen::{Sessions, Settings, Timestamp, Unavailable, Verdict, Visit, store::memory::MemoryStore};
    /// # async fn who(sessions: &Sessions, token: &[u8], now: Timestamp) -> Result<Option<String>, Unavailable> {
    /// let visit = Visit::default();
    /// let verdict = sessions.validate_with(token, &visit, now, |session| session.account.name.to_string());
    /// match verdict.await? {
    ///     Verdict::Active(name) => Ok(Some(name)),
    ///     Verdict::Refused(_) => Ok(None),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Sessions::validate`].
    pub async fn validate_with<Answer>(
        &self,
        token: &[u8],
        visit: &Visit<'_>,
        now: Timestamp,
        read: impl Fn(SessionView<'_>) -> Answer,
    ) -> Result<Verdict<Answer>, Unavailable> {
        self.judge(token, None, visit, now, &read).await
    }

    /// The part of [`Sessions::validate_with`] that never waits: what memory alone accepts, and what `read` made of it.
    /// `None` is no refusal, and no use of the session; it leaves the verdict to [`Sessions::validate_with`].
    ///
    /// For whoever validates so often that even a future which is done at once is worth saving. `read` keeps the same
    /// rules; it may have been called where the answer is `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use lastseen::{SessionView, Sessions, Settings, Timestamp, Unavailable, Verdict, Visit, store::memory::MemoryStore};
    /// # async fn who(sessions: &Sessions, token: &[u8], now: Timestamp) -> Result<Option<String>, Unavailable> {
    /// let visit = Visit::default();
    /// let name = |session: SessionView<'_>| session.account.name.to_string();
    /// if let Some(name) = sessions.validate_from_memory(token, &visit, now, name) {
    ///     return Ok(Some(name));
    /// }
    /// match sessions.validate_with(token, &visit, now, name).await? {
    ///     Verdict::Active(name) => Ok(Some(name)),
    ///     Verdict::Refused(_) => Ok(None),
    /// }
    /// # }
    /// ```
    pub fn validate_from_memory<Answer>(
        &self,
        token: &[u8],
        visit: &Visit<'_>,
        now: Timestamp,
        read: impl Fn(SessionView<'_>) -> Answer,
    ) -> Option<Answer> {
        match self.judge_by_memory(token, None, visit, now, false, &read) {
            FirstLook::Active(answer) => Some(answer),
            FirstLook::Malformed | FirstLook::Further(_) => None,
        }
    }

    /// [`Sessions::validate`] for one who may know of the sessions of one source only, an application: a token of
    /// another source is refused as unknown, and its session is not used by that.
    ///
    /// # Errors
    /// As [`Sessions::validate`].
    pub async fn validate_of(
        &self,
        source: AccountSource,
        token: &[u8],
        visit: &Visit<'_>,
        now: Timestamp,
    ) -> Result<Verdict, Unavailable> {
        let read = |session: SessionView<'_>| session.to_session();
        self.judge(token, Some(source), visit, now, &read).await
    }

    /// The session that a token authenticates, where it is active. No use of it.
    ///
    /// # Errors
    /// [`Unavailable`] where only the store could tell, and cannot.
    pub async fn identify(
        &self,
        token: &[u8],
        now: Timestamp,
    ) -> Result<Option<Session>, Unavailable> {
        let now = self.observe(now);
        let session = self.inner.authentic(token).await?;
        Ok(session.filter(|session| session.status(now) == Status::Active))
    }

    async fn judge<Answer>(
        &self,
        token: &[u8],
        source: Option<AccountSource>,
        visit: &Visit<'_>,
        now: Timestamp,
        read: &impl Fn(SessionView<'_>) -> Answer,
    ) -> Result<Verdict<Answer>, Unavailable> {
        // What memory says at once is counted there, and carries no future around that can wait for the store.
        let verdict = match self.judge_by_memory(token, source, visit, now, true, read) {
            FirstLook::Active(answer) => return Ok(Verdict::Active(answer)),
            FirstLook::Malformed => Ok(Verdict::Refused(Refusal::Malformed)),
            FirstLook::Further(asked) => Box::pin(self.judge_further(asked, visit, read)).await,
        };
        self.inner.counters.count_verdict(&verdict);
        verdict
    }

    /// What memory makes of a token. `can_wait` as in [`Brought`].
    #[inline]
    fn judge_by_memory<Answer>(
        &self,
        token: &[u8],
        source: Option<AccountSource>,
        visit: &Visit<'_>,
        now: Timestamp,
        can_wait: bool,
        read: &impl Fn(SessionView<'_>) -> Answer,
    ) -> FirstLook<Answer> {
        let inner = &*self.inner;
        let now = self.observe(now);
        let Some(token) = SessionToken::parse(token) else {
            return FirstLook::Malformed;
        };
        let id = token.session_id();
        let work_out = || Presented::of(&token, source, inner.brought(visit, now, can_wait));
        let mut presented = None;
        let known = inner.cache.use_session(
            id,
            || {
                let Presented { shown, brought } = presented.insert(work_out());
                (shown, brought)
            },
            read,
        );
        match known {
            Known::Active(answer) => FirstLook::Active(answer),
            known => {
                let presented = presented.unwrap_or_else(work_out);
                self.look_again(Asked { presented, known }, visit, read)
            }
        }
    }

    /// What memory makes of it once it is known which device it comes from, where that is what was wanted.
    #[cold]
    fn look_again<Answer>(
        &self,
        mut asked: Asked<Answer>,
        visit: &Visit<'_>,
        read: &impl Fn(SessionView<'_>) -> Answer,
    ) -> FirstLook<Answer> {
        if matches!(asked.known, Known::DeviceWanted) {
            let Presented { shown, brought } = &mut asked.presented;
            brought.device = Some(self.inner.device_of(visit, brought));
            asked.known = (self.inner.cache).use_session(shown.id, || (shown, brought), read);
        }
        match asked.known {
            Known::Active(answer) => FirstLook::Active(answer),
            known => FirstLook::Further(Asked { known, ..asked }),
        }
    }

    /// What becomes of a token that memory alone does not accept.
    async fn judge_further<Answer>(
        &self,
        asked: Asked<Answer>,
        visit: &Visit<'_>,
        read: &impl Fn(SessionView<'_>) -> Answer,
    ) -> Result<Verdict<Answer>, Unavailable> {
        let inner = &self.inner;
        let Asked {
            presented: Presented { shown, mut brought },
            mut known,
        } = asked;
        let id = shown.id;
        // Whether others write too, and whether a read that began for somebody else is out of the question.
        let leased = inner.cache.basis().is_leased();
        let mut alone = false;
        for reads in 0..=FILL_TRIES {
            match known {
                Known::Active(answer) => {
                    inner.counters.count_hit(false);
                    return Ok(Verdict::Active(answer));
                }
                Known::ActiveOnceWritten(answer) => {
                    inner.write_use(id).await?;
                    inner.counters.count_hit(reads == 0);
                    return Ok(Verdict::Active(answer));
                }
                Known::Expired(passed) if !leased => {
                    inner.record_passed(passed.expires_at).await?;
                    return Ok(Verdict::Refused(Refusal::Expired));
                }
                Known::Expired(passed) if reads > 0 => {
                    let passed = vec![(id, passed.last_used_at)];
                    if inner.expire(passed).await?.contains(&id) {
                        return Ok(Verdict::Refused(Refusal::Expired));
                    }
                    alone = true;
                }
                Known::OtherSource => return Ok(Verdict::Refused(Refusal::Unknown)),
                Known::WrongSecret => return Ok(Verdict::Refused(Refusal::WrongSecret)),
                // Of a session that memory takes for expired others may know a later use.
                Known::Expired(_) | Known::DeviceWanted | Known::Nothing => {}
            }
            alone |= leased && reads >= SHARED_READS;
            let fill = inner.cache.begin_fill(id.partition());
            let record = match inner.read(id, &fill, alone).await? {
                None => return Ok(Verdict::Refused(Refusal::Unknown)),
                Some(record) if record.ended.is_some() => {
                    return Ok(Verdict::Refused(Refusal::Ended));
                }
                Some(record) if record.expired => {
                    return Ok(Verdict::Refused(Refusal::Expired));
                }
                Some(record) => record,
            };
            let judge = |brought: &Brought| {
                let judged = inner
                    .cache
                    .use_read(&fill, &record, &shown, brought, alone, read);
                judged.unwrap_or(Known::Nothing)
            };
            known = judge(&brought);
            if matches!(known, Known::DeviceWanted) {
                brought.device = Some(inner.device_of(visit, &brought));
                known = judge(&brought);
            }
        }
        Err(Unavailable::because(
            "the partition was written too often to be read",
        ))
    }
}

/// What the first look at a token, and at memory, came to.
enum FirstLook<Answer> {
    /// It is accepted, and its use is recorded and counted.
    Active(Answer),
    /// It is none of ours.
    Malformed,
    /// More than memory is needed.
    Further(Asked<Answer>),
}

/// A token of ours in form, and what memory knows of it.
struct Asked<Answer> {
    presented: Presented,
    known: Known<Answer>,
}

/// What a request shows and brings.
struct Presented {
    shown: Shown,
    brought: Brought,
}

impl Presented {
    #[inline]
    fn of(token: &SessionToken, source: Option<AccountSource>, brought: Brought) -> Self {
        let shown = Shown {
            id: token.session_id(),
            hash: token.hash(),
            source,
        };
        Self { shown, brought }
    }
}

impl Inner {
    /// What a visit brings, but for the device.
    #[inline]
    fn brought(&self, visit: &Visit<'_>, now: Timestamp, can_wait: bool) -> Brought {
        Brought {
            at: now,
            ip_address: visit.ip_address,
            device_fingerprint: fingerprint_of(&visit.client),
            device: None,
            haste: self.haste(now),
            can_wait,
        }
    }

    /// The device that a visit comes from.
    fn device_of(&self, visit: &Visit<'_>, brought: &Brought) -> Arc<Device> {
        self.devices
            .resolve(&visit.client, brought.device_fingerprint)
    }

    /// What the store says of a session at this moment. Where others write too and nobody tells of it, or
    /// where it is to be read `alone`, no read counts that began for somebody else.
    async fn read(
        &self,
        id: SessionId,
        fill: &Fill,
        alone: bool,
    ) -> Result<Option<Arc<Record>>, Unavailable> {
        let leased = self.cache.basis().is_leased();
        if alone || (leased && fill.known_before().1.is_none()) {
            let (record, ()) = tokio::try_join!(self.store.find(id), self.learn_policies())?;
            return Ok(record.map(Arc::new));
        }
        let read = self.reads.join(id, fill, || self.store.find(id));
        if !leased {
            return read.await;
        }
        let mut found = None;
        // Where whoever began a read hangs up, one of those who wait for it begins anew.
        let joined = async { found = Some(read.await) };
        self.store.wait_behind(Box::pin(joined)).await?;
        found.unwrap_or_else(|| Err(Unavailable::because("a read was waited for and not done")))
    }
}
