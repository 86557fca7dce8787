//! Everybody comes back at once: tokens that are not in memory, and tokens that are not at all.

use anyhow::Result;

use super::compare::count;
use super::contender::gets;
use super::probe::{Mode, Probe};
use super::results::Outcome;
use super::seeded::{self, Seeded};
use super::server::{self, Figures, Server};
use super::{Arguments, data};

/// Devices that come back.
const DEVICES: usize = 50_000;
/// How many connections they share.
const CONNECTIONS: u32 = 256;
/// How often each of them asks at the same time, where it asks several times over.
const AT_ONCE: usize = 4;

pub(super) fn run(arguments: &Arguments) -> Result<Outcome> {
    let filled = seeded::lastseen(arguments.large, 0)?;
    let unknown = seeded::unknown(DEVICES as u64)?;
    let mut outcome = Outcome::default();
    let (once, rest) = filled.short.split_at(filled.short.len().min(DEVICES));
    let several: Vec<Seeded> = rest
        .iter()
        .take(DEVICES)
        .flat_map(|session| std::iter::repeat_n(session.clone(), AT_ONCE))
        .collect();
    for _ in 0..arguments.rounds.min(3) {
        // Started anew each time: what it has read once is no storm any more.
        let database = filled.copy("storms.db")?;
        let (server, figures) = server::lastseen("storms", &database, &[])?;
        let mut storm = |what: &str, sessions: &[Seeded], status| {
            send(&server, &figures, what, sessions, status, &mut outcome)
        };
        storm("not in memory", once, 200)?;
        storm("not in memory, each four times at once", &several, 200)?;
        storm("unknown", &unknown, 401)?;
        storm("in memory", once, 200)?;
    }
    Ok(outcome)
}

fn send(
    server: &Server,
    figures: &Figures,
    what: &str,
    sessions: &[Seeded],
    status: u16,
    outcome: &mut Outcome,
) -> Result<()> {
    let file = data::requests("storm.tsv", gets("/api/v1/session", sessions))?;
    let look_ups = || -> Result<f64> { Ok(figures.get("lastseen_look_ups_total")?.unwrap_or(0.0)) };
    let before = look_ups()?;
    let probed = Probe {
        address: server.address(),
        connections: CONNECTIONS,
        mode: Mode::Once,
        loads: vec![("storm", 1, file)],
    }
    .run()?;
    let kind = probed.kind("storm")?;
    let mut note =
        |of: &str, unit: &str, value| outcome.note(&format!("{what}: {of}"), unit, value);
    note(
        "rate",
        "requests a second",
        count(kind.requests) / probed.seconds,
    );
    note("p50", "µs", kind.p50_us);
    note("p99", "µs", kind.p99_us);
    note("longest", "µs", kind.max_us);
    note(
        "reads of the store",
        "a request",
        (look_ups()? - before) / count(kind.requests),
    );
    note(
        &format!("not answered {status}"),
        "requests",
        count(kind.otherwise_than(status)),
    );
    Ok(())
}
