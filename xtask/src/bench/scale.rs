//! The same at ten thousand, a million and ten million sessions, side by side.

use anyhow::{Context, Result};

use super::compare::{count, fill, turns};
use super::contender::gets;
use super::probe::{Mode, Probe};
use super::results::Outcome;
use super::seeded::{self, Seeded};
use super::stage::Stage;
use super::{Arguments, Operation, data, load, start};

/// Sessions that a turn may end.
const ENDED_IN_A_TURN: u64 = 25_000;
/// Sessions and lists that are asked for before they are in memory.
const COLD: usize = 50_000;
/// Accounts that are asked for, each with its ten sessions; of a million accounts, the others stay on the disk.
const ASKED_FOR: u64 = 100_000;

pub(super) fn run(arguments: &Arguments) -> Result<Outcome> {
    let sizes = [arguments.small, arguments.large, arguments.huge];
    let to_end = ENDED_IN_A_TURN * u64::try_from(arguments.rounds + 1)?;
    let mut outcome = Outcome {
        yardstick: name(arguments.small),
        ..Outcome::default()
    };
    let filled = sizes
        .into_iter()
        .map(|sessions| {
            let nth = (sessions / 10 / ASKED_FOR).max(1);
            Ok(seeded::lastseen(sessions, to_end)?.every_nth_account(nth))
        })
        .collect::<Result<Vec<_>>>()?;
    for (filled, sessions) in filled.iter().zip(sizes) {
        start::measure(filled, sessions, arguments.rounds.min(3), &mut outcome)?;
        data::begin()?;
    }
    let mut stage = Stage::default();
    for (filled, sessions) in filled.iter().zip(sizes) {
        stage.add_lastseen(&name(sessions), filled, &["--cache-memory", "1GiB"])?;
    }
    stage.add_floors(filled.first().context("three sizes")?)?;
    for ((filled, sessions), place) in filled.iter().zip(sizes).zip(0..) {
        let sessions_of_all = &filled.short[..filled.short.len().min(COLD)];
        for (what, path, asked) in [
            ("check", "/api/v1/session", sessions_of_all),
            (
                "list of ten",
                "/api/v1/sessions",
                &filled.one_an_account(COLD),
            ),
        ] {
            let what = format!("{what} not in memory, {sessions} sessions");
            cold(&stage, place, &what, path, asked, &mut outcome)?;
        }
        let server = &stage.contenders[place].server;
        fill(
            server,
            "/api/v1/sessions",
            &filled.one_an_account(usize::MAX),
        )?;
    }
    let connections = arguments.connections.first().copied().unwrap_or(32);
    for operation in [
        Operation::Validate,
        Operation::List10,
        Operation::List50Of1000,
        Operation::Terminate,
        Operation::Create,
    ] {
        for round in 0..=arguments.rounds {
            stage.prepare(operation, usize::try_from(ENDED_IN_A_TURN)?)?;
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

fn name(sessions: u64) -> String {
    format!("Lastseen, {sessions} sessions")
}

/// What it costs to ask for what is not in memory: a session is an indexed read, a list an index and a read for each of
/// its sessions.
fn cold(
    stage: &Stage,
    place: usize,
    what: &str,
    path: &str,
    asked: &[Seeded],
    outcome: &mut Outcome,
) -> Result<()> {
    let lastseen = &stage.contenders[place];
    let file = data::requests("cold.tsv", gets(path, asked))?;
    let before = load::seconds_of(lastseen.server.process())?;
    let probed = Probe {
        address: lastseen.server.address(),
        connections: 64,
        mode: Mode::Once,
        loads: vec![("cold", 1, file)],
    }
    .run()?;
    let kind = probed.kind("cold")?;
    let used = load::seconds_of(lastseen.server.process())? - before;
    let mut note = |of: &str, unit: &str, value| {
        outcome.note(&format!("{what}: {of}"), unit, value);
    };
    let requests = count(kind.requests);
    note("rate", "requests a second", requests / probed.seconds);
    note(
        "processor time of the server",
        "µs a request",
        used * 1e6 / requests,
    );
    note("p50", "µs", kind.p50_us);
    note("p99", "µs", kind.p99_us);
    Ok(())
}
