//! `cargo xtask bench`: Lastseen beside what people would use instead, on this machine, in one run.
//!
//! Everything is built, started on loopback, filled, loaded by wrk and stopped again. The contenders take turns within
//! each round, so that a noisy minute hits all of them; what counts is the ratio to the floor of the same round.
//! `bench/README.md` says what is measured and how to read it.

mod contender;
mod data;
mod databases;
mod load;
mod machine;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process;
use contender::Services;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rounds: in each every contender has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each turn lasts.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Connections of the load generator, one table each.
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64])]
    connections: Vec<u32>,
    /// Only these operations: validate, list-10, list-50-of-1000, mix, create, terminate.
    #[arg(long, value_delimiter = ',')]
    operations: Vec<String>,
    /// Only these contenders, by the names in the table; the floor and Lastseen always take part.
    #[arg(long, value_delimiter = ',')]
    contenders: Vec<String>,
    /// Sessions to begin with, ten an account.
    #[arg(long, default_value_t = 10_000)]
    sessions: u64,
    /// Where the results go.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
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
    const ALL: [Self; 6] = [
        Self::Validate,
        Self::List10,
        Self::List50Of1000,
        Self::Mix,
        Self::Create,
        Self::Terminate,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::List10 => "list-10",
            Self::List50Of1000 => "list-50-of-1000",
            Self::Mix => "mix",
            Self::Create => "create",
            Self::Terminate => "terminate",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    machine::prepare()?;
    let operations = operations(&arguments.operations)?;
    if !arguments.no_build {
        build()?;
    }
    let mut services = Services::start(arguments.sessions, &arguments.contenders)?;
    let redis_get = services.redis_get(&arguments.connections)?;
    let mut runs = Vec::new();
    for &connections in &arguments.connections {
        for &operation in &operations {
            for round in 0..=arguments.rounds {
                services.prepare(operation)?;
                for contender in services.contenders() {
                    if !contender.can(operation) {
                        continue;
                    }
                    // The first round warms up, shorter, and is not kept.
                    let seconds = match operation {
                        // It uses up what it ends.
                        Operation::Terminate => 1,
                        _ if round == 0 => 1,
                        _ => arguments.seconds,
                    };
                    let run = load::run(contender, operation, connections, seconds, round)?;
                    println!("{run}");
                    if round > 0 {
                        runs.push(run);
                    }
                }
            }
        }
    }
    let commit = contender::one_commit()?;
    let latency = services.terminate_alone()?;
    let about = machine::about(arguments.sessions)?;
    services.stop()?;
    let results = process::root().join(&arguments.results);
    report::write(&results, &about, &runs, &redis_get, commit, latency)?;
    println!("\nwritten to {}", results.display());
    Ok(())
}

fn operations(names: &[String]) -> Result<Vec<Operation>> {
    if names.is_empty() {
        return Ok(Operation::ALL.to_vec());
    }
    names
        .iter()
        .map(|name| {
            Operation::ALL
                .into_iter()
                .find(|operation| operation.name() == name)
                .with_context(|| format!("there is no operation {name}"))
        })
        .collect()
}

/// Builds the server as it is released, and what it is measured with and against.
fn build() -> Result<()> {
    let target = data::target();
    for (what, arguments) in [
        ("Lastseen", vec!["--package", "lastseen-server"]),
        (
            "the floor and the seeder",
            vec!["--manifest-path", "bench/Cargo.toml"],
        ),
        (
            "the others",
            vec!["--manifest-path", "bench/others/Cargo.toml"],
        ),
    ] {
        process::run(
            &format!("build {what}"),
            process::cargo()
                .args(["build", "--release", "--locked"])
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
