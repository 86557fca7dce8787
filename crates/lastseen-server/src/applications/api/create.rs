//! `POST /api/v1/accounts/{account}/sessions`: somebody has signed in at the application.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use lastseen_axum::api::json;
use lastseen_axum::{ApiJson, Problem, view};
use serde::Deserialize;
use utoipa::openapi::schema::{AnyOfBuilder, Type};
use utoipa::openapi::{KnownFormat, ObjectBuilder, Schema, SchemaFormat};
use zeroize::Zeroizing;

use super::super::caller::{Caller, NamedAccount, no_key};
use super::super::service::{ApplicationRefused, ApplicationSignIn, OwnedClient};

/// The longest name of an account, in bytes of UTF-8: as long as a built-in one's.
const LONGEST_NAME: usize = 128;

/// A sign-in, as the application tells of it.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = NewSession)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSessionRequest {
    /// What the account is called, for people: 1 to 128 bytes without control characters. Without it the account keeps
    /// its name, or is called by its id.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00-\x1F\x7F-\x9F]+$"
    )]
    name: Option<String>,
    /// The visitor's `User-Agent`.
    user_agent: Option<String>,
    /// The visitor's client hints by the names of their headers, in any case: `sec-ch-ua` and those that begin so.
    /// Others are ignored.
    client_hints: Option<BTreeMap<String, Option<String>>>,
    /// The visitor's address.
    #[schema(schema_with = address_or_null)]
    ip_address: Option<String>,
    /// Whether to remember the device: the longer idle timeout counts.
    #[serde(default)]
    #[schema(default = false)]
    remember: bool,
}

/// A session has begun.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what `answer` writes")]
struct CreatedSession {
    /// The session token, for the visitor's device to keep. It is told here and never again.
    token: String,
    /// The session; `current` is false, since the application asks and not the device.
    #[schema(schema_with = super::session_schema)]
    session: (),
}

#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/sessions",
    operation_id = "create_session_of_account",
    summary = "Begins a session of an account that the application names",
    tag = "applications",
    params(("account" = String, Path, min_length = 1, max_length = 128, description = "The application's own id for the account, percent-encoded.")),
    request_body = NewSessionRequest,
    responses((status = 201, description = "The session has begun.", body = CreatedSession)),
    security(("application" = [])),
)]
pub(super) async fn handle(
    caller: Caller,
    account: NamedAccount,
    ApiJson(request): ApiJson<NewSessionRequest>,
) -> Result<Response, Problem> {
    let sign_in = ApplicationSignIn {
        account: account.id(),
        name: request.name.as_deref().map(read_name).transpose()?,
        remembered: request.remember,
        ip_address: request
            .ip_address
            .as_deref()
            .map(read_address)
            .transpose()?,
        client: client(request.user_agent, request.client_hints),
    };
    let (created, now) = caller
        .applications
        .begin_session(caller.application, sign_in)
        .await?;
    let mut body = Vec::with_capacity(view::USUAL_BYTES);
    body.extend_from_slice(b"{\"token\":");
    view::write_string(&mut body, &Zeroizing::new(created.token.reveal()));
    body.extend_from_slice(b",\"session\":");
    view::write_session(&mut body, &created.session, false, now);
    body.push(b'}');
    Ok((StatusCode::CREATED, json(body)).into_response())
}

/// Describes an address, or none.
fn address_or_null() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    described_address().item(null).into()
}

/// Describes an address.
pub(in crate::applications) fn described_address() -> AnyOfBuilder {
    [KnownFormat::Ipv4, KnownFormat::Ipv6].into_iter().fold(
        AnyOfBuilder::new(),
        |described, format| {
            let format = SchemaFormat::KnownFormat(format);
            described.item(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .format(Some(format)),
            )
        },
    )
}

fn read_name(text: &str) -> Result<Arc<str>, Problem> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(Problem::invalid_request(
            "name must have 1 to 128 bytes and no control characters.",
        ));
    }
    Ok(text.into())
}

/// Reads an address; one of IPv4 in IPv6's clothes is one of IPv4, as it is where visitors come themselves.
pub(in crate::applications) fn read_address(text: &str) -> Result<IpAddr, Problem> {
    let address: Result<IpAddr, _> = text.parse();
    address
        .map(|address| address.to_canonical())
        .map_err(|_| Problem::invalid_request("ip_address must be an IPv4 or IPv6 address."))
}

/// What is known of the visitor's client. Of a hint that is named twice, in another case, the first counts.
fn client(
    user_agent: Option<String>,
    hints: Option<BTreeMap<String, Option<String>>>,
) -> OwnedClient {
    let mut client = OwnedClient {
        user_agent,
        ..OwnedClient::default()
    };
    for (name, value) in hints.unwrap_or_default() {
        let place = match name.to_ascii_lowercase().as_str() {
            "sec-ch-ua" => &mut client.brands,
            "sec-ch-ua-full-version-list" => &mut client.full_version_list,
            "sec-ch-ua-platform" => &mut client.platform,
            "sec-ch-ua-platform-version" => &mut client.platform_version,
            "sec-ch-ua-mobile" => &mut client.mobile,
            "sec-ch-ua-model" => &mut client.model,
            _ => continue,
        };
        if place.is_none() {
            *place = value;
        }
    }
    client
}

impl From<ApplicationRefused> for Problem {
    fn from(refused: ApplicationRefused) -> Self {
        match refused {
            ApplicationRefused::Removed => no_key(),
            ApplicationRefused::Unavailable(fault) => fault.into(),
        }
    }
}
