//! The threads that read, each with a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Place;
use super::health::Health;
use crate::connection;
use crate::error::Error;
use crate::file::Ownership;
use crate::transaction::Transaction;

/// Jobs that share a state of the database at most. What it takes to see one (two locks, and each page anew after every
/// commit) is spread over eight; the bound keeps the last of them from waiting for an endless rest.
const LARGEST_GROUP: usize = 8;

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
    /// How many threads share the queue.
    pub(super) readers: usize,
    pub(super) health: Arc<Health>,
    /// `None` after a fault: it is opened anew for the next job.
    pub(super) connection: Option<Connection>,
    /// Given up after the connection.
    pub(super) _ownership: Arc<Ownership>,
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
        let mut group = Vec::with_capacity(LARGEST_GROUP);
        while let Ok(first) = self.queue.recv() {
            group.push(first);
            // The other readers get their share of what waits.
            let share = (self.queue.len() / self.readers).min(LARGEST_GROUP - 1);
            group.extend(self.queue.try_iter().take(share));
            let mut waiting = group.drain(..);
            while waiting.len() > 0 {
                if let Err(error) = self.read(&mut waiting)
                    && error.is_fault()
                {
                    self.health.note(Err(&error));
                    self.connection = None;
                }
            }
        }
    }

    /// Does one job of `waiting` or more, on one state of the database. It begins after all of them were asked for, so it
    /// holds everything that was answered before. A fault ends it: those that still wait are not asked of a connection
    /// that may have kept it.
    fn read(&mut self, waiting: &mut impl Iterator<Item = ReadJob>) -> Result<(), Error> {
        let Some(first) = waiting.next() else {
            return Ok(());
        };
        if self.connection.is_none() {
            match Self::connect(&self.place) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => return first(Err(error.into())),
            }
        }
        let Some(connection) = &self.connection else {
            return first(Err(Error::Closed));
        };
        let transaction = match Transaction::reading(connection) {
            Ok(transaction) => transaction,
            Err(error) => return first(Err(error.into())),
        };
        for job in std::iter::once(first).chain(waiting) {
            if let Err(error) = job(Ok(&transaction))
                && error.is_fault()
            {
                return Err(error);
            }
        }
        Ok(())
    }
}
