//! Signing in, changing the password, and the first account.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`throttle`] | how many failures are too many: the rules |
//! | [`in_flight`] | tries that are still being judged |
//! | [`known_browser`] | the mark of a browser that has signed in before |
//! | [`store`], [`sqlite`], [`postgres`] | what must be remembered over a restart, and where |
//! | [`service`], [`change`], [`set_up`] | the verbs: sign in, change the password, make the first account |
//! | [`return_target`], [`return_path`], [`return_host`] | the way back after sign-in: paths of this server, named hosts |
//! | [`api`] | the JSON requests: `POST /api/v1/sign-in`, `POST /api/v1/password` |
//! | [`forms`] | the pages: `/sign-in`, `/sign-out`, `/password`, `/set-up/…` |

pub mod api;
mod arrival;
pub mod change;
pub mod forms;
pub mod in_flight;
pub mod known_browser;
pub mod postgres;
pub mod return_host;
pub mod return_path;
pub mod return_target;
pub mod service;
pub mod set_up;
pub mod sqlite;
pub mod statistics;
pub mod store;
#[cfg(test)]
mod tests;
pub mod throttle;

pub use change::ChangeRefused;
pub use postgres::PostgresSignInStore;
pub use return_host::ReturnHost;
pub use return_path::ReturnPath;
pub use return_target::{ReturnTarget, ReturnTargets};
pub use service::{Refused, SignIn, SignedIn, Visitor};
pub use set_up::{SetUpLink, SetUpRefused};
pub use sqlite::SqliteSignInStore;
pub use statistics::SignInStatistics;
pub use store::{OfferedLink, SignInStore, StoredBrowser, StoredCount};
