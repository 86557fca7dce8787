//! Everything that can be checked without running a test.

use anyhow::Result;

use crate::{links, process, tool};

/// Format, lints, documentation, links, licences, in the order of how fast they answer.
pub(crate) fn run() -> Result<()> {
    process::run("format", process::cargo().args(["fmt", "--all", "--check"]))?;
    links::run()?;
    licences()?;
    process::run(
        "lints",
        process::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    features()?;
    process::run(
        "what a release would publish",
        process::cargo().args([
            "publish",
            "--dry-run",
            "--workspace",
            // Compiling the packages again takes minutes; whoever releases does it (CONTRIBUTING.md).
            "--no-verify",
            "--allow-dirty",
            "--locked",
            "--quiet",
        ]),
    )?;
    process::run(
        "documentation",
        process::cargo()
            .env(
                "RUSTDOCFLAGS",
                "--deny warnings --deny rustdoc::broken_intra_doc_links",
            )
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ]),
    )
}

/// The crates that others build on, each with the features that it has.
const FEATURES: &[(&str, &[&str])] = &[
    ("lastseen", &["conformance"]),
    ("lastseen-sqlite", &[]),
    ("lastseen-axum", &["openapi"]),
];

/// Every crate alone, without features and with each of them: in the workspace one crate's features reach its
/// neighbours, and hide what is missing.
fn features() -> Result<()> {
    for (package, features) in FEATURES {
        for feature in std::iter::once("").chain(features.iter().copied()) {
            let with = if feature.is_empty() {
                "without features"
            } else {
                feature
            };
            process::run(
                &format!("{package} alone, {with}"),
                process::cargo().args([
                    "check",
                    "--quiet",
                    "--locked",
                    "--no-default-features",
                    "--package",
                    package,
                    "--features",
                    feature,
                ]),
            )?;
        }
    }
    Ok(())
}

/// Licences, sources and bans, for the workspace, the fuzz targets and the benchmarks.
///
/// Known advisories are not looked up here: that needs the advisory database from the network, and
/// `cargo deny check advisories` does it where there is one.
fn licences() -> Result<()> {
    let program = tool::CARGO_DENY.installed()?;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml", "bench/Cargo.toml"] {
        process::run(
            &format!("licences, sources and bans of {manifest}"),
            std::process::Command::new(&program)
                .current_dir(process::root())
                .args(["--manifest-path", manifest, "--config", "deny.toml"])
                // What a workspace of its own locks is easily forgotten where a crate gains a dependency.
                .args(["--workspace", "--locked"])
                .args(["check", "--hide-inclusion-graph"])
                .args(["bans", "licenses", "sources"]),
        )?;
    }
    Ok(())
}
