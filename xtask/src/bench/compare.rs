//! Side by side: every contender has its turn within each round, so that a noisy minute hits all of them; what counts is
//! the ratio to the yardstick of the same round.

use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum as _;
use serde_json::Value;

use super::probe::{Mode, Probe};
use super::results::Outcome;
use super::seeded::{self, Filled, Seeded};
use super::server::Server;
use super::stage::{Stage, Who};
use super::{Arguments, Operation, Section, contender, data, load};
use crate::process;

/// Sessions that one turn of a second may end.
const ENDED_IN_A_TURN: u64 = 25_000;
/// Sessions that a turn of the mix may end, of which they are a hundredth.
const ENDED_IN_A_MIX: u64 = 5_000;
/// Sessions ended one after the other.
const ENDED_ALONE: u64 = 2_000;
/// Requests a second that the machine bears with ease: what a check takes then is not its wait for a processor.
const EASY_RATE: f64 = 4_000.0;

pub(super) fn run(section: Section, arguments: &Arguments) -> Result<Outcome> {
    match section {
        Section::Validate => {
            let filled = seeded::lastseen(arguments.small, 0)?;
            let mut stage = Stage::default();
            stage.add_lastseen("Lastseen", &filled, &[])?;
            stage.add_floors(&filled)?;
            for who in others(arguments) {
                stage.add_other(who, arguments.small, 0)?;
            }
            rounds(arguments, &mut stage, &[Operation::Validate])
        }
        Section::ValidateMillion => {
            let (filled, mut stage) = two(arguments.large, 0)?;
            let lastseen = stage.contenders.first().context("Lastseen comes first")?;
            fill(&lastseen.server, "/api/v1/session", &filled.short)?;
            rounds(arguments, &mut stage, &[Operation::Validate])
        }
        Section::List => {
            let (_, mut stage) = two(arguments.small, 0)?;
            let operations = [Operation::List10, Operation::List50Of1000];
            rounds(arguments, &mut stage, &operations)
        }
        Section::Mix => mix(arguments),
        Section::Create => anew(arguments, Operation::Create, arguments.small),
        Section::CreateMillion => anew(arguments, Operation::Create, arguments.large),
        Section::Terminate => anew(arguments, Operation::Terminate, arguments.small),
        _ => redis(arguments),
    }
}

fn others(arguments: &Arguments) -> Vec<Who> {
    if arguments.contenders.is_empty() {
        Who::value_variants().to_vec()
    } else {
        arguments.contenders.clone()
    }
}

/// Lastseen and the floor.
fn two(sessions: u64, to_end: u64) -> Result<(Filled, Stage)> {
    let filled = seeded::lastseen(sessions, to_end)?;
    let mut stage = Stage::default();
    stage.add_lastseen("Lastseen", &filled, &[])?;
    stage.add_floors(&filled)?;
    Ok((filled, stage))
}

/// Asks for a path once under each of these sessions, so that what it shows is in memory.
pub(super) fn fill(lastseen: &Server, path: &str, sessions: &[Seeded]) -> Result<()> {
    let name = format!("fill-{}.tsv", lastseen.process());
    let file = data::requests(&name, contender::gets(path, sessions))?;
    let probe = Probe {
        address: lastseen.address(),
        connections: 64,
        mode: Mode::Once,
        loads: vec![("fill", 1, file.clone())],
    };
    let filled = probe.run()?;
    std::fs::remove_file(file)?;
    println!(
        "    {} requests brought what they ask for into memory in {:.1} s",
        filled.requests(),
        filled.seconds
    );
    Ok(())
}

/// Rounds over servers that stay as they are.
fn rounds(arguments: &Arguments, stage: &mut Stage, operations: &[Operation]) -> Result<Outcome> {
    let mut outcome = Outcome {
        yardstick: "floor".to_owned(),
        ..Outcome::default()
    };
    for &connections in &arguments.connections {
        for &operation in operations {
            for round in 0..=arguments.rounds {
                stage.prepare(operation, usize::try_from(ENDED_IN_A_MIX)?)?;
                turns(
                    arguments,
                    stage,
                    operation,
                    connections,
                    round,
                    &mut outcome,
                )?;
            }
        }
    }
    Ok(outcome)
}

/// The turn of each contender in a round. The first round, 0, warms up; it is shorter and not kept.
pub(super) fn turns(
    arguments: &Arguments,
    stage: &Stage,
    operation: Operation,
    connections: u32,
    round: usize,
    outcome: &mut Outcome,
) -> Result<()> {
    for contender in &stage.contenders {
        if !contender.can(operation) {
            continue;
        }
        let seconds = match operation {
            // It uses up what it ends.
            Operation::Terminate => 1,
            _ if round == 0 => 1,
            _ => arguments.seconds,
        };
        if operation.only_reads() {
            // What the others left in the processors' caches is theirs to pay.
            load::run(contender, operation, connections, 1, round)?;
        }
        let run = load::run(contender, operation, connections, seconds, round)?;
        println!("{run}");
        if round > 0 {
            outcome.runs.push(run);
        }
    }
    Ok(())
}

/// Rounds in which each turn finds a fresh database: what it writes must not be there for the next.
fn anew(arguments: &Arguments, operation: Operation, sessions: u64) -> Result<Outcome> {
    let mut outcome = Outcome {
        yardstick: Who::Sqlite.name().to_owned(),
        ..Outcome::default()
    };
    let to_end = if operation == Operation::Terminate {
        ENDED_IN_A_TURN
    } else {
        0
    };
    let others = if sessions > arguments.small {
        vec![Who::Sqlite]
    } else {
        others(arguments)
    };
    let filled = seeded::lastseen(sessions, to_end + ENDED_ALONE)?;
    for round in 1..=arguments.rounds {
        for &connections in &arguments.connections {
            let mut stage = Stage::default();
            stage.add_lastseen("Lastseen", &filled, &[])?;
            for &who in &others {
                stage.add_other(who, sessions, to_end)?;
            }
            if operation == Operation::Terminate
                && Some(&connections) == arguments.connections.first()
            {
                alone(&mut stage, &filled, &mut outcome)?;
            }
            stage.prepare(operation, usize::MAX)?;
            turns(
                arguments,
                &stage,
                operation,
                connections,
                round,
                &mut outcome,
            )?;
        }
    }
    Ok(outcome)
}

/// One termination after the other, beside one commit after the other: of sessions that memory knows, as that of a person
/// who looked at the page first, and of sessions that nobody asked for since the start.
fn alone(stage: &mut Stage, filled: &Filled, outcome: &mut Outcome) -> Result<()> {
    let lastseen = stage
        .contenders
        .first_mut()
        .context("Lastseen comes first")?;
    let database = data::folder().join("commit.db");
    let output = process::output(Command::new(data::program("commit")).arg(&database))?;
    let commit = serde_json::from_str::<Value>(&output)?["p50_us"]
        .as_f64()
        .context("no time of a commit")?;
    outcome.note("one fsynced commit, p50", "µs", commit);
    let each = usize::try_from(ENDED_ALONE)? / 2;
    // They are taken from the end.
    let mut sessions = filled.ending.rchunks(each);
    for what in ["in memory", "not in memory"] {
        let sessions = sessions.next().context("too few sessions to end")?;
        if what == "in memory" {
            fill(&lastseen.server, "/api/v1/session", sessions)?;
        }
        let file = lastseen.take_ends(sessions.len())?;
        let ended = Probe {
            address: lastseen.server.address(),
            connections: 1,
            mode: Mode::Once,
            loads: vec![("terminate", 1, file)],
        }
        .run()?;
        let ended = ended.kind("terminate")?;
        outcome.note(
            &format!("one termination over HTTP, {what}, p50"),
            "µs",
            ended.p50_us,
        );
        outcome.note(
            &format!("one termination, {what}, of one fsynced commit"),
            "times",
            ended.p50_us / commit,
        );
        outcome.note(
            &format!("terminations not answered 204, {what}"),
            "requests",
            count(ended.otherwise_than(204)),
        );
    }
    Ok(())
}

/// Counts are far below the 2^53 that a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

/// The mix, and how long a check takes with and without its writes.
fn mix(arguments: &Arguments) -> Result<Outcome> {
    let turns = u64::try_from((arguments.rounds + 1) * arguments.connections.len())?;
    // The generator, and the probe twice.
    let (_, mut stage) = two(arguments.small, 3 * turns * ENDED_IN_A_MIX)?;
    let mut outcome = rounds(arguments, &mut stage, &[Operation::Mix])?;
    let lastseen = stage
        .contenders
        .first_mut()
        .context("Lastseen comes first")?;
    let file = |operation| lastseen.file(operation);
    let (validate, list, create) = (
        file(Operation::Validate)?,
        file(Operation::List10)?,
        file(Operation::Create)?,
    );
    for &connections in &arguments.connections {
        for _ in 0..arguments.rounds {
            for rate in [None, Some(EASY_RATE)] {
                let seconds = f64::from(arguments.seconds);
                let mode = rate.map_or(Mode::Full(seconds), |rate| Mode::Paced(seconds, rate));
                let terminate = lastseen.take_ends(usize::try_from(ENDED_IN_A_MIX)?)?;
                let p99 = |with_writes: bool| -> Result<f64> {
                    let mut loads = vec![
                        ("validate", 95, validate.clone()),
                        ("list", 3, list.clone()),
                    ];
                    if with_writes {
                        loads.push(("create", 1, create.clone()));
                        loads.push(("terminate", 1, terminate.clone()));
                    }
                    let address = lastseen.server.address();
                    let probed = Probe {
                        address,
                        connections,
                        mode,
                        loads,
                    }
                    .run()?;
                    Ok(probed.kind("validate")?.p99_us)
                };
                let (without, with) = (p99(false)?, p99(true)?);
                let how = rate.map_or("full load".to_owned(), |rate| {
                    format!("{rate} requests a second")
                });
                let what = format!("p99 of a check, {connections} connections, {how}");
                outcome.note(&format!("{what}, without writes"), "µs", without);
                outcome.note(&format!("{what}, with them"), "µs", with);
                outcome.note(&format!("{what}, ratio"), "times", with / without);
            }
        }
    }
    Ok(outcome)
}

/// Redis itself, asked by its own benchmark for 450 bytes.
fn redis(arguments: &Arguments) -> Result<Outcome> {
    let mut stage = Stage::default();
    let port = stage.start_redis()?;
    let mut outcome = Outcome::default();
    for _ in 0..arguments.rounds {
        for &connections in &arguments.connections {
            let output = process::output(
                Command::new("redis-benchmark")
                    .args(["-p", &port.to_string(), "-c", &connections.to_string()])
                    .args(["-t", "set,get", "-n", "100000", "-r", "10000"])
                    .args(["-d", "450", "--csv"]),
            )?;
            let rate = output
                .lines()
                .find_map(|line| line.strip_prefix("\"GET\",\""))
                .and_then(|rest| rest.split('"').next())
                .and_then(|rate| rate.parse().ok())
                .context("redis-benchmark says no rate")?;
            let name = format!("Redis itself, GET, {connections} connections");
            outcome.note(&name, "requests a second", rate);
        }
    }
    Ok(outcome)
}
