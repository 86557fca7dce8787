//! Is this token accepted?

use super::Sessions;
use super::cache::{Brought, Known};
use super::devices::fingerprint_of;
use crate::account::AccountSource;
use crate::session::{Session, Status, Visit};
use crate::store::Unavailable;
use crate::time::Timestamp;
use crate::token::SessionToken;

/// How often a session is read again because its partition was written meanwhile. A read takes
/// microseconds; so many writes in a row, each in the same thousandth of the ids, are a fault.
const FILL_TRIES: usize = 64;

/// What became of a token.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is accepted, and its use is recorded.
    Active(Session),
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
        let verdict = self.judge(token, None, visit, now).await;
        self.inner.counters.count_verdict(&verdict);
        verdict
    }

    /// The same for one who may know of the sessions of one source only, an application: a token of another
    /// source is refused as unknown, and its session is not used by that.
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
        let verdict = self.judge(token, Some(source), visit, now).await;
        self.inner.counters.count_verdict(&verdict);
        verdict
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

    async fn judge(
        &self,
        token: &[u8],
        source: Option<AccountSource>,
        visit: &Visit<'_>,
        now: Timestamp,
    ) -> Result<Verdict, Unavailable> {
        let inner = &*self.inner;
        let now = self.observe(now);
        let Some(token) = SessionToken::parse(token) else {
            return Ok(Verdict::Refused(Refusal::Malformed));
        };
        let (id, hash) = (token.session_id(), token.hash());
        let mut brought = Brought {
            at: now,
            ip_address: visit.ip_address,
            device_fingerprint: fingerprint_of(&visit.client),
            device: None,
        };
        let mut read = false;
        for _ in 0..FILL_TRIES {
            let known = inner
                .cache
                .use_session(id, &hash, source, &brought, &inner.history);
            match known {
                Known::Active(session) => {
                    inner.counters.count_hit(!read);
                    return Ok(Verdict::Active(session));
                }
                Known::Expired(session) => {
                    inner.record_passed(session.expires_at).await?;
                    return Ok(Verdict::Refused(Refusal::Expired));
                }
                Known::OtherSource => return Ok(Verdict::Refused(Refusal::Unknown)),
                Known::WrongSecret => return Ok(Verdict::Refused(Refusal::WrongSecret)),
                Known::DeviceWanted => {
                    brought.device = Some(
                        inner
                            .devices
                            .resolve(&visit.client, brought.device_fingerprint),
                    );
                    continue;
                }
                Known::Nothing => read = true,
            }
            let fill = inner.cache.begin_fill(id.partition());
            let read = || inner.store.find(id);
            match inner.reads.join(id, &fill, read).await? {
                None => return Ok(Verdict::Refused(Refusal::Unknown)),
                Some(record) if record.ended.is_some() => {
                    return Ok(Verdict::Refused(Refusal::Ended));
                }
                Some(record) => inner.cache.finish_fill(&fill, &record),
            };
        }
        Err(Unavailable::because(
            "the partition was written too often to be read",
        ))
    }
}
