//! One PostgreSQL database, and a pool of connections to it.

mod connector;
mod pooled;
mod transaction;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use lastseen::SessionId;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

use self::connector::Connector;
use self::pooled::{Unanswered, discard, forget_idle};
pub use self::transaction::{Durability, Parameter, Transaction};
use crate::address::Address;
use crate::confirm::{Committed, Confirm, NobodyElse, Xid};
use crate::error::{Error, OpenError};
use crate::migration::{self, MigrationSet};
use crate::node;
use crate::patience::Wait;

/// How often a transaction is run that others were in the way of. They have gone on by then, so that the second
/// time is nearly always the last.
const TRIES: u32 = 3;

/// A change that was committed late has at least this part of the patience left, to read the nodes in. With the default
/// all of it stays under the contract's 5 s.
const READING_PART: u32 = 8;

/// How a [`Database`] is reached and within what bounds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is; PgBouncer may stand in between, in any of its modes.
    pub address: Address,
    /// Where notifications come from: the database itself, past any PgBouncer. `None`: the same address.
    pub direct: Option<Address>,
    /// Connections that are held at most. PostgreSQL has 100 for everybody unless told otherwise.
    pub connections: usize,
    /// How long a statement, or a transaction from its beginning to the answer of its commit, may take, with
    /// the waiting for a connection; and all that one request waits for, see [`one_request`](crate::one_request).
    pub patience: Duration,
}

impl Options {
    /// Under the contract's 5 s, with time left for the answer itself.
    pub const PATIENCE: Duration = Duration::from_secs(4);
    /// Of PostgreSQL's 100, enough for eight nodes and somebody who looks. A statement takes a tenth of a
    /// millisecond to one, so that ten connections do ten thousand a second.
    pub const CONNECTIONS: usize = 10;

    /// The defaults, for the database at `address`.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            direct: None,
            connections: Self::CONNECTIONS,
            patience: Self::PATIENCE,
        }
    }
}

/// A PostgreSQL database, reached through a pool of connections. Cheap to clone.
///
/// What is asked of it ends within [`Options::patience`], also where the database cannot be reached, and a
/// connection that kept somebody waiting for longer is thrown away.
///
/// Statements are unnamed and settings last for one transaction, so that PgBouncer may give each transaction
/// another connection.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool,
    options: Options,
    confirm: OnceLock<Arc<dyn Confirm>>,
    /// A write failed for want of room or right: health then asks for a real one.
    faulty: AtomicBool,
}

/// What a transaction has changed, before its commit.
#[derive(Debug)]
pub(crate) struct Known {
    /// The transaction.
    pub(crate) xid: Xid,
    /// Sessions that memory has to follow.
    pub(crate) sessions: Vec<SessionId>,
}

impl Database {
    /// Opens the database and brings it to the newest migration of each of `sets`, which may take a while.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub async fn open(options: Options, sets: &[MigrationSet]) -> Result<Self, OpenError> {
        let shown: Arc<str> = options.address.to_string().into();
        let failed = |reason| OpenError::Failed {
            address: Arc::clone(&shown),
            reason,
        };
        let manager = Manager::from_connect(
            options.address.config().clone(),
            Connector::new(&options),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(1))
            .build()
            .map_err(|error| failed(Error::Unreachable(error.to_string().into())))?;
        let database = Self {
            inner: Arc::new(Inner {
                pool,
                options,
                confirm: OnceLock::new(),
                faulty: AtomicBool::new(false),
            }),
        };
        let deadline = database.deadline();
        let client = database.connection(deadline).await.map_err(failed)?;
        let own = [migration::DATABASE, node::MIGRATIONS];
        let sets: Vec<_> = own.iter().chain(sets).copied().collect();
        let looked = timeout_at(deadline, async {
            migration::check_version(&client, &shown).await?;
            migration::is_current(&client, &shown, &sets).await
        });
        let is_current = looked.await.unwrap_or(Err(failed(Error::TimedOut)));
        // New tables take as long as they take.
        let migrated = match is_current {
            Ok(true) => return Ok(database),
            Ok(false) => migration::run(&client, &shown, &sets).await,
            Err(error) => Err(error),
        };
        if let Err(error) = migrated {
            // It may be in the middle of a transaction.
            discard(client);
            return Err(error);
        }
        Ok(database)
    }

    /// What it was opened with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Says who makes sure that changes have reached every node. Once, before the first [`Database::change`];
    /// a second call changes nothing.
    pub fn set_confirm(&self, confirm: Arc<dyn Confirm>) {
        let _ = self.inner.confirm.set(confirm);
    }

    fn confirm(&self) -> &dyn Confirm {
        self.inner.confirm.get().map_or(&NobodyElse, |set| &**set)
    }

    /// Runs one statement by itself, for what it answers. One that writes is as durable as the database is
    /// set to make it: use [`Database::begin`] where that matters.
    ///
    /// # Errors
    /// What kept it from being done.
    pub async fn query(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let wait = self.wait()?;
        let client = Unanswered::new(self.connection(wait.until()).await?);
        let asked = client.get()?.query_typed(statement, parameters);
        if let Ok(rows) = timeout_at(wait.until(), asked).await {
            client.was_answered();
            return Ok(rows?);
        }
        forget_idle(client.get()?);
        Err(Error::TimedOut)
    }

    /// Begins a transaction. It sees what was committed before each of its statements (`READ COMMITTED`).
    ///
    /// # Errors
    /// Where no connection could be had.
    pub async fn begin(&self, durability: Durability) -> Result<Transaction, Error> {
        let wait = self.wait()?;
        let transaction = self.begin_as(wait.until(), durability, None, true).await?;
        Ok(transaction.waited_for(wait))
    }

    async fn begin_as(
        &self,
        deadline: Instant,
        durability: Durability,
        origin: Option<Arc<str>>,
        notify: bool,
    ) -> Result<Transaction, Error> {
        let client = self.connection(deadline).await?;
        Ok(Transaction::new(
            client,
            deadline,
            &self.inner.options,
            durability,
            origin.as_deref(),
            notify,
        ))
    }

    /// Runs `work` in a durable transaction and commits it; then, if it changed what other nodes' memory has to
    /// follow, answers only when none of them can act on the state before.
    ///
    /// Where another transaction was in its way, `work` runs once more, from the start. One that fails for
    /// another reason leaves nothing behind. `work` gets the transaction for as long as its future lives, and
    /// must not keep it.
    ///
    /// ```no_run
    /// # use lastseen_postgres::{Database, Error};
    /// # use lastseen_postgres::tokio_postgres::types::Type;
    /// # async fn example(database: Database, name: &str) -> Result<(), Error> {
    /// let removed = database
    ///     .change(|transaction| async move {
    ///         transaction
    ///             .execute("DELETE FROM application WHERE name = $1", &[(&name, Type::TEXT)])
    ///             .await
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `work` returned, or what kept its changes from being committed or from reaching the nodes.
    pub async fn change<Answer, Doing>(
        &self,
        // A shared transaction and not a borrowed one: of a future that borrows its argument the compiler cannot
        // tell today that it may go from thread to thread.
        work: impl Fn(Arc<Transaction>) -> Doing,
    ) -> Result<Answer, Error>
    where
        Doing: Future<Output = Result<Answer, Error>>,
    {
        let wait = self.wait()?;
        let until = wait.until();
        let (answer, known) = self.commit_change(until, work).await?;
        drop(wait);
        self.reach_nodes(known, until).await?;
        Ok(answer)
    }

    /// The first half of [`Database::change`]: what is left is to [reach the nodes](Database::reach_nodes), before
    /// anybody is answered.
    async fn commit_change<Answer, Doing>(
        &self,
        deadline: Instant,
        work: impl Fn(Arc<Transaction>) -> Doing,
    ) -> Result<(Answer, Option<Known>), Error>
    where
        Doing: Future<Output = Result<Answer, Error>>,
    {
        self.commit_in_tries(deadline, true, work, |transaction, _, answer| async {
            let xid = transaction.commit_noted().await?;
            let sessions = Vec::new();
            Ok((answer, xid.map(|xid| Known { xid, sessions })))
        })
        .await
    }

    /// The same for work that knows which sessions it has changed, and that has changed nothing else: the nodes are
    /// told of them right after the commit, and not by it. A commit that notifies holds up every other one that
    /// does, until it is on the disk.
    ///
    /// Where the process ends in between, nobody was answered yet, and the nodes find the change in the log.
    pub(crate) async fn commit_known<Answer, Doing>(
        &self,
        deadline: Instant,
        work: impl Fn(Arc<Transaction>) -> Doing,
    ) -> Result<(Answer, Option<Known>), Error>
    where
        Doing: Future<Output = Result<(Answer, Option<Known>), Error>>,
    {
        let commit = async |transaction: Transaction, origin: Option<Arc<str>>, done| {
            let (answer, known): (Answer, Option<Known>) = done;
            match &known {
                None => transaction.commit().await?,
                Some(Known { xid, sessions }) => {
                    let message = node::message_of_sessions(*xid, origin.as_deref(), sessions);
                    transaction.commit_and_tell(node::CHANGES, message).await?;
                }
            }
            Ok((answer, known))
        };
        self.commit_in_tries(deadline, false, work, commit).await
    }

    /// Does `work` in a durable transaction and has `commit` commit it, under the origin that it began with; both once
    /// more where others were in the way. Where its commit was to notify, and there is no room for that, it goes without.
    async fn commit_in_tries<Done, Doing, Answer, Committing>(
        &self,
        deadline: Instant,
        mut notifies: bool,
        work: impl Fn(Arc<Transaction>) -> Doing,
        commit: impl Fn(Transaction, Option<Arc<str>>, Done) -> Committing,
    ) -> Result<Answer, Error>
    where
        Doing: Future<Output = Result<Done, Error>>,
        Committing: Future<Output = Result<Answer, Error>>,
    {
        let mut tries = 1;
        loop {
            let origin = self.confirm().origin();
            let transaction =
                self.begin_as(deadline, Durability::Durable, origin.clone(), notifies);
            let transaction = Arc::new(transaction.await?);
            let done = work(Arc::clone(&transaction)).await;
            // The work has let go of it; where it has not, nothing is committed.
            let transaction = Arc::into_inner(transaction).ok_or(Error::Closed)?;
            let done = match done {
                Ok(done) => commit(transaction, origin, done).await,
                Err(error) => {
                    transaction.roll_back().await;
                    Err(error)
                }
            };
            self.learn(&done);
            match done {
                Err(error) if tries < TRIES && error.is_untold() && notifies => {
                    tracing::warn!("the queue of notifications is full; a change goes without one");
                    notifies = false;
                }
                Err(error) if tries < TRIES && error.passes() => {}
                done => return done,
            }
            tries += 1;
        }
    }

    /// The second half: answers when no node can act on the state before. `until` is when the commit had to be answered.
    pub(crate) async fn reach_nodes(
        &self,
        known: Option<Known>,
        until: Instant,
    ) -> Result<(), Error> {
        let Some(Known { xid, sessions }) = known else {
            return Ok(());
        };
        let left = until.saturating_duration_since(Instant::now());
        let patience = left.max(self.inner.options.patience / READING_PART);
        let committed = Committed {
            xid,
            sessions,
            patience,
        };
        let confirmed = self.confirm().confirm(committed).await;
        if let (Err(Error::TimedOut), Ok(wait)) = (&confirmed, self.wait()) {
            wait.was_in_vain();
        }
        confirmed
    }

    /// Runs one statement that writes, durably, and that no node has to hear of.
    pub(crate) async fn write_once(
        &self,
        deadline: Instant,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let transaction = self.begin_as(deadline, Durability::Durable, None, true);
        let done = transaction.await?.finish(statement, parameters).await;
        self.learn(&done);
        done
    }

    /// Whether the database can be read and, as far as is known, written.
    ///
    /// It costs a small read. After a fault it tries a real write, until one succeeds.
    ///
    /// # Errors
    /// What keeps the database from being read or written.
    pub async fn health(&self) -> Result<(), Error> {
        if self.inner.faulty.load(Ordering::Relaxed) {
            let written = self.probe().await;
            if written.is_ok() {
                self.inner.faulty.store(false, Ordering::Relaxed);
            }
            return written;
        }
        let rows = self
            .query(
                "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean",
                &[],
            )
            .await?;
        match rows.first().map(|row| row.try_get::<_, bool>(0)) {
            Some(Ok(false)) => Ok(()),
            _ => Err(Error::ReadOnly),
        }
    }

    /// A write that changes one row and nothing else.
    async fn probe(&self) -> Result<(), Error> {
        let transaction = self.begin(Durability::Durable).await?;
        transaction
            .execute("UPDATE probe SET written = written + 1", &[])
            .await?;
        transaction.commit().await
    }

    /// Closes the connections and refuses new work; what has a connection is finished. Also for every clone.
    pub async fn close(&self) {
        self.inner.pool.close();
        let deadline = self.deadline();
        while self.inner.pool.status().size > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for somebody who waits for the database: no longer than for an answer of its own.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    pub async fn wait_behind<Answer>(
        &self,
        others: impl Future<Output = Answer>,
    ) -> Result<Answer, Error> {
        let wait = self.wait()?;
        timeout_at(wait.until(), others)
            .await
            .map_err(|_| Error::TimedOut)
    }

    /// Begins to wait for the database, or for somebody who does.
    pub(crate) fn wait(&self) -> Result<Wait, Error> {
        Wait::begin(self.inner.options.patience)
    }

    /// When what is asked now has to be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.inner.options.patience
    }

    /// A connection that nobody else uses.
    async fn connection(&self, deadline: Instant) -> Result<Object, Error> {
        use deadpool_postgres::PoolError;
        if Instant::now() >= deadline {
            // A connection that is there would be thrown away for nothing.
            return Err(Error::TimedOut);
        }
        match timeout_at(deadline, self.inner.pool.get()).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(PoolError::Backend(error))) => Err(error.into()),
            Ok(Err(PoolError::Closed)) => Err(Error::Closed),
            Ok(Err(error)) => Err(Error::Unreachable(error.to_string().into())),
            // It cannot be reached, or whoever holds the connections waits for it too.
            Err(_) => Err(Error::TimedOut),
        }
    }

    /// Notes what a write says of the database as a whole.
    pub(crate) fn learn<Answer>(&self, done: &Result<Answer, Error>) {
        match done {
            Err(error) if error.is_fault() => self.inner.faulty.store(true, Ordering::Relaxed),
            Ok(_) if self.inner.faulty.load(Ordering::Relaxed) => {
                self.inner.faulty.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}
