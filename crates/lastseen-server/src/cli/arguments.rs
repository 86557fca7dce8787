//! The command line: commands and their arguments. The settings stand in `config/setting.rs` and are added to every
//! command by `settings.rs`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

/// The version, and the commit it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("LASTSEEN_BUILD"), ")");

/// See every signed-in device of an account, and end any of them at once.
///
/// Without a command it runs the server: `lastseen` is `lastseen serve`.
#[derive(Debug, Parser)]
#[command(name = "lastseen", version = VERSION)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the server [the default]
    ///
    /// The first line on stdout is `listening on http://ADDRESS:PORT`, with the real port where port 0 was asked for.
    /// With no account yet the second is `set-up: URL`: a one-time link, good for an hour, that creates the first
    /// one. Stops cleanly on SIGTERM and SIGINT. Logs go to stderr.
    Serve,

    /// Runs the server on a throw-away database with a demo account and sessions of every kind
    ///
    /// Listens on loopback only. After the line `listening on http://ADDRESS:PORT` it prints `name: ...` and
    /// `password: ...` of the account to sign in with. At the end the database is deleted.
    Demo,

    /// Adds, lists, changes and removes built-in accounts
    #[command(subcommand, arg_required_else_help = false)]
    Account(AccountCommand),

    /// Lists and ends sessions, for operators
    #[command(subcommand, arg_required_else_help = false)]
    Sessions(SessionsCommand),

    /// Adds, lists and removes applications, which sign people in themselves and keep their sessions here
    #[command(subcommand, arg_required_else_help = false)]
    Application(ApplicationCommand),

    /// Says what a user agent would be shown as
    ///
    /// Prints one JSON object a line, `{"operating_system":...,"browser":...,"user_agent":...}`, in the order given.
    Device {
        /// User agents; without any, one a line is read from stdin
        #[arg(value_name = "USER-AGENT")]
        user_agents: Vec<OsString>,
    },

    /// Says what is wrong with the settings, or prints the effective ones without secrets
    CheckConfig,

    /// Says whether a running server is ready
    ///
    /// Asks `GET /readyz` of the server that listens where the settings say, and prints `ready`. Exit status 1 where
    /// it is not ready or not there.
    Health {
        /// The server's own address, where it is not that of the settings
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },

    /// Makes a consistent copy of the database, also while the server runs
    Backup {
        /// The file to write; it must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },

    /// Lists the nodes that share a PostgreSQL database, and says which one holds terminations up
    Nodes {
        /// Prints one JSON array of nodes instead of a table
        #[arg(long)]
        json: bool,
    },

    /// Copies accounts, applications and sessions into another database, which is empty; everybody stays signed in
    ///
    /// No server may work with either of them meanwhile. One that broke off is begun anew by asking for it again.
    MigrateStore {
        /// The database to read: sqlite:PATH or postgres://...
        #[arg(value_name = "FROM")]
        from: String,
        /// The database to fill: sqlite:PATH or postgres://...
        #[arg(value_name = "TO")]
        to: String,
    },

    /// Prints the completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },

    /// Prints the manual page
    Man,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Adds an account
    Add(NameAndPassword),
    /// Lists the accounts
    List,
    /// Gives an account a new password and ends its sessions
    Password(NameAndPassword),
    /// Refuses an account from now on and ends its sessions
    Disable(Name),
    /// Lets a disabled account sign in again
    Enable(Name),
    /// Removes an account and ends its sessions
    Remove(Name),
}

#[derive(Debug, Args)]
pub(crate) struct Name {
    /// Name of the account, 1 to 128 bytes without control characters
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct NameAndPassword {
    /// Name of the account, 1 to 128 bytes without control characters
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Reads the password from stdin instead of asking for it; one trailing line feed is dropped
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApplicationCommand {
    /// Adds an application and prints its key
    ///
    /// The key is all that is printed, and this is the only time: only a hash of it is kept. The application sends it as
    /// `Authorization: Bearer KEY`.
    Add(ApplicationName),
    /// Lists the applications
    List,
    /// Refuses an application's key from now on and ends every session of its accounts
    Remove(ApplicationName),
}

#[derive(Debug, Args)]
pub(crate) struct ApplicationName {
    /// Name of the application, 1 to 128 bytes without control characters; people see it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Lists sessions, those of all accounts or of one
    List {
        /// Only sessions of this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,

        /// Only sessions last used from this address or network
        #[arg(long, value_name = "ADDRESS-OR-CIDR", value_parser = network)]
        ip: Option<IpNet>,

        /// Prints one JSON array of sessions instead of a table
        #[arg(long)]
        json: bool,
    },

    /// Ends sessions
    ///
    /// `--account` and `--all` ask first; `--yes` does not. Where nobody can be asked they are refused.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Terminate {
        /// Ids of the sessions to end
        #[arg(value_name = "ID", group = "which")]
        ids: Vec<String>,

        /// Ends every session of this account
        #[arg(long, value_name = "NAME", group = "which")]
        account: Option<String>,

        /// Ends every session of every account
        #[arg(long, group = "which")]
        all: bool,

        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

fn network(text: &str) -> Result<IpNet, String> {
    crate::config::network(text)
}
