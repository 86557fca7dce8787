//! The first account: a one-time link that is printed where there is none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lastseen::token::{Secret, SetUpSecret};
use lastseen::{Timestamp, Unavailable, to_the_end};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::service::{Inner, SignIn, SignedIn, Visitor};
use super::store::OfferedLink;
use crate::accounts::{AccountError, Busy, NotAName, Password, PasswordRefusal};

/// How long the link is good: the contract's hour.
pub const GOOD_FOR: Duration = Duration::from_hours(1);

/// A link that makes the first account. It is shown once, on the terminal of whoever started the server.
pub struct SetUpLink {
    /// Its path on this server, secret included.
    pub path: Zeroizing<String>,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SetUpLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SetUpLink")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why the first account was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SetUpRefused {
    /// The link is unknown, too old, or was used; or there is an account. Never said which.
    #[error("this link is not good any more")]
    NotGood,
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// The password may not be one.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The store could not be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<AccountError> for SetUpRefused {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Name(error) => Self::Name(error),
            AccountError::Password(error) => Self::Password(error),
            AccountError::NameTaken | AccountError::NotTheFirst | AccountError::Unknown => {
                Self::NotGood
            }
            AccountError::Busy(error) => Self::Busy(error),
            AccountError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// What this process does about the first account.
#[derive(Default)]
pub(super) struct SetUp {
    /// The public name of the link that it offered last.
    offered: Mutex<Option<[u8; 16]>>,
    /// Held by the one who is making the first account, so that of fifty who press at once one pays for a hash.
    making: tokio::sync::Mutex<()>,
}

impl SignIn {
    /// Makes a new link, if there is no account; the one that this process made before it is worth nothing any
    /// more. Where several processes share the database, each takes the links of all.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn offer_set_up(&self) -> Result<Option<SetUpLink>, Unavailable> {
        let inner = &self.inner;
        if inner.accounts.store().count().await? > 0 {
            inner.store.forget_set_up().await?;
            return Ok(None);
        }
        let mut name = [0; 16];
        inner.entropy.fill(&mut name);
        let secret = Secret::<SetUpSecret>::generate(name, inner.entropy.as_ref());
        let expires_at = inner.now().saturating_add(GOOD_FOR);
        let link = OfferedLink {
            id: name,
            secret_hash: secret.hash(),
            expires_at,
        };
        let before = inner.set_up.offered.lock().replace(name);
        inner.store.offer_set_up(link, before).await?;
        let path = Zeroizing::new(format!(
            "/set-up/{}",
            Zeroizing::new(secret.reveal()).as_str()
        ));
        Ok(Some(SetUpLink { path, expires_at }))
    }

    /// Whether `secret` is that of the link, and the link is good. Changes nothing.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn may_set_up(&self, secret: &[u8]) -> Result<bool, Unavailable> {
        self.inner.may_set_up(secret).await
    }

    /// Makes the first account and signs its owner in; the link is worth nothing afterwards.
    ///
    /// A name or a password that cannot be leaves the link as it is.
    ///
    /// # Errors
    /// [`SetUpRefused`].
    pub async fn set_up(
        &self,
        secret: Zeroizing<Vec<u8>>,
        name: String,
        password: Password,
        visitor: Visitor,
    ) -> Result<SignedIn, SetUpRefused> {
        let inner = Arc::clone(&self.inner);
        to_the_end(async move { inner.set_up(&secret, &name, &password, &visitor).await }).await
    }
}

impl Inner {
    async fn may_set_up(&self, secret: &[u8]) -> Result<bool, Unavailable> {
        let Some(secret) = Secret::<SetUpSecret>::parse(secret) else {
            return Ok(false);
        };
        let Some(good) = self.store.find_set_up(&secret.name()).await? else {
            return Ok(false);
        };
        if self.now() >= good.expires_at || good.secret_hash != secret.hash() {
            return Ok(false);
        }
        Ok(self.accounts.store().count().await? == 0)
    }

    async fn set_up(
        &self,
        secret: &[u8],
        name: &str,
        password: &Password,
        visitor: &Visitor,
    ) -> Result<SignedIn, SetUpRefused> {
        let mut making = None;
        let turn = async { making = Some(self.set_up.making.lock().await) };
        self.store.wait_behind(Box::pin(turn)).await?;
        if !self.may_set_up(secret).await? {
            tracing::warn!(ip_address = visitor.shown_address(), "set-up link refused");
            return Err(SetUpRefused::NotGood);
        }
        // The store adds it only where there is none yet, so even another process could not come between.
        let account = self.accounts.add_first(name, password).await?;
        if let Err(fault) = self.store.forget_set_up().await {
            // It is worth nothing anyway, now that there is an account.
            tracing::warn!(%fault, "the set-up link could not be forgotten");
        }
        tracing::info!(
            account = %account.id,
            ip_address = visitor.shown_address(),
            "first account made through the set-up link"
        );
        let signed_in = self
            .begin_session(&account, false, visitor)
            .await?
            .ok_or(SetUpRefused::NotGood)?;
        self.count(None);
        Ok(signed_in)
    }
}
