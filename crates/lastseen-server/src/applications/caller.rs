//! Which application is asking, and about which of its accounts.
//!
//! An application is known by `Authorization: Bearer KEY` and by nothing else: a session token there is a bad
//! key, and the cookie, which a browser would add by itself, means nothing.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use lastseen::{AccountId, AccountKey, SessionId};
use lastseen_axum::extract::is_soundly_encoded;
use lastseen_axum::{Credential, Problem, SessionsContext};
use serde::Deserialize;

use super::service::{Application, Applications};

/// The application that made a request.
pub(super) struct Caller {
    pub(super) application: Arc<Application>,
    pub(super) context: SessionsContext,
    pub(super) applications: Applications,
}

impl FromRequestParts<Applications> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        applications: &Applications,
    ) -> Result<Self, Problem> {
        let context = SessionsContext::from_request_parts(parts, applications).await?;
        let application = match Credential::of(&parts.headers, context.cookie()) {
            Credential::Bearer(key) => applications.authenticate(key).await?,
            Credential::Nothing | Credential::Cookie(_) | Credential::Unclear => None,
        };
        Ok(Self {
            application: application.ok_or_else(no_key)?,
            context,
            applications: applications.clone(),
        })
    }
}

/// Nobody who has a key that is accepted.
pub(super) fn no_key() -> Problem {
    Problem::not_signed_in().with_detail("This request needs an application key.")
}

/// The account that a request's address names, of whichever application asks.
pub(super) struct NamedAccount(AccountId);

/// The account and the session that a request's address names. What is no id is the id of no session.
pub(super) struct NamedSession(AccountId, Option<SessionId>);

impl NamedAccount {
    /// The account, as the caller's.
    pub(super) fn of(self, caller: &Caller) -> AccountKey {
        caller.application.account(self.0)
    }

    /// Its id.
    pub(super) fn id(self) -> AccountId {
        self.0
    }
}

impl NamedSession {
    /// Account and session, as the caller's.
    pub(super) fn of(self, caller: &Caller) -> Result<(AccountKey, SessionId), Problem> {
        let id = self.1.ok_or_else(Problem::not_found)?;
        Ok((caller.application.account(self.0), id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamedAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segments { account, id: _ } = Segments::read(parts, state).await?;
        account_id(&account).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamedSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segments { account, id } = Segments::read(parts, state).await?;
        let id = id.and_then(|id| id.parse().ok());
        Ok(Self(account_id(&account)?, id))
    }
}

/// The changing segments of an address, decoded once. The router splits the address before it is decoded, so
/// that an encoded slash stays part of its segment.
#[derive(Deserialize)]
struct Segments {
    account: String,
    id: Option<String>,
}

impl Segments {
    async fn read<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let is_sound = is_soundly_encoded(parts.uri.path());
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) if is_sound => Ok(segments),
            _ => Err(Problem::invalid_request(
                "The address is not soundly percent-encoded.",
            )),
        }
    }
}

fn account_id(text: &str) -> Result<AccountId, Problem> {
    AccountId::new(text)
        .map_err(|_| Problem::invalid_request("The id of an account has 1 to 128 bytes."))
}
