//! `GET /api/v1/session`: the current session.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use lastseen::SessionView;

use super::json;
use crate::context::in_extensions;
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

/// The session that a request is made under, as JSON. It is written where the session lies: this request is made more
/// often than all others, and to take a session along costs more than to write it.
pub(super) struct Written(Vec<u8>);

impl<S: Sync> FromRequestParts<S> for Written {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let context = in_extensions(parts)?;
        let write = |session: SessionView<'_>, now| view_json(session, true, now);
        let accepted = context.accept(&parts.headers, &parts.extensions, write);
        match accepted.await? {
            Some(accepted) => Ok(Self(accepted.answer)),
            None => Err(Problem::not_signed_in()),
        }
    }
}
