//! A command's end of the socket.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::execute::execute;
use super::message::Greeting;
use super::{LONGEST_LINE, PATIENCE, PROTOCOL, Request, Response, address};
use crate::app::{self, Limits};
use crate::config::Effective;
use crate::failure::{Failure, plain};
use crate::storage::{NotOpened, Role, Storage};

/// How often a command looks again whether the owner has opened its socket or has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The way to a database: our own, or its owner's.
enum Way {
    /// Nobody else owned it.
    Own(Storage),
    /// Its owner has greeted us and waits for a request.
    Owner(Owner),
}

/// A database's owner that has greeted us.
struct Owner {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// Carries a request out, by the owner of the database or, where there is none, here.
pub(super) async fn carry_out(
    effective: &Effective,
    request: Request,
    mut row: impl FnMut(Response) -> Result<(), Failure>,
) -> Result<Option<String>, Failure> {
    match find_way(effective).await? {
        Way::Owner(mut owner) => {
            owner.ask(&request).await?;
            loop {
                if let Some(end) = end_or_row(owner.answer().await?, &mut row)? {
                    return end;
                }
            }
        }
        Way::Own(storage) => {
            let services = app::open(storage, effective, Limits::OfDatabase).await?;
            let (rows, mut answers) = mpsc::channel(1);
            let carried_out = tokio::spawn(execute(request, services.clone(), rows));
            let mut result = Err(Failure::refused("the command broke off"));
            while let Some(answer) = answers.recv().await {
                match end_or_row(answer, &mut row) {
                    Ok(None) => {}
                    Ok(Some(end)) => result = end,
                    Err(failure) => {
                        result = Err(failure);
                        break;
                    }
                }
            }
            drop(answers);
            _ = carried_out.await;
            services.close().await;
            result
        }
    }
}

/// Hands a row on; answers with how it ended where this is the end.
fn end_or_row(
    answer: Response,
    row: &mut impl FnMut(Response) -> Result<(), Failure>,
) -> Result<Option<Result<Option<String>, Failure>>, Failure> {
    match answer {
        Response::Working => Ok(None),
        Response::Done { line } => Ok(Some(Ok(line))),
        Response::Refused { line } => Ok(Some(Err(Failure::refused(line)))),
        answer => row(answer).map(|()| None),
    }
}

/// Finds the way to the database. Nothing has been done when this fails.
async fn find_way(effective: &Effective) -> Result<Way, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = match Storage::open(effective, Role::Command).await {
            Ok(storage) => return Ok(Way::Own(storage)),
            Err(NotOpened::InUse { file, .. }) => file,
            Err(NotOpened::Failed(failure)) => return Err(failure),
        };
        // The owner may be another command, which has no socket and soon goes, or a server that has not opened its
        // socket yet: look again.
        let obstacle = match address::connect(&file) {
            Ok(stream) => return greeted(stream, deadline).await.map(Way::Owner),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(Failure::refused(format_args!(
                "another process holds {} and cannot be reached ({}); nothing was done",
                file.display(),
                plain(&obstacle)
            )));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn greeted(stream: UnixStream, deadline: Instant) -> Result<Owner, Failure> {
    let silent = || {
        Failure::refused(format_args!(
            "the running server has not answered for {} s; nothing was done",
            PATIENCE.as_secs()
        ))
    };
    let (reader, writer) = stream.into_split();
    let mut owner = Owner {
        reader: BufReader::new(reader),
        writer,
    };
    let line = timeout_at(deadline, owner.line())
        .await
        .map_err(|_| silent())?;
    let line = line.map_err(|error| {
        Failure::refused(format_args!(
            "the running server broke off ({}); nothing was done",
            plain(&error)
        ))
    })?;
    let greeting: Greeting = serde_json::from_slice(&line).map_err(|_| {
        Failure::refused("the running server speaks another language; nothing was done")
    })?;
    if greeting.protocol != PROTOCOL {
        return Err(Failure::refused(format_args!(
            "the running server is lastseen {}, this command is of {}; use the same; nothing was done",
            greeting.lastseen,
            env!("CARGO_PKG_VERSION")
        )));
    }
    Ok(owner)
}

impl Owner {
    /// Hands over a request. After this only the owner knows what was done.
    async fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        let broken = |reason: String| {
            Failure::refused(format_args!(
                "the running server did not take the command ({reason}); nothing was done"
            ))
        };
        let mut line = zeroize::Zeroizing::new(
            serde_json::to_vec(request).map_err(|error| broken(error.to_string()))?,
        );
        line.push(b'\n');
        if line.len() > LONGEST_LINE {
            return Err(Failure::refused(
                "the command is too long; nothing was done",
            ));
        }
        let written = timeout_at(Instant::now() + PATIENCE, self.writer.write_all(&line)).await;
        written
            .map_err(|_| broken("it stopped answering".to_owned()))?
            .map_err(|error| broken(plain(&error)))
    }

    /// The next line of the answer.
    async fn answer(&mut self) -> Result<Response, Failure> {
        let unknown = |reason: &str| {
            Failure::refused(format_args!(
                "the running server {reason} after it had been given the command; look whether it was carried out"
            ))
        };
        let line = timeout_at(Instant::now() + PATIENCE, self.line()).await;
        let line = line
            .map_err(|_| unknown(&format!("stopped answering for {} s", PATIENCE.as_secs())))?
            .map_err(|_| unknown("broke off"))?;
        serde_json::from_slice(&line).map_err(|_| unknown("gave an answer that cannot be read"))
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(LONGEST_LINE as u64)
            .read_until(b'\n', &mut line)
            .await?;
        if line.pop() == Some(b'\n') {
            Ok(line)
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        }
    }
}
