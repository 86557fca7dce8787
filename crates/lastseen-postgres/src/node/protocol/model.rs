//! Nodes, a database and those who end sessions, in every order in which their steps can happen.
//!
//! The decisions are those of `protocol.rs` itself; the model is everything around them: the database, the memory of
//! a node, messages and time. A message that is lost is one that is never delivered, one that is late is delivered
//! late, and a node that is stopped takes no step: no action is needed for these, any step may come as late as there
//! is time. Each session is ended by a terminator of its own, in a transaction that has the session's number.
//!
//! A rule is worth something if the promise breaks without it: [`Broken`] names what can be left out.

mod checks;
mod steps;

use std::collections::BTreeSet;
use std::time::Duration;

use stateright::{Model, Property};

use super::{Confirmation, Epoch, Length, Moment, Node, NodeId, Takeover, Term};

/// Transactions that are visible, a bit each: what the database calls a snapshot.
type Seen = u8;

/// The length of a lease. So short that a margin of it is nothing: clocks run alike here, and every instant counts.
/// What the margin is for is in `tests.rs`.
const LENGTH: Duration = Duration::from_nanos(2);

/// A rule that is left out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Broken {
    Nothing,
    /// Rule 1: the lease is counted from the answer to a renewal.
    LeaseFromAnswer,
    /// Rule 2: a renewal counts although what it brought was not applied.
    RenewedWithoutApplying,
    /// Rule 3: changes are followed by their numbers, not by what is visible.
    FollowedByNumber,
    /// Rule 4: a fill counts also where its term is over.
    FilledFromAnotherTerm,
    /// Rule 4: a fill counts also where its session was changed since.
    FilledAfterChange,
    /// Rule 5: the nodes are read before the commit.
    NodesReadBeforeCommit,
    /// Rule 7: what was remembered outlives the connection.
    RememberedAfterLoss,
    /// Rule 8: a commit without a notification is answered at once.
    SilentCommitAnswered,
    /// Rule 10: a new primary is trusted to know every node.
    NewPrimaryTrusted,
    /// A node acknowledges before it applies.
    AcknowledgedFirst,
    /// A node is evicted a lease after the commit, not a lease after it was read.
    EvictedByCommit,
    /// A node is evicted although it was renewed since it was read.
    EvictedAlive,
    /// A node is evicted as soon as somebody has waited for it at all.
    EvictedAtOnce,
    /// The log is pruned of what any node has applied, not of what all have.
    PrunedEarly,
}

/// What a node may still do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Can {
    /// Whether it is registered, holds a lease and remembers all sessions when time begins.
    run: bool,
    /// Renewals beyond that of the beginning.
    renew: u8,
    /// Registrations beyond that of the beginning.
    register: u8,
    /// Reads into memory.
    fill: u8,
    /// Connections that are lost.
    lose: u8,
}

/// How much can happen.
#[derive(Clone, Debug)]
struct Scope {
    broken: Broken,
    /// The nodes, and what each of them may do.
    nodes: Vec<Can>,
    /// The sessions; each is ended by somebody else.
    sessions: usize,
    /// Instants there are.
    time: u64,
    /// Whether terminators read the nodes in the instant of their commit.
    prompt: bool,
    /// Whether acknowledgements arrive in the instant in which they are sent.
    near: bool,
    /// Commits without a notification.
    silent: u8,
    /// Failovers to a primary that has not heard of every node.
    failovers: u8,
    /// Times that the log is pruned.
    prunings: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    now: Moment,
    database: Database,
    nodes: Vec<Remembering>,
    terminators: Vec<Terminator>,
    /// What those who read the nodes know of a primary that took over.
    takeover: Takeover,
    /// Acknowledgements on their way: who, of which registration, of which change.
    acknowledgements: BTreeSet<(usize, Epoch, usize)>,
    left: Left,
}

/// What may still happen.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Left {
    silent: u8,
    failovers: u8,
    prunings: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Database {
    committed: Seen,
    /// The log: changes that can still be found.
    logged: Seen,
    rows: Vec<Option<Registered>>,
    primary: u8,
    /// The primary that is known to be settled.
    settled: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Registered {
    epoch: Epoch,
    /// The primary that it registered with.
    primary: u8,
    renewals: u64,
    applied: Seen,
}

/// A node with its memory.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Remembering {
    node: Node<Seen>,
    can: Can,
    /// Sessions that memory accepts.
    remembered: Seen,
    fill: Option<Fill>,
    renewal: Option<Sent>,
    /// Notifications on their way.
    notified: Seen,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Fill {
    session: usize,
    term: Option<Term>,
    /// Whether the session was changed since.
    changed: bool,
}

/// A renewal on its way.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Sent {
    epoch: Epoch,
    applied: Seen,
    answer: Answer,
}

/// What the database says to a renewal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Answer {
    NotYet,
    /// There is no such registration.
    Lost,
    Renewed {
        seen: Seen,
        /// What of it is new.
        changes: Seen,
    },
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Terminator {
    /// The session is there; its transaction may have its number already.
    Idle,
    Waiting {
        confirmation: Confirmation,
        silent: bool,
    },
    /// Answered; the rest of its work goes on.
    Answered { confirmation: Confirmation },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Tick,
    Commit(usize),
    CommitSilently(usize),
    ReadNodes(usize),
    Acknowledged(usize, usize),
    Evict(usize, usize),
    Settle,
    Register(usize),
    Renew(usize),
    RenewalReaches(usize),
    RenewalAnswered(usize),
    Notified(usize, usize),
    Lose(usize),
    Read(usize, usize),
    Fill(usize),
    Prune,
    /// Another primary takes over, which has heard of every node, or of none.
    FailOver(bool),
}

fn bit(session: usize) -> Seen {
    1 << session
}

fn id_of(node: usize) -> NodeId {
    NodeId(node as u128)
}

impl Database {
    /// The largest number that is visible and all below it: what one believes who follows numbers.
    fn up_to_largest(seen: Seen) -> Seen {
        match seen {
            0 => 0,
            seen => Seen::MAX >> seen.leading_zeros(),
        }
    }
}

impl World {
    /// What makes no difference any more makes no other world.
    fn forget_what_changes_nothing(&mut self) {
        let terminators = &self.terminators;
        self.acknowledgements
            .retain(|(node, _, change)| match &terminators[*change] {
                Terminator::Waiting { confirmation, .. } => confirmation
                    .awaited
                    .as_ref()
                    .is_none_or(|awaited| awaited.contains_key(&id_of(*node))),
                Terminator::Idle | Terminator::Answered { .. } => false,
            });
        let now = self.now;
        for remembering in &mut self.nodes {
            // Over is over, however long ago.
            if let Some(registration) = &mut remembering.node.registration
                && let Some(until) = &mut registration.until
                && *until <= now
            {
                *until = Moment(0);
            }
        }
    }
}

impl Remembering {
    fn accepts(&self, session: usize, now: Moment) -> bool {
        let runs = self.node.lease().is_some_and(|lease| lease.runs_at(now));
        runs && self.remembered & bit(session) != 0
    }

    fn apply(&mut self, changes: Seen) {
        self.remembered &= !changes;
        if let Some(fill) = &mut self.fill
            && changes & bit(fill.session) != 0
        {
            fill.changed = true;
        }
    }

    fn forget(&mut self) {
        self.apply(Seen::MAX);
    }

    fn term(&self, now: Moment) -> Option<Term> {
        let lease = self.node.lease()?;
        lease.runs_at(now).then_some(lease.term)
    }
}

impl Model for Scope {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let all = bit(self.sessions) - 1;
        let mut world = World {
            now: Moment(0),
            database: Database {
                committed: 0,
                logged: 0,
                rows: vec![None; self.nodes.len()],
                primary: 0,
                settled: 0,
            },
            nodes: Vec::new(),
            terminators: vec![Terminator::Idle; self.sessions],
            takeover: Takeover::default(),
            acknowledgements: BTreeSet::new(),
            left: Left {
                silent: self.silent,
                failovers: self.failovers,
                prunings: self.prunings,
            },
        };
        for (node, &can) in self.nodes.iter().enumerate() {
            let mut remembering = Remembering {
                node: Node::new(Length(LENGTH)),
                can,
                remembered: 0,
                fill: None,
                renewal: None,
                notified: 0,
            };
            if can.run {
                remembering.node.registered(Epoch(1), 0);
                remembering.node.heard_itself();
                remembering.node.renew(world.now);
                let brought = remembering.node.renewed(0);
                assert!(
                    brought.is_some_and(|brought| remembering.node.applied(brought, world.now))
                );
                remembering.remembered = all;
                world.database.rows[node] = Some(Registered {
                    epoch: Epoch(1),
                    primary: 0,
                    renewals: 1,
                    applied: 0,
                });
            }
            world.nodes.push(remembering);
        }
        vec![world]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.now < Moment(self.time) {
            steps.push(Step::Tick);
        }
        for change in 0..self.sessions {
            self.steps_of_terminator(world, change, steps);
        }
        for &(node, _, change) in &world.acknowledgements {
            steps.push(Step::Acknowledged(node, change));
        }
        for node in 0..self.nodes.len() {
            self.steps_of_node(world, node, steps);
        }
        if world.left.prunings > 0 {
            steps.push(Step::Prune);
        }
        if world.takeover.settled(world.now).is_some() {
            steps.push(Step::Settle);
        }
        if world.left.failovers > 0 {
            steps.extend([Step::FailOver(true), Step::FailOver(false)]);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, step)?;
        self.answer(&mut next);
        next.forget_what_changes_nothing();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(PROMISE, |scope: &Self, world: &World| {
                (0..scope.sessions).all(|session| {
                    !matches!(world.terminators[session], Terminator::Answered { .. })
                        || !world
                            .nodes
                            .iter()
                            .any(|node| node.accepts(session, world.now))
                })
            }),
            Property::always(
                "each can be answered, whatever the nodes do",
                |scope: &Self, world: &World| {
                    (0..scope.sessions).all(|change| scope.answerable(world, change))
                },
            ),
            // That the promise is not kept by doing nothing.
            Property::sometimes(
                "answered while every node holds a lease",
                |_: &Self, world: &World| {
                    let answered =
                        |terminator: &Terminator| matches!(terminator, Terminator::Answered { .. });
                    let runs = |node: &Remembering| node.term(world.now).is_some();
                    world.terminators.iter().all(answered) && world.nodes.iter().all(runs)
                },
            ),
            Property::sometimes(
                "answered after a node was waited out",
                |_: &Self, world: &World| {
                    world.terminators.iter().any(|terminator| {
                    matches!(terminator, Terminator::Answered { confirmation, .. } if confirmation.awaited().next().is_some())
                })
                },
            ),
        ]
    }
}

const PROMISE: &str = "no node accepts a session after its end was answered";
