//! One database file, opened by one process.

mod checkpoint;
mod health;
mod reader;
mod turn;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::health::Health;
use self::reader::{ReadJob, Reader};
pub use self::turn::Turn;
use self::writer::{Log, Write, WriteJob, Writer};
use crate::error::{Error, OpenError};
use crate::file::{self, Ownership};
use crate::migration::{self, MigrationSet};
use crate::transaction::Transaction;
use crate::{backup, connection};

/// Bounds of a [`Database`]. The default suits a server that has the machine to itself.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads that read.
    pub readers: usize,
    /// Writes that may wait; one more is refused as [`Error::Overloaded`]. At 20 µs each, as on the
    /// largest databases, the last of the default waits a third of a second.
    pub waiting_writes: usize,
    /// Reads that may wait; one more is refused as [`Error::Overloaded`].
    pub waiting_reads: usize,
    /// How long work that gives way goes on at once where nobody waits. Whoever comes then waits for its commit, which is
    /// as long as it has changed much. With nothing each turn does one row.
    pub turn: Duration,
    /// Bytes of pages that the writer keeps in memory: the inner pages of all tables and indexes at ten million rows take
    /// a fourth of the default. More is dearer in databases of up to 1 GB: SQLite looks through all of its page table
    /// after each commit in which pages of a table changed places.
    pub writer_cache_bytes: u64,
    /// Bytes of pages that each reader keeps. A reader begins anew after every commit, so more is of little use;
    /// the operating system keeps the rest of the file.
    pub reader_cache_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            // One must be left where another lists a long account; beyond eight they wait for memory, not for work.
            readers: processors.clamp(2, 8),
            waiting_writes: 16_384,
            waiting_reads: 16_384,
            turn: Duration::from_millis(8),
            writer_cache_bytes: 16 << 20,
            reader_cache_bytes: 8 << 20,
        }
    }
}

/// A database file that this process alone has open. Cheap to clone; closed with the last clone, or by
/// [`Database::close`].
///
/// One thread writes: it takes the jobs that are queued, runs them in one transaction, and answers each once
/// the transaction is on the disk. A few threads read. Jobs are closures over a transaction; they take
/// no time and wait for nothing but the disk.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

/// Figures about a [`Database`] since it was opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Statistics {
    /// Writes that were answered, failed ones too.
    pub writes: u64,
    /// Transactions that changed something: several writes share one.
    pub commits: u64,
    /// Pages in the log that is copied into the file now and then.
    pub log_pages: u64,
    /// Writes that wait at this moment, those that give way among them.
    pub waiting_writes: usize,
    /// Reads that wait at this moment.
    pub waiting_reads: usize,
}

/// Where the database is, and within what bounds.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    options: Options,
}

#[derive(Debug)]
struct Inner {
    place: Arc<Place>,
    health: Arc<Health>,
    log: Arc<Log>,
    /// `None` once closed. Without senders the threads work off what is queued, and end.
    queues: RwLock<Option<Queues>>,
    threads: Mutex<Threads>,
}

/// What is to be waited for at the end.
#[derive(Debug, Default)]
struct Threads {
    /// Ends with what nobody else needs by then: its connection, and a share in the right to the file.
    writer: Option<JoinHandle<(Option<Connection>, Arc<Ownership>)>>,
    others: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Queues {
    writes: Sender<Box<dyn WriteJob>>,
    giving_way: Sender<Box<dyn WriteJob>>,
    reads: Sender<ReadJob>,
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Queues")
            .field("writes", &self.writes.len())
            .field("giving_way", &self.giving_way.len())
            .field("reads", &self.reads.len())
            .finish()
    }
}

impl Database {
    /// Opens the database at `path`, made now where there is none, and brings it to the newest migration of
    /// each of `sets`. Blocks for as long as that takes.
    ///
    /// # Errors
    /// One line that says what is wrong; then the file is as it was. [`OpenError::InUse`] where another
    /// process has it open: waiting for that is the caller's business.
    pub fn open(
        path: impl AsRef<Path>,
        sets: &[MigrationSet],
        options: Options,
    ) -> Result<Self, OpenError> {
        let path = file::resolve(path.as_ref())?;
        let ownership = Arc::new(Ownership::take(&path)?);
        migrate(&path, sets)?;
        let place = Arc::new(Place { path, options });
        let inner = Inner::start(place, ownership)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The file, under its one name: absolute, symbolic links followed.
    pub fn path(&self) -> &Path {
        &self.inner.place.path
    }

    /// Runs `work` in a transaction, together with other jobs that wait, and answers once that is on the disk.
    ///
    /// Where `work` fails, its changes are undone and the others' are kept. It runs to its end even if the
    /// answer is not waited for. It must not begin or end transactions.
    ///
    /// # Errors
    /// What `work` returned, or what kept its changes from the disk; [`Error::Overloaded`] at once where too
    /// much waits. After a fault in the commit itself the changes may be there all the same after a crash,
    /// as with any answer that gets lost.
    pub async fn write<Answer, Work>(&self, work: Work) -> Result<Answer, Error>
    where
        Answer: Send + 'static,
        Work: FnOnce(&Transaction<'_>) -> Result<Answer, Error> + Send + 'static,
    {
        let work = move |transaction: &Transaction<'_>, _: &Turn<'_>| work(transaction);
        self.queue_write(work, true, |queues| &queues.writes).await
    }

    /// As [`Database::write`], for work that fails only where the database does: where it fails, so does all that
    /// shares its commit. That spares the savepoint to which a failing job goes back, and with it a copy of every
    /// page that the job changes.
    ///
    /// # Errors
    /// As [`Database::write`]; also where work that came before in the same commit was lost with others.
    pub async fn write_unguarded<Answer, Work>(&self, work: Work) -> Result<Answer, Error>
    where
        Answer: Send + 'static,
        Work: FnOnce(&Transaction<'_>) -> Result<Answer, Error> + Send + 'static,
    {
        let work = move |transaction: &Transaction<'_>, _: &Turn<'_>| work(transaction);
        self.queue_write(work, false, |queues| &queues.writes).await
    }

    /// Runs `work` in a transaction of its own, once nobody waits for anything else, or at the latest after all that
    /// was queued when its turn came. It does as much as [`Turn`] allows, and says how far it came; then its caller
    /// asks again for the rest. So it is for work of any length that nobody waits for.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn write_giving_way<Answer, Work>(&self, work: Work) -> Result<Answer, Error>
    where
        Answer: Send + 'static,
        Work: FnOnce(&Transaction<'_>, &Turn<'_>) -> Result<Answer, Error> + Send + 'static,
    {
        self.queue_write(work, true, |queues| &queues.giving_way)
            .await
    }

    async fn queue_write<Answer, Work>(
        &self,
        work: Work,
        guarded: bool,
        queue: impl FnOnce(&Queues) -> &Sender<Box<dyn WriteJob>>,
    ) -> Result<Answer, Error>
    where
        Answer: Send + 'static,
        Work: FnOnce(&Transaction<'_>, &Turn<'_>) -> Result<Answer, Error> + Send + 'static,
    {
        let (asker, answer) = oneshot::channel();
        let job = Box::new(Write {
            work: Some(work),
            guarded,
            result: None,
            asker,
        });
        self.inner
            .queue(|queues| queue(queues).try_send(job).map_err(|error| refusal(&error)))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Runs `work` on one unchanging state of the database: that of now, or a later one. Short reads that wait
    /// together share one.
    ///
    /// # Errors
    /// What `work` returned, or what kept it from being run; [`Error::Overloaded`] at once where too much waits.
    pub async fn read<Answer, Work>(&self, work: Work) -> Result<Answer, Error>
    where
        Answer: Send + 'static,
        Work: FnOnce(&Transaction<'_>) -> Result<Answer, Error> + Send + 'static,
    {
        let (asker, answer) = oneshot::channel();
        let job = reader::job(work, asker);
        self.inner
            .queue(|queues| queues.reads.try_send(job).map_err(|error| refusal(&error)))?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Whether the database can be read and, as far as is known, written.
    ///
    /// It costs a small read. After a fault it tries a real write, until one succeeds; that write is shared
    /// by all who ask meanwhile.
    ///
    /// # Errors
    /// What keeps the database from being read or written.
    pub async fn health(&self) -> Result<(), Error> {
        if self.inner.health.is_faulty() {
            return self.inner.health.probe(|| self.write(probe)).await;
        }
        self.read(|transaction| {
            transaction
                .prepare_cached("SELECT written FROM probe")?
                .query_row([], |_| Ok(()))?;
            Ok(())
        })
        .await
    }

    /// Figures about the work so far.
    pub fn statistics(&self) -> Statistics {
        let waiting = self.inner.queues.read().as_ref().map(|queues| {
            let writes = queues.writes.len() + queues.giving_way.len();
            (writes, queues.reads.len())
        });
        let (waiting_writes, waiting_reads) = waiting.unwrap_or((0, 0));
        let log = &self.inner.log;
        Statistics {
            writes: log.writes(),
            commits: log.commits(),
            log_pages: log.pages(),
            waiting_writes,
            waiting_reads,
        }
    }

    /// Writes a copy of the database, as it is at some instant after the call, to a new file at `destination`.
    /// Reads and writes go on meanwhile. See [`backup_file`](crate::backup_file).
    ///
    /// # Errors
    /// Where the copy could not be made, or something is at `destination` already; then nothing is left there.
    pub async fn backup(&self, destination: impl Into<PathBuf>) -> Result<(), OpenError> {
        let (path, destination) = (self.path().to_owned(), destination.into());
        let failed = |reason: Error| OpenError::Failed {
            path: self.path().to_owned(),
            reason: reason.to_string().into(),
        };
        on_thread("lastseen-backup", move || {
            backup::backup_file(&path, &destination)
        })
        .await
        .map_err(failed)?
    }

    /// Closes the database: refuses new jobs, finishes the queued ones, leaves one tidy file, and gives up the
    /// right to it. Also for every clone.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        if on_thread("lastseen-close", move || inner.shut_down())
            .await
            .is_err()
        {
            // No thread could be had for it; then it is done here.
            self.inner.shut_down();
        }
    }
}

/// A write that changes one row and nothing else.
fn probe(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .prepare_cached("UPDATE probe SET written = written + 1")?
        .execute([])?;
    Ok(())
}

fn refusal<Job>(error: &TrySendError<Job>) -> Error {
    match error {
        TrySendError::Full(_) => Error::Overloaded,
        TrySendError::Disconnected(_) => Error::Closed,
    }
}

/// Runs what blocks on a thread of its own, so that the asking task does not.
async fn on_thread<Answer: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Answer + Send + 'static,
) -> Result<Answer, Error> {
    let (asker, answer) = oneshot::channel();
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Whoever asked may have gone.
        let _ = asker.send(work());
    });
    spawned.map_err(|error| Error::InputOutput(error.to_string().into()))?;
    answer.await.map_err(|_| Error::Panicked)
}

/// Looks whether this program may use the database, and only then changes it.
fn migrate(path: &Path, sets: &[MigrationSet]) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_sqlite(path, error);
    let sets: Vec<_> = [migration::DATABASE].iter().chain(sets).copied().collect();
    let mut connection = connection::open(path).map_err(failed)?;
    if connection.is_readonly("main").map_err(failed)? {
        return Err(OpenError::ReadOnly {
            path: path.to_owned(),
        });
    }
    migration::check(&connection, path, &sets)?;
    // The default cache of SQLite, 2 MB: this connection lives for the migrations only.
    connection::set_up(&connection, 2 << 20).map_err(failed)?;
    migration::apply(&mut connection, path, &sets)
}

impl Inner {
    fn start(place: Arc<Place>, ownership: Arc<Ownership>) -> Result<Self, OpenError> {
        let failed = |error| OpenError::from_sqlite(&place.path, error);
        let health = Arc::new(Health::default());
        let log = Arc::new(Log::default());
        let (writes, write_queue) = bounded(place.options.waiting_writes);
        let (giving_way, given_way) = bounded(place.options.waiting_writes);
        let (reads, read_queue): (_, Receiver<ReadJob>) = bounded(place.options.waiting_reads);
        let (checkpointer, copier) =
            checkpoint::checkpointer(&place.path, &ownership).map_err(failed)?;
        let writer = Writer {
            connection: Some(Writer::connect(&place, &log).map_err(failed)?),
            place: Arc::clone(&place),
            queue: write_queue,
            giving_way: given_way,
            health: Arc::clone(&health),
            checkpointer,
            log: Arc::clone(&log),
        };
        let inner = Self {
            queues: RwLock::new(Some(Queues {
                writes,
                giving_way,
                reads,
            })),
            threads: Mutex::default(),
            health,
            log,
            place,
        };
        let readers = inner.place.options.readers.max(1);
        for number in 0..readers {
            let reader = Reader {
                connection: Some(
                    Reader::connect(&inner.place)
                        .map_err(|error| OpenError::from_sqlite(&inner.place.path, error))?,
                ),
                place: Arc::clone(&inner.place),
                queue: read_queue.clone(),
                readers,
                health: Arc::clone(&inner.health),
                _ownership: Arc::clone(&ownership),
            };
            let thread = inner.spawn(&format!("lastseen-read-{number}"), move || reader.work())?;
            inner.threads.lock().others.push(thread);
        }
        let thread = inner.spawn("lastseen-copy", move || copier.work())?;
        inner.threads.lock().others.push(thread);
        let thread = inner.spawn("lastseen-write", move || (writer.work(), ownership))?;
        inner.threads.lock().writer = Some(thread);
        Ok(inner)
    }

    fn spawn<Answer: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> Result<JoinHandle<Answer>, OpenError> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|error| OpenError::from_io(&self.place.path, &error))
    }

    fn queue(&self, put: impl FnOnce(&Queues) -> Result<(), Error>) -> Result<(), Error> {
        self.queues.read().as_ref().map_or(Err(Error::Closed), put)
    }

    /// Ends the threads, once they have done what is queued. A second call finds nothing to do.
    fn shut_down(&self) {
        drop(self.queues.write().take());
        // Held until the end, so that a second call returns when the file is free, not earlier.
        let mut held = self.threads.lock();
        let Threads { writer, others } = std::mem::take(&mut *held);
        let own = |thread: &thread::Thread| thread.id() == thread::current().id();
        if writer.iter().any(|writer| own(writer.thread()))
            || others.iter().any(|other| own(other.thread()))
        {
            // A job that held the last clone dropped it here. No thread can wait for itself, nor for one that
            // waits for it; they all end by themselves.
            return;
        }
        // A thread that panicked has reported it; there is nothing to add.
        let finished = writer.and_then(|writer| writer.join().ok());
        for other in others {
            let _ = other.join();
        }
        if let Some((connection, ownership)) = finished {
            if let Some(connection) = connection {
                tidy_up(connection);
            }
            drop(ownership);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Copies the log into the file and removes it, unless somebody else (a backup) still reads it.
fn tidy_up(connection: Connection) {
    let leave_log = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    let closed = connection
        .set_db_config(leave_log, false)
        .and_then(|_| connection.close().map_err(|(_, error)| error));
    if let Err(error) = closed {
        // What the log holds is durable there; the next opening reads it.
        tracing::warn!(%error, "the log could not be copied into the database at the end");
    }
}
