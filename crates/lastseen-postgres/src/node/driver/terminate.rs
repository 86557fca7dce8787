//! Changes of this process, from their commit until no node can act on the state before.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Driver, Event, LEASES_OF_SILENCE, READING_WHEN_DEAF, READINGS_IN_A_LEASE};
use crate::error::Error;
use crate::node::figures::add;
use crate::node::message::Acknowledgement;
use crate::node::protocol::{
    Confirmation, Epoch, Eviction, Length, Moment, NodeId, Nodes, Primary, Progress,
    Row as NodeRow, Takeover,
};
use crate::node::snapshot::Snapshot;
use crate::node::{Confirming, Reply, clock, statements};
use crate::store::Bytes16;

/// A change that is on its way to every node.
pub(super) struct Waiting {
    confirmation: Confirmation,
    committed: Moment,
    /// Until when the nodes have to be read.
    unread_until: Moment,
    /// `None` once it was answered: then only evictions are left to do.
    reply: Option<Reply>,
    /// Evictions that were begun.
    evicted: Vec<Eviction>,
}

/// Acknowledgements of a change of which it is not known yet that it was committed; or that was answered long ago.
pub(super) struct Early {
    since: Moment,
    said: Vec<(NodeId, Epoch)>,
}

/// A node as it was read, with what it has applied.
struct Read {
    row: NodeRow,
    applied: Option<Snapshot>,
}

impl Driver {
    pub(super) fn begin_to_wait(&mut self, confirm: Confirming) {
        let mut confirmation = Confirmation::new(confirm.committed);
        for (id, epoch) in self
            .early
            .remove(&confirm.xid)
            .into_iter()
            .flat_map(|early| early.said)
        {
            confirmation.acknowledged(id, epoch);
        }
        let waiting = Waiting {
            confirmation,
            committed: confirm.committed,
            unread_until: confirm.committed.after(confirm.patience),
            reply: Some(confirm.reply),
            evicted: Vec::new(),
        };
        self.waiting.insert(confirm.xid, waiting);
        self.read_at = Moment::default();
        if let Some(noted) = confirm.noted
            && self.node.epoch().is_some()
        {
            self.apply(&noted);
            self.own.insert(noted.xid);
        }
    }

    pub(super) fn next_of_waiting(&self) -> Option<Moment> {
        let mut next = None;
        let mut sooner = |at: Moment| next = Some(next.map_or(at, |next: Moment| next.min(at)));
        for waiting in self.waiting.values() {
            match waiting.confirmation.progress(clock::now()) {
                Progress::ReadNodes => sooner(waiting.unread_until),
                Progress::WaitUntil(until) => sooner(until),
                Progress::Answer { .. } => {
                    if let Some(at) = waiting.confirmation.next_eviction() {
                        sooner(at);
                    }
                }
            }
        }
        if !self.waiting.is_empty() && !self.reading && self.speaker().is_some() {
            sooner(self.read_at);
        }
        if let Some(at) = self.takeover.until() {
            sooner(at);
        }
        next
    }

    /// Goes on with every change that waits, and answers those that need not any more.
    pub(super) fn wait_for_nodes(&mut self, now: Moment) {
        let patience = self.shared.patience;
        let mut evictions = Vec::new();
        let counters = &self.shared.counters;
        self.waiting.retain(|_, waiting| {
            let outcome = match waiting.confirmation.progress(now) {
                Progress::Answer { waited_out } => {
                    add(
                        &counters.waited_out,
                        waited_out as u64 * u64::from(waiting.reply.is_some()),
                    );
                    Some(Ok(()))
                }
                Progress::ReadNodes if now >= waiting.unread_until => Some(Err(Error::TimedOut)),
                Progress::ReadNodes | Progress::WaitUntil(_) => None,
            };
            for eviction in waiting.confirmation.evictions(now) {
                if !waiting.evicted.contains(&eviction) {
                    waiting.evicted.push(eviction);
                    evictions.push(eviction);
                }
            }
            let Some(outcome) = outcome else { return true };
            let failed = outcome.is_err();
            if let Some(reply) = waiting.reply.take() {
                counters.confirmed(now.since(waiting.committed));
                // Whoever asked may have gone.
                let _ = reply.send(outcome);
            }
            let evicted = &waiting.evicted;
            let begun = |id: NodeId| evicted.iter().any(|eviction| eviction.id == id);
            !failed && !waiting.confirmation.awaited().all(begun)
        });
        self.shared.set_waiting(
            self.waiting
                .values()
                .filter(|waiting| waiting.reply.is_some())
                .count(),
        );
        for eviction in evictions {
            self.evict(eviction, true);
        }
        if let Some(timeline) = self.takeover.settled(now) {
            self.settle(timeline);
        }
        if !self.early.is_empty() {
            // By then the commit has been answered, or never will be.
            self.early
                .retain(|_, early| now < early.since.after(patience));
        }
        let unread =
            |waiting: &Waiting| matches!(waiting.confirmation.progress(now), Progress::ReadNodes);
        let due =
            now >= self.read_at && (self.read_at == Moment::default() || !self.waiting.is_empty());
        if !self.reading && (due || self.waiting.values().any(unread)) {
            self.read_nodes();
        }
    }

    fn read_nodes(&mut self) {
        let Some((client, by_ear)) = self.speaker() else {
            return;
        };
        self.reading = true;
        let patience = self.patience();
        let asked = clock::now();
        self.fly(async move {
            let reading = client.query_typed(statements::NODES, &[]);
            let rows = match timeout(patience, reading).await {
                Ok(rows) => rows.map_err(Error::from),
                Err(_) => Err(Error::TimedOut),
            };
            Event::NodesRead {
                asked,
                by_ear,
                rows,
            }
        });
    }

    pub(super) fn nodes_read(
        &mut self,
        asked: Moment,
        by_ear: bool,
        rows: Result<Vec<Row>, Error>,
    ) {
        self.reading = false;
        let answered = clock::now();
        let every = if self.shared.notification.hears() {
            self.shared.length.duration() / READINGS_IN_A_LEASE
        } else {
            READING_WHEN_DEAF
        };
        self.read_at = answered.after(every);
        let (seen, primary, nodes) = match rows.and_then(|rows| read(&rows, self.shared.length)) {
            Ok(read) => read,
            Err(error @ Error::Refused { .. }) => {
                tracing::warn!(%error, "the nodes cannot be read");
                return;
            }
            Err(error) => return self.spoken(by_ear, Some(&error)),
        };
        for (&xid, waiting) in &mut self.waiting {
            // A server that does not know of the commit does not know of its nodes either.
            if !seen.shows(xid) {
                continue;
            }
            let rows: Vec<NodeRow> = nodes
                .iter()
                .map(|read| NodeRow {
                    applied: read
                        .applied
                        .as_ref()
                        .is_some_and(|applied| applied.shows(xid)),
                    ..read.row
                })
                .collect();
            waiting.confirmation.nodes(&Nodes {
                asked,
                answered,
                primary,
                rows: &rows,
            });
        }
        if !primary.settled && self.takeover.until().is_none() {
            tracing::info!(
                "another primary has taken over; terminations wait until no earlier lease can run"
            );
        }
        self.takeover.nodes(&Nodes {
            asked,
            answered,
            primary,
            rows: &[],
        });
        self.look_for_silent(answered, &nodes);
    }

    /// Evicts nodes that nobody has heard of for long. Whoever waits for one does not wait for this.
    fn look_for_silent(&mut self, now: Moment, nodes: &[Read]) {
        let present: Vec<(Eviction, Duration)> = nodes
            .iter()
            .map(|Read { row, .. }| {
                let eviction = Eviction {
                    id: row.id,
                    epoch: row.epoch,
                    renewals: row.renewals,
                };
                (eviction, row.length.for_others() * LEASES_OF_SILENCE)
            })
            .collect();
        self.silent
            .retain(|eviction, _| present.iter().any(|(there, _)| there == eviction));
        for (eviction, silence) in present {
            let since = *self.silent.entry(eviction).or_insert(now);
            if now >= since.after(silence) {
                self.evict(eviction, false);
            }
        }
    }

    pub(super) fn acknowledged(&mut self, said: &Acknowledgement) {
        for xid in &said.xids {
            add(&self.shared.counters.acknowledgements_received, 1);
            if let Some(waiting) = self.waiting.get_mut(xid) {
                waiting.confirmation.acknowledged(said.id, said.epoch);
                continue;
            }
            let early = self.early.entry(*xid).or_insert_with(|| Early {
                since: clock::now(),
                said: Vec::new(),
            });
            early.said.push((said.id, said.epoch));
        }
    }

    /// Deletes a registration whose lease has run out. `waited` where somebody has waited for it.
    fn evict(&self, eviction: Eviction, waited: bool) {
        let Some((client, _)) = self.speaker() else {
            return;
        };
        let patience = self.patience();
        self.fly(async move {
            let id = Bytes16(eviction.id.0.to_be_bytes());
            let epoch = eviction.epoch.0.cast_signed();
            let renewals = eviction.renewals.cast_signed();
            let parameters: [crate::Parameter<'_>; 3] =
                [(&id, Type::UUID), (&epoch, Type::INT8), (&renewals, Type::INT8)];
            let evicting = async {
                let gone = client.execute_typed(statements::EVICT, &parameters).await?;
                if gone == 0 && waited {
                    client.execute_typed(statements::WAITED_OUT, &parameters[..2]).await?;
                }
                Ok::<_, tokio_postgres::Error>(gone)
            };
            // Where it fails, the next one who waits tries it again.
            match timeout(patience, evicting).await {
                Ok(Ok(1..)) => {
                    tracing::warn!(node = format_args!("{:032x}", eviction.id.0), "a node has not answered for as long as its lease; nobody waits for it any more");
                    Event::Evicted
                }
                _ => Event::Done,
            }
        });
    }

    /// Notes that no lease runs but those of this primary's.
    fn settle(&mut self, timeline: u64) {
        self.takeover = Takeover::default();
        let Some((client, _)) = self.speaker() else {
            return;
        };
        let patience = self.patience();
        self.fly(async move {
            let timeline = timeline.cast_signed();
            let parameters: [crate::Parameter<'_>; 1] = [(&timeline, Type::INT8)];
            let settling = client.execute_typed(statements::SETTLE, &parameters);
            // Where it fails, the next reading begins it anew.
            let _ = timeout(patience, settling).await;
            Event::Evicted
        });
    }
}

/// The snapshot of a reading, who answered it, and the nodes. `own` is a lease of this process.
fn read(rows: &[Row], own: Length) -> Result<(Snapshot, Primary, Vec<Read>), Error> {
    let damage = |_| Error::Corrupt("the nodes cannot be read".into());
    let first = rows
        .first()
        .ok_or_else(|| Error::Corrupt("the nodes are answered with nothing".into()))?;
    let snapshot = |text: &str| {
        text.parse::<Snapshot>()
            .map_err(|_| Error::Corrupt("a node has no snapshot".into()))
    };
    if !first.try_get::<_, bool>(8).map_err(damage)? {
        return Err(Error::ReadOnly);
    }
    let seen = snapshot(first.try_get(0).map_err(damage)?)?;
    let settled = first.try_get::<_, Option<bool>>(1).map_err(damage)?;
    let mut nodes = Vec::new();
    for row in rows {
        let Some(id) = row.try_get::<_, Option<Bytes16>>(2).map_err(damage)? else {
            continue;
        };
        let number = |column| -> Result<u64, Error> {
            Ok(row
                .try_get::<_, i64>(column)
                .map_err(damage)?
                .cast_unsigned())
        };
        let here: bool = row.try_get(7).map_err(damage)?;
        let applied = here
            .then(|| snapshot(row.try_get(6).map_err(damage)?))
            .transpose()?;
        nodes.push(Read {
            row: NodeRow {
                id: NodeId(u128::from_be_bytes(id.0)),
                epoch: Epoch(number(3)?),
                renewals: number(4)?,
                length: Length::of_another(Duration::from_millis(number(5)?)),
                applied: false,
            },
            applied,
        });
    }
    let longest: Option<i64> = first.try_get(10).map_err(damage)?;
    let longest = Duration::from_millis(longest.unwrap_or(0).cast_unsigned());
    let primary = Primary {
        timeline: first.try_get::<_, i64>(9).map_err(damage)?.cast_unsigned(),
        settled: settled.unwrap_or(false),
        longest: Length::of_another(longest.max(own.duration())),
    };
    Ok((seen, primary, nodes))
}
