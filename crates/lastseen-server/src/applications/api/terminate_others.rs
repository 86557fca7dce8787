//! `POST /api/v1/accounts/{account}/sessions/terminate-others`: every session of the account but one leaves
//! the list, or every one.

use axum::response::Response;
use lastseen::EndedBy;
use lastseen_axum::api::terminated;
use lastseen_axum::{ApiJson, Problem};
use serde::{Deserialize, Deserializer};

use super::super::caller::{Caller, NamedAccount};

/// Which session to keep.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = TerminateOthers)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminateOthersRequest {
    /// The id of the session that stays; `null` for none. It must be there: an empty object is more likely a mistake
    /// than the wish to end everything.
    #[serde(deserialize_with = "there")]
    #[schema(required, pattern = "^[0-9a-v]{26}$")]
    keep: Option<String>,
}

/// Reads a member that may be null and must not be missing: with a function of its own it has no default.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/sessions/terminate-others",
    operation_id = "terminate_other_sessions_of_account",
    summary = "Ends every session of an account but one, or every one",
    tag = "applications",
    params(("account" = String, Path, min_length = 1, max_length = 128, description = "The application's own id for the account, percent-encoded.")),
    request_body = TerminateOthersRequest,
    responses((status = 200, description = "They are gone.", body = ref("#/components/schemas/Terminated"))),
    security(("application" = [])),
)]
pub(super) async fn handle(
    caller: Caller,
    account: NamedAccount,
    ApiJson(TerminateOthersRequest { keep }): ApiJson<TerminateOthersRequest>,
) -> Result<Response, Problem> {
    // What is no id is the id of nothing, and there is nothing to keep then.
    let keep = keep.map(|keep| keep.parse()).transpose();
    let keep = keep.map_err(|_| Problem::not_found())?;
    let account = account.of(&caller);
    let sessions = caller.context.sessions();
    let count = sessions
        .terminate_others(&account, keep, EndedBy::Application, caller.context.now())
        .await?;
    Ok(terminated(count))
}
