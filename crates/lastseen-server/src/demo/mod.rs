//! `lastseen demo`: the server on a throw-away database, with an account and sessions of every kind.

mod furniture;
mod pieces;

pub(crate) use furniture::furnish;

use crate::config::{Effective, Source, Typed};
use crate::failure::{Failure, plain};
use crate::serve::{self, Purpose};

/// Runs the demo until it is asked to stop; then its database is deleted.
pub(crate) fn run(mut typed: Typed) -> Result<(), Failure> {
    if typed.source("database") == Source::Flag {
        return Err(Failure::usage(
            "--database: the demo brings a throw-away database of its own",
        ));
    }
    let directory = tempfile::Builder::new()
        .prefix("lastseen-demo-")
        .tempdir()
        .map_err(|error| {
            Failure::refused(format_args!(
                "no place for a throw-away database: {}",
                plain(&error)
            ))
        })?;
    let database = directory.path().join("lastseen.db");
    let Some(database) = database.to_str() else {
        return Err(Failure::refused(
            "the directory for temporary files has a name that is not UTF-8",
        ));
    };
    typed.insist_on("database", &format!("sqlite:{database}"));
    // With the usual limits nothing could be unused for weeks and still be active.
    typed.default_to("remembered-idle-timeout", "60d");
    typed.default_to("absolute-lifetime", "90d");
    // The lines with name and password are what a person looks for; the log would bury them.
    typed.default_to("log-level", "warn");
    let effective = Effective::work_out(typed)?;
    if !effective.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--listen: {} is not a loopback address: everybody who reads the screen knows the demo's password",
            effective.listen
        )));
    }
    let result = serve::run_for(Purpose::Demo, &effective);
    // Dropping it would delete it as well, but would not say when it cannot.
    directory.close().map_err(|error| {
        Failure::refused(format_args!(
            "the throw-away database cannot be deleted: {}",
            plain(&error)
        ))
    })?;
    result
}
