//! `GET /api/v1/accounts/{account}/sessions?limit=&cursor=`: the sessions of one account, a page at a time.

use axum::extract::RawQuery;
use axum::response::Response;
use lastseen_axum::Problem;
use lastseen_axum::api::{ListQuery, json, page_json};

use super::super::caller::{Caller, NamedAccount};

#[utoipa::path(
    get,
    path = "/api/v1/accounts/{account}/sessions",
    operation_id = "list_sessions_of_account",
    summary = "The sessions of an account, active and expired",
    tag = "applications",
    params(
        ("account" = String, Path, min_length = 1, max_length = 128, description = "The application's own id for the account, percent-encoded."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many sessions; 50 unless told."),
        ("cursor" = Option<String>, Query, pattern = "^[A-Za-z0-9_-]{32}$", description = "The next_cursor of an earlier page."),
    ),
    responses((status = 200, description = "A part of the list, newest use first; empty for an account that was never named.", body = ref("#/components/schemas/SessionPage"))),
    security(("application" = [])),
)]
pub(super) async fn handle(
    caller: Caller,
    account: NamedAccount,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ListQuery { limit, after } = ListQuery::read(query.as_deref().unwrap_or_default())?;
    let account = account.of(&caller);
    let now = caller.context.now();
    let sessions = caller.context.sessions();
    let page = sessions.list(&account, None, limit, after, now).await?;
    Ok(json(page_json(&page, None, now)))
}
