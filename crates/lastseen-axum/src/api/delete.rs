//! `DELETE /api/v1/sessions/{id}`: terminates an active session, removes an expired one from the list.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use http::Uri;
use lastseen::{EndedBy, Session, SessionId};

use super::no_content;
use crate::context::CurrentSession;
use crate::extract::{IgnoredBody, is_soundly_encoded};
use crate::problem::Problem;

#[cfg_attr(feature = "openapi", utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    operation_id = "delete_session",
    summary = "Terminates an active session, removes an expired one from the list",
    tag = "sessions",
    params(("id" = String, Path, pattern = "^[0-9a-v]{26}$", description = "The session's id.")),
    responses((status = 204, description = "It is gone, also where it was before. With the current one the cookie is cleared.")),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(
    current: CurrentSession,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
    _: IgnoredBody,
) -> Result<Response, Problem> {
    let id = match id {
        Ok(Path(id)) if is_soundly_encoded(uri.path()) => id,
        _ => {
            return Err(Problem::invalid_request(
                "The address is not soundly percent-encoded.",
            ));
        }
    };
    // What is no id is the id of nothing.
    let id: SessionId = id.parse().map_err(|_| Problem::not_found())?;
    let Session {
        id: own, account, ..
    } = &current.session;
    let sessions = current.context().sessions();
    sessions
        .terminate(&account.key, &[id], EndedBy::Session(*own), current.now)
        .await?;
    let mut response = no_content();
    if id == *own {
        current.sign_out(response.headers_mut());
    }
    Ok(response)
}
