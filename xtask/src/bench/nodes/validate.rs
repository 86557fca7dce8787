//! Validations a second, over one to three nodes and beside others that keep sessions in the same PostgreSQL.

use std::process::Command;

use anyhow::{Context, Result};

use super::super::compare::fill;
use super::super::contender::{Contender, gets};
use super::super::data::{self, Request};
use super::super::results::Outcome;
use super::super::seeded::{self, Filled};
use super::super::server::{self, Log, Server, free_port};
use super::super::{Arguments, Operation, load};
use super::cluster::Cluster;

/// Whose rate and cost the ratios are to.
pub(super) const YARDSTICK: &str = "tower-sessions, PostgreSQL";

const DATABASE: &str = "lastseen";
const OTHERS: &str = "others";

/// Those that are compared.
#[derive(Clone, Copy)]
enum Who {
    Others,
    /// A node that never gets a lease: each validation is a read of the database.
    NoLease,
    /// So many nodes, the load spread over all of them.
    Nodes(usize),
}

/// Each turn finds its servers started anew and everybody else's stopped: what a node writes now and then must not
/// count for another.
pub(super) fn run(arguments: &Arguments, outcome: &mut Outcome) -> Result<()> {
    let cluster = Cluster::start(&[])?;
    let filled = seeded::lastseen(arguments.small, 0)?;
    cluster.fill(DATABASE, &filled)?;
    cluster.create(OTHERS)?;
    let cookies = seed_others(&cluster, arguments.small)?;
    // The same number for everybody, which two threads and three nodes share out evenly.
    let connections = arguments.connections.first().copied().unwrap_or(32);
    let connections = (connections - connections % 6).max(6);
    for round in 1..=arguments.rounds {
        for who in [
            Who::Others,
            Who::NoLease,
            Who::Nodes(1),
            Who::Nodes(2),
            Who::Nodes(3),
        ] {
            let contender = match who {
                Who::Others => others(&cluster, &cookies)?,
                Who::NoLease => no_lease(&cluster, &filled)?,
                Who::Nodes(number) => nodes(&cluster, number, &filled)?,
            };
            // A second to warm up.
            load::run(&contender, Operation::Validate, connections, 1, 0)?;
            let run = load::run(
                &contender,
                Operation::Validate,
                connections,
                arguments.seconds,
                round,
            )?;
            println!("{run}");
            outcome.runs.push(run);
        }
    }
    Ok(())
}

fn nodes(cluster: &Cluster, number: usize, filled: &Filled) -> Result<Contender> {
    let mut servers = cluster.nodes(number, DATABASE)?;
    for server in &servers {
        fill(server, "/api/v1/session", &filled.short)?;
    }
    let first = servers.remove(0);
    let name = match number {
        1 => "Lastseen, 1 node".to_owned(),
        _ => format!("Lastseen, {number} nodes"),
    };
    let contender = Contender::new(&name, first, cluster.process()).with_others(servers);
    with_requests(contender, filled)
}

/// Its lease is asked for where nobody listens, so it never has one.
fn no_lease(cluster: &Cluster, filled: &Filled) -> Result<Contender> {
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/{DATABASE}", free_port()?);
    let (server, _) = server::lastseen_over(
        "no-lease",
        Log::File,
        &cluster.url(DATABASE),
        &["--database-direct", &nowhere],
    )?;
    let contender = Contender::new("Lastseen, cache off", server, cluster.process());
    with_requests(contender, filled)
}

fn with_requests(mut contender: Contender, filled: &Filled) -> Result<Contender> {
    contender.set_requests(Operation::Validate, gets("/api/v1/session", &filled.short))?;
    Ok(contender)
}

/// Begins sessions of tower-sessions; their cookies.
fn seed_others(cluster: &Cluster, sessions: u64) -> Result<Vec<String>> {
    let sample = data::folder().join("others-sample.txt");
    crate::process::run(
        &format!("seed {sessions} sessions of tower-sessions"),
        Command::new(data::program("lastseen-bench-others"))
            .args(["--store", "postgres", "--only-seed", "--url"])
            .arg(cluster.url(OTHERS))
            .args(["--sessions", &sessions.to_string(), "--sample"])
            .arg(&sample),
    )?;
    let text = std::fs::read_to_string(&sample).context("no sample was written")?;
    let mut cookies: Vec<String> = text.lines().map(str::to_owned).collect();
    data::shuffle(&mut cookies);
    cluster.ask(OTHERS, "VACUUM ANALYZE")?;
    Ok(cookies)
}

fn others(cluster: &Cluster, cookies: &[String]) -> Result<Contender> {
    let server = Server::start(
        "others",
        Log::File,
        Command::new(data::program("lastseen-bench-others"))
            .args(["--store", "postgres", "--url"])
            .arg(cluster.url(OTHERS)),
    )?;
    let mut contender = Contender::new(YARDSTICK, server, cluster.process());
    let requests = cookies.iter().map(|cookie| {
        Request {
            method: "GET",
            path: "/api/v1/session",
            cookie: Some(cookie),
            header: None,
            body: None,
        }
        .line()
    });
    contender.set_requests(Operation::Validate, requests)?;
    Ok(contender)
}
