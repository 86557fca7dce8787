//! `POST /api/v1/sessions/terminate`: ends several sessions, all or none of them.

use std::collections::BTreeSet;

use axum::response::Response;
use lastseen::{EndedBy, Session, SessionId};

use super::{MOST_IDS, terminated};
use crate::context::CurrentSession;
use crate::extract::ApiJson;
use crate::problem::Problem;

/// Which sessions to end.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Terminate))]
pub struct TerminateRequest {
    /// Their ids. One that occurs twice counts once.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, min_items = 1, max_items = 1000))]
    ids: BTreeSet<String>,
}

impl TerminateRequest {
    /// The ids.
    ///
    /// # Errors
    /// `invalid_request` where there are none or too many; `not_found` where one is no id: what is no id is the id of
    /// nothing, and then none of them ends.
    pub fn into_ids(self) -> Result<Vec<SessionId>, Problem> {
        let Self { ids } = self;
        if ids.is_empty() || ids.len() > MOST_IDS {
            return Err(Problem::invalid_request(
                "ids must have 1 to 1,000 session ids.",
            ));
        }
        let ids: Result<_, _> = ids.iter().map(|id| id.parse()).collect();
        ids.map_err(|_| Problem::not_found())
    }
}

#[cfg_attr(feature = "openapi", utoipa::path(
    post,
    path = "/api/v1/sessions/terminate",
    operation_id = "terminate_sessions",
    summary = "Ends several sessions, all or none of them",
    tag = "sessions",
    request_body = TerminateRequest,
    responses(
        (status = 200, description = "They are gone. With the current one among them the cookie is cleared.", body = super::openapi::Terminated),
        (status = 404, description = "`not_found`: one of them is unknown or not the caller's, and none has ended.",
            body = super::openapi::Problem, content_type = "application/problem+json"),
    ),
    security(("cookie" = []), ("bearer" = [])),
))]
pub(super) async fn handle(
    current: CurrentSession,
    ApiJson(request): ApiJson<TerminateRequest>,
) -> Result<Response, Problem> {
    let ids = request.into_ids()?;
    let Session {
        id: own, account, ..
    } = &current.session;
    let sessions = current.context().sessions();
    let count = sessions
        .terminate(&account.key, &ids, EndedBy::Session(*own), current.now)
        .await?;
    let mut response = terminated(count);
    if ids.contains(own) {
        current.sign_out(response.headers_mut());
    }
    Ok(response)
}
