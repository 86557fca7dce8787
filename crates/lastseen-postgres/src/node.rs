//! What makes a process a node: one that answers from memory, beside others that do so too.
//!
//! # Map
//! | file | what lives there |
//! | --- | --- |
//! | `node/protocol.rs` | the rules: when a lease runs, when a change is answered; checked in `protocol/model.rs` |
//! | `node/driver.rs`, `node/driver/` | what does as the rules say: joining, following, waiting for others |
//! | `node/thread.rs` | the thread that it runs on, also after a mistake |
//! | `node/notification.rs` | how nodes hear of each other: [`Notify`] |
//! | `node/lease.rs`, `node/clock.rs` | the lease, where every validation sees it, and the clock that it goes by |
//! | `node/message.rs`, `node/snapshot.rs`, `node/statements.rs` | what is said, seen and asked |
//! | `node/facts.rs`, `node/figures.rs` | for whoever operates it |
//!
//! Why it is right: `docs/decisions/leases.md`.

mod clock;
mod driver;
mod facts;
mod figures;
mod lease;
mod message;
mod notification;
mod protocol;
mod snapshot;
mod statements;
mod thread;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use lastseen::store::{Change, Follower, Lease};
use lastseen::{Entropy, SessionId};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub use self::facts::Facts;
pub use self::figures::{Figures, Histogram};
pub use self::protocol::Length;

use self::figures::Counters;
use self::lease::Shown;
pub(crate) use self::message::CHANGES;
use self::message::Noted;
use self::notification::{Listen, Notification, Poll};
use self::protocol::{Moment, NodeId};
use crate::confirm::{Committed, Confirm, Xid};
use crate::database::Database;
use crate::error::Error;
use crate::migration::{Migration, MigrationSet};

/// The tables that nodes need; every database has them.
pub(crate) const MIGRATIONS: MigrationSet = MigrationSet {
    name: "nodes",
    migrations: &[Migration {
        name: "nodes",
        sql: include_str!("migrations/nodes/0001_nodes.sql"),
        only_adds: true,
    }],
};

/// How nodes hear of each other's changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Notify {
    /// By `LISTEN` and `NOTIFY`: within a millisecond.
    #[default]
    Listen,
    /// Not at all, for engines that know neither: each change waits for the next renewal of every node, a tenth of a
    /// lease apart.
    Poll,
}

/// What kind of process it is, beside others.
#[derive(Clone)]
pub struct NodeOptions {
    /// What people call it: a host's name, say.
    pub name: String,
    /// Of which version it is.
    pub version: String,
    /// How long its leases are: for as long a termination waits for it when it is dead.
    pub lease: Length,
    /// Whether it ever answers from memory. A command does not: it only waits for those who do.
    pub registers: bool,
    /// How it hears of others.
    pub notify: Notify,
    /// Whence its name among nodes comes, and the moments at which it tries again.
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NodeOptions")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("lease", &self.lease)
            .field("registers", &self.registers)
            .field("notify", &self.notify)
            .finish_non_exhaustive()
    }
}

/// This process among the nodes of its database.
///
/// It holds a thread with two connections of its own. The thread renews the lease, tells memory what others have
/// changed, and waits for the others where this process has changed something. Both end when the last handle is
/// dropped.
#[derive(Debug)]
pub struct Nodes {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

/// What the thread and everybody else know.
struct Shared {
    id: NodeId,
    /// The same as text: the name under which acknowledgements come.
    origin: Arc<str>,
    name: String,
    version: String,
    length: Length,
    registers: bool,
    patience: Duration,
    notification: Box<dyn Notification>,
    entropy: Arc<dyn Entropy>,
    lease: Arc<Shown>,
    counters: Counters,
    follower: RwLock<Option<Weak<dyn Follower>>>,
    /// How many there were, counted after each was named.
    followers: AtomicU64,
    others: RwLock<HashMap<String, Vec<Hook>>>,
    connected: watch::Sender<bool>,
}

type Hook = Box<dyn Fn() + Send + Sync>;
type Reply = oneshot::Sender<Result<(), Error>>;

/// What the thread is told.
enum Command {
    /// There is somebody else to be told of changes: the one of this number.
    Follow(u64),
    Confirm(Confirming),
    Leave(oneshot::Sender<()>),
}

/// A change that was committed and is to be confirmed.
struct Confirming {
    xid: Xid,
    committed: Moment,
    /// What changed, where that is known: it is followed here before anybody tells of it.
    noted: Option<Noted>,
    /// How long it may be unknown for whom to wait.
    patience: Duration,
    reply: Reply,
}

/// The notification that sessions have changed, as the trigger writes it.
pub(crate) fn message_of_sessions(xid: Xid, origin: Option<&str>, ids: &[SessionId]) -> String {
    Noted::sessions(xid, origin, ids).to_text()
}

impl Nodes {
    /// Makes this process one of the nodes of `database`, or one that waits for them, and has it confirm the changes
    /// that are made through it. Once for a database, before the first change.
    ///
    /// A lease is asked for as soon as somebody follows changes ([`Nodes::set_follower`]).
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub fn start(database: &Database, options: NodeOptions) -> std::io::Result<Arc<Self>> {
        let mut id = [0; 16];
        options.entropy.fill(&mut id);
        let id = NodeId(u128::from_be_bytes(id));
        let reached = database.options();
        let direct = reached.direct.as_ref().unwrap_or(&reached.address).clone();
        let notification: Box<dyn Notification> = match options.notify {
            Notify::Listen => Box::new(Listen(direct)),
            Notify::Poll => Box::new(Poll(direct)),
        };
        let shared = Arc::new(Shared {
            id,
            origin: format!("{:032x}", id.0).into(),
            name: options.name,
            version: options.version,
            length: options.lease,
            registers: options.registers,
            patience: reached.patience,
            notification,
            entropy: options.entropy,
            lease: Arc::default(),
            counters: Counters::default(),
            follower: RwLock::default(),
            followers: AtomicU64::new(0),
            others: RwLock::default(),
            connected: watch::Sender::new(false),
        });
        let (commands, received) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("lastseen-node".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || thread::run(&runtime, &shared, received)
            })?;
        let nodes = Arc::new(Self { shared, commands });
        database.set_confirm(Arc::clone(&nodes) as Arc<dyn Confirm>);
        Ok(nodes)
    }

    /// This process's right to answer from memory.
    pub fn lease(&self) -> Arc<dyn Lease> {
        Arc::clone(&self.shared.lease) as Arc<dyn Lease>
    }

    /// Names the one that is told of changes to sessions; a lease that runs for another one ends.
    pub fn set_follower(&self, follower: Weak<dyn Follower>) {
        *self.shared.follower.write() = Some(follower);
        let number = self.shared.followers.fetch_add(1, Ordering::AcqRel) + 1;
        self.tell(Command::Follow(number));
    }

    /// Has `forget` called for every change that is noted as being of `kind` (`SELECT note_change('applications')`),
    /// and whenever nobody knows what was missed. It is called from the thread that renews the lease, before the
    /// change is answered to whoever made it: it has to be quick, and must not wait.
    pub fn follow_kind(&self, kind: &str, forget: impl Fn() + Send + Sync + 'static) {
        let mut others = self.shared.others.write();
        others
            .entry(kind.to_owned())
            .or_default()
            .push(Box::new(forget));
    }

    /// Waits until acknowledgements can be heard, for at most as long as the database is waited for. For a command that
    /// is about to change something: without it the change waits for the nodes' next renewals.
    pub async fn ready(&self) {
        let mut connected = self.shared.connected.subscribe();
        // Where it takes longer, or the thread is gone, what comes next will tell.
        let _ = timeout(
            self.shared.patience,
            connected.wait_for(|connected| *connected),
        )
        .await;
    }

    /// Ends the lease and the registration: nobody waits for this node any more. It goes on confirming changes.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        self.tell(Command::Leave(done));
        // A thread that is gone has left.
        let _ = left.await;
    }

    /// The node's name among nodes, as `lastseen nodes` shows it.
    pub fn id(&self) -> &str {
        &self.shared.origin
    }

    /// What was counted since the start.
    pub fn figures(&self) -> Figures {
        let now = clock::now();
        let running = self.shared.lease.running();
        let left = running.map_or(Duration::ZERO, |running| running.until.since(now));
        Figures {
            leased: left > Duration::ZERO,
            lease_left: left,
            ..self.shared.counters.figures()
        }
    }

    fn tell(&self, command: Command) {
        // A thread that is gone answers nobody; those who wait for it learn that by their channels.
        let _ = self.commands.send(command);
    }
}

#[async_trait]
impl Confirm for Nodes {
    fn origin(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.shared.origin))
    }

    async fn confirm(&self, committed: Committed) -> Result<(), Error> {
        let now = clock::now();
        let (reply, confirmed) = oneshot::channel();
        let Committed {
            xid,
            sessions,
            patience,
        } = committed;
        let noted = (!sessions.is_empty())
            .then(|| Noted::sessions(xid, Some(&self.shared.origin), &sessions));
        self.tell(Command::Confirm(Confirming {
            xid,
            committed: now,
            noted,
            patience,
            reply,
        }));
        confirmed.await.unwrap_or(Err(Error::Closed))
    }
}

impl Shared {
    /// Whether there is anybody to be told of changes.
    fn is_followed(&self) -> bool {
        self.follower.read().is_some()
    }

    /// Tells memory of a change; when this returns, memory has followed it.
    fn follow(&self, change: &Change) {
        let follower = self.follower.read().as_ref().and_then(Weak::upgrade);
        if let Some(follower) = follower {
            follower.follow(change);
        }
    }

    /// Has other parts of the program follow a change of this kind.
    fn tell_others(&self, kind: &str) {
        if let Some(hooks) = self.others.read().get(kind) {
            for forget in hooks {
                forget();
            }
        }
    }

    /// Nobody knows what was missed.
    fn forget_everything(&self) {
        self.follow(&Change::Everything);
        for forget in self.others.read().values().flatten() {
            forget();
        }
    }

    /// A duration between nothing and `most`, drawn.
    fn draw(&self, most: Duration) -> Duration {
        let mut drawn = [0; 4];
        self.entropy.fill(&mut drawn);
        most.mul_f64(f64::from(u32::from_be_bytes(drawn)) / f64::from(u32::MAX))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("origin", &self.origin)
            .field("name", &self.name)
            .field("notification", &self.notification)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
