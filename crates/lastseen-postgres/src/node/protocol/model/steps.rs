//! What each step does, and which there are.

use std::time::Duration;

use super::{
    Answer, Broken, Database, Fill, LENGTH, Registered, Remembering, Scope, Seen, Sent, Step,
    Terminator, World, bit, id_of,
};
use crate::node::protocol::{
    Brought, Confirmation, Epoch, Eviction, Length, Moment, Nodes, Primary, Progress, Row, Takeover,
};

impl Scope {
    fn rows(world: &World, change: usize) -> Vec<Row> {
        let rows = world.database.rows.iter().enumerate();
        rows.filter_map(|(node, row)| {
            let row = row.as_ref()?;
            Some(Row {
                id: id_of(node),
                epoch: row.epoch,
                renewals: row.renewals,
                length: Length(LENGTH),
                applied: row.primary == world.database.primary && row.applied & bit(change) != 0,
            })
        })
        .collect()
    }

    /// Reads the nodes; what that says of the primary.
    fn read_nodes(
        &self,
        world: &World,
        change: usize,
        confirmation: &mut Confirmation,
    ) -> Takeover {
        let answered = match self.broken {
            // What the eviction is counted from.
            Broken::EvictedByCommit => confirmation.committed,
            _ => world.now,
        };
        let rows = Self::rows(world, change);
        let nodes = Nodes {
            asked: world.now,
            answered,
            primary: Primary {
                timeline: u64::from(world.database.primary),
                settled: world.database.settled == world.database.primary
                    || self.broken == Broken::NewPrimaryTrusted,
                longest: Length(LENGTH),
            },
            rows: &rows,
        };
        confirmation.nodes(&nodes);
        let mut takeover = world.takeover;
        takeover.nodes(&nodes);
        takeover
    }

    fn evictions(&self, confirmation: &Confirmation, now: Moment) -> Vec<Eviction> {
        let now = match self.broken {
            Broken::EvictedAtOnce => now.after(LENGTH),
            _ => now,
        };
        confirmation.evictions(now).collect()
    }

    /// Whether the change can be answered from here on by waiting alone, should nobody else ever take a step again.
    pub(super) fn answerable(&self, world: &World, change: usize) -> bool {
        let Terminator::Waiting { confirmation, .. } = &world.terminators[change] else {
            return true;
        };
        let mut confirmation = confirmation.clone();
        let mut now = world.now;
        for _ in 0..2 {
            match confirmation.progress(now) {
                Progress::Answer { .. } => return true,
                Progress::WaitUntil(until) => now = until,
                Progress::ReadNodes => {
                    self.read_nodes(world, change, &mut confirmation);
                }
            }
        }
        let bound = confirmation.committed.after(LENGTH);
        let bound = bound.max(world.now);
        now <= bound && matches!(confirmation.progress(now), Progress::Answer { .. })
    }

    /// Answers what may be answered. At once: nobody promises more than the one who answers first.
    pub(super) fn answer(&self, world: &mut World) {
        for terminator in &mut world.terminators {
            if let Terminator::Waiting {
                confirmation,
                silent,
            } = terminator
                && (matches!(confirmation.progress(world.now), Progress::Answer { .. })
                    || (*silent && self.broken == Broken::SilentCommitAnswered))
            {
                *terminator = Terminator::Answered {
                    confirmation: confirmation.clone(),
                };
            }
        }
    }

    pub(super) fn step(&self, world: &mut World, step: Step) -> Option<()> {
        let now = world.now;
        match step {
            Step::Tick => world.now = now.after(Duration::from_nanos(1)),
            Step::Commit(change) | Step::CommitSilently(change) => {
                self.commit(world, change, step == Step::CommitSilently(change));
            }
            Step::ReadNodes(change) => {
                let mut terminator = world.terminators[change].clone();
                let (Terminator::Waiting { confirmation, .. }
                | Terminator::Answered { confirmation }) = &mut terminator
                else {
                    return None;
                };
                world.takeover = self.read_nodes(world, change, confirmation);
                world.terminators[change] = terminator;
            }
            Step::Acknowledged(node, change) => {
                let acknowledgement = *world
                    .acknowledgements
                    .iter()
                    .find(|(by, _, of)| (*by, *of) == (node, change))?;
                world.acknowledgements.remove(&acknowledgement);
                if let Terminator::Waiting { confirmation, .. } = &mut world.terminators[change] {
                    confirmation.acknowledged(id_of(node), acknowledgement.1);
                }
            }
            Step::Evict(change, node) => {
                let (Terminator::Waiting { confirmation, .. }
                | Terminator::Answered { confirmation }) = &world.terminators[change]
                else {
                    return None;
                };
                let evictions = self.evictions(confirmation, now);
                let eviction = evictions
                    .iter()
                    .find(|eviction| eviction.id == id_of(node))?;
                let row = world.database.rows[node].as_ref()?;
                let same = row.renewals == eviction.renewals || self.broken == Broken::EvictedAlive;
                if row.epoch == eviction.epoch && same {
                    world.database.rows[node] = None;
                }
            }
            Step::Settle => {
                if world.takeover.settled(now) == Some(u64::from(world.database.primary)) {
                    world.database.settled = world.database.primary;
                }
            }
            Step::Prune => {
                world.left.prunings -= 1;
                let rows = world.database.rows.iter().flatten();
                let applied = rows.map(|row| row.applied);
                let everywhere = match self.broken {
                    Broken::PrunedEarly => applied.reduce(|all, one| all | one),
                    _ => applied.reduce(|all, one| all & one),
                };
                world.database.logged &= !everywhere.unwrap_or(Seen::MAX);
            }
            Step::FailOver(knows) => {
                world.left.failovers -= 1;
                world.database.primary += 1;
                if !knows {
                    world.database.rows.fill(None);
                }
            }
            of_node => return self.step_of_node(world, of_node),
        }
        Some(())
    }

    fn step_of_node(&self, world: &mut World, step: Step) -> Option<()> {
        let now = world.now;
        match step {
            Step::Register(node) => {
                let seen = world.database.committed;
                let remembering = &mut world.nodes[node];
                remembering.can.register -= 1;
                let epoch = remembering.node.next_epoch();
                remembering.node.registered(epoch, seen);
                remembering.node.heard_itself();
                remembering.notified = 0;
                remembering.renewal = None;
                world.database.rows[node] = Some(Registered {
                    epoch,
                    primary: world.database.primary,
                    renewals: 0,
                    applied: seen,
                });
            }
            Step::Renew(node) => {
                let remembering = &mut world.nodes[node];
                remembering.can.renew -= 1;
                let renewal = remembering.node.renew(now)?;
                remembering.renewal = Some(Sent {
                    epoch: renewal.epoch,
                    applied: renewal.applied,
                    answer: Answer::NotYet,
                });
            }
            Step::RenewalReaches(node) => self.renewal_reaches(world, node),
            Step::RenewalAnswered(node) => self.renewal_answered(world, node)?,
            Step::Notified(node, change) => {
                let remembering = &mut world.nodes[node];
                remembering.notified &= !bit(change);
                remembering.apply(bit(change));
                if let Some(epoch) = remembering.node.epoch() {
                    self.acknowledge(world, node, epoch, change);
                }
            }
            Step::Lose(node) => {
                world.nodes[node].can.lose -= 1;
                self.lose(&mut world.nodes[node]);
            }
            Step::Read(node, session) => {
                let remembering = &mut world.nodes[node];
                remembering.can.fill -= 1;
                remembering.fill = Some(Fill {
                    session,
                    term: remembering.term(now),
                    changed: false,
                });
            }
            Step::Fill(node) => {
                let remembering = &mut world.nodes[node];
                let fill = remembering.fill.take()?;
                let term = remembering.term(now);
                let same_term = (fill.term.is_some() && fill.term == term)
                    || self.broken == Broken::FilledFromAnotherTerm;
                if same_term && (!fill.changed || self.broken == Broken::FilledAfterChange) {
                    remembering.remembered |= bit(fill.session);
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn commit(&self, world: &mut World, change: usize, silent: bool) {
        world.database.committed |= bit(change);
        world.database.logged |= bit(change);
        if silent {
            world.left.silent -= 1;
        } else {
            for (node, remembering) in world.nodes.iter_mut().enumerate() {
                if remembering.node.epoch().is_some() {
                    remembering.notified |= bit(change);
                    if self.broken == Broken::AcknowledgedFirst
                        && let Some(epoch) = remembering.node.epoch()
                    {
                        world.acknowledgements.insert((node, epoch, change));
                    }
                }
            }
        }
        let mut confirmation = Confirmation::new(world.now);
        if self.broken == Broken::NodesReadBeforeCommit {
            // As they were when there were none.
            confirmation.nodes(&Nodes {
                asked: world.now,
                answered: world.now,
                primary: Primary {
                    timeline: 0,
                    settled: true,
                    longest: Length(LENGTH),
                },
                rows: &[],
            });
        }
        if self.prompt {
            world.takeover = self.read_nodes(world, change, &mut confirmation);
        }
        world.terminators[change] = Terminator::Waiting {
            confirmation,
            silent,
        };
    }

    fn renewal_reaches(&self, world: &mut World, node: usize) {
        let database = &mut world.database;
        let Some(sent) = &mut world.nodes[node].renewal else {
            return;
        };
        let primary = database.primary;
        let row = database.rows[node]
            .as_mut()
            .filter(|row| (row.epoch, row.primary) == (sent.epoch, primary));
        let had = match self.broken {
            Broken::FollowedByNumber => Database::up_to_largest(sent.applied),
            _ => sent.applied,
        };
        let answer = Answer::Renewed {
            seen: database.committed,
            changes: database.logged & !had,
        };
        sent.answer = match row {
            Some(row) => {
                row.renewals += 1;
                row.applied = sent.applied;
                answer
            }
            None => Answer::Lost,
        };
    }

    fn renewal_answered(&self, world: &mut World, node: usize) -> Option<()> {
        let now = world.now;
        let remembering = &mut world.nodes[node];
        let Answer::Renewed { seen, changes } = remembering.renewal.take()?.answer else {
            self.lose(remembering);
            return Some(());
        };
        let mut brought: Brought<Seen> = remembering.node.renewed(seen)?;
        if self.broken == Broken::LeaseFromAnswer {
            brought.asked = now;
        }
        if self.broken != Broken::RenewedWithoutApplying {
            remembering.apply(changes);
        }
        if !remembering.node.applied(brought, now) {
            self.lose(remembering);
        }
        let Some(epoch) = remembering.node.epoch() else {
            return Some(());
        };
        for change in (0..self.sessions).filter(|change| changes & bit(*change) != 0) {
            self.acknowledge(world, node, epoch, change);
        }
        Some(())
    }

    fn acknowledge(&self, world: &mut World, node: usize, epoch: Epoch, change: usize) {
        if !self.near {
            world.acknowledgements.insert((node, epoch, change));
        } else if let Terminator::Waiting { confirmation, .. } = &mut world.terminators[change] {
            confirmation.acknowledged(id_of(node), epoch);
        }
    }

    fn lose(&self, remembering: &mut Remembering) {
        remembering.node.lost();
        if self.broken != Broken::RememberedAfterLoss {
            remembering.forget();
        }
        remembering.renewal = None;
        remembering.notified = 0;
    }

    pub(super) fn steps_of_terminator(&self, world: &World, change: usize, steps: &mut Vec<Step>) {
        match &world.terminators[change] {
            Terminator::Idle => {
                steps.push(Step::Commit(change));
                if world.left.silent > 0 {
                    steps.push(Step::CommitSilently(change));
                }
            }
            Terminator::Waiting { .. } => steps.push(Step::ReadNodes(change)),
            Terminator::Answered { .. } => {}
        }
        if let Terminator::Waiting { confirmation, .. } | Terminator::Answered { confirmation } =
            &world.terminators[change]
        {
            for node in 0..self.nodes.len() {
                let id = id_of(node);
                if self
                    .evictions(confirmation, world.now)
                    .iter()
                    .any(|eviction| eviction.id == id)
                {
                    steps.push(Step::Evict(change, node));
                }
            }
        }
    }

    pub(super) fn steps_of_node(&self, world: &World, node: usize, steps: &mut Vec<Step>) {
        let remembering = &world.nodes[node];
        let registered = remembering.node.epoch().is_some();
        if !registered && remembering.can.register > 0 {
            steps.push(Step::Register(node));
        }
        if registered && remembering.can.lose > 0 {
            steps.push(Step::Lose(node));
        }
        match &remembering.renewal {
            None if registered && remembering.can.renew > 0 => steps.push(Step::Renew(node)),
            Some(Sent {
                answer: Answer::NotYet,
                ..
            }) => steps.push(Step::RenewalReaches(node)),
            Some(_) => steps.push(Step::RenewalAnswered(node)),
            None => {}
        }
        for change in (0..self.sessions).filter(|change| remembering.notified & bit(*change) != 0) {
            steps.push(Step::Notified(node, change));
        }
        match &remembering.fill {
            Some(_) => steps.push(Step::Fill(node)),
            None if remembering.can.fill > 0 => {
                // What memory accepts already is not read, and of what has ended nothing is kept.
                let read = remembering.remembered | world.database.committed;
                for session in (0..self.sessions).filter(|session| read & bit(*session) == 0) {
                    steps.push(Step::Read(node, session));
                }
            }
            None => {}
        }
    }
}
