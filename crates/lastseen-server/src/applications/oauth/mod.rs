//! What applications ask for in the words of OAuth 2.0, so that a library which speaks them needs nothing of
//! ours.
//!
//! | request | source | file |
//! | --- | --- | --- |
//! | `POST /api/v1/introspect` | RFC 7662 | `introspect.rs` |
//! | `POST /api/v1/revoke` | RFC 7009 | `revoke.rs` |
//!
//! The key comes as a Bearer token: RFC 7662, 2.1 names that as one way to authorize the call, and RFC 7009,
//! 2.1 leaves the way to the server.
//!
//! # Errors
//! A refusal is a problem document, as everywhere, except where an RFC prescribes another form: for
//! revocation RFC 7009, 2.2.1 does, see [`error_response`]. A 401 carries the challenge that RFC 6750, 3 asks
//! for, which RFC 7662, 2.3 refers to: `error="invalid_token"` where a key was sent. No RFC says what answers
//! a content type that is none of the form's, so that is 415 as on every other form route of ours. A request
//! with neither a type nor a body is one without parameters.

mod introspect;
mod parameters;
mod revoke;

pub(super) use parameters::Parameters;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use lastseen_axum::{Code, Problem, problem};

use super::service::Applications;

/// The requests in the words of OAuth. The layer of sessions belongs around them.
pub fn router<S: Clone + Send + Sync + 'static>(applications: Applications) -> Router<S> {
    Router::new()
        .route("/api/v1/introspect", post(introspect::handle))
        .route("/api/v1/revoke", post(revoke::handle))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(applications)
}

/// The description of these requests, to be merged into that of the whole interface.
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(introspect::handle, revoke::handle))]
    struct Requests;
    super::described(Requests::openapi())
}

/// A refusal as a problem document; a 401 with the challenge of RFC 6750, 3: it should say `error` where the
/// request carried a token that failed, and should not where it carried none.
fn problem_response(problem: Problem, request_headers: &HeaderMap) -> Response {
    let mut response = problem.into_response();
    if request_headers.contains_key(AUTHORIZATION)
        && let Some(challenge) = response.headers_mut().get_mut(WWW_AUTHENTICATE)
    {
        *challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    }
    response
}

/// A refusal in the form of RFC 6749, 5.2, which RFC 7009, 2.2.1 prescribes: JSON with `error` and
/// `error_description`. Our own `code` stands beside them, as in every refusal.
///
/// What that section has no word for (503, 413, 415) stays a problem document. For 503, RFC 7009, 2.2.1 says
/// itself what a client makes of it: the token is still there.
fn error_response(problem: Problem, request_headers: &HeaderMap) -> Response {
    let error = match problem.code() {
        Code::InvalidRequest => "invalid_request",
        // Failed authentication: 401, with a challenge for the scheme that the client used.
        Code::NotSignedIn => "invalid_client",
        _ => return problem_response(problem, request_headers),
    };
    let body = serde_json::json!({
        "error": error,
        "error_description": problem.detail(),
        "code": problem.code().as_str(),
    });
    let mut response = problem_response(problem, request_headers);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(body.to_string());
    response
}
