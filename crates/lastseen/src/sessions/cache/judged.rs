//! What is asked of the cache, and what it answers.

use crate::account::AccountSource;
use crate::session::SessionId;
use crate::time::Timestamp;
use crate::token::SecretHash;

/// What comes with a request, and is judged.
#[derive(Clone, Copy, Debug)]
pub(in crate::sessions) struct Shown {
    /// The session that the token names.
    pub(in crate::sessions) id: SessionId,
    /// The hash of its secret.
    pub(in crate::sessions) hash: SecretHash,
    /// Where it is given, a session of another source is none.
    pub(in crate::sessions) source: Option<AccountSource>,
}

/// What the cache knows of a token.
#[derive(Debug)]
pub(in crate::sessions) enum Known<Answer> {
    /// Active, and its use is recorded. With what was read of the session while its partition was locked.
    Active(Answer),
    /// The same, and the use must be written before this is answered: see [`Haste`](super::Haste).
    ActiveOnceWritten(Answer),
    /// Its deadline has passed: it is refused.
    Expired(Passed),
    /// The session is there; the secret is not its secret.
    WrongSecret,
    /// The session is there; its account is of another source than that of whoever asks.
    OtherSource,
    /// It is active, and comes from another device than before: say which, then ask again.
    DeviceWanted,
    /// Nothing is cached: ask the store.
    Nothing,
}

/// By what a session is expired.
#[derive(Clone, Copy, Debug)]
pub(in crate::sessions) struct Passed {
    /// The last use that the verdict went by.
    pub(in crate::sessions) last_used_at: Timestamp,
    /// The deadline that has passed.
    pub(in crate::sessions) expires_at: Timestamp,
}
