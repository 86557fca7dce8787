//! Random input for everything that reads from outside.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, tool};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many seconds each target gets.
    #[arg(default_value_t = 60)]
    seconds: u32,
    /// Only this target; `fuzz/fuzz_targets` has their names.
    #[arg(long)]
    target: Option<String>,
}

/// Runs the targets one after the other; stops at the first finding, which cargo-fuzz keeps under
/// `fuzz/artifacts`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !process::succeeds("rustup", &["run", "nightly", "rustc", "--version"]) {
        bail!("fuzzing needs the nightly tool chain: rustup toolchain install nightly");
    }
    let program = tool::CARGO_FUZZ.installed()?;
    let targets = match &arguments.target {
        Some(target) => vec![target.clone()],
        None => targets()?,
    };
    for target in targets {
        // What the fuzzer finds interesting goes here; what is worth keeping is moved to `fuzz/corpus` by hand.
        let found = Path::new("fuzz/target/corpus").join(&target);
        let kept = Path::new("fuzz/corpus").join(&target);
        std::fs::create_dir_all(process::root().join(&found))
            .with_context(|| format!("{} cannot be made", found.display()))?;
        let mut command = Command::new("rustup");
        command
            .current_dir(process::root())
            .args(["run", "nightly"])
            .arg(&program)
            .args(["run", &target])
            .args([&found, &kept])
            .arg("--")
            .arg(format!("-max_total_time={}", arguments.seconds))
            // Longer than anything that a limit lets through.
            .args(["-max_len=8192", "-timeout=5", "-print_final_stats=1"]);
        process::run(
            &format!("fuzz {target}, {} s", arguments.seconds),
            &mut command,
        )?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let folder = process::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
