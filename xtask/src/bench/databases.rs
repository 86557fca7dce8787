//! The databases that some contenders keep their sessions in.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::data;
use super::machine::{POSTGRESQL, is_root};
use super::server::free_port;
use crate::process;

/// Has the kernel write what it still holds.
pub(super) fn sync() {
    _ = process::succeeds::<&str>("sync", &[]);
}

/// Has the kernel forget what it holds of files, where this user may say so.
pub(super) fn forget_files() -> bool {
    sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Redis, on a port of its own.
pub(super) fn start_redis() -> Result<(Child, u16)> {
    let port = free_port()?;
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        // No snapshots in the middle of a turn: they would be to its disadvantage.
        .args(["--save", "", "--dir"])
        .arg(data::folder())
        .stdout(File::create(data::folder().join("redis-server.log"))?)
        .spawn()
        .context("redis-server cannot be started")?;
    wait_for(port)?;
    Ok((child, port))
}

fn postgresql_folder(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("lastseen-bench-postgresql-{port}"))
}

/// Stops PostgreSQL and drops what it kept.
pub(super) fn stop_postgresql(mut server: Child, port: u16) -> Result<()> {
    _ = process::succeeds("kill", &["-INT", &server.id().to_string()]);
    server.wait()?;
    std::fs::remove_dir_all(postgresql_folder(port)).context("PostgreSQL's files cannot be removed")
}

/// PostgreSQL as it is installed, on a port of its own.
pub(super) fn start_postgresql() -> Result<(Child, u16)> {
    start_postgresql_with(&[])
}

/// The same with settings of its configuration, as `name=value`.
pub(super) fn start_postgresql_with(settings: &[&str]) -> Result<(Child, u16)> {
    let port = free_port()?;
    // It refuses to run as root; a folder that its user can reach is in the system's place for such.
    let folder = postgresql_folder(port);
    std::fs::create_dir_all(&folder)?;
    let program = |name: &str| {
        let program = Path::new(POSTGRESQL).join(name);
        if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(program);
            command
        } else {
            Command::new(program)
        }
    };
    if is_root() {
        process::run(
            "give PostgreSQL its folder",
            Command::new("chown").arg("postgres:").arg(&folder),
        )?;
    }
    let files = folder.join("files");
    process::output(
        program("initdb")
            .current_dir(&folder)
            .args(["--username=postgres", "--auth=trust", "--pgdata"])
            .arg(&files),
    )?;
    let child = program("postgres")
        .current_dir(&folder)
        .arg("-D")
        .arg(&files)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
        .arg(&folder)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdout(Stdio::null())
        .stderr(File::create(data::folder().join("postgresql.log"))?)
        .spawn()
        .context("PostgreSQL cannot be started")?;
    wait_for(port)?;
    // It listens before it lets anybody in.
    let is_ready = Path::new(POSTGRESQL).join("pg_isready");
    let asked = ["--host", "127.0.0.1", "--port", &port.to_string()];
    for _ in 0..200 {
        if process::succeeds(&is_ready.to_string_lossy(), &asked) {
            return Ok((child, port));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    bail!("PostgreSQL lets nobody in after ten seconds")
}

/// Waits until somebody listens there.
fn wait_for(port: u16) -> Result<()> {
    for _ in 0..200 {
        if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    bail!("nobody listens on port {port} after ten seconds")
}
