//! How long a termination takes until no node accepts the session, beside one fsynced commit on the same PostgreSQL.

use anyhow::{Context, Result};

use super::super::Arguments;
use super::super::compare::{count, fill};
use super::super::contender::end_of;
use super::super::data;
use super::super::probe::{Mode, Probe, Probed};
use super::super::results::Outcome;
use super::super::seeded::{self, Seeded};
use super::super::server::Server;
use super::cluster::{Cluster, at};

/// Nodes that hold a lease.
const NODES: [usize; 3] = [1, 3, 8];
/// Terminations before it counts: connections are made, plans are found.
const FIRST: usize = 50;
/// One after the other.
const ALONE: usize = 300;
/// By several at once.
const AT_ONCE: usize = 1_600;
/// How many that are.
const TERMINATORS: u32 = 8;
/// After a node has died.
const AFTER_A_DEATH: usize = 100;
/// Commits a second that are to be beside.
const OTHER_COMMITS: f64 = 2_000.0;

const DATABASE: &str = "terminations";

pub(super) fn run(arguments: &Arguments, outcome: &mut Outcome) -> Result<()> {
    let in_a_round = NODES.len() * (FIRST + 2 * ALONE + 2 * AT_ONCE) + FIRST + 1 + AFTER_A_DEATH;
    let filled = seeded::lastseen(0, u64::try_from(in_a_round * arguments.rounds)?)?;
    let cluster = Cluster::start(&[])?;
    cluster.fill(DATABASE, &filled)?;
    cluster.prepare_commits()?;
    let mut sessions = filled.ending;
    for _ in 0..arguments.rounds {
        for number in NODES {
            round(&cluster, number, &mut sessions, outcome)?;
        }
        a_death(&cluster, &mut sessions, outcome)?;
    }
    Ok(())
}

/// Nodes that all have the same sessions in memory.
struct Filled {
    nodes: Vec<Server>,
    sessions: Vec<Seeded>,
}

impl Filled {
    fn start(
        cluster: &Cluster,
        number: usize,
        sessions: &mut Vec<Seeded>,
        taken: usize,
    ) -> Result<Self> {
        let taken = taken + FIRST;
        let rest = sessions
            .len()
            .checked_sub(taken)
            .context("too few sessions were seeded")?;
        let mut filled = Self {
            nodes: cluster.nodes(number, DATABASE)?,
            sessions: sessions.split_off(rest),
        };
        for node in &filled.nodes {
            fill(node, "/api/v1/session", &filled.sessions)?;
        }
        filled.terminate(FIRST, 1, 1)?;
        Ok(filled)
    }

    /// Ends so many sessions, each once, over `connections` that are spread over the first `nodes`.
    fn terminate(&mut self, number: usize, connections: u32, nodes: usize) -> Result<Probed> {
        let rest = self.sessions.len().saturating_sub(number);
        let ended = self.sessions.split_off(rest);
        let file = data::requests("terminate.once.tsv", ended.iter().map(end_of))?;
        let addresses: Vec<&str> = self.nodes.iter().take(nodes).map(Server::address).collect();
        Probe {
            address: &addresses.join(","),
            connections,
            mode: Mode::Once,
            loads: vec![("terminate", 1, file)],
        }
        .run()
    }
}

fn round(
    cluster: &Cluster,
    number: usize,
    sessions: &mut Vec<Seeded>,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut filled = Filled::start(cluster, number, sessions, 2 * ALONE + 2 * AT_ONCE)?;
    let nodes = match number {
        1 => "1 node".to_owned(),
        _ => format!("{number} nodes"),
    };
    let what = |how: &str| format!("terminate, {nodes}, {how}");

    let commits = cluster.commits(u32::try_from(ALONE)?)?;
    let ended = filled.terminate(ALONE, 1, 1)?;
    let kind = ended.kind("terminate")?;
    for (part, name, took) in [(0.5, "p50", kind.p50_us), (0.99, "p99", kind.p99_us)] {
        let commit = at(part, &commits).context("no commits")?;
        let figure = what(&format!("idle: {name}"));
        outcome.note(&figure, "ms", took / 1e3);
        outcome.note(
            &format!("{figure}, one fsynced commit beside it"),
            "ms",
            commit / 1e3,
        );
        outcome.note(&format!("{figure}, ratio"), "times", took / commit);
    }
    note_failed(outcome, &ended)?;

    let committing = cluster.commit_beside(OTHER_COMMITS)?;
    let (ended, elapsed) = crate::process::timed(|| filled.terminate(ALONE, 1, 1));
    let (ended, beside) = (ended?, committing.number()?);
    drop(committing);
    let kind = ended.kind("terminate")?;
    let how = "beside other commits";
    outcome.note(&what(&format!("{how}: p50")), "ms", kind.p50_us / 1e3);
    outcome.note(&what(&format!("{how}: p99")), "ms", kind.p99_us / 1e3);
    outcome.note(
        &what(&format!("{how}: how many")),
        "a second",
        beside / elapsed.as_secs_f64(),
    );
    note_failed(outcome, &ended)?;

    let spreads = if number == 1 {
        vec![1]
    } else {
        vec![1, number]
    };
    for spread in spreads {
        let how = match spread {
            1 => format!("{TERMINATORS} terminators at one"),
            _ => format!("{TERMINATORS} terminators at all"),
        };
        let ended = filled.terminate(AT_ONCE, TERMINATORS, spread)?;
        let kind = ended.kind("terminate")?;
        outcome.note(
            &what(&format!("{how}: rate")),
            "a second",
            count(kind.requests) / ended.seconds,
        );
        outcome.note(&what(&format!("{how}: p50")), "ms", kind.p50_us / 1e3);
        outcome.note(&what(&format!("{how}: p99")), "ms", kind.p99_us / 1e3);
        note_failed(outcome, &ended)?;
    }
    Ok(())
}

/// One of three nodes dies: the next termination waits for its lease, those after it do not.
fn a_death(cluster: &Cluster, sessions: &mut Vec<Seeded>, outcome: &mut Outcome) -> Result<()> {
    let mut filled = Filled::start(cluster, 3, sessions, 1 + AFTER_A_DEATH)?;
    let died = filled.nodes.pop().context("three nodes")?;
    died.kill()?;
    let first = filled.terminate(1, 1, 1)?;
    let name = "terminate, 3 nodes, one of them just killed";
    outcome.note(
        &format!("{name}: the first"),
        "ms",
        first.kind("terminate")?.max_us / 1e3,
    );
    let next = filled.terminate(AFTER_A_DEATH, 1, 1)?;
    let kind = next.kind("terminate")?;
    outcome.note(&format!("{name}: the next, p50"), "ms", kind.p50_us / 1e3);
    outcome.note(
        &format!("{name}: the next, longest"),
        "ms",
        kind.max_us / 1e3,
    );
    note_failed(outcome, &first)?;
    note_failed(outcome, &next)
}

fn note_failed(outcome: &mut Outcome, ended: &Probed) -> Result<()> {
    let failed = ended.kind("terminate")?.otherwise_than(204);
    outcome.note("terminations not answered 204", "requests", count(failed));
    Ok(())
}
