//! Tells the program which commit it was built from, for `lastseen --version`.

#[path = "build/commit.rs"]
mod commit;

use std::path::Path;

/// The variable by which whoever builds without the repository (a container, a distribution) names the commit.
const COMMIT_VARIABLE: &str = "LASTSEEN_COMMIT";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed={COMMIT_VARIABLE}");
    let given = std::env::var(COMMIT_VARIABLE).ok();
    // In a development build every commit would build the crate again, to say what whoever built it knows.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let found = commit::find(given.as_deref(), is_release, Path::new(&folder));
    for file in &found.read_again_with {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rustc-env=LASTSEEN_BUILD={}", found.shown);
}
