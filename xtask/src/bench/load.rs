//! One turn of the load generator, and what it cost the server.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Operation;
use super::contender::Contender;
use crate::process;

/// Threads of wrk: as many as it needs to keep two processors busy. With more servers, one for each.
const THREADS: u32 = 2;

/// Ticks in a second in which the kernel counts processor time (`USER_HZ`, the same on every Linux).
const TICKS: f64 = 100.0;

/// What one turn came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Run {
    pub(super) contender: String,
    pub(super) operation: String,
    pub(super) connections: u32,
    pub(super) round: usize,
    pub(super) requests_a_second: f64,
    /// Processor time of the server, and of its database, for one request.
    pub(super) server_us: f64,
    pub(super) backend_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Requests without an answer, and answers of 400 and above: none are to be expected.
    pub(super) failed: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>3} {:16} {:34} {:>9.0}/s  {:>6.2} + {:>6.2} µs  p50 {:>6.0} p99 {:>7.0} µs  failed {}",
            self.connections,
            self.operation,
            self.contender,
            self.requests_a_second,
            self.server_us,
            self.backend_us,
            self.p50_us,
            self.p99_us,
            self.failed
        )
    }
}

/// Loads a contender with an operation.
pub(super) fn run(
    contender: &Contender,
    operation: Operation,
    connections: u32,
    seconds: u32,
    round: usize,
) -> Result<Run> {
    let load = contender
        .load(operation)
        .context("this contender does not do that")?;
    let addresses = contender.addresses();
    let threads = THREADS
        .max(u32::try_from(addresses.len())?)
        .min(connections);
    let mut command = Command::new("wrk");
    command
        .args(["--threads", &threads.to_string()])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--timeout", "10s"])
        .arg("--script")
        .arg(process::root().join("bench/wrk/requests.lua"))
        .env("ADDRESSES", addresses.join(" "))
        .arg(contender.url())
        .arg("--")
        .arg(threads.to_string());
    for (weight, file) in load {
        command.arg(weight.to_string()).arg(file);
    }
    let (servers, backend) = contender.processes();
    let used = || -> Result<(f64, f64)> {
        let backend = backend.map_or(Ok(0.0), seconds_of_family)?;
        let servers = servers.iter().map(|server| seconds_of(*server));
        Ok((servers.sum::<Result<f64>>()?, backend))
    };
    let before = used()?;
    let output = process::output(&mut command)?;
    let after = used()?;
    let result = output
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))
        .with_context(|| format!("wrk says nothing of its result: {output}"))?;
    let result: Value = serde_json::from_str(result)?;
    let number = |field: &str| result[field].as_f64().unwrap_or_default();
    let requests = number("requests").max(1.0);
    Ok(Run {
        contender: contender.name.clone(),
        operation: operation.name().to_owned(),
        connections,
        round,
        requests_a_second: (requests / number("seconds").max(0.001)).round(),
        server_us: hundredths((after.0 - before.0) * 1e6 / requests),
        backend_us: hundredths((after.1 - before.1) * 1e6 / requests),
        p50_us: number("p50_us"),
        p99_us: number("p99_us"),
        failed: result["failed"].as_u64().unwrap_or_default()
            + result["refused"].as_u64().unwrap_or_default(),
    })
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Processor time that a process has used, in seconds.
pub(super) fn seconds_of(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The second field is a name in brackets, which may hold anything; user and system time are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')').context("no end of the name")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || -> Result<f64> { Ok(fields.next().context("too few fields")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS)
}

/// The same of a process and its children, as far as they still run: PostgreSQL has one for each connection.
fn seconds_of_family(process: u32) -> Result<f64> {
    let mut seconds = seconds_of(process)?;
    let path = format!("/proc/{process}/task/{process}/children");
    for child in std::fs::read_to_string(path)?.split_ascii_whitespace() {
        // One that ended meanwhile has no more to say.
        seconds += child
            .parse()
            .map_err(anyhow::Error::from)
            .and_then(seconds_of)
            .unwrap_or(0.0);
    }
    Ok(seconds)
}
