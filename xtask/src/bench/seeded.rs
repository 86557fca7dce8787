//! Databases full of sessions. To fill one takes minutes, so they are kept in `bench/target/seeded` for a day, and each
//! use of one is a copy.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::data;
use super::databases;
use crate::process;

/// One account has this many; the others have ten.
const LONG_ACCOUNT: u64 = 1_000;
/// How long one is kept: its sessions must not expire.
const KEPT: Duration = Duration::from_hours(24);

/// A session that the seeder wrote.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    pub(super) token: String,
    pub(super) id: String,
    /// The number of its account.
    account: u64,
}

impl Seeded {
    pub(super) fn cookie(&self) -> String {
        format!("lastseen={}", self.token)
    }
}

/// A database of Lastseen's, as it was filled.
pub(super) struct Filled {
    file: PathBuf,
    /// Sessions of accounts with ten each, in no order.
    pub(super) short: Vec<Seeded>,
    /// Those of the account with a thousand.
    pub(super) long: Vec<Seeded>,
    /// Those that may be ended.
    pub(super) ending: Vec<Seeded>,
}

impl Filled {
    /// A copy that a server may write to, on the disk already.
    pub(super) fn copy(&self, name: &str) -> Result<PathBuf> {
        copy(&self.file, &data::folder().join(name))
    }

    /// The same database, of which every `nth` account with ten sessions is asked for.
    pub(super) fn every_nth_account(mut self, nth: u64) -> Self {
        self.short.retain(|session| session.account % nth == 0);
        self
    }

    /// One session of each account with ten, `most` of them.
    pub(super) fn one_an_account(&self, most: usize) -> Vec<Seeded> {
        let mut seen = HashSet::new();
        (self.short.iter())
            .filter(|session| seen.insert(session.account))
            .take(most)
            .cloned()
            .collect()
    }
}

/// A database with `sessions`, an account with a thousand, and `to_end` that may be ended.
pub(super) fn lastseen(sessions: u64, to_end: u64) -> Result<Filled> {
    let folder = kept(&format!("lastseen-{sessions}-{to_end}"))?;
    let file = folder.join("sessions.db");
    let mut parts = Vec::new();
    let finished = folder.join("finished");
    for (prefix, accounts, sessions) in [
        ("account-", sessions / 10, sessions),
        ("long-", 1, LONG_ACCOUNT),
        ("ending-", to_end / 10, to_end),
    ] {
        let sample = folder.join(format!("{prefix}sample.tsv"));
        if !finished.exists() && sessions > 0 {
            seed(&file, prefix, accounts.max(1), sessions, Some(&sample), &[])?;
        }
        parts.push(if sessions > 0 {
            read_sample(&sample)?
        } else {
            Vec::new()
        });
    }
    std::fs::write(finished, "")?;
    let [short, long, ending] = <[Vec<Seeded>; 3]>::try_from(parts)
        .ok()
        .context("three parts")?;
    Ok(Filled {
        file,
        short,
        long,
        ending,
    })
}

/// A database of records that ended a day ago, with ten thousand sessions that live.
pub(super) fn ended(records: u64) -> Result<Filled> {
    let folder = kept(&format!("ended-{records}"))?;
    let (file, finished) = (folder.join("sessions.db"), folder.join("finished"));
    let sample = folder.join("sample.tsv");
    if !finished.exists() {
        seed(
            &file,
            "ended-",
            (records / 10).max(1),
            records,
            None,
            &["--ended"],
        )?;
        seed(&file, "account-", 1_000, 10_000, Some(&sample), &[])?;
        std::fs::write(finished, "")?;
    }
    Ok(Filled {
        file,
        short: read_sample(&sample)?,
        long: Vec::new(),
        ending: Vec::new(),
    })
}

/// Tokens of which no database knows.
pub(super) fn unknown(number: u64) -> Result<Vec<Seeded>> {
    let folder = kept(&format!("unknown-{number}"))?;
    let (file, sample) = (folder.join("sessions.db"), folder.join("sample.tsv"));
    if !sample.exists() {
        seed(&file, "unknown-", 1_000, number, Some(&sample), &[])?;
    }
    read_sample(&sample)
}

/// A database of tower-sessions' over SQLite, and its cookies.
pub(super) fn tower_sessions(sessions: u64, name: &str) -> Result<(PathBuf, Vec<String>)> {
    let folder = kept(&format!("tower-sessions-{sessions}"))?;
    let (file, sample) = (folder.join("sessions.db"), folder.join("sample.txt"));
    if !folder.join("finished").exists() {
        process::run(
            &format!("seed {sessions} sessions of tower-sessions"),
            Command::new(data::program("lastseen-bench-others"))
                .args(["--store", "sqlite", "--only-seed", "--url"])
                .arg(&file)
                .args(["--sessions", &sessions.to_string(), "--sample"])
                .arg(&sample),
        )?;
        std::fs::write(folder.join("finished"), "")?;
    }
    let mut cookies: Vec<String> = std::fs::read_to_string(&sample)?
        .lines()
        .map(str::to_owned)
        .collect();
    data::shuffle(&mut cookies);
    Ok((copy(&file, &data::folder().join(name))?, cookies))
}

/// The folder of a database; empty where it is too old or was not finished.
fn kept(name: &str) -> Result<PathBuf> {
    let folder = data::target().join("seeded").join(name);
    let is_fresh = std::fs::metadata(folder.join("finished"))
        .or_else(|_| std::fs::metadata(folder.join("sample.tsv")))
        .and_then(|file| file.modified())
        .is_ok_and(|finished| finished.elapsed().is_ok_and(|age| age < KEPT));
    if !is_fresh && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<PathBuf> {
    std::fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    let log = PathBuf::from(format!("{}-wal", from.display()));
    if log.exists() {
        std::fs::copy(log, format!("{}-wal", to.display()))?;
    }
    // The kernel would write it to the disk in the middle of a turn.
    databases::sync();
    Ok(to.to_owned())
}

fn seed(
    database: &Path,
    prefix: &str,
    accounts: u64,
    sessions: u64,
    sample: Option<&Path>,
    more: &[&str],
) -> Result<()> {
    let mut command = Command::new(data::program("seed"));
    command
        .arg("--database")
        .arg(database)
        .args(["--prefix", prefix])
        .args(["--accounts", &accounts.to_string()])
        .args(["--sessions", &sessions.to_string()])
        .args(["--sample-size", &sessions.to_string()])
        .args(more);
    if let Some(sample) = sample {
        command.arg("--sample").arg(sample);
    }
    process::run(
        &format!("seed {sessions} sessions of {accounts} accounts"),
        &mut command,
    )
}

fn read_sample(sample: &Path) -> Result<Vec<Seeded>> {
    let text = std::fs::read_to_string(sample).context("the seeder wrote no sample")?;
    let mut seeded = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        if let (Some(token), Some(id), Some(account)) =
            (fields.next(), fields.next(), fields.next())
        {
            let (_, number) = account
                .rsplit_once('-')
                .context("an account without a number")?;
            seeded.push(Seeded {
                token: token.to_owned(),
                id: id.to_owned(),
                account: number.parse()?,
            });
        }
    }
    data::shuffle(&mut seeded);
    Ok(seeded)
}
