//! The thread that holds the lease: it feeds the protocol with what happens, and does what the protocol says.
//!
//! It has a runtime and connections of its own, so that neither a starved pool nor a busy program delays a renewal.
//! One task does everything here; only what waits for the database flies beside it, and comes back as an [`Event`].

mod follow;
mod join;
mod terminate;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lastseen::Policy;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use self::join::Joined;
use self::terminate::{Early, Waiting};
use super::clock;
use super::figures::add;
use super::message::Noted;
use super::notification::{Ear, Heard, Line};
use super::protocol::{Brought, Eviction, Moment, Node, Takeover};
use super::snapshot::Snapshot;
use super::{Command, Shared, statements};
use crate::confirm::Xid;
use crate::error::Error;
use crate::store::Bytes16;

/// Renewals are sent so many times in a lease: one may be lost and another slow before a lease runs out.
const RENEWALS_IN_A_LEASE: u32 = 3;
/// Where nothing is heard, changes are found by renewals alone, and each of them waits for the next renewal: a
/// statement every hundred milliseconds is little.
const RENEWALS_IN_A_LEASE_WHEN_DEAF: u32 = 10;
/// Whoever waits reads the nodes again so many times in a lease: rows tell of acknowledgements that were not heard, and
/// of nodes that have left.
const READINGS_IN_A_LEASE: u32 = 20;
/// The same where nothing is ever heard: then all waiting ends by reading.
const READING_WHEN_DEAF: Duration = Duration::from_millis(5);
/// A connection is tried again after a moment that is drawn between half of this and one and a half, so that the nodes
/// of a database that comes back do not all come at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// After each failure the pause is twice as long, up to this: a database that is back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often the log is pruned. What is pruned late costs room, nothing else.
const PRUNING: Duration = Duration::from_secs(5);
/// A node that was silent for so many leases is gone, and holds the log up: it is evicted also where no termination
/// waits for it. So many, because here nobody is in a hurry.
const LEASES_OF_SILENCE: u32 = 10;
/// How long deleting the registration may take at the end. Where it fails, somebody waits one lease for nothing.
const LEAVING: Duration = Duration::from_millis(500);
/// When nothing else is due.
const IDLE: Duration = Duration::from_secs(1);

/// What came back.
enum Event {
    Joined(Result<Joined, Error>),
    Opened(Result<Option<Ear>, Error>),
    Renewed(Result<Vec<Row>, Error>),
    Policies(Why, Result<Vec<Policy>, Error>),
    NodesRead {
        asked: Moment,
        by_ear: bool,
        rows: Result<Vec<Row>, Error>,
    },
    Acknowledged {
        by_ear: bool,
        sent: Result<(), Error>,
    },
    Evicted,
    Done,
}

/// Why the policies were read.
enum Why {
    /// A renewal brought changes of them, and counts once they are applied.
    Brought(Brought<Snapshot>, Vec<Noted>),
    /// Somebody noted a change of them, and may want to hear that it was applied.
    Noted(Noted),
}

type Flights = FuturesUnordered<LocalBoxFuture<'static, (u64, Event)>>;

/// All that the thread knows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says that one thing is under way, whatever the others are"
)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    flights: Flights,
    /// Counts the losses: what came back from before one is not for now.
    generation: u64,
    node: Node<Snapshot>,
    /// Whether this process is to be a node at all.
    registers: bool,
    line: Option<Line>,
    ear: Option<Ear>,
    joining: bool,
    /// For which follower.
    joined_for: u64,
    opening: bool,
    /// When a connection is tried again, and how long the pause after the next failure is.
    retry_at: Moment,
    pause: Duration,
    /// When the renewal under way was sent.
    renewing: Option<Moment>,
    /// Whether what a renewal brought is being applied.
    applying: bool,
    renew_at: Moment,
    /// Acknowledgements to be sent: for whom, of which changes.
    owed: BTreeMap<String, Vec<Xid>>,
    sending: bool,
    /// Whether anything was acknowledged since the last renewal.
    acknowledged: bool,
    /// Changes that were heard and did not come with a renewal yet.
    heard: HashSet<u64>,
    /// Changes that came with a renewal and were not heard yet.
    unheard: HashSet<u64>,
    /// Changes of this process that were applied when they were committed, and are still to be heard.
    own: HashSet<u64>,
    waiting: HashMap<Xid, Waiting>,
    /// What was acknowledged before anybody waited for it: a notification may be faster than the answer to a commit.
    early: HashMap<Xid, Early>,
    reading: bool,
    /// When the nodes are read the next time, while somebody waits.
    read_at: Moment,
    prune_at: Moment,
    /// Nodes as they were seen first with this number of renewals.
    silent: HashMap<Eviction, Moment>,
    takeover: Takeover,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self {
            node: Node::new(shared.length),
            registers: shared.registers,
            shared,
            commands,
            flights: FuturesUnordered::new(),
            generation: 0,
            line: None,
            ear: None,
            joining: false,
            joined_for: 0,
            opening: false,
            retry_at: Moment::default(),
            pause: FIRST_PAUSE,
            renewing: None,
            applying: false,
            renew_at: Moment::default(),
            owed: BTreeMap::new(),
            sending: false,
            acknowledged: false,
            heard: HashSet::new(),
            unheard: HashSet::new(),
            own: HashSet::new(),
            waiting: HashMap::new(),
            early: HashMap::new(),
            reading: false,
            read_at: Moment::default(),
            prune_at: Moment::default(),
            silent: HashMap::new(),
            takeover: Takeover::default(),
        }
    }

    /// One that knows nothing of what this one knew, but who it is.
    pub(super) fn begun_anew(self) -> Self {
        let mut node = self.node;
        node.lost();
        Self {
            node,
            registers: self.registers,
            ..Self::new(self.shared, self.commands)
        }
    }

    /// Runs until nobody can say anything to it any more.
    pub(super) async fn run(&mut self) {
        loop {
            self.act();
            let wake = sleep(self.until_something_is_due());
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                Some((generation, event)) = self.flights.next(), if !self.flights.is_empty() => {
                    self.came_back(generation, event);
                }
                heard = hear(&mut self.ear) => self.heard(heard),
                () = wake => {}
            }
            // What is there already is taken together: one reading answers all of it, one message says all of it.
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command).await;
            }
            while let Some(Ok(heard)) = self.ear.as_mut().map(|ear| ear.heard.try_recv()) {
                self.heard(Some(heard));
            }
        }
        self.leave().await;
    }

    /// Begins whatever is due.
    fn act(&mut self) {
        let now = clock::now();
        self.connect_where_due(now);
        self.renew_where_due(now);
        self.acknowledge_where_due();
        self.prune_where_due(now);
        self.wait_for_nodes(now);
        self.shared.lease.show(self.node.lease());
    }

    fn until_something_is_due(&self) -> Duration {
        let now = clock::now();
        let mut next = now.after(IDLE);
        if (self.wants_to_join() && !self.joining) || (self.wants_to_hear() && !self.opening) {
            next = next.min(self.retry_at);
        }
        if let Some(asked) = self.renewing {
            next = next.min(asked.after(self.shared.length.duration()));
        } else if self.node.epoch().is_some() && !self.applying {
            next = next.min(self.renew_at);
        }
        if let Some(at) = self.next_of_waiting() {
            next = next.min(at);
        }
        next.since(now)
    }

    async fn obey(&mut self, command: Command) {
        match command {
            // What was begun since then was begun for this one.
            Command::Follow(number) if self.joined_for >= number => {}
            Command::Follow(_) => {
                if self.node.epoch().is_some() {
                    // Whoever followed before knows nothing of what this one is told from here on.
                    self.fall("memory has another owner");
                } else {
                    // A connection that is there, or on its way, is not registered.
                    self.disconnect();
                }
                self.retry_at = Moment::default();
            }
            Command::Confirm(confirm) => self.begin_to_wait(confirm),
            Command::Leave(done) => {
                self.registers = false;
                self.leave().await;
                // Where nobody waits for it, it is done all the same.
                let _ = done.send(());
            }
        }
    }

    /// The registration goes, after the lease and what was remembered.
    async fn leave(&mut self) {
        if self.node.epoch().is_none() {
            return;
        }
        let client = self.speaker().map(|(client, _)| client);
        self.forget();
        if let Some(client) = client {
            let id = Bytes16(self.shared.id.0.to_be_bytes());
            let parameters: [crate::Parameter<'_>; 1] = [(&id, Type::UUID)];
            let leaving = client.execute_typed(statements::LEAVE, &parameters);
            // Where it fails, the next termination waits for this node's lease.
            let _ = timeout(LEAVING, leaving).await;
        }
        self.disconnect();
    }

    fn came_back(&mut self, generation: u64, event: Event) {
        if generation != self.generation {
            return;
        }
        match event {
            Event::Joined(joined) => self.joined(joined),
            Event::Opened(opened) => self.opened(opened),
            Event::Renewed(rows) => self.renewed(rows),
            Event::Policies(why, policies) => self.policies_read(why, policies),
            Event::NodesRead {
                asked,
                by_ear,
                rows,
            } => self.nodes_read(asked, by_ear, rows),
            Event::Acknowledged { by_ear, sent } => {
                self.sending = false;
                self.spoken(by_ear, sent.as_ref().err());
            }
            Event::Evicted => self.read_at = Moment::default(),
            Event::Done => {}
        }
    }

    /// A statement on a connection has failed, or not: one that the server has refused says nothing of the connection.
    fn spoken(&mut self, by_ear: bool, failed: Option<&Error>) {
        match failed {
            None | Some(Error::Refused { .. }) => {}
            Some(error) if by_ear => self.deafened(error),
            Some(error) => self.fall(error),
        }
    }

    /// A connection for what is not a renewal, and whether it is the ear's.
    fn speaker(&self) -> Option<(Arc<Client>, bool)> {
        match (&self.ear, &self.line) {
            (Some(ear), _) => Some((Arc::clone(&ear.line.client), true)),
            (None, Some(line)) => Some((Arc::clone(&line.client), false)),
            (None, None) => None,
        }
    }

    /// Lets `work` fly. What it brings counts only until the next loss.
    fn fly(&self, work: impl Future<Output = Event> + 'static) {
        let generation = self.generation;
        self.flights
            .push(Box::pin(async move { (generation, work.await) }));
    }

    /// The connection or the registration is lost: lease and memory go first, then everything is tried anew.
    fn fall(&mut self, why: impl std::fmt::Display) {
        if self.node.epoch().is_some() {
            tracing::warn!(reason = %why, "the lease is lost; sessions are read from the database until there is another");
        }
        self.forget();
        self.disconnect();
        self.pause_before_retry();
    }

    /// The connections go; what comes back of them is not for now.
    fn disconnect(&mut self) {
        self.line = None;
        self.ear = None;
        self.generation += 1;
        self.joining = false;
        self.opening = false;
        self.sending = false;
        self.reading = false;
    }

    /// The lease ends, and then memory forgets.
    fn forget(&mut self) {
        self.node.lost();
        self.shared.lease.show(None);
        self.shared.forget_everything();
        self.renewing = None;
        self.applying = false;
        self.owed.clear();
        self.heard.clear();
        self.unheard.clear();
        self.own.clear();
    }

    /// Puts the next try off, for longer each time.
    fn pause_before_retry(&mut self) {
        let half = self.pause / 2;
        let drawn = self.shared.draw(self.pause);
        self.retry_at = clock::now().after(half + drawn);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn prune_where_due(&mut self, now: Moment) {
        if self.node.epoch().is_none() || now < self.prune_at {
            return;
        }
        self.prune_at = now.after(PRUNING / 2 + self.shared.draw(PRUNING));
        let Some((client, _)) = self.speaker() else {
            return;
        };
        // The nodes are looked through too: who is gone must not hold the log up.
        self.read_at = Moment::default();
        let patience = self.patience();
        self.fly(async move {
            // A failure that says something of the connection is seen by the next renewal.
            let _ = timeout(patience, client.execute_typed(statements::PRUNE, &[])).await;
            Event::Done
        });
    }

    /// How long a statement on the ear's connection may take: a lease is lost if it is the other one's.
    fn patience(&self) -> Duration {
        self.shared.length.duration()
    }
}

/// What the ear hears next; `None` when it has gone deaf. Waits where there is none.
async fn hear(ear: &mut Option<Ear>) -> Option<Heard> {
    match ear {
        Some(ear) => ear.heard.recv().await,
        None => std::future::pending().await,
    }
}

/// What is counted for whoever watches.
impl Shared {
    fn count_term(&self) {
        add(&self.counters.terms, 1);
    }

    fn set_waiting(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.counters.waiting.store(count, Ordering::Relaxed);
    }
}
