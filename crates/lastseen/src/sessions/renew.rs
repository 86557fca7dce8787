//! Another token for the same session.

use std::sync::Arc;

use super::{Sessions, to_the_end};
use crate::session::{SessionId, Status};
use crate::store::Unavailable;
use crate::time::{Entropy, Timestamp};
use crate::token::SessionToken;

impl Sessions {
    /// Gives a session another token: when this returns, the old one is refused.
    ///
    /// `None` where the session has ended, or was given another token at the same time.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked; then nobody knows which token counts, and the
    /// person has to sign in again.
    pub async fn renew_token(
        &self,
        id: SessionId,
        entropy: &dyn Entropy,
    ) -> Result<Option<SessionToken>, Unavailable> {
        let generation = match self.inner.cache.token_generation(id) {
            Some(generation) => generation,
            None => match self.inner.store.find(id).await? {
                Some(record) if record.ended.is_none() => record.token_generation,
                _ => return Ok(None),
            },
        };
        let Some(generation) = generation.checked_add(1) else {
            return Ok(None);
        };
        let token = SessionToken::generate(*id.as_bytes(), entropy);
        let hash = token.hash();
        let inner = Arc::clone(&self.inner);
        let renewed = to_the_end(async move {
            let renewed = inner.store.renew(id, hash, generation).await;
            match renewed {
                Ok(true) => inner.cache.renewed(id, hash, generation),
                Ok(false) => {}
                Err(_) => inner.cache.doubt(id),
            }
            renewed
        })
        .await?;
        Ok(renewed.then_some(token))
    }

    /// Gives a session that is active a second token, for a browser that was sent into the pages by a
    /// link; an earlier second one is refused from then on. The first token stays valid, and the end of
    /// the session is the end of both.
    ///
    /// `None` where the session is not active.
    ///
    /// # Errors
    /// [`Unavailable`] where the store could not be asked.
    pub async fn page_token(
        &self,
        id: SessionId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Option<SessionToken>, Unavailable> {
        let now = self.observe(now);
        match self.inner.find(id).await? {
            Some(session) if session.status(now) == Status::Active => {}
            _ => return Ok(None),
        }
        let token = SessionToken::generate(*id.as_bytes(), entropy);
        let hash = token.hash();
        let inner = Arc::clone(&self.inner);
        let given = to_the_end(async move {
            let given = inner.store.set_page_token(id, hash).await;
            inner.cache.page_token_set(id);
            given
        })
        .await?;
        Ok(given.then_some(token))
    }
}
