//! What waits is done together: one statement, one commit and one answer from the disk for all of it.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::database::Database;
use crate::error::Error;

/// Batches under way at once: while one waits for the disk, the next is worked out.
const LANES: usize = 2;
/// What may wait; one more is refused. The last of it waits a second or less.
const WAITING: usize = 16_384;

/// Something that can be done together with others of its kind.
pub(super) trait Job: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    /// How much may be done together, by [`Job::weight`].
    const MOST: usize;

    /// How much of a batch it takes up.
    fn weight(&self) -> usize;

    /// Does what came together by the earliest deadline of it, and answers each.
    fn run(
        database: &Database,
        deadline: Instant,
        batch: Vec<Waiting<Self>>,
    ) -> impl Future<Output = ()> + Send;
}

/// One job, and who waits for it.
pub(super) struct Waiting<Of: Job> {
    pub(super) job: Of,
    deadline: Instant,
    committed: Arc<OnceLock<Instant>>,
    answer: oneshot::Sender<Result<Of::Answer, Error>>,
}

impl<Of: Job> Waiting<Of> {
    /// It is committed, and what is left takes as long as a lease runs.
    pub(super) fn is_committed(&self) {
        let _ = self.committed.set(Instant::now());
    }

    /// Whoever asked may have gone.
    pub(super) fn answer(self, answer: Result<Of::Answer, Error>) {
        let _ = self.answer.send(answer);
    }
}

/// Jobs of one kind, in the order in which they came.
pub(super) struct Batches<Of: Job> {
    queue: Mutex<Queue<Of>>,
}

struct Queue<Of: Job> {
    waiting: VecDeque<Waiting<Of>>,
    lanes: usize,
}

impl<Of: Job> Default for Batches<Of> {
    fn default() -> Self {
        Self {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                lanes: 0,
            }),
        }
    }
}

impl<Of: Job> Debug for Batches<Of> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.lock().waiting.len();
        write!(formatter, "Batches({waiting} waiting)")
    }
}

impl<Of: Job> Batches<Of> {
    /// Does a job together with others that wait. Once it has begun it is done, even if nobody waits for the
    /// answer any more. Nobody waits for longer than he may, not even where others of a batch may wait for longer.
    pub(super) async fn ask(
        self: &Arc<Self>,
        database: &Database,
        job: Of,
    ) -> Result<Of::Answer, Error> {
        let wait = database.wait()?;
        let committed = Arc::new(OnceLock::new());
        let (answer, mut answered) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= WAITING {
                return Err(Error::Overloaded);
            }
            queue.waiting.push_back(Waiting {
                job,
                deadline: database.deadline(),
                committed: Arc::clone(&committed),
                answer,
            });
            Lane::open(self, &mut queue, database);
        }
        // Whoever has taken it up ends by the deadline of the earliest that was taken up with it.
        let told = match timeout_at(wait.until(), &mut answered).await {
            Ok(told) => told.unwrap_or(Err(Error::Closed)),
            Err(_) if committed.get().is_some() => answered.await.unwrap_or(Err(Error::Closed)),
            Err(_) => Err(Error::TimedOut),
        };
        match (&told, committed.get()) {
            (Err(Error::TimedOut), _) => wait.was_in_vain(),
            (_, Some(committed)) => wait.ended_at(*committed),
            (_, None) => drop(wait),
        }
        told
    }

    /// The next jobs that go together.
    fn take(&self) -> Vec<Waiting<Of>> {
        let mut queue = self.queue.lock();
        let mut weight = 0;
        let mut batch = Vec::new();
        while let Some(next) = queue.waiting.front() {
            weight += next.job.weight();
            if weight > Of::MOST && !batch.is_empty() {
                break;
            }
            let Some(next) = queue.waiting.pop_front() else {
                break;
            };
            // Nobody waits for it: it would come as a surprise.
            if !next.answer.is_closed() {
                batch.push(next);
            }
        }
        batch
    }
}

/// One of those that take batches. Counted until it is dropped.
struct Lane<Of: Job>(Arc<Batches<Of>>);

impl<Of: Job> Lane<Of> {
    /// Opens another one, if there may be more.
    fn open(batches: &Arc<Batches<Of>>, queue: &mut Queue<Of>, database: &Database) {
        if queue.lanes < LANES {
            queue.lanes += 1;
            tokio::spawn(Self(Arc::clone(batches)).work(database.clone()));
        }
    }

    async fn work(self, database: Database) {
        loop {
            let batch = self.0.take();
            let Some(deadline) = batch.iter().map(|waiting| waiting.deadline).min() else {
                return self.leave(&database);
            };
            Of::run(&database, deadline, batch).await;
        }
    }

    /// Ends, unless something came meanwhile and nobody else is there for it.
    fn leave(self, database: &Database) {
        let batches = Arc::clone(&self.0);
        drop(self);
        let mut queue = batches.queue.lock();
        if !queue.waiting.is_empty() {
            Self::open(&batches, &mut queue, database);
        }
    }
}

impl<Of: Job> Drop for Lane<Of> {
    fn drop(&mut self) {
        self.0.queue.lock().lanes -= 1;
    }
}
