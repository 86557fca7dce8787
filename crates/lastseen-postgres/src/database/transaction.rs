//! A transaction on a connection of its own.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use futures_util::future::join;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::pooled::{discard, forget_idle};
use super::{Options, Xid};
use crate::error::Error;
use crate::patience::Wait;

/// A value for a `$1`, and of which type it is sent: so a statement need not be prepared first.
pub type Parameter<'value> = (&'value (dyn ToSql + Sync), Type);

/// What an answered commit is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// It is on the disk, and on those of synchronous standbys, whatever the database is set to.
    Durable,
    /// A crash of the server may lose the last second of it, never its order.
    Soon,
}

/// Notifies, in a transaction of its own that need not be on the disk: while one notifies, PostgreSQL lets no other
/// that does so through, until it is as durable as it wants to be.
const TELL: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

/// The number of the transaction that runs it, if it noted a change.
const NOTED: &str = "SELECT xid::text::bigint FROM change_log
     WHERE xid = pg_current_xact_id_if_assigned() LIMIT 1";

/// A transaction. Dropped without a commit it leaves nothing behind, and its connection is thrown away.
///
/// All of it has to end by one deadline, see [`Options::patience`]. Statements that are awaited together are sent
/// together: one way there and back for all of them, done in the order in which they are polled first.
#[derive(Debug)]
pub struct Transaction {
    /// `None` once it is over.
    client: Option<Object>,
    deadline: Instant,
    /// What begins it, until it is sent with the first statement.
    begin: Mutex<Option<String>>,
    /// The server did not answer in time: it may not answer on other connections either.
    is_late: AtomicBool,
    /// For as long as it is under way, where it is a wait of its own.
    wait: Option<Wait>,
}

impl Transaction {
    pub(super) fn new(
        client: Object,
        deadline: Instant,
        options: &Options,
        durability: Durability,
        origin: Option<&str>,
        notify: bool,
    ) -> Self {
        let commit = match durability {
            Durability::Durable => "on",
            Durability::Soon => "off",
        };
        let bound = options.patience.as_millis();
        let mut begin = format!(
            "BEGIN; SET LOCAL synchronous_commit TO {commit}; SET LOCAL statement_timeout TO {bound}; \
             SET LOCAL idle_in_transaction_session_timeout TO {bound}"
        );
        if let Some(origin) = origin {
            // Writing to a string does not fail. A quote within is doubled, as SQL wants it.
            let _ = write!(
                begin,
                "; SET LOCAL lastseen.origin TO '{}'",
                origin.replace('\'', "''")
            );
        }
        if !notify {
            begin.push_str("; SET LOCAL lastseen.notify TO 'off'");
        }
        Self {
            client: Some(client),
            deadline,
            begin: Mutex::new(Some(begin)),
            is_late: AtomicBool::new(false),
            wait: None,
        }
    }

    /// All of it is one wait.
    pub(super) fn waited_for(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Runs a statement for the rows that it answers.
    ///
    /// # Errors
    /// What kept it from being done; then the transaction does nothing any more.
    pub async fn query(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let client = self.client()?;
        self.bounded(client, client.query_typed(statement, parameters))
            .await
    }

    /// Runs a statement for the number of rows that it changes.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub async fn execute(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, Error> {
        let client = self.client()?;
        self.bounded(client, client.execute_typed(statement, parameters))
            .await
    }

    /// Runs a last statement and commits, both on one way there and back.
    ///
    /// # Errors
    /// As [`Transaction::query`] and [`Transaction::commit`].
    pub async fn finish(
        mut self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let client = self.client()?;
        // Were the first to fail, the second would end the transaction without its changes.
        let (rows, committed) = join(
            self.bounded(client, client.query_typed(statement, parameters)),
            self.bounded(client, client.batch_execute("COMMIT")),
        )
        .await;
        let rows = rows?;
        committed?;
        drop(self.client.take());
        Ok(rows)
    }

    /// Commits, and answers once that is as durable as was asked for.
    ///
    /// # Errors
    /// What kept it from being committed; where the connection broke, it may have been all the same.
    pub async fn commit(mut self) -> Result<(), Error> {
        let client = self.client()?;
        if self.begin.lock().is_none() {
            self.bounded(client, client.batch_execute("COMMIT")).await?;
        }
        // The connection goes back to the others.
        drop(self.client.take());
        Ok(())
    }

    /// Commits; the transaction's number, if it noted something that other nodes' memory has to follow.
    pub(crate) async fn commit_noted(self) -> Result<Option<Xid>, Error> {
        if self.begin.lock().is_some() {
            self.commit().await?;
            return Ok(None);
        }
        xid(&self.finish(NOTED, &[]).await?)
    }

    /// The transaction's number, if it has noted something so far that other nodes' memory has to follow.
    pub(crate) async fn noted(&self) -> Result<Option<Xid>, Error> {
        xid(&self.query(NOTED, &[]).await?)
    }

    /// Commits, and notifies as soon as that is done: both on one way there and back. Answered once it is committed;
    /// the notification may still be on its way then, or be lost.
    ///
    /// # Errors
    /// As [`Transaction::commit`]; then nothing is known of the notification either.
    pub(crate) async fn commit_and_tell(
        self,
        channel: &'static str,
        message: String,
    ) -> Result<(), Error> {
        let (answer, committed) = oneshot::channel();
        // By itself: where nothing comes back of the notification, nobody waits for that as long as for a commit.
        tokio::spawn(self.commit_then_tell(channel, message, answer));
        committed.await.unwrap_or(Err(Error::Closed))
    }

    async fn commit_then_tell(
        mut self,
        channel: &'static str,
        message: String,
        answer: oneshot::Sender<Result<(), Error>>,
    ) {
        let Ok(client) = self.client() else { return };
        let words: [Parameter<'_>; 2] = [(&channel, Type::TEXT), (&message, Type::TEXT)];
        let (is_committed, told) = join(
            async {
                let committed = self.bounded(client, client.batch_execute("COMMIT")).await;
                let is_committed = committed.is_ok();
                // Whoever asked may have gone.
                let _ = answer.send(committed);
                is_committed
            },
            self.bounded(client, client.query_typed(TELL, &words)),
        )
        .await;
        if let Err(error) = &told {
            tracing::warn!(%error, "the nodes could not be notified");
        }
        // A connection that has nothing more to say goes back to the others.
        if is_committed && matches!(told, Ok(_) | Err(Error::Refused { .. })) {
            drop(self.client.take());
        }
    }

    /// Ends the transaction without its changes, and keeps the connection.
    pub async fn roll_back(mut self) {
        let Ok(client) = self.client() else { return };
        if self.begin.lock().is_some()
            || self
                .bounded(client, client.batch_execute("ROLLBACK"))
                .await
                .is_ok()
        {
            drop(self.client.take());
        }
    }

    fn client(&self) -> Result<&Client, Error> {
        self.client
            .as_ref()
            .map(|client| &***client)
            .ok_or(Error::Closed)
    }

    /// Waits for a statement until the deadline; sends the beginning of the transaction before the first one.
    async fn bounded<Answer>(
        &self,
        client: &Client,
        statement: impl Future<Output = Result<Answer, tokio_postgres::Error>>,
    ) -> Result<Answer, Error> {
        let begin = self.begin.lock().take();
        let answered = timeout_at(self.deadline, async {
            match begin {
                Some(begin) => {
                    let (begun, answer) = join(client.batch_execute(&begin), statement).await;
                    begun?;
                    answer
                }
                None => statement.await,
            }
        });
        if let Ok(answer) = answered.await {
            return Ok(answer?);
        }
        self.is_late.store(true, Ordering::Relaxed);
        Err(Error::TimedOut)
    }
}

fn xid(noted: &[Row]) -> Result<Option<Xid>, Error> {
    let number = noted.first().map(|row| row.try_get::<_, i64>(0));
    Ok(number
        .transpose()?
        .map(|number| Xid(number.cast_unsigned())))
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && self.begin.get_mut().is_none()
        {
            if *self.is_late.get_mut() {
                forget_idle(&client);
            }
            discard(client);
        }
    }
}
