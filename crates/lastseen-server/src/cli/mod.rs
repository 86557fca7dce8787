//! The command line.
//!
//! - `arguments.rs`: commands and their arguments; `settings.rs`: the settings, which every command takes.
//! - `account.rs`, `application.rs`, `sessions.rs`, `backup.rs`: commands about a database, beside a running server or alone.
//! - `migrate_store.rs`: from one database to another; `nodes.rs`: who shares one.
//! - `device.rs`, `check_config.rs`, `health.rs`, `documentation.rs`: commands that need no database.
//! - `ask.rs`, `output.rs`, `text.rs`: talking with the person at the terminal.

mod account;
mod application;
mod arguments;
mod ask;
mod backup;
mod check_config;
mod device;
mod documentation;
mod health;
mod migrate_store;
mod nodes;
pub(crate) mod output;
mod sessions;
mod settings;
pub(crate) mod text;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::config::{Effective, Typed};
use crate::failure::Failure;
use arguments::{Arguments, Command};
use output::Output;

/// Runs the command that this process was started with.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match try_run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn try_run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let matches = match description().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return complain(&error),
    };
    let given = settings::collect(&matches)?;
    let command =
        Arguments::from_arg_matches(&matches).map_err(|error| Failure::usage(one_line(&error)))?;
    let command = command.command.unwrap_or(Command::Serve);
    let environment = std::env::vars_os().collect();
    let gather = move || Typed::gather(given.flags.clone(), &environment, given.config.as_deref());
    let typed = gather();
    if let Command::CheckConfig = command {
        return check_config::run(typed);
    }
    let typed = typed?;
    match command {
        Command::Serve => {
            let reread = move || gather().and_then(Effective::work_out);
            crate::serve::run(&Effective::work_out(typed)?, Box::new(reread))
        }
        Command::Demo => crate::demo::run(typed),
        Command::Account(command) => account::run(command, &Effective::work_out(typed)?),
        Command::Application(command) => application::run(command, &Effective::work_out(typed)?),
        Command::Sessions(command) => sessions::run(command, &Effective::work_out(typed)?),
        Command::Backup { file } => backup::run(&file, &Effective::work_out(typed)?),
        Command::Nodes { json } => nodes::run(json, &Effective::work_out(typed)?),
        Command::MigrateStore { from, to } => {
            migrate_store::run(&from, &to, &Effective::work_out(typed)?)
        }
        Command::Health { url } => health::run(url.as_deref(), &Effective::work_out(typed)?),
        Command::Device { user_agents } => Effective::work_out(typed)
            .map_err(Failure::from)
            .and_then(|_| device::run(&user_agents)),
        Command::Completions { shell } => documentation::completions(shell, description()),
        Command::Man => documentation::manual(description()),
        Command::CheckConfig => Ok(()),
    }
}

/// The whole command line: commands, arguments and settings.
pub(crate) fn description() -> clap::Command {
    settings::add(Arguments::command())
}

/// What clap has to say: help and version are results, everything else is wrong usage, told in one line.
fn complain(error: &clap::Error) -> Result<(), Failure> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // With colours where stdout is a terminal that has them.
        return error.print().map_err(|error| Failure::output(&error));
    }
    Err(Failure::usage(one_line(error)))
}

fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    // The first paragraph says what is wrong; tips and usage follow.
    let paragraph: Vec<&str> = text
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .collect();
    let mut line = paragraph.join(" ");
    if let Some(rest) = line.strip_prefix("error: ") {
        line = rest.to_owned();
    }
    if let Some(suggestion) = error.get(ContextKind::SuggestedArg) {
        line = format!("{line}; did you mean {suggestion}?");
    }
    text::visible(&format!("{line} (lastseen --help says more)")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(arguments: &[&str]) -> String {
        let arguments = std::iter::once("lastseen").chain(arguments.iter().copied());
        one_line(&description().try_get_matches_from(arguments).unwrap_err())
    }

    fn given(arguments: &[&str]) -> Result<settings::Given, Failure> {
        let arguments = std::iter::once("lastseen").chain(arguments.iter().copied());
        settings::collect(&description().try_get_matches_from(arguments).unwrap())
    }

    #[test]
    fn the_description_is_sound() {
        description().debug_assert();
    }

    #[test]
    fn wrong_usage_is_one_line() {
        for arguments in [
            &["--listne", "x"][..],
            &["frobnicate"],
            &["account"],
            &["account", "add"],
            &["application"],
            &["application", "remove"],
            &["sessions", "terminate"],
            &["sessions", "terminate", "--all", "--account", "ada"],
            &["sessions", "list", "--ip", "nowhere"],
            &["--idle-timeout"],
            &["serve", "extra\nline"],
        ] {
            let line = wrong(arguments);
            assert!(
                !line.contains('\n') && !line.is_empty(),
                "{arguments:?}: {line:?}"
            );
            assert!(!line.starts_with("error"), "{line}");
        }
    }

    #[test]
    fn settings_may_stand_before_or_after_the_command() {
        for arguments in [
            &["--idle-timeout", "1h", "sessions", "list"][..],
            &["sessions", "--idle-timeout", "1h", "list"],
            &["sessions", "list", "--idle-timeout", "1h"],
            &["--idle-timeout=1h"],
        ] {
            assert_eq!(
                given(arguments).unwrap().flags["idle-timeout"],
                ["1h"],
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn a_trusted_proxy_before_the_command_and_one_after_it_both_count() {
        let given = given(&[
            "--trusted-proxy",
            "10.0.0.0/8",
            "serve",
            "--trusted-proxy",
            "::1",
        ]);
        assert_eq!(given.unwrap().flags["trusted-proxy"], ["10.0.0.0/8", "::1"]);
    }

    #[test]
    fn a_setting_that_is_given_twice_is_wrong_usage() {
        assert!(
            given(&[
                "--listen",
                "127.0.0.1:1",
                "serve",
                "--listen",
                "127.0.0.1:2"
            ])
            .is_err()
        );
        wrong(&["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"]);
    }
}
