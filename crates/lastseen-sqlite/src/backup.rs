//! A consistent copy of a database, made while it is in use.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::Connection;

use crate::error::OpenError;
use crate::{connection, file};

/// Writes a copy of the database at `path` to a new file at `destination`: complete, consistent, compact,
/// readable for its owner only, and on the disk when this returns. Blocks for as long as that takes.
///
/// It works beside a process that has the database open, and does not hold it up; that process's log
/// cannot begin anew meanwhile. The copy has no unused pages, so it is also the way to shrink a database.
///
/// # Errors
/// Where the copy could not be made, or something is at `destination` already; then nothing is left there.
pub fn backup_file(path: impl AsRef<Path>, destination: impl AsRef<Path>) -> Result<(), OpenError> {
    let path = file::resolve(path.as_ref())?;
    let destination = destination.as_ref();
    if destination.symlink_metadata().is_ok() {
        return Err(OpenError::Exists {
            path: destination.to_owned(),
        });
    }
    let destination = file::resolve(destination)?;
    let source = open_source(&path)?;

    // The temporary file is made for its owner only, and removed wherever this function is left early.
    let copy = tempfile::Builder::new()
        .prefix(".lastseen-backup-")
        .tempfile_in(file::directory_of(&destination))
        .map_err(|error| OpenError::from_io(&destination, &error))?
        .into_temp_path();
    // A name need not be text for the operating system; SQLite takes the bytes.
    let name = copy.as_os_str().as_encoded_bytes();
    source
        .execute("VACUUM INTO CAST(?1 AS TEXT)", [name])
        .map_err(|error| {
            // A full disk is the copy's; damage is the source's.
            match OpenError::from_sqlite(&destination, error) {
                OpenError::Corrupt { reason, .. } => OpenError::Corrupt {
                    path: path.clone(),
                    reason,
                },
                other => other,
            }
        })?;
    // SQLite leaves this to us: it makes such a copy without waiting for the disk.
    File::open(&copy)
        .and_then(|copy| copy.sync_all())
        .map_err(|error| OpenError::from_io(&destination, &error))?;
    copy.persist_noclobber(&destination)
        .map_err(|error| OpenError::from_io(&destination, &error.error))?;
    file::synchronize_directory(&destination)
}

/// Opens what is to be copied, and looks whether it is ours. No plain read of the file: closing it would
/// drop the locks of a [`Database`](crate::Database) that this process may have open.
fn open_source(path: &Path) -> Result<Connection, OpenError> {
    let metadata = fs::metadata(path).map_err(|error| OpenError::from_io(path, &error))?;
    if !metadata.is_file() {
        return Err(OpenError::NotAFile {
            path: path.to_owned(),
        });
    }
    if metadata.len() == 0 {
        return Err(OpenError::NotADatabase {
            path: path.to_owned(),
        });
    }
    let failed = |error| OpenError::from_sqlite(path, error);
    let source = connection::open(path).map_err(failed)?;
    let application_id: u32 = source
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
    if application_id != file::APPLICATION_ID {
        return Err(OpenError::OtherProgram {
            path: path.to_owned(),
        });
    }
    Ok(source)
}
