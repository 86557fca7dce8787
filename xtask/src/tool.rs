//! Cargo's companions that a fresh machine lacks, built once and kept beside the user's caches.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process;

/// A program from the registry, at the version that the project was checked with.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// Checks licences, sources and bans.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Builds and runs fuzz targets.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
};

impl Tool {
    /// Where the program is, after building it if this machine does not have it yet.
    pub(crate) fn installed(&self) -> Result<PathBuf> {
        let folder = cache()?.join(format!("{}-{}", self.name, self.version));
        let program = folder.join("bin").join(self.name);
        if !program.is_file() {
            process::run(
                &format!("install: {} {}", self.name, self.version),
                process::cargo()
                    .args(["install", "--locked", "--quiet", "--version", self.version])
                    .arg("--root")
                    .arg(&folder)
                    .arg(self.name),
            )?;
        }
        Ok(program)
    }
}

/// The folder for what can be made again.
fn cache() -> Result<PathBuf> {
    let caches = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME says where caches are")?;
    Ok(caches.join("lastseen-tools"))
}
