//! `GET /auth-request` and `GET /forward-auth`.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use lastseen_axum::{CurrentSession, Problem, SessionsContext, problem};
use url::form_urlencoded;

use super::check::Checked;
use super::{identity, original};
use crate::sign_in::ReturnTargets;

/// The sign-in page.
const SIGN_IN_PATH: &str = "/sign-in";

/// The checks for proxies. The layer of sessions belongs around them.
///
/// Whoever has to sign in first is led back to one of `targets`.
pub fn router<S: Clone + Send + Sync + 'static>(targets: ReturnTargets) -> Router<S> {
    Router::new()
        .route("/auth-request", get(auth_request))
        .route("/forward-auth", get(forward_auth))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(targets)
}

/// Their part of the description of the HTTP interface (OpenAPI).
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(auth_request, forward_auth))]
    struct Requests;
    Requests::openapi()
}

/// Whether a visitor is signed in, for nginx (`auth_request`).
#[utoipa::path(
    get,
    path = "/auth-request",
    operation_id = "auth_request",
    tag = "proxies",
    params(("accounts" = Option<crate::proxies::requests::Accounts>, Query, description = "Whose sessions will do; all, where it is left out.")),
    responses((
        status = 200,
        description = "Signed in. The use is recorded.",
        headers(
            ("Remote-User" = String, description = "The name of the account, percent-encoded where it is not visible ASCII."),
            ("Remote-Account" = String, description = "The id of the account, encoded likewise."),
            ("Remote-Session" = String, description = "The id of the session."),
        ),
    )),
    security(("cookie" = []), ("bearer" = [])),
)]
async fn auth_request(Checked(current): Checked) -> Response {
    match current {
        Some(current) => accept(&current),
        None => refuse(Problem::not_signed_in()),
    }
}

/// Whether a visitor is signed in, for Caddy (`forward_auth`) and Traefik (`ForwardAuth`).
#[utoipa::path(
    get,
    path = "/forward-auth",
    operation_id = "forward_auth",
    tag = "proxies",
    params(("accounts" = Option<crate::proxies::requests::Accounts>, Query, description = "Whose sessions will do; all, where it is left out.")),
    responses(
        (
            status = 200,
            description = "Signed in. The use is recorded.",
            headers(
                ("Remote-User" = String, description = "The name of the account, percent-encoded where it is not visible ASCII."),
                ("Remote-Account" = String, description = "The id of the account, encoded likewise."),
                ("Remote-Session" = String, description = "The id of the session."),
            ),
        ),
        (
            status = 302,
            description = "Not signed in, and `Accept` holds `text/html`: to the sign-in page, which leads back to what `X-Forwarded-Proto`, `-Host` and `-Uri` of a trusted proxy name, where that is the public URL or a `--return-host`.",
            headers(("Location" = String, description = "The sign-in page.")),
        ),
    ),
    security(("cookie" = []), ("bearer" = [])),
)]
async fn forward_auth(
    State(targets): State<ReturnTargets>,
    Checked(current): Checked,
    context: SessionsContext,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    match current {
        Some(current) => accept(&current),
        None if wants_a_page(&headers) => {
            lead_to_sign_in(&context, &targets, &headers, &extensions)
        }
        None => refuse(Problem::not_signed_in()),
    }
}

/// What `accounts` may be.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "it describes what check.rs reads")]
pub(super) enum Accounts {
    /// Only those that Lastseen itself keeps.
    BuiltIn,
}

fn accept(current: &CurrentSession) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    // A proxy that kept the answer would let people in whose session has ended.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match identity::add(&current.session, headers) {
        Ok(()) => response,
        Err(problem) => refuse(problem),
    }
}

fn refuse(problem: Problem) -> Response {
    problem.into_response()
}

fn lead_to_sign_in(
    context: &SessionsContext,
    targets: &ReturnTargets,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Response {
    let mut address = context.public_url().address_of(SIGN_IN_PATH);
    if let Some(target) = original::target(context, targets, headers, extensions) {
        address.push_str("?return_to=");
        address.extend(form_urlencoded::byte_serialize(target.as_str().as_bytes()));
    }
    let Ok(location) = HeaderValue::from_str(&address) else {
        return refuse(Problem::unavailable(
            "the address of the sign-in page cannot stand in a header",
        ));
    };
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::FOUND, headers).into_response()
}

/// Whether `Accept` names HTML, as browsers do for a page and for nothing else (RFC 9110, 12.5.1). A range such as `*/*`
/// comes from a program or from a script, which has no use for a sign-in page.
fn wants_a_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(|range| {
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let is_html = parts
                .next()
                .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"));
            // A weight of zero is "not this one".
            is_html && !parts.any(|part| matches!(part, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"))
        })
}
