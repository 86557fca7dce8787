//! What applications ask for, a file per request. All of it is JSON, under `/api/v1/accounts/{account}`.
//!
//! | request | file |
//! | --- | --- |
//! | `POST …/sessions` | `create.rs` |
//! | `GET …/sessions` | `list.rs` |
//! | `DELETE …/sessions/{id}` | `delete.rs` |
//! | `POST …/sessions/terminate` | `terminate.rs` |
//! | `POST …/sessions/terminate-others` | `terminate_others.rs` |
//! | `POST …/sessions/{id}/link` | `link.rs` |
//!
//! `{account}` is the application's own id for the account. Together with the application, which follows from
//! the key, it is the account's identity: an application cannot so much as name another's account.

mod create;
mod delete;
mod link;
mod list;
mod terminate;
mod terminate_others;

pub(super) use create::{described_address, read_address};

use axum::Router;
use axum::routing::{delete, get, post};
use lastseen_axum::problem;

use super::service::Applications;

/// The requests of applications. The layer of sessions belongs around them.
pub fn router<S: Clone + Send + Sync + 'static>(applications: Applications) -> Router<S> {
    Router::new()
        .route(
            "/api/v1/accounts/{account}/sessions",
            get(list::handle).post(create::handle),
        )
        .route(
            "/api/v1/accounts/{account}/sessions/{id}",
            delete(delete::handle),
        )
        .route(
            "/api/v1/accounts/{account}/sessions/terminate",
            post(terminate::handle),
        )
        .route(
            "/api/v1/accounts/{account}/sessions/terminate-others",
            post(terminate_others::handle),
        )
        .route(
            "/api/v1/accounts/{account}/sessions/{id}/link",
            post(link::handle),
        )
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(applications)
}

/// The description of these requests, to be merged into that of the whole interface.
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(
        create::handle,
        list::handle,
        delete::handle,
        terminate::handle,
        terminate_others::handle,
        link::handle,
    ))]
    struct Requests;
    super::described(Requests::openapi())
}

/// Refers to the session that the sessions API describes.
fn session_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::Ref::from_schema_name("Session").into()
}
