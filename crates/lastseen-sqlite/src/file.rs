//! The database as a file: where it is, who owns it, and how it comes to be.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::connection;
use crate::error::OpenError;

/// What SQLite keeps in the header of our databases, so that no other program's database is taken for
/// one: the bytes of "Last".
pub(crate) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"Last");
/// Every SQLite database begins with these 16 bytes.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header holds the application id, big endian.
const APPLICATION_ID_AT: usize = 68;
/// Reading and writing for the owner, nothing for others: the file holds addresses and hashes.
const OWNER_ONLY: u32 = 0o600;

/// The one name of the file at `path`, as the lock and its neighbours are named after it: absolute, symbolic
/// links followed. The file need not exist, its directory must.
///
/// # Errors
/// Where there is no such directory, or it cannot be looked into.
pub fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    match fs::canonicalize(path) {
        Ok(resolved) => return Ok(resolved),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(OpenError::from_io(path, &error)),
    }
    let Some(name) = path.file_name() else {
        return Err(OpenError::NotAFile {
            path: path.to_owned(),
        });
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::canonicalize(directory) {
        Ok(directory) => Ok(directory.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (path, directory) = (path.to_owned(), directory.to_owned());
            Err(OpenError::MissingDirectory { path, directory })
        }
        Err(error) => Err(OpenError::from_io(path, &error)),
    }
}

/// The file beside the database at `path` whose name is longer by `suffix`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The right to open a database, held by at most one process, and once within it; and the file.
///
/// It ends with the process, however that ends. Whoever has a connection to the database has a share in this, and gives
/// it up after the connection: closing a file drops every lock that SQLite holds on it within the process.
#[derive(Debug)]
pub(crate) struct Ownership {
    file: File,
    /// Given up last.
    _lock: Lock,
}

impl Ownership {
    /// Takes the right, without waiting for it. A database of ours is at `path` then, made now where there was none. No
    /// other file is changed.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let lock = Lock::take(path)?;
        prepare(path)?;
        let file = File::open(path).map_err(|error| OpenError::from_io(path, &error))?;
        Ok(Self { file, _lock: lock })
    }

    /// Waits until whatever was written to the database file is on the disk.
    pub(crate) fn synchronize(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// What keeps others from opening a database. The lock file stays: removing it would let two processes lock two files of
/// one name.
#[derive(Debug)]
struct Lock {
    file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, OpenError> {
        let lock_path = beside(path, ".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(OWNER_ONLY)
            .open(&lock_path)
            .map_err(|error| match OpenError::from_io(&lock_path, &error) {
                OpenError::MissingDirectory { directory, .. } => OpenError::MissingDirectory {
                    path: path.to_owned(),
                    directory,
                },
                other => other,
            })?;
        match file.try_lock() {
            Ok(()) => {
                restrict_to_owner(&lock_path)?;
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(OpenError::from_io(&lock_path, &error)),
        }
    }
}

impl Drop for Lock {
    /// Lets go of the lock itself, not only of this file: a process that is just being started has a copy of
    /// every open file for a moment, and a lock lives as long as its last copy.
    fn drop(&mut self) {
        // Where it fails, the end of the last copy does it.
        _ = self.file.unlock();
    }
}

/// Sees to it that a database of ours is at `path`. The caller holds the [`Lock`] and has no connection yet.
fn prepare(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(OpenError::NotAFile {
                path: path.to_owned(),
            });
        }
        Ok(metadata) if metadata.len() > 0 => check(path)?,
        Ok(_) => create(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(OpenError::from_io(path, &error)),
    }
    for suffix in ["", "-wal", "-shm"] {
        restrict_to_owner(&beside(path, suffix))?;
    }
    Ok(())
}

/// Reads the header, before SQLite does: SQLite might replay a log into a file that is not ours.
fn check(path: &Path) -> Result<(), OpenError> {
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| OpenError::from_io(path, &error))?;
    if !header.starts_with(MAGIC) {
        return Err(OpenError::NotADatabase {
            path: path.to_owned(),
        });
    }
    let application_id = header.get(APPLICATION_ID_AT..APPLICATION_ID_AT + 4);
    if application_id != Some(&APPLICATION_ID.to_be_bytes()) {
        return Err(OpenError::OtherProgram {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Makes an empty database of ours: under another name first, so that a crash leaves none or a whole one,
/// and the header tells at any time whose it is.
fn create(path: &Path) -> Result<(), OpenError> {
    // SQLite would take an old log for this database's, and write what is in it into the new one.
    for suffix in ["-wal", "-journal"] {
        let leftover = beside(path, suffix);
        if fs::metadata(&leftover).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(OpenError::Leftover {
                path: path.to_owned(),
                leftover,
            });
        }
    }
    let directory = directory_of(path);
    let new = tempfile::Builder::new()
        .prefix(".lastseen-new-")
        .tempfile_in(directory)
        .map_err(|error| OpenError::from_io(path, &error))?
        .into_temp_path();
    let connection = Connection::open_with_flags(&new, connection::flags())
        .map_err(|error| OpenError::from_sqlite(path, error))?;
    connection
        .execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;"
        ))
        .map_err(|error| OpenError::from_sqlite(path, error))?;
    connection
        .close()
        .map_err(|(_, error)| OpenError::from_sqlite(path, error))?;
    // An empty file of this name counts as none, and is replaced.
    new.persist(path)
        .map_err(|error| OpenError::from_io(path, &error.error))?;
    synchronize_directory(path)
}

/// Makes what was created, renamed or removed beside `path` survive a power cut.
pub(crate) fn synchronize_directory(path: &Path) -> Result<(), OpenError> {
    let directory = directory_of(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| OpenError::from_io(directory, &error))
}

/// The directory that the file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Takes every right on the file from others than its owner. A file that is not there is fine.
fn restrict_to_owner(path: &Path) -> Result<(), OpenError> {
    let permissions = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError::from_io(path, &error)),
    };
    if permissions.mode() & 0o777 & !OWNER_ONLY == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))
        .map_err(|error| OpenError::from_io(path, &error))
}
