//! Changing the password.

use std::sync::Arc;

use lastseen::{AccountSource, EndedBy, Session, TerminateError, Unavailable, to_the_end};

use super::service::{Inner, Refused, SignIn, SignedIn, Visitor};
use super::throttle::{Counter, Counters};
use crate::accounts::{Asker, Busy, Change, Password, PasswordRefusal};

/// Why a password was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// The session has ended.
    #[error("the session has ended")]
    NotSignedIn,
    /// The new password may not be one.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// As at sign-in.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<Busy> for ChangeRefused {
    fn from(busy: Busy) -> Self {
        Self::Refused(busy.into())
    }
}

impl From<Unavailable> for ChangeRefused {
    fn from(unavailable: Unavailable) -> Self {
        Self::Refused(unavailable.into())
    }
}

impl SignIn {
    /// Changes the password of the session's account: ends every other session, and gives this one a new
    /// token. The old token is refused from then on.
    ///
    /// # Errors
    /// [`ChangeRefused`]; then the password is what it was, or nobody knows.
    pub async fn change_password(
        &self,
        session: Session,
        current: Password,
        new: Password,
        visitor: Visitor,
    ) -> Result<SignedIn, ChangeRefused> {
        let inner = Arc::clone(&self.inner);
        let change = async move {
            let outcome = inner.change_password(session, current, new, &visitor).await;
            if let Err(ChangeRefused::Refused(refused)) = &outcome {
                inner.count(Some(refused));
            }
            outcome
        };
        to_the_end(change).await
    }
}

impl Inner {
    async fn change_password(
        &self,
        session: Session,
        current: Password,
        new: Password,
        visitor: &Visitor,
    ) -> Result<SignedIn, ChangeRefused> {
        let key = &session.account.key;
        if key.source != AccountSource::BuiltIn {
            // Its password, if it has one, is the application's business.
            return Err(Refused::Credentials.into());
        }
        let accounts = self.accounts.store();
        let account = accounts
            .find(&key.id)
            .await?
            .ok_or(ChangeRefused::NotSignedIn)?;
        let name = account.name.key();
        let counters = Counters {
            pair: Counter::of_session(session.id),
            name: Counter::of_name(&name),
            known_visitor: Some(Counter::of_known_visitor(session.id.as_bytes())),
        };
        let hash = Some(account.password_hash.clone());
        let (verdict, reservation) = self.verify(counters, current, hash, None, visitor).await?;
        if !verdict.matches || account.disabled {
            tracing::warn!(
                account = %account.id,
                session = %session.id,
                ip_address = visitor.shown_address(),
                "change of the password refused: the current one is wrong"
            );
            return Err(self.failed(reservation, visitor).await.into());
        }
        drop(reservation);
        let hash = self
            .hashing
            .hash_new(Asker::Visitor, new, account.name.as_str())
            .await??;
        let by = EndedBy::Password(Some(session.id));
        // Ended before and after: whatever breaks off in between, no session outlives the old password.
        self.end_others(&session, by).await?;
        if !accounts
            .change(&account.id, account.version, Change::Password(hash))
            .await?
        {
            // Somebody else changed it first: the current password is not the current one any more.
            return Err(Refused::Credentials.into());
        }
        let ended = self.end_others(&session, by).await?;
        let now = self.now();
        let token = self
            .sessions
            .renew_token(session.id, self.entropy.as_ref())
            .await?
            .ok_or(ChangeRefused::NotSignedIn)?;
        tracing::info!(
            account = %account.id,
            session = %session.id,
            ended,
            ip_address = visitor.shown_address(),
            "password changed"
        );
        Ok(SignedIn {
            token,
            session,
            mark: None,
            now,
        })
    }

    async fn end_others(&self, session: &Session, by: EndedBy) -> Result<u64, ChangeRefused> {
        let key = &session.account.key;
        match self
            .sessions
            .terminate_others(key, Some(session.id), by, self.now())
            .await
        {
            Ok(ended) => Ok(ended),
            // Our own session has ended meanwhile.
            Err(TerminateError::NotFound) => Err(ChangeRefused::NotSignedIn),
            Err(TerminateError::Unavailable(fault)) => Err(fault.into()),
        }
    }
}
