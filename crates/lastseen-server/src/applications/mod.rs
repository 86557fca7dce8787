//! Applications: programs that sign people in themselves and keep their sessions here.
//!
//! An application is known by its key and names accounts of its own. It sees and ends sessions of these
//! accounts only: the account's identity is the application together with the id, so no id leads to a
//! built-in account or to another application's.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`name`], [`key`] | what people know an application by, and what it authenticates with |
//! | [`store`], [`sqlite`], [`postgres`] | what a store of applications must do, and the two that there are |
//! | `known.rs` | those whose keys are accepted, as far as memory may say so |
//! | [`service`] | the verbs: add, list, remove; whose key is this; begin a session |
//! | [`links`] | links into the pages, which work once |
//! | `caller.rs` | which application is asking, and about which account |
//! | [`api`] | the JSON requests, a file each |
//! | [`oauth`] | introspection (RFC 7662) and revocation (RFC 7009) |
//! | [`forms`] | the page behind a link, with its one button |
//! | [`home`] | what the sessions page knows of an application |

pub mod api;
mod caller;
pub mod forms;
pub mod home;
pub mod key;
mod known;
pub mod links;
pub mod name;
pub mod oauth;
pub mod postgres;
pub mod service;
pub mod sqlite;
pub mod store;
#[cfg(test)]
mod tests;

use lastseen_axum::api::openapi::problem;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};

pub use home::ApplicationHomes;
pub use key::ApplicationKey;
pub use name::{ApplicationName, NotAnApplicationName};
pub use postgres::{POSTGRES_MIGRATIONS, PostgresApplicationStore};
pub use service::{Application, ApplicationError, ApplicationSummary, Applications};
pub use sqlite::{MIGRATIONS, SqliteApplicationStore};
pub use store::{ApplicationFollower, ApplicationStore};

/// Adds to a description of requests of applications what all of them have in common: the key, and its refusal.
fn described(mut described: OpenApi) -> OpenApi {
    let key = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An application key."))
        .build();
    let components = described.components.get_or_insert_default();
    components.add_security_scheme("application", SecurityScheme::Http(key));
    let operations = described.paths.paths.values_mut().flat_map(
        |PathItem {
             get, post, delete, ..
         }| [get, post, delete],
    );
    for operation in operations.flatten() {
        operation
            .responses
            .responses
            .entry("401".to_owned())
            .or_insert_with(|| {
                RefOr::T(problem(
                    "`not_signed_in`: no application key, or one that is not accepted.",
                ))
            });
    }
    described
}
