//! `POST /api/v1/accounts/{account}/sessions/terminate`: ends several sessions, all or none of them.

use axum::response::Response;
use lastseen::EndedBy;
use lastseen_axum::api::{TerminateRequest, terminated};
use lastseen_axum::{ApiJson, Problem};

use super::super::caller::{Caller, NamedAccount};

#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/sessions/terminate",
    operation_id = "terminate_sessions_of_account",
    summary = "Ends several sessions, all or none of them",
    tag = "applications",
    params(("account" = String, Path, min_length = 1, max_length = 128, description = "The application's own id for the account, percent-encoded.")),
    request_body = TerminateRequest,
    responses((status = 200, description = "They are gone.", body = ref("#/components/schemas/Terminated"))),
    security(("application" = [])),
)]
pub(super) async fn handle(
    caller: Caller,
    account: NamedAccount,
    ApiJson(request): ApiJson<TerminateRequest>,
) -> Result<Response, Problem> {
    let ids = request.into_ids()?;
    let account = account.of(&caller);
    let sessions = caller.context.sessions();
    let count = sessions
        .terminate(&account, &ids, EndedBy::Application, caller.context.now())
        .await?;
    Ok(terminated(count))
}
