//! A PostgreSQL of the tests' own: for tests, of this crate and of those above it.
//!
//! [`Cluster::shared`] is one server for all tests of a program, and [`Cluster::database`] a new database in it
//! for each. No service has to be installed or running: only the programs of PostgreSQL 15, which are
//! looked for in Debian's place and in the one that `LASTSEEN_POSTGRES_PROGRAMS` names. The server
//! ends with the program that started it, also when that is killed.

#![expect(
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics, wherever it is"
)]

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::address::Address;

/// Where Debian keeps the programs of PostgreSQL 15.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// Somebody else may take a free port before the server does; not five times.
const TRIES: u32 = 5;

/// A PostgreSQL server, in a folder of its own, on a free port of the loopback and on a socket.
///
/// Everybody is let in. It flushes to the disk as a real one does.
pub struct Cluster {
    control: Mutex<Control>,
    folder: PathBuf,
    port: u16,
    databases: AtomicU64,
}

/// What the shell is told, and what it answers. It ends the server when the first of them is closed.
struct Control {
    shell: Child,
    /// `None` at the end.
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.words.take());
        // It ends the server, and then itself.
        let _ = self.shell.wait();
    }
}

impl Cluster {
    /// The server that all tests of this program share; started at the first call.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// A server for a test that stops it or wants it set up in its own way. `settings` are lines of
    /// `postgresql.conf`: `max_connections=20`.
    pub fn start(settings: &[&str]) -> Self {
        for _ in 0..TRIES {
            if let Some(cluster) = Self::try_start(settings) {
                return cluster;
            }
        }
        panic!("PostgreSQL does not start; its words are above");
    }

    fn try_start(settings: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("the loopback has a free port")
            .port();
        let mut command = as_its_user();
        command
            .args(["sh", "-c", include_str!("testing/cluster.sh"), "cluster"])
            .arg(programs())
            .arg(port.to_string());
        for setting in settings {
            command.args(["-c", setting]);
        }
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C is for the tests; the shell hears of it by their end.
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        let words = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("it was asked for"));
        let mut control = Control {
            shell,
            words,
            answers,
        };
        let folder = line(&mut control.answers)?;
        Some(Self {
            control: Mutex::new(control),
            folder: PathBuf::from(folder),
            port,
            databases: AtomicU64::new(0),
        })
    }

    /// A new, empty database, deleted when the answer is dropped.
    pub fn database(&'static self) -> TestDatabase<'static> {
        self.new_database()
    }

    /// As [`Cluster::database`], for a server that does not live as long as the program.
    pub fn new_database(&self) -> TestDatabase<'_> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        TestDatabase {
            cluster: self,
            name,
        }
    }

    /// Runs statements in `database` with psql, as an operator would; what it prints, without headings.
    pub fn psql(&self, database: &str, statements: &str) -> String {
        let output = Command::new(programs().join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--username", "lastseen"])
            .args(["--port", &self.port.to_string(), "--dbname", database])
            .arg("--host")
            .arg(&self.folder)
            .args(["--command", statements])
            .output()
            .expect("psql can be started");
        assert!(
            output.status.success(),
            "{statements}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket; the data is in `data`, the log in `log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Holds the server and all of its processes still: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.tell("pause");
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.tell("resume");
    }

    /// Stops the server as an operator does: connections are cut, new ones refused.
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Ends the server in the middle of whatever it does, as when its machine crashes: what it had not flushed
    /// is lost.
    pub fn crash(&self) {
        self.tell("crash");
    }

    /// Starts a stopped server again, on the same port.
    pub fn start_again(&self) {
        self.tell("start");
    }

    fn tell(&self, word: &str) {
        let mut control = self.control.lock();
        let words = control.words.as_mut().expect("it is there until the end");
        writeln!(words, "{word}").expect("the shell listens");
        let answer = line(&mut control.answers);
        assert_eq!(answer.as_deref(), Some(word), "the shell answers");
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cluster({})", self.folder.display())
    }
}

/// One database of a [`Cluster`], deleted when this is dropped.
#[derive(Debug)]
pub struct TestDatabase<'cluster> {
    cluster: &'cluster Cluster,
    name: String,
}

impl TestDatabase<'_> {
    /// Its URL, over TCP.
    pub fn url(&self) -> String {
        let Self { cluster, name } = self;
        format!("postgres://lastseen@127.0.0.1:{}/{name}", cluster.port)
    }

    /// The same, read.
    pub fn address(&self) -> Address {
        Address::parse(&self.url()).expect("the address of a test is in order")
    }

    /// What it is called in its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it with psql, as an operator would; what it prints, without headings.
    pub fn psql(&self, statements: &str) -> String {
        self.cluster.psql(&self.name, statements)
    }
}

impl Drop for TestDatabase<'_> {
    fn drop(&mut self) {
        // A test that failed with a server that is paused does not wait for it.
        if !std::thread::panicking() {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            self.cluster.psql("postgres", &drop);
        }
    }
}

/// PostgreSQL does not run as root: then everything about it runs as Debian's user `postgres`.
fn as_its_user() -> Command {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    if is_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]);
        command
    } else {
        Command::new("env")
    }
}

/// The folder of PostgreSQL's programs.
fn programs() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        std::env::var_os("LASTSEEN_POSTGRES_PROGRAMS")
            .map_or_else(|| PathBuf::from(PROGRAMS), PathBuf::from)
    })
}

/// The next line; `None` where there is none any more.
fn line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}
