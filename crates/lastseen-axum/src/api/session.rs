//! `GET /api/v1/session`: the current session.

use axum::response::Response;

use super::json;
use crate::context::CurrentSession;
use crate::view::session_json;

#[cfg_attr(feature = "openapi", utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "current_session",
    summary = "The current session",
    tag = "sessions",
    responses((status = 200, description = "The session that the request is made under.", body = super::openapi::Session)),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(current: CurrentSession) -> Response {
    json(session_json(&current.session, true, current.now))
}
