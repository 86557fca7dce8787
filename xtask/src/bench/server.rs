//! A server that runs: started, asked for its address, stopped.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use super::data;
use crate::process;

/// Where a server's stderr goes.
#[derive(Clone, Copy)]
pub(super) enum Log {
    /// A file of the server's name, beside the databases.
    File,
    /// To a reader that keeps nothing, as a container's would take it. Where it matters who waits for the disk, nothing
    /// else is to be written there: the system writes a file of 10 MB a second in one go each half minute.
    Read,
}

/// A server that runs, ended when this goes.
pub(super) struct Server {
    child: Child,
    /// `address:port`.
    address: String,
}

impl Server {
    /// Starts a program and waits for its first line, which says where it listens.
    pub(super) fn start(name: &str, log: Log, command: &mut Command) -> Result<Self> {
        let path = data::folder().join(format!("{name}.log"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(match log {
                Log::File => File::create(&path)?.into(),
                Log::Read => Stdio::piped(),
            })
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        if let Some(mut lines) = child.stderr.take() {
            // It ends with the program.
            thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        }
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut server = Self {
            child,
            address: String::new(),
        };
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            server.stop();
            bail!("{name} says no address; see {}", path.display());
        };
        address.clone_into(&mut server.address);
        Ok(server)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn stop(&mut self) {
        // Asked first: it has uses to write, and a database to close.
        _ = process::succeeds("kill", &["-TERM", &self.child.id().to_string()]);
        _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
        }
    }
}

/// The figures of a Lastseen, by name and labels as Prometheus sees them.
pub(super) struct Figures {
    /// `address:port`.
    address: String,
}

/// Lastseen as it is released, with everything on: fsync, last use, metrics, access log. `name` is that of its log.
pub(super) fn lastseen(
    name: &str,
    database: &Path,
    settings: &[&str],
) -> Result<(Server, Figures)> {
    let database = format!("sqlite:{}", database.display());
    lastseen_over(name, Log::File, &database, settings)
}

/// The same over a database as `--database` names it, with its log where `log` says.
pub(super) fn lastseen_over(
    name: &str,
    log: Log,
    database: &str,
    settings: &[&str],
) -> Result<(Server, Figures)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let server = Server::start(
        name,
        log,
        Command::new(data::program("lastseen"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--metrics-listen", &address])
            .args(settings)
            .args(["--database", database]),
    )?;
    Ok((server, Figures { address }))
}

impl Figures {
    /// One of them; none where it is not there yet.
    pub(super) fn get(&self, name: &str) -> Result<Option<f64>> {
        let text = String::from_utf8(data::body_of(&self.address, "/metrics", "")?)?;
        Ok(text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .and_then(|value| value.trim().parse().ok()))
    }
}

/// A port that is free now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
