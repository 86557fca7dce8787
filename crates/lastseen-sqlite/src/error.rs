//! What can go wrong, in words for the operator.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

/// A read or a write that was not done.
///
/// One error answers every job of a group whose commit failed, so it can be cloned.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The file system has no room. Nothing of the job was kept; it works again once there is room.
    #[error("the disk is full")]
    DiskFull,
    /// The operating system could not read or write the file.
    #[error("the database file cannot be read or written: {0}")]
    InputOutput(Arc<str>),
    /// The file, or the file system that it is on, became read-only.
    #[error("the database file is read-only")]
    ReadOnly,
    /// What is in the file cannot have been written by SQLite. A backup has to replace it.
    #[error("the database file is damaged: {0}")]
    Corrupt(Arc<str>),
    /// More is waiting than [`Options`](crate::Options) allows: refused at once, not done later.
    #[error("too much is waiting for the database")]
    Overloaded,
    /// The database was closed, before or while this waited.
    #[error("the database is closed")]
    Closed,
    /// The job panicked. Its changes were undone; the other jobs and the database go on.
    #[error("a database job panicked")]
    Panicked,
    /// Anything else that SQLite says: a constraint, a statement that does not fit the schema.
    #[error("the database refused: {0}")]
    Refused(Arc<str>),
}

impl From<lastseen::store::devices::NotADevice> for Error {
    fn from(damage: lastseen::store::devices::NotADevice) -> Self {
        Self::Corrupt(damage.to_string().into())
    }
}

impl Error {
    /// Whether the cause is the file and its surroundings rather than this one job: then the database
    /// counts as unavailable until a write has succeeded again.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::DiskFull | Self::InputOutput(_) | Self::ReadOnly | Self::Corrupt(_)
        )
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let text = || Arc::from(error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text()),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
                // Somebody else's tool holds a lock for longer than we wait.
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::NoLargeFileSupport,
            ) => Self::InputOutput(text()),
            _ => Self::Refused(text()),
        }
    }
}

/// A database that was not opened, or a backup that was not made. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// The directory of the file does not exist. It is not created: a typing error would go unnoticed.
    #[error("{}: the directory {} does not exist", shown(path), shown(directory))]
    MissingDirectory {
        /// The file asked for.
        path: PathBuf,
        /// What does not exist.
        directory: PathBuf,
    },
    /// A part of the path that should be a directory is something else.
    #[error("{}: a part of this path is not a directory", shown(path))]
    NotADirectory {
        /// The file asked for.
        path: PathBuf,
    },
    /// The path leads to a directory, a device or the like.
    #[error("{}: is not a regular file", shown(path))]
    NotAFile {
        /// The file asked for.
        path: PathBuf,
    },
    /// There is no such file, where one was needed.
    #[error("{}: does not exist", shown(path))]
    Missing {
        /// The file asked for.
        path: PathBuf,
    },
    /// There is such a file, where none was expected; it is not overwritten.
    #[error("{}: exists already, and is not overwritten", shown(path))]
    Exists {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file, its directory or its file system cannot be written.
    #[error(
        "{}: is on a read-only file system or in a read-only directory",
        shown(path)
    )]
    ReadOnly {
        /// The file that cannot be written.
        path: PathBuf,
    },
    /// This user may not read or write the file, or not restrict it to its owner.
    #[error(
        "{}: permission denied; the file and its directory must belong to the user that runs this",
        shown(path)
    )]
    PermissionDenied {
        /// The file that may not be used.
        path: PathBuf,
    },
    /// Another process has the database open, or this one has it open already.
    #[error("{}: is in use by another lastseen process", shown(path))]
    InUse {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file is no SQLite database.
    #[error("{}: is not a database", shown(path))]
    NotADatabase {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file is an SQLite database of another program.
    #[error("{}: is a database, but not Lastseen's", shown(path))]
    OtherProgram {
        /// The file asked for.
        path: PathBuf,
    },
    /// The database was written by a newer version of the program.
    #[error(
        "{}: was written by a newer version: its {set} are at migration {found}, this program knows up to {known}",
        shown(path)
    )]
    Newer {
        /// The file asked for.
        path: PathBuf,
        /// The set of migrations that is ahead.
        set: String,
        /// The newest migration that the database has.
        found: u32,
        /// The newest migration that this program knows; 0 where it does not know the set.
        known: u32,
    },
    /// A migration that the database has is not the one that this program knows by the number.
    #[error(
        "{}: migration {number} of its {set} is not the one that this program knows",
        shown(path)
    )]
    OtherMigration {
        /// The file asked for.
        path: PathBuf,
        /// The set of migrations.
        set: String,
        /// Which one differs.
        number: u32,
    },
    /// The database is gone, but the log that belongs to it is there: a new database would be mixed up with it.
    #[error(
        "{}: does not exist, but {} does: move that away, or put the database back",
        shown(path),
        shown(leftover)
    )]
    Leftover {
        /// The file asked for.
        path: PathBuf,
        /// What was left of an earlier database.
        leftover: PathBuf,
    },
    /// The file system has no room.
    #[error("{}: the disk is full", shown(path))]
    DiskFull {
        /// The file asked for.
        path: PathBuf,
    },
    /// What is in the file cannot have been written by SQLite.
    #[error("{}: is damaged: {reason}", shown(path))]
    Corrupt {
        /// The file asked for.
        path: PathBuf,
        /// What SQLite found.
        reason: Arc<str>,
    },
    /// Anything else.
    #[error("{}: {reason}", shown(path))]
    Failed {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system or SQLite says.
        reason: Arc<str>,
    },
}

impl OpenError {
    /// The error that an operation on the file at `path` gave.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => match path.parent() {
                Some(directory) if !directory.exists() => {
                    let directory = directory.to_owned();
                    Self::MissingDirectory { path, directory }
                }
                _ => Self::Missing { path },
            },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            io::ErrorKind::IsADirectory => Self::NotAFile { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Failed {
                path,
                reason: error.to_string().into(),
            },
        }
    }

    /// The error that SQLite gave about the file at `path`.
    pub(crate) fn from_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return Self::NotADatabase { path };
        }
        match Error::from(error) {
            Error::DiskFull => Self::DiskFull { path },
            Error::ReadOnly => Self::ReadOnly { path },
            Error::Corrupt(reason) => Self::Corrupt { path, reason },
            other => Self::Failed {
                path,
                reason: other.to_string().into(),
            },
        }
    }
}

/// A path for a line of text: what could break the line, or a terminal, is written as an escape.
fn shown(path: &Path) -> String {
    let mut line = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_the_path() {
        let error = OpenError::NotADatabase {
            path: PathBuf::from("a\nb\u{1b}[31m"),
        };
        assert_eq!(error.to_string(), "a\\nb\\u{1b}[31m: is not a database");
    }

    #[test]
    fn only_the_file_and_its_surroundings_make_the_database_unavailable() {
        assert!(Error::DiskFull.is_fault());
        assert!(Error::Corrupt("malformed".into()).is_fault());
        assert!(!Error::Refused("a constraint".into()).is_fault());
        assert!(!Error::Overloaded.is_fault());
        assert!(!Error::Panicked.is_fault());
    }

    #[test]
    fn each_kind_of_fault_that_sqlite_reports_keeps_its_meaning() {
        let of = |code| {
            Error::from(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(code),
                None,
            ))
        };
        assert_eq!(of(rusqlite::ffi::SQLITE_FULL), Error::DiskFull);
        assert_eq!(of(rusqlite::ffi::SQLITE_READONLY), Error::ReadOnly);
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_IOERR_FSYNC),
            Error::InputOutput(_)
        ));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_CANTOPEN),
            Error::InputOutput(_)
        ));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_BUSY),
            Error::InputOutput(_)
        ));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_CORRUPT),
            Error::Corrupt(_)
        ));
        assert!(matches!(
            of(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE),
            Error::Refused(_)
        ));
    }
}
