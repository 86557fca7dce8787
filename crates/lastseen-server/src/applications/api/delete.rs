//! `DELETE /api/v1/accounts/{account}/sessions/{id}`: terminates an active session, removes an expired one
//! from the list.

use axum::response::Response;
use lastseen::EndedBy;
use lastseen_axum::api::no_content;
use lastseen_axum::{IgnoredBody, Problem};

use super::super::caller::{Caller, NamedSession};

#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{account}/sessions/{id}",
    operation_id = "delete_session_of_account",
    summary = "Terminates an active session, removes an expired one from the list",
    tag = "applications",
    params(
        ("account" = String, Path, min_length = 1, max_length = 128, description = "The application's own id for the account, percent-encoded."),
        ("id" = String, Path, pattern = "^[0-9a-v]{26}$", description = "The session's id."),
    ),
    responses((status = 204, description = "It is gone, also where it was before.")),
    security(("application" = [])),
)]
pub(super) async fn handle(
    caller: Caller,
    session: NamedSession,
    _: IgnoredBody,
) -> Result<Response, Problem> {
    let (account, id) = session.of(&caller)?;
    let sessions = caller.context.sessions();
    sessions
        .terminate(&account, &[id], EndedBy::Application, caller.context.now())
        .await?;
    Ok(no_content())
}
