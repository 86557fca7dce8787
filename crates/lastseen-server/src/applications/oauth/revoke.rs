//! `POST /api/v1/revoke`: this token shall not be accepted any more (RFC 7009).

use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use lastseen::{EndedBy, TerminateError};
use lastseen_axum::Problem;
use zeroize::Zeroizing;

use super::super::caller::Caller;
use super::error_response;
use super::parameters::Parameters;

/// The token whose session is to end.
#[derive(utoipa::ToSchema)]
#[schema(as = Revoke)]
#[expect(dead_code, reason = "describes what `Parameters` reads")]
struct RevokeRequest {
    /// The token.
    #[schema(min_length = 1)]
    token: String,
    /// Ignored: there is one kind of token (RFC 7009, 2.1 lets the server ignore it).
    #[schema(value_type = String, required = false)]
    token_type_hint: Option<String>,
}

/// A refusal in the form of RFC 6749, 5.2.
#[derive(utoipa::ToSchema)]
#[schema(as = OAuthError)]
#[expect(dead_code, reason = "describes what `error_response` writes")]
struct OauthError {
    error: OauthErrorCode,
    /// What happened, for people.
    error_description: String,
    /// The stable name of this kind of failure, as in problem documents.
    code: String,
}

#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what `error_response` writes")]
enum OauthErrorCode {
    InvalidRequest,
    InvalidClient,
}

/// Ends the session of an active token of the application. Any other token, an unknown one, another
/// application's, an expired one, changes nothing and is answered the same: there is nothing that a client
/// could do about it (RFC 7009, 2.2).
#[utoipa::path(
    post,
    path = "/api/v1/revoke",
    operation_id = "revoke",
    summary = "Ends the session of a token (RFC 7009)",
    tag = "applications",
    request_body(content = RevokeRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is not accepted any more, if it ever was."),
        (status = 400, description = "`invalid_request`: the token is missing, or a parameter is sent twice.", body = OauthError),
        (status = 401, description = "`invalid_client`: no application key, or one that is not accepted.", body = OauthError),
    ),
    security(("application" = [])),
)]
pub(super) async fn handle(
    headers: HeaderMap,
    caller: Result<Caller, Problem>,
    parameters: Result<Parameters, Problem>,
) -> Response {
    match revoke(caller, parameters).await {
        Ok(()) => (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response(),
        Err(problem) => error_response(problem, &headers),
    }
}

async fn revoke(
    caller: Result<Caller, Problem>,
    parameters: Result<Parameters, Problem>,
) -> Result<(), Problem> {
    let (caller, mut parameters) = (caller?, parameters?);
    let token = Zeroizing::new(parameters.take_token()?);
    // Ignored, but it may not be sent twice.
    parameters.take("token_type_hint")?;
    let now = caller.context.now();
    let sessions = caller.context.sessions();
    let session = sessions.identify(token.as_bytes(), now).await?;
    let Some(session) =
        session.filter(|session| session.account.key.source == caller.application.source())
    else {
        return Ok(());
    };
    match sessions
        .terminate(
            &session.account.key,
            &[session.id],
            EndedBy::Application,
            now,
        )
        .await
    {
        // It has ended meanwhile, and its record was purged.
        Ok(_) | Err(TerminateError::NotFound) => Ok(()),
        Err(TerminateError::Unavailable(fault)) => Err(fault.into()),
    }
}
