//! Brings the rules by which a user agent is read up to date.
//!
//! They come from uap-core, as the package `ua-parser-builtins` serves them month by month. Python's
//! own client fetches it; `device_data.py` turns it into the tables of `crates/lastseen/data/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// The package that carries the rules.
const PACKAGE: &str = "ua-parser-builtins";

/// What can be told `update-device-data`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Take this version of the package, such as 202610, instead of the newest.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Take this wheel instead of fetching one.
    #[arg(long, value_name = "FILE", conflicts_with = "version")]
    wheel: Option<PathBuf>,
}

/// Fetches the package, writes the tables, and tests the names that come out of them.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let wheel = match &arguments.wheel {
        Some(wheel) => wheel.clone(),
        None => fetch(arguments.version.as_deref())?,
    };
    let root = process::root();
    process::run(
        "device data: write the tables",
        Command::new("python3")
            .arg(root.join("xtask/src/device_data.py"))
            .arg(&wheel)
            .arg(root.join("crates/lastseen/data/uap-core")),
    )?;
    process::run(
        "device data: test the names",
        process::cargo().args(["test", "--quiet", "-p", "lastseen", "--lib", "device::"]),
    )?;
    process::run(
        "device data: what changed",
        Command::new("git").current_dir(&root).args([
            "diff",
            "--stat",
            "--",
            "crates/lastseen/data",
        ]),
    )
}

/// Downloads the package into a folder of its own, which holds nothing else.
fn fetch(version: Option<&str>) -> Result<PathBuf> {
    let folder = process::root().join("target/device-data");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    let wanted = version.map_or_else(
        || PACKAGE.to_owned(),
        |version| format!("{PACKAGE}=={version}"),
    );
    process::run(
        "device data: fetch the package",
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--no-deps", "--only-binary", ":all:", "--dest"])
            .arg(&folder)
            .arg(wanted),
    )?;
    let mut wheels = fs::read_dir(&folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    match (wheels.pop(), wheels.is_empty()) {
        (Some(wheel), true) => Ok(wheel.path()),
        _ => bail!("{} should hold one wheel", folder.display()),
    }
}
