//! `lastseen --version` names the commit.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

#[path = "../build/commit.rs"]
mod commit;

use std::path::Path;
use std::process::Command;

fn shown(given: Option<&str>, is_release: bool, folder: &Path) -> String {
    commit::find(given, is_release, folder).shown
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=ada", "-c", "user.email=ada@example.org"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit_of(folder: &Path) -> String {
    git(folder, &["init", "--quiet"]);
    std::fs::write(folder.join("Cargo.toml"), "").unwrap();
    git(folder, &["add", "Cargo.toml"]);
    git(folder, &["commit", "--quiet", "--message", "first"]);
    git(folder, &["rev-parse", "HEAD"])
}

#[test]
fn a_release_names_the_commit_that_git_names_and_looks_again_after_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let commit = commit_of(folder.path());
    let found = commit::find(None, true, folder.path());
    assert_eq!(found.shown, commit[..12]);
    assert!(!found.read_again_with.is_empty());
    assert!(found.read_again_with.iter().all(|file| file.is_file()));
}

#[test]
fn sources_that_lie_in_another_repository_are_not_of_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    commit_of(folder.path());
    let sources = folder.path().join("unpacked");
    std::fs::create_dir(&sources).unwrap();
    std::fs::write(sources.join("Cargo.toml"), "").unwrap();
    assert_eq!(shown(None, true, &sources), "unknown commit");
}

#[test]
fn without_git_the_commit_is_unknown_unless_the_package_or_whoever_builds_it_names_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(shown(None, true, folder.path()), "unknown commit");
    assert_eq!(shown(Some(""), true, folder.path()), "unknown commit");
    assert_eq!(
        shown(Some("main; x"), true, folder.path()),
        "unknown commit"
    );
    let published =
        r#"{"git":{"sha1":"0123456789ABCDEF0123456789abcdef01234567"},"path_in_vcs":"x"}"#;
    std::fs::write(folder.path().join(".cargo_vcs_info.json"), published).unwrap();
    assert_eq!(shown(None, true, folder.path()), "0123456789ab");
    assert_eq!(
        shown(Some("feedfacef00d"), true, folder.path()),
        "feedfacef00d"
    );
}

#[test]
fn the_version_says_what_it_was_built_from() {
    let output = Command::new(env!("CARGO_BIN_EXE_lastseen"))
        .arg("--version")
        .output()
        .unwrap();
    let expected = format!(
        "lastseen {} ({})\n",
        env!("CARGO_PKG_VERSION"),
        env!("LASTSEEN_BUILD")
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
