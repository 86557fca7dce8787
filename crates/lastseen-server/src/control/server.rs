//! The owner's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::SockRef;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::message::Greeting;
use super::{LONGEST_LINE, PATIENCE, PROTOCOL, Request, Response, SIGN_OF_LIFE, address, execute};
use crate::app::Services;

/// Commands carried out at once. Each may hold a page of sessions in memory.
const AT_ONCE: usize = 8;

/// Rows of an answer that may wait for the command to read them.
const ROWS_IN_FLIGHT: usize = 64;

/// The owner's socket.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    database: PathBuf,
}

impl ControlSocket {
    /// Listens for commands on the database at `database`, which this process owns.
    pub(crate) fn listen(database: &Path) -> io::Result<Self> {
        Ok(Self {
            listener: address::listen(database)?,
            database: database.to_path_buf(),
        })
    }

    /// Hears commands until it is dropped.
    pub(crate) async fn serve(self, services: Services) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            // The semaphore is never closed; where it were, there would be no room for anybody.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let services = services.clone();
                    tokio::spawn(async move {
                        if let Err(error) = hear(stream, services).await {
                            tracing::warn!(%error, "a command was not answered");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no command can be heard for the moment");
                    tokio::time::sleep(crate::listener::limits::ACCEPT_REST).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        address::remove(&self.database);
    }
}

/// Greets, hears one request, carries it out and answers.
async fn hear(stream: UnixStream, services: Services) -> io::Result<()> {
    if !is_ours(&stream)? {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it came from another user",
        ));
    }
    let (reader, mut writer) = stream.into_split();
    let greeting = Greeting {
        lastseen: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
    };
    send(&mut writer, &greeting).await?;

    let mut line = zeroize::Zeroizing::new(Vec::new());
    let mut reader = BufReader::new(reader).take(LONGEST_LINE as u64);
    let read = timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await;
    read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if line.last() != Some(&b'\n') {
        // The command left before it had asked for anything.
        return Ok(());
    }
    let request: Request = match serde_json::from_slice(&line) {
        Ok(request) => request,
        Err(error) => {
            let line = format!("the server does not understand this command: {error}");
            return send(&mut writer, &Response::refused(line)).await;
        }
    };
    if has_left(&writer) {
        tracing::warn!("a command was not carried out: it had been given up");
        return Ok(());
    }
    let (rows, mut answers) = mpsc::channel(ROWS_IN_FLIGHT);
    // On its own, so that it is carried out to the end also where the command leaves in the middle.
    tokio::spawn(execute::execute(request, services, rows));
    loop {
        let answer = match timeout(SIGN_OF_LIFE, answers.recv()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(()),
            Err(_) => Response::Working,
        };
        send(&mut writer, &answer).await?;
    }
}

async fn send(
    writer: &mut tokio::net::unix::OwnedWriteHalf,
    message: &impl serde::Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    timeout(PATIENCE, writer.write_all(&line))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Whether the command at the other end runs as the same user, or as root. The mode of the socket says so already; a
/// directory that was restored from an archive with other modes does not change it.
fn is_ours(stream: &UnixStream) -> io::Result<bool> {
    let peer = stream.peer_cred()?.uid();
    Ok(peer == 0 || peer == rustix::process::geteuid().as_raw())
}

/// Whether the command has closed its end. The kernel is asked, not a note of the runtime's that may be older than a
/// long sleep of this process.
fn has_left(writer: &tokio::net::unix::OwnedWriteHalf) -> bool {
    let stream: &UnixStream = writer.as_ref();
    let mut byte = [std::mem::MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut byte) {
        // Nothing is ever sent after the request, so either it has ended or it waits.
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}
