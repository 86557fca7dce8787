//! `cargo xtask test`: every test there is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{instructions, machine, process};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run one half only.
    #[arg(long, value_enum)]
    only: Option<Half>,
    /// Passed to pytest, for example `-- -k cookie`.
    #[arg(last = true)]
    pytest: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Half {
    /// The tests of the crates, the examples in their documentation, and how many instructions the verbs take.
    Rust,
    /// The tests of the real binary under `tests/`, the page in a real browser among them.
    Python,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    machine::prepare()?;
    if arguments.only != Some(Half::Python) {
        rust()?;
    }
    if arguments.only != Some(Half::Rust) {
        python(&arguments.pytest)?;
    }
    Ok(())
}

fn rust() -> Result<()> {
    process::run(
        "tests of the crates and of the examples in their documentation",
        process::cargo().args(["test", "--workspace", "--locked"]),
    )?;
    instructions::compare_with_recorded()
}

fn python(arguments: &[String]) -> Result<()> {
    process::run(
        "build the binary under test",
        process::cargo().args(["build", "--package", "lastseen-server", "--locked"]),
    )?;
    let python = environment()?;
    process::run(
        "tests of the binary, over HTTP, on the command line and in Chromium",
        Command::new(python)
            .current_dir(process::root())
            .env(
                "LASTSEEN_BINARY",
                process::target()?.join("debug").join("lastseen"),
            )
            .args(["-m", "pytest", "--config-file=tests/pytest.ini", "tests"])
            // A worker a core, up to four: most of a test is waiting for the other process.
            .args(["--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"])
            .args(arguments),
    )
}

/// The Python of an environment that has exactly what `tests/requirements.txt` pins.
///
/// It is made again when that file or the Python below it changes, and kept otherwise.
fn environment() -> Result<PathBuf> {
    let requirements = process::root().join("tests/requirements.txt");
    let pinned = std::fs::read(&requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    let base = machine::python()?;
    let version = process::output(
        Command::new(base).args(["-c", "import sys; print(sys.version, sys.prefix)"]),
    )?;
    let fingerprint = HEXLOWER.encode(
        &Sha256::new()
            .chain_update(&pinned)
            .chain_update(version.as_bytes())
            .finalize(),
    );

    let folder = process::target()?.join("python");
    let python = folder.join("bin/python");
    let stamp = folder.join("fingerprint");
    if std::fs::read_to_string(&stamp).is_ok_and(|kept| kept == fingerprint) {
        return Ok(python);
    }
    process::run(
        "make the Python environment",
        Command::new(base)
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    process::run(
        "install tests/requirements.txt into it",
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--requirement")
            .arg(&requirements),
    )?;
    // Written last, so that an installation that broke off is begun anew.
    std::fs::write(&stamp, fingerprint)
        .with_context(|| format!("{} cannot be written", stamp.display()))?;
    Ok(python)
}
