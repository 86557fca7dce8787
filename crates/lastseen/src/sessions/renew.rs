//! Another token for the same session.

use std::sync::Arc;

use super::{Sessions, to_the_end};
use crate::session::SessionId;
use crate::store::Unavailable;
use crate::time::Entropy;
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
        let generation = match self.inner.cache.peek_token(id) {
            Some((_, generation)) => generation,
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
}
