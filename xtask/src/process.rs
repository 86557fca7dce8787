//! Running other programs so that one sees what runs, how long it took, and why it stopped.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // The manifest's folder is `xtask/`, one below the root, wherever the command was typed.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo's target folder, which `CARGO_TARGET_DIR` may have moved.
pub(crate) fn target() -> Result<PathBuf> {
    let root = root();
    match std::env::var_os("CARGO_TARGET_DIR") {
        // Cargo reads a relative one from where it was called; we call it from the root.
        Some(folder) => {
            std::path::absolute(root.join(folder)).context("CARGO_TARGET_DIR is no path")
        }
        None => Ok(root.join("target")),
    }
}

/// The cargo that called us, so that the tool chain is the same throughout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Set by the cargo that runs this program; a nested cargo for another package must not see it.
    for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR"] {
        command.env_remove(name);
    }
    command
}

/// Runs `command` to its end under a headline, and fails with its name unless it succeeded.
pub(crate) fn run(headline: &str, command: &mut Command) -> Result<()> {
    println!("\n==> {headline}");
    let (outcome, elapsed) = timed(|| command.stdin(Stdio::null()).status());
    let status = outcome.with_context(|| format!("{} cannot be started", line(command)))?;
    if !status.success() {
        bail!("{headline}: failed ({status}): {}", line(command));
    }
    println!("==> {headline}: done in {:.1} s", elapsed.as_secs_f64());
    Ok(())
}

/// Whether `program` with `arguments` runs and succeeds; what it prints is dropped.
pub(crate) fn succeeds<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What `command` prints on its standard output, without the white space around it.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} cannot be started", line(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed ({}): {}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What `work` returns, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a chore tells how long it took; no product code is involved"
    )]
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
