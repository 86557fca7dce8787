//! From the start of the program to its first answer.

use anyhow::{Context, Result};

use super::contender::{application_key, creations};
use super::databases::forget_files;
use super::probe::{Mode, Probe};
use super::results::Outcome;
use super::seeded::{self, Filled};
use super::{Arguments, data, server};
use crate::process;

pub(super) fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for sessions in [arguments.small, arguments.large] {
        let filled = seeded::lastseen(sessions, 0)?;
        measure(&filled, sessions, arguments.rounds.min(3), &mut outcome)?;
    }
    Ok(outcome)
}

/// Starts it over a database of that size: as one left it, with nothing of the file in memory, and after a crash under
/// load.
pub(super) fn measure(
    filled: &Filled,
    sessions: u64,
    rounds: usize,
    outcome: &mut Outcome,
) -> Result<()> {
    let database = filled.copy("start.db")?;
    let key = application_key(&database)?;
    let create = data::requests("start-create.tsv", creations(Some(&key)))?;
    let mut first = |how: &str| -> Result<server::Server> {
        let session = filled.short.first().context("nothing was seeded")?;
        let (started, elapsed) = process::timed(|| -> Result<_> {
            let (server, _) = server::lastseen("start", &database, &[])?;
            data::body_of(server.address(), "/api/v1/session", &session.cookie())?;
            Ok(server)
        });
        let server = started?;
        outcome.note(
            &format!("first answer, {sessions} sessions, {how}"),
            "ms",
            elapsed.as_secs_f64() * 1e3,
        );
        Ok(server)
    };
    for _ in 0..rounds {
        drop(first("after a stop")?);
        if forget_files() {
            drop(first("nothing of the file in memory")?);
        }
        let server = first("after a stop")?;
        Probe {
            address: server.address(),
            connections: 64,
            mode: Mode::Full(2.0),
            loads: vec![("create", 1, create.clone())],
        }
        .run()?;
        server.kill()?;
        drop(first("after a crash")?);
    }
    Ok(())
}
