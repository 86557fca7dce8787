//! `POST /api/v1/introspect`: is this token accepted, and whose is it? (RFC 7662)

use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use lastseen::{Session, Timestamp, Verdict, Visit};
use lastseen_axum::api::json;
use lastseen_axum::{Problem, view};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Schema};
use zeroize::Zeroizing;

use super::super::api::{described_address, read_address};
use super::super::caller::Caller;
use super::super::service::OwnedClient;
use super::parameters::Parameters;
use super::problem_response;

/// The token that somebody showed to the application, and what the application knows of that visit.
#[derive(utoipa::ToSchema)]
#[schema(as = Introspect)]
#[expect(dead_code, reason = "describes what `Parameters` reads")]
struct IntrospectRequest {
    /// The token.
    #[schema(min_length = 1)]
    token: String,
    /// Ignored: there is one kind of token.
    #[schema(value_type = String, required = false)]
    token_type_hint: Option<String>,
    /// The visitor's address.
    #[schema(schema_with = address, required = false)]
    ip_address: Option<String>,
    /// The visitor's `User-Agent`.
    #[schema(value_type = String, required = false)]
    user_agent: Option<String>,
}

/// Describes an address, or nothing: a parameter without a value is one that was not sent.
fn address() -> Schema {
    let nothing = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(0));
    described_address().item(nothing).into()
}

/// What there is to say about a token (RFC 7662, 2.2). Of one that is not active nothing but that.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what `handle` writes")]
struct Introspection {
    /// Whether it is accepted.
    active: bool,
    /// The application's own id for the account.
    #[schema(value_type = String, required = false)]
    sub: Option<String>,
    /// What the account is called.
    #[schema(value_type = String, required = false)]
    username: Option<String>,
    /// The session's id.
    #[schema(value_type = String, required = false)]
    sid: Option<String>,
    /// When the session began, in seconds since the Unix epoch.
    #[schema(value_type = i64, required = false)]
    iat: Option<i64>,
    /// When it expires unless it is used before, in seconds since the Unix epoch.
    #[schema(value_type = i64, required = false)]
    exp: Option<i64>,
}

/// Counts as a use of the session, with the visitor's address and user agent where the application passes
/// them; of the application's own connection nothing is taken for the visitor's.
///
/// A token of another application, or of a built-in account, is refused like one that nobody has, and its
/// session is not used by that: whose a token is, is looked at before the use is recorded.
#[utoipa::path(
    post,
    path = "/api/v1/introspect",
    operation_id = "introspect",
    summary = "Whether a token is accepted, and whose it is (RFC 7662)",
    tag = "applications",
    request_body(content = IntrospectRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What there is to say about the token.", body = Introspection)),
    security(("application" = [])),
)]
pub(super) async fn handle(
    headers: HeaderMap,
    caller: Result<Caller, Problem>,
    parameters: Result<Parameters, Problem>,
) -> Response {
    match introspect(caller, parameters).await {
        Ok(response) => response,
        Err(problem) => problem_response(problem, &headers).into_response(),
    }
}

async fn introspect(
    caller: Result<Caller, Problem>,
    parameters: Result<Parameters, Problem>,
) -> Result<Response, Problem> {
    let (caller, mut parameters) = (caller?, parameters?);
    let token = Zeroizing::new(parameters.take_token()?);
    // Ignored, but it may not be sent twice.
    parameters.take("token_type_hint")?;
    let client = OwnedClient {
        user_agent: parameters.take("user_agent")?,
        ..OwnedClient::default()
    };
    let ip_address = parameters.take("ip_address")?;
    let visit = Visit {
        ip_address: ip_address.as_deref().map(read_address).transpose()?,
        client: client.description(),
    };
    let now = caller.context.now();
    let source = caller.application.source();
    let verdict = caller
        .context
        .sessions()
        .validate_of(source, token.as_bytes(), &visit, now)
        .await?;
    Ok(json(match verdict {
        Verdict::Active(session) => active(&session),
        // RFC 7662, 2.2: nothing more should be told of an inactive token, least of all why it is inactive.
        Verdict::Refused(_) => b"{\"active\":false}".to_vec(),
    }))
}

/// The members of RFC 7662, 2.2, and `sid` as OpenID Connect Front-Channel Logout 1.0, 3 has it.
fn active(session: &Session) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"active\":true,\"sub\":");
    view::write_string(&mut out, session.account.key.id.as_str());
    out.extend_from_slice(b",\"username\":");
    view::write_string(&mut out, &session.account.name);
    out.extend_from_slice(b",\"sid\":");
    view::write_string(&mut out, &session.id.to_string());
    out.extend_from_slice(b",\"iat\":");
    out.extend_from_slice(seconds(session.created_at).to_string().as_bytes());
    out.extend_from_slice(b",\"exp\":");
    out.extend_from_slice(seconds(session.expires_at).to_string().as_bytes());
    out.push(b'}');
    out
}

/// Whole seconds since the Unix epoch (RFC 7662, 2.2). Rounded down, so that nobody takes a token for good
/// longer than it is.
fn seconds(timestamp: Timestamp) -> i64 {
    timestamp.as_millisecond().div_euclid(1_000)
}
