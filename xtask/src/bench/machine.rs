//! What the bench needs on this machine, and what this machine is.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::process;

/// PostgreSQL's programs, where Debian puts them.
pub(super) const POSTGRESQL: &str = "/usr/lib/postgresql/15/bin";

/// Makes sure that the load generator and the databases are here, or says what is not.
pub(super) fn prepare() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !process::succeeds("apt-get", &["--version"]) {
        bail!(
            "the bench cannot run, this machine lacks what these packages bring. On Debian, as root: \
             apt-get install --no-install-recommends {}",
            missing.join(" ")
        );
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args([
            "--quiet",
            "--option",
            "DPkg::Lock::Timeout=300",
        ]);
        command
    };
    process::run("install: package lists", apt().arg("update"))?;
    process::run(
        &format!("install: {}", missing.join(" ")),
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing),
    )
}

fn missing() -> Vec<&'static str> {
    let is_program = |name: &str| process::succeeds("sh", &["-c", &format!("command -v {name}")]);
    [
        ("wrk", is_program("wrk")),
        ("redis-server", is_program("redis-server")),
        ("redis-tools", is_program("redis-benchmark")),
        (
            "postgresql-15",
            Path::new(POSTGRESQL).join("postgres").is_file(),
        ),
    ]
    .into_iter()
    .filter_map(|(package, is_here)| (!is_here).then_some(package))
    .collect()
}

pub(super) fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|user| user == "0")
}

/// What the results hold for: the machine, and the versions of everything.
pub(super) fn about() -> Result<Value> {
    let first_line = |command: &mut Command| {
        process::output(command)
            .ok()
            .and_then(|text| text.lines().next().map(str::to_owned))
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo")?
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|name| name.trim_start_matches([' ', '\t', ':']).to_owned());
    let locked = std::fs::read_to_string(process::root().join("bench/others/Cargo.lock"))?;
    let version_of = |package: &str| {
        let at = locked.find(&format!("name = \"{package}\"\n"))?;
        locked[at..].lines().nth(1).map(|line| {
            line.trim_start_matches("version = ")
                .trim_matches('"')
                .to_owned()
        })
    };
    Ok(json!({
        "date": process::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?,
        "revision": first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(process::root())),
        "processor": processor,
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": first_line(Command::new("uname").arg("-sr")),
        "load_before": std::fs::read_to_string("/proc/loadavg")?.trim(),
        "rustc": first_line(Command::new("rustc").arg("--version")),
        "wrk": "4.1.0",
        "redis": first_line(Command::new("redis-server").arg("--version")),
        "postgresql": first_line(Command::new(Path::new(POSTGRESQL).join("postgres")).arg("--version")),
        "axum": version_of("axum"),
        "tower_sessions": version_of("tower-sessions"),
        "sqlx": version_of("sqlx"),
    }))
}
