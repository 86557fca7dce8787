//! Which commit the sources are. Shared by `build.rs` and its test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of a commit's name that are shown; Git itself shows no more than twelve for repositories of this size.
const SHOWN_DIGITS: usize = 12;

/// What is known about the sources.
pub(crate) struct Found {
    /// What stands behind the version number: a commit, or why there is none.
    pub(crate) shown: String,
    /// Files that change when the commit does.
    pub(crate) read_again_with: Vec<PathBuf>,
}

/// The commit of the sources in `folder`: what was given, else what Cargo wrote into the published package, else what
/// Git says. Nothing is fetched, and a build without any of them is a build all the same.
pub(crate) fn find(given: Option<&str>, is_release: bool, folder: &Path) -> Found {
    let mut read_again_with = Vec::new();
    let commit = given.and_then(sound).or_else(|| published(folder));
    let shown = match commit {
        Some(commit) => commit,
        None if is_release => {
            let commit = from_git(folder, &mut read_again_with);
            commit.unwrap_or_else(|| "unknown commit".to_owned())
        }
        None => "development build".to_owned(),
    };
    Found {
        shown,
        read_again_with,
    }
}

/// The first digits of a commit's name, if it is one.
fn sound(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_name.then(|| text[..text.len().min(SHOWN_DIGITS)].to_lowercase())
}

/// What `cargo package` noted beside the manifest: `{"git": {"sha1": "…"}, …}`.
fn published(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let after = text.split("\"sha1\"").nth(1)?;
    sound(after.split('"').nth(1)?)
}

fn from_git(folder: &Path, read_again_with: &mut Vec<PathBuf>) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(folder)
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Sources that were unpacked inside somebody else's repository are not of its commit.
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    for name in ["HEAD", "logs/HEAD"] {
        let file = git(&["rev-parse", "--git-path", name]).map(|path| folder.join(path));
        // Cargo would run the script at every build for a file that is not there.
        read_again_with.extend(file.filter(|path| path.is_file()));
    }
    sound(&git(&["rev-parse", "HEAD"])?)
}
