//! How every connection is set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Result};

/// How long a statement waits for another process that has the file locked: only a backup or somebody's
/// own tools can, since this process alone writes.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than all statements of the server together, so that none is compiled twice.
const STATEMENT_CACHE: usize = 256;
/// The log is cut to this length, in bytes, when it begins anew: four times what makes it begin anew, so that only a log
/// that a long read has held up is cut, and made longer again by the next commits.
const LOG_SIZE_LIMIT: i64 = 64 << 20;

/// Reading and writing, by this thread alone, of a file that exists. Names are names, never addresses.
pub(crate) fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE
}

/// Opens the file and reads nothing of it yet.
///
/// The connection, when closed, leaves the log to [`close`](crate::Database::close): a database that turns
/// out to be newer than this program stays as it is, to the byte.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags())?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Schema and functions in the file cannot make SQLite do more than SQL: the file may have been tampered with.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // A statement keeps its plan whatever it is asked for. Otherwise those with a LEFT JOIN, which read sessions, are
    // compiled anew each time: rusqlite takes their parameters away between two uses, and a plan that might go by these
    // does not outlive that. To compile one takes longer than to run it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    Ok(connection)
}

/// Settings of a connection to a database that is ours and not newer; `cache_bytes` for its page cache.
///
/// `synchronous=FULL`: what was answered survives a power cut. With NORMAL a cut after the answer has
/// revived an ended session, and from 32 rows a commit on NORMAL gains nothing.
pub(crate) fn set_up(connection: &Connection, cache_bytes: u64) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)?;
    // What is deleted is overwritten where that costs no page more: a purged address is gone from the file.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    // Negative is KiB, positive pages.
    connection.pragma_update(
        None,
        "cache_size",
        -i64::try_from(cache_bytes >> 10).unwrap_or(i64::MAX),
    )?;
    // The checkpointing thread does it instead.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(())
}
