//! The threads that read, each with a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::Place;
use super::health::Health;
use crate::connection;
use crate::error::Error;

/// A job as a reader sees it, whatever it computes: does the work, and answers. What went wrong, if anything.
pub(super) type ReadJob =
    Box<dyn FnOnce(Result<&Transaction<'_>, Error>) -> Result<(), Error> + Send>;

/// A job out of a closure and who waits for its result.
pub(super) fn job<Work, Answer>(
    work: Work,
    asker: oneshot::Sender<Result<Answer, Error>>,
) -> ReadJob
where
    Work: FnOnce(&Transaction<'_>) -> Result<Answer, Error> + Send + 'static,
    Answer: Send + 'static,
{
    Box::new(move |transaction| {
        let result = transaction.and_then(|transaction| {
            catch_unwind(AssertUnwindSafe(|| work(transaction))).unwrap_or(Err(Error::Panicked))
        });
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        // Whoever asked may have gone.
        let _ = asker.send(result);
        outcome
    })
}

/// A thread's belongings.
pub(super) struct Reader {
    pub(super) place: Arc<Place>,
    pub(super) queue: Receiver<ReadJob>,
    pub(super) health: Arc<Health>,
    /// `None` after a fault: it is opened anew for the next job.
    pub(super) connection: Option<Connection>,
}

impl Reader {
    /// Opens a connection that reads, and could not write if it were asked to.
    pub(super) fn connect(place: &Place) -> rusqlite::Result<Connection> {
        let connection = connection::open(&place.path)?;
        connection::set_up(&connection, place.options.reader_cache_bytes)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// Works until nobody can ask any more and nothing is queued.
    pub(super) fn work(mut self) {
        while let Ok(job) = self.queue.recv() {
            let outcome = self.read(job);
            if let Err(error) = &outcome
                && error.is_fault()
            {
                self.health.note(Err(error));
                self.connection = None;
            }
        }
    }

    /// One job sees one state of the database. It begins after the job was asked for, so it holds
    /// everything that was answered before.
    fn read(&mut self, job: ReadJob) -> Result<(), Error> {
        if self.connection.is_none() {
            match Self::connect(&self.place) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => return job(Err(error.into())),
            }
        }
        let Some(connection) = &self.connection else {
            return job(Err(Error::Closed));
        };
        match Transaction::new_unchecked(connection, TransactionBehavior::Deferred) {
            Ok(transaction) => job(Ok(&transaction)),
            Err(error) => job(Err(error.into())),
        }
    }
}
