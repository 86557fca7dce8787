//! When does a lease run, and when may a change be answered?
//!
//! The rules of both sides and nothing else: no socket, no statement, no clock. Whoever drives this says what
//! happened and at which [`Moment`], and does what it is told. `docs/decisions/leases.md` says why the rules are
//! enough; `protocol/model.rs` plays them through, for three nodes and two sessions.
//!
//! The promise in one line: **once a change was answered, no node answers from a memory that does not know of it.**
//!
//! - [`Node`] is the side that remembers: it holds a lease and follows changes.
//! - [`Confirmation`] is the side that changes: it waits until every node knows of one change, or holds no lease.

use std::collections::BTreeMap;
use std::time::Duration;

use lastseen::store::Term;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

/// An instant of a clock that also counts suspend, in nanoseconds since any one beginning. Those of two machines
/// have nothing to do with each other.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    /// The instant that comes `duration` later.
    #[must_use]
    pub(super) fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// How long after `earlier` this is; nothing where it is not later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// How long a lease is. The two sides of it are a margin apart: a node believes in it for less, everybody else for
/// longer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Length(Duration);

impl Length {
    /// Below this a busy machine loses leases by being busy: a third of it is a renewal's time to be answered.
    pub const SHORTEST: Self = Self(Duration::from_millis(200));

    /// A dead node holds a termination up for as long, and so does every failover. What needs the database is
    /// given five seconds; what works should not take longer than what is broken.
    pub const LONGEST: Self = Self(Duration::from_secs(5));

    /// What one side of a lease gives away, as a part of it.
    ///
    /// Clocks that count seconds are steered: chrony speeds one up or slows it down by up to a twelfth
    /// (`maxslewrate` 83,333 ppm). With a tenth given away on either side, the node's share of a lease on a clock
    /// that is slowed as much as can be is still over before the others' share on one that is sped up as much.
    const MARGIN_PART: u32 = 10;

    /// A lease of this length; `None` where it is shorter or longer than leases may be.
    pub fn new(length: Duration) -> Option<Self> {
        let length = Self(length);
        (Self::SHORTEST <= length && length <= Self::LONGEST).then_some(length)
    }

    /// A lease as another node has it, of which this one has no say.
    pub(super) fn of_another(length: Duration) -> Self {
        Self(length)
    }

    /// The length itself.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// What the two sides of a lease each give away, for clocks that do not run alike.
    pub fn margin(self) -> Duration {
        self.0 / Self::MARGIN_PART
    }

    /// For how long the one who holds the lease goes by it, from the moment before it asked for it.
    fn for_its_holder(self) -> Duration {
        self.0.saturating_sub(self.margin())
    }

    /// For how long everybody else must take it for running, from a moment after which it was not renewed.
    pub(super) fn for_others(self) -> Duration {
        self.0.saturating_add(self.margin())
    }
}

/// A running process that answers from memory. Drawn at its start, so that no two are ever the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct NodeId(pub(super) u128);

/// How often a node has registered. What it knew under an earlier number it has forgotten.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Epoch(pub(super) u64);

/// What a node holds of the database: which transactions it has applied.
///
/// Generic in what the database calls a snapshot, because nothing here looks into one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Node<Snapshot> {
    length: Length,
    registration: Option<Registration<Snapshot>>,
    /// The last epoch that was registered.
    epoch: Epoch,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Registration<Snapshot> {
    /// Every change that is visible here was applied in this node.
    applied: Snapshot,
    /// Whether a notification to itself has arrived.
    listening: bool,
    /// The moment before the renewal under way was sent.
    asked: Option<Moment>,
    /// The first moment at which the lease is over, where there was one.
    until: Option<Moment>,
}

/// The right to answer from memory: for one term, up to a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Running {
    /// The unbroken run of lease that it belongs to. A registration has one.
    pub(super) term: Term,
    /// The first moment at which it is over.
    pub(super) until: Moment,
}

impl Running {
    /// Whether it runs at `now`.
    pub(super) fn runs_at(&self, now: Moment) -> bool {
        now < self.until
    }
}

/// What a node that renews tells the database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Renewal<Snapshot> {
    /// Which registration it renews.
    pub(super) epoch: Epoch,
    /// What it has applied: the database answers with every change that is not in here.
    pub(super) applied: Snapshot,
}

/// A renewal that was answered, and whose changes are being applied.
///
/// To be handed back to [`Node::applied`] when all of them are: only then is the lease longer.
#[derive(Debug)]
#[must_use = "the lease is longer only once what the renewal brought is applied"]
pub(super) struct Brought<Snapshot> {
    epoch: Epoch,
    asked: Moment,
    seen: Snapshot,
}

impl<Snapshot: Clone> Node<Snapshot> {
    /// A node that is not registered.
    pub(super) fn new(length: Length) -> Self {
        Self {
            length,
            registration: None,
            epoch: Epoch(0),
        }
    }

    /// The number that the next registration is to have.
    pub(super) fn next_epoch(&self) -> Epoch {
        Epoch(self.epoch.0 + 1)
    }

    /// The database knows this node under `epoch` now. What is visible in `snapshot` was committed before, so no
    /// memory of it can be out of date: there is none yet.
    pub(super) fn registered(&mut self, epoch: Epoch, snapshot: Snapshot) {
        self.epoch = epoch;
        self.registration = Some(Registration {
            applied: snapshot,
            listening: false,
            asked: None,
            until: None,
        });
    }

    /// A notification that this registration sent to itself has arrived.
    pub(super) fn heard_itself(&mut self) {
        if let Some(registration) = &mut self.registration {
            registration.listening = true;
        }
    }

    /// Begins a renewal; `now` must be read before anything of it is sent. `None` where there is nothing to renew,
    /// or a renewal is under way.
    pub(super) fn renew(&mut self, now: Moment) -> Option<Renewal<Snapshot>> {
        let epoch = self.epoch;
        let registration = self.registration.as_mut()?;
        if registration.asked.is_some() || !registration.listening {
            return None;
        }
        registration.asked = Some(now);
        Some(Renewal {
            epoch,
            applied: registration.applied.clone(),
        })
    }

    /// The renewal under way was answered: every change that `seen` shows and the node had not applied came with it.
    pub(super) fn renewed(&mut self, seen: Snapshot) -> Option<Brought<Snapshot>> {
        let asked = self.registration.as_mut()?.asked.take()?;
        Some(Brought {
            epoch: self.epoch,
            asked,
            seen,
        })
    }

    /// What a renewal brought was applied, all of it, at `now`: the lease is counted from before the renewal was sent.
    ///
    /// A lease that had run out does not run again: then, and where it would be over by now, the registration is
    /// [lost](Node::lost), and false is returned.
    #[must_use = "a lost registration takes what is remembered with it"]
    pub(super) fn applied(&mut self, brought: Brought<Snapshot>, now: Moment) -> bool {
        let until = brought.asked.after(self.length.for_its_holder());
        let runs = |until: Moment| now < until;
        match &mut self.registration {
            Some(registration)
                if brought.epoch == self.epoch
                    && runs(until)
                    && registration.until.is_none_or(runs) =>
            {
                registration.applied = brought.seen;
                registration.until = Some(until);
                true
            }
            _ => {
                self.lost();
                false
            }
        }
    }

    /// The registration or the connection that it is renewed by is lost: the lease ends here. Whatever is remembered
    /// must be forgotten before the next registration.
    pub(super) fn lost(&mut self) {
        self.registration = None;
    }

    /// The lease, where there is one; it may have run out.
    pub(super) fn lease(&self) -> Option<Running> {
        let until = self.registration.as_ref()?.until?;
        let term = Term(self.epoch.0);
        Some(Running { term, until })
    }

    /// The registration that stands, if any.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.registration.as_ref().map(|_| self.epoch)
    }
}

/// A node's row, as the one who waits for it reads it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Row {
    /// Which node.
    pub(super) id: NodeId,
    /// Which of its registrations.
    pub(super) epoch: Epoch,
    /// How often that was renewed.
    pub(super) renewals: u64,
    /// How long its leases are.
    pub(super) length: Length,
    /// Whether the node says by this row that it has applied the change that is waited for.
    pub(super) applied: bool,
}

/// The server that takes writes. Another one after every failover.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Primary {
    /// Its number: a timeline.
    pub(super) timeline: u64,
    /// Whether it is known to know of every lease that runs. One that has taken over may have missed the registration
    /// of a node, whose lease goes on for a while.
    pub(super) settled: bool,
    /// How long that can be: the longest lease that there is.
    pub(super) longest: Length,
}

/// All nodes at one instant, read from the primary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nodes<'a> {
    /// The moment before the statement was sent.
    pub(super) asked: Moment,
    /// The moment when it was answered.
    pub(super) answered: Moment,
    /// Who answered.
    pub(super) primary: Primary,
    /// Every node there is.
    pub(super) rows: &'a [Row],
}

/// A registration to be deleted, so that nobody waits for it again; unless it was renewed after all.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Eviction {
    /// Which node.
    pub(super) id: NodeId,
    /// Which of its registrations.
    pub(super) epoch: Epoch,
    /// How often that was renewed when it was last read. Where it is more by now, the node lives.
    pub(super) renewals: u64,
}

/// How far a change is on its way to being answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The nodes are to be read; nothing can be said before.
    ReadNodes,
    /// Somebody is waited for, at the longest until this moment.
    WaitUntil(Moment),
    /// No node answers from a memory that does not know of it: it may be answered.
    Answer {
        /// How many nodes were waited for until their leases had run out.
        waited_out: usize,
    },
}

/// One change on its way to every node's memory, from its commit on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Confirmation {
    /// A moment after the commit.
    committed: Moment,
    /// Whom to wait for; `None` until the nodes were read.
    awaited: Option<BTreeMap<NodeId, Awaited>>,
    /// Nodes that have said so before anybody knew of them.
    early: BTreeMap<NodeId, Epoch>,
    /// How long leases are of which the primary does not know, where there may be any.
    unknown: Option<Length>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Awaited {
    epoch: Epoch,
    renewals: u64,
    length: Length,
    /// The moment when this number of renewals was read.
    read: Moment,
}

impl Awaited {
    fn of(row: &Row, read: Moment) -> Self {
        Self {
            epoch: row.epoch,
            renewals: row.renewals,
            length: row.length,
            read,
        }
    }
}

impl Confirmation {
    /// A change that was committed at `committed` or before.
    pub(super) fn new(committed: Moment) -> Self {
        Self {
            committed,
            awaited: None,
            early: BTreeMap::new(),
            unknown: None,
        }
    }

    /// The nodes were read. The first reading after the commit says who is waited for: who registers later reads
    /// what was committed. Later readings only tell who need not be waited for any more.
    pub(super) fn nodes(&mut self, nodes: &Nodes<'_>) {
        if nodes.asked < self.committed {
            return;
        }
        let Some(awaited) = &mut self.awaited else {
            let waits = |row: &&Row| {
                let said = self.early.get(&row.id).is_some_and(|&at| at >= row.epoch);
                !row.applied && !said
            };
            let rows = nodes.rows.iter().filter(waits);
            self.awaited = Some(
                rows.map(|row| (row.id, Awaited::of(row, nodes.answered)))
                    .collect(),
            );
            self.early.clear();
            self.unknown = (!nodes.primary.settled).then_some(nodes.primary.longest);
            return;
        };
        awaited.retain(|id, awaited| {
            let Some(row) = nodes.rows.iter().find(|row| row.id == *id) else {
                // It has left, or was evicted: either way its lease is over. A primary that took over may
                // never have heard of it.
                return !nodes.primary.settled;
            };
            if row.epoch != awaited.epoch || row.applied {
                return false;
            }
            if row.renewals != awaited.renewals {
                *awaited = Awaited::of(row, nodes.answered);
            }
            true
        });
    }

    /// The node has applied the change, under this registration of its.
    pub(super) fn acknowledged(&mut self, id: NodeId, epoch: Epoch) {
        match &mut self.awaited {
            None => {
                let known = self.early.entry(id).or_insert(epoch);
                *known = epoch.max(*known);
            }
            Some(awaited) => {
                if awaited
                    .get(&id)
                    .is_some_and(|awaited| awaited.epoch <= epoch)
                {
                    awaited.remove(&id);
                }
            }
        }
    }

    /// Whether it may be answered at `now`.
    pub(super) fn progress(&self, now: Moment) -> Progress {
        let Some(awaited) = &self.awaited else {
            return Progress::ReadNodes;
        };
        // A lease that is longer than this was asked for after the commit, and so came with the change.
        let waits = awaited.values().map(|awaited| awaited.length);
        let longest = waits.chain(self.unknown).max();
        match longest.map(|length| self.committed.after(length.for_others())) {
            Some(until) if now < until => Progress::WaitUntil(until),
            _ => Progress::Answer {
                waited_out: awaited.len(),
            },
        }
    }

    /// The registrations whose leases have run out for certain by `now`, should they not have been renewed since they
    /// were read. Counted from that reading, not from the commit: a renewal in between is one that nobody here saw.
    pub(super) fn evictions(&self, now: Moment) -> impl Iterator<Item = Eviction> {
        let awaited = self.awaited.iter().flatten();
        awaited
            .filter(move |(_, awaited)| now >= awaited.read.after(awaited.length.for_others()))
            .map(|(&id, awaited)| Eviction {
                id,
                epoch: awaited.epoch,
                renewals: awaited.renewals,
            })
    }

    /// Whom it waits for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = NodeId> {
        self.awaited.iter().flatten().map(|(&id, _)| id)
    }

    /// When the first of those that it waits for can be evicted.
    pub(super) fn next_eviction(&self) -> Option<Moment> {
        let awaited = self.awaited.iter().flatten();
        awaited
            .map(|(_, awaited)| awaited.read.after(awaited.length.for_others()))
            .min()
    }
}

/// A primary that has taken over, until it is settled.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Takeover {
    seen: Option<(u64, Moment)>,
}

impl Takeover {
    /// The nodes were read. From the first sight of a primary that is not settled it takes the longest lease until no
    /// lease can run that another one gave: nobody renews with that one any more.
    pub(super) fn nodes(&mut self, nodes: &Nodes<'_>) {
        let timeline = nodes.primary.timeline;
        if nodes.primary.settled {
            self.seen = None;
        } else if self.seen.is_none_or(|(seen, _)| seen != timeline) {
            let until = nodes.answered.after(nodes.primary.longest.for_others());
            self.seen = Some((timeline, until));
        }
    }

    /// The primary that is settled from `now` on, to be noted, by its timeline.
    pub(super) fn settled(&self, now: Moment) -> Option<u64> {
        let (timeline, until) = self.seen?;
        (now >= until).then_some(timeline)
    }

    /// When it will be.
    pub(super) fn until(&self) -> Option<Moment> {
        self.seen.map(|(_, until)| until)
    }
}
