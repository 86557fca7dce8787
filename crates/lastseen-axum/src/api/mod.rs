//! The sessions API: a file per request.
//!
//! | request | file |
//! | --- | --- |
//! | `GET /api/v1/session` | `session.rs` |
//! | `GET /api/v1/sessions` | `list.rs` |
//! | `DELETE /api/v1/sessions/{id}` | `delete.rs` |
//! | `POST /api/v1/sessions/terminate` | `terminate.rs` |
//! | `POST /api/v1/sessions/terminate-others` | `terminate_others.rs` |
//! | `POST /api/v1/sign-out` | `sign_out.rs` |
//!
//! Every handler asks for the caller's session first, calls one verb of `Sessions`, and renders. An account is never named
//! in a request: it is the one of the session, so nobody can ask for another's.

mod delete;
mod list;
#[cfg(feature = "openapi")]
pub mod openapi;
mod session;
mod sign_out;
mod terminate;
mod terminate_others;

pub use list::{ListQuery, page_json};
pub use session::{CurrentJson, current, current_from_memory};
pub use terminate::TerminateRequest;

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::problem;

/// The longest page of a list, in sessions.
pub const LONGEST_PAGE: usize = 200;

/// The page of a list where the request names no `limit`, in sessions.
pub const USUAL_PAGE: usize = 50;

/// The most sessions that one request terminates.
pub const MOST_IDS: usize = 1_000;

/// The sessions API under `/api/v1`. Put [`SessionsLayer`](crate::SessionsLayer) around it.
///
/// It can be merged into a router or nested under any path. It has no fallback of its own.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/api/v1/session", get(session::handle))
        .route("/api/v1/sessions", get(list::handle))
        .route("/api/v1/sessions/{id}", delete(delete::handle))
        .route("/api/v1/sessions/terminate", post(terminate::handle))
        .route(
            "/api/v1/sessions/terminate-others",
            post(terminate_others::handle),
        )
        .route("/api/v1/sign-out", post(sign_out::handle))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

/// A JSON answer that depends on a session.
#[must_use]
pub fn json(body: Vec<u8>) -> Response {
    /// A copy of it costs a third of what it costs to make.
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
        HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ])
    });

    let mut response = Response::new(Body::from(body));
    response.headers_mut().clone_from(&HEADERS);
    response
}

/// How many sessions left the list, as the answer to a termination.
#[must_use]
pub fn terminated(count: u64) -> Response {
    json(format!("{{\"terminated\":{count}}}").into_bytes())
}

/// An answer without a body.
#[must_use]
pub fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
