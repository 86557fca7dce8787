//! `cargo xtask bench`: Lastseen beside what people would use instead, on this machine, in one run.
//!
//! Everything is built, started on loopback, filled, loaded and stopped again. It has parts that can be run by
//! themselves; each writes a file of its own among the results, and the table and the charts are made of all that are
//! there. `bench/README.md` says what is measured and how to read it.

mod chart;
mod compare;
mod contender;
mod data;
mod databases;
mod load;
mod machine;
mod nodes;
mod probe;
mod report;
mod results;
mod scale;
mod seeded;
mod server;
mod stage;
mod start;
mod storms;
mod upkeep;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::process;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these parts; without any all that take minutes: not scale, touch, purge and nodes.
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Section>,
    /// The same, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Rounds: in each every contender has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each turn lasts.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Connections of the load generator, one table each.
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64])]
    connections: Vec<u32>,
    /// Only these contenders beside Lastseen and the floor: memory, sqlite, moka, redis, postgresql.
    #[arg(long, value_enum, value_delimiter = ',')]
    contenders: Vec<stage::Who>,
    /// Sessions of a small database, ten an account.
    #[arg(long, default_value_t = 10_000)]
    small: u64,
    /// Sessions of a large one.
    #[arg(long, default_value_t = 1_000_000)]
    large: u64,
    /// Sessions of the largest, for scale, touch and purge.
    #[arg(long, default_value_t = 10_000_000)]
    huge: u64,
    /// Where the results go.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
}

/// A part of the bench, with a file of its own among the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Section {
    /// A session checked, among ten thousand; with the processor time that it takes.
    Validate,
    /// A session checked, among a million.
    ValidateMillion,
    /// Ten sessions listed, and 50 of 1,000.
    List,
    /// 95 % validate, 3 % list, 1 % create, 1 % terminate; and how long a check takes with and without writes beside it.
    Mix,
    /// A session created by an application, in a database of ten thousand.
    Create,
    /// The same in a database of a million.
    CreateMillion,
    /// A session ended; and by itself, beside one fsynced commit.
    Terminate,
    /// Redis itself, asked by its own benchmark.
    Redis,
    /// 50,000 devices that come back at once, and 50,000 that never were there.
    Storms,
    /// From the start of the program to the first answer.
    Start,
    /// All of it at ten thousand, a million and ten million sessions.
    Scale,
    /// The last uses of ten million sessions, written beside load.
    Touch,
    /// Ten million records purged beside load.
    Purge,
    /// Several nodes over one PostgreSQL: validations, terminations, and what the database has to do for each.
    Nodes,
}

impl Section {
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it is left to those who ask for it by name: it takes ten minutes and more.
    fn is_long(self) -> bool {
        matches!(self, Self::Scale | Self::Touch | Self::Purge | Self::Nodes)
    }
}

/// What is asked of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Validate,
    List10,
    List50Of1000,
    Mix,
    Create,
    Terminate,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::List10 => "list-10",
            Self::List50Of1000 => "list-50-of-1000",
            Self::Mix => "mix",
            Self::Create => "create",
            Self::Terminate => "terminate",
        }
    }

    /// Whether it only reads, and can be repeated at will.
    pub(super) fn only_reads(self) -> bool {
        match self {
            Self::Validate | Self::List10 | Self::List50Of1000 => true,
            Self::Mix | Self::Create | Self::Terminate => false,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    machine::prepare()?;
    if !arguments.no_build {
        build()?;
    }
    data::begin()?;
    let folder = process::root().join(&arguments.results);
    for &section in Section::value_variants() {
        let mut named = arguments.parts.iter().chain(&arguments.only).peekable();
        let wanted = if named.peek().is_none() {
            !section.is_long()
        } else {
            named.any(|named| *named == section)
        };
        if !wanted {
            continue;
        }
        println!("\n==> {}", section.name());
        let about = machine::about()?;
        let outcome = match section {
            Section::Storms => storms::run(arguments)?,
            Section::Start => start::run(arguments)?,
            Section::Scale => scale::run(arguments)?,
            Section::Touch => upkeep::touch(arguments)?,
            Section::Purge => upkeep::purge(arguments)?,
            Section::Nodes => nodes::run(arguments)?,
            _ => compare::run(section, arguments)?,
        };
        outcome.print();
        results::save(&folder, section, &about, &outcome)?;
        report::write(&folder)?;
        data::begin()?;
    }
    println!("\nwritten to {}", folder.display());
    Ok(())
}

/// Builds the server as it is released, and what it is measured with and against.
fn build() -> Result<()> {
    let target = data::target();
    for (what, arguments) in [
        ("Lastseen", vec!["--locked", "--package", "lastseen-server"]),
        (
            "the floor and the seeder",
            // Its lock file follows ours, and may be behind.
            vec!["--manifest-path", "bench/Cargo.toml"],
        ),
        (
            "the others",
            vec!["--locked", "--manifest-path", "bench/others/Cargo.toml"],
        ),
    ] {
        process::run(
            &format!("build {what}"),
            process::cargo()
                .args(["build", "--release"])
                .args(arguments)
                .arg("--target-dir")
                .arg(&target),
        )?;
    }
    if !data::program("lastseen").is_file() {
        bail!(
            "cargo has not built {}",
            data::program("lastseen").display()
        );
    }
    Ok(())
}
