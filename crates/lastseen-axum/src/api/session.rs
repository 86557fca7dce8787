//! `GET /api/v1/session`: the current session.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use lastseen::{SessionId, SessionView, Timestamp};

use super::json;
use crate::caller::peer_address;
use crate::context::{Accepted, SessionsContext, in_extensions, note_seen};
use crate::problem::Problem;
use crate::view::view_json;

#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "current_session",
    summary = "The current session",
    tag = "sessions",
    responses((status = 200, description = "The session that the request is made under.", body = super::openapi::Session)),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(Written(current): Written) -> Response {
    json(current)
}

/// The session that a request is made under, as JSON.
pub(super) struct Written(Vec<u8>);

impl<S: Sync> FromRequestParts<S> for Written {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let context = in_extensions(parts)?;
        let peer = peer_address(&parts.extensions);
        let current = current(context, &parts.headers, peer).await?;
        note_seen(&parts.extensions, current.id);
        Ok(Self(current.json))
    }
}

/// What `GET /api/v1/session` answers.
#[derive(Clone, Debug)]
pub struct CurrentJson {
    /// The session.
    pub id: SessionId,
    /// The instant at which its token was judged.
    pub at: Timestamp,
    /// The session as JSON: the body of the answer.
    pub json: Vec<u8>,
}

impl CurrentJson {
    fn of(accepted: Accepted<Vec<u8>>) -> Self {
        Self {
            id: accepted.id,
            at: accepted.now,
            json: accepted.answer,
        }
    }
}

/// Answers `GET /api/v1/session` for a request with these headers: for a server that does not want to lead its most
/// frequent request through a router. `peer` is the address at the other end of the connection.
///
/// The JSON is written where the session lies: to take a session along costs more than to write it.
///
/// # Errors
/// `not_signed_in` where no token of the request is accepted, `unavailable` where the store cannot be asked.
pub async fn current(
    context: &SessionsContext,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<CurrentJson, Problem> {
    match context.accept(headers, peer, written).await? {
        Some(accepted) => Ok(CurrentJson::of(accepted)),
        None => Err(Problem::not_signed_in()),
    }
}

/// The part of [`current`] that never waits: the answer, where memory alone accepts the token. `None` is no refusal, but
/// leaves the answer to [`current`].
pub fn current_from_memory(
    context: &SessionsContext,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Option<CurrentJson> {
    context
        .accept_from_memory(headers, peer, written)
        .map(CurrentJson::of)
}

fn written(session: SessionView<'_>, now: Timestamp) -> Vec<u8> {
    view_json(session, true, now)
}
