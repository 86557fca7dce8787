//! Latencies by kind of request: `bench/src/bin/probe.rs`, called and read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::data;
use crate::process;

/// What to send, and how.
pub(super) struct Probe<'a> {
    pub(super) address: &'a str,
    pub(super) connections: u32,
    pub(super) mode: Mode,
    /// Name, weight, file.
    pub(super) loads: Vec<(&'static str, u32, PathBuf)>,
}

#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// Each request of the one load once.
    Once,
    /// As fast as it goes, for so many seconds.
    Full(f64),
    /// For so many seconds, so many requests a second.
    Paced(f64, f64),
}

/// What came of it.
#[derive(Debug, Deserialize)]
pub(super) struct Probed {
    pub(super) seconds: f64,
    kinds: Vec<Kind>,
}

/// What came of the requests of one kind.
#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    name: String,
    pub(super) requests: u64,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
    pub(super) above_50_ms: u64,
}

impl Probe<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(data::program("probe"));
        command
            .arg(self.address)
            .args(["--connections", &self.connections.to_string()]);
        match self.mode {
            Mode::Once => _ = command.arg("--once"),
            Mode::Full(seconds) => _ = command.args(["--seconds", &seconds.to_string()]),
            Mode::Paced(seconds, rate) => {
                command.args(["--seconds", &seconds.to_string()]);
                command.args(["--rate", &rate.to_string()]);
            }
        }
        for (name, weight, file) in &self.loads {
            command
                .arg("--load")
                .arg(format!("{name}:{weight}:{}", file.display()));
        }
        command
    }

    pub(super) fn run(&self) -> Result<Probed> {
        read(&process::output(&mut self.command())?)
    }
}

fn read(output: &str) -> Result<Probed> {
    serde_json::from_str(output).with_context(|| format!("the probe says {output}"))
}

impl Probed {
    pub(super) fn kind(&self, name: &str) -> Result<&Kind> {
        self.kinds
            .iter()
            .find(|kind| kind.name == name)
            .with_context(|| format!("nothing was said of {name}"))
    }

    pub(super) fn requests(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.requests).sum()
    }

    /// The longest that any request took.
    pub(super) fn max_us(&self) -> f64 {
        self.kinds
            .iter()
            .map(|kind| kind.max_us)
            .fold(0.0, f64::max)
    }

    pub(super) fn above_50_ms(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.above_50_ms).sum()
    }
}

impl Kind {
    /// Requests that were answered otherwise than with `status`.
    pub(super) fn otherwise_than(&self, status: u16) -> u64 {
        self.requests - self.statuses.get(&status).copied().unwrap_or(0)
    }
}
