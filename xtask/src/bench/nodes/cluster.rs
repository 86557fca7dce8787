//! A PostgreSQL of the bench's own, its databases, and the nodes over one of them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::super::compare::count;
use super::super::data;
use super::super::databases::{start_postgresql_with, stop_postgresql};
use super::super::machine::POSTGRESQL;
use super::super::seeded::Filled;
use super::super::server::{self, Figures, Log, Server};
use crate::process;

/// Connections that there is room for: eight nodes take eighteen each.
const CONNECTIONS: &str = "max_connections=300";
/// The database of commits that are not Lastseen's.
const COMMITS: &str = "commits";
/// One commit: a row of the size of a small session.
const COMMIT: &str = "INSERT INTO row (filling) VALUES (repeat('x', 150));\n";
/// Connections that commit beside a measurement.
const COMMITTERS: u32 = 16;

/// A PostgreSQL as it is installed, with fsync. Stopped when this goes.
pub(super) struct Cluster {
    /// `None` once it was stopped.
    server: Option<Child>,
    port: u16,
}

impl Cluster {
    /// Starts one, with settings beside those that it is installed with.
    pub(super) fn start(settings: &[&str]) -> Result<Self> {
        let (server, port) = start_postgresql_with(&[&[CONNECTIONS], settings].concat())?;
        Ok(Self {
            server: Some(server),
            port,
        })
    }

    pub(super) fn process(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// What a statement answers, a line a row.
    pub(super) fn ask(&self, database: &str, statement: &str) -> Result<String> {
        process::output(
            Command::new(Path::new(POSTGRESQL).join("psql"))
                .args(["--no-psqlrc", "--tuples-only", "--no-align"])
                .args(["--dbname", &self.url(database), "--command", statement]),
        )
    }

    /// A database without tables.
    pub(super) fn create(&self, database: &str) -> Result<()> {
        self.ask("postgres", &format!("CREATE DATABASE {database}"))?;
        Ok(())
    }

    /// A database with everything that a seeded file holds.
    pub(super) fn fill(&self, database: &str, filled: &Filled) -> Result<()> {
        self.create(database)?;
        let file = filled.copy(&format!("{database}.db"))?;
        process::run(
            &format!("copy the sessions into {database}"),
            Command::new(data::program("lastseen"))
                .arg("migrate-store")
                .arg(format!("sqlite:{}", file.display()))
                .arg(self.url(database))
                .stderr(Stdio::null()),
        )?;
        // What is on the disk and known to the planner now disturbs nobody later.
        self.ask(database, "VACUUM ANALYZE")?;
        self.ask(database, "CHECKPOINT")?;
        Ok(())
    }

    /// Makes room for commits that are not Lastseen's.
    pub(super) fn prepare_commits(&self) -> Result<()> {
        self.create(COMMITS)?;
        let table = "CREATE TABLE row (number bigserial PRIMARY KEY, filling text)";
        self.ask(COMMITS, table)?;
        std::fs::write(data::folder().join("commit.sql"), COMMIT)?;
        Ok(())
    }

    fn pgbench(&self) -> Command {
        let mut command = Command::new(Path::new(POSTGRESQL).join("pgbench"));
        command
            .args(["--no-vacuum", "--file"])
            .arg(data::folder().join("commit.sql"))
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--username", "postgres"]);
        command
    }

    /// How long one fsynced commit takes after the other, in microseconds, each.
    pub(super) fn commits(&self, number: u32) -> Result<Vec<f64>> {
        let prefix = data::folder().join("commits");
        process::output(
            self.pgbench()
                .args(["--client", "1", "--transactions", &number.to_string()])
                .arg("--log")
                .arg(format!("--log-prefix={}", prefix.display()))
                .arg(COMMITS),
        )?;
        let mut took = Vec::new();
        for entry in std::fs::read_dir(data::folder())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with("commits.") {
                continue;
            }
            // Client, number, microseconds, …
            let text = std::fs::read_to_string(&path)?;
            let fields = text.lines().filter_map(|line| line.split(' ').nth(2));
            took.extend(fields.filter_map(|field| field.parse::<f64>().ok()));
            std::fs::remove_file(path)?;
        }
        if took.is_empty() {
            bail!("pgbench has logged nothing");
        }
        Ok(took)
    }

    /// Begins to commit beside whatever comes, `rate` times a second or as near to it as the machine comes.
    pub(super) fn commit_beside(&self, rate: f64) -> Result<Committing<'_>> {
        let child = self
            .pgbench()
            .args(["--client", &COMMITTERS.to_string(), "--jobs", "2"])
            .args(["--rate", &rate.to_string(), "--time", "600"])
            .arg(COMMITS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("pgbench cannot be started")?;
        let mut committing = Committing {
            cluster: self,
            child,
            before: 0.0,
        };
        std::thread::sleep(Duration::from_millis(500));
        committing.before = self.committed()?;
        Ok(committing)
    }

    /// Commits so far. A sequence tells it at once, where statistics come a second late.
    fn committed(&self) -> Result<f64> {
        let last = self.ask(COMMITS, "SELECT last_value FROM row_number_seq")?;
        Ok(last.trim().parse()?)
    }

    /// A node, which has its lease where it ever gets one.
    pub(super) fn node(&self, name: &str, database: &str) -> Result<(Server, Figures)> {
        let node =
            server::lastseen_over(name, Log::File, &self.url(database), &["--node-name", name])?;
        for _ in 0..200 {
            if node.1.get("lastseen_leased")? == Some(1.0) {
                return Ok(node);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{name} has got no lease within ten seconds")
    }

    /// So many nodes over one database.
    pub(super) fn nodes(&self, number: usize, database: &str) -> Result<Vec<Server>> {
        (1..=number)
            .map(|place| Ok(self.node(&format!("{database}-{place}"), database)?.0))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = self.server.take()
            && let Err(error) = stop_postgresql(server, self.port)
        {
            eprintln!("{error:#}");
        }
    }
}

/// Commits that go on until this goes.
pub(super) struct Committing<'a> {
    cluster: &'a Cluster,
    child: Child,
    before: f64,
}

impl Committing<'_> {
    /// How many of them there were since the beginning.
    pub(super) fn number(&self) -> Result<f64> {
        Ok(self.cluster.committed()? - self.before)
    }
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        // It has nothing to lose.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The value that a part of the values do not exceed; `None` of none.
pub(super) fn at(part: f64, values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = count(sorted.len() as u64) * part;
    // The first whose place reaches the rank: exact, without a cast.
    sorted
        .iter()
        .zip(1_u32..)
        .find(|(_, place)| f64::from(*place) >= rank)
        .map(|(value, _)| *value)
}
