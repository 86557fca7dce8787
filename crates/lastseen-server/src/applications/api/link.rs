//! `POST /api/v1/accounts/{account}/sessions/{id}/link`: a single-use address that signs the session in to
//! the pages.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use lastseen_axum::api::json;
use lastseen_axum::{IgnoredBody, Problem, view};
use zeroize::Zeroizing;

use super::super::caller::{Caller, NamedSession};
use super::super::links::NoLink;

/// A link into the pages.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what `handle` writes")]
struct Link {
    /// Where to lead the visitor's browser. It works once.
    #[schema(example = "https://account.example/link/lsl_…")]
    url: String,
    /// From when on it is worth nothing.
    #[schema(format = DateTime)]
    expires_at: String,
}

#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/sessions/{id}/link",
    operation_id = "link_session_of_account",
    summary = "A single-use address, good for a minute, that signs the session in to the pages",
    tag = "applications",
    params(
        ("account" = String, Path, min_length = 1, max_length = 128, description = "The application's own id for the account, percent-encoded."),
        ("id" = String, Path, pattern = "^[0-9a-v]{26}$", description = "The session's id."),
    ),
    responses((status = 201, description = "A page with one button. Opening it uses nothing up; the button does.", body = Link)),
    security(("application" = [])),
)]
pub(super) async fn handle(
    caller: Caller,
    session: NamedSession,
    _: IgnoredBody,
) -> Result<Response, Problem> {
    let (account, id) = session.of(&caller)?;
    let link = caller
        .applications
        .make_link(&caller.application, &account, id)
        .await?;
    let url = Zeroizing::new(caller.context.public_url().address_of(&link.path));
    let mut body = Vec::with_capacity(160);
    body.extend_from_slice(b"{\"url\":");
    view::write_string(&mut body, &url);
    body.extend_from_slice(b",\"expires_at\":");
    view::write_string(&mut body, &view::rfc3339(link.expires_at));
    body.push(b'}');
    Ok((StatusCode::CREATED, json(body)).into_response())
}

impl From<NoLink> for Problem {
    fn from(no_link: NoLink) -> Self {
        match no_link {
            NoLink::NotFound => Self::not_found(),
            NoLink::Refused(refused) => refused.into(),
        }
    }
}
