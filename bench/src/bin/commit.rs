//! What one fsynced commit takes on this disk: one row, one transaction, `synchronous=FULL`, nobody beside it.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use lastseen_sqlite::rusqlite::Connection;

const COMMITS: usize = 2_000;

fn main() -> Result<()> {
    let path: PathBuf = std::env::args_os().nth(1).context("commit FILE")?.into();
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS row (number INTEGER PRIMARY KEY, filling BLOB)",
    )?;
    let mut insert = connection.prepare("INSERT INTO row (filling) VALUES (randomblob(150))")?;
    let mut microseconds: Vec<f64> = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let began = Instant::now();
        insert.execute([])?;
        microseconds.push(began.elapsed().as_secs_f64() * 1e6);
    }
    microseconds.sort_unstable_by(f64::total_cmp);
    let at = |part: usize| microseconds[COMMITS * part / 100];
    println!(
        "{{\"p50_us\":{:.1},\"p90_us\":{:.1},\"p99_us\":{:.1}}}",
        at(50),
        at(90),
        at(99)
    );
    Ok(())
}
