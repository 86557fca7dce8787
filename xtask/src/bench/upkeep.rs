//! What goes on beside the requests: last uses are written, old records purged. Nobody may wait for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::compare::count;
use super::contender::{application_key, creations, gets};
use super::probe::{Mode, Probe, Probed};
use super::results::Outcome;
use super::seeded::{self, Seeded};
use super::server::{self, Figures, Log, Server};
use super::{Arguments, data, load};
use crate::process;

/// Requests a second that leave the machine some room.
const RATE: f64 = 10_000.0;
/// Sessions that can be used in a second, at least, on two processors.
const USED_IN_A_SECOND: u64 = 33_333;
/// Seconds of a look beside nothing; less than there are between two rounds in which last uses are written.
const QUIET: f64 = 10.0;
/// How long a purge may take before it is given up: a few times what ten million records take.
const PATIENCE: Duration = Duration::from_mins(40);

/// The requests beside the upkeep: checks, and a hundredth each of lists and creations.
struct Load {
    validate: PathBuf,
    list: PathBuf,
    create: PathBuf,
}

impl Load {
    /// Of these sessions, in these two orders.
    fn new(validate: PathBuf, sessions: &[Seeded], key: &str) -> Result<Self> {
        Ok(Self {
            validate,
            list: data::requests("list.tsv", gets("/api/v1/sessions", sessions))?,
            create: data::requests("create.tsv", creations(Some(key)))?,
        })
    }

    fn look(&self, server: &Server, seconds: f64, rate: Option<f64>) -> Result<Probed> {
        Probe {
            address: server.address(),
            connections: 64,
            mode: rate.map_or(Mode::Full(seconds), |rate| Mode::Paced(seconds, rate)),
            loads: vec![
                ("validate", 98, self.validate.clone()),
                ("list", 1, self.list.clone()),
                ("create", 1, self.create.clone()),
            ],
        }
        .run()
    }
}

fn note(outcome: &mut Outcome, what: &str, probed: &Probed) -> Result<()> {
    for kind in ["validate", "list", "create"] {
        let came = probed.kind(kind)?;
        for (figure, microseconds) in [("p50", came.p50_us), ("p99", came.p99_us)] {
            outcome.note(&format!("{what}: {kind}, {figure}"), "µs", microseconds);
        }
        outcome.note(&format!("{what}: {kind}, longest"), "ms", came.max_us / 1e3);
    }
    outcome.note(
        &format!("{what}: longest request"),
        "ms",
        probed.max_us() / 1e3,
    );
    outcome.note(
        &format!("{what}: requests above 50 ms"),
        "in a million",
        count(probed.above_50_ms()) * 1e6 / count(probed.requests()),
    );
    outcome.note(
        &format!("{what}: rate"),
        "requests a second",
        count(probed.requests()) / probed.seconds,
    );
    Ok(())
}

/// The same load at a server that does nothing at all: what it waits for there, it waits for the processors.
fn look_at_floor(outcome: &mut Outcome, load: &Load, seconds: f64) -> Result<()> {
    let file = |name: &str, length: usize| -> Result<PathBuf> {
        let path = data::folder().join(name);
        std::fs::write(&path, "x".repeat(length))?;
        Ok(path)
    };
    let floor = Server::start(
        "floor",
        Log::Read,
        Command::new(data::program("floor"))
            .arg("--session")
            .arg(file("session.json", 450)?)
            .arg("--list")
            .arg(file("list.json", 4_500)?),
    )?;
    let probed = load.look(&floor, seconds, None)?;
    note(outcome, "full load, the floor", &probed)
}

/// The program, with its log off the disk that requests wait for.
fn lastseen(name: &str, database: &Path, settings: &[&str]) -> Result<(Server, Figures)> {
    let database = format!("sqlite:{}", database.display());
    server::lastseen_over(name, Log::Read, &database, settings)
}

/// All sessions are used within about a touch interval, and recorded within the next.
pub(super) fn touch(arguments: &Arguments) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let filled = seeded::lastseen(arguments.huge, 0)?;
    let database = filled.copy("touch.db")?;
    let key = application_key(&database)?;
    // All can be used within it: 5 minutes for ten million. Uses are written each half of it.
    let interval = (arguments.huge / USED_IN_A_SECOND).max(10);
    let (server, figures) = lastseen(
        "touch",
        &database,
        &[
            "--cache-memory",
            "4GiB",
            "--touch-interval",
            &format!("{interval}s"),
        ],
    )?;
    let few = &filled.short[..filled.short.len().min(10_000)];
    let all = data::requests("all.tsv", gets("/api/v1/session", &filled.short))?;
    let load = Load::new(all.clone(), few, &key)?;
    let mut recorded = 0.0;
    for what in ["read from the disk and used", "used again, from memory"] {
        let before = load::seconds_of(server.process())?;
        let probed = Probe {
            address: server.address(),
            connections: 64,
            mode: Mode::Once,
            loads: vec![("validate", 1, all.clone())],
        }
        .run()?;
        let kind = probed.kind("validate")?;
        let used = load::seconds_of(server.process())? - before;
        let uses = count(kind.requests);
        outcome.note(&format!("{what}: sessions"), "sessions", uses);
        outcome.note(&format!("{what}: within"), "s", probed.seconds);
        outcome.note(&format!("{what}: longest"), "ms", kind.max_us / 1e3);
        outcome.note(
            &format!("{what}: processor time"),
            "µs each",
            used * 1e6 / uses,
        );
        recorded += uses;
        let (outcome_of_wait, elapsed) = process::timed(|| wait_for(&figures, recorded));
        outcome_of_wait?;
        outcome.note(
            &format!("{what}: all recorded after"),
            "s",
            elapsed.as_secs_f64(),
        );
    }
    for (how, rate) in [("paced", Some(RATE)), ("full load", None)] {
        let quiet = undisturbed(&load, &server, &figures, rate)?;
        note(
            &mut outcome,
            &format!("{how}, while none are written"),
            &quiet,
        )?;
        let before = written(&figures)?;
        // Longer than half an interval, so that it sees uses written.
        let probed = load.look(&server, count(interval) * 0.6, rate)?;
        let what = format!("{how}, beside last uses written");
        note(&mut outcome, &what, &probed)?;
        outcome.note(
            &format!("{what}: written"),
            "uses",
            written(&figures)? - before,
        );
    }
    drop(server);
    look_at_floor(&mut outcome, &load, QUIET * 3.0)?;
    Ok(outcome)
}

/// What the load waits for while no last uses are written: a look that was over before they were.
fn undisturbed(
    load: &Load,
    server: &Server,
    figures: &Figures,
    rate: Option<f64>,
) -> Result<Probed> {
    for _ in 0..20 {
        // Those that are under way first.
        let mut before = written(figures)?;
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let after = written(figures)?;
            if after <= before {
                break;
            }
            before = after;
        }
        let probed = load.look(server, QUIET, rate)?;
        if written(figures)? <= before {
            return Ok(probed);
        }
    }
    bail!("last uses were always being written")
}

fn written(figures: &Figures) -> Result<f64> {
    Ok(figures.get("lastseen_uses_written_total")?.unwrap_or(0.0))
}

/// Waits until so many uses were written.
fn wait_for(figures: &Figures, uses: f64) -> Result<()> {
    for _ in 0..6_000 {
        if written(figures)? >= uses {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("after ten minutes not all uses were written")
}

/// Records that ended long ago are purged, all of them, beside load.
pub(super) fn purge(arguments: &Arguments) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let filled = seeded::ended(arguments.huge)?;
    // A minute, where a turn lasts three seconds.
    let look = f64::from(arguments.seconds) * 20.0;
    for (how, rate) in [("paced", Some(RATE)), ("full load", None)] {
        let database = filled.copy("purge.db")?;
        let key = application_key(&database)?;
        let validate = data::requests("validate.tsv", gets("/api/v1/session", &filled.short))?;
        let load = Load::new(validate, &filled.short, &key)?;
        // Without anything to purge first, for comparison.
        let (server, _) = lastseen("purge", &database, &["--keep-ended", "90d"])?;
        load.look(&server, 5.0, rate)?;
        note(
            &mut outcome,
            &format!("{how}, while records are walked over"),
            &load.look(&server, look / 2.0, rate)?,
        )?;
        drop(server);
        let (server, figures) = lastseen("purge", &database, &["--keep-ended", "1s"])?;
        let (looks, elapsed) = process::timed(|| -> Result<Vec<Probed>> {
            let mut looks = Vec::new();
            let patience = PATIENCE.as_secs_f64() / look;
            while count(looks.len() as u64) < patience {
                looks.push(load.look(&server, look, rate)?);
                // The figure is there once the first round is over.
                if figures
                    .get("lastseen_sessions{status=\"ended\"}")?
                    .is_some()
                {
                    break;
                }
            }
            Ok(looks)
        });
        for probed in looks? {
            note(&mut outcome, &format!("{how}, beside the purge"), &probed)?;
        }
        let left = figures
            .get("lastseen_sessions{status=\"ended\"}")?
            .context("the purge did not end")?;
        outcome.note(&format!("{how}: records left"), "records", left);
        let rate = count(arguments.huge) / elapsed.as_secs_f64();
        outcome.note(&format!("{how}: purged"), "a second, at least", rate);
    }
    let validate = data::requests("validate.tsv", gets("/api/v1/session", &filled.short))?;
    let load = Load::new(validate, &filled.short, "")?;
    look_at_floor(&mut outcome, &load, look / 2.0)?;
    Ok(outcome)
}
