//! Two nodes over one store, with everything between them in the hands of a test.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::account::AccountKey;
use crate::conformance::people::{House, MORNING, settings};
use crate::policy::{Policy, Settings};
use crate::session::SessionId;
use crate::sessions::Sessions;
use crate::store::{
    Authority, Change, End, Ended, Follower, Inserted, Lease, Opened, Record, Store, Term,
    Unavailable, Use,
};
use crate::time::Timestamp;
use crate::token::SecretHash;

/// A call of the store that a test can hold up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// [`Store::find`], when the store has answered and the node has not heard it yet.
    Found,
    /// [`Store::insert`], when the store has answered and the node has not heard it yet.
    Inserted,
    /// [`Store::walk`], when the store has answered and the node has not heard it yet.
    Walked,
    /// [`Store::touch`], before the store is asked.
    Touching,
    /// [`Store::expire`], before the store is asked.
    Expiring,
    /// [`Store::end`], when the store has answered and nobody has heard it yet.
    Ended,
}

/// How long a test waits for what must happen.
const IN_TIME: Duration = Duration::from_secs(60);

/// Holds up one call of one node.
#[derive(Debug)]
pub struct Gate {
    call: Call,
    reached: Notify,
    opened: Notify,
}

impl Gate {
    /// Waits until the node has come so far; it must, in time.
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(IN_TIME, self.reached.notified()).await;
        reached.expect("the node comes as far as that");
    }

    /// Lets it go on.
    pub fn open(&self) {
        self.opened.notify_one();
    }
}

/// The lease of one node: it begins and ends when a test says so.
#[derive(Debug, Default)]
struct HandLease {
    runs: AtomicBool,
    number: AtomicU64,
}

impl Lease for HandLease {
    fn term(&self) -> Option<Term> {
        self.runs
            .load(Ordering::SeqCst)
            .then(|| Term(self.number.load(Ordering::SeqCst)))
    }
}

/// What the nodes know of each other: as much as the store lets them.
#[derive(Default)]
struct Network {
    nodes: Mutex<Vec<Arc<Wire>>>,
}

/// The way from the store to one node.
#[derive(Default)]
struct Wire {
    lease: Arc<HandLease>,
    follower: Mutex<Option<Weak<dyn Follower>>>,
    /// It is told of nothing.
    cut: AtomicBool,
    /// It reaches no store.
    unreachable: AtomicBool,
    /// Its partition is written by others after each read of a session.
    restless: AtomicBool,
    gate: Mutex<Option<Arc<Gate>>>,
    reads: AtomicU64,
}

impl Wire {
    fn tell(&self, change: &Change) {
        let follower = self.follower.lock().as_ref().and_then(Weak::upgrade);
        if let Some(follower) = follower {
            follower.follow(change);
        }
    }
}

impl Network {
    /// What a store does before it answers a change: each node with a lease has followed it, or its lease
    /// is over. One without a lease is told of nothing.
    fn changed(&self, change: &Change) {
        let nodes = self.nodes.lock().clone();
        for wire in nodes.iter().filter(|wire| wire.lease.term().is_some()) {
            if wire.cut.load(Ordering::SeqCst) {
                wire.lease.runs.store(false, Ordering::SeqCst);
            } else {
                wire.tell(change);
            }
        }
    }
}

/// The store as one node has it.
pub struct NodeStore {
    store: Arc<dyn Store>,
    network: Arc<Network>,
    wire: Arc<Wire>,
    sole: bool,
}

impl NodeStore {
    /// The only one that writes the store; it needs no lease.
    pub fn sole(store: Arc<dyn Store>) -> Self {
        Self {
            sole: true,
            ..Self::join(store, &Arc::default())
        }
    }

    /// Whether it reaches the store.
    pub fn set_reachable(&self, reachable: bool) {
        self.wire.unreachable.store(!reachable, Ordering::SeqCst);
    }

    /// Holds up its next call of this kind.
    pub fn hold(&self, call: Call) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            call,
            reached: Notify::new(),
            opened: Notify::new(),
        });
        *self.wire.gate.lock() = Some(Arc::clone(&gate));
        gate
    }

    /// A node by itself over `store`, whose lease runs once it is opened, or never.
    pub fn alone(store: Arc<dyn Store>, leased: bool) -> Self {
        let node = Self::join(store, &Arc::default());
        node.wire.cut.store(!leased, Ordering::SeqCst);
        node
    }

    fn join(store: Arc<dyn Store>, network: &Arc<Network>) -> Self {
        let wire = Arc::new(Wire::default());
        network.nodes.lock().push(Arc::clone(&wire));
        Self {
            store,
            network: Arc::clone(network),
            wire,
            sole: false,
        }
    }

    fn reach(&self) -> Result<&dyn Store, Unavailable> {
        if self.wire.unreachable.load(Ordering::SeqCst) {
            return Err(Unavailable::because("the way to it is cut"));
        }
        Ok(&*self.store)
    }

    async fn pass(&self, call: Call) {
        let gate = self.wire.gate.lock().take_if(|gate| gate.call == call);
        if let Some(gate) = gate {
            gate.reached.notify_one();
            gate.opened.notified().await;
        }
    }

    fn changed(&self, ids: Vec<SessionId>) {
        if !ids.is_empty() {
            self.network.changed(&Change::Sessions(ids));
        }
    }

    /// Begins a term, unless the node cannot be told of changes.
    fn begin_term(&self, policies: &[Policy]) {
        if self.sole || self.wire.cut.load(Ordering::SeqCst) {
            return;
        }
        self.wire.tell(&Change::Policies(policies.to_vec()));
        self.wire.tell(&Change::Everything);
        self.wire.lease.number.fetch_add(1, Ordering::SeqCst);
        self.wire.lease.runs.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for NodeStore {
    async fn open(&self, policy: Option<&Policy>, now: Timestamp) -> Result<Opened, Unavailable> {
        let store = self.reach()?;
        let before = store.open(None, Timestamp::EPOCH).await?.policies;
        let opened = store.open(policy, now).await?;
        self.wire.lease.runs.store(false, Ordering::SeqCst);
        if before != opened.policies {
            self.network
                .changed(&Change::Policies(opened.policies.clone()));
        }
        Ok(opened)
    }

    fn authority(&self) -> Authority {
        if self.sole {
            return Authority::Sole;
        }
        Authority::Leased(Arc::clone(&self.wire.lease) as Arc<dyn Lease>)
    }

    fn set_follower(&self, follower: Weak<dyn Follower>) {
        *self.wire.follower.lock() = Some(follower);
        // Here nothing happens between an opening and this: there are no policies that it would not know.
        self.begin_term(&[]);
    }

    async fn policies(&self) -> Result<Vec<Policy>, Unavailable> {
        self.reach()?.policies().await
    }

    async fn insert(&self, record: Record, replaces: Option<End>) -> Result<Inserted, Unavailable> {
        let store = self.reach()?;
        let key = record.account.key.clone();
        let (name, replaced) = (
            Arc::clone(&record.account.name),
            replaces.as_ref().map(|end| end.id),
        );
        let renamed = store
            .name_of(&key)
            .await?
            .is_some_and(|known| known != name);
        let inserted = store.insert(record, replaces).await?;
        if inserted != Inserted::IdTaken {
            self.changed(replaced.into_iter().collect());
            if renamed {
                self.network
                    .changed(&Change::Partitions(vec![key.partition()]));
            }
        }
        self.pass(Call::Inserted).await;
        Ok(inserted)
    }

    async fn find(&self, id: SessionId) -> Result<Option<Record>, Unavailable> {
        self.wire.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.reach()?.find(id).await?;
        self.pass(Call::Found).await;
        if self.wire.restless.load(Ordering::SeqCst) {
            self.wire.tell(&Change::Partitions(vec![id.partition()]));
        }
        Ok(found)
    }

    async fn list(&self, account: &AccountKey) -> Result<Vec<Record>, Unavailable> {
        self.reach()?.list(account).await
    }

    async fn count(&self, account: &AccountKey) -> Result<usize, Unavailable> {
        self.reach()?.count(account).await
    }

    async fn name_of(&self, account: &AccountKey) -> Result<Option<Arc<str>>, Unavailable> {
        self.reach()?.name_of(account).await
    }

    async fn walk(
        &self,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Record>, Unavailable> {
        let walked = self.reach()?.walk(after, limit).await?;
        self.pass(Call::Walked).await;
        Ok(walked)
    }

    async fn touch(&self, uses: Vec<Use>, now: Timestamp) -> Result<(), Unavailable> {
        self.pass(Call::Touching).await;
        self.reach()?.touch(uses, now).await
    }

    async fn expire(
        &self,
        passed: Vec<(SessionId, Timestamp)>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Unavailable> {
        self.pass(Call::Expiring).await;
        let expired = self.reach()?.expire(passed, now).await?;
        self.changed(expired.clone());
        Ok(expired)
    }

    async fn end(&self, account: Option<AccountKey>, ends: Vec<End>) -> Result<Ended, Unavailable> {
        let ended = self.reach()?.end(account, ends).await?;
        self.pass(Call::Ended).await;
        if let Ended::Done(ids) = &ended {
            self.changed(ids.clone());
        }
        Ok(ended)
    }

    async fn settle_account(&self, account: &AccountKey) -> Result<(), Unavailable> {
        self.reach()?.settle_account(account).await?;
        let bits = account.partition();
        self.network.changed(&Change::Partitions(vec![bits]));
        Ok(())
    }

    async fn renew(
        &self,
        id: SessionId,
        hash: SecretHash,
        generation: u32,
    ) -> Result<bool, Unavailable> {
        let renewed = self.reach()?.renew(id, hash, generation).await?;
        self.changed(renewed.then_some(id).into_iter().collect());
        Ok(renewed)
    }

    async fn set_page_token(&self, id: SessionId, hash: SecretHash) -> Result<bool, Unavailable> {
        let given = self.reach()?.set_page_token(id, hash).await?;
        self.changed(given.then_some(id).into_iter().collect());
        Ok(given)
    }

    async fn purge(&self, ids: Vec<SessionId>) -> Result<u64, Unavailable> {
        self.reach()?.purge(ids).await
    }

    async fn check(&self) -> Result<(), Unavailable> {
        self.reach()?.check().await
    }
}

/// One node of two: sessions over the store, and a hand on its lease.
pub struct Node {
    /// Its sessions.
    pub house: House,
    node: Arc<NodeStore>,
}

impl Node {
    /// Its lease is lost.
    pub fn lose_lease(&self) {
        self.node.wire.lease.runs.store(false, Ordering::SeqCst);
    }

    /// Another term begins, after everything that there is to follow was followed.
    pub async fn begin_term(&self) {
        let policies = self.node.store.policies().await;
        self.node
            .begin_term(&policies.expect("the store is in order"));
    }

    /// Nobody can tell it of changes any more; its lease runs until somebody has to wait it out.
    pub fn cut_off(&self) {
        self.node.wire.cut.store(true, Ordering::SeqCst);
    }

    /// Whether it may answer from memory.
    pub fn has_lease(&self) -> bool {
        self.node.wire.lease.term().is_some()
    }

    /// It reaches no store.
    pub fn lose_store(&self) {
        self.node.set_reachable(false);
    }

    /// Others write its sessions' partition after each of its reads.
    pub fn set_restless(&self, restless: bool) {
        self.node.wire.restless.store(restless, Ordering::SeqCst);
    }

    /// Holds up its next call of this kind.
    pub fn hold(&self, call: Call) -> Arc<Gate> {
        self.node.hold(call)
    }

    /// How often it has read a session from the store.
    pub fn reads(&self) -> u64 {
        self.node.wire.reads.load(Ordering::SeqCst)
    }

    /// A restart under other settings; it has a lease again.
    pub async fn restart(&mut self, settings: Settings, now: Timestamp) {
        let store = Arc::clone(&self.node) as Arc<dyn Store>;
        let sessions = Sessions::open(store, settings, now).await;
        self.house.sessions = sessions.expect("the store is in order");
        self.begin_term().await;
    }
}

/// Two nodes over `store`, both with a lease.
pub async fn two_nodes(store: Arc<dyn Store>) -> (Node, Node) {
    two_nodes_with(store, settings()).await
}

/// The same under other settings.
pub async fn two_nodes_with(store: Arc<dyn Store>, settings: Settings) -> (Node, Node) {
    let network = Arc::default();
    let mut nodes = Vec::with_capacity(2);
    for number in 0..2_u64 {
        let node = Arc::new(NodeStore::join(Arc::clone(&store), &network));
        let house = House::open_with(Arc::clone(&node) as Arc<dyn Store>, settings, MORNING).await;
        // Each node draws numbers of its own.
        for _ in 0..number * 1_000 {
            house.dice.roll();
        }
        let node = Node { house, node };
        node.begin_term().await;
        nodes.push(node);
    }
    match <[Node; 2]>::try_from(nodes) {
        Ok([first, second]) => (first, second),
        Err(_) => unreachable!("two were pushed"),
    }
}
