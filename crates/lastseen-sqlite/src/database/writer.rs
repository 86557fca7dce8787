//! The one thread that writes: it takes what is queued, commits it as one, and only then answers.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, select_biased};
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME};
use tokio::sync::oneshot;

use super::Place;
use super::checkpoint::Checkpointer;
use super::health::Health;
use super::turn::{self, Turn};
use crate::connection;
use crate::error::Error;
use crate::transaction::Transaction;

/// Jobs in one commit at most. At 32 rows the cost of the fsync is spread thin already; the bound keeps
/// the first of a group from waiting for an endless rest.
const LARGEST_GROUP: usize = 512;
/// How long the log's new beginning may wait for readers that still need the old one, with all writers
/// waiting too. What reads for longer (a backup) only puts the new beginning off.
const PATIENCE_WITH_READERS: Duration = Duration::from_millis(10);

/// A job as the writer sees it, whatever it computes.
pub(super) trait WriteJob: Send {
    /// Does the work. An error means that its changes are to be undone.
    fn run(&mut self, transaction: &Transaction<'_>, turn: &Turn<'_>) -> Result<(), Error>;
    /// Whether its failure is to leave alone what others have changed.
    fn is_guarded(&self) -> bool;
    /// Says what came of it, once what came of the group is known.
    fn answer(self: Box<Self>, group: Result<(), Error>);
}

/// A closure, its result, and who waits for it.
pub(super) struct Write<Work, Answer> {
    pub(super) work: Option<Work>,
    pub(super) guarded: bool,
    pub(super) result: Option<Result<Answer, Error>>,
    pub(super) asker: oneshot::Sender<Result<Answer, Error>>,
}

impl<Work, Answer> WriteJob for Write<Work, Answer>
where
    Work: FnOnce(&Transaction<'_>, &Turn<'_>) -> Result<Answer, Error> + Send,
    Answer: Send,
{
    fn run(&mut self, transaction: &Transaction<'_>, turn: &Turn<'_>) -> Result<(), Error> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        // What a panic leaves half done is undone by the caller, with the transaction or back to the savepoint.
        let result = catch_unwind(AssertUnwindSafe(|| work(transaction, turn)))
            .unwrap_or(Err(Error::Panicked));
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }

    fn is_guarded(&self) -> bool {
        self.guarded
    }

    fn answer(self: Box<Self>, group: Result<(), Error>) {
        let answer = match (self.result, group) {
            // Its own error says more than that of the group.
            (Some(Err(own)), _) => Err(own),
            (_, Err(group)) => Err(group),
            (Some(Ok(answer)), Ok(())) => Ok(answer),
            (None, Ok(())) => Err(Error::Closed),
        };
        // Nobody may be waiting any more; what was asked has been done all the same.
        let _ = self.asker.send(answer);
    }
}

/// The thread's belongings.
pub(super) struct Writer {
    pub(super) place: Arc<Place>,
    /// What somebody waits for.
    pub(super) queue: Receiver<Box<dyn WriteJob>>,
    /// What gives way to that.
    pub(super) giving_way: Receiver<Box<dyn WriteJob>>,
    pub(super) health: Arc<Health>,
    pub(super) checkpointer: Checkpointer,
    /// `None` after a fault: it is opened anew for the next group, in case the connection kept the fault.
    pub(super) connection: Option<Connection>,
    pub(super) log: Arc<Log>,
}

/// What SQLite says of the log after each commit that wrote something.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Pages in it.
    pages: AtomicU64,
    /// Whether it was written since that was last asked.
    written: AtomicBool,
    /// Transactions that wrote to it.
    commits: AtomicU64,
    /// Jobs that were answered.
    writes: AtomicU64,
}

impl Log {
    fn grown(&self, pages: c_int) {
        self.pages
            .store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        self.written.store(true, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Opens the connection that writes.
    pub(super) fn connect(place: &Place, log: &Arc<Log>) -> rusqlite::Result<Connection> {
        let mut connection = connection::open(&place.path)?;
        connection::set_up(&connection, place.options.writer_cache_bytes)?;
        let log = Arc::clone(log);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            log.grown(pages);
            Ok(())
        }))?;
        Ok(connection)
    }

    /// Works until nobody can ask any more and nothing is queued. Hands back the connection.
    pub(super) fn work(mut self) -> Option<Connection> {
        let mut group = Vec::with_capacity(LARGEST_GROUP);
        let asked = self.queue.clone();
        let mut gave_way = true;
        let mut rest = None;
        while let Some(next) = self.next(gave_way, rest) {
            let (first, largest) = match next {
                Next::Asked(first) => (first, LARGEST_GROUP),
                // A commit of its own: nobody waits for what it has changed.
                Next::GivingWay(first) => (first, 1),
                Next::Copied => {
                    self.checkpointer.hear();
                    self.tend_log();
                    continue;
                }
            };
            gave_way = largest == 1;
            let turn = Turn::begin(self.place.options.turn, &asked);
            let outcome = self.commit(first, largest, &turn, &mut group);
            if gave_way {
                rest = turn.rest();
            }
            match &outcome {
                // A group that changed nothing proves nothing.
                Ok(()) if self.log.written.swap(false, Ordering::Relaxed) => {
                    self.health.note(Ok(()));
                }
                Ok(()) => {}
                Err(error) => {
                    self.health.note(Err(error));
                    if *error != Error::DiskFull {
                        self.connection = None;
                    }
                }
            }
            self.log
                .writes
                .fetch_add(group.len() as u64, Ordering::Relaxed);
            for job in group.drain(..) {
                job.answer(outcome.clone());
            }
            self.tend_log();
        }
        self.connection
    }

    /// What is next; none once nobody can ask any more and nothing is queued.
    ///
    /// What somebody waits for goes first. But after each group of it what gives way has a turn: otherwise it would
    /// never get on where writes come without a pause. Before the log begins anew it has none, nor before its `rest` is
    /// over.
    fn next(&self, gave_way: bool, rest: Option<Instant>) -> Option<Next> {
        let (asked, giving_way) = (&self.queue, &self.giving_way);
        // All senders are given up at once: where one queue is gone, what is left is in the other.
        let rest_giving_way = || giving_way.recv().map(Next::GivingWay);
        let rest_asked = || asked.recv().map(Next::Asked);
        if let Some(rest) = rest.filter(|rest| turn::now() < *rest) {
            match asked.recv_deadline(rest) {
                Ok(job) => return Some(Next::Asked(job)),
                Err(RecvTimeoutError::Disconnected) => return rest_giving_way().ok(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let next = if let Some(copied) = self.checkpointer.under_way() {
            select_biased! {
                recv(asked) -> job => job.map(Next::Asked).or_else(|_| rest_giving_way()),
                recv(copied) -> _ => Ok(Next::Copied),
            }
        } else if gave_way {
            select_biased! {
                recv(asked) -> job => job.map(Next::Asked).or_else(|_| rest_giving_way()),
                recv(giving_way) -> job => job.map(Next::GivingWay).or_else(|_| rest_asked()),
            }
        } else {
            select_biased! {
                recv(giving_way) -> job => job.map(Next::GivingWay).or_else(|_| rest_asked()),
                recv(asked) -> job => job.map(Next::Asked).or_else(|_| rest_giving_way()),
            }
        };
        next.ok()
    }

    /// Runs `first` and what else is queued, `largest` jobs at most, and commits. The jobs are in `group` then, run or
    /// not.
    fn commit(
        &mut self,
        first: Box<dyn WriteJob>,
        largest: usize,
        turn: &Turn<'_>,
        group: &mut Vec<Box<dyn WriteJob>>,
    ) -> Result<(), Error> {
        if self.connection.is_none() {
            match Self::connect(&self.place, &self.log) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    group.push(first);
                    return Err(error.into());
                }
            }
        }
        let Some(connection) = &self.connection else {
            return Err(Error::Closed);
        };
        let begin = || Transaction::writing(connection);
        let mut transaction = match begin() {
            Ok(transaction) => transaction,
            Err(error) => {
                group.push(first);
                return Err(error.into());
            }
        };
        let mut next = Some(first);
        // Whether the transaction holds the changes of an earlier job, which a failing one must not undo.
        let mut kept = false;
        while let Some(mut job) = next {
            let outcome = run(job.as_mut(), &transaction, turn, kept);
            group.push(job);
            match outcome {
                Ok(()) => kept = true,
                Err(Failure::OfJob(error)) => {
                    self.health.note(Err(&error));
                    if !kept {
                        // Nothing of value is in it: cheaper than a savepoint around every lonely job.
                        transaction.rollback()?;
                        transaction = begin()?;
                    }
                }
                // SQLite has rolled everything back; the group is lost with it.
                Err(Failure::OfGroup(error)) => return Err(error),
            }
            next = if group.len() < largest {
                self.queue.try_recv().ok()
            } else {
                None
            };
        }
        if kept {
            transaction.commit()?;
        }
        Ok(())
    }

    /// Keeps the log short: see [`super::checkpoint`].
    fn tend_log(&mut self) {
        let pages = self.log.pages();
        if !self.checkpointer.grown_to(pages) {
            return;
        }
        let Some(connection) = &self.connection else {
            return;
        };
        let restarted = connection
            .busy_timeout(PATIENCE_WITH_READERS)
            .and_then(|()| connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::RESTART));
        match restarted {
            Ok(_) => {
                // SQLite will say so with the next commit.
                self.log.pages.store(0, Ordering::Relaxed);
                self.checkpointer.grown_to(0);
            }
            Err(error) => tracing::debug!(%error, pages, "the log could not begin anew"),
        }
        // It takes a number and cannot fail; if it did, the next lock would be waited for less long.
        let _ = connection.busy_timeout(connection::BUSY_TIMEOUT);
    }
}

/// What the writer does next.
enum Next {
    /// Work that somebody waits for, together with what else is queued.
    Asked(Box<dyn WriteJob>),
    /// A turn of work that nobody waits for.
    GivingWay(Box<dyn WriteJob>),
    /// The log was copied once more, and may be short enough to begin anew.
    Copied,
}

/// How far a failure reaches.
enum Failure {
    /// The job's changes were undone, those of the others are there.
    OfJob(Error),
    /// The transaction is lost, with the changes of every job in it.
    OfGroup(Error),
}

/// Runs one job. Where earlier ones `kept` changes in the transaction, its failure leaves them alone, unless it said
/// that it needs no guard.
fn run(
    job: &mut dyn WriteJob,
    transaction: &Transaction<'_>,
    turn: &Turn<'_>,
    kept: bool,
) -> Result<(), Failure> {
    let guarded = kept && job.is_guarded();
    let command = |sql: &str| match transaction
        .prepare_cached(sql)
        .and_then(|mut command| command.execute([]))
    {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::OfGroup(error.into())),
    };
    if guarded {
        command("SAVEPOINT job")?;
    }
    match job.run(transaction, turn) {
        Ok(()) => {}
        // Some faults, a full disk among them, make SQLite undo the transaction by itself.
        Err(error) if transaction.is_autocommit() => return Err(Failure::OfGroup(error)),
        // Half of it may be there, among the changes of others.
        Err(error) if kept && !guarded => return Err(Failure::OfGroup(error)),
        Err(error) => {
            if guarded {
                command("ROLLBACK TO job")?;
                command("RELEASE job")?;
            }
            return Err(Failure::OfJob(error));
        }
    }
    if guarded {
        command("RELEASE job")?;
    }
    Ok(())
}
