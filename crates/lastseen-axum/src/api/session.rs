//! `GET /api/v1/session`: the current session.

use axum::response::Response;

use super::json;
use crate::context::CurrentSession;
use crate::view::session_json;

pub(super) async fn handle(current: CurrentSession) -> Response {
    json(session_json(&current.session, true, current.now))
}
