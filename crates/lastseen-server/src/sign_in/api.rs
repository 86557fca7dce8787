//! Signing in and changing the password as JSON requests.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use lastseen_axum::api::openapi::problem as problem_response;
use lastseen_axum::{ApiJson, CurrentSession, Problem, problem, view};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::arrival::{Arrival, set_cookies};
use super::change::ChangeRefused;
use super::service::{Refused, SignIn, SignedIn};
use crate::accounts::Password;

const SIGN_IN_PATH: &str = "/api/v1/sign-in";
const PASSWORD_PATH: &str = "/api/v1/password";

/// The JSON requests of signing in. The layer of sessions belongs around them.
pub fn router<S: Clone + Send + Sync + 'static>(sign_in: SignIn) -> Router<S> {
    Router::new()
        .route(SIGN_IN_PATH, post(handle_sign_in))
        .route(PASSWORD_PATH, post(handle_password))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(sign_in)
}

/// The description of these requests, to be merged into that of the whole interface.
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;
    use utoipa::openapi::RefOr;

    #[derive(utoipa::OpenApi)]
    #[openapi(
        paths(handle_sign_in, handle_password),
        components(schemas(SignInRequest, PasswordRequest, SignedInAnswer))
    )]
    struct Requests;

    let mut described = Requests::openapi();
    // What follows from a request's form is described by rule where all descriptions are put together.
    for (path, status, description) in [
        (
            SIGN_IN_PATH,
            "401",
            "`invalid_credentials`: name and password do not open an account; never said why.",
        ),
        (
            SIGN_IN_PATH,
            "429",
            "`too_many_requests`: too many failures; see Retry-After.",
        ),
        (
            PASSWORD_PATH,
            "401",
            "`not_signed_in`, or `invalid_credentials`: the current password is wrong.",
        ),
        (
            PASSWORD_PATH,
            "429",
            "`too_many_requests`: too many failures; see Retry-After.",
        ),
        (
            PASSWORD_PATH,
            "400",
            "`invalid_request`: it cannot be understood, or the new password may not be one.",
        ),
    ] {
        let operation = described
            .paths
            .paths
            .get_mut(path)
            .and_then(|item| item.post.as_mut());
        if let Some(operation) = operation {
            let responses = &mut operation.responses.responses;
            responses.insert(status.to_owned(), RefOr::T(problem_response(description)));
        }
    }
    described
}

/// Name and password of an account.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInRequest {
    /// The account's name; upper and lower case are the same.
    #[schema(value_type = String)]
    username: String,
    /// Its password.
    #[schema(value_type = String, format = Password)]
    password: Zeroizing<String>,
    /// Whether to remember this device: the longer idle timeout counts, and a browser keeps the cookie when it
    /// closes.
    #[serde(default)]
    #[schema(default = false)]
    remember: bool,
}

/// The current password and the one that is to take its place.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordRequest {
    /// The current password.
    #[schema(value_type = String, format = Password)]
    current_password: Zeroizing<String>,
    /// The new one: 8 to 128 characters, and none that is common.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    new_password: Zeroizing<String>,
}

/// Somebody is signed in.
#[derive(utoipa::ToSchema)]
#[schema(as = SignedIn)]
#[expect(dead_code, reason = "describes what `answer` writes")]
struct SignedInAnswer {
    /// The session token. A browser, which sends `Sec-Fetch-Site` or `Origin`, gets it by the cookie alone.
    token: Option<String>,
    /// The session.
    #[schema(schema_with = session_schema)]
    session: (),
}

/// Refers to the session that the sessions API describes.
fn session_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::Ref::from_schema_name("Session").into()
}

/// Signs in.
#[utoipa::path(
    post,
    path = "/api/v1/sign-in",
    operation_id = "sign_in",
    tag = "sign-in",
    request_body = SignInRequest,
    security(()),
    responses(
        (status = 201, description = "Signed in; the cookie is set, and the session whose cookie came along has ended.", body = SignedInAnswer),
    ),
)]
async fn handle_sign_in(
    State(sign_in): State<SignIn>,
    arrival: Arrival,
    ApiJson(request): ApiJson<SignInRequest>,
) -> Result<Response, Problem> {
    let SignInRequest {
        username,
        password,
        remember,
    } = request;
    let Arrival {
        context,
        visitor,
        from_browser,
    } = arrival;
    let signed_in = sign_in
        .sign_in(username, Password::new(&password), remember, visitor)
        .await?;
    let mut response = answer(StatusCode::CREATED, &signed_in, from_browser);
    set_cookies(&context, &signed_in, response.headers_mut());
    Ok(response)
}

/// Changes the password.
#[utoipa::path(
    post,
    path = "/api/v1/password",
    operation_id = "change_password",
    tag = "sign-in",
    request_body = PasswordRequest,
    responses(
        (status = 200, description = "Changed; every other session of the account has ended, and this one has a new token.", body = SignedInAnswer),
    ),
)]
async fn handle_password(
    State(sign_in): State<SignIn>,
    current: CurrentSession,
    arrival: Arrival,
    ApiJson(request): ApiJson<PasswordRequest>,
) -> Result<Response, Problem> {
    let PasswordRequest {
        current_password,
        new_password,
    } = request;
    let Arrival {
        context,
        visitor,
        from_browser,
    } = arrival;
    let (old, new) = (
        Password::new(&current_password),
        Password::new(&new_password),
    );
    let signed_in = sign_in
        .change_password(current.session, old, new, visitor)
        .await?;
    let mut response = answer(StatusCode::OK, &signed_in, from_browser);
    set_cookies(&context, &signed_in, response.headers_mut());
    Ok(response)
}

/// `{"token","session"}`, or `{"session"}` alone for a browser.
fn answer(status: StatusCode, signed_in: &SignedIn, from_browser: bool) -> Response {
    let SignedIn {
        token,
        session,
        now,
        mark: _,
    } = signed_in;
    let mut body = Vec::with_capacity(view::USUAL_BYTES);
    body.push(b'{');
    if !from_browser {
        body.extend_from_slice(b"\"token\":");
        view::write_string(&mut body, &Zeroizing::new(token.reveal()));
        body.push(b',');
    }
    body.extend_from_slice(b"\"session\":");
    view::write_session(&mut body, session, true, *now);
    body.push(b'}');
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Credentials => Self::invalid_credentials(),
            Refused::TooMany(wait) => {
                Self::too_many_requests(Duration::from_secs(wait.as_seconds()))
            }
            Refused::Busy(busy) => Self::unavailable(busy),
            Refused::Unavailable(fault) => fault.into(),
        }
    }
}

impl From<ChangeRefused> for Problem {
    fn from(refused: ChangeRefused) -> Self {
        match refused {
            ChangeRefused::NotSignedIn => Self::not_signed_in(),
            ChangeRefused::Password(refusal) => Self::invalid_request(sentence(refusal)),
            ChangeRefused::Refused(refused) => refused.into(),
        }
    }
}

/// A reason as a sentence of its own.
pub(super) fn sentence(reason: impl std::fmt::Display) -> String {
    let reason = reason.to_string();
    let mut characters = reason.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().collect::<String>())
        .unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}
