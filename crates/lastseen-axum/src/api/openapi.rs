//! The description of the API (OpenAPI 3.1), for `GET /api/v1/openapi.json`.
//!
//! What is peculiar to a request stands beside its handler. What follows from its form is added here by rule, so that no
//! request can forget it: see [`describe_refusals`].

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};

use crate::cookie::SessionCookie;

/// The description of the sessions API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lastseen",
        description = "Sessions: signed-in devices of an account, and how to end them."
    ),
    paths(
        super::session::handle,
        super::list::handle,
        super::delete::handle,
        super::terminate::handle,
        super::terminate_others::handle,
        super::sign_out::handle,
    ),
    components(schemas(Session, Problem))
)]
struct Described;

/// The description of the sessions API, for a service with this cookie.
///
/// A service with requests of its own merges its description into this one, and then calls [`describe_refusals`] again.
#[must_use]
pub fn openapi(cookie: &SessionCookie) -> utoipa::openapi::OpenApi {
    let mut described = Described::openapi();
    let components = described.components.get_or_insert_default();
    let cookie = ApiKeyValue::with_description(
        cookie.name(),
        "Set by a sign-in. Ignored where a Bearer token is sent.",
    );
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A session token."))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    describe_refusals(&mut described);
    described
}

/// Adds to each request the refusals that follow from its form, where it does not describe them itself.
///
/// Any: 503. With a session: 401. Unsafe: 403. With a body: 400, 413, 415. With a query: 400. With a path parameter: 400,
/// 404. Unsafe without a body that means something: 413.
pub fn describe_refusals(described: &mut utoipa::openapi::OpenApi) {
    for item in described.paths.paths.values_mut() {
        let safe = [&mut item.get, &mut item.head];
        for operation in safe.into_iter().flatten() {
            describe_refusals_of(operation, false);
        }
        let changing = [
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in changing.into_iter().flatten() {
            describe_refusals_of(operation, true);
        }
    }
}

fn describe_refusals_of(operation: &mut Operation, is_unsafe: bool) {
    let mut statuses = vec!["503"];
    if operation.security.is_some() {
        statuses.push("401");
    }
    if is_unsafe {
        statuses.extend(["403", "413"]);
    }
    if operation.request_body.is_some() {
        statuses.extend(["400", "415"]);
    }
    for parameter in operation.parameters.iter().flatten() {
        statuses.push("400");
        if matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path) {
            statuses.push("404");
        }
    }
    let responses: &mut BTreeMap<_, _> = &mut operation.responses.responses;
    for status in statuses {
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(refusal(status)));
    }
}

fn refusal(status: &str) -> Response {
    let description = match status {
        "400" => "`invalid_request`: it cannot be understood, or is outside the limits.",
        "401" => "`not_signed_in`: no session token, or one that is not accepted; never said why.",
        "403" => "`forbidden`: it carries the cookie, and comes from another origin.",
        "404" => {
            "`not_found`: there is no such session, or it is not the caller's; never said which."
        }
        "413" => "`too_large`: the body is longer than 64 KiB.",
        "415" => "`unsupported_media_type`: the body is of another type, or of none.",
        _ => "`unavailable`: what is needed to answer cannot be reached.",
    };
    problem(description)
}

/// The response with a problem document, described in these words.
#[must_use]
pub fn problem(description: &str) -> Response {
    let document = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", document)
        .build()
}

/// A session, as everywhere.
#[derive(ToSchema)]
#[schema(as = Session)]
#[expect(dead_code, reason = "it describes what view.rs writes")]
pub(super) struct Session {
    /// The session's public name. It never authenticates.
    #[schema(pattern = "^[0-9a-v]{26}$")]
    id: String,
    account: Account,
    /// Whether it is the session of this very request.
    current: bool,
    status: Status,
    /// `null` where nothing says which.
    #[schema(required)]
    operating_system: Option<Product>,
    /// `null` where nothing says which.
    #[schema(required)]
    browser: Option<Product>,
    /// Browser and operating system in words; `Unknown device` where neither is known.
    #[schema(example = "Chrome 120 on Linux")]
    user_agent: String,
    /// The address of the last use.
    #[schema(required, example = "203.0.113.7")]
    ip_address: Option<String>,
    /// Whether the device was to be remembered.
    remembered: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last used.
    #[schema(format = DateTime)]
    last_updated: String,
    /// The earlier of the two deadlines.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whole seconds until `expires_at`, rounded down; 0 once expired.
    #[schema(minimum = 0)]
    time_left_seconds: i64,
}

/// Whose session it is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what view.rs writes")]
struct Account {
    id: String,
    /// What the account is called.
    name: String,
}

/// An operating system or a browser.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what view.rs writes")]
struct Product {
    name: String,
    /// `null` where it cannot be known.
    #[schema(required)]
    version: Option<String>,
}

/// Whether the session can still be used.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes what view.rs writes")]
enum Status {
    Active,
    Expired,
}

/// A part of the caller's list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what list.rs writes")]
pub(super) struct SessionPage {
    /// The current one first, then newest use first.
    #[schema(max_items = 200)]
    sessions: Vec<Session>,
    /// Where the list goes on; `null` at its end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// How many sessions left the list through this call.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what the handlers write")]
pub(super) struct Terminated {
    #[schema(minimum = 0)]
    terminated: i64,
}

/// What went wrong (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what problem.rs writes")]
pub(super) struct Problem {
    #[schema(example = "about:blank")]
    r#type: String,
    /// The status in words.
    title: String,
    status: u16,
    /// What happened, for people.
    detail: String,
    code: Code,
}

/// The stable name of a kind of failure.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what problem.rs writes")]
enum Code {
    InvalidRequest,
    NotSignedIn,
    InvalidCredentials,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public_url::PublicUrl;

    fn described() -> serde_json::Value {
        let cookie = SessionCookie::of(&PublicUrl::parse("https://account.example").unwrap());
        serde_json::to_value(openapi(&cookie)).unwrap()
    }

    #[test]
    fn every_request_is_described_with_its_refusals() {
        let described = described();
        for (path, method, statuses) in [
            ("/api/v1/session", "get", &["200", "401", "503"] as &[_]),
            ("/api/v1/sessions", "get", &["200", "400", "401", "503"]),
            (
                "/api/v1/sessions/{id}",
                "delete",
                &["204", "400", "401", "403", "404", "413", "503"],
            ),
            (
                "/api/v1/sessions/terminate",
                "post",
                &["200", "400", "401", "403", "404", "413", "415", "503"],
            ),
            (
                "/api/v1/sessions/terminate-others",
                "post",
                &["200", "401", "403", "413", "503"],
            ),
            (
                "/api/v1/sign-out",
                "post",
                &["204", "401", "403", "413", "503"],
            ),
        ] {
            let operation = &described["paths"][path][method];
            let responses = operation["responses"].as_object().unwrap();
            assert_eq!(responses.keys().collect::<Vec<_>>(), statuses, "{path}");
            assert!(operation["operationId"].is_string());
            assert_eq!(operation["security"].as_array().unwrap().len(), 2);
        }
        assert_eq!(described["paths"].as_object().unwrap().len(), 6);
    }

    #[test]
    fn the_described_session_has_the_fields_that_are_written() {
        let described = described();
        let session = &described["components"]["schemas"]["Session"];
        let properties = session["properties"].as_object().unwrap();
        let required: Vec<&str> = session["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(properties.len(), 13);
        assert_eq!(required.len(), 13);
    }

    #[test]
    fn both_ways_to_say_who_one_is_are_described() {
        let described = described();
        let schemes = &described["components"]["securitySchemes"];
        assert_eq!(schemes["cookie"]["name"], "__Host-lastseen");
        assert_eq!(schemes["cookie"]["in"], "cookie");
        assert_eq!(schemes["bearer"]["scheme"], "bearer");
    }
}
