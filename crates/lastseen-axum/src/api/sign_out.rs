//! `POST /api/v1/sign-out`: ends the current session, and clears what the browser kept of it.

use axum::response::Response;
use lastseen::{EndedBy, Session};

use super::no_content;
use crate::context::CurrentSession;
use crate::extract::IgnoredBody;
use crate::problem::Problem;

#[cfg_attr(feature = "openapi", utoipa::path(
    post,
    path = "/api/v1/sign-out",
    operation_id = "sign_out",
    summary = "Ends the current session",
    tag = "sessions",
    responses((status = 204, description = "It has ended, and the cookie is cleared.")),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(current: CurrentSession, _: IgnoredBody) -> Result<Response, Problem> {
    let Session {
        id: own, account, ..
    } = &current.session;
    let sessions = current.context().sessions();
    sessions
        .terminate(&account.key, &[*own], EndedBy::Session(*own), current.now)
        .await?;
    let mut response = no_content();
    current.sign_out(response.headers_mut());
    Ok(response)
}
