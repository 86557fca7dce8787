//! What a person set, and what it means.
//!
//! Every setting is one row of [`SETTINGS`]. From that row come its flag, its environment variable, its key in the
//! settings file, its line in `--help` and its line in `lastseen check-config`, so none of them can be forgotten.
//!
//! - `setting.rs`: the table of settings.
//! - `typed.rs`: what was typed, and where: flags win over the environment, the environment over the file.
//! - `effective.rs`: what that means, with every value checked.
//! - `postgres_url.rs`: the address of a PostgreSQL database, which never shows its password.
//! - `value.rs`: how a duration, a size or an address is written.

mod effective;
mod postgres_url;
mod setting;
mod typed;
mod value;

pub use effective::{DatabaseLocation, Effective, LogFormat, NodeSettings};
pub use postgres_url::PostgresUrl;
pub use setting::{SETTINGS, Setting};
pub use typed::{Source, Typed, TypedValue};
pub(crate) use value::network;

/// One thing that is wrong with the settings, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

impl Wrong {
    /// A line about something that is wrong. Line breaks and other control characters in it are made visible, since it
    /// quotes what somebody typed.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(crate::cli::text::visible(&line.into()).into_owned())
    }
}
