//! Where the owner of a database listens.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// The longest path that fits into a socket address, with the byte that ends it.
const LONGEST_ADDRESS: usize = 107;

/// Commands that wait to be heard. More than this many at a time is no person's doing.
const BACKLOG: i32 = 16;

/// The address of a socket. A path that is too long for one is reached through the descriptor of its directory, which
/// must stay open while the address is used.
struct Address {
    address: SockAddr,
    _directory: Option<File>,
}

impl Address {
    fn of(database: &Path) -> io::Result<Self> {
        let path = socket_path(database);
        if path.as_os_str().as_bytes().len() <= LONGEST_ADDRESS {
            return Ok(Self {
                address: SockAddr::unix(path)?,
                _directory: None,
            });
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(directory, flags, Mode::empty())?);
        let mut short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        short.push(name);
        Ok(Self {
            address: SockAddr::unix(short)?,
            _directory: Some(directory),
        })
    }
}

/// The socket stands beside the database: its own name and `.sock`.
fn socket_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".sock");
    PathBuf::from(path)
}

/// Listens for commands. The caller owns the database; a socket that an earlier owner left behind is removed.
pub(super) fn listen(database: &Path) -> io::Result<UnixListener> {
    let path = socket_path(database);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let address = Address::of(database)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // On Linux the mode of a socket before it is bound becomes the mode of its file: there is no moment in which
    // anybody else could open it.
    rustix::fs::fchmod(socket.as_fd(), Mode::RUSR | Mode::WUSR)?;
    socket.bind(&address.address)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

/// Removes the socket when its owner stops, so that nobody knocks at a closed door.
pub(super) fn remove(database: &Path) {
    // What is left behind is removed by the next owner.
    _ = std::fs::remove_file(socket_path(database));
}

/// Connects to the owner of a database. Connecting never waits: a queue that is full is an error.
pub(super) fn connect(database: &Path) -> io::Result<UnixStream> {
    let address = Address::of(database)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address.address)?;
    UnixStream::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn only_its_owner_can_open_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("lastseen.db");
        let _listener = listen(&database).unwrap();
        let mode = std::fs::metadata(socket_path(&database))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        connect(&database).unwrap();
    }

    #[tokio::test]
    async fn a_long_path_is_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let database = deep.join("lastseen.db");
        let _listener = listen(&database).unwrap();
        connect(&database).unwrap();
        remove(&database);
        assert_eq!(
            connect(&database).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("lastseen.db");
        drop(listen(&database).unwrap());
        assert_eq!(
            connect(&database).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let _listener = listen(&database).unwrap();
        connect(&database).unwrap();
    }
}
