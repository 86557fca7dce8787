//! The settings on the command line: every one is a flag of every command, before or after the command's name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::SETTINGS;
use crate::failure::Failure;

const HEADING: &str = "Settings";

const ABOUT_SETTINGS: &str = "\
Every setting can also be a LASTSEEN_* environment variable (--idle-timeout is LASTSEEN_IDLE_TIMEOUT) or a key in the \
TOML file that --config names (idle-timeout = \"12h\"). Flags win over environment, environment over file. Durations \
read like 14d, 12h, 90s and lie between 1s and 400d.

Exit status: 0 done, 1 refused or failed with one clear line on stderr, 2 wrong usage.";

/// Commands that run the server or are about the settings, and so show all of them in their help. The others take
/// them as well, but show only those that matter to them.
const SHOWN_IN: [&str; 4] = ["lastseen", "serve", "demo", "check-config"];

/// Adds the settings to a command and to all below it.
///
/// They are not clap's global arguments: of a global argument given both before and after the command's name, clap
/// drops the first without a word, and a trusted proxy must not be dropped without a word.
pub(super) fn add(command: Command) -> Command {
    let shown = SHOWN_IN.contains(&command.get_name());
    let mut command = command.arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help_heading(HEADING)
            .help("TOML file with settings [env: LASTSEEN_CONFIG]"),
    );
    for setting in SETTINGS {
        let default = setting.default.map(|value| format!(" [default: {value}]"));
        command = command.arg(
            Arg::new(setting.key)
                .long(setting.key)
                .value_name(setting.value_name)
                .action(if setting.repeatable {
                    ArgAction::Append
                } else {
                    ArgAction::Set
                })
                .help_heading(HEADING)
                .hide(!shown && !setting.everywhere)
                .help(format!("{}{}", setting.means, default.unwrap_or_default())),
        );
    }
    if shown {
        command = command.after_help(ABOUT_SETTINGS);
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, add);
    }
    command
}

/// What the command line gave of the settings.
pub(super) struct Given {
    pub(super) flags: BTreeMap<&'static str, Vec<String>>,
    pub(super) config: Option<PathBuf>,
}

/// Collects the settings from all places of a command line.
pub(super) fn collect(matches: &ArgMatches) -> Result<Given, Failure> {
    let mut given = Given {
        flags: BTreeMap::new(),
        config: None,
    };
    let mut level = Some(matches);
    while let Some(matches) = level {
        if let Some(config) = matches.get_one::<PathBuf>("config") {
            if given.config.is_some() {
                return Err(twice("config"));
            }
            given.config = Some(config.clone());
        }
        for setting in SETTINGS {
            let Some(values) = matches.get_many::<String>(setting.key) else {
                continue;
            };
            let values = values.cloned();
            let known = given.flags.entry(setting.key).or_default();
            if !setting.repeatable && !known.is_empty() {
                return Err(twice(setting.key));
            }
            known.extend(values);
        }
        level = matches.subcommand().map(|(_, below)| below);
    }
    Ok(given)
}

fn twice(key: &str) -> Failure {
    Failure::usage(format_args!(
        "--{key} was given twice, before and after the command"
    ))
}
