//! Nodes, as the tests start them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lastseen::store::{Change, Follower, Lease};
use lastseen::{Entropy, SessionId};
use lastseen_postgres::testing::TestDatabase;
use lastseen_postgres::{
    Address, Database, Error, Length, NodeOptions, Nodes, Notify, Options, Parameter, PostgresStore,
};
use parking_lot::Mutex;
use tokio_postgres::types::Type;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers that are all different, as random ones are.
#[derive(Debug)]
struct Different;

impl Entropy for Different {
    fn fill(&self, bytes: &mut [u8]) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Odd numbers times an odd number: no two are alike.
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let next = next.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for (byte, from) in bytes.iter_mut().zip(next.to_le_bytes().iter().cycle()) {
            *byte = *from;
        }
    }
}

/// Memory that only notes what it is told.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    followed: Mutex<Vec<Change>>,
    /// The session whose change it cannot take.
    stumbles_over: Mutex<Option<SessionId>>,
}

impl Memory {
    /// From now on a change of this session is a mistake in the program.
    pub(crate) fn stumble_over(&self, id: SessionId) {
        *self.stumbles_over.lock() = Some(id);
    }
}

impl Follower for Memory {
    fn follow(&self, change: &Change) {
        if let (Change::Sessions(ids), Some(id)) = (change, *self.stumbles_over.lock()) {
            assert!(!ids.contains(&id), "the mistake that the test asks for");
        }
        self.followed.lock().push(change.clone());
    }
}

/// A running node.
pub(crate) struct Running {
    pub(crate) database: Database,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) lease: Arc<dyn Lease>,
    pub(crate) memory: Arc<Memory>,
}

/// What differs from test to test.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) lease: Duration,
    pub(crate) notify: Notify,
    pub(crate) registers: bool,
    /// Where the lease and what is heard come from.
    pub(crate) direct: Option<Address>,
    pub(crate) name: &'static str,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(1),
            notify: Notify::Listen,
            registers: true,
            direct: None,
            name: "node",
        }
    }
}

impl Running {
    /// Starts a process of this kind; a node holds a lease when this returns.
    pub(crate) async fn start(place: &TestDatabase<'_>, kind: Kind) -> Self {
        let running = Self::begin(place, kind.clone()).await;
        if kind.registers {
            running.until_leased().await;
        } else {
            running.nodes.ready().await;
        }
        running
    }

    /// Starts it without waiting for anything.
    pub(crate) async fn begin(place: &TestDatabase<'_>, kind: Kind) -> Self {
        let options = Options {
            connections: 3,
            direct: kind.direct,
            ..Options::new(place.address())
        };
        let database = Database::open(options, &[PostgresStore::MIGRATIONS])
            .await
            .expect("a new database can be opened");
        let options = NodeOptions {
            name: kind.name.into(),
            version: "1.2.3".into(),
            lease: Length::new(kind.lease).expect("leases may be as long"),
            registers: kind.registers,
            notify: kind.notify,
            entropy: Arc::new(Different),
        };
        let nodes = Nodes::start(&database, options).expect("there are threads");
        let memory = Arc::new(Memory::default());
        let follower: Arc<dyn Follower> = Arc::clone(&memory) as _;
        nodes.set_follower(Arc::downgrade(&follower));
        Self {
            database,
            lease: nodes.lease(),
            nodes,
            memory,
        }
    }

    pub(crate) async fn until_leased(&self) {
        until("a lease runs", || self.lease.term().is_some()).await;
    }

    /// Ends the session with this id, as far as nodes can tell: the change is noted and confirmed.
    pub(crate) async fn end(&self, id: SessionId) -> Result<Duration, Error> {
        let begun = tokio::time::Instant::now();
        let ids = vec![uuid(id)];
        let ids = &ids;
        self.database
            .change(|transaction| async move {
                let ids: Parameter<'_> = (ids, Type::TEXT_ARRAY);
                transaction
                    .execute("SELECT note_change('sessions', $1::text[]::uuid[])", &[ids])
                    .await
            })
            .await?;
        Ok(begun.elapsed())
    }

    /// Whether memory was told that this session has changed.
    pub(crate) fn knows_of(&self, id: SessionId) -> bool {
        let followed = self.memory.followed.lock();
        followed.iter().any(|change| match change {
            Change::Sessions(ids) => ids.contains(&id),
            _ => false,
        })
    }

    /// How often memory was told to forget everything.
    pub(crate) fn forgotten(&self) -> usize {
        let followed = self.memory.followed.lock();
        followed
            .iter()
            .filter(|change| **change == Change::Everything)
            .count()
    }

    pub(crate) fn policies(&self) -> Option<usize> {
        let followed = self.memory.followed.lock();
        followed.iter().rev().find_map(|change| match change {
            Change::Policies(policies) => Some(policies.len()),
            _ => None,
        })
    }
}

/// An id that is no other test's.
pub(crate) fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

/// The session's id as PostgreSQL writes it.
pub(crate) fn uuid(id: SessionId) -> String {
    let digits = id.as_bytes().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "it never came about that {what}");
}
