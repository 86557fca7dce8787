//! How nodes hear of each other at once, where the database can do that.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::poll_fn;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client};

use super::message::{Acknowledgement, CHANGES, Noted, acknowledgements_of};
use super::statements;
use crate::address::{Address, Stream};
use crate::error::Error;

/// A connection of its own, polled by a task of its own, which ends with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) client: Arc<Client>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        // Whatever waits for an answer on it learns that there will be none.
        self.task.abort();
    }
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// Somebody has changed something.
    Noted(Noted),
    /// A change that cannot be read: of a version that does not exist yet.
    Unreadable,
    /// A node has applied changes.
    Acknowledged(Acknowledgement),
}

/// A connection that hears. It is deaf from the moment on when nothing more comes out of `heard`.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) line: Line,
    pub(super) heard: mpsc::UnboundedReceiver<Heard>,
}

/// How nodes hear of changes, and terminators of acknowledgements. **No rule rests on it**: what is heard is also read,
/// by every renewal and by whoever waits; hearing only makes it fast.
#[async_trait]
pub(super) trait Notification: Debug + Send + Sync {
    /// Begins to hear changes, where they are wanted, and the acknowledgements for `origin`. `None` where the database
    /// has nothing to hear: then it is asked often instead.
    async fn open(&self, changes: bool, origin: &str) -> Result<Option<Ear>, Error>;

    /// Where the other connection goes to.
    fn address(&self) -> &Address;

    /// Whether anything is ever heard.
    fn hears(&self) -> bool;
}

/// `LISTEN` and `NOTIFY` of PostgreSQL.
#[derive(Debug)]
pub(super) struct Listen(pub(super) Address);

/// Nothing is heard; for engines without notifications.
#[derive(Debug)]
pub(super) struct Poll(pub(super) Address);

#[async_trait]
impl Notification for Listen {
    async fn open(&self, changes: bool, origin: &str) -> Result<Option<Ear>, Error> {
        let acknowledgements = acknowledgements_of(origin);
        let listen = statements::listen(changes.then_some(CHANGES), &acknowledgements);
        let (sender, heard) = mpsc::unbounded_channel();
        let line = connect(&self.0, move |channel, text| {
            let heard = if channel == CHANGES {
                Noted::parse(text).map_or(Heard::Unreadable, Heard::Noted)
            } else {
                let Some(acknowledgement) = Acknowledgement::parse(text) else {
                    return;
                };
                Heard::Acknowledged(acknowledgement)
            };
            // Where nobody listens any more, the connection is about to be closed.
            let _ = sender.send(heard);
        })
        .await?;
        // What it writes itself are acknowledgements, and evictions: after a crash both come to nothing worse than
        // waiting once more.
        let begin = format!(
            "SET application_name TO 'lastseen hearing'; SET synchronous_commit TO off; {listen}"
        );
        bounded(line.client.batch_execute(&begin)).await?;
        Ok(Some(Ear { line, heard }))
    }

    fn address(&self) -> &Address {
        &self.0
    }

    fn hears(&self) -> bool {
        true
    }
}

#[async_trait]
impl Notification for Poll {
    async fn open(&self, _changes: bool, _origin: &str) -> Result<Option<Ear>, Error> {
        Ok(None)
    }

    fn address(&self) -> &Address {
        &self.0
    }

    fn hears(&self) -> bool {
        false
    }
}

/// How long anything may take until a connection is ready: one that takes longer is tried anew.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits for something that the connection does before it is ready.
pub(super) async fn bounded<Answer>(
    work: impl Future<Output = Result<Answer, tokio_postgres::Error>>,
) -> Result<Answer, Error> {
    match timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::TimedOut),
    }
}

/// Opens a connection that tells `hear` of notifications: channel and text.
pub(super) async fn connect(
    address: &Address,
    hear: impl Fn(&str, &str) + Send + 'static,
) -> Result<Line, Error> {
    let opened = timeout(PATIENCE, address.connect()).await;
    let (client, stream) = opened.map_err(|_| Error::TimedOut)??;
    Ok(Line {
        client: Arc::new(client),
        task: tokio::spawn(listen_to(stream, hear)),
    })
}

/// Carries the connection's bytes until it ends.
async fn listen_to(mut stream: Stream, hear: impl Fn(&str, &str)) {
    while let Some(Ok(message)) = poll_fn(|context| stream.poll_message(context)).await {
        if let AsyncMessage::Notification(said) = message {
            hear(said.channel(), said.payload());
        }
    }
}
