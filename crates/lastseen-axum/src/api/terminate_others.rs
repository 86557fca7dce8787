//! `POST /api/v1/sessions/terminate-others`: every session of the account but the current one leaves the list.

use axum::response::Response;
use lastseen::{EndedBy, Session, TerminateError};

use super::terminated;
use crate::context::CurrentSession;
use crate::extract::IgnoredBody;
use crate::problem::Problem;

#[cfg_attr(feature = "openapi", utoipa::path(
    post,
    path = "/api/v1/sessions/terminate-others",
    operation_id = "terminate_other_sessions",
    summary = "Ends every session of the account but the current one",
    tag = "sessions",
    responses((status = 200, description = "They are gone.", body = super::openapi::Terminated)),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(current: CurrentSession, _: IgnoredBody) -> Result<Response, Problem> {
    let Session {
        id: own, account, ..
    } = &current.session;
    let sessions = current.context().sessions();
    let ended = sessions
        .terminate_others(
            &account.key,
            Some(*own),
            EndedBy::Session(*own),
            current.now,
        )
        .await;
    match ended {
        Ok(count) => Ok(terminated(count)),
        // The session to keep is the caller's own: it has ended since it was checked.
        Err(TerminateError::NotFound) => Err(Problem::not_signed_in()),
        Err(error) => Err(error.into()),
    }
}
